"""When: the trading session and the time to be flat by."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from ct_mcp.domain.account import Position
from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Session
from ct_mcp.domain.order import OrderAction, OrderType, TimeInForce
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.denial import DenialCode
from ct_mcp.guard.effect import effect_of
from ct_mcp.guard.policy import FlatBy, Policy
from ct_mcp.guard.rule import ONLY_REDUCES, Denial, NotApplicable, Passed
from ct_mcp.guard.rules.limits import session_is_open_or_order_may_wait, time_to_be_flat_by_has_not_passed

Place = Callable[..., PlaceOrder]
Sees = Callable[..., RiskContext]
Allows = Callable[..., Policy]
Holds = Callable[..., tuple[Position, ...]]
CHICAGO = "America/Chicago"


def closed(session: Session, now: datetime) -> Session:
    """The session after its end: the report speaks of the next one."""
    return replace(session, is_open=False, state="Closed", opens_at=now + timedelta(hours=2), closes_at=None)


def test_an_open_session_takes_orders(place: Place, view: Sees, policy: Allows) -> None:
    assert session_is_open_or_order_may_wait(effect_of(place(), view()), view(), policy()) == Passed("state=Open")


def test_a_closed_session_takes_only_what_may_wait(place: Place, view: Sees, policy: Allows, session: Session) -> None:
    night = view(session=closed(session, view().now))
    limit = place(order_type=OrderType.LIMIT, limit_price="6390")
    assert session_is_open_or_order_may_wait(effect_of(place(), night), night, policy()) == Denial(
        DenialCode.SESSION_CLOSED, "state=Closed, opens at=2026-11-23 17:30 UTC, MARKET DAY"
    )
    assert isinstance(session_is_open_or_order_may_wait(effect_of(limit, night), night, policy()), Denial)
    waits = replace(limit, time_in_force=TimeInForce.GTC)
    assert session_is_open_or_order_may_wait(effect_of(waits, night), night, policy()) == Passed(
        "state=Closed, opens at=2026-11-23 17:30 UTC, LIMIT GTC"
    )


def test_a_market_order_never_waits(place: Place, view: Sees, policy: Allows, session: Session) -> None:
    night = view(session=closed(session, view().now))
    assert isinstance(
        session_is_open_or_order_may_wait(effect_of(place(time_in_force=TimeInForce.GTC), night), night, policy()),
        Denial,
    )


def test_a_closed_session_may_not_say_when_it_opens(place: Place, view: Sees, policy: Allows, session: Session) -> None:
    night = view(session=replace(closed(session, view().now), opens_at=None))
    assert session_is_open_or_order_may_wait(effect_of(place(), night), night, policy()) == Denial(
        DenialCode.SESSION_CLOSED, "state=Closed, opens at=unknown, MARKET DAY"
    )


@pytest.mark.parametrize(
    "changes", [{"is_open": None}, {"instrument": None}, {"instrument": Instrument("NQ", 2026, 12)}]
)
def test_a_session_that_is_not_known_denies(
    place: Place, view: Sees, policy: Allows, session: Session, changes: dict[str, object]
) -> None:
    denial = Denial(DenialCode.SESSION_UNKNOWN, "no current report of the session of ES 12-26")
    unknown = replace(session, **changes)  # type: ignore[arg-type]
    assert (
        session_is_open_or_order_may_wait(effect_of(place(), view(session=unknown)), view(session=unknown), policy())
        == denial
    )
    assert (
        session_is_open_or_order_may_wait(effect_of(place(), view(session=None)), view(session=None), policy())
        == denial
    )


def test_a_report_that_has_run_out_is_not_known(place: Place, view: Sees, policy: Allows, session: Session) -> None:
    over = replace(session, closes_at=view().now)
    begun = replace(closed(session, view().now), opens_at=view().now)
    for report in (over, begun):
        found = session_is_open_or_order_may_wait(
            effect_of(place(), view(session=report)), view(session=report), policy()
        )
        assert isinstance(found, Denial)
        assert found.code == "SESSION_UNKNOWN"


def test_a_policy_may_not_require_a_session(place: Place, view: Sees, policy: Allows) -> None:
    found = session_is_open_or_order_may_wait(
        effect_of(place(), view(session=None)), view(session=None), policy(require_open_session=False)
    )
    assert isinstance(found, NotApplicable)


def test_no_time_to_be_flat_by_stops_nothing(place: Place, view: Sees, policy: Allows) -> None:
    assert isinstance(time_to_be_flat_by_has_not_passed(effect_of(place(), view()), view(), policy()), NotApplicable)


@pytest.mark.parametrize(
    ("now", "passes"),
    [
        ("2026-11-22T23:00", True),  # Sunday 17:00 Chicago: the session rolls
        ("2026-11-23T15:30", True),
        ("2026-11-23T21:54", True),
        ("2026-11-23T21:55", False),  # Monday 15:55 Chicago
        ("2026-11-23T22:59", False),
        ("2026-11-23T23:00", True),  # Monday 17:00 Chicago: Tuesday's session
        ("2026-07-01T20:54", True),
        ("2026-07-01T20:55", False),  # 15:55 in summer
        ("2026-07-01T22:00", True),
    ],
)
def test_nothing_opens_between_the_time_to_be_flat_by_and_the_roll(
    *, place: Place, view: Sees, policy: Allows, now: str, passes: bool
) -> None:
    at = datetime.fromisoformat(now).replace(tzinfo=UTC)
    found = time_to_be_flat_by_has_not_passed(
        effect_of(place(), view(now=at)), view(now=at), policy(flat_by=FlatBy(time(15, 55), CHICAGO))
    )
    assert isinstance(found, Passed if passes else Denial)


def test_a_time_to_be_flat_by_says_its_figures(place: Place, view: Sees, policy: Allows) -> None:
    found = time_to_be_flat_by_has_not_passed(
        effect_of(place(), view(now=datetime(2026, 11, 23, 22, 0, tzinfo=UTC))),
        view(now=datetime(2026, 11, 23, 22, 0, tzinfo=UTC)),
        policy(flat_by=FlatBy(time(15, 55), CHICAGO)),
    )
    assert found == Denial(DenialCode.FLAT_BY_PASSED, "flat by=15:55 America/Chicago, now=2026-11-23 22:00 UTC")


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "America"])
def test_a_zone_that_nobody_knows_denies(place: Place, view: Sees, policy: Allows, zone: str) -> None:
    found = time_to_be_flat_by_has_not_passed(
        effect_of(place(), view()), view(), policy(flat_by=FlatBy(time(15, 55), zone))
    )
    assert isinstance(found, Denial)
    assert found.code == "FLAT_BY_UNREADABLE"


def test_what_only_reduces_is_never_too_late(place: Place, view: Sees, policy: Allows, held: Holds) -> None:
    book = view(positions=held(1), session=None, now=datetime(2026, 11, 23, 22, 0, tzinfo=UTC))
    order, late = place(action=OrderAction.SELL), policy(flat_by=FlatBy(time(15, 55), CHICAGO))
    assert session_is_open_or_order_may_wait(effect_of(order, book), book, late) == ONLY_REDUCES
    assert time_to_be_flat_by_has_not_passed(effect_of(order, book), book, late) == ONLY_REDUCES
