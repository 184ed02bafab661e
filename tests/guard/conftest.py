"""An afternoon in ES at 6400.00, as it is known to the guard; each test changes what it is about."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from ct_mcp.domain.account import Account, AccountKind, Balances
from ct_mcp.domain.action import PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Contract, Quote, Session
from ct_mcp.domain.order import Order, OrderAction, OrderState, OrderType, TimeInForce
from ct_mcp.domain.position import Direction, Position
from ct_mcp.guard.policy import Limits, Mode, Policy, View
from ct_mcp.guard.rules import Result, Review, Verdict

NOW = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
ES = Instrument("ES", 2026, 12)
_CONTRACT = Contract(
    description="E-mini S&P 500",
    exchange="Globex",
    tick_size=Decimal("0.25"),
    tick_value=Decimal("12.5"),
    point_value=Decimal(50),
    expires_at=datetime(2026, 12, 18, 14, 30, tzinfo=UTC),
)
_QUOTE = Quote(
    instrument=ES,
    contract=_CONTRACT,
    bid=Decimal("6399.75"),
    ask=Decimal("6400.25"),
    last=Decimal("6400.00"),
    open=None,
    high=None,
    low=None,
    prior_close=None,
    volume=None,
    at=NOW - timedelta(seconds=1),
    is_market_open=True,
)
_SESSION = Session(
    instrument=ES,
    is_open=True,
    state="Open",
    time_zone="Central Standard Time",
    opens_at=NOW - timedelta(hours=16),
    closes_at=NOW + timedelta(hours=6),
    next_opens_at=NOW + timedelta(hours=7),
    next_closes_at=NOW + timedelta(hours=30),
    stamped_at=NOW,
)
_BALANCES = Balances(realized_pnl=Decimal(20), unrealized_pnl=Decimal(-5))
_ACCOUNT = Account("Sim101", AccountKind.SIMULATED, connection_status="Connected", balances=_BALANCES)
_VIEW = View(now=NOW, account=_ACCOUNT, positions=(), orders=(), quote=_QUOTE, session=_SESSION)
_MARKET = PlaceOrder("Sim101", ES, OrderAction.BUY, 1, OrderType.MARKET, None, None, TimeInForce.DAY)


@pytest.fixture(scope="session")
def now() -> datetime:
    """A Monday in the session, 09:30 in Chicago."""
    return NOW


@pytest.fixture(scope="session")
def es() -> Instrument:
    """The contract that the view quotes."""
    return ES


@pytest.fixture(scope="session")
def quote() -> Quote:
    """6399.75 bid, 6400.25 asked, 6400.00 last, a second ago."""
    return _QUOTE


@pytest.fixture(scope="session")
def session() -> Session:
    """Open for six more hours."""
    return _SESSION


@pytest.fixture(scope="session")
def account() -> Account:
    """A connected simulated account with a small gain."""
    return _ACCOUNT


@pytest.fixture(scope="session")
def view() -> Callable[..., View]:
    """A flat, quiet, fully read view; every argument replaces one thing that is known."""
    return lambda **changes: replace(_VIEW, **changes)


@pytest.fixture(scope="session")
def policy() -> Callable[..., Policy]:
    """The policy of a fresh installation; arguments replace limits, or the mode."""
    return lambda mode=Mode.SIM, accounts=None, **limits: Policy(
        mode=mode, accounts=accounts or {}, limits=replace(Limits(), **limits)
    )


@pytest.fixture(scope="session")
def place() -> Callable[..., PlaceOrder]:
    """BUY 1 at the market; prices may be given as text."""

    def build(**changes: object) -> PlaceOrder:
        prices = {name: Decimal(value) for name, value in changes.items() if "price" in name and isinstance(value, str)}
        return replace(_MARKET, **{**changes, **prices})  # type: ignore[arg-type]

    return build


@pytest.fixture(scope="session")
def resting() -> Callable[..., Order]:
    """An order that works in ES, a BUY LIMIT of one at 6390 unless said otherwise."""

    def build(order_id: str = "1", **changes: object) -> Order:
        limit = Order("Sim101", order_id, ES, OrderAction.BUY, OrderType.LIMIT, OrderState.WORKING, 1, 0)
        return replace(limit, **{"limit_price": Decimal(6390), **changes})  # type: ignore[arg-type]

    return build


@pytest.fixture(scope="session")
def stop(resting: Callable[..., Order]) -> Callable[..., Order]:
    """A SELL STOP MARKET that works at 6380, for one contract unless said otherwise."""

    def build(order_id: str = "stop", **changes: object) -> Order:
        shape = {"order_type": OrderType.STOP_MARKET, "limit_price": None, "stop_price": Decimal(6380)}
        return resting(order_id, **{"action": OrderAction.SELL, **shape, **changes})

    return build


@pytest.fixture(scope="session")
def held() -> Callable[..., tuple[Position, ...]]:
    """What the account holds, signed, in ES or another instrument."""

    def build(net: int, instrument: Instrument = ES) -> tuple[Position, ...]:
        direction = Direction.LONG if net > 0 else Direction.SHORT
        return (Position("Sim101", instrument, direction, abs(net), Decimal(6395)),) if net else ()

    return build


@pytest.fixture(scope="session")
def verdict() -> Callable[[Review, str], Verdict]:
    """The verdict of one rule by its name."""

    def find(review: Review, rule: str) -> Verdict:
        return next(verdict for verdict in review.verdicts if verdict.rule == rule)

    return find


@pytest.fixture(scope="session")
def codes() -> Callable[[Review], set[str]]:
    """The codes of all denials, once it is certain that each stands in a verdict."""

    def read(review: Review) -> set[str]:
        denied = {verdict.figures for verdict in review.verdicts if verdict.result is Result.DENIED}
        assert denied == {str(denial) for denial in review.denials}
        return {denial.code for denial in review.denials}

    return read
