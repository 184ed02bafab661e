"""Nothing comes through that was not meant for this address, by a page of its own; nothing goes out unprotected."""

import httpx
import pytest

from ct_mcp.console.gate import HEADERS

ORIGIN = "http://127.0.0.1:4711"


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
async def test_a_foreign_origin_is_refused(enter, propose, method: str, origin: str) -> None:
    browser = await enter(await propose())
    headers = {"Origin": origin}
    answer = await browser.client.request(method, f"{browser.path}/", headers=headers)
    assert answer.status_code == 403


async def test_a_post_that_does_not_say_where_it_comes_from_is_refused(enter, propose, state_of) -> None:
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
async def test_what_another_page_of_this_machine_asks_for_is_refused(enter, site: str) -> None:
    browser = await enter()
    headers = {"Sec-Fetch-Site": site}
    answer = await browser.client.get(f"{browser.path}/", headers=headers)
    assert answer.status_code == 403


@pytest.mark.parametrize("header", ["Sec-Purpose", "Purpose"])
async def test_looking_ahead_does_not_use_an_address_up(stranger, keys, clock, propose, header: str) -> None:
    ticket = await propose()
    token = keys.issue(ticket.ticket_id, ticket.expires_at)
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


async def test_no_page_holds_a_script_or_a_style_of_its_own(enter, propose) -> None:
    """With this policy a browser would not run it, and an injected one would not run either."""
    ticket = await propose()
    for browser in (await enter(ticket), await enter()):
        assert (
            browser.page.count("<script") == browser.page.count('<script src="/assets/console.js" defer></script>') == 1
        )
        assert "<style" not in browser.page
        assert " style=" not in browser.page
        assert " onclick" not in browser.page


async def test_the_referrer_of_the_one_time_address_goes_nowhere(stranger, keys, propose) -> None:
    ticket = await propose()
    answer = await stranger.get(f"/open/{keys.issue(ticket.ticket_id, ticket.expires_at)}")
    assert answer.headers["referrer-policy"] == "no-referrer"


async def test_a_socket_is_no_page(desk, store, keys) -> None:
    from ct_mcp.console.app import console_app  # noqa: PLC0415

    said: list[dict[str, object]] = []

    async def hear() -> dict[str, object]:
        return {"type": "websocket.connect"}

    async def say(message: dict[str, object]) -> None:
        said.append(message)

    app = console_app(desk, store, keys, "127.0.0.1:4711")
    await app({"type": "websocket", "path": "/", "headers": []}, hear, say)
    assert all("200" not in str(message) for message in said)
    assert said[0]["type"] == "websocket.http.response.start"
