"""Every rule held against every action: what one call may not do, no other call does either."""

from collections.abc import Callable
from dataclasses import replace
from datetime import time, timedelta
from decimal import Decimal

import pytest

from ct_mcp.domain.account import Account, AccountKind, Position
from ct_mcp.domain.approval import Halt
from ct_mcp.domain.commands import (
    ChangeOrder,
    CloseStrategy,
    Command,
    DisableStrategy,
    EnableStrategy,
    Flatten,
    PlaceOrder,
    ProtectPosition,
    ReplaceOrder,
    ReversePosition,
)
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Order, OrderAction, OrderType, TimeInForce
from ct_mcp.domain.strategy import BarType, HostMode, StartStrategy
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.policy import AccountPolicy, FlatBy, Mode, Policy
from ct_mcp.guard.review import Review, review
from tests import factories

ES = Instrument("ES", 2026, 12)
Rests = Callable[..., Order]
Sees = Callable[..., RiskContext]
Allows = Callable[..., Policy]
Holds = Callable[..., tuple[Position, ...]]
Codes = Callable[[Review], set[str]]
LIMIT = PlaceOrder(
    "Sim101", ES, OrderAction.BUY, 1, OrderType.LIMIT, Decimal("6391.00"), None, TimeInForce.DAY, oco_id=None
)
REPLACE, REVERSE = ReplaceOrder("Sim101", "1", LIMIT), ReversePosition("Sim101", ES)
START = StartStrategy("Sim101", "Breakout", ES, HostMode.ACCOUNT, BarType.MINUTE, 5, (("Fast", 9),))
ENABLE, PAUSE, END = EnableStrategy("Sim101", "77"), DisableStrategy("Sim101", "77"), CloseStrategy("Sim101", "77")
PROTECT = ProtectPosition("Sim101", ES, Decimal(6420), Decimal(6390))
STOP = PlaceOrder(
    "Sim101", ES, OrderAction.SELL, 1, OrderType.STOP_MARKET, None, Decimal(6390), TimeInForce.GTC, oco_id="exit"
)
NEARER = ChangeOrder("Sim101", factories.stop_order().order_id, stop_price=Decimal(6390))
WIDEN = ProtectPosition("Sim101", ES, None, Decimal(6370))
EVERYTHING = Flatten("Sim101", None)
OPENING: tuple[Command, ...] = (REPLACE, REVERSE, START, ENABLE)
ORDERS: tuple[Command, ...] = (REPLACE, REVERSE)
LEAVING: tuple[Command, ...] = (PROTECT, PAUSE, END, EVERYTHING)


@pytest.fixture
def book(view: Sees, held: Holds, resting: Rests, stop: Rests) -> Callable[..., RiskContext]:
    """Long two, one entry and one stop that covers a part; arguments replace what is known."""
    known = {"positions": held(2), "orders": (resting(), stop(quantity=1))}
    return lambda **changes: view(**{**known, **changes})


@pytest.mark.parametrize("action", [*OPENING, *LEAVING, WIDEN])
def test_each_passes_in_a_quiet_account(book: Sees, policy: Allows, action: Command) -> None:
    assert review(action, book(), policy()).denials == ()


@pytest.mark.parametrize("action", [*OPENING, WIDEN])
@pytest.mark.parametrize(
    ("known", "code"),
    [
        ({"day_loss_reached": True}, "DAY_LOSS_REACHED"),
        ({"orders_last_minute": 6}, "ORDERS_PER_MINUTE_REACHED"),
        ({"orders_today": 100}, "ORDERS_PER_DAY_REACHED"),
        ({"seconds_since_identical": 1.0}, "DUPLICATE_WITHIN_WINDOW"),
        ({"identical_is_unknown": True}, "OUTCOME_UNRESOLVED"),
    ],
)
def test_what_stops_an_order_stops_all_that_opens_or_unprotects(
    *, book: Sees, policy: Allows, codes: Codes, action: Command, known: dict[str, object], code: str
) -> None:
    assert codes(review(action, book(**known), policy())) == {code}


@pytest.mark.parametrize("action", [*OPENING, WIDEN])
def test_a_halt_and_the_time_to_be_flat_by_stop_all_that_opens_or_unprotects(
    book: Sees, policy: Allows, codes: Codes, action: Command
) -> None:
    halted = book(halt=Halt("person", book().now, "enough"))
    late = policy(flat_by=FlatBy(time(9, 0), "America/Chicago"))
    assert codes(review(action, halted, late)) == {"TRADING_HALTED", "FLAT_BY_PASSED"}


@pytest.mark.parametrize("action", [PROTECT, STOP, NEARER, PAUSE, END, EVERYTHING])
def test_what_only_reduces_or_pauses_waits_for_nothing_but_the_account(
    book: Sees, policy: Allows, action: Command
) -> None:
    hard = book(
        halt=Halt("person", book().now, "enough"),
        session=None,
        day_loss_reached=True,
        orders_last_minute=1000,
        orders_today=1000,
    )
    limits = policy(
        max_order_contracts=1,
        max_position_contracts=1,
        max_order_risk=Decimal(0),
        max_order_notional=Decimal(0),
        instruments=frozenset({"NQ"}),
        flat_by=FlatBy(time(9, 0), "America/Chicago"),
    )
    assert review(action, hard, limits).denials == ()


@pytest.mark.parametrize("action", [PAUSE, END, EVERYTHING])
def test_leaving_and_pausing_may_be_asked_twice(book: Sees, policy: Allows, action: Command) -> None:
    assert review(action, book(seconds_since_identical=0.0, identical_is_unknown=True), policy()).passes


def test_two_brackets_are_not_sent_at_once(book: Sees, policy: Allows, codes: Codes) -> None:
    again = book(seconds_since_identical=0.0, identical_is_unknown=True)
    assert codes(review(PROTECT, again, policy())) == {"DUPLICATE_WITHIN_WINDOW", "OUTCOME_UNRESOLVED"}


@pytest.mark.parametrize("action", [*OPENING, *LEAVING])
def test_a_wrong_account_stops_everything(
    book: Sees, policy: Allows, codes: Codes, account: Account, action: Command
) -> None:
    other = book(account=replace(account, name="Sim102"))
    live = book(account=replace(account, kind=AccountKind.LIVE))
    assert codes(review(action, other, policy())) == {"ACCOUNT_MISMATCH"}
    assert codes(review(action, live, policy())) == {"ACCOUNT_NOT_SIMULATED"}
    assert codes(review(action, book(), policy(Mode.READ_ONLY))) == {"MODE_READ_ONLY"}
    assert "ACCOUNT_NOT_NAMED" in codes(review(action, book(), policy(Mode.LIVE)))


@pytest.mark.parametrize("action", [*OPENING, *LEAVING, STOP, NEARER, WIDEN])
def test_only_what_opens_or_unprotects_waits_until_the_account_is_armed(
    book: Sees, policy: Allows, codes: Codes, action: Command
) -> None:
    live = policy(Mode.LIVE, {"Sim101": AccountPolicy()})
    expected = set() if action in (*LEAVING, STOP, NEARER) else {"ACCOUNT_NOT_ARMED"}
    assert codes(review(action, book(), live)) == expected
    assert review(action, book(armed_until=book().now + timedelta(hours=1)), live).passes


@pytest.mark.parametrize("action", [*OPENING, *LEAVING])
def test_nothing_is_sent_to_a_lost_connection_but_exits(
    book: Sees, policy: Allows, codes: Codes, account: Account, action: Command
) -> None:
    lost = book(account=replace(account, connection_status="ConnectionLost"))
    expected = {"ACCOUNT_DISCONNECTED"} if action in (*OPENING, PROTECT) else set()
    assert codes(review(action, lost, policy())) == expected


def test_an_account_that_is_flattened_must_be_named(view: Sees, policy: Allows, codes: Codes) -> None:
    assert review(EVERYTHING, view(), policy(Mode.LIVE, {"Sim101": AccountPolicy()})).passes
    assert codes(review(EVERYTHING, view(), policy(Mode.LIVE, {"EVAL-1": AccountPolicy()}))) == {"ACCOUNT_NOT_NAMED"}


@pytest.mark.parametrize("action", [*ORDERS, START])
def test_instrument_contract_and_session_hold_for_all_that_trade_one(
    book: Sees, policy: Allows, codes: Codes, action: Command
) -> None:
    assert codes(review(action, book(), policy(instruments=frozenset({"NQ"})))) == {"INSTRUMENT_NOT_ALLOWED"}
    assert codes(review(action, book(session=None), policy())) == {"SESSION_UNKNOWN"}
    later = book(now=book().now + timedelta(days=60), quote=None, session=None)
    assert "CONTRACT_EXPIRED" in codes(review(action, later, policy()))


def test_a_strategy_does_not_start_into_a_closed_session(book: Sees, policy: Allows) -> None:
    session = book().session
    assert session is not None
    night = book(session=replace(session, is_open=False, state="Closed", opens_at=None))
    assert [str(denial) for denial in review(START, night, policy()).denials] == [
        "SESSION_CLOSED: state=Closed, opens at=unknown"
    ]


def test_the_position_that_a_reverse_leads_to_is_held_to_every_limit(
    book: Sees, policy: Allows, codes: Codes, held: Holds
) -> None:
    # The entry of one may fill before it and is turned as well, and the stop of one may stay and add: eight in all.
    assert codes(review(REVERSE, book(positions=held(6)), policy(max_position_contracts=7))) == {
        "QUANTITY_EXCEEDS_MAXIMUM",
        "POSITION_EXCEEDS_MAXIMUM",
        "NOTIONAL_EXCEEDS_MAXIMUM",
        "RISK_EXCEEDS_MAXIMUM",
    }
    stale = book(quote=None)
    assert codes(review(REVERSE, stale, policy())) == {"QUOTE_UNKNOWN", "NOTIONAL_UNKNOWN", "RISK_UNKNOWN"}


def test_both_the_old_and_the_new_order_count_against_the_position(book: Sees, policy: Allows) -> None:
    found = review(REPLACE, book(), policy(max_position_contracts=3))
    assert [denial.code for denial in found.denials] == ["POSITION_EXCEEDS_MAXIMUM"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"limit_price": Decimal("6391.10")}, "PRICE_OFF_TICK"),
        ({"limit_price": Decimal("NaN")}, "PRICE_INVALID"),
        ({"limit_price": Decimal(6300)}, "PRICE_OUTSIDE_BAND"),
        ({"limit_price": None}, "LIMIT_PRICE_MISSING"),
        ({"quantity": True}, "QUANTITY_INVALID"),
        ({"oco_id": "a;b"}, "NAME_INVALID"),
        ({"order_type": OrderType.OTHER}, "ORDER_TYPE_NOT_SENDABLE"),
        ({"instrument": Instrument("NQ", 2026, 12)}, "REPLACEMENT_ELSEWHERE"),
    ],
)
def test_a_replacement_must_be_a_sound_order(
    *, book: Sees, policy: Allows, codes: Codes, changes: dict[str, object], code: str
) -> None:
    order = replace(LIMIT, **changes)  # type: ignore[arg-type]
    assert code in codes(review(ReplaceOrder("Sim101", "1", order), book(), policy()))


def test_a_stop_is_only_replaced_while_the_market_is_seen(
    book: Sees, policy: Allows, codes: Codes, held: Holds
) -> None:
    stop = replace(LIMIT, action=OrderAction.SELL, order_type=OrderType.STOP_MARKET, limit_price=None)
    action = ReplaceOrder("Sim101", "stop", replace(stop, stop_price=Decimal(6385), quantity=2))
    blind = book(positions=held(4), quote=None)
    assert codes(review(action, blind, policy())) == {"QUOTE_UNKNOWN"}
    assert review(action, book(positions=held(4)), policy()).passes


@pytest.mark.parametrize(
    ("known", "code"),
    [({"orders": None}, "ORDERS_UNKNOWN"), ({"orders": ()}, "ORDER_UNKNOWN")],
)
def test_only_a_known_order_is_replaced(
    *, book: Sees, policy: Allows, codes: Codes, known: dict[str, object], code: str
) -> None:
    assert code in codes(review(REPLACE, book(**known), policy()))


def test_a_group_that_goes_with_the_old_order_takes_no_new_one(
    book: Sees, policy: Allows, codes: Codes, resting: Rests
) -> None:
    pair = book(orders=(resting(oco_id="pair"),))
    joins, other = (ReplaceOrder("Sim101", "1", replace(LIMIT, oco_id=name)) for name in ("pair", "new"))
    assert codes(review(joins, pair, policy())) == {"OCO_GROUP_SPENT"}
    assert review(other, pair, policy()).passes


@pytest.mark.parametrize("action", [START, ENABLE])
def test_it_is_said_that_no_limit_holds_what_a_strategy_sends(book: Sees, policy: Allows, action: Command) -> None:
    said = " ".join(map(str, review(action, book(), policy()).findings))
    assert "no limit of ours holds what the strategy sends" in said
    assert ("its instrument" in said) is (action is ENABLE)
