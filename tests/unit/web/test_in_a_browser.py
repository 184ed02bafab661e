"""The pages in a real Chromium: the road to a yes, the many ways that are none, and the people who look at them."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import anyio
import pytest
from anyio.abc import TaskGroup, TaskStatus
from mcp import Client

from ct_mcp.desk.desk import Desk
from ct_mcp.desk.membership import Membership
from ct_mcp.desk.pin import set_pin
from ct_mcp.domain.approval import Approval, Ticket, TicketState
from ct_mcp.domain.watch import AlertOn, Watch, WatchKind
from ct_mcp.errors import NotConfirmed
from ct_mcp.guard.policy import AccountPolicy, Limits, Mode, Policy
from ct_mcp.net.asgi import listen, serve
from ct_mcp.server.app import build_server
from ct_mcp.server.context import ServerContext
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.sqlite import SqliteStore
from ct_mcp.web.app import web_app
from ct_mcp.web.browser import signpost
from ct_mcp.web.pages import Pages
from ct_mcp.web.sessions import SessionStore
from tests.unit.web.conftest import Chromium, Propose

LIVE = "APEX-482910"
ORDER = {"account": "Sim101", "instrument": "MES", "action": "BUY", "quantity": 1, "order_type": "MARKET"}
EXITS = {"stop_loss": "10 points", "take_profit": "20 points"}
TOKEN = "a-token-for-the-browser"
FAINT = (Path(__file__).parent / "faint.js").read_text(encoding="utf-8")


def press(name: str, kind: str = "button") -> str:
    """Wait until a button listens, and press it."""
    return f"await page.getByRole('{kind}', {{ name: '{name}' }}).last().click();"


def says(text: str) -> str:
    """Wait for words on the page."""
    return f"await page.getByText('{text}').first().waitFor();"


def types(field: str, text: str) -> str:
    """Type something into a field."""
    return f"await page.getByLabel('{field}').fill('{text}');"


def key(name: str) -> str:
    """Press a key."""
    return f"await page.keyboard.press('{name}');"


def lets(milliseconds: int) -> str:
    """Let time pass, as a page needs it that changes by itself."""
    return f"await page.waitForTimeout({milliseconds});"


CLICK, DECLINE, DECIDE = press("Approve"), press("Decline"), press("Review", "link")
# By the keyboard, once the page was read: a pointer would have to wait all the same.
APPROVE = "await page.getByRole('button', { name: 'Approve' }).press('Enter');"
APPROVED, LISTENS = says("Approved, and not sent yet"), lets(1600)
READ = "await page.clock.fastForward(1600);"


@dataclass
class WallClock:
    """A browser lives by the clock on the wall; ours may run ahead of it, so that nobody waits for what must pass."""

    ahead_seconds: float = 0.0
    stands_at: datetime | None = None

    def __call__(self) -> datetime:
        """What time it is; always the same where it stands."""
        return self.stands_at or datetime.now(UTC) + timedelta(seconds=self.ahead_seconds)


@pytest.fixture
def clock() -> WallClock:
    return WallClock()


@pytest.fixture
def pause() -> Callable[[float], Awaitable[None]]:
    return anyio.sleep


@pytest.fixture
def sim() -> Simulator:
    return Simulator(seed=7, token=TOKEN, market_hours="always")


@pytest.fixture
def policy() -> Policy:
    named = {"Sim101": AccountPolicy(Approval.PAGE), LIVE: AccountPolicy(Approval.PAGE)}
    limits = Limits(duplicate_window_seconds=0)
    return Policy(mode=Mode.LIVE, accounts=named, wait_seconds=8.0, limits=limits)


@pytest.fixture
async def crosstrade(sim: Simulator) -> AsyncIterator[object]:
    from ct_mcp.crosstrade.client import CrossTrade  # noqa: PLC0415

    async with CrossTrade("https://simulator.invalid", TOKEN, transport=sim.transport()) as client:
        yield client


@dataclass
class House:
    """The pages of a server, before a browser that takes a moment to start and shows what it is given."""

    pages: Pages
    stop: Callable[[], None]
    opened: list[str]
    is_open: anyio.Event


@pytest.fixture
async def house(chromium: Chromium, desk: Desk, store: SqliteStore, tmp_path: Path) -> AsyncIterator[House]:
    opened: list[str] = []
    is_open = anyio.Event()

    async def browse(file: str) -> bool:
        opened.append(file)
        script = f"await page.clock.install(); await page.goto({file!r}); await page.locator('h1.order').waitFor();"
        script += "await page.waitForLoadState();"
        await chromium.run(script, width=1000, height=800)
        is_open.set()
        return True

    async with anyio.create_task_group() as tasks:
        inner = await tasks.start(_group)
        pages = Pages(desk, store, browse, tmp_path / "pages", inner)
        yield House(pages, inner.cancel_scope.cancel, opened, is_open)
        tasks.cancel_scope.cancel()


async def _group(*, task_status: TaskStatus[TaskGroup]) -> None:
    async with anyio.create_task_group() as tasks:
        task_status.started(tasks)
        await anyio.sleep_forever()


@pytest.fixture
async def assistant(
    desk: Desk, store: SqliteStore, policy: Policy, house: House, clock: WallClock
) -> AsyncIterator[Client]:
    """A client that can show no form, at a server that opens pages."""
    await store.arm("Sim101", clock() + timedelta(hours=1), "test", clock())
    server = build_server(ServerContext(lambda: desk, policy, open_page=house.pages.open))
    async with Client(server) as client:
        yield client


async def test_an_order_is_approved_on_the_page_and_fills(
    assistant: Client, chromium: Chromium, house: House, sim: Simulator
) -> None:
    answers = []

    async def place() -> None:
        answers.append(await assistant.call_tool("place_order", ORDER))

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(place)
            await house.is_open.wait()
            await chromium.run(CLICK)
            await chromium.run(says("Read back"))
    (answer,) = answers
    assert answer.structured_content["status"] == "filled"
    (order,) = sim.exchange.orders
    assert order.filled == 1
    assert all(url.startswith(("http://127.0.0.1:", "file:///")) for url in chromium.asked)
    assert chromium.complaints == []
    assert "/open/" not in answer.model_dump_json()
    assert not list(house.pages.folder.iterdir()), "the file that led to the page is gone"


async def test_the_page_of_an_entry_shows_its_exits_and_what_becomes_of_them(
    assistant: Client, chromium: Chromium, house: House, sim: Simulator
) -> None:
    answers = []

    async def place() -> None:
        answers.append(await assistant.call_tool("place_order", {**ORDER, **EXITS}))

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(place)
            await house.is_open.wait()
            shown = await chromium.run("return await page.locator('body').innerText();")
            await chromium.run(CLICK)
    assert "stop loss SELL 1 10 points from the fill" in shown
    assert "CLOSED at the market" in shown
    assert "2.0 times the risk" in shown
    assert answers[0].structured_content["status"] == "filled"
    live = sim.exchange.live_orders("Sim101")
    assert sorted(str(order.terms.order_type) for order in live) == ["Limit", "StopMarket"]


async def test_an_order_is_declined_on_the_page(
    assistant: Client, chromium: Chromium, house: House, sim: Simulator
) -> None:
    answers = []

    async def place() -> None:
        answers.append(await assistant.call_tool("place_order", ORDER))

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(place)
            await house.is_open.wait()
            await chromium.run(DECLINE)
    assert answers[0].structured_content["status"] == "declined"
    assert not sim.exchange.orders


async def test_a_second_call_opens_no_second_window_and_sends_what_was_approved_meanwhile(
    chromium: Chromium, desk: Desk, policy: Policy, house: House, store: SqliteStore, clock: WallClock, sim: Simulator
) -> None:
    await store.arm("Sim101", clock() + timedelta(hours=1), "test", clock())
    impatient = replace(policy, wait_seconds=0.2)
    desk.team = Membership(impatient, clock)
    async with Client(build_server(ServerContext(lambda: desk, impatient, open_page=house.pages.open))) as assistant:
        first = await assistant.call_tool("place_order", ORDER)
        ticket_id = first.structured_content["ticket_id"]
        await house.is_open.wait()
        second = await assistant.call_tool("confirm_ticket", {"ticket_id": ticket_id})
        assert [first.structured_content["status"], second.structured_content["status"]] == ["needs_approval"] * 2
        assert "in the person's browser" in second.structured_content["next_step"]
        assert "127.0.0.1" not in first.model_dump_json() + second.model_dump_json()
        await chromium.run(CLICK + APPROVED)
        assert not sim.exchange.orders, "a yes alone sends nothing"
        third = await assistant.call_tool("confirm_ticket", {"ticket_id": ticket_id})
    assert third.structured_content["status"] == "filled"
    assert len(house.opened) == 1


OpenA = Callable[[str], Awaitable[Ticket]]


@pytest.fixture
def open_a(chromium: Chromium, house: House, propose: Propose, store: SqliteStore, clock: WallClock) -> OpenA:
    """Propose an order, open its page and read it: of a simulated or a live account, or with a PIN.

    Or be there at once, before anybody could have read it, or late, when it has expired. At once, the server's clock
    stands, so that a busy machine does not read for a person.
    """

    async def opened(kind: str) -> Ticket:
        await set_pin(store, "4711", clock()) if kind == "pin" else None
        wanted = Approval.PAGE_PIN if kind == "pin" else Approval.PAGE
        ticket = await propose(account=LIVE if kind == "live" else "Sim101", approval=wanted)
        clock.stands_at = clock() if kind == "at once" else None
        assert await house.pages.open(ticket, 60)
        if kind != "at once":
            clock.ahead_seconds += 90 if kind == "late" else 1.6
            await chromium.run(READ)
        return ticket

    return opened


FORGED = """
    const url = page.url();
    const csrf = await page.locator('[name=csrf]').first().inputValue();
    for (const body of BODIES.map((body) => body.replaceAll('@page', url).replaceAll('@csrf', csrf))) {
        const evil = await context.newPage();
        await evil.route('ORIGIN/**', (route) => route.fulfill({ contentType: 'text/html', body }));
        await evil.goto('ORIGIN/');
        await evil.waitForTimeout(200);
        if (evil.frames().some((frame) => frame.url() === url)) throw new Error('it was framed');
    }
"""
FIELD = "<input name=csrf value='@csrf'>"
POST = f"<form method=post action='@page/approve'>{FIELD}</form><script>document.forms[0].submit()</script>"
SENT = "{ method: 'POST', mode: 'no-cors', credentials: 'include', body: new URLSearchParams({ csrf: '@csrf' }) }"
FETCH = f"<script>fetch('@page/approve', {SENT})</script>"
FRAME = "<iframe src='@page'></iframe>"


def forged(origin: str) -> str:
    """What pages of another origin try, which have got hold of the address, and even of what stands in the form."""
    return FORGED.replace("ORIGIN", origin).replace("BODIES", json.dumps([POST, FETCH, FRAME]))


SUBMITS = "await page.evaluate(() => document.querySelector('form[action$=approve]').submit());"
FORCES = "await page.getByRole('button', { name: 'Approve' }).dispatchEvent('click');"
SPOILS = "await page.locator('[name=csrf]').evaluateAll((all) => all.forEach((one) => (one.value = 'x')));"
FOCUSED = "await page.locator('button.decline:focus').waitFor();"
ENABLED = "await page.locator('button[data-approve]:enabled').waitFor();"
ELSEWHERE, NEXT_DOOR = "http://evil.example", "http://127.0.0.1:9"

# Each is done on the page of an open ticket. First what kind of page: see `open_a`.
NOT_A_YES = {
    "doing nothing": ("sim", ""),
    "closing the page": ("sim", "await page.close();"),
    "declining": ("sim", DECLINE),
    "pressing Enter at once": ("at once", FOCUSED + key("Enter") + says("Nothing was sent")),
    "pressing the space bar at once": ("at once", FOCUSED + key("Space") + says("Nothing was sent")),
    "clicking before the button listens": ("at once", FORCES + lets(200)),
    "sending the form before anybody could read": ("at once", SUBMITS + says("quicker than anybody reads")),
    "reloading": ("sim", "await page.reload(); await page.reload();"),
    "going back and forth": ("sim", "await page.goBack().catch(() => {}); await page.goForward().catch(() => {});"),
    "typing nothing": ("live", APPROVE + lets(200)),
    "typing something else": ("live", types("To approve", "yes") + APPROVE + says("That is not the text")),
    "typing the other side": ("live", types("To approve", "SELL 1 MES") + APPROVE + says("That is not the text")),
    "typing the phrase and declining": ("live", types("To approve", "BUY 1 MES") + DECLINE),
    "typing the phrase and nothing more": ("live", types("To approve", "BUY 1 MES") + lets(200)),
    "a wrong PIN": ("pin", types("Your PIN", "0000") + APPROVE + says("That is not your PIN")),
    "no PIN": ("pin", APPROVE + lets(200)),
    "a page that lost its cookie": ("sim", "await context.clearCookies();" + SUBMITS + says("has ended")),
    "a form with another token": ("sim", SPOILS + APPROVE + says("Not taken")),
    "coming too late": ("late", says("Its time ran out")),
    "a form, a request and a frame of another site": ("sim", forged(ELSEWHERE)),
    "a form, a request and a frame of another program on this machine": ("sim", forged(NEXT_DOOR)),
}


@pytest.mark.parametrize(("kind", "script"), NOT_A_YES.values(), ids=NOT_A_YES.keys())
async def test_nothing_is_approved_and_nothing_can_be_sent_by(
    chromium: Chromium, house: House, open_a: OpenA, desk: Desk, sim: Simulator, kind: str, script: str
) -> None:
    ticket = await open_a(kind)
    await chromium.run(script)
    with pytest.raises(NotConfirmed):
        await desk.commit(ticket.ticket_id)
    assert not sim.exchange.orders


@pytest.mark.parametrize(
    ("kind", "script"),
    [
        ("sim", APPROVE),
        ("live", types("To approve", "buy 1 mes") + APPROVE),
        ("pin", types("Your PIN", "4711") + APPROVE),
    ],
)
async def test_the_same_pages_take_the_yes_of_a_person(
    chromium: Chromium, open_a: OpenA, desk: Desk, sim: Simulator, kind: str, script: str
) -> None:
    ticket = await open_a(kind)
    await chromium.run(script + APPROVED)
    outcome = await desk.commit(ticket.ticket_id)
    assert outcome.status == "filled"
    assert len(sim.exchange.orders) == 1


async def test_a_second_browser_with_the_same_address_kills_the_ticket(
    chromium: Chromium, house: House, open_a: OpenA, store: SqliteStore, clock: WallClock
) -> None:
    ticket = await open_a("sim")
    (address,) = [url for url in chromium.asked if "/open/" in url]
    told = await chromium.run(f"await page.goto({address!r}); return page.innerText('body');", width=800)
    assert "used before" in told
    died = await store.ticket(ticket.ticket_id)
    assert died is not None
    assert died.state_at(clock()) is TicketState.DECLINED


async def test_the_no_has_the_focus_and_the_yes_does_not_listen_at_first(chromium: Chromium, open_a: OpenA) -> None:
    await open_a("at once")
    await chromium.run(FOCUSED + "await page.clock.pauseAt(Date.now() + 60_000); await page.reload();")
    listens = "return page.getByRole('button', { name: 'Approve' }).isEnabled();"
    assert not await chromium.run(listens)
    assert await chromium.run(READ + listens)


async def test_a_live_order_is_approved_with_the_keyboard_alone(chromium: Chromium, open_a: OpenA) -> None:
    await open_a("live")
    typed = "await page.keyboard.type('BUY 1 MES');"
    await chromium.run(FOCUSED + key("Shift+Tab") + typed + ENABLED + key("Tab") + key("Tab") + key("Enter") + APPROVED)


async def test_what_was_decided_elsewhere_shows_by_itself(chromium: Chromium, open_a: OpenA, desk: Desk) -> None:
    ticket = await open_a("sim")
    await desk.decisions.decline(ticket, "terminal")
    await chromium.run("await page.getByRole('heading', { name: 'Declined' }).waitFor();")


async def test_a_second_question_comes_to_the_same_page_and_leaves_what_is_typed_alone(
    chromium: Chromium, house: House, open_a: OpenA, propose: Propose, desk: Desk
) -> None:
    live = await open_a("live")
    await chromium.run("await page.getByLabel('To approve').pressSequentially('BUY 1');")
    second = await propose(quantity=2)
    with anyio.fail_after(60):
        assert await house.pages.open(second, 60)
    title, listens, typed, focus = await chromium.run(
        "return [await page.title(), await page.getByRole('button', { name: 'Approve' }).nth(1).isEnabled(),"
        " await page.getByLabel('To approve').inputValue(),"
        " await page.evaluate(() => document.activeElement.name)];"
    )
    assert len(house.opened) == 1, "no second tab"
    assert title.startswith("(2) Approve? SIM")
    assert (typed, focus) == ("BUY 1", "phrase")
    assert not listens, "a card has moved: nothing listens until that was seen"
    await chromium.run("await page.keyboard.type(' MES');" + READ + key("Enter") + says("Approved, and not sent yet"))
    assert (await desk.ticket(live.ticket_id)).state is TicketState.APPROVED
    assert (await desk.ticket(second.ticket_id)).state is TicketState.OPEN
    await desk.decisions.decline(second, "terminal")
    await chromium.run("await page.waitForFunction(() => document.title.startsWith('Declined'));")


async def test_a_page_whose_server_is_gone_says_so_and_approves_nothing(
    chromium: Chromium, house: House, open_a: OpenA, store: SqliteStore, clock: WallClock
) -> None:
    ticket = await open_a("sim")
    house.stop()
    await chromium.run(says("does not answer any more"))
    assert not await chromium.run("return await page.getByRole('button', { name: 'Approve' }).isEnabled();")
    found = await store.ticket(ticket.ticket_id)
    assert found is not None
    assert found.state is TicketState.OPEN


ConsoleAt = Callable[..., Awaitable[None]]


@pytest.fixture
async def console(
    chromium: Chromium, desk: Desk, store: SqliteStore, sessions: SessionStore, clock: WallClock, tmp_path: Path
) -> AsyncIterator[ConsoleAt]:
    """Open the console in the browser, as wide and in such colours as wanted."""
    async with AsyncExitStack() as stack:
        authority = await stack.enter_async_context(serve(partial(web_app, desk, store, sessions), listen()))

        async def opened(**fresh: object) -> None:
            token = sessions.issue(None, clock() + timedelta(minutes=1))
            file = await stack.enter_async_context(signpost(tmp_path / "pages", f"http://{authority}/open/{token}"))
            script = f"await page.goto({file!r}); await page.getByRole('heading', {{ name: 'Journal' }}).waitFor();"
            # What stands there may not have its style yet.
            await chromium.run(f"{script} await page.waitForLoadState();", **(fresh or {"width": 1280}))

        yield opened


async def test_what_comes_to_wait_appears_and_is_announced_without_a_reload(
    chromium: Chromium, console: ConsoleAt, propose: Propose
) -> None:
    await console()
    await propose(quantity=2)
    await chromium.run("await page.locator('.waiting').getByText('2 MES').waitFor();")
    news = await chromium.run("return page.locator('[aria-live=polite]').textContent();")
    assert "Waiting for you" in news
    assert "BUY 2 MES" in news
    await chromium.run(DECLINE + says("Nothing waits for you"))
    assert chromium.complaints == []


async def test_what_a_watch_tells_calls_the_person_in_the_title_until_they_look_and_as_a_notice_where_allowed(
    chromium: Chromium, console: ConsoleAt, store: SqliteStore, clock: WallClock
) -> None:
    await console()
    kept = (
        "await page.evaluate(() => { globalThis.shown = []; globalThis.Notification = class {"
        " static permission = 'granted'; constructor(title, { body }) { shown.push(`${title}: ${body}`); } }; });"
    )
    await chromium.run(kept)
    now = clock()
    watch = Watch("w-1", WatchKind.ALERT, "", now, now + timedelta(hours=1), due=now, on=AlertOn.TIME)
    assert await store.open_watch(watch, 20, (), now)
    await store.tell_of_watch(watch, NewEntry(EntryKind.WATCH_TOLD, "watch w-1: MES trades at 6420"), now)
    called = "await page.waitForFunction(() => document.title.startsWith('(!)')); return page.title();"
    assert "MES trades at 6420" in await chromium.run(called)
    assert await chromium.run("return page.evaluate(() => shown.length);") == 1
    assert await chromium.run("await page.mouse.click(5, 5); return page.title();") == "ct-mcp console"
    await chromium.run(lets(2500))
    assert await chromium.run("return page.evaluate(() => shown.length);") == 1, "each is told once"
    assert chromium.complaints == []


async def test_an_order_is_approved_from_the_console(
    chromium: Chromium, console: ConsoleAt, propose: Propose, desk: Desk, sim: Simulator
) -> None:
    ticket = await propose()
    await console()
    await chromium.run(DECIDE + CLICK + APPROVED)
    assert (await desk.commit(ticket.ticket_id)).status == "filled"
    assert len(sim.exchange.orders) == 1


async def test_trading_is_halted_and_resumed_from_the_console(
    chromium: Chromium, console: ConsoleAt, store: SqliteStore
) -> None:
    await console()
    await chromium.run(
        types("Reason", "lunch") + press("Halt") + says("TRADING IS HALTED") + press("Resume") + lets(100)
    )
    halt = await store.halt()
    assert halt is not None, "the box was not ticked"
    assert halt.reason == "lunch"
    tick = "await page.getByLabel('I want trading to go on').check();"
    await chromium.run(tick + press("Resume") + says("Trading is on"))
    assert await store.halt() is None


async def test_what_is_typed_into_the_console_is_left_alone_while_it_refreshes(
    chromium: Chromium, console: ConsoleAt, propose: Propose
) -> None:
    await console()
    await chromium.run(types("Reason", "half a word"))
    await propose()
    refreshed = "await page.locator('.waiting').waitFor();" + lets(2500)
    kept = await chromium.run(refreshed + "return page.getByLabel('Reason').inputValue();")
    assert kept == "half a word"


async def test_a_button_stays_the_same_while_the_list_is_refreshed(
    chromium: Chromium, console: ConsoleAt, propose: Propose
) -> None:
    await propose()
    await console()
    script = "const held = await page.locator('.waiting .decline').elementHandle();" + lets(2500)
    assert await chromium.run(script + "return held.evaluate((button) => button.isConnected);"), "a press would be lost"


async def test_everything_works_without_a_script_by_reloading(
    chromium: Chromium, console: ConsoleAt, propose: Propose, desk: Desk
) -> None:
    await console(script=False)
    ticket = await propose()
    await chromium.run("await page.reload();" + DECIDE + LISTENS + CLICK + APPROVED)
    assert (await desk.commit(ticket.ticket_id)).status == "filled"


@pytest.mark.parametrize("width", [390, 320])
async def test_on_a_phone_nothing_is_cut_off_and_buttons_are_large_enough_for_a_thumb(
    chromium: Chromium, console: ConsoleAt, propose: Propose, width: int
) -> None:
    await propose(quantity=2)
    await propose(account=LIVE)
    await console(width=width, height=844)
    script = """
        const wide = () => document.documentElement.scrollWidth - document.documentElement.clientWidth;
        const buttons = "button:not([hidden]), .button";
        const low = (all) => [...document.querySelectorAll(all)].filter((it) => it.offsetHeight < 44).length;
        const list = [await page.evaluate(wide), await page.evaluate(low, buttons)];
        await page.getByRole('link', { name: 'Review' }).last().click();
        await page.getByRole('button', { name: 'Approve' }).waitFor();
        await page.waitForLoadState();
        return [...list, await page.evaluate(wide), await page.evaluate(low, buttons)];
    """
    assert await chromium.run(script) == [0, 0, 0, 0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_all_text_can_be_read_and_every_field_has_a_name(
    chromium: Chromium, console: ConsoleAt, propose: Propose, scheme: str
) -> None:
    await propose(quantity=2, reason="because")
    await propose(account=LIVE, approval=Approval.PAGE_PIN)
    await console(width=1280, height=900, scheme=scheme)
    look = f"return page.evaluate({json.dumps(f'({FAINT})()')});"
    assert await chromium.run(look) == []
    assert await chromium.run(DECIDE + LISTENS + look) == []
    assert await chromium.run("return page.getByRole('main').count();") == 1
