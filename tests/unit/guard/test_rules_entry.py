"""Exits that go with an entry: they fit it, they are there where they must be, and the day has room for the stop."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from ct_mcp.domain.account import Balances
from ct_mcp.domain.bracket import Bracket, ExitLevel, Target
from ct_mcp.domain.commands import ChangeOrder, ClosePosition, Command, PlaceOrder, ReversePosition
from ct_mcp.domain.level import Distance, Unit
from ct_mcp.domain.order import Order, OrderAction, OrderType
from ct_mcp.guard.context import PendingOrder, RiskContext
from ct_mcp.guard.policy import Policy, Protection
from ct_mcp.guard.review import Result, Review, RuleResult, review
from tests.factories import (
    ES,
    account,
    context,
    contract,
    order,
    place_order,
    policy,
    position,
    positions,
    stop_order,
)

Codes = Callable[[Review], set[str]]
Verdict = Callable[[Review, str], RuleResult]
TEN_POINTS = Distance(Decimal(10), Unit.POINT)
ROOMY = policy(max_day_loss=Decimal(2000), max_order_risk=Decimal(100_000), max_order_notional=Decimal(10**8))
STRICT = replace(ROOMY, protection=Protection(require_stop=True))


def entry(
    action: str = "BUY",
    quantity: int = 1,
    limit: str | None = None,
    *,
    stop: ExitLevel | None = TEN_POINTS,
    targets: tuple[Target, ...] = (),
    **changes: Any,
) -> PlaceOrder:
    """An order with a stop ten points away, unless said otherwise."""
    return replace(place_order(action, quantity, limit, **changes), bracket=Bracket(stop, targets))


def at(*levels: ExitLevel | str, sizes: tuple[int | None, ...] = (None,)) -> tuple[Target, ...]:
    read = (Decimal(level) if isinstance(level, str) else level for level in levels)
    return tuple(Target(level, size) for level, size in zip(read, sizes, strict=True))


@pytest.mark.parametrize(
    "command",
    [
        entry(),
        entry("SELL", 3, targets=at(TEN_POINTS)),
        entry(quantity=3, targets=at(TEN_POINTS, "6430", sizes=(1, 2))),
        entry(stop=None, targets=at("6420")),
        entry(limit="6390", stop=Decimal(6380), targets=at("6400")),
    ],
)
def test_what_fits_passes_every_rule(command: PlaceOrder) -> None:
    assert review(command, context(), ROOMY).passes


@pytest.mark.parametrize(
    ("command", "book", "code", "figures"),
    [
        (
            entry(atm_strategy="Day 20x40"),
            context(atm_templates=("Day 20x40",)),
            "BRACKET_WITH_ATM",
            "the template brings its own",
        ),
        (entry(flatten_first=True), context(), "BRACKET_WITH_FLATTEN_FIRST", "close the position first"),
        (entry("SELL"), context(positions=positions(2)), "BRACKET_ON_EXIT", "position=+2, SELL 1"),
        (entry("SELL", 3), context(positions=positions(2)), "BRACKET_ON_EXIT", "position=+2, SELL 3"),
        (entry("BUY"), context(positions=positions(-2)), "BRACKET_ON_EXIT", "position=-2, BUY 1"),
        (
            entry(quantity=4, targets=at(TEN_POINTS, "6430", sizes=(1, 2))),
            context(),
            "BRACKET_QUANTITIES",
            "order=4, targets=1+2",
        ),
        (
            entry(quantity=2, targets=at(TEN_POINTS, sizes=(1,))),
            context(),
            "BRACKET_QUANTITIES",
            "order=2, targets=1",
        ),
    ],
)
def test_exits_that_do_not_fit_their_order_are_denied(
    codes: Codes, command: PlaceOrder, book: RiskContext, code: str, figures: str
) -> None:
    found = review(command, book, ROOMY)
    assert code in codes(found)
    assert figures in next(str(denial) for denial in found.denials if denial.code == code)


def leaves(quantity: int, oco_id: str | None = None, order_id: str = "leaves", **changes: Any) -> Order:
    """A SELL that stands, at a limit above the market."""
    more = {"action": OrderAction.SELL, "quantity": quantity, "limit_price": "6420", "oco_id": oco_id, **changes}
    return order(order_id, **more)


@pytest.mark.parametrize(
    ("command", "net", "orders", "figures"),
    [
        (entry(), 0, (leaves(1),), "position then=+1, its exits=1, orders that leave as well=1"),
        (entry(), 2, (stop_order(quantity=2), leaves(2)), "position then=+3, its exits=1, orders that leave as well=4"),
        (entry(quantity=4), 1, (stop_order(quantity=2, oco_id="a"), leaves(2, "a")), "its exits=4"),
        (entry(stop=None, targets=at("6420")), 0, (leaves(1),), "its exits=1"),
    ],
    ids=["an entry the other way", "a stop and a target in no group", "a pair that is too large", "a target alone"],
)
def test_exits_that_could_not_be_placed_beside_what_stands_are_denied_before_anything_fills(
    codes: Codes, command: PlaceOrder, net: int, orders: tuple[Order, ...], figures: str
) -> None:
    found = review(command, context(positions=positions(net), orders=orders), ROOMY)
    assert "BRACKET_NOT_COVERED" in codes(found)
    assert figures in next(str(denial) for denial in found.denials if denial.code == "BRACKET_NOT_COVERED")


@pytest.mark.parametrize(
    ("command", "net", "orders"),
    [
        (entry(), 2, (stop_order(quantity=2, oco_id="a"), leaves(2, "a"))),
        (entry(oco_id="b"), 0, (leaves(1, "b"),)),
        (entry(), 0, (leaves(1, action=OrderAction.BUY, limit_price="6390"),)),
        (entry(), 2, (leaves(1),)),
    ],
    ids=["a pair of its size", "one that goes as it fills", "another entry", "a part"],
)
def test_exits_that_fit_beside_what_stands_pass(
    codes: Codes, command: PlaceOrder, net: int, orders: tuple[Order, ...]
) -> None:
    found = review(command, context(positions=positions(net), orders=orders), ROOMY)
    assert "BRACKET_NOT_COVERED" not in codes(found)


def test_what_adds_may_bring_its_own_exits() -> None:
    assert review(entry(), context(positions=positions(2)), ROOMY).passes


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (entry(stop=Decimal(6410)), "STOP_LOSS_ON_WRONG_SIDE"),
        (entry(stop=Decimal("6400.25")), "STOP_LOSS_ON_WRONG_SIDE"),  # where it fills
        (entry("SELL", stop=Decimal(6390)), "STOP_LOSS_ON_WRONG_SIDE"),
        (entry(limit="6390", stop=Decimal(6395)), "STOP_LOSS_ON_WRONG_SIDE"),
        (entry(stop=Distance(Decimal("0.1"), Unit.POINT)), "STOP_LOSS_ON_WRONG_SIDE"),
        (entry(targets=at("6390")), "TAKE_PROFIT_ON_WRONG_SIDE"),
        (entry("SELL", targets=at("6410")), "TAKE_PROFIT_ON_WRONG_SIDE"),
        (entry(quantity=2, targets=at("6410", "6390", sizes=(1, 1))), "TAKE_PROFIT_ON_WRONG_SIDE"),
    ],
)
def test_a_stop_that_gains_and_a_target_that_loses_are_denied(codes: Codes, command: PlaceOrder, code: str) -> None:
    assert codes(review(command, context(), ROOMY)) == {code}


def test_without_a_quote_nobody_says_on_which_side_they_stand(codes: Codes) -> None:
    assert "QUOTE_UNKNOWN" in codes(review(entry(), context(quote=None), ROOMY))


@pytest.mark.parametrize(
    "command",
    [place_order(), entry(stop=None, targets=at("6420")), place_order(limit="6390")],
    ids=["bare", "a target alone", "resting"],
)
def test_where_a_stop_is_required_nothing_opens_without_one(codes: Codes, command: PlaceOrder) -> None:
    assert codes(review(command, context(), STRICT)) == {"STOP_REQUIRED"}
    assert review(command, context(), ROOMY).passes
    assert review(entry(), context(), STRICT).passes


def test_a_position_is_not_turned_without_one(codes: Codes) -> None:
    book = context(positions=positions(2))
    assert "STOP_REQUIRED" in codes(review(ReversePosition("Sim101", ES), book, STRICT))
    assert "STOP_REQUIRED" in codes(review(place_order("SELL", 3), book, STRICT))


@pytest.mark.parametrize("leaves", [ClosePosition("Sim101", ES), place_order("SELL", 2), place_order("SELL", 1)])
def test_what_leaves_needs_none(leaves: Command) -> None:
    assert review(leaves, context(positions=positions(2)), STRICT).passes


def test_whether_a_template_brings_one_is_said_not_to_be_known() -> None:
    command = place_order(atm_strategy="Day 20x40")
    found = review(command, context(atm_templates=("Day 20x40",)), STRICT)
    assert found.passes
    assert "whether the ATM template brings a stop" in " ".join(map(str, found.findings))


def lost(realized: int, **changes: Any) -> RiskContext:
    """A day on which so much was made, or lost below zero."""
    balances = Balances(realized_pnl=Decimal(realized), unrealized_pnl=Decimal(0))
    return context(account=account(balances=balances), contracts={ES: contract()}, **changes)


@pytest.mark.parametrize(
    ("command", "book", "passes"),
    [
        (entry(quantity=4), lost(0), True),  # 4 x 500 of 2000
        (entry(quantity=4), lost(-1), False),
        (entry(quantity=3), lost(-500), True),
        (entry(quantity=1), lost(-1501), False),
        (entry(quantity=1, stop=Distance(Decimal(9), Unit.POINT)), lost(-1501), True),
        (entry(), lost(-1000, orders=(order("9"),), entries={"9": entry(limit="6390")}), True),
        (entry(), lost(-1001, orders=(order("9"),), entries={"9": entry(limit="6390")}), False),
        (entry(), lost(0, positions=(position(1, market_price=Decimal(6400)),), orders=(stop_order(),)), True),
        (
            entry(quantity=3),
            lost(0, positions=(position(1, market_price=Decimal(6400)),), orders=(stop_order(),)),
            False,
        ),
    ],
)
def test_being_stopped_out_of_all_fits_into_the_day(
    codes: Codes, command: PlaceOrder, book: RiskContext, passes: bool
) -> None:
    assert codes(review(command, book, ROOMY)) == (set() if passes else {"OPEN_RISK_EXCEEDS_DAY"})


def test_the_figures_of_the_day_are_told(verdict: Verdict) -> None:
    book = lost(-1001, orders=(order("9"),), entries={"9": entry(limit="6390")})
    found = verdict(review(entry(), book, ROOMY), "day-room")
    assert found.figures.endswith("stop-out=500, left of the day=999, stop-outs of what is open=500")


@pytest.mark.parametrize(
    ("book", "named"),
    [
        (lost(0, positions=(position(2),)), "+2 ES 12-26"),
        (lost(0, orders=(order("9"),)), "BUY 1 ES 12-26 that works"),
        (lost(0, pending=(PendingOrder(ES, 2),)), "+2 ES 12-26 of unknown outcome"),
    ],
)
def test_what_stands_without_a_known_stop_is_told_and_not_guessed(codes: Codes, book: RiskContext, named: str) -> None:
    found = review(entry(), book, ROOMY)
    assert "OPEN_RISK_EXCEEDS_DAY" not in codes(found)
    assert f"the loss of what stands without a known stop: {named}" in " ".join(map(str, found.findings))


@pytest.mark.parametrize(
    ("command", "book", "words"),
    [
        (place_order(), lost(-1900), "no stop goes with it"),
        (entry(stop=None, targets=at("6420")), lost(-1900), "no stop goes with it"),
        (entry("SELL", 2), lost(-1900, positions=positions(2)), "only reduces"),
        (entry(), lost(0, positions=None), "what is left of the day is not known"),
    ],
)
def test_what_has_no_stop_out_to_reckon_with_is_left_to_the_other_limits(
    verdict: Verdict, command: PlaceOrder, book: RiskContext, words: str
) -> None:
    found = verdict(review(command, book, ROOMY), "day-room")
    assert found.result is Result.NOT_APPLICABLE
    assert words in found.figures


@pytest.mark.parametrize("rules", [ROOMY, STRICT])
def test_an_entry_with_a_stop_may_rest_at_a_stop_price(rules: Policy) -> None:
    command = replace(
        entry(stop=Decimal(6400)),
        order_type=OrderType.STOP_MARKET,
        stop_price=Decimal(6410),
        action=OrderAction.BUY,
    )
    assert review(command, context(), rules).passes


class TestAChangedEntry:
    """It keeps the exits that go with it, and is judged with them."""

    @staticmethod
    def book(sent: PlaceOrder, realized: int = 0, **changes: Any) -> RiskContext:
        """One that rests at 6390."""
        works = order("9", quantity=sent.quantity)
        return lost(realized, orders=(works,), entries={"9": sent}, **changes)

    def test_its_price_may_move_where_a_stop_is_required(self) -> None:
        change = ChangeOrder("Sim101", "9", limit_price=Decimal(6391))
        assert review(change, self.book(entry(limit="6390")), STRICT).passes

    def test_it_does_not_move_past_its_stop(self, codes: Codes) -> None:
        change = ChangeOrder("Sim101", "9", limit_price=Decimal(6380))
        found = review(change, self.book(entry(limit="6390", stop=Decimal(6385))), ROOMY)
        assert codes(found) == {"STOP_LOSS_ON_WRONG_SIDE"}

    @pytest.mark.parametrize(("realized", "passes"), [(0, True), (-1, False)])
    def test_it_grows_no_farther_than_the_day_has_room(self, codes: Codes, realized: int, passes: bool) -> None:
        change = ChangeOrder("Sim101", "9", quantity=4)
        found = review(change, self.book(entry(limit="6390"), realized), ROOMY)
        assert codes(found) == (set() if passes else {"OPEN_RISK_EXCEEDS_DAY"})

    def test_its_targets_are_for_what_it_grows_or_shrinks_to(self) -> None:
        sent = entry(quantity=3, limit="6390", targets=at("6420", "6430", sizes=(1, 2)))
        for quantity in (1, 2, 4):
            found = review(ChangeOrder("Sim101", "9", quantity=quantity), self.book(sent), ROOMY)
            assert found.passes

    def test_it_may_shrink_beside_a_position_that_it_would_leave(self) -> None:
        change = ChangeOrder("Sim101", "9", quantity=1)
        book = self.book(entry(quantity=3, limit="6390"), positions=positions(-2))
        assert review(change, book, STRICT).passes
