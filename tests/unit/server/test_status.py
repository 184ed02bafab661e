"""The status says how every link stands, what may trade and what is waiting, whatever is broken."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.crosstrade.rate_limit import Allowance
from ct_mcp.desk.desk import Desk
from ct_mcp.domain.approval import Halt
from ct_mcp.domain.market import trading_day
from ct_mcp.errors import Unavailable
from ct_mcp.guard.policy import AccountPolicy, Mode, Policy
from ct_mcp.live.cache import LinkState
from ct_mcp.server.account_queries import read_accounts_or_failure
from ct_mcp.server.app import build_server
from ct_mcp.server.context import ServerContext
from ct_mcp.server.links import Link
from ct_mcp.server.queries import Query
from ct_mcp.server.tools.status import StatusReport, status_result
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrderType
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.sqlite import SqliteStore
from tests.conftest import Connect
from tests.unit.server.conftest import Ask, text_of

ORDER = {"account": "Sim101", "instrument": "ES", "action": "BUY", "quantity": 1, "order_type": "MARKET"}


def _states(data: dict[str, Any]) -> dict[str, str]:
    return {link["link"]: link["state"] for link in data["links"]}


async def test_every_link_holds_and_the_simulated_account_may_trade(ask: Ask) -> None:
    told = await ask("get_status", details=True)
    assert not told.is_error
    assert _states(told.data) == {
        "CrossTrade": "ok",
        "token": "ok",
        "plan": "ok",
        "add-on": "ok",
        "NinjaTrader": "ok",
        "broker of Sim101": "ok",
        "broker of APEX-482910": "ok",
        "clock": "ok",
        "journal": "ok",
        "stream": "off",
    }
    assert told.data["next_step"] == ""
    assert told.data["mode"] == "sim"
    assert told.data["halted"] is False
    assert told.data["tradable_accounts"] == ["Sim101"]
    assert "ACCOUNT_NOT_SIMULATED" in told.data["accounts"][1]["why_not"]
    assert "stream off (everything is read by request" in told.text
    assert "may NOT trade (ACCOUNT_NOT_SIMULATED" in told.text
    assert "max order contracts: 5" in told.data["limits"]
    assert "max order contracts: 5" in told.text
    assert "orders in simulated accounts: form" in told.data["approvals"]


BREAKS = {
    Fault.ADDON_OFFLINE: ("add-on", "start NinjaTrader 8"),
    Fault.UNAUTHORIZED: ("token", "CROSSTRADE_TOKEN"),
    Fault.FORBIDDEN: ("plan", "plan includes the API"),
    Fault.CONNECT_REFUSED: ("CrossTrade", "try again"),
    Fault.BAD_GATEWAY: ("CrossTrade", "try again"),
    Fault.HTML_PAGE: ("CrossTrade", "try again"),
    Fault.UNREADABLE_JSON: ("CrossTrade", "try again"),
}


@pytest.mark.parametrize(("fault", "link", "step"), [(fault, *said) for fault, said in BREAKS.items()])
async def test_a_broken_link_is_named_with_the_one_next_step(
    ask: Ask, sim: Simulator, fault: Fault, link: str, step: str
) -> None:
    sim.faults.arm(fault)
    told = await ask("get_status", details=True)
    assert not told.is_error
    states = _states(told.data)
    chain = ["CrossTrade", "token", "plan", "add-on", "NinjaTrader"]
    place = chain.index(link)
    assert [states[name] for name in chain] == ["ok"] * place + ["broken"] + ["unknown"] * (4 - place)
    assert step in told.data["next_step"]
    assert f"next: {told.data['next_step']}" in told.text
    assert told.data["accounts"] is None
    assert told.data["tradable_accounts"] is None
    assert "accounts: unknown" in told.text


@pytest.mark.parametrize("fault", [Fault.RATE_LIMITED, Fault.REFUSED_WITH_200])
async def test_a_refusal_that_proves_nothing_leaves_the_links_unknown(ask: Ask, sim: Simulator, fault: Fault) -> None:
    sim.faults.arm(fault)
    told = await ask("get_status", details=True)
    assert "broken" not in _states(told.data).values()
    assert _states(told.data)["NinjaTrader"] == "unknown"
    assert told.data["next_step"]


async def test_without_a_token_it_says_so_and_asks_nobody(
    store: SqliteStore, clock: ManualClock, pause: Callable[[float], Awaitable[None]], sim: Simulator
) -> None:
    world: dict[str, Any] = {"transport": sim.transport(), "clock": clock, "sleep": pause}
    async with CrossTrade("https://simulator.invalid", None, **world) as client:
        told = await _status_of(Desk(client, store, Policy(), clock=clock, pause=pause))
    states = _states(told)
    assert [states[name] for name in ("CrossTrade", "token", "plan")] == ["unknown", "broken", "unknown"]
    assert "CROSSTRADE_TOKEN" in told["next_step"]
    assert not sim.requests


async def test_a_journal_that_cannot_be_read_is_a_broken_link(
    crosstrade: CrossTrade, tmp_path: Path, clock: ManualClock, pause: Callable[[float], Awaitable[None]]
) -> None:
    (tmp_path / "no-folder").write_text("a file stands where the folder should", encoding="utf-8")
    store = SqliteStore(tmp_path / "no-folder")
    told = await _status_of(Desk(crosstrade, store, Policy(), clock=clock, pause=pause))
    await store.close()
    assert _states(told)["journal"] == "broken"
    assert "mend the state folder" in told["next_step"]
    assert told["halted"] is None
    assert told["open_tickets"] is None
    assert told["unknown_outcomes"] is None
    assert told["tradable_accounts"] == []


async def _status_of(desk: Desk, **context: Any) -> dict[str, Any]:
    async with Client(build_server(ServerContext(lambda: desk, desk.policy, **context))) as client:
        result = await client.call_tool("get_status", {})
    assert not result.is_error
    data: dict[str, Any] = result.structured_content
    return data


@pytest.mark.parametrize("policy", [Policy(mode=Mode.READ_ONLY)], ids=["read_only"])
async def test_in_read_only_it_says_why_no_trade_tool_is_listed(ask: Ask, connect: Connect) -> None:
    told = await ask("get_status", details=True)
    assert any("trade: not listed, because the mode is read_only" in line for line in told.data["toolsets_off"])
    assert told.data["tradable_accounts"] == []
    assert "MODE_READ_ONLY" in told.text
    async with connect() as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
    assert "place_order" not in names
    assert "preview_order" in names


async def test_a_toolset_that_was_left_out_is_named(desk: Desk) -> None:
    told = await _status_of(desk, toolsets=frozenset({"read"}))
    assert "trade: not listed, because the operator left it out of the toolsets" in told["toolsets_off"]


@pytest.mark.parametrize(
    "policy",
    [Policy(mode=Mode.LIVE, accounts={"APEX-482910": AccountPolicy(limits={"max_position_contracts": 3})})],
    ids=["live"],
)
async def test_in_live_mode_an_account_must_be_armed_by_the_person(
    ask: Ask, store: SqliteStore, clock: ManualClock
) -> None:
    before = await ask("get_status", details=True)
    assert before.data["tradable_accounts"] == []
    assert "ACCOUNT_NOT_ARMED" in before.text
    assert "only the person can arm it, at a terminal of their own: ct-mcp arm APEX-482910 --for 8h" in before.text
    assert [row["armed_until"] for row in before.data["accounts"]] == [None, None]
    assert "account APEX-482910: max position contracts: 3" in before.data["limits"]
    await store.arm("APEX-482910", clock() + timedelta(hours=8), "terminal", clock())
    after = await ask("get_status", details=True)
    assert after.data["tradable_accounts"] == ["APEX-482910"]
    assert [row["armed_until"] for row in after.data["accounts"]] == [None, "2026-09-09T22:30:00Z"]
    assert "armed until 2026-09-09T22:30:00Z" in after.text


async def test_a_halt_is_shown_with_who_when_and_why(ask: Ask, store: SqliteStore, clock: ManualClock) -> None:
    await store.set_halt(Halt("person", clock(), "lunch"))
    told = await ask("get_status", details=True)
    assert told.data["halted"] is True
    assert told.data["halt"] == "by person at 2026-09-09T14:30:00Z: lunch"
    assert "HALTED by person" in told.text


async def test_a_day_lost_leaves_only_exits(ask: Ask, store: SqliteStore, clock: ManualClock) -> None:
    await store.mark_day_loss("Sim101", trading_day(clock()), Decimal(-501), clock())
    told = await ask("get_status", details=True)
    assert told.data["tradable_accounts"] == []
    assert "DAY_LOSS_REACHED" in told.data["accounts"][0]["why_not"]


async def test_an_open_ticket_is_shown_without_the_words_that_approve_it(
    ask: Ask, store: SqliteStore, clock: ManualClock
) -> None:
    proposed = await ask("place_order", **ORDER)
    ticket = await store.ticket(proposed.data["ticket_id"])
    assert ticket is not None
    told = await ask("get_status", details=True)
    (shown,) = told.data["open_tickets"]
    assert shown == {"ticket_id": ticket.ticket_id, "summary": "SIM  Sim101  BUY 1 ES 09-26 MARKET", "seconds_left": 90}
    everything = told.text + json.dumps(told.data)
    assert ticket.ticket_id in told.text
    assert ticket.phrase not in everything.replace(ticket.ticket_id.upper(), "")
    assert "Anything else sends nothing" not in everything


async def test_what_was_sent_and_never_answered_is_shown_with_its_age(
    ask: Ask, store: SqliteStore, clock: ManualClock
) -> None:
    intent = NewEntry(EntryKind.INTENT, "SIM  Sim101  BUY 1 ES 09-26 MARKET", "Sim101", "t-1", "ctmcp-t-1", "f-1", True)
    await store.append(intent, clock())
    clock.advance(300)
    told = await ask("get_status", details=True)
    (lost,) = told.data["unknown_outcomes"]
    assert (lost["ticket_id"], lost["our_order_id"]) == ("t-1", "ctmcp-t-1")
    assert "ct-mcp journal settle" in told.text
    assert "\nt-1  " in told.text
    assert lost["age_seconds"] == 300
    assert "never send again" in told.text
    assert "5 min old" in told.text


async def test_the_request_budget_goes_down_as_it_is_used(ask: Ask, clock: ManualClock) -> None:
    clock.advance(60)
    first = (await ask("get_status", details=True)).data
    second = (await ask("get_status", details=True)).data
    assert second["requests_left"] < first["requests_left"]
    assert second["requests_left_for_exits"] == second["requests_left"] + 6


@pytest.mark.parametrize("note", ["", "not shared with other processes, so a third of the rate: it is read-only"])
def test_what_is_wrong_with_the_request_budget_is_noted_and_nothing_else(note: str) -> None:
    allowed = Allowance(3, 6, 1.5, note=note)
    answer = status_result(
        StatusReport(Policy(), [], "", None, None, allowed, [], []), datetime(2026, 9, 9, 14, 30, tzinfo=UTC)
    )
    assert answer.structured_content["notes"] == ([f"request budget: {note}"] if note else [])
    assert ("note: request budget: not shared" in text_of(answer)) == bool(note)


async def test_a_service_that_does_not_answer_is_not_waited_for(desk: Desk) -> None:
    statuses, failure = await read_accounts_or_failure(Query(desk), longest_seconds=0)
    assert statuses is None
    assert isinstance(failure, Unavailable)


def test_a_status_of_which_nothing_is_known_says_unknown() -> None:
    report = StatusReport(Policy(), [Link("token", LinkState.UNKNOWN)], "", None, None, None, [], [])
    answer = status_result(report, datetime(2026, 9, 9, 14, 30, tzinfo=UTC))
    text = text_of(answer)
    for line in ("whether it is halted is unknown", "accounts: unknown", "request budget: unknown"):
        assert line in text
    assert answer.structured_content["requests_left"] is None


def by_hand(sim: Simulator, action: Action, quantity: int, kind: SimOrderType, ticks: int = 0) -> None:
    """Let somebody trade ES in Sim101, or leave a stop so many ticks from the last trade."""
    contract, now = sim.market.front("ES", sim.clock()), sim.clock()
    stop = (sim.market.top(contract, now).last + ticks) * 0.25 if ticks else 0.0
    terms = OrderTerms(contract, action, quantity, kind, stop_price=stop)
    sim.exchange.submit(sim.exchange.accounts["Sim101"], terms, OrderLabels(rpc="ByHand"), now)
    sim.advance(5)


def holds(sim: Simulator, quantity: int) -> None:
    by_hand(sim, Action.BUY, quantity, SimOrderType.MARKET)


def rests_a_stop(sim: Simulator, quantity: int) -> None:
    by_hand(sim, Action.SELL, quantity, SimOrderType.STOP_MARKET, -60)


async def test_a_position_without_a_stop_comes_before_every_word_that_reassures(ask: Ask, sim: Simulator) -> None:
    holds(sim, 2)
    for details in (False, True):
        told = await ask("get_status", details=details)
        first, *others = told.text.splitlines()
        assert first.startswith("UNPROTECTED, tell the person now: Sim101  LONG 2 ES 09-26 at ")
        assert first.endswith("has NO STOP")
        assert any(line.startswith(("links: all work", "links: CrossTrade ok")) for line in others)
        (bare,) = told.data["without_stop"]
        assert bare.startswith("Sim101  LONG 2 ES 09-26 at ")
        assert told.data["next_step"].startswith("tell the person now of what stands without a stop")
        assert "every link works" not in told.text


async def test_a_position_with_its_stop_is_said_to_be_protected_beside_the_links(ask: Ask, sim: Simulator) -> None:
    holds(sim, 2)
    rests_a_stop(sim, 2)
    told = await ask("get_status")
    assert told.text.startswith("may trade: Sim101")
    assert told.text.splitlines()[-2:] == [
        "protection: every open position has a stop for all of it",
        "links: all work",
    ]
    assert (told.data["without_stop"], told.data["next_step"]) == ([], "")


async def test_a_stop_for_a_part_leaves_the_rest_unprotected(ask: Ask, sim: Simulator) -> None:
    holds(sim, 2)
    rests_a_stop(sim, 1)
    told = await ask("get_status")
    first = told.text.splitlines()[0]
    assert first.startswith("UNPROTECTED, tell the person now: Sim101  LONG 2 ES 09-26 at ")
    assert first.endswith("has NO STOP for 1 of 2")
    assert "every open position has a stop" not in told.text


@pytest.mark.parametrize("fault", [Fault.HTML_PAGE, Fault.UNREADABLE_JSON])
async def test_orders_that_could_not_be_read_reassure_of_no_stop(ask: Ask, sim: Simulator, fault: Fault) -> None:
    holds(sim, 2)
    rests_a_stop(sim, 2)
    sim.faults.arm(fault, rpc="GetAllOrders")
    told = await ask("get_status")
    first = told.text.splitlines()[0]
    assert first.startswith("whether a stop stands is NOT KNOWN: Sim101  LONG 2 ES 09-26 at ")
    assert told.data["without_stop"] == [], "nobody knows that there is none"
    assert told.data["next_step"] == "look with get_positions and get_orders whether a stop stands"


async def test_where_nothing_is_held_no_word_is_lost_about_stops(ask: Ask) -> None:
    told = await ask("get_status")
    assert told.text.startswith("may trade: Sim101")
    assert (told.data["without_stop"], told.data["stop_unknown"]) == ([], [])
