"""A yes covers what was shown: the ticket is held against what its command would do by the time it is sent."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from ct_mcp.crosstrade.schemas.orders import Acknowledged
from ct_mcp.desk.approval import draw_ticket, moved_since, still_approved
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.ports import Upstream
from ct_mcp.domain.account import Account, AccountKind, Direction
from ct_mcp.domain.approval import Approval, Ticket
from ct_mcp.domain.commands import (
    CancelOrder,
    CancelOrders,
    ChangeOrder,
    ClosePosition,
    Command,
    Flatten,
    ProtectPosition,
    ReplaceOrder,
    ReversePosition,
)
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderAction, OrderType
from ct_mcp.guard.policy import AccountPolicy, Mode, Policy
from ct_mcp.guard.review import Review
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrderType
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.journal import EntryKind
from ct_mcp.store.sqlite import SqliteStore
from tests.unit.desk.conftest import Buys, Does, Holds, Oddly, Prices, Reviewed, Stands

SIM = Account("Sim101", AccountKind.SIMULATED)
MNQ = Instrument("MNQ", 2026, 9)
STOP = {"action": OrderAction.SELL, "order_type": OrderType.STOP_MARKET, "limit_price": None}
Trades = Callable[..., None]

CHANGED = "CHANGED_SINCE_ASKED: "


def changes(asked: Review, now: Review) -> str:
    """What is denied of a ticket that was drawn on one review and is sent on another; nothing where it goes."""
    ticket = replace(draw_ticket([asked], ""), approval=Approval.PAGE_PIN)
    denials = still_approved(replace(now, denials=()), ticket, 0).denials
    return "; ".join(map(str, denials))


def test_what_still_does_what_was_shown_goes(
    reviewed: Reviewed, buy: Buys, standing: Stands, holding: Holds, mes: Instrument
) -> None:
    stop = standing("s9", quantity=2, stop_price=Decimal(5990), **STOP)
    held = {"positions": (holding(2),), "orders": (stop,)}
    for command in (
        buy(2),
        buy(2, "SELL"),
        buy(1, "SELL", flatten_first=True),
        ChangeOrder("Sim101", "s9", stop_price=Decimal(5980)),
        CancelOrder("Sim101", "s9"),
        CancelOrders("Sim101", None),
        ClosePosition("Sim101", mes, quantity=1),
        ReversePosition("Sim101", mes),
        ProtectPosition("Sim101", mes, None, Decimal(5990)),
        ReplaceOrder("Sim101", "s9", buy(2, "SELL", kind="STOP_MARKET", stop_price=Decimal(5980))),
    ):
        assert changes(reviewed(command, **held), reviewed(command, **held)) == ""


def test_a_turn_of_another_size_is_not_the_one_that_was_shown(
    reviewed: Reviewed, holding: Holds, mes: Instrument
) -> None:
    turn = ReversePosition("Sim101", mes)
    asked, now = (reviewed(turn, positions=(holding(net),)) for net in (1, 5))
    assert changes(asked, now) == (
        f"{CHANGED}orders shown=SELL 1 MES 09-26 MARKET, SELL 1 MES 09-26 MARKET, "
        "now=SELL 5 MES 09-26 MARKET, SELL 5 MES 09-26 MARKET; nothing was sent: propose it again"
    )


def test_what_is_flattened_first_is_part_of_what_was_shown(reviewed: Reviewed, buy: Buys, holding: Holds) -> None:
    order = buy(1, "SELL", flatten_first=True)
    asked, now = (reviewed(order, positions=(holding(net),)) for net in (2, 5))
    assert "orders shown=SELL 2 MES 09-26 MARKET, SELL 1 MES 09-26 MARKET, now=SELL 5" in changes(asked, now)


@pytest.mark.parametrize("stop", [True, False], ids=["beside a stop", "alone"])
@pytest.mark.parametrize("net", [0, 1, -2])
def test_an_exit_that_would_open_by_now_is_denied(
    reviewed: Reviewed, buy: Buys, standing: Stands, holding: Holds, net: int, *, stop: bool
) -> None:
    """Beside a stop it is asked for as what may open; it is an exit in the question all the same."""
    orders = (standing("s9", quantity=2, stop_price=Decimal(5990), **STOP),) if stop else ()
    asked = reviewed(buy(2, "SELL"), positions=(holding(2),), orders=orders)
    now = reviewed(buy(2, "SELL"), positions=(holding(net),) if net else ())
    after = {0: "flat to -2", 1: "+1 to -1", -2: "-2 to -4"}[net]
    assert (
        f"shown as an exit, position +2 to flat; now an opening or a loss of protection, position {after}"
        in changes(asked, now)
    )


@pytest.mark.parametrize(
    ("net", "said"),
    [
        (8, "contracts to close shown=+1, position +2 to +1; now=+4, position +8 to +4"),
        (-2, "now=-1, position -2 to -1"),
    ],
)
def test_a_part_of_another_size_or_side_is_not_the_one_that_was_shown(
    reviewed: Reviewed, holding: Holds, mes: Instrument, net: int, said: str
) -> None:
    part = ClosePosition("Sim101", mes, percent=Decimal(50))
    asked, now = (reviewed(part, positions=(holding(held),)) for held in (2, net))
    assert said in changes(asked, now)


def test_a_part_that_has_become_smaller_goes(reviewed: Reviewed, holding: Holds, mes: Instrument) -> None:
    part = ClosePosition("Sim101", mes, quantity=3)
    asked, now = (reviewed(part, positions=(holding(held),)) for held in (4, 2))
    assert "CLOSE 3" in draw_ticket([asked], "").question
    assert "Position +4 now, +1 after" in draw_ticket([asked], "").question
    assert changes(asked, now) == ""


@pytest.mark.parametrize(("stands_at", "said"), [(5995, "move away by=10, and would move by=15"), (5985, "")])
def test_a_stop_that_somebody_moved_nearer_is_moved_further_than_was_shown(
    reviewed: Reviewed, standing: Stands, holding: Holds, stands_at: int, said: str
) -> None:
    change = ChangeOrder("Sim101", "s9", stop_price=Decimal(5980))
    asked, now = (
        reviewed(
            change,
            positions=(holding(2),),
            orders=(standing("s9", quantity=2, stop_price=Decimal(price), **STOP),),
        )
        for price in (5990, stands_at)
    )
    assert said in changes(asked, now)
    assert bool(said) is bool(changes(asked, now))


def test_an_opening_that_would_close_by_now_is_denied(reviewed: Reviewed, buy: Buys, holding: Holds) -> None:
    asked, now = reviewed(buy(2, "SELL")), reviewed(buy(2, "SELL"), positions=(holding(2),))
    assert "shown as an opening or a loss of protection, position flat to -2; now an exit" in changes(asked, now)


def test_an_exit_whose_stop_has_gone_meanwhile_is_still_that_exit(
    reviewed: Reviewed, buy: Buys, standing: Stands, holding: Holds
) -> None:
    stop = standing("s9", quantity=2, stop_price=Decimal(5990), **STOP)
    asked = reviewed(buy(2, "SELL"), positions=(holding(2),), orders=(stop,))
    assert changes(asked, reviewed(buy(2, "SELL"), positions=(holding(2),))) == ""


def test_a_partial_close_whose_stop_was_made_smaller_meanwhile_goes(
    reviewed: Reviewed, standing: Stands, holding: Holds, mes: Instrument
) -> None:
    """That is what the question advises."""
    close = ClosePosition("Sim101", mes, quantity=1)
    stop = standing("s9", quantity=2, stop_price=Decimal(5990), **STOP)
    asked = reviewed(close, positions=(holding(2),), orders=(stop,))
    assert asked.effect.only_reduces is False
    assert changes(asked, reviewed(close, positions=(holding(2),), orders=(replace(stop, quantity=1),))) == ""


def test_a_cancel_takes_no_order_that_was_not_shown_and_no_more_of_one(
    reviewed: Reviewed, standing: Stands, holding: Holds
) -> None:
    cancel, stop = CancelOrders("Sim101", None), standing("s9", quantity=2, stop_price=Decimal(5990), **STOP)
    held = (holding(2),)
    asked = reviewed(cancel, positions=held, orders=(stop,))
    other = replace(stop, order_id="n1", instrument=MNQ, quantity=3)
    more = changes(asked, reviewed(cancel, positions=(*held, holding(3, MNQ)), orders=(stop, other)))
    assert "orders that would go and were not shown: SELL 3 MNQ 09-26 STOP MARKET 5990 WORKING (n1)" in more
    assert "(s9)" not in more
    larger = reviewed(cancel, positions=held, orders=(replace(stop, quantity=4),))
    assert "SELL 4 MES 09-26 STOP MARKET 5990 WORKING (s9)" in changes(asked, larger)
    assert changes(asked, reviewed(cancel, positions=held, orders=())) == "", "fewer go as they are"


def test_orders_that_were_shown_and_cannot_be_read_any_more_are_not_taken_by_what_goes_to_the_whole_account(
    reviewed: Reviewed, standing: Stands, holding: Holds, buy: Buys, mes: Instrument
) -> None:
    stops = [standing(f"s{n}", quantity=2, stop_price=Decimal(5990), **STOP) for n in range(11)]

    def unread(command: Command, shown: int) -> str:
        asked = reviewed(command, positions=(holding(2),), orders=tuple(stops[:shown]))
        return changes(asked, reviewed(command, positions=(holding(2),), orders=None))

    protect = ProtectPosition("Sim101", mes, None, Decimal(5980))
    swap = ReplaceOrder("Sim101", "s0", buy(2, "SELL", kind="STOP_MARKET", stop_price=Decimal(5980)))
    goes: list[tuple[Command, int]] = [(CancelOrders("Sim101", None), 10), (CancelOrder("Sim101", "s0"), 1)]
    stays: list[tuple[Command, int]] = [(CancelOrders("Sim101", None), 11), (protect, 1), (swap, 1)]
    for command, shown in stays:
        assert "SELL 2 MES 09-26 STOP MARKET 5990 WORKING (s0)" in unread(command, shown)
        assert "which go by now is not known" in unread(command, shown)
    for command, shown in goes:
        assert unread(command, shown) == "", "they go by the ids that were shown, and no other does"


def test_an_order_that_has_filled_in_part_since_is_not_replaced_at_the_size_that_was_shown(
    reviewed: Reviewed, standing: Stands, holding: Holds, buy: Buys
) -> None:
    old = standing("s9", quantity=4)
    filled = replace(old, filled=2)
    swap = ReplaceOrder("Sim101", "s9", buy(4, kind="LIMIT", limit_price=Decimal(5990)))
    told = changes(reviewed(swap, orders=(old,)), reviewed(swap, positions=(holding(2),), orders=(filled,)))
    assert "to be replaced shown=BUY 4 MES 09-26 LIMIT 6000 WORKING (s9)" in told
    assert "now=BUY 2 MES 09-26 LIMIT 6000 WORKING (s9), 2 of 4 filled" in told
    known_of = reviewed(swap, positions=(holding(2),), orders=(filled,))
    assert changes(known_of, known_of) == "", "whoever was shown what is left of it said yes to that"
    change = ChangeOrder("Sim101", "s9", limit_price=Decimal(5995))
    now = reviewed(change, positions=(holding(2),), orders=(filled,))
    assert changes(reviewed(change, orders=(old,)), now) == "", "a changed order keeps what it has filled"


def test_a_cancel_that_was_shown_as_harmless_takes_no_protection(
    reviewed: Reviewed, standing: Stands, holding: Holds
) -> None:
    stop = standing("s9", quantity=2, stop_price=Decimal(5990), **STOP)
    cancel = CancelOrder("Sim101", "s9")
    asked, now = reviewed(cancel, orders=(stop,)), reviewed(cancel, positions=(holding(2),), orders=(stop,))
    assert "shown as an exit, position unknown to unknown; now an opening or a loss of protection" in changes(
        asked, now
    )


@pytest.mark.parametrize("kind", [AccountKind.LIVE, AccountKind.UNKNOWN])
def test_an_account_that_was_shown_as_simulated_is_not_traded_live(
    reviewed: Reviewed, buy: Buys, kind: AccountKind
) -> None:
    asked, now = reviewed(buy()), reviewed(buy(), replace(SIM, kind=kind))
    assert f"account kind was=simulated, is={kind}" in changes(asked, now)
    assert "account kind" not in changes(reviewed(buy(), replace(SIM, kind=kind)), reviewed(buy())), "less is no harm"


@pytest.mark.parametrize(
    "leaves",
    [
        lambda mes: Flatten("Sim101", mes),
        lambda mes: Flatten("Sim101", None),
        lambda mes: ClosePosition("Sim101", mes),
    ],
    ids=["flatten", "flatten everything", "close"],
)
def test_a_whole_exit_goes_whatever_the_book_has_become(
    reviewed: Reviewed, standing: Stands, holding: Holds, mes: Instrument, leaves: Callable[[Instrument], Command]
) -> None:
    asked = reviewed(leaves(mes), positions=(holding(2),))
    now = reviewed(leaves(mes), replace(SIM, kind=AccountKind.LIVE), positions=(holding(-9),), orders=(standing(),))
    assert changes(asked, now) == ""


def test_what_moved_around_an_order_that_is_the_same_is_told(reviewed: Reviewed, buy: Buys, holding: Holds) -> None:
    asked, now = reviewed(buy(2)), reviewed(buy(2), positions=(holding(8),))
    assert changes(asked, now) == ""
    ticket = draw_ticket([asked], "")
    assert moved_since(ticket, 0, now) == ("the position was flat when the person was asked, and +8 when it was sent",)
    assert moved_since(ticket, 0, asked) == ()
    assert moved_since(replace(ticket, approval=Approval.NONE), 0, now) == (), "nobody was asked"
    assert moved_since(ticket, 0, reviewed(buy(2), positions=None)) == ()


# The same at the desk ----------------------------------------------------------------------------------------------


@pytest.fixture
def somebody(sim: Simulator, clock: ManualClock) -> Trades:
    """Let somebody else trade in the account, or leave a stop in it."""

    def trades(action: Action, quantity: int, root: str = "MES", stop: Decimal | None = None) -> None:
        kind = SimOrderType.MARKET if stop is None else SimOrderType.STOP_MARKET
        price = 0.0 if stop is None else float(stop)
        terms = OrderTerms(sim.market.front(root, clock()), action, quantity, kind, stop_price=price)
        sim.exchange.submit(sim.exchange.accounts["Sim101"], terms, OrderLabels("PlaceOrder"), clock())
        sim.advance(2)

    return trades


async def approved(desk: Desk, command: Command) -> Ticket:
    """Propose a command about which somebody is asked, and take their yes."""
    ticket = await desk.propose(command)
    assert isinstance(ticket, Ticket), ticket
    assert ticket.approval is not Approval.NONE
    assert await desk.decisions.approve(ticket, "terminal")
    return ticket


def held(sim: Simulator) -> list[int]:
    """What the account really holds."""
    return [position.quantity for position in sim.exchange.accounts["Sim101"].open_positions()]


async def test_a_turn_is_not_sent_at_a_size_that_nobody_was_shown(
    desk: Desk, long_two: Outcome, somebody: Trades, sim: Simulator, store: SqliteStore, mes: Instrument
) -> None:
    ticket = await approved(desk, ReversePosition("Sim101", mes))
    somebody(Action.BUY, 3)
    told = await desk.commit(ticket.ticket_id)
    assert (told.status, told.ticket_id) == (Status.DENIED, ticket.ticket_id)
    (reason,) = told.reasons
    assert reason.startswith(f"{CHANGED}orders shown=SELL 2 MES 09-26 MARKET, SELL 2 MES 09-26 MARKET, now=SELL 5 ")
    assert sim.requests_of("Reverse") == []
    assert held(sim) == [5]
    assert (await store.entries(1))[0].kind is EntryKind.DENIED


async def test_a_yes_to_one_stop_takes_no_other(
    desk: Desk, long_two: Outcome, somebody: Trades, sim: Simulator, price: Prices
) -> None:
    somebody(Action.SELL, 2, stop=price(-60))
    ticket = await approved(desk, CancelOrders("Sim101", None))
    somebody(Action.BUY, 3, "MNQ")
    somebody(Action.SELL, 3, "MNQ", stop=Decimal(1000))
    told = await desk.commit(ticket.ticket_id)
    assert told.status is Status.DENIED
    (reason,) = told.reasons
    assert reason.startswith(f"{CHANGED}orders that would go and were not shown: SELL 3 MNQ 09-26 STOP MARKET 1000 ")
    assert sim.requests_of("CancelOrders") == []
    assert len(sim.exchange.live_orders("Sim101")) == 2


@pytest.mark.parametrize("stop", [True, False], ids=["beside a stop", "alone"])
@pytest.mark.parametrize("policy", [Policy(exits_simulated=Approval.FORM)], ids=["exits by form"])
async def test_what_was_approved_as_an_exit_is_not_sent_as_an_entry(
    desk: Desk, long_two: Outcome, somebody: Trades, buy: Buys, price: Prices, sim: Simulator, *, stop: bool
) -> None:
    """While the person reads, the position is closed by somebody else, or by its own stop."""
    if stop:
        somebody(Action.SELL, 2, stop=price(-60))
    ticket = await approved(desk, buy(2, action="SELL"))
    assert "Position +2 now, flat after" in ticket.question
    somebody(Action.SELL, 2)
    sent = len(sim.requests_of("PlaceOrder"))
    told = await desk.commit(ticket.ticket_id)
    assert told.status is Status.DENIED
    assert "shown as an exit, position +2 to flat; now an opening" in " ".join(told.reasons)
    assert len(sim.requests_of("PlaceOrder")) == sent
    assert held(sim) == []


async def test_an_exit_beside_a_stop_carries_the_services_own_precondition(
    odd: Oddly, long_two: Outcome, somebody: Trades, buy: Buys, price: Prices
) -> None:
    somebody(Action.SELL, 2, stop=price(-60))
    required: list[object] = []

    async def notes(inner: Upstream, order: Any, own_id: str, require: Any = None) -> Acknowledged:
        required.append(require)
        return await inner.place_order(order, own_id, require)

    assert (await odd("place_order", notes)(buy(2, action="SELL"))).status is Status.FILLED
    assert required == [frozenset({Direction.LONG})]


SAME_CHANNEL = Policy(mode=Mode.LIVE, accounts={"Sim101": AccountPolicy(approval=Approval.PAGE)})


@pytest.mark.parametrize("policy", [SAME_CHANNEL], ids=["one channel for both kinds"])
async def test_what_was_shown_as_simulated_is_not_sent_to_a_live_account(
    desk: Desk, buy: Buys, sim: Simulator, store: SqliteStore, clock: ManualClock
) -> None:
    await store.arm("Sim101", clock() + timedelta(hours=1), "terminal", clock())
    ticket = await approved(desk, buy())
    assert ticket.question.splitlines()[1].startswith("SIMULATED ACCOUNT")
    account = sim.exchange.accounts["Sim101"]
    account.spec = replace(account.spec, provider="Rithmic", connection="Rithmic")
    told = await desk.commit(ticket.ticket_id)
    assert told.status is Status.DENIED
    assert "account kind was=simulated, is=live" in " ".join(told.reasons)
    assert sim.requests_of("PlaceOrder") == []


async def test_an_order_that_would_close_by_now_was_shown_as_an_opening_and_is_not_sent(
    desk: Desk, does: Does, buy: Buys, sim: Simulator
) -> None:
    ticket = await approved(desk, buy(1, action="SELL"))
    await does(buy(2))
    sim.advance(5)
    told = await desk.commit(ticket.ticket_id)
    assert told.status is Status.DENIED
    assert told.reasons[0].startswith(CHANGED)
    assert held(sim) == [2]


async def test_an_order_that_is_the_same_around_another_position_goes_and_says_so(
    desk: Desk, somebody: Trades, buy: Buys, sim: Simulator
) -> None:
    ticket = await approved(desk, buy(2))
    somebody(Action.BUY, 1)
    told = await desk.commit(ticket.ticket_id)
    assert (told.status, told.position_after) == (Status.FILLED, 3)
    assert told.warnings == ("the position was flat when the person was asked, and +1 when it was sent",)


# Where nobody was asked ----------------------------------------------------------------------------------------------


async def test_a_sell_that_reduced_when_it_was_proposed_does_not_open_once_the_position_is_gone(
    desk: Desk, does: Does, store: SqliteStore, long_two: Outcome, buy: Buys, mes: Instrument, sim: Simulator
) -> None:
    ticket = await desk.propose(buy(2, action="SELL"))
    assert isinstance(ticket, Ticket)
    assert ticket.approval is Approval.NONE
    await does(ClosePosition("Sim101", mes))
    sim.advance(20)
    sent = len(sim.requests_of("PlaceOrder"))
    told = await desk.commit(ticket.ticket_id)
    assert told.status is Status.DENIED
    assert told.reasons == ("APPROVAL_OUTGROWN: proposed under approval=none, due now=form; propose it again",)
    assert len(sim.requests_of("PlaceOrder")) == sent
    assert (await store.entries(1))[0].kind is EntryKind.DENIED


async def test_a_cancel_that_was_harmless_does_not_take_the_stop_of_a_new_position(
    desk: Desk, does: Does, buy: Buys, price: Prices, sim: Simulator
) -> None:
    stop = await does(buy(action="SELL", kind="STOP_MARKET", stop_price=price(-40)))
    sim.advance(20)
    ticket = await desk.propose(CancelOrder("Sim101", str(stop.order_id)))
    assert isinstance(ticket, Ticket)
    assert ticket.approval is Approval.NONE
    await does(buy(1))
    sim.advance(20)
    assert (await desk.commit(ticket.ticket_id)).status is Status.DENIED
    assert [order.id for order in sim.exchange.live_orders("Sim101")] == [stop.order_id]


@pytest.mark.parametrize("what", ["close", "flatten"])
async def test_an_exit_goes_whatever_the_book_has_become(
    desk: Desk, buy: Buys, does: Does, what: str, mes: Instrument, sim: Simulator, clock: ManualClock
) -> None:
    await does(buy(2))
    action = ClosePosition("Sim101", mes, quantity=1) if what == "close" else Flatten("Sim101", None)
    ticket = await desk.propose(action)
    assert isinstance(ticket, Ticket)
    clock.advance(20)
    await does(buy(1))
    assert (await desk.commit(ticket.ticket_id)).status in (Status.FILLED, Status.FLAT, Status.ACCEPTED)
