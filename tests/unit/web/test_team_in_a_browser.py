"""The pages of a team in a real Chromium: what changes by itself, what a person types in time, and who looks at it."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from ct_mcp.cli.plane_access import checked
from ct_mcp.desk.pin import set_pin
from ct_mcp.domain.team import EVERYBODY, SecondState, TeamRole
from ct_mcp.net.asgi import listen, serve
from ct_mcp.store.sqlite import SqliteStore
from ct_mcp.web.sessions import SessionStore
from ct_mcp.web.team_app import team_app
from ct_mcp.web.team_state import TeamState
from tests.team import FakeTeam, asked, by_the_clock, with_traders
from tests.unit.web.conftest import Chromium

FAINT = (Path(__file__).parent / "faint.js").read_text(encoding="utf-8")
WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
LOW = "[...document.querySelectorAll('button, .button')].filter((it) => !it.hidden && it.offsetHeight < 44).length"
PIN = "pin-4711"
PAGES = ("/", "/trader?trader=trader-01", "/policies", "/acts", "/ticket/t-4711")
POLICY = "[limits]\nmax_order_contracts = 2\n"

Opens = Callable[..., Awaitable[str]]


def wall_clock() -> datetime:
    """What time it is: a browser lives by that."""
    return datetime.now(UTC)


@pytest.fixture
def team() -> FakeTeam:
    """Three traders, one question."""
    team = with_traders(3)
    team.asked = [asked("trader-01", lines=("Position flat now, +2 after", "Risk 100.00 (USD, over 80 ticks)"))]
    return by_the_clock(team, wall_clock)


@pytest.fixture
async def pins(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """The store of the risk manager's machine."""
    store = SqliteStore(tmp_path / "state")
    yield store
    await store.close()


@pytest.fixture
async def opens(chromium: Chromium, team: FakeTeam, pins: SqliteStore) -> AsyncIterator[Opens]:
    """Open the page of the team in a fresh browser, of a width, a scheme or without scripts; gives where it lies."""
    async with AsyncExitStack() as stack:

        async def opened(**how: object) -> str:
            keys = SessionStore(wall_clock)
            state = TeamState(team, pins, keys, wall_clock, checked, team.me)
            authority = await stack.enter_async_context(serve(partial(team_app, state), listen()))
            token = keys.issue(None, wall_clock() + timedelta(minutes=5))
            fresh = {"width": 1280, "height": 900} | how
            address = f"http://{authority}/open/{token}"
            await chromium.run(f"await page.goto('{address}'); await page.waitForURL('**/s/**');", **fresh)
            path: str = await chromium.run("await page.waitForLoadState(); return page.url();")
            return path.rstrip("/")

        yield opened


async def test_the_table_halts_and_silence_change_by_themselves(
    chromium: Chromium, opens: Opens, team: FakeTeam
) -> None:
    await opens()
    await team.halt(EVERYBODY, "fomc")
    team.heard = [replace(each, heard_at=wall_clock() - timedelta(minutes=5)) for each in team.heard]
    await chromium.run("await page.getByText('EVERYBODY IS HALTED').waitFor();")
    await chromium.run("await page.getByText('SILENT').first().waitFor();")
    assert all(url.startswith("http://127.0.0.1:") for url in chromium.asked)
    assert chromium.complaints == []


async def test_ages_go_on_by_themselves_and_begin_anew_when_somebody_is_heard(
    chromium: Chromium, opens: Opens, team: FakeTeam
) -> None:
    await opens()
    last = "page.locator('tbody').last().locator('[data-age]')"
    await chromium.run(f"await {last}.and(page.getByText(/^7 s ago$/)).waitFor();")
    await chromium.run(f"globalThis.kept = await {last}.elementHandle();")
    team.heard = [replace(each, heard_at=wall_clock()) for each in team.heard]
    await chromium.run(f"await {last}.and(page.getByText(/^[0-5] s ago$/)).waitFor();")
    assert await chromium.run("return page.evaluate((it) => it.isConnected, globalThis.kept);")


async def test_the_keyboard_stays_where_it_is_while_the_table_changes(
    chromium: Chromium, opens: Opens, team: FakeTeam
) -> None:
    await opens()
    await chromium.run("await page.getByRole('link', { name: 'trader-02' }).focus();")
    await team.halt("trader-02", "tilt")
    await chromium.run("await page.getByText('by risk: tilt').waitFor();")
    assert await chromium.run("return page.evaluate(() => document.activeElement.textContent);") == "trader-02"


async def test_a_question_calls_is_reviewed_typed_and_approved(
    chromium: Chromium, opens: Opens, team: FakeTeam
) -> None:
    question, team.asked = team.asked, []
    await opens()
    team.asked = question
    await chromium.run("await page.waitForFunction(() => document.title.startsWith('(!)'));")
    await chromium.run("await page.getByRole('link', { name: 'Review' }).click();")
    await chromium.run("await page.locator('button:focus', { hasText: 'Decline' }).waitFor();")
    await chromium.run("await page.getByLabel('To approve').fill('trader-01 ab12');")
    await chromium.run("await page.getByRole('button', { name: 'Approve' }).click();")
    await chromium.run("await page.getByText('sends nothing by itself').waitFor();")
    assert team.asked[0].answer.state is SecondState.APPROVED


async def test_a_question_that_somebody_else_answers_says_so_while_it_is_open(
    chromium: Chromium, opens: Opens, team: FakeTeam
) -> None:
    base = await opens()
    await chromium.run(f"await page.goto('{base}/ticket/t-4711'); await page.getByLabel('To approve').fill('trader');")
    await team.decide("t-4711", "ab12cd34", yes=False)
    await chromium.run("await page.getByText('It can never be sent.').waitFor();")


async def test_what_is_typed_as_a_reason_is_not_disturbed_and_halts(
    chromium: Chromium, opens: Opens, team: FakeTeam
) -> None:
    await opens()
    await chromium.run("await page.getByLabel('Reason').pressSequentially('three losers', { delay: 250 });")
    await chromium.run("await page.getByRole('button', { name: 'Halt everybody' }).click();")
    await chromium.run("await page.getByText('three losers').waitFor();")
    assert [each.halt.reason for each in team.standing] == ["three losers"]


async def test_a_policy_is_written_checked_compared_and_set_with_the_pin(
    chromium: Chromium, opens: Opens, team: FakeTeam, pins: SqliteStore
) -> None:
    await set_pin(pins, PIN, wall_clock(), cost=16)
    await team.set_policy(EVERYBODY, "mode = 'sim'\n")
    base = await opens()
    fill = "await page.getByLabel('TOML').fill({}); await page.getByRole('button', {{ name: 'Check it' }}).click();"
    await chromium.run(f"await page.goto('{base}/policies');" + fill.format(json.dumps("limits = 4")))
    await chromium.run("await page.getByText('This cannot be read').waitFor();")
    await chromium.run(fill.format(json.dumps(POLICY)))
    await chromium.run("await page.getByText('+ max_order_contracts = 2').waitFor();")
    await chromium.run(f"await page.getByLabel('Your PIN').fill('{PIN}'); await page.keyboard.press('Enter');")
    await chromium.run("await page.getByText('#2, set by').first().waitFor();")
    assert team.set_so_far[-1].text == POLICY


async def test_out_of_reach_the_table_stays_greyed_with_its_time_and_comes_back(
    chromium: Chromium, opens: Opens, team: FakeTeam
) -> None:
    await opens()
    team.is_out_of_reach = True
    await chromium.run("await page.locator('.stale').getByText('trader-01').first().waitFor();")
    assert "grayscale" in await chromium.run(
        "return page.locator('.stale').evaluate((it) => getComputedStyle(it).filter);"
    )
    team.is_out_of_reach = False
    await chromium.run("await page.locator('.stale').waitFor({ state: 'detached' });")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("is_out_of_reach", [False, True])
async def test_all_text_can_be_read_and_every_field_has_a_name(
    chromium: Chromium, opens: Opens, team: FakeTeam, scheme: str, is_out_of_reach: bool
) -> None:
    await team.halt("trader-02", "tilt")
    await team.set_policy(EVERYBODY, POLICY)
    base = await opens(scheme=scheme, width=1280, height=900)
    team.is_out_of_reach = is_out_of_reach
    look = f"return page.evaluate({json.dumps(f'({FAINT})()')});"
    if is_out_of_reach:
        assert await chromium.run("await page.locator('.stale').waitFor();" + look) == []
        return
    for path in PAGES:
        lets_listen = "await page.waitForTimeout(1600);" if "ticket" in path else ""
        assert await chromium.run(f"await page.goto('{base}{path}'); {lets_listen} {look}") == [], path


@pytest.mark.parametrize("width", [390, 320])
async def test_on_a_phone_nothing_is_cut_off_and_buttons_are_large_enough_for_a_thumb(
    chromium: Chromium, opens: Opens, team: FakeTeam, width: int
) -> None:
    await team.set_policy(EVERYBODY, POLICY)
    base = await opens(width=width, height=844)
    for path in PAGES:
        look = f"return [await page.evaluate(() => {WIDE}), await page.evaluate(() => {LOW})];"
        assert await chromium.run(f"await page.goto('{base}{path}'); {look}") == [0, 0], path


async def test_sixty_traders_fit_and_those_that_stand_out_can_be_looked_at_alone(
    chromium: Chromium, opens: Opens, team: FakeTeam
) -> None:
    many = by_the_clock(with_traders(60), wall_clock)
    team.people, team.heard = many.people, many.heard
    await opens(width=1280, height=900)
    rows = "page.locator('.traders tbody').count()"
    assert await chromium.run(f"return [await {rows}, await page.evaluate(() => {WIDE})];") == [60, 0]
    await chromium.run(
        "await page.getByRole('link', { name: 'silent' }).click(); await page.getByText('Show all').waitFor();"
    )
    assert await chromium.run(f"return {rows};") == 9


async def test_without_a_script_a_risk_manager_can_do_all_by_reloading(
    chromium: Chromium, opens: Opens, team: FakeTeam
) -> None:
    await opens(script=False)
    await chromium.run("await page.getByLabel('Reason').fill('fomc'); await page.keyboard.press('Enter');")
    await chromium.run("await page.getByText('EVERYBODY IS HALTED').waitFor();")
    await chromium.run(
        "await page.getByLabel('I want').check(); await page.getByRole('button', { name: 'Resume' }).click();"
    )
    await chromium.run("await page.getByText('There is no halt of everybody').waitFor();")
    await chromium.run("await page.getByRole('link', { name: 'Review' }).click(); await page.waitForTimeout(1600);")
    await chromium.run(
        "await page.getByLabel('To approve').fill('trader-01 ab12'); await page.keyboard.press('Enter');"
    )
    await chromium.run("await page.getByText('sends nothing by itself').waitFor();")
    assert not team.standing


async def test_a_trader_sees_no_button_in_a_browser_either(chromium: Chromium, opens: Opens, team: FakeTeam) -> None:
    team.me = TeamRole.TRADER
    await opens()
    assert await chromium.run("return page.locator('form, button:visible:not(#notify)').count();") == 0
