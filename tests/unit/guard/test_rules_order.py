"""The order itself: instrument, contract, size and the position it leads to."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ct_mcp.domain.account import Position
from ct_mcp.domain.commands import ChangeOrder, Flatten, PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Quote
from ct_mcp.domain.order import Order, OrderAction, OrderState
from ct_mcp.guard.context import PendingOrder, RiskContext
from ct_mcp.guard.denial import DenialCode
from ct_mcp.guard.effect import effect_of
from ct_mcp.guard.policy import Policy
from ct_mcp.guard.rule import NO_ORDER, ONLY_REDUCES, Denial, Passed, could_not_verify
from ct_mcp.guard.rules.order import (
    contract_has_not_expired,
    instrument_is_allowed,
    position_stays_within_limit,
    quantity_is_a_whole_number,
    quantity_is_within_limit,
)

ES = Instrument("ES", 2026, 12)
SELL = OrderAction.SELL
Place = Callable[..., PlaceOrder]
Rests = Callable[..., Order]
Sees = Callable[..., RiskContext]
Allows = Callable[..., Policy]
Holds = Callable[..., tuple[Position, ...]]


def test_no_list_allows_any_instrument(place: Place, view: Sees, policy: Allows) -> None:
    assert instrument_is_allowed(effect_of(place(), view()), view(), policy()) == Passed("root=ES, allowed=any")


@pytest.mark.parametrize(("roots", "names"), [(("NQ", "MNQ"), "MNQ, NQ"), ((), "none")])
def test_a_list_allows_its_roots_alone(
    place: Place, view: Sees, policy: Allows, roots: tuple[str, ...], names: str
) -> None:
    listed = policy(instruments=frozenset(roots))
    assert instrument_is_allowed(effect_of(place(), view()), view(), listed) == Denial(
        DenialCode.INSTRUMENT_NOT_ALLOWED, f"root=ES, allowed={names}"
    )


def test_a_listed_instrument_is_allowed(place: Place, view: Sees, policy: Allows) -> None:
    assert instrument_is_allowed(effect_of(place(), view()), view(), policy(instruments=frozenset({"ES"}))) == Passed(
        "root=ES, allowed=ES"
    )


def test_a_contract_of_a_past_month_has_expired(place: Place, view: Sees, policy: Allows) -> None:
    found = contract_has_not_expired(effect_of(place(instrument=Instrument("ES", 2026, 9)), view()), view(), policy())
    assert found == Denial(DenialCode.CONTRACT_EXPIRED, "contract=SEP 2026, today=2026-11-23")


def expiring(quote: Quote, at: datetime | None) -> Quote:
    """The quote with another day of expiry."""
    return replace(quote, contract=replace(quote.contract, expires_at=at))


@pytest.mark.parametrize(
    ("expires_at", "passes"),
    [
        (datetime(2026, 12, 18, 14, 30, tzinfo=UTC), True),
        (datetime(2026, 11, 23, 15, 30, tzinfo=UTC), False),
        (datetime(2026, 11, 23, 15, 0, tzinfo=UTC), False),
        (datetime(2026, 11, 23, tzinfo=UTC), True),  # a date alone lasts to its end
        (datetime(2026, 11, 22, tzinfo=UTC), False),
    ],
)
def test_the_day_of_expiry_decides_where_it_is_known(
    *, place: Place, view: Sees, policy: Allows, quote: Quote, expires_at: datetime, passes: bool
) -> None:
    found = contract_has_not_expired(
        effect_of(place(), view(quote=expiring(quote, expires_at))), view(quote=expiring(quote, expires_at)), policy()
    )
    assert isinstance(found, Passed if passes else Denial)


def test_the_first_of_the_contract_month_names_the_month_and_not_the_expiry(
    place: Place, view: Sees, policy: Allows, quote: Quote
) -> None:
    december = datetime(2026, 12, 10, 15, 30, tzinfo=UTC)
    named = expiring(quote, datetime(2026, 12, 1, tzinfo=UTC))
    found = contract_has_not_expired(
        effect_of(place(), view(now=december, quote=named)), view(now=december, quote=named), policy()
    )
    assert found == Passed(
        "contract=DEC 2026, today=2026-12-10",
        could_not_verify("EXPIRY_UNKNOWN", "the contract expires this month, and the day is not known"),
    )


@pytest.mark.parametrize("known", [True, False])
def test_an_expiry_that_is_not_known_is_said_not_to_have_been_checked(
    *, place: Place, view: Sees, policy: Allows, quote: Quote, known: bool
) -> None:
    found = contract_has_not_expired(
        effect_of(place(), view(quote=expiring(quote, None) if known else None)),
        view(quote=expiring(quote, None) if known else None),
        policy(),
    )
    assert found == Passed("contract=DEC 2026, today=2026-11-23"), "it is said only within the month of the contract"


@pytest.mark.parametrize("quantity", [True, 0, -1, 1.5])
def test_a_quantity_counts_whole_contracts(place: Place, view: Sees, policy: Allows, quantity: object) -> None:
    denial = Denial(DenialCode.QUANTITY_INVALID, f"quantity={quantity!r}, at least=1, whole contracts")
    assert quantity_is_a_whole_number(effect_of(place(quantity=quantity), view()), view(), policy()) == denial
    assert quantity_is_within_limit(effect_of(place(quantity=quantity), view()), view(), policy()) == denial
    assert position_stays_within_limit(effect_of(place(quantity=quantity), view()), view(), policy()) == denial


def test_a_quantity_stays_within_its_limit(place: Place, view: Sees, policy: Allows) -> None:
    assert quantity_is_within_limit(effect_of(place(quantity=5), view()), view(), policy()) == Passed(
        "quantity=5, maximum=5"
    )
    assert quantity_is_within_limit(effect_of(place(quantity=6), view()), view(), policy()) == Denial(
        DenialCode.QUANTITY_EXCEEDS_MAXIMUM, "quantity=6, maximum=5"
    )


def test_the_position_counts_filled_working_in_flight_and_unknown(
    place: Place, view: Sees, policy: Allows, held: Holds, resting: Rests
) -> None:
    orders = (
        resting("1", quantity=2),
        resting("2", state=OrderState.SUBMITTED),
        resting("3", state=OrderState.UNKNOWN),
        resting("4", action=SELL, quantity=9),
    )
    book = view(positions=held(4), orders=orders, pending=(PendingOrder(ES, 1), PendingOrder(ES, -3)))
    assert position_stays_within_limit(effect_of(place(quantity=1), book), book, policy()) == Passed(
        "position after=10, maximum=10, held=4, working=4, unknown=1, this order=1"
    )
    assert position_stays_within_limit(effect_of(place(quantity=2), book), book, policy()) == Denial(
        DenialCode.POSITION_EXCEEDS_MAXIMUM,
        "position after=11, maximum=10, held=4, working=4, unknown=1, this order=2",
    )


def test_a_short_position_is_limited_as_a_long_one(place: Place, view: Sees, policy: Allows, held: Holds) -> None:
    found = position_stays_within_limit(
        effect_of(place(action=SELL, quantity=3), view(positions=held(-2))),
        view(positions=held(-2)),
        policy(max_position_contracts=4),
    )
    assert found == Denial(
        DenialCode.POSITION_EXCEEDS_MAXIMUM, "position after=-5, maximum=4, held=-2, working=0, unknown=0, this order=3"
    )


def test_an_order_is_not_denied_for_the_other_side(place: Place, view: Sees, policy: Allows, held: Holds) -> None:
    found = position_stays_within_limit(
        effect_of(place(action=SELL, quantity=5), view(positions=held(4))),
        view(positions=held(4)),
        policy(max_position_contracts=2),
    )
    assert isinstance(found, Passed)


def test_a_flatten_that_comes_first_is_not_relied_on(place: Place, view: Sees, policy: Allows, held: Holds) -> None:
    found = position_stays_within_limit(
        effect_of(place(quantity=2, flatten_first=True), view(positions=held(3))),
        view(positions=held(3)),
        policy(max_position_contracts=4),
    )
    assert isinstance(found, Denial)


def test_a_change_counts_the_order_once(view: Sees, policy: Allows, resting: Rests) -> None:
    book, allowed = view(orders=(resting(quantity=3),)), policy(max_position_contracts=4)
    assert isinstance(
        position_stays_within_limit(effect_of(ChangeOrder("Sim101", "1", quantity=4), book), book, allowed), Passed
    )
    assert isinstance(
        position_stays_within_limit(effect_of(ChangeOrder("Sim101", "1", quantity=5), book), book, allowed), Denial
    )


@pytest.mark.parametrize("unread", ["positions", "orders"])
def test_a_position_that_is_not_known_denies(place: Place, view: Sees, policy: Allows, unread: str) -> None:
    assert position_stays_within_limit(
        effect_of(place(), view(**{unread: None})), view(**{unread: None}), policy()
    ) == Denial(DenialCode.POSITION_UNKNOWN, "no report of positions and orders in ES 12-26")


def test_what_sends_no_order_has_no_position_to_limit(view: Sees, policy: Allows) -> None:
    for action in (Flatten("Sim101", None), ChangeOrder("Sim101", "nobody", quantity=2)):
        assert position_stays_within_limit(effect_of(action, view()), view(), policy()) == NO_ORDER


def test_what_only_reduces_passes_size_and_position(place: Place, view: Sees, policy: Allows, held: Holds) -> None:
    book = view(positions=held(20))
    order = place(action=SELL, quantity=15)
    assert quantity_is_within_limit(effect_of(order, book), book, policy()) == ONLY_REDUCES
    assert position_stays_within_limit(effect_of(order, book), book, policy()) == ONLY_REDUCES
