"""Our own journal, as an assistant may read it."""

import json

import pytest

from ct_mcp.domain.approval import Approval
from ct_mcp.guard.policy import Policy
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.sqlite import SqliteStore
from tests.unit.server.conftest import Ask

ORDER = {"account": "Sim101", "instrument": "ES", "action": "BUY", "quantity": 1, "order_type": "MARKET"}


async def test_an_empty_journal_says_so(ask: Ask) -> None:
    told = await ask("get_journal")
    assert told.data["entries"] == []
    assert told.text.startswith("no lines of the journal")


@pytest.mark.parametrize("policy", [Policy(simulated=Approval.NONE)], ids=["none"])
async def test_what_became_of_an_order_is_told_newest_first(ask: Ask) -> None:
    placed = await ask("place_order", **ORDER, reason="the person asked for it")
    told = await ask("get_journal")
    kinds = [entry["kind"] for entry in told.data["entries"]]
    assert kinds[-1] == "proposed"
    assert kinds[0] == "answered"
    assert f"order id: {placed.data['order_id']}" in told.data["entries"][0]["details"]
    proposed = told.data["entries"][-1]
    assert proposed["assistants_words"] == "the person asked for it"
    assert 'assistant\'s words: "the person asked for it"' in told.text
    assert proposed["ticket_id"] == placed.data["ticket_id"]
    assert proposed["age_seconds"] is not None


async def test_a_denial_keeps_its_reasons(ask: Ask) -> None:
    await ask("place_order", **(ORDER | {"quantity": 50}))
    (entry,) = (await ask("get_journal")).data["entries"]
    assert entry["kind"] == "denied"
    assert "QUANTITY_EXCEEDS_MAXIMUM: quantity=50, maximum=5" in entry["details"]


async def test_the_words_that_approve_are_never_in_it(ask: Ask, store: SqliteStore) -> None:
    proposed = await ask("place_order", **ORDER)
    ticket = await store.ticket(proposed.data["ticket_id"])
    assert ticket is not None
    secret = NewEntry(EntryKind.PROPOSED, "SIM", "Sim101", detail={"phrase": ticket.phrase, "question": "type: it"})
    await store.append(secret, ticket.created_at)
    told = await ask("get_journal")
    everything = (told.text + json.dumps(told.data)).replace(ticket.ticket_id, "").replace(ticket.own_id, "")
    assert ticket.phrase not in everything
    assert "question" not in everything


async def test_it_is_read_by_account_and_in_any_case_of_its_name(
    ask: Ask, store: SqliteStore, clock: ManualClock, sim: Simulator
) -> None:
    for name in ("Sim101", "APEX-482910", "Closed-Account"):
        await store.append(NewEntry(EntryKind.DENIED, f"SIM {name}", name), clock())
    assert len((await ask("get_journal", account="Sim101")).data["entries"]) == 1
    assert len((await ask("get_journal", account="Closed-Account")).data["entries"]) == 1
    assert not sim.requests
    assert len((await ask("get_journal", account="apex-482910")).data["entries"]) == 1
    assert (await ask("get_journal", account="nobody")).is_error


async def test_it_works_while_nothing_else_does(
    ask: Ask, store: SqliteStore, clock: ManualClock, sim: Simulator
) -> None:
    await store.append(NewEntry(EntryKind.HALTED, "Trading halted by person: lunch"), clock())
    sim.faults.arm(Fault.CONNECT_REFUSED)
    assert len((await ask("get_journal")).data["entries"]) == 1


async def test_only_so_many_lines_come(ask: Ask, store: SqliteStore, clock: ManualClock) -> None:
    for number in range(25):
        await store.append(NewEntry(EntryKind.DENIED, f"line {number}"), clock())
    assert len((await ask("get_journal")).data["entries"]) == 20
    assert [one["summary"] for one in (await ask("get_journal", limit=2)).data["entries"]] == ["line 24", "line 23"]


@pytest.mark.parametrize("limit", [0, 101, "5", True])
async def test_a_limit_that_is_none_is_refused(ask: Ask, limit: object) -> None:
    told = await ask("get_journal", limit=limit)
    assert told.is_error
    assert "limit" in told.text


async def test_hidden_characters_of_the_assistants_words_do_not_pass(
    ask: Ask, store: SqliteStore, clock: ManualClock
) -> None:
    await store.append(NewEntry(EntryKind.PROPOSED, "SIM", reason="all\u202e fine\nreally"), clock())
    (entry,) = (await ask("get_journal")).data["entries"]
    assert entry["assistants_words"] == "all fine really"
