"""Who gets in: a fresh address once, its cookie afterwards, and to decide a form of ours."""

import re
from datetime import timedelta

import httpx
import pytest

from ct_mcp.console.keys import Keys
from ct_mcp.domain.ticket import TicketState
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.store.journal import EntryKind
from ct_mcp.store.sqlite import SqliteStore

ORIGIN = "http://127.0.0.1:4711"


async def test_a_fresh_address_becomes_a_strict_cookie_for_its_own_path(stranger, keys: Keys, propose) -> None:
    ticket = await propose()
    answer = await stranger.get(f"/open/{keys.issue(ticket.ticket_id, ticket.expires_at)}")
    cookie = answer.headers["set-cookie"].lower()
    (path,) = re.findall(r"0;url=(/s/[^/]+)/", answer.text)
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert f"path={path.lower()}" in cookie
    assert "domain" not in cookie


async def test_a_second_use_of_the_address_kills_the_ticket(
    stranger, keys: Keys, propose, state_of, store: SqliteStore
) -> None:
    ticket = await propose()
    token = keys.issue(ticket.ticket_id, ticket.expires_at)
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


async def test_an_approved_ticket_dies_as_well_when_its_address_comes_again(
    stranger, keys: Keys, propose, state_of, desk
) -> None:
    ticket = await propose()
    token = keys.issue(ticket.ticket_id, ticket.expires_at)
    await stranger.get(f"/open/{token}")
    await desk.decisions.approve(ticket, "page")
    await stranger.get(f"/open/{token}")
    assert await state_of(ticket) is TicketState.DECLINED


async def test_a_second_use_of_the_consoles_address_closes_it(stranger, keys: Keys, clock, store: SqliteStore) -> None:
    token = keys.issue(None, clock() + timedelta(minutes=1))
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


async def test_an_address_that_comes_too_late_opens_nothing(stranger, keys: Keys, clock: ManualClock) -> None:
    token = keys.issue(None, clock() + timedelta(minutes=1))
    clock.advance(60)
    answer = await stranger.get(f"/open/{token}")
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("deed", ["approve", "decline"])
async def test_without_the_cookie_nothing_is_shown_and_nothing_decided(
    enter, stranger, propose, state_of, clock: ManualClock, deed: str
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


async def test_the_cookie_of_one_page_does_not_open_another(enter, propose, state_of, clock: ManualClock) -> None:
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
    enter, propose, state_of, clock: ManualClock, csrf: str, deed: str
) -> None:
    ticket = await propose()
    browser = await enter(ticket)
    clock.advance(2)
    answer = await browser.post(f"/ticket/{ticket.ticket_id}/{deed}", csrf=csrf)
    assert answer.status_code == 403
    assert await state_of(ticket) is TicketState.OPEN


@pytest.mark.parametrize("body", ["", "&" * 50, "csrf", "%", "csrf=%ff", "a=1&" * 30])
async def test_a_body_that_is_no_form_decides_nothing(enter, propose, state_of, clock: ManualClock, body: str) -> None:
    ticket = await propose()
    browser = await enter(ticket)
    clock.advance(2)
    url = f"{browser.path}/ticket/{ticket.ticket_id}/approve"
    answer = await browser.client.post(url, content=body, headers={"Origin": ORIGIN})
    assert answer.status_code == 403
    assert await state_of(ticket) is TicketState.OPEN


async def test_the_page_of_one_ticket_leads_nowhere_else(enter, propose, state_of, store: SqliteStore, clock) -> None:
    mine, other = await propose(quantity=1), await propose(quantity=2)
    browser = await enter(mine)
    clock.advance(2)
    csrf = browser.csrf
    posts = [f"/ticket/{other.ticket_id}/approve", f"/ticket/{other.ticket_id}/decline", "/halt"]
    answers = [await browser.post(path, csrf=csrf) for path in posts]
    answers.append(await browser.post("/resume", csrf=csrf, sure="yes"))
    assert [answer.status_code for answer in answers] == [404] * 4
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
