"""A ticket on its page: what stands there, what is a yes, and the many things that are none."""

import re
from dataclasses import replace

import pytest

from ct_mcp.desk.desk import Desk
from ct_mcp.desk.pin import set_pin
from ct_mcp.domain.ticket import Approval, Ticket, TicketState
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.world import Simulator
from ct_mcp.store.journal import EntryKind
from ct_mcp.store.sqlite import SqliteStore

LIVE = "APEX-482910"


def deed(ticket: Ticket, verb: str) -> str:
    """Where a button of the ticket's page leads."""
    return f"/ticket/{ticket.ticket_id}/{verb}"


async def test_the_order_stands_there_large_with_account_kind_and_risk(enter, propose) -> None:
    page = (await enter(await propose(quantity=2))).page
    assert "<strong>SIMULATED</strong>" in page
    assert 'class="account">' in page
    assert "Sim101" in page
    assert re.search(r'<h1 class="order".*BUY.*2 MES \d\d-\d\d.*MARKET.*</h1>', page)
    assert re.search(r"<dt>Risk</dt><dd>[\d,.]+<small>UsDollar over \d+ ticks", page)
    assert re.search(r"<dt>Position</dt><dd>flat → \+2</dd>", page)
    assert "Lapses in <strong data-left" in page


async def test_the_rules_that_it_passed_and_those_that_could_not_look_stand_there(enter, propose) -> None:
    page = (await enter(await propose())).page
    found = re.search(r'<details class="rules"><summary>(\d+) rules passed</summary><ul>(.*?)</ul>', page)
    assert found
    assert found[2].count("<li>") == int(found[1]) > 10
    assert "quantity is within limit" in found[2]
    assert not re.search(r"<details[^>]* open", page), "folded away: the order comes first"


async def test_a_live_account_is_unmistakable_and_asks_for_the_phrase(enter, propose) -> None:
    ticket = await propose(account=LIVE, quantity=2)
    page = (await enter(ticket)).page
    assert "<strong>LIVE</strong><span>REAL MONEY</span>" in page
    assert 'class="alone live"' in page
    assert "<code>BUY 2 MES</code>" in page
    assert "SIMULATED" not in page


async def test_a_yes_after_reading_approves_and_sends_nothing_by_itself(
    enter, propose, state_of, clock: ManualClock, sim: Simulator, store: SqliteStore
) -> None:
    ticket = await propose()
    browser = await enter(ticket)
    clock.advance(1.5)
    answer = await browser.post(deed(ticket, "approve"))
    assert (answer.status_code, await state_of(ticket)) == (303, TicketState.APPROVED)
    assert "Approved, and not sent yet" in await browser.look()
    assert not sim.exchange.orders
    (entry,) = [entry for entry in await store.entries(5) if entry.kind is EntryKind.APPROVED]
    assert entry.detail["by"] == "page"


async def test_what_came_of_it_is_told_once_it_was_sent(enter, propose, desk: Desk, clock: ManualClock) -> None:
    ticket = await propose()
    browser = await enter(ticket)
    clock.advance(2)
    await browser.post(deed(ticket, "approve"))
    await desk.commit(ticket.ticket_id)
    page = await browser.look()
    assert "Handed over" in page
    assert page.index("About to be sent") < page.index("Read back: filled")


async def test_a_no_declines_it_at_once(enter, propose, state_of) -> None:
    ticket = await propose()
    browser = await enter(ticket)
    await browser.post(deed(ticket, "decline"))
    assert await state_of(ticket) is TicketState.DECLINED
    assert "Nothing was sent" in await browser.look()


@pytest.mark.parametrize("after", [0.0, 0.1, 1.4])
async def test_a_yes_that_comes_faster_than_anybody_reads_is_harmless(
    enter, propose, state_of, clock: ManualClock, after: float
) -> None:
    ticket = await propose()
    browser = await enter(ticket)
    clock.advance(after)
    answer = await browser.post(deed(ticket, "approve"))
    assert answer.status_code == 409
    assert "quicker than anybody reads" in answer.text
    assert await state_of(ticket) is TicketState.OPEN
    clock.advance(1.5)
    assert (await browser.post(deed(ticket, "approve"))).status_code == 303
    assert await state_of(ticket) is TicketState.APPROVED


async def test_an_order_that_the_browser_never_showed_cannot_be_approved(
    enter, propose, state_of, clock: ManualClock
) -> None:
    ticket = await propose()
    browser = await enter()
    clock.advance(10)
    assert (await browser.post(deed(ticket, "approve"))).status_code == 409
    assert await state_of(ticket) is TicketState.OPEN


@pytest.mark.parametrize("phrase", ["", "BUY 2 ME", "SELL 2 MES", "BUY 2 MES!", "yes", "BUY 20 MES", None])
async def test_a_live_order_is_not_approved_without_its_phrase(
    enter, propose, state_of, clock: ManualClock, phrase: str | None
) -> None:
    ticket = await propose(account=LIVE, quantity=2)
    browser = await enter(ticket)
    clock.advance(2)
    answer = await browser.post(deed(ticket, "approve"), **({} if phrase is None else {"phrase": phrase}))
    assert answer.status_code == 409
    assert "That is not the text" in answer.text
    assert await state_of(ticket) is TicketState.OPEN


@pytest.mark.parametrize("phrase", ["BUY 2 MES", " buy  2 mes "])
async def test_a_live_order_is_approved_with_its_phrase(
    enter, propose, state_of, clock: ManualClock, phrase: str
) -> None:
    ticket = await propose(account=LIVE, quantity=2)
    browser = await enter(ticket)
    clock.advance(2)
    await browser.post(deed(ticket, "approve"), phrase=phrase)
    assert await state_of(ticket) is TicketState.APPROVED


async def test_three_wrong_phrases_decline_it_as_suspicious(
    enter, propose, state_of, clock: ManualClock, store: SqliteStore
) -> None:
    ticket = await propose(account=LIVE)
    browser = await enter(ticket)
    clock.advance(2)
    answers = [await browser.post(deed(ticket, "approve"), phrase="yes", csrf=browser.csrf) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [409, 409, 303]
    assert await state_of(ticket) is TicketState.DECLINED
    assert EntryKind.SUSPICIOUS in [entry.kind for entry in await store.entries(5, ticket_id=ticket.ticket_id)]


async def test_a_pin_is_asked_for_where_the_policy_wants_one(
    enter, propose, state_of, clock: ManualClock, store: SqliteStore
) -> None:
    ticket = await propose(approval=Approval.PAGE_PIN)
    browser = await enter(ticket)
    clock.advance(2)
    assert 'type="password"' in browser.page
    await set_pin(store, "4711", clock())
    for wrong in ({}, {"pin": ""}, {"pin": "4712"}):
        answer = await browser.post(deed(ticket, "approve"), **wrong)
        assert "That is not your PIN" in answer.text
        assert await state_of(ticket) is TicketState.OPEN
    await browser.post(deed(ticket, "approve"), pin="4711")
    assert await state_of(ticket) is TicketState.APPROVED


async def test_five_wrong_pins_lock_even_the_right_one(
    enter, propose, state_of, clock: ManualClock, store: SqliteStore
) -> None:
    ticket = await propose(approval=Approval.PAGE_PIN)
    browser = await enter(ticket)
    clock.advance(2)
    await set_pin(store, "4711", clock())
    csrf = browser.csrf
    for _ in range(5):
        await browser.post(deed(ticket, "approve"), pin="0000", csrf=csrf)
    answer = await browser.post(deed(ticket, "approve"), pin="4711", csrf=csrf)
    assert "locked" in answer.text
    assert await state_of(ticket) is TicketState.OPEN


async def test_without_a_pin_that_was_set_nothing_is_approved(enter, propose, state_of, clock: ManualClock) -> None:
    ticket = await propose(approval=Approval.PAGE_PIN)
    browser = await enter(ticket)
    clock.advance(2)
    answer = await browser.post(deed(ticket, "approve"), pin="4711")
    assert "ct-mcp pin" in answer.text
    assert await state_of(ticket) is TicketState.OPEN


async def test_a_wrong_phrase_costs_no_try_of_the_pin(
    enter, propose, state_of, clock: ManualClock, store: SqliteStore
) -> None:
    ticket = await propose(account=LIVE, approval=Approval.PAGE_PIN)
    browser = await enter(ticket)
    clock.advance(2)
    await set_pin(store, "4711", clock())
    await browser.post(deed(ticket, "approve"), phrase="wrong", pin="0000", csrf=browser.csrf)
    assert EntryKind.PIN_WRONG not in [entry.kind for entry in await store.entries(10)]
    await browser.post(deed(ticket, "approve"), phrase=ticket.phrase, pin="4711", csrf=browser.csrf)
    assert await state_of(ticket) is TicketState.APPROVED


async def test_a_ticket_that_lapsed_is_told_as_lapsed_and_cannot_be_approved(
    enter, propose, state_of, clock: ManualClock
) -> None:
    ticket = await propose()
    browser = await enter(ticket)
    csrf = browser.csrf
    clock.advance(90)
    await browser.post(deed(ticket, "approve"), csrf=csrf)
    assert await state_of(ticket) is TicketState.LAPSED
    page = await browser.look()
    assert "<h1" in page
    assert "Lapsed" in page
    assert "Approve</button>" not in page


async def test_what_was_declined_elsewhere_cannot_be_approved_here(
    enter, propose, state_of, desk: Desk, clock: ManualClock
) -> None:
    ticket = await propose()
    browser = await enter(ticket)
    csrf = browser.csrf
    clock.advance(2)
    await desk.decisions.decline(ticket, "terminal")
    await browser.post(deed(ticket, "approve"), csrf=csrf)
    assert await state_of(ticket) is TicketState.DECLINED


async def test_the_script_learns_when_the_page_is_no_longer_true(enter, propose, desk: Desk) -> None:
    ticket = await propose()
    browser = await enter(ticket)
    (seen,) = re.findall(r'data-state="([^"]+)"', browser.page)
    url = f"{browser.path}{deed(ticket, 'state')}"
    assert (await browser.client.get(url)).json() == {"state": seen}
    await desk.decisions.approve(ticket, "terminal")
    approved = (await browser.client.get(url)).json()["state"]
    (stands,) = re.findall(r'data-state="([^"]+)"', await browser.look())
    assert approved == stands != seen
    await desk.commit(ticket.ticket_id)
    assert (await browser.client.get(url)).json()["state"] != stands


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;"


async def test_whatever_stands_in_a_name_is_text_on_the_page(enter, propose, store: SqliteStore, clock) -> None:
    harmless = await propose()
    action = replace(harmless.action, account=HOSTILE)
    ticket = replace(
        harmless,
        ticket_id="hostile",
        own_id="hostile",
        action=action,
        fingerprint="hostile",
        summary=f"SIM  {HOSTILE}  BUY 1 MES 12-26 MARKET {HOSTILE}",
        question=f"SIMULATED\n\n{HOSTILE}\nCAUTION: {HOSTILE}\nContract month {HOSTILE}\nMarket at 1 {HOSTILE}",
        reason=HOSTILE,
    )
    await store.open_ticket(ticket, clock())
    browser = await enter(ticket)
    told = await enter()
    await browser.client.get(f"{browser.path}/")
    for page in (browser.page, told.page):
        assert "<script>" not in page
        assert "<img" not in page
        assert "&lt;script&gt;" in page
    await browser.post(deed(ticket, "decline"))
    assert "<img" not in await browser.look()


async def test_a_ticket_of_no_known_sort_is_shown_line_by_line(enter, propose, store: SqliteStore, clock) -> None:
    ticket = replace(
        await propose(),
        ticket_id="other",
        own_id="other",
        fingerprint="other",
        summary="SIM  Sim101  TURN something over",
        question="SIMULATED\n\nSim101  TURN something over\nOne line\nCAUTION: another\n\nTo send it, type:  X",
    )
    await store.open_ticket(ticket, clock())
    page = (await enter(ticket)).page
    assert '<p class="line">One line</p>' in page
    assert '<p class="caution">CAUTION: another</p>' in page
    assert "something over" in page
    assert "To send it" not in page
