"""The pages of a team: what is seen, what decides and on what, and who may not."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from starlette.types import ASGIApp

from ct_mcp.cli.plane_access import checked
from ct_mcp.desk.pin import set_pin
from ct_mcp.domain.approval import Halt
from ct_mcp.domain.team import EVERYBODY, Member, SecondState, TeamHalt, TeamRole
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.store.journal import Entry, EntryKind, Verification
from ct_mcp.store.sqlite import SqliteStore
from ct_mcp.web.approval_page import MOST_WRONG_TEXTS, READ_SECONDS
from ct_mcp.web.sessions import SessionStore
from ct_mcp.web.team_app import team_app
from ct_mcp.web.team_state import TeamReader, TeamState
from tests.team import NOW, RISK, FakeTeam, account, asked, report, seen
from tests.unit.web.conftest import AUTHORITY, Browser, client_of

PIN = "pin-4711"
POLICY = "[limits]\nmax_order_contracts = 2\n"
ALIVE = "<img src=x onerror=alert(1)>"
EVERY_PAGE = ("/", "/trader?trader=alice", "/policies", "/acts", "/ticket/t-4711")

Come = Callable[[], Awaitable[Browser]]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
async def pins(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """The store of the risk manager's machine."""
    store = SqliteStore(tmp_path / "state")
    yield store
    await store.close()


@pytest.fixture
def team() -> FakeTeam:
    return FakeTeam(heard=[seen("alice")])


@pytest.fixture
def pages(team: FakeTeam, pins: SqliteStore, sessions: SessionStore, clock: ManualClock) -> Callable[[], ASGIApp]:
    """Make the pages over the team as it is, for whoever it is by then."""
    return lambda: team_app(TeamState(team, pins, sessions, clock, checked, team.me), AUTHORITY)


@pytest.fixture
async def come(pages: Callable[[], ASGIApp], sessions: SessionStore, clock: ManualClock) -> AsyncIterator[Come]:
    """Come with a fresh address, to the page of the team."""
    async with AsyncExitStack() as stack:

        async def came() -> Browser:
            client = await stack.enter_async_context(client_of(pages()))
            token = sessions.issue(None, clock() + timedelta(minutes=1))
            answer = await client.get(f"/open/{token}")
            (path,) = re.findall(r"0;url=(/s/[^/]+)/", answer.text)
            browser = Browser(client, path)
            await browser.look()
            return browser

        yield came


def words(page: str) -> str:
    """The text of a page, in one line."""
    return " ".join(re.sub(r"<[^>]*>", " ", page).replace("&#39;", "'").replace("&#34;", '"').split())


def lets_read(clock: ManualClock, team: FakeTeam) -> None:
    """Let as much time pass as anybody needs to read a question."""
    clock.advance(READ_SECONDS)
    team.at = clock()


# Seeing


async def test_the_table_shows_how_each_trader_stands(team: FakeTeam, come: Come) -> None:
    team.people.append(Member("bob", TeamRole.TRADER))
    team.heard = [seen("alice", report(account(held=[("MES 12-26", 2)]), halted="by the person: lunch"))]
    page = words((await come()).page)
    assert "+2 MES 12-26" in page
    assert "its machine says: halted by the person: lunch" in page
    assert "never heard" in page
    assert "desk, ct-mcp 1.0.0" in page


async def test_a_team_without_traders_says_how_one_is_added(team: FakeTeam, come: Come) -> None:
    team.people, team.heard = [Member(RISK, TeamRole.RISK_MANAGER)], []
    page = words((await come()).page)
    assert "The team has no trader yet" in page
    assert "Nothing waits for you" in page


async def test_a_silent_trader_is_marked_and_what_was_heard_is_told_as_old(team: FakeTeam, come: Come) -> None:
    team.heard = [seen("alice", report(account(read_at=NOW - timedelta(minutes=3))), ago=180)]
    page = words((await come()).page)
    assert "SILENT 3 min ago" in page
    assert "flat when read 3 min ago" in page


async def test_a_group_can_be_looked_at_alone(team: FakeTeam, come: Come) -> None:
    team.people.append(Member("bob", TeamRole.TRADER))
    team.heard = [seen("alice"), seen("bob", ago=100)]
    browser = await come()
    assert "alice</a>" not in await browser.look("/?show=silent")
    assert "bob</a>" in browser.page
    assert "alice</a>" in await browser.look("/?show=nonsense")


async def test_out_of_reach_the_last_table_stays_with_its_time_and_is_told_as_old(
    team: FakeTeam, come: Come, clock: ManualClock
) -> None:
    browser = await come()
    team.is_out_of_reach = True
    clock.advance(20)
    page = await browser.look()
    assert 'class="stale"' in page
    assert "The plane cannot be read." in words(page)
    assert "What stands below is old." in words(page)
    assert "Read at 15:30:00 UTC, 20 s ago" in words(page)
    assert "23 s ago" in words(page)  # alice was heard three seconds before
    team.is_out_of_reach = False
    clock.advance(2)
    assert 'class="stale"' not in await browser.look()


async def test_where_nothing_was_ever_read_nothing_is_said_of_anybody(team: FakeTeam, come: Come) -> None:
    team.is_out_of_reach = True
    page = words((await come()).page)
    assert "Nothing was read yet. It does not mean that nobody trades." in page
    assert "flat" not in page


async def test_all_panels_together_read_the_table_once_a_second_at_most(
    team: FakeTeam, come: Come, clock: ManualClock
) -> None:
    browser = await come()
    team.asked_for.clear()
    for _ in range(5):
        await browser.look("/panel/team")
    assert team.asked_for.count("traders") == 0
    clock.advance(1)
    for _ in range(5):
        await browser.look("/panel/team")
    assert team.asked_for.count("traders") == 1
    assert "policies" not in team.asked_for
    clock.advance(10)
    await browser.look("/panel/team")
    assert "policies" in team.asked_for


async def test_a_clock_that_is_set_back_does_not_keep_an_old_table(team: FakeTeam) -> None:
    moments = [NOW]
    reader = TeamReader(team, lambda: moments[-1])
    await reader.read()
    moments.append(NOW - timedelta(hours=1))
    team.heard = []
    table = (await reader.read()).table
    assert table is not None
    assert [machine.heard for machine in table.machines] == ["never heard"]


async def test_a_trader_has_policies_and_the_journal_with_its_filter(team: FakeTeam, come: Come) -> None:
    team.entries["alice"] = tuple(
        Entry(at, NOW, EntryKind.INTENT, f"BUY {at} MES", name, "t", None, None, True, "I like it", {}, "", "")
        for at, name in ((2, "APEX-1"), (1, "Sim101"))
    )
    await team.set_policy(EVERYBODY, POLICY)
    browser = await come()
    page = words(await browser.look("/trader?trader=alice"))
    assert "max_order_contracts = 2" in page
    assert "BUY 2 MES" in page
    assert "The assistant's words, not a fact:" in page
    page = await browser.look("/trader?trader=alice&account=Sim101")
    assert "BUY 2 MES" not in page
    assert "BUY 1 MES" in page
    assert "There is no such page." in await browser.look("/trader?trader=bob")
    assert "There is no such page." in await browser.look("/trader?trader=")


async def test_acts_are_told_newest_first_and_a_broken_chain_is_called_broken(team: FakeTeam, come: Come) -> None:
    await team.halt("alice", "tilt")
    browser = await come()
    assert "Whole. 1 act," in words(await browser.look("/acts"))
    assert "risk halted alice: tilt" in words(browser.page)
    team.found = Verification(ok=False, count=0, last_hash="", broken_at=1, why="it does not follow")
    assert "Broken at #1." in words(await browser.look("/acts"))


async def test_whatever_traders_and_managers_wrote_is_no_markup(team: FakeTeam, come: Come) -> None:
    team.people.append(Member(ALIVE, TeamRole.TRADER))
    team.heard = [seen(ALIVE, report(account(ALIVE, over=(ALIVE,)), halted=ALIVE), machine=ALIVE)]
    team.asked = [asked(ALIVE, lines=(ALIVE,))]
    team.standing = [TeamHalt(ALIVE, Halt(ALIVE, NOW, ALIVE))]
    await team.set_policy(ALIVE, f"# {ALIVE}")
    browser = await come()
    quoted = "%3Cimg%20src%3Dx%20onerror%3Dalert%281%29%3E"
    for path in (*EVERY_PAGE, f"/trader?trader={quoted}", f"/policies?trader={quoted}"):
        assert ALIVE not in await browser.look(path)
        assert "<script>" not in browser.page
        assert 'style="' not in browser.page


# Halts


async def test_everybody_and_one_are_halted_and_resumed_by_their_own_buttons(team: FakeTeam, come: Come) -> None:
    browser = await come()
    await browser.post("/halt", trader="", reason="fomc")
    answer = await browser.post("/halt", trader="alice", reason="")
    assert answer.headers["location"].endswith("/trader?trader=alice")
    assert [(each.trader, each.halt.reason) for each in team.standing] == [("", "fomc"), ("alice", "no reason given")]
    assert "EVERYBODY IS HALTED" in words(await browser.look())
    for path, trader in (("/", ""), ("/trader?trader=alice", "alice")):
        await browser.look(path)
        (shown,) = re.findall(r'name="shown" value="([^"]+)"', browser.page)
        await browser.post("/resume", trader=trader, sure="yes", shown=shown)
    assert not team.standing


async def test_a_halt_is_lifted_only_by_whoever_says_so_and_was_shown_it(team: FakeTeam, come: Come) -> None:
    await team.halt("alice", "tilt")
    browser = await come()
    await browser.look("/trader?trader=alice")
    (shown,) = re.findall(r'name="shown" value="([^"]+)"', browser.page)
    assert (await browser.post("/resume", trader="alice", shown=shown)).status_code == 409
    team.standing = [TeamHalt("alice", Halt("another", NOW, "worse"))]
    answer = await browser.post("/resume", trader="alice", shown=shown, sure="yes")
    assert "no longer the halt that you were shown" in answer.text
    assert team.standing


async def test_where_a_pin_is_set_only_the_right_one_lifts_sets_and_approves(
    team: FakeTeam, come: Come, pins: SqliteStore, clock: ManualClock
) -> None:
    await set_pin(pins, PIN, clock(), cost=16)
    await team.halt("", "fomc")
    team.asked = [asked()]
    browser = await come()
    (shown,) = re.findall(r'name="shown" value="([^"]+)"', browser.page)
    await browser.look("/ticket/t-4711")
    lets_read(clock, team)
    for pin in ("", "wrong"):
        answer = await browser.post("/ticket/t-4711/approve", phrase="alice ab12", pin=pin)
        assert "That is not your PIN." in answer.text
    assert team.asked[0].answer.state is SecondState.WAITING
    assert (await browser.post("/ticket/t-4711/approve", phrase="alice ab12", pin=PIN)).status_code == 303
    await browser.look("/policies")
    assert (await browser.post("/resume", trader="", sure="yes", shown=shown, pin="wrong")).status_code == 409
    assert (await browser.post("/policy/set", trader="", text=POLICY, base="", pin="wrong")).status_code == 409
    assert team.standing
    assert not team.set_so_far
    assert (await browser.post("/resume", trader="", sure="yes", shown=shown, pin=PIN)).status_code == 303
    assert (await browser.post("/policy/set", trader="", text=POLICY, base="", pin=PIN)).status_code == 303


async def test_nobody_is_halted_who_is_not_of_the_team(team: FakeTeam, come: Come) -> None:
    browser = await come()
    assert (await browser.post("/halt", trader="mallory")).status_code == 404
    assert not team.standing


# Policies


async def test_a_policy_is_shown_with_what_it_changes_and_then_set(team: FakeTeam, come: Come) -> None:
    await team.set_policy("alice", "[limits]\nmax_order_contracts = 5\n")
    browser = await come()
    await browser.look("/policies?trader=alice")
    browser.page = (await browser.post("/policy/check", trader="alice", text=POLICY.replace("\n", "\r\n"))).text
    assert '<p class="goes">- max_order_contracts = 5</p>' in browser.page
    assert '<p class="comes">+ max_order_contracts = 2</p>' in browser.page
    assert len(team.set_so_far) == 1
    (base,) = re.findall(r'name="base" value="([^"]*)"', browser.page)
    answer = await browser.post("/policy/set", trader="alice", text=POLICY, base=base)
    assert answer.headers["location"].endswith("/policies?trader=alice")
    assert team.set_so_far[-1].text == POLICY
    assert "#1" in await browser.look("/policies?trader=alice")


async def test_all_faults_of_a_policy_are_shown_its_text_stays_and_nothing_is_set(team: FakeTeam, come: Come) -> None:
    browser = await come()
    await browser.look("/policies")
    text = "toolsets = 1\n[limits]\nmax_order_contracts = -1\n"
    for path in ("/policy/check", "/policy/set"):
        answer = await browser.post(path, trader="", text=text, base="")
        assert answer.status_code == 409
        assert "toolsets: unknown key" in answer.text
        assert "found -1" in answer.text
        assert "max_order_contracts = -1\n</textarea>" in answer.text
    assert not team.set_so_far


async def test_a_policy_that_another_has_set_meanwhile_is_not_overwritten(team: FakeTeam, come: Come) -> None:
    browser = await come()
    await browser.look("/policies")
    await team.set_policy(EVERYBODY, "mode = 'read_only'\n")
    answer = await browser.post("/policy/set", trader="", text=POLICY, base="")
    assert "Somebody has set another one meanwhile" in answer.text
    assert "- mode = " in words(answer.text)
    assert len(team.set_so_far) == 1


async def test_an_empty_text_ends_a_policy_and_the_same_one_is_not_set_again(team: FakeTeam, come: Come) -> None:
    await team.set_policy(EVERYBODY, f"mode = 'sim'\n\n{POLICY}")
    browser = await come()
    await browser.look("/policies")
    same = await browser.post("/policy/check", trader="", text=f"mode = 'sim'\n\n{POLICY}")
    assert "This very policy is set already." in same.text
    assert "End the policy of everybody" in (await browser.post("/policy/check", trader="", text=" \r\n")).text
    await browser.post("/policy/set", trader="", text="", base="1")
    assert team.set_so_far[-1].text == ""


async def test_what_is_longer_than_any_policy_is_refused(team: FakeTeam, come: Come) -> None:
    browser = await come()
    await browser.look("/policies")
    answer = await browser.post("/policy/set", trader="", text="#" * 70000, base="")
    assert "longer than" in answer.text
    assert (await browser.post("/policy/set", trader="", text="#" * 500000, base="")).status_code == 403
    assert not team.set_so_far


# Second questions


async def test_the_whole_question_is_shown_and_the_phrase_approves_it(
    team: FakeTeam, come: Come, clock: ManualClock
) -> None:
    team.asked = [asked(lines=("Risk 100", "WARNING: near the day's loss"))]
    browser = await come()
    assert "Review" in browser.page
    page = words(await browser.look("/ticket/t-4711"))
    assert "LIVE REAL MONEY Trader alice" in page
    assert "WARNING: near the day's loss" in page
    assert "alice AB12" in page
    lets_read(clock, team)
    answer = await browser.post("/ticket/t-4711/approve", phrase=" Alice ab12 ")
    assert answer.status_code == 303
    assert team.asked[0].answer.state is SecondState.APPROVED
    assert "sends nothing by itself" in words(await browser.look("/ticket/t-4711"))


async def test_a_yes_that_comes_quicker_than_anybody_reads_is_none(team: FakeTeam, come: Come) -> None:
    team.asked = [asked()]
    browser = await come()
    await browser.look("/ticket/t-4711")
    answer = await browser.post("/ticket/t-4711/approve", phrase="alice ab12")
    assert "quicker than anybody reads" in answer.text
    assert team.asked[0].answer.state is SecondState.WAITING


async def test_wrong_texts_are_no_yes_and_too_many_of_them_decline(
    team: FakeTeam, come: Come, clock: ManualClock
) -> None:
    team.asked = [asked()]
    browser = await come()
    await browser.look("/ticket/t-4711")
    lets_read(clock, team)
    for _ in range(MOST_WRONG_TEXTS - 1):
        assert "That is not the text." in (await browser.post("/ticket/t-4711/approve", phrase="yes")).text
    await browser.post("/ticket/t-4711/approve", phrase="yes")
    assert team.asked[0].answer.state is SecondState.DECLINED


async def test_declining_needs_no_text(team: FakeTeam, come: Come) -> None:
    team.asked = [asked()]
    browser = await come()
    await browser.look("/ticket/t-4711")
    await browser.post("/ticket/t-4711/decline")
    assert team.asked[0].answer.state is SecondState.DECLINED
    assert "It can never be sent." in await browser.look("/ticket/t-4711")


async def test_what_is_over_can_be_answered_no_more_and_says_so(team: FakeTeam, come: Come, clock: ManualClock) -> None:
    team.asked = [asked()]
    browser = await come()
    await browser.look("/ticket/t-4711")
    clock.advance(90)
    team.at = clock()
    answer = await browser.post("/ticket/t-4711/approve", phrase="alice ab12")
    assert "it is answered already, or over" in answer.text
    assert "Its time ran out" in await browser.look("/ticket/t-4711")
    assert '"expired"' in await browser.look("/ticket/t-4711/state")
    assert "No such question" in await browser.look("/ticket/another")


async def test_the_form_of_one_question_answers_no_other(team: FakeTeam, come: Come, clock: ManualClock) -> None:
    team.asked = [asked(), asked(ticket_id="t-2")]
    browser = await come()
    await browser.look("/ticket/t-2")
    await browser.look("/ticket/t-4711")
    lets_read(clock, team)
    answer = await browser.post("/ticket/t-2/approve", csrf=browser.csrf, phrase="alice ab12")
    assert answer.status_code == 403
    assert {each.answer.state for each in team.asked} == {SecondState.WAITING}


# Who may


@pytest.mark.parametrize("path", ["/halt", "/resume", "/policy/check", "/policy/set", "/ticket/t-4711/approve"])
async def test_a_button_is_pressed_only_on_a_page_of_ours(team: FakeTeam, come: Come, path: str) -> None:
    await team.halt("alice", "tilt")
    team.asked = [asked()]
    browser = await come()
    await browser.look("/ticket/t-4711")
    answer = await browser.post(path, csrf="another", trader="", text=POLICY, sure="yes", phrase="alice ab12")
    assert answer.status_code == 403
    assert not team.set_so_far
    assert len(team.standing) == 1
    assert team.asked[0].answer.state is SecondState.WAITING


@pytest.mark.parametrize("path", EVERY_PAGE)
async def test_without_the_cookie_nothing_is_shown(come: Come, pages: Callable[[], ASGIApp], path: str) -> None:
    browser = await come()
    async with client_of(pages()) as stranger:
        answer = await stranger.get(f"{browser.path}{path}")
    assert answer.status_code == 403
    assert "This page has ended" in answer.text


async def test_a_second_use_of_the_address_closes_the_page_and_is_noted_on_this_machine(
    pages: Callable[[], ASGIApp], sessions: SessionStore, clock: ManualClock, pins: SqliteStore
) -> None:
    app, token = pages(), sessions.issue(None, clock() + timedelta(minutes=1))
    async with client_of(app) as person, client_of(app) as somebody:
        first = await person.get(f"/open/{token}")
        (path,) = re.findall(r"0;url=(/s/[^/]+)/", first.text)
        assert (await somebody.get(f"/open/{token}")).status_code == 403
        assert (await person.get(f"{path}/")).status_code == 403
    assert (await pins.entries(1))[0].kind is EntryKind.SUSPICIOUS


async def test_a_trader_sees_the_own_rows_and_no_button(team: FakeTeam, come: Come) -> None:
    team.me, team.asked = TeamRole.TRADER, [asked()]
    browser = await come()
    assert "Your machines and accounts" in browser.page
    assert "<form" not in browser.page
    assert "Policies" not in browser.page
    for path in (*EVERY_PAGE[1:], "/panel/halt", "/panel/tickets", "/panel/journal?trader=alice"):
        answer = await browser.client.get(f"{browser.path}{path}")
        assert answer.status_code == 404


@pytest.mark.parametrize("path", ["/halt", "/resume", "/policy/check", "/policy/set", "/ticket/t-4711/approve"])
async def test_no_button_that_a_trader_presses_all_the_same_does_anything(
    team: FakeTeam, come: Come, sessions: SessionStore, path: str
) -> None:
    team.standing, team.asked = [TeamHalt("alice", Halt(RISK, NOW, "tilt"))], [asked()]
    team.me = TeamRole.TRADER
    browser = await come()
    (session,) = sessions._sessions.values()
    csrf = session.csrf_of("t-4711") if "ticket" in path else session.csrf
    answer = await browser.post(path, csrf=csrf, trader="", text=POLICY, base="", sure="yes", phrase="alice ab12")
    assert answer.status_code == 404
    assert len(team.standing) == 1
    assert not team.set_so_far
    assert not {"halt", "resume", "set_policy", "decide"} & set(team.asked_for)


async def test_pages_of_other_origins_have_no_business_here(come: Come) -> None:
    browser = await come()
    answer = await browser.client.post(
        f"{browser.path}/halt", data={"csrf": browser.csrf, "trader": ""}, headers={"Origin": "http://evil.example"}
    )
    assert answer.status_code == 403


async def test_every_answer_may_not_be_framed_kept_or_load_anything_from_elsewhere(come: Come) -> None:
    browser = await come()
    for path in EVERY_PAGE:
        answer = await browser.client.get(f"{browser.path}{path}")
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
    assert (await browser.client.get("/assets/team.css")).status_code == 200


async def test_nothing_of_a_reader_that_fails_is_kept_as_true(team: FakeTeam, come: Come, clock: ManualClock) -> None:
    """A trader who goes silent while the plane is out of reach is not told as heard."""
    browser = await come()
    team.is_out_of_reach = True
    clock.advance(3600)
    assert "60 min ago" in words(await browser.look("/panel/team"))
