"""The book and the live chart in a real Chromium: under the strict policy, by keyboard, on a phone, without scripts."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from ct_mcp.desk.desk import Desk
from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.domain.order import OrderAction, OrderType, TimeInForce
from ct_mcp.net.asgi import listen, serve
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.sqlite import SqliteStore
from ct_mcp.web.app import web_app
from ct_mcp.web.browser import signpost
from ct_mcp.web.sessions import SessionStore
from tests.factories import round_trip
from tests.unit.web.conftest import Chromium
from tests.unit.web.test_book import GAP, LOST, Kept
from tests.unit.web.test_in_a_browser import WallClock

FAINT = (Path(__file__).parent / "faint.js").read_text(encoding="utf-8")
WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
DRAWN = "await page.locator('.curve canvas, .live-chart canvas').first().waitFor();"
# What a canvas shows: how many different colours it has. One that nothing was drawn on has one.
COLOURS = """
    return page.locator('canvas').evaluateAll((all) => Math.max(...all.map((it) => {
        const pixels = it.getContext('2d').getImageData(0, 0, it.width, it.height).data;
        return new Set(Array.from({ length: pixels.length / 4 }, (_, n) => pixels.slice(4 * n, 4 * n + 3).join())).size;
    })));
"""
Open = Callable[..., Awaitable[None]]


@pytest.fixture
def clock() -> WallClock:
    return WallClock()


@pytest.fixture
def sim() -> Simulator:
    return Simulator(seed=7, token="a-token-for-the-browser", market_hours="always")


@pytest.fixture
async def crosstrade(sim: Simulator) -> AsyncIterator[object]:
    from ct_mcp.crosstrade.client import CrossTrade  # noqa: PLC0415

    token = "a-token-for-the-browser"
    async with CrossTrade("https://simulator.invalid", token, transport=sim.transport()) as client:
        yield client


@pytest.fixture
async def open_at(
    chromium: Chromium,
    desk: Desk,
    store: SqliteStore,
    sessions: SessionStore,
    clock: WallClock,
    tmp_path: Path,
) -> AsyncIterator[Open]:
    """Open a page of the console whose book has a month of trades, as wide and in such colours as wanted."""
    trips = [round_trip((-1) ** hour * hour, hours_ago=7 * hour) for hour in range(60, 0, -1)]
    desk.book = Kept(LOST, *trips, gaps=(GAP,))  # type: ignore[assignment]
    async with AsyncExitStack() as stack:
        authority = await stack.enter_async_context(serve(partial(web_app, desk, store, sessions), listen()))

        async def opened(path: str, **fresh: object) -> None:
            token = sessions.issue(None, clock() + timedelta(minutes=1))
            file = await stack.enter_async_context(signpost(tmp_path / "pages", f"http://{authority}/open/{token}"))
            first = (
                f"await page.goto({file!r}); await page.locator('nav.pages').waitFor(); await page.waitForLoadState();"
            )
            there = f"await page.goto(page.url().replace(/[/]$/, '') + {path!r});"
            await chromium.run(first + there, **(fresh or {"width": 1280}))

        yield opened


async def test_the_curve_is_drawn_under_the_strict_policy_with_nothing_from_elsewhere(
    chromium: Chromium, open_at: Open
) -> None:
    await open_at("/book")
    await chromium.run(DRAWN)
    assert await chromium.run(COLOURS) > 3
    assert chromium.complaints == []
    assert all(url.startswith(("http://127.0.0.1:", "file:///")) for url in chromium.asked)
    named = await chromium.run("return page.locator('.curve').getAttribute('aria-label');")
    assert "it ends at" in named


CHART = "/chart?instrument=MES&account=Sim101"
# From here on the page's time is ours: what it does every ten seconds it does when they are let pass.
TIME_IS_OURS = "await page.clock.install(); await page.reload();" + DRAWN
TEN_SECONDS = "await page.clock.fastForward(10_500);"


async def test_the_chart_is_drawn_and_follows_what_happens(
    chromium: Chromium, open_at: Open, desk: Desk, sim: Simulator, clock: WallClock
) -> None:
    await open_at(CHART)
    await chromium.run(TIME_IS_OURS)
    assert await chromium.run(COLOURS) > 3
    words = "return page.locator('#chart-words').textContent();"
    assert "position: none" in await chromium.run(words)
    instrument = await desk.resolver.instrument("MES")
    order = PlaceOrder("Sim101", instrument, OrderAction.BUY, 2, OrderType.MARKET, None, None, TimeInForce.DAY)
    await desk.upstream.place_order(order, "own-1")
    sim.advance(2)
    clock.ahead_seconds += 10
    held = "(await page.locator('#chart-words').textContent()).includes('LONG 2 at')"
    never = "if (tries > 500) throw new Error('it never came');"
    await chromium.run(f"for (let tries = 0; !({held}); tries += 1) {{ {never} {TEN_SECONDS} }}")
    assert chromium.complaints == []


async def test_a_page_that_is_hidden_asks_for_nothing(chromium: Chromium, open_at: Open) -> None:
    await open_at(CHART)
    turned = "document.dispatchEvent(new Event('visibilitychange'));"
    hides = "Object.defineProperty(document, 'hidden', { configurable: true, get: () => globalThis.away });"
    script = f"""
        const seen = [];
        page.on('request', (request) => seen.push(request.url()));
        await page.evaluate(() => {{ {hides} globalThis.away = true; {turned} }});
        for (let times = 0; times < 5; times += 1) {{ {TEN_SECONDS} }}
        const hidden = seen.length;
        const back = page.waitForResponse((answer) => answer.url().includes('/chart/data'));
        await page.evaluate(() => {{ globalThis.away = false; {turned} }});
        await back;
        return [hidden, seen.length];
    """
    assert await chromium.run(TIME_IS_OURS + script) == [0, 1]


async def test_a_chart_whose_bars_cannot_be_read_says_so_in_words(
    chromium: Chromium, open_at: Open, sim: Simulator
) -> None:
    sim.faults.arm(Fault.BAD_GATEWAY, rpc="GetBars")
    await open_at(CHART)
    told = "await page.locator('#chart-failure').waitFor(); return page.locator('#chart-failure').textContent();"
    assert "UPSTREAM_UNAVAILABLE" in await chromium.run(told)


async def test_everything_but_the_pictures_is_there_without_scripts(chromium: Chromium, open_at: Open) -> None:
    await open_at("/book?side=long", width=1280, script=False)
    text = await chromium.run("return page.locator('main').innerText();")
    for said in ("won,", "of 61 trades", "Page 1 of 2", "gap", "The curve itself is drawn by a script"):
        assert said in text, said
    await chromium.run(
        "await page.getByLabel('Side').selectOption('short'); await page.getByText('Show', { exact: true }).click();"
    )
    await chromium.run("await page.locator('main').getByText('No trade like this').waitFor();")
    await open_at(CHART, width=1280, script=False)
    assert "bars of 5 minute" in await chromium.run("return page.locator('#chart-words').innerText();")


async def test_the_book_is_used_with_the_keyboard_alone(chromium: Chromium, open_at: Open) -> None:
    await open_at("/book")
    script = """
        await page.getByLabel('Setup').focus();
        await page.keyboard.type('pullback');
        await page.keyboard.press('Enter');
        await page.getByText('No trade like this').waitFor();
        await page.getByRole('link', { name: 'Show all' }).focus();
        await page.keyboard.press('Enter');
        const fills = page.locator('.trades summary').first();
        await fills.focus();
        await page.keyboard.press('Enter');
        return page.locator('.trades details').first().innerText();
    """
    assert "commission 2.50" in await chromium.run(script)


async def test_the_chart_is_moved_with_the_keyboard(chromium: Chromium, open_at: Open) -> None:
    await open_at(CHART)
    script = """
        const seen = () => [...document.querySelectorAll('.live-chart canvas')].map((it) => it.toDataURL()).join();
        const changes = (before) => new Promise((done) => {
            const look = () => {
                const now = [...document.querySelectorAll('.live-chart canvas')].map((it) => it.toDataURL()).join();
                return now === before ? requestAnimationFrame(look) : done();
            };
            look();
        });
        await page.locator('.live-chart').focus();
        for (const key of ['+', 'ArrowLeft', 'Home']) {
            const before = await page.evaluate(seen);
            await page.keyboard.press(key);
            await page.evaluate(changes, before);
        }
    """
    await chromium.run(DRAWN + script)


async def test_the_csv_is_saved_as_a_file(chromium: Chromium, open_at: Open) -> None:
    await open_at("/book")
    script = """
        const coming = page.waitForEvent('download');
        await page.getByRole('link', { name: 'as CSV' }).click();
        const file = await coming;
        return [file.suggestedFilename(), (await import('node:fs')).readFileSync(await file.path(), 'utf8')];
    """
    name, content = await chromium.run(script)
    assert name == "ct-mcp-trades-Sim101.csv"
    assert content.count("\n") == 62


@pytest.mark.parametrize("width", [390, 320])
@pytest.mark.parametrize("path", ["/book", CHART])
async def test_on_a_phone_nothing_is_cut_off_and_buttons_are_large_enough_for_a_thumb(
    chromium: Chromium, open_at: Open, path: str, width: int
) -> None:
    await open_at(path, width=width, height=844)
    low = "[...document.querySelectorAll('button, .button, nav a')].filter((it) => it.offsetHeight < 44).length"
    assert await chromium.run(f"return page.evaluate(() => [{WIDE}, {low}]);") == [0, 0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/book", CHART])
async def test_all_text_can_be_read_and_every_field_has_a_name(
    chromium: Chromium, open_at: Open, path: str, scheme: str
) -> None:
    await open_at(path, width=1280, height=900, scheme=scheme)
    assert await chromium.run(f"return page.evaluate({json.dumps(f'({FAINT})()')});") == []
    unnamed = "[...document.querySelectorAll('select')].filter((it) => !it.labels.length).length"
    assert await chromium.run(f"return page.evaluate(() => {unnamed});") == 0
    assert await chromium.run("return page.getByRole('main').count();") == 1
