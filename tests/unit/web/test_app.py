"""Who gets in: through the gate with a fresh address once, its cookie afterwards, and to decide a form of ours."""

import re
from datetime import timedelta

import httpx
import pytest
from starlette.types import Message

from ct_mcp.desk.circuit_breaker import Suspicion
from ct_mcp.desk.desk import Desk
from ct_mcp.domain.approval import TicketState
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.store.journal import EntryKind
from ct_mcp.store.sqlite import SqliteStore
from ct_mcp.web.app import web_app
from ct_mcp.web.entrance import HEADERS
from ct_mcp.web.sessions import SessionStore
from tests.unit.web.conftest import Enter, Propose, StateOf

ORIGIN = "http://127.0.0.1:4711"


# A session: from a one-time address to a cookie, and what it may do


async def test_a_fresh_address_becomes_a_strict_cookie_for_its_own_path(
    stranger: httpx.AsyncClient, sessions: SessionStore, propose: Propose
) -> None:
    ticket = await propose()
    answer = await stranger.get(f"/open/{sessions.issue(ticket.ticket_id, ticket.expires_at)}")
    cookie = answer.headers["set-cookie"].lower()
    (path,) = re.findall(r"0;url=(/s/[^/]+)/", answer.text)
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert f"path={path.lower()}" in cookie
    assert "domain" not in cookie


async def test_a_second_use_of_the_address_kills_the_ticket(
    stranger: httpx.AsyncClient, sessions: SessionStore, propose: Propose, state_of: StateOf, store: SqliteStore
) -> None:
    ticket = await propose()
    token = sessions.issue(ticket.ticket_id, ticket.expires_at)
    first = await stranger.get(f"/open/{token}")
    second = await stranger.get(f"/open/{token}")
    (path,) = re.findall(r"0;url=(/s/[^/]+)/", first.text)
    page = await stranger.get(f"{path}/ticket/{ticket.ticket_id}")
    assert (first.status_code, second.status_code, page.status_code) == (200, 403, 403)
    assert "set-cookie" not in second.headers
    assert await state_of(ticket) is TicketState.DECLINED
    newest, before = (await store.entries(2, ticket_id=ticket.ticket_id))[:2]
    assert (newest.kind, before.kind) == (EntryKind.DECLINED, EntryKind.SUSPICIOUS)
    assert "second time" in str(before.detail["what"])
    assert before.detail["suspicion"] == Suspicion.LINK_USED_TWICE


async def test_an_approved_ticket_dies_as_well_when_its_address_comes_again(
    stranger: httpx.AsyncClient, sessions: SessionStore, propose: Propose, state_of: StateOf, desk: Desk
) -> None:
    ticket = await propose()
    token = sessions.issue(ticket.ticket_id, ticket.expires_at)
    await stranger.get(f"/open/{token}")
    await desk.decisions.approve(ticket, "page")
    await stranger.get(f"/open/{token}")
    assert await state_of(ticket) is TicketState.DECLINED


async def test_a_second_use_of_the_consoles_address_closes_it(
    stranger: httpx.AsyncClient, sessions: SessionStore, clock: ManualClock, store: SqliteStore
) -> None:
    token = sessions.issue(None, clock() + timedelta(minutes=1))
    first = await stranger.get(f"/open/{token}")
    (path,) = re.findall(r"0;url=(/s/[^/]+/)", first.text)
    assert (await stranger.get(path)).status_code == 200
    assert (await stranger.get(f"/open/{token}")).status_code == 403
    assert (await stranger.get(path)).status_code == 403
    (entry,) = await store.entries(1)
    assert entry.kind is EntryKind.SUSPICIOUS


@pytest.mark.parametrize("token", ["", "x", "x" * 5000, "%00", "..%2f..", "%ed%a0%80"])
async def test_an_address_that_nobody_gave_out_opens_nothing(stranger: httpx.AsyncClient, token: str) -> None:
    answer = await stranger.get(f"/open/{token}")
    assert answer.status_code in (403, 404)
    assert "set-cookie" not in answer.headers


async def test_an_address_that_comes_too_late_opens_nothing(
    stranger: httpx.AsyncClient, sessions: SessionStore, clock: ManualClock
) -> None:
    token = sessions.issue(None, clock() + timedelta(minutes=1))
    clock.advance(60)
    answer = await stranger.get(f"/open/{token}")
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("deed", ["approve", "decline"])
async def test_without_the_cookie_nothing_is_shown_and_nothing_decided(
    enter: Enter, stranger: httpx.AsyncClient, propose: Propose, state_of: StateOf, clock: ManualClock, deed: str
) -> None:
    ticket = await propose()
    browser = await enter(ticket)
    clock.advance(2)
    path = f"{browser.path}/ticket/{ticket.ticket_id}"
    seen = await stranger.get(path)
    done = await stranger.post(f"{path}/{deed}", data={"csrf": browser.csrf}, headers={"Origin": ORIGIN})
    assert (seen.status_code, done.status_code) == (403, 403)
    assert "MES" not in seen.text
    assert await state_of(ticket) is TicketState.OPEN


async def test_the_cookie_of_one_page_does_not_open_another(
    enter: Enter, propose: Propose, state_of: StateOf, clock: ManualClock
) -> None:
    mine, other = await propose(quantity=1), await propose(quantity=2)
    browser, second = await enter(mine), await enter(other)
    clock.advance(2)
    url = f"{second.path}/ticket/{other.ticket_id}/approve"
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.client.cookies.jar)
    headers = {"Origin": ORIGIN, "Cookie": cookies}
    answer = await browser.client.post(url, data={"csrf": second.csrf}, headers=headers)
    assert cookies
    assert answer.status_code == 403
    assert await state_of(other) is TicketState.OPEN


@pytest.mark.parametrize("csrf", ["wrong", "é", "x" * 5000])
@pytest.mark.parametrize("deed", ["approve", "decline"])
async def test_a_form_that_is_not_ours_decides_nothing(
    enter: Enter, propose: Propose, state_of: StateOf, clock: ManualClock, csrf: str, deed: str
) -> None:
    ticket = await propose()
    browser = await enter(ticket)
    clock.advance(2)
    answer = await browser.post(f"/ticket/{ticket.ticket_id}/{deed}", csrf=csrf)
    assert answer.status_code == 403
    assert await state_of(ticket) is TicketState.OPEN


@pytest.mark.parametrize("body", ["", "&" * 50, "csrf", "%", "csrf=%ff", "a=1&" * 30])
async def test_a_body_that_is_no_form_decides_nothing(
    enter: Enter, propose: Propose, state_of: StateOf, clock: ManualClock, body: str
) -> None:
    ticket = await propose()
    browser = await enter(ticket)
    clock.advance(2)
    url = f"{browser.path}/ticket/{ticket.ticket_id}/approve"
    answer = await browser.client.post(url, content=body, headers={"Origin": ORIGIN})
    assert answer.status_code == 403
    assert await state_of(ticket) is TicketState.OPEN


async def test_the_page_of_one_ticket_leads_nowhere_else(
    enter: Enter, propose: Propose, state_of: StateOf, store: SqliteStore, clock: ManualClock
) -> None:
    mine, other = await propose(quantity=1), await propose(quantity=2)
    browser = await enter(mine)
    clock.advance(2)
    csrf = browser.csrf
    posts = [f"/ticket/{other.ticket_id}/approve", f"/ticket/{other.ticket_id}/decline", "/halt"]
    answers = [await browser.post(path, csrf=csrf) for path in posts]
    answers.append(await browser.post("/resume", csrf=csrf, sure="yes"))
    assert [answer.status_code for answer in answers] == [403] * 4, "the token of a question is good for no other form"
    for path in (f"/ticket/{other.ticket_id}", f"/ticket/{other.ticket_id}/state", "/panel/journal", "/panel/tickets"):
        answer = await browser.client.get(f"{browser.path}{path}")
        assert answer.status_code == 404
        assert "MES" not in answer.text
    assert await state_of(other) is TicketState.OPEN
    assert await store.halt() is None


async def test_what_is_loaded_is_only_what_belongs_to_the_pages(stranger: httpx.AsyncClient) -> None:
    kinds = {
        name: (await stranger.get(f"/assets/{name}")).headers["content-type"]
        for name in ("console.css", "console.js", "icon.svg")
    }
    assert kinds["console.css"].startswith("text/css")
    assert kinds["console.js"].startswith("text/javascript")
    assert kinds["icon.svg"].startswith("image/svg+xml")
    for name in ("app.py", "..%2fapp.py", "console.css%00", ""):
        assert (await stranger.get(f"/assets/{name}")).status_code == 404


# The gate: nothing that was not meant for this address, by a page of its own; nothing goes out unprotected


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:4711", "localhost:4711", "127.0.0.1:4712", "127.0.0.1", "127.0.0.1:4711."]
)
async def test_a_foreign_host_is_refused(stranger: httpx.AsyncClient, host: str) -> None:
    answer = await stranger.get("/assets/console.css", headers={"Host": host})
    assert answer.status_code == 421


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:4712", "https://127.0.0.1:4711", ""]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_foreign_origin_is_refused(enter: Enter, propose: Propose, method: str, origin: str) -> None:
    browser = await enter(await propose())
    headers = {"Origin": origin}
    answer = await browser.client.request(method, f"{browser.path}/", headers=headers)
    assert answer.status_code == 403


async def test_a_post_that_does_not_say_where_it_comes_from_is_refused(
    enter: Enter, propose: Propose, state_of: StateOf
) -> None:
    ticket = await propose()
    browser = await enter(ticket)
    url = f"{browser.path}/ticket/{ticket.ticket_id}/decline"
    answer = await browser.client.post(url, data={"csrf": browser.csrf})
    assert answer.status_code == 403
    assert await state_of(ticket) == "open"


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
async def test_nothing_but_looking_and_posting_is_answered(stranger: httpx.AsyncClient, method: str) -> None:
    assert (await stranger.request(method, "/assets/console.css")).status_code == 405


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_what_another_page_of_this_machine_asks_for_is_refused(enter: Enter, site: str) -> None:
    browser = await enter()
    headers = {"Sec-Fetch-Site": site}
    answer = await browser.client.get(f"{browser.path}/", headers=headers)
    assert answer.status_code == 403


@pytest.mark.parametrize("header", ["Sec-Purpose", "Purpose"])
async def test_looking_ahead_does_not_use_an_address_up(
    stranger: httpx.AsyncClient, sessions: SessionStore, clock: ManualClock, propose: Propose, header: str
) -> None:
    ticket = await propose()
    token = sessions.issue(ticket.ticket_id, ticket.expires_at)
    ahead = await stranger.get(f"/open/{token}", headers={header: "prefetch;prerender"})
    come = await stranger.get(f"/open/{token}", headers={"Sec-Fetch-Site": "cross-site"})
    assert (ahead.status_code, come.status_code) == (403, 200)


@pytest.mark.parametrize(
    "path", ["/", "/assets/console.js", "/assets/none", "/open/none", "/s/none/", "/s/none/ticket/none"]
)
@pytest.mark.parametrize("host", ["127.0.0.1:4711", "evil.example"])
async def test_every_answer_may_not_be_framed_kept_or_load_anything_from_elsewhere(
    stranger: httpx.AsyncClient, path: str, host: str
) -> None:
    answer = await stranger.get(path, headers={"Host": host})
    assert dict(answer.headers).items() >= {name.lower(): value for name, value in HEADERS.items()}.items()
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cache-control"] == "no-store"


async def test_no_page_holds_a_script_or_a_style_of_its_own(enter: Enter, propose: Propose) -> None:
    """With this policy a browser would not run it, and an injected one would not run either."""
    ticket = await propose()
    for browser in (await enter(ticket), await enter()):
        assert (
            browser.page.count("<script") == browser.page.count('<script src="/assets/console.js" defer></script>') == 1
        )
        assert "<style" not in browser.page
        assert " style=" not in browser.page
        assert " onclick" not in browser.page


async def test_the_referrer_of_the_one_time_address_goes_nowhere(
    stranger: httpx.AsyncClient, sessions: SessionStore, propose: Propose
) -> None:
    ticket = await propose()
    answer = await stranger.get(f"/open/{sessions.issue(ticket.ticket_id, ticket.expires_at)}")
    assert answer.headers["referrer-policy"] == "no-referrer"


async def test_a_socket_is_no_page(desk: Desk, store: SqliteStore, sessions: SessionStore) -> None:
    said: list[Message] = []

    async def hear() -> Message:
        return {"type": "websocket.connect"}

    async def say(message: Message) -> None:
        said.append(message)

    app = web_app(desk, store, sessions, "127.0.0.1:4711")
    await app({"type": "websocket", "path": "/", "headers": []}, hear, say)
    assert all("200" not in str(message) for message in said)
    assert said[0]["type"] == "websocket.http.response.start"
