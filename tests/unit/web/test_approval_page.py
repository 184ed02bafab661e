"""A ticket on its page: what stands there, what is a yes, and the many things that are none."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ct_mcp.desk.desk import Desk
from ct_mcp.desk.pin import set_pin
from ct_mcp.domain.approval import Approval, ApprovalRequest, Finding, FindingKind, Ticket, TicketState
from ct_mcp.domain.commands import Flatten
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.alone import ExitsAlone
from ct_mcp.store.journal import EntryKind
from ct_mcp.store.sql_store import SqlStore
from ct_mcp.store.sqlite import SqliteStore
from ct_mcp.web.sessions import SessionStore
from tests import factories
from tests.unit.store.test_alone import Faraway
from tests.unit.web.conftest import Browser, Enter, Propose, StateOf

LIVE = "APEX-482910"


def deed(ticket: Ticket, verb: str) -> str:
    """Where a button of the ticket's page leads."""
    return f"/ticket/{ticket.ticket_id}/{verb}"


async def test_the_order_stands_there_large_with_account_kind_and_risk(enter: Enter, propose: Propose) -> None:
    page = (await enter(await propose(quantity=2))).page
    assert "<strong>SIMULATED</strong>" in page
    assert 'class="account">' in page
    assert "Sim101" in page
    assert re.search(r'<h1 class="order".*BUY.*2 MES \d\d-\d\d.*MARKET.*</h1>', page)
    assert re.search(r"<dt>Risk</dt><dd>[\d,.]+<small>USD, over \d+ ticks", page)
    assert re.search(r"<dt>Position</dt><dd>flat now, \+2 after</dd>", page)
    assert "Expires in <strong data-left" in page


async def test_the_rules_that_it_passed_and_those_that_could_not_look_stand_there(
    enter: Enter, propose: Propose
) -> None:
    page = (await enter(await propose())).page
    found = re.search(r'<details class="rules"><summary>(\d+) rules passed</summary><ul>(.*?)</ul>', page)
    assert found
    assert found[2].count("<li>") == int(found[1]) > 10
    assert "the quantity is within the limit for one order" in found[2]
    assert not re.search(r"<details[^>]* open", page), "folded away: the order comes first"


async def test_a_live_account_is_unmistakable_and_asks_for_the_phrase(enter: Enter, propose: Propose) -> None:
    ticket = await propose(account=LIVE, quantity=2)
    page = (await enter(ticket)).page
    assert "<strong>LIVE</strong><span>REAL MONEY</span>" in page
    assert 'class="card ticket live"' in page
    assert "<code>BUY 2 MES</code>" in page
    assert "SIMULATED" not in page


async def test_a_yes_after_reading_approves_and_sends_nothing_by_itself(
    enter: Enter, propose: Propose, state_of: StateOf, clock: ManualClock, sim: Simulator, store: SqliteStore
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


async def test_what_came_of_it_is_told_once_it_was_sent(
    enter: Enter, propose: Propose, desk: Desk, clock: ManualClock
) -> None:
    ticket = await propose()
    browser = await enter(ticket)
    clock.advance(2)
    await browser.post(deed(ticket, "approve"))
    await desk.commit(ticket.ticket_id)
    page = await browser.look()
    assert "Handed over" in page
    assert page.index("About to be sent") < page.index("Read back: filled")


async def test_a_no_declines_it_at_once(enter: Enter, propose: Propose, state_of: StateOf) -> None:
    ticket = await propose()
    browser = await enter(ticket)
    await browser.post(deed(ticket, "decline"))
    assert await state_of(ticket) is TicketState.DECLINED
    assert "Nothing was sent" in await browser.look()


@pytest.mark.parametrize("after", [0.0, 0.1, 1.4])
async def test_a_yes_that_comes_faster_than_anybody_reads_is_harmless(
    enter: Enter, propose: Propose, state_of: StateOf, clock: ManualClock, after: float
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
    enter: Enter, propose: Propose, state_of: StateOf, clock: ManualClock
) -> None:
    ticket = await propose()
    browser = await enter()
    clock.advance(10)
    assert (await browser.post(deed(ticket, "approve"))).status_code == 409
    assert await state_of(ticket) is TicketState.OPEN


@pytest.mark.parametrize("phrase", ["", "BUY 2 ME", "SELL 2 MES", "BUY 2 MES!", "yes", "BUY 20 MES", None])
async def test_a_live_order_is_not_approved_without_its_phrase(
    enter: Enter, propose: Propose, state_of: StateOf, clock: ManualClock, phrase: str | None
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
    enter: Enter, propose: Propose, state_of: StateOf, clock: ManualClock, phrase: str
) -> None:
    ticket = await propose(account=LIVE, quantity=2)
    browser = await enter(ticket)
    clock.advance(2)
    await browser.post(deed(ticket, "approve"), phrase=phrase)
    assert await state_of(ticket) is TicketState.APPROVED


async def test_three_wrong_phrases_decline_it_as_suspicious(
    enter: Enter, propose: Propose, state_of: StateOf, clock: ManualClock, store: SqliteStore
) -> None:
    ticket = await propose(account=LIVE)
    browser = await enter(ticket)
    clock.advance(2)
    answers = [await browser.post(deed(ticket, "approve"), phrase="yes", csrf=browser.csrf) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [409, 409, 303]
    assert await state_of(ticket) is TicketState.DECLINED
    assert EntryKind.SUSPICIOUS in [entry.kind for entry in await store.entries(5, ticket_id=ticket.ticket_id)]


async def test_a_pin_is_asked_for_where_the_policy_wants_one(
    enter: Enter, propose: Propose, state_of: StateOf, clock: ManualClock, store: SqliteStore
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


@pytest.mark.slow
async def test_five_wrong_pins_lock_even_the_right_one(
    enter: Enter, propose: Propose, state_of: StateOf, clock: ManualClock, store: SqliteStore
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


async def test_without_a_pin_that_was_set_nothing_is_approved(
    enter: Enter, propose: Propose, state_of: StateOf, clock: ManualClock
) -> None:
    ticket = await propose(approval=Approval.PAGE_PIN)
    browser = await enter(ticket)
    clock.advance(2)
    answer = await browser.post(deed(ticket, "approve"), pin="4711")
    assert "ct-mcp pin" in answer.text
    assert await state_of(ticket) is TicketState.OPEN


async def test_a_wrong_phrase_costs_no_try_of_the_pin(
    enter: Enter, propose: Propose, state_of: StateOf, clock: ManualClock, store: SqliteStore
) -> None:
    ticket = await propose(account=LIVE, approval=Approval.PAGE_PIN)
    browser = await enter(ticket)
    clock.advance(2)
    await set_pin(store, "4711", clock())
    await browser.post(deed(ticket, "approve"), phrase="wrong", pin="0000", csrf=browser.csrf)
    assert EntryKind.PIN_WRONG not in [entry.kind for entry in await store.entries(10)]
    await browser.post(deed(ticket, "approve"), phrase=ticket.phrase, pin="4711", csrf=browser.csrf)
    assert await state_of(ticket) is TicketState.APPROVED


async def test_a_ticket_that_expired_is_told_as_expired_and_cannot_be_approved(
    enter: Enter, propose: Propose, state_of: StateOf, clock: ManualClock
) -> None:
    ticket = await propose()
    browser = await enter(ticket)
    csrf = browser.csrf
    clock.advance(90)
    late = await browser.post(deed(ticket, "approve"), csrf=csrf)
    assert (late.status_code, "Too late: it has expired, and nothing was sent" in late.text) == (409, True)
    assert await state_of(ticket) is TicketState.EXPIRED
    page = await browser.look()
    assert "<h1" in page
    assert "Expired" in page
    assert "Approve</button>" not in page


async def test_what_was_declined_elsewhere_cannot_be_approved_here(
    enter: Enter, propose: Propose, state_of: StateOf, desk: Desk, clock: ManualClock
) -> None:
    ticket = await propose()
    browser = await enter(ticket)
    csrf = browser.csrf
    clock.advance(2)
    await desk.decisions.decline(ticket, "terminal")
    late = await browser.post(deed(ticket, "approve"), csrf=csrf)
    assert "declined before, by terminal" in late.text
    assert await state_of(ticket) is TicketState.DECLINED


@pytest.mark.parametrize("button", ["approve", "decline"])
async def test_a_button_that_is_pressed_twice_is_no_late_answer(
    enter: Enter, propose: Propose, clock: ManualClock, button: str
) -> None:
    ticket = await propose()
    browser = await enter(ticket)
    csrf = browser.csrf
    clock.advance(2)
    for _ in range(2):
        answer = await browser.post(deed(ticket, button), csrf=csrf)
        assert "Too late" not in answer.text


async def test_a_no_to_what_was_sent_meanwhile_hears_what_became_of_it(
    enter: Enter, propose: Propose, desk: Desk, clock: ManualClock
) -> None:
    ticket = await propose()
    browser = await enter(ticket)
    csrf = browser.csrf
    clock.advance(2)
    await desk.decisions.approve(ticket, "terminal")
    await desk.commit(ticket.ticket_id)
    late = await browser.post(deed(ticket, "decline"), csrf=csrf)
    assert "approved before, by terminal, and handed over. What is known of it as of " in late.text


async def test_the_script_learns_when_the_page_is_no_longer_true(enter: Enter, propose: Propose, desk: Desk) -> None:
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


async def test_whatever_stands_in_a_name_is_text_on_the_page(
    enter: Enter, propose: Propose, store: SqliteStore, clock: ManualClock
) -> None:
    harmless = await propose()
    (command,) = harmless.commands
    assert harmless.request is not None
    (item,) = harmless.request.items
    findings = tuple(Finding(kind, HOSTILE, HOSTILE) for kind in FindingKind)
    shown = replace(item, account=HOSTILE, headline=HOSTILE, risk_basis=HOSTILE, currency=HOSTILE, findings=findings)
    ticket = replace(
        harmless,
        ticket_id="hostile",
        own_id="hostile",
        commands=(replace(command, account=HOSTILE),),
        fingerprint="hostile",
        summary=f"SIM  {HOSTILE}  BUY 1 MES 12-26 MARKET {HOSTILE}",
        request=ApprovalRequest((replace(shown, steps=(HOSTILE,), standing=(HOSTILE,)),)),
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


async def test_whatever_the_question_holds_stands_on_the_page(
    enter: Enter, propose: Propose, store: SqliteStore, clock: ManualClock
) -> None:
    asked = await propose()
    assert asked.request is not None
    (item,) = asked.request.items
    shown = replace(
        item,
        findings=tuple(Finding(kind, "CODE", f"this {kind}") for kind in FindingKind),
        steps=("One step",),
        standing=("LONG 1 MES 12-26 at 6000",),
    )
    ticket = replace(asked, ticket_id="other", own_id="other", fingerprint="other", request=ApprovalRequest((shown,)))
    await store.open_ticket(ticket, clock())
    page = (await enter(ticket)).page
    assert "<li>One step</li>" in page
    assert "<li>LONG 1 MES 12-26 at 6000</li>" in page
    assert '<p class="caution"><strong>Warning:</strong> this warning</p>' in page
    assert '<p class="unverified"><strong>Could not verify:</strong> this could not verify</p>' in page
    assert '<p class="line"><strong>Assumption:</strong> this assumption</p>' in page
    assert "To send it" not in page


async def test_several_accounts_stand_one_beneath_the_other_each_with_its_kind(enter: Enter, desk: Desk) -> None:
    flattens = [Flatten("Sim101", None), Flatten(LIVE, None)]
    asked = await desk.propose(flattens, "")
    assert isinstance(asked, Ticket)
    page = (await enter(asked)).page
    assert "<strong>LIVE</strong><span>REAL MONEY</span>" in page
    assert re.search(r'<h1 class="order" id="order-[^"]+"><span>FLATTEN everything</span></h1>', page)
    kinds = re.findall(r'<h2><span class="kind (\w+)">\w+</span> (\S+) ', page)
    assert kinds == [("simulated", "Sim101"), ("live", LIVE)]


# Several questions on one page

Both = tuple[Browser, Ticket, Ticket]


@pytest.fixture
async def both(enter: Enter, propose: Propose, sessions: SessionStore, clock: ManualClock) -> Both:
    """A page that shows two questions, long enough to be read: one of a simulated account, one of a live one."""
    first = await propose(quantity=1)
    clock.advance(1)
    second = await propose(account=LIVE, quantity=2)
    for ticket in (first, second):
        sessions.ask(ticket.ticket_id, ticket.expires_at)
    browser = await enter(first)
    clock.advance(2)
    return browser, first, second


async def test_one_page_lists_all_that_waits_the_newest_on_top_and_its_title_counts(both: Both) -> None:
    page = both[0].page
    assert re.findall(r'class="card ticket (\w+)"', page) == ["live", "simulated"]
    assert page.count("data-approve") == 2
    assert page.count(" autofocus") == 1
    assert re.search(r"<title>\(2\) Approve\? LIVE .*2 MES", page)
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("verb", ["approve", "decline"])
async def test_the_token_of_one_question_decides_no_other(both: Both, state_of: StateOf, verb: str) -> None:
    browser, first, second = both
    foreign = browser.csrf_for(deed(second, verb))
    assert (await browser.post(deed(first, verb), csrf=foreign)).status_code == 403
    assert await state_of(first) is TicketState.OPEN


async def test_an_answer_to_one_question_leaves_the_other_open(both: Both, state_of: StateOf) -> None:
    browser, first, second = both
    await browser.post(deed(first, "approve"))
    page = await browser.look()
    assert (await state_of(first), await state_of(second)) == (TicketState.APPROVED, TicketState.OPEN)
    assert page.index("To approve, type") < page.index("Approved, and not sent yet"), "what waits comes first"
    assert "<title>(1) Approve?" in page


async def test_a_fault_stands_at_the_question_that_it_is_about(both: Both, state_of: StateOf) -> None:
    browser, first, second = both
    answer = await browser.post(deed(second, "approve"), phrase="yes")
    assert answer.status_code == 409
    assert answer.text.count('class="fault"') == 1
    assert answer.text.index("That is not the text") < answer.text.index("1 MES")
    assert {await state_of(first), await state_of(second)} == {TicketState.OPEN}


async def test_a_second_use_of_the_address_closes_all_that_its_page_has_shown(
    both: Both, sessions: SessionStore, propose: Propose, state_of: StateOf, enter: Enter, clock: ManualClock
) -> None:
    _, first, second = both
    third = await propose(account=LIVE, quantity=3)
    token = sessions.issue(first.ticket_id, clock() + timedelta(minutes=1))
    browser = await enter()
    came = await browser.client.get(f"/open/{token}")
    (path,) = re.findall(r"0;url=(/s/[^/]+)/", came.text)
    await browser.client.get(f"{path}/")
    assert (await browser.client.get(f"/open/{token}")).status_code == 403
    states = [await state_of(ticket) for ticket in (first, second, third)]
    assert states == [TicketState.DECLINED, TicketState.DECLINED, TicketState.OPEN]


async def test_what_expired_long_ago_leaves_the_page_when_something_new_is_asked(
    both: Both, sessions: SessionStore, propose: Propose, clock: ManualClock
) -> None:
    browser, _, _ = both
    for _ in range(12):  # a page that stays open goes on asking
        clock.advance(60)
        await browser.client.get(f"{browser.path}/state")
    new = await propose(quantity=3)
    sessions.ask(new.ticket_id, new.expires_at)
    page = await browser.look()
    assert page.count("data-card") == 1
    assert "3 MES" in page


class TestOutOfReach:
    """The store that machines share is out of reach, and an exit waits that asks for the PIN."""

    @pytest.fixture
    def faraway(self, tmp_path: Path) -> Faraway:
        return Faraway(tmp_path / "shared.sqlite3")

    @pytest.fixture
    def store(self, tmp_path: Path, faraway: Faraway, clock: ManualClock) -> SqlStore:
        return SqlStore(ExitsAlone(faraway, tmp_path / "state", "", clock, lambda: clock().timestamp()))

    @pytest.fixture
    async def exit_asked(self, store: SqlStore, faraway: Faraway, clock: ManualClock) -> Ticket:
        faraway.is_out = True
        await store.halt()
        made, now = factories.ticket("exit-1", Flatten("Sim101", None)), clock()
        waiting = replace(made, approval=Approval.PAGE_PIN, created_at=now, expires_at=now + timedelta(seconds=90))
        return await store.open_ticket(waiting, now)

    @pytest.fixture
    async def pin(self, store: SqlStore, clock: ManualClock) -> str:
        await set_pin(store, "4711", clock(), cost=16)
        return "4711"

    async def test_the_pin_counts_as_it_did(
        self, pin: str, exit_asked: Ticket, enter: Enter, state_of: StateOf, clock: ManualClock
    ) -> None:
        browser = await enter(exit_asked)
        clock.advance(2)
        answer = await browser.post(deed(exit_asked, "approve"), pin="4712")
        assert "That is not your PIN" in answer.text
        await browser.post(deed(exit_asked, "approve"), pin=pin)
        assert await state_of(exit_asked) is TicketState.APPROVED

    async def test_where_it_was_never_seen_that_is_said(
        self, exit_asked: Ticket, enter: Enter, state_of: StateOf, clock: ManualClock
    ) -> None:
        browser = await enter(exit_asked)
        clock.advance(2)
        answer = await browser.post(deed(exit_asked, "approve"), pin="4711")
        assert "There is no PIN" not in answer.text
        assert "whether there is a PIN, and which, is not known" in answer.text
        assert await state_of(exit_asked) is TicketState.OPEN
