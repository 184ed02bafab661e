"""A no that no reading can change does not wait for the request budget; every other one does."""

from dataclasses import replace
from decimal import Decimal

import pytest

from ct_mcp.desk.desk import Desk
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.domain.approval import Ticket
from ct_mcp.domain.commands import ClosePosition, Command, ProtectPosition
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderAction
from ct_mcp.guard.denial import DenialCode
from ct_mcp.guard.policy import Limits, Mode, Policy
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrderType, SimTimeInForce
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.journal import EntryKind
from ct_mcp.store.sqlite import SqliteStore
from tests.unit.desk.conftest import MES, Buys

UNREAD = "nothing was read"


async def use_up(desk: Desk) -> None:
    """Read until no request is left but those for exits; afterwards a read waits, and time goes on."""
    while (await desk.upstream.allowance()).requests_left:
        await desk.upstream.accounts()
    desk.resolver.remember(await desk.upstream.urgent().accounts())


async def denied(desk: Desk, command: Command) -> Outcome:
    outcome = await desk.propose(command)
    assert isinstance(outcome, Outcome)
    assert outcome.status is Status.DENIED
    return outcome


WRONG = {
    "no limit price": ("LIMIT", {}, DenialCode.LIMIT_PRICE_MISSING),
    "no contract": ("MARKET", {"quantity": 0}, DenialCode.QUANTITY_INVALID),
    "a type that is not sent": ("MARKET_IF_TOUCHED", {}, DenialCode.ORDER_TYPE_NOT_SENDABLE),
    "a month that is over": ("MARKET", {"instrument": Instrument("MES", 2020, 3)}, DenialCode.CONTRACT_EXPIRED),
    "a name that is none": ("MARKET", {"oco_id": "a b"}, DenialCode.NAME_INVALID),
}


@pytest.mark.parametrize(("kind", "fields", "code"), WRONG.values(), ids=WRONG.keys())
async def test_what_an_order_says_itself_is_denied_while_a_reading_would_wait(
    desk: Desk,
    buy: Buys,
    clock: ManualClock,
    store: SqliteStore,
    kind: str,
    fields: dict[str, object],
    code: DenialCode,
) -> None:
    await use_up(desk)
    began = clock()
    outcome = await denied(desk, buy(**{"kind": kind, **fields}))
    assert clock() == began, "somebody has waited"
    assert any(reason.startswith(code) for reason in outcome.reasons)
    assert any(UNREAD in reason for reason in outcome.reasons)
    assert outcome.simulated
    assert (await store.entries(1))[0].kind is EntryKind.DENIED


@pytest.mark.parametrize(
    "command",
    [ClosePosition("Sim101", MES, 1, Decimal(50)), ProtectPosition("Sim101", MES, None, None)],
    ids=["a close in two ways", "a bracket without a price"],
)
async def test_so_is_what_a_close_or_a_bracket_says(desk: Desk, clock: ManualClock, command: Command) -> None:
    await use_up(desk)
    began = clock()
    assert any(UNREAD in reason for reason in (await denied(desk, command)).reasons)
    assert clock() == began


async def test_all_reasons_are_named_where_a_reading_costs_no_time(desk: Desk, buy: Buys) -> None:
    outcome = await denied(desk, buy(50, kind="LIMIT"))
    assert not any(UNREAD in reason for reason in outcome.reasons)
    assert any(reason.startswith(DenialCode.QUANTITY_EXCEEDS_MAXIMUM) for reason in outcome.reasons)
    assert any(reason.startswith(DenialCode.LIMIT_PRICE_MISSING) for reason in outcome.reasons)


async def test_a_size_is_judged_on_what_is_held_however_long_that_takes(
    desk: Desk, buy: Buys, clock: ManualClock
) -> None:
    await use_up(desk)
    began = clock()
    outcome = await denied(desk, buy(50))
    assert clock() > began, "so large an order may be one that leaves what is held"
    assert not any(UNREAD in reason for reason in outcome.reasons)


@pytest.mark.parametrize("policy", [Policy(limits=Limits(instruments=frozenset({"NQ"})))], ids=["another instrument"])
async def test_a_stop_behind_what_is_held_is_no_opening_however_few_requests_are_left(
    desk: Desk, buy: Buys, sim: Simulator, clock: ManualClock
) -> None:
    account, mes = sim.exchange.accounts["Sim101"], sim.market.front("MES", clock())
    by_hand = OrderTerms(mes, Action.BUY, 2, SimOrderType.MARKET, SimTimeInForce.DAY)
    sim.exchange.submit(account, by_hand, OrderLabels(rpc="ByHand"), clock())
    sim.advance(5)
    last = sim.market.top(mes, clock()).last * Decimal("0.25")
    await use_up(desk)
    stop = replace(buy(2, kind="STOP_MARKET"), action=OrderAction.SELL, stop_price=last - 10)
    assert isinstance(await desk.propose(stop), Ticket)


async def test_a_group_that_may_stand_already_is_looked_for(desk: Desk, buy: Buys, clock: ManualClock) -> None:
    await use_up(desk)
    began = clock()
    outcome = await denied(desk, buy(oco_id="0f8fad5b-d9cb-469f-a165-70867728950e"))
    assert clock() > began
    assert any(reason.startswith(DenialCode.NAME_INVALID) for reason in outcome.reasons)


async def test_an_account_that_is_not_known_yet_is_looked_at_first(desk: Desk, buy: Buys, clock: ManualClock) -> None:
    while (await desk.upstream.allowance()).requests_left:
        await desk.upstream.quotes(["MES 09-26"])
    began = clock()
    outcome = await denied(desk, buy(kind="LIMIT"))
    assert clock() > began
    assert outcome.simulated, "of an account that was never read nobody could say so"


class TestReadOnly:
    """In read only mode nothing is sent, whatever the accounts hold."""

    @pytest.fixture
    def policy(self) -> Policy:
        """Nothing may trade."""
        return Policy(mode=Mode.READ_ONLY, limits=Limits())

    async def test_it_says_so_without_a_reading(self, desk: Desk, buy: Buys, clock: ManualClock) -> None:
        await use_up(desk)
        began = clock()
        outcome = await denied(desk, buy())
        assert any(reason.startswith(DenialCode.MODE_READ_ONLY) for reason in outcome.reasons)
        assert clock() == began
