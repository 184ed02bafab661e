"""The desk over the simulator, without a server before it; and values that the desk reads."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.polling import Pause
from ct_mcp.domain.account import Account, AccountKind, Balances, Direction, Position
from ct_mcp.domain.approval import Ticket
from ct_mcp.domain.commands import Command, PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Contract, Quote
from ct_mcp.domain.order import Order, OrderAction, OrderState, OrderType, TimeInForce
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.policy import Policy
from ct_mcp.guard.review import Review, review
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.sqlite import SqliteStore

MES = Instrument("MES", 2026, 9)

Buys = Callable[..., PlaceOrder]
Stands = Callable[..., Order]
Holds = Callable[..., Position]
Reviewed = Callable[..., Review]
Prices = Callable[[int], Decimal]
Does = Callable[[Command | Sequence[Command]], Awaitable[Outcome]]
Way = Callable[..., Awaitable[object]]
Oddly = Callable[..., Does]
"""A desk whose upstream does a call in a way of its own, and others in theirs, by their names."""


@pytest.fixture(scope="session")
def mes() -> Instrument:
    """The front month of the micro that most tests trade."""
    return MES


@pytest.fixture(scope="session")
def buy() -> Buys:
    """An order to buy at the market, or whatever a test makes of it."""

    def made(quantity: int = 1, action: str = "BUY", kind: str = "MARKET", **more: object) -> PlaceOrder:
        fields: dict[str, Any] = {
            "account": "Sim101",
            "instrument": MES,
            "action": OrderAction(action),
            "quantity": quantity,
            "order_type": OrderType(kind),
            "limit_price": None,
            "stop_price": None,
            "time_in_force": TimeInForce.DAY,
        }
        return PlaceOrder(**{**fields, **more})

    return made


@pytest.fixture(scope="session")
def standing() -> Stands:
    """A resting order to buy one, or whatever a test makes of it."""

    def made(order_id: str = "a1", **more: object) -> Order:
        fields: dict[str, Any] = {
            "account": "Sim101",
            "order_id": order_id,
            "instrument": MES,
            "action": OrderAction.BUY,
            "order_type": OrderType.LIMIT,
            "state": OrderState.WORKING,
            "quantity": 1,
            "filled": 0,
            "limit_price": Decimal(6000),
        }
        return Order(**{**fields, **more})

    return made


@pytest.fixture(scope="session")
def holding() -> Holds:
    """A position of so many contracts, signed."""

    def made(net: int, instrument: Instrument = MES) -> Position:
        direction = Direction.LONG if net > 0 else Direction.SHORT if net else Direction.FLAT
        return Position("Sim101", instrument, direction, abs(net), Decimal(6000))

    return made


@pytest.fixture
def reviewed(clock: ManualClock) -> Reviewed:
    """A command with what was known when it was reviewed: a flat simulated account, and MES at 6000."""
    contract = Contract("Micro E-mini S&P 500", "Globex", Decimal("0.25"), Decimal("1.25"), Decimal(5))
    prices: dict[str, Any] = {name: None for name in ("open", "high", "low", "prior_close", "volume")}
    quote = Quote(
        MES, contract, Decimal(5999), Decimal("6000.25"), Decimal(6000), at=clock(), is_market_open=True, **prices
    )
    simulated = Account(
        "Sim101", AccountKind.SIMULATED, currency="USD", status="Enabled", balances=Balances(Decimal(100_000))
    )

    def made(command: Command, account: Account = simulated, policy: Policy | None = None, **seen: object) -> Review:
        known: dict[str, Any] = {
            "now": clock(),
            "account": account,
            "positions": (),
            "orders": (),
            "quote": quote,
            **seen,
        }
        return review(command, RiskContext(**known), policy or Policy())

    return made


@pytest.fixture
def does(desk: Desk) -> Does:
    """Propose an action, say yes at the terminal where one is needed, and commit it."""

    async def done(action: Command | Sequence[Command]) -> Outcome:
        proposed = await desk.propose(action)
        if isinstance(proposed, Outcome):
            return proposed
        await desk.decisions.approve(proposed, "terminal")
        return await desk.commit(proposed.ticket_id)

    return done


class Odd:
    """An upstream that does some calls in a way of its own, in all its views; a way is handed the view it is in."""

    def __init__(self, inner: Any, ways: Mapping[str, Way]) -> None:
        self.inner, self.ways = inner, ways

    def __getattr__(self, asked: str) -> Any:
        if asked in ("urgent", "checked_by"):
            return lambda *given: Odd(getattr(self.inner, asked)(*given), self.ways)
        return partial(self.ways[asked], self.inner) if asked in self.ways else getattr(self.inner, asked)


@pytest.fixture
def odd(crosstrade: CrossTrade, store: SqliteStore, policy: Policy, clock: ManualClock, pause: Pause) -> Oddly:
    """Propose, approve and commit at a desk whose upstream does some calls in a way of its own."""

    def at_a_desk(name: str, way: Way, **others: Way) -> Does:
        desk = Desk(Odd(crosstrade, {name: way, **others}), store, policy, clock=clock, pause=pause)

        async def done(action: Command | Sequence[Command]) -> Outcome:
            ticket = await desk.propose(action)
            assert isinstance(ticket, Ticket)
            await desk.decisions.approve(ticket, "terminal")
            return await desk.commit(ticket.ticket_id)

        return done

    return at_a_desk


@pytest.fixture
async def long_two(does: Does, sim: Simulator, buy: Buys) -> Outcome:
    """Two contracts are held, and the fill is a while ago."""
    outcome = await does(buy(2))
    assert outcome.status is Status.FILLED
    sim.advance(30)
    return outcome


@pytest.fixture
def price(sim: Simulator, clock: ManualClock) -> Prices:
    """A price so many ticks from the last trade."""

    def at(ticks: int) -> Decimal:
        contract = sim.market.front("MES", clock())
        return (sim.market.top(contract, clock()).last + ticks) * Decimal("0.25")

    return at
