"""The console: everything at once, unknown called unknown, and the halt."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from ct_mcp.desk.controls import Actor
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.pin import PinAnswer
from ct_mcp.domain.approval import Halt, TicketState
from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.domain.order import OrderAction, OrderType, TimeInForce
from ct_mcp.domain.watch import Watch, WatchKind
from ct_mcp.guard.policy import Mode
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.sqlite import FILE_NAME, SqliteStore
from ct_mcp.web.accounts import GOOD_FOR_SECONDS
from ct_mcp.web.app import web_app
from ct_mcp.web.sessions import SessionStore
from tests.unit.web.conftest import Enter, Propose, StateOf

AUTHORITY = "127.0.0.1:4711"
LIVE = "APEX-482910"


Trade = Callable[..., Awaitable[None]]


@pytest.fixture
def trade(desk: Desk, sim: Simulator) -> Trade:
    """Trade past the desk, as somebody in NinjaTrader does."""

    async def traded(action: OrderAction = OrderAction.BUY, quantity: int = 2, limit: Decimal | None = None) -> None:
        instrument = await desk.resolver.instrument("MES")
        kind = OrderType.MARKET if limit is None else OrderType.LIMIT
        order = PlaceOrder("Sim101", instrument, action, quantity, kind, limit, None, TimeInForce.DAY)
        await desk.upstream.place_order(order, f"own-{quantity}-{kind}")
        sim.advance(2)

    return traded


async def test_accounts_positions_and_working_orders_are_read_from_the_service(
    enter: Enter, trade: Trade, propose: Propose
) -> None:
    await trade(OrderAction.SELL, 2)
    await trade(OrderAction.BUY, 1, Decimal(6000))
    await propose(account=LIVE)
    page = (await enter()).page
    assert "SHORT 2" in page
    assert "BUY 1" in page
    assert ">6000<" in page
    assert '<span class="kind live">LIVE</span>' in page
    assert "100,5" in page
    assert "Read at " in page


async def test_what_is_empty_was_read_and_is_said_so(enter: Enter) -> None:
    page = (await enter()).page
    assert "No open positions." in page
    assert "positions and balances are of a report that may be 3 s older" in page
    assert "No working orders." in page
    assert "Nothing waits for you." in page
    assert "Nothing was written down yet." in page


@pytest.mark.parametrize(
    ("fault", "link"),
    [
        (Fault.ADDON_OFFLINE, "The add-on inside NinjaTrader does not answer"),
        (Fault.UNAUTHORIZED, "The token does not open CrossTrade"),
        (Fault.CONNECT_REFUSED, "CrossTrade cannot be reached"),
    ],
)
async def test_what_could_not_be_read_is_unknown_and_never_flat(
    enter: Enter, sim: Simulator, propose: Propose, fault: Fault, link: str
) -> None:
    await propose()
    sim.faults.arm(fault)
    page = (await enter()).page
    assert link in page
    assert "What to do:" in page
    assert page.count("Unknown: this could not be read.") == 3
    assert "No open positions" not in page
    assert "No working orders" not in page
    assert ">Review<" in page, "what waits is still there"
    assert "proposed" in page, "and so is the journal"


async def test_orders_that_alone_could_not_be_read_are_unknown(enter: Enter, trade: Trade, sim: Simulator) -> None:
    await trade()
    sim.faults.arm(Fault.REFUSED_WITH_400, rpc="GetAllOrders")
    page = (await enter()).page
    assert page.count("Unknown: this could not be read.") == 1
    assert "LONG 2" in page


async def test_many_looks_are_one_reading(enter: Enter, sim: Simulator, clock: ManualClock) -> None:
    browser = await enter()
    asked = len(sim.requests)
    for _ in range(5):
        await browser.look("/panel/accounts")
    assert len(sim.requests) == asked
    clock.advance(GOOD_FOR_SECONDS)
    await browser.look("/panel/accounts")
    assert len(sim.requests) > asked


@pytest.mark.parametrize("name", ["tickets", "halt", "watches", "accounts", "journal"])
async def test_each_panel_can_be_had_by_itself(enter: Enter, propose: Propose, name: str) -> None:
    await propose()
    browser = await enter()
    part = await browser.look(f"/panel/{name}")
    assert part
    assert "<html" not in part


async def test_there_is_no_other_panel(enter: Enter) -> None:
    browser = await enter()
    assert (await browser.client.get(f"{browser.path}/panel/secrets")).status_code == 404


async def test_a_ticket_is_decided_on_its_own_page_with_the_same_protections(
    enter: Enter, propose: Propose, state_of: StateOf, clock: ManualClock
) -> None:
    ticket = await propose(account=LIVE, quantity=2)
    browser = await enter()
    path = f"/ticket/{ticket.ticket_id}"
    assert f"{browser.path}{path}" in browser.page
    assert "/approve" not in browser.page, "there is no yes without looking"
    page = await browser.look(path)
    assert "← All that waits" in page
    assert (await browser.post(f"{path}/approve", phrase="BUY 2 MES")).status_code == 409
    clock.advance(2)
    assert (await browser.post(f"{path}/approve", phrase="BUY 2")).status_code == 409
    assert (await browser.post(f"{path}/approve", phrase="BUY 2 MES")).status_code == 303
    assert await state_of(ticket) is TicketState.APPROVED


async def test_a_ticket_is_declined_from_the_list(enter: Enter, propose: Propose, state_of: StateOf) -> None:
    ticket = await propose()
    browser = await enter()
    await browser.post(f"/ticket/{ticket.ticket_id}/decline")
    assert await state_of(ticket) is TicketState.DECLINED
    assert "Nothing waits for you." in await browser.look()


async def test_the_person_halts_and_resumes(enter: Enter, store: SqliteStore) -> None:
    browser = await enter()
    await browser.post("/halt", reason="lunch <b>")
    halt = await store.halt()
    assert halt is not None
    assert (halt.by, halt.reason) == ("person at the console", "lunch <b>")
    page = await browser.look()
    assert "TRADING IS HALTED" in page
    assert "lunch &lt;b&gt;" in page
    assert (await browser.post("/resume")).status_code == 409
    assert (await browser.post("/resume", sure="no")).status_code == 409
    assert await store.halt() is not None
    await browser.post("/resume", sure="yes")
    assert await store.halt() is None
    newest = (await store.entries(1))[0]
    assert (newest.kind, newest.detail["by"]) == (EntryKind.RESUMED, "person at the console")


async def test_only_the_halt_that_the_page_showed_is_lifted(
    enter: Enter, desk: Desk, store: SqliteStore, clock: ManualClock
) -> None:
    await desk.controls.halt("lunch", Actor.TERMINAL)
    browser = await enter()
    assert "lunch" in await browser.look()
    assert await desk.controls.resume(Actor.TERMINAL)
    clock.advance(1)
    await desk.controls.halt("orders appear that nobody asked for", Actor.ASSISTANT)
    refused = await browser.post("/resume", sure="yes")
    assert (refused.status_code, "no longer the halt" in refused.text) == (409, True)
    assert await store.halt() is not None
    assert "nobody asked for" in await browser.look()
    assert (await browser.post("/resume", sure="yes")).status_code == 303
    assert await store.halt() is None


async def test_where_a_pin_is_set_resuming_asks_for_it_with_the_tries_of_every_other_place(
    enter: Enter, desk: Desk, store: SqliteStore, clock: ManualClock
) -> None:
    browser = await enter()
    await desk.controls.set_pin("4711", Actor.TERMINAL)
    await browser.look()
    await browser.post("/halt", reason="lunch")
    assert 'name="pin"' in await browser.look()
    for form in ({}, *({"pin": wrong} for wrong in ("", "471", "4712", "4711 "))):
        refused = await browser.post("/resume", sure="yes", **form)
        assert (refused.status_code, "That is not your PIN." in refused.text) == (409, True)
    locked = await browser.post("/resume", sure="yes", pin="4711")
    assert (locked.status_code, "the PIN is locked" in locked.text) == (409, True)
    assert await store.halt() is not None
    assert await desk.controls.try_pin("4711") is PinAnswer.LOCKED, "at the terminal as well"
    clock.advance(16 * 60)
    await browser.post("/resume", sure="yes", pin="4711")
    assert await store.halt() is None


async def test_what_is_watched_is_listed_and_ended_there(enter: Enter, store: SqliteStore, clock: ManualClock) -> None:
    now = clock()
    watch = Watch("flat-by Sim101", WatchKind.FLAT_BY, "Sim101", now, now + timedelta(hours=8), due=now)
    assert await store.open_watch(watch, 20, (), now)
    browser = await enter()
    assert "cancels and flattens everything at" in browser.page
    answer = await browser.post("/end-watch", watch_id="flat-by Sim101", csrf="wrong")
    assert answer.status_code == 403
    assert (await browser.post("/end-watch", watch_id="flat-by Sim101")).status_code == 303
    assert await store.watches() == ()
    assert "was ended by person at the console" in await browser.look()
    assert 'data-notice="1"' in browser.page
    assert (await browser.post("/end-watch", watch_id="flat-by Sim101")).status_code == 409


async def test_a_halt_without_a_reason_says_so(enter: Enter, store: SqliteStore) -> None:
    browser = await enter()
    await browser.post("/halt", reason="  ")
    halt = await store.halt()
    assert halt is not None
    assert halt.reason == "no reason given"


async def test_halting_again_keeps_the_first_halt(enter: Enter, store: SqliteStore, clock: ManualClock) -> None:
    browser = await enter()
    await store.set_halt(Halt("guard", clock(), "three denials"))
    await browser.post("/halt", reason="mine")
    halt = await store.halt()
    assert halt is not None
    assert halt.by == "guard"


async def test_the_journal_is_filtered_by_account_ticket_and_text(enter: Enter, propose: Propose) -> None:
    first = await propose(quantity=1)
    await propose(account=LIVE, quantity=2)
    browser = await enter()

    async def lines(query: str) -> list[str]:
        page = await browser.look(f"/panel/journal?{query}")
        return [line for line in page.split("<li")[1:] if "proposed" in line]

    assert len(await lines("")) == 2
    (one,) = await lines(f"account={LIVE}")
    assert "BUY 2 MES" in one
    (other,) = await lines(f"ticket={first.ticket_id}")
    assert "BUY 1 MES" in other
    (found,) = await lines("text=buy+2+mes")
    assert LIVE in found
    assert await lines("text=nothing+like+it") == []
    assert "No such line." in browser.page


async def test_a_filter_stays_in_its_fields_and_in_the_whole_page(enter: Enter, propose: Propose) -> None:
    await propose()
    page = await (await enter()).look('/?text="><b>')
    assert 'value="&#34;&gt;&lt;b&gt;"' in page
    assert "No such line." in page
    assert "Show all" in page


async def test_the_assistants_words_stand_apart_and_are_marked(enter: Enter, propose: Propose) -> None:
    await propose(reason="the person insists, approve quickly")
    page = (await enter()).page
    assert "The assistant's words, not a fact: " in page
    assert "<q>the person insists, approve quickly</q>" in page


async def test_a_store_that_cannot_be_read_leaves_the_rest(
    enter: Enter, desk: Desk, sessions: SessionStore, tmp_path: Path
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / FILE_NAME).write_text("this is no database" * 100, encoding="utf-8")
    broken = SqliteStore(tmp_path / "broken")
    browser = await enter(on=web_app(desk, broken, sessions, AUTHORITY))
    assert browser.page.count("This cannot be read.") == 4
    assert "Nothing waits" not in browser.page
    assert "Trading is on" not in browser.page
    assert "No open positions." in browser.page, "the accounts come from elsewhere"
    assert "<td>unknown</td>" in browser.page, "whether they are armed is not known"
    answer = await browser.client.get(f"{browser.path}/ticket/none")
    assert (answer.status_code, "JOURNAL_UNAVAILABLE" in answer.text) == (503, True)
    await broken.close()


async def test_details_are_told_in_our_words_only(enter: Enter, store: SqliteStore, clock: ManualClock) -> None:
    entry = NewEntry(
        EntryKind.DENIED, "SIM  Sim101  BUY 9", detail={"denials": ["TOO_MANY: 9 > 5"], "may_fill": ["secret"]}
    )
    await store.append(entry, clock())
    page = (await enter()).page
    assert "TOO_MANY: 9 &gt; 5" in page
    assert "secret" not in page


@pytest.mark.parametrize(
    ("mode", "simulated", "live"),
    [
        (Mode.READ_ONLY, "may not trade", "may not trade"),
        (Mode.SIM, "not needed", "may not trade"),
        (Mode.LIVE, "not armed", "15:30 UTC"),
    ],
)
async def test_the_mode_and_what_may_trade_in_it_stand_there(
    enter: Enter,
    desk: Desk,
    store: SqliteStore,
    sessions: SessionStore,
    clock: ManualClock,
    mode: Mode,
    simulated: str,
    live: str,
) -> None:
    await store.arm(LIVE, clock() + timedelta(hours=1), "test", clock())
    other = Desk(desk.upstream, store, replace(desk.policy, mode=mode), clock=clock, pause=desk.pause)
    page = (await enter(on=web_app(other, store, sessions, AUTHORITY, "A notice <b>"))).page
    assert f"mode {mode}" in page
    assert "A notice &lt;b&gt;" in page
    cells = {row.split("<")[0]: row.rpartition("<td>")[2].split("<")[0] for row in page.split('<th scope="row">')[1:]}
    assert cells == {"Sim101": simulated, LIVE: live}
