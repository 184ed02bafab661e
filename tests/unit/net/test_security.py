"""The gate before our applications: what is refused, in which order, and what every answer carries."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from ct_mcp.net.security import Gate, guarded, holds_token, is_same_secret

HERE = "127.0.0.1:4711"
NAMED = "desk.example:8421"
OURS = f"http://{HERE}"
TOKEN = "a-token-of-the-clients-and-of-nobody-else"


def offers(scope: Scope, _: Headers) -> Response | None:
    """There is everything but one page, and nothing but HTTP."""
    is_there = scope["type"] == "http" and scope["path"] != "/nothing"
    return None if is_there else PlainTextResponse("There is no such page.", 404)


def admits(_: Scope, headers: Headers) -> Response | None:
    """Whoever shows the token."""
    return None if holds_token(headers, TOKEN) else PlainTextResponse("This wants a token.", 401)


OPEN = Gate(frozenset({HERE, NAMED}), offers)
FOR_BROWSERS = Gate(frozenset({HERE}), offers, browsers=True, entrance="/open/")
FOR_CLIENTS = Gate(frozenset({HERE}), offers, admits)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Let whoever has come through know it."""
    await PlainTextResponse("inside", headers={"X-Own": "kept"})(scope, receive, send)


async def answer(gate: Gate, method: str = "GET", path: str = "/", **headers: str) -> httpx.Response:
    """Ask for something, with ``sec_fetch_site`` as the header of that name."""
    transport = httpx.ASGITransport(app=guarded(app, gate, {"X-Own": "not ours", "X-Every": "answer"}))
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(transport=transport, base_url=OURS) as client:
        return await client.request(method, path, headers=given)


@pytest.mark.parametrize("host", [HERE, NAMED, NAMED.upper()])
async def test_each_of_our_own_names_is_answered(host: str) -> None:
    assert (await answer(OPEN, host=host)).text == "inside"


@pytest.mark.parametrize(
    "host", ["", "127.0.0.1", "127.0.0.1:4712", f"{HERE}.evil.example", f"{HERE}.", "evil.example"]
)
async def test_a_name_that_is_not_ours_is_refused(host: str) -> None:
    assert (await answer(OPEN, host=host)).status_code == 421


@pytest.mark.parametrize("origin", ["", "null", "http://evil.example", f"https://{HERE}", "http://127.0.0.1:4712"])
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/", "/open/token"])
async def test_an_origin_that_is_not_ours_is_refused(method: str, path: str, origin: str) -> None:
    for gate in (OPEN, FOR_BROWSERS):
        assert (await answer(gate, method, path, origin=origin)).status_code == 403


async def test_our_own_origin_is_let_in_in_whatever_letters() -> None:
    for origin in (OURS, OURS.upper(), f"http://{NAMED}"):
        assert (await answer(OPEN, "POST", origin=origin)).text == "inside"


async def test_only_an_encrypted_server_has_an_encrypted_origin() -> None:
    gate = Gate(frozenset({HERE}), offers, scheme="https")
    assert (await answer(gate, origin=f"https://{HERE}")).text == "inside"
    assert (await answer(gate, origin=OURS)).status_code == 403


async def test_a_browser_must_say_where_a_post_comes_from_and_a_program_need_not() -> None:
    assert (await answer(FOR_BROWSERS, "POST")).status_code == 403
    assert (await answer(FOR_BROWSERS, "POST", origin=OURS)).text == "inside"
    assert (await answer(OPEN, "POST")).text == "inside"


@pytest.mark.parametrize(("site", "status"), [("same-origin", 200), ("none", 200), ("same-site", 403), ("", 403)])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_another_page_sends_is_refused(method: str, site: str, status: int) -> None:
    for gate in (OPEN, FOR_BROWSERS):
        assert (await answer(gate, method, origin=OURS, sec_fetch_site=site)).status_code == status


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/open/token", {}, 200),
        ("GET", "/open/token", {"sec_purpose": "prefetch;prerender"}, 403),
        ("GET", "/open/token", {"purpose": "prefetch"}, 403),
        ("POST", "/open/token", {"origin": OURS}, 403),
        ("GET", "/opened", {}, 403),
    ],
)
async def test_only_the_entrance_may_be_come_to_from_elsewhere_and_never_ahead(
    method: str, path: str, headers: Mapping[str, str], status: int
) -> None:
    assert (await answer(FOR_BROWSERS, method, path, sec_fetch_site="cross-site", **headers)).status_code == status


@pytest.mark.parametrize("header", ["host", "origin", "sec-fetch-site"])
def test_a_header_that_comes_twice_proves_nothing(header: str) -> None:
    given = [("host", HERE), ("origin", OURS), ("sec-fetch-site", "same-origin")]
    second = {"host": HERE, "origin": OURS, "sec-fetch-site": "cross-site"}[header]
    refused = FOR_BROWSERS.refusal(scope_of([*given, (header, second)]))
    assert refused is not None
    assert FOR_BROWSERS.refusal(scope_of(given)) is None


def scope_of(headers: list[tuple[str, str]], kind: str = "http") -> dict[str, Any]:
    """A request as the server hands it on."""
    return {
        "type": kind,
        "method": "GET",
        "path": "/",
        "headers": [(name.encode(), value.encode()) for name, value in headers],
    }


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/nothing", {"host": "evil.example", "origin": "null"}, 404),
        ("/", {"host": "evil.example", "origin": "null"}, 421),
        ("/", {"origin": "null"}, 403),
        ("/", {}, 401),
        ("/", {"authorization": f"Bearer {TOKEN}"}, 200),
    ],
)
async def test_the_first_refusal_is_the_answer(path: str, headers: Mapping[str, str], status: int) -> None:
    assert (await answer(FOR_CLIENTS, path=path, **headers)).status_code == status


def test_what_is_no_request_is_for_the_first_check() -> None:
    refused = OPEN.refusal(scope_of([("host", HERE)], "websocket"))
    assert refused is not None
    assert refused.status_code == 404


@pytest.mark.parametrize(("host", "own"), [(HERE, "kept"), ("evil.example", "not ours")])
async def test_every_answer_carries_our_headers_beside_its_own(host: str, own: str) -> None:
    given = await answer(OPEN, host=host)
    assert (given.headers["X-Every"], given.headers["X-Own"]) == ("answer", own)


@pytest.mark.parametrize(
    ("authorizations", "holds"),
    [
        ([f"Bearer {TOKEN}"], True),
        ([f"bearer  {TOKEN} "], True),
        ([], False),
        ([""], False),
        (["Bearer"], False),
        ([TOKEN], False),
        ([f"Basic {TOKEN}"], False),
        ([f"Bearer {TOKEN}x"], False),
        ([f"Bearer {TOKEN[:-1]}"], False),
        ([f"Bearer {TOKEN}"] * 2, False),
    ],
)
def test_a_token_is_held_by_who_shows_it_whole_and_once(authorizations: list[str], holds: bool) -> None:
    headers = Headers(raw=[(b"authorization", value.encode()) for value in authorizations])
    assert holds_token(headers, TOKEN) is holds


@pytest.mark.parametrize(
    ("given", "same"), [("secret", True), ("Secret", False), ("", False), ("é", False), ("\ud800", False)]
)
def test_secrets_are_compared_whatever_was_given(given: str, same: bool) -> None:
    assert is_same_secret(given, "secret") is same
