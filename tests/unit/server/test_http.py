"""MCP over HTTP: who is let in, what all clients share, and how it ends; on a real socket wherever that matters."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitResult

from ct_mcp import __version__
from ct_mcp.cli.http_settings import MOST_CONNECTIONS
from ct_mcp.desk.desk import Desk
from ct_mcp.guard.policy import Mode, Policy
from ct_mcp.net.asgi import listen, serve
from ct_mcp.server.app import build_server
from ct_mcp.server.context import ServerContext
from ct_mcp.server.http import LARGEST_BODY, HttpAccess, HttpServer
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.sqlite import SqliteStore

KEY = "the-token-of-the-clients-and-of-nobody-else"
HELD = {"Authorization": f"Bearer {KEY}"}
HERE = "127.0.0.1:8421"
ACCEPTED = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
BUY = {"account": "Sim101", "instrument": "MES", "action": "BUY", "quantity": 1, "order_type": "MARKET"}
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}},
}
PING = {"jsonrpc": "2.0", "id": 2, "method": "ping"}

Join = Callable[..., AbstractAsyncContextManager[Client]]


@dataclass
class House:
    """One server on a socket of this machine, and the way in."""

    http: HttpServer
    authority: str
    desks: list[Desk] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it speaks MCP."""
        return f"http://{self.authority}/mcp"

    @asynccontextmanager
    async def joined(self, era: str, person: Any = None, name: str = "client") -> AsyncIterator[Client]:
        """Connect the SDK's own client, with the token."""
        async with (
            httpx2.AsyncClient(headers={**HELD, "X-Client": name}, timeout=60) as wire,
            Client(streamable_http_client(self.url, http_client=wire), mode=era, elicitation_callback=person) as client,
        ):
            yield client

    def raw(self) -> httpx.AsyncClient:
        """A program that speaks plain HTTP, with the token."""
        return httpx.AsyncClient(base_url=f"http://{self.authority}", headers={**HELD, **ACCEPTED}, timeout=60)


Build = Callable[..., AbstractAsyncContextManager[House]]


@pytest.fixture
def build(desk: Desk, policy: Policy) -> Build:
    """Put a server on a socket: ``build()``; it is taken down, not opened, by the test that wants to see that."""

    @asynccontextmanager
    async def built(**more: Any) -> AsyncIterator[House]:
        desks: list[Desk] = []

        def build_desk() -> Desk:
            desks.append(desk)
            return desk

        context = ServerContext(build_desk, policy)
        made: list[HttpServer] = []

        def app(authority: str) -> Any:
            made.append(HttpServer(build_server(context), context, HttpAccess(frozenset({authority}), KEY), **more))
            return made[0].app

        with anyio.fail_after(60):
            async with serve(app, listen(most=MOST_CONNECTIONS)) as authority:
                yield House(made[0], authority, desks)

    return built


@pytest.fixture
async def house(build: Build) -> AsyncIterator[House]:
    """A server that answers."""
    async with build() as built, built.http.opened():
        yield built


def structure(result: Any) -> dict[str, Any]:
    """The structured half of an answer."""
    return dict(result.structured_content or {})


# Who is let in


@pytest.fixture
async def door(desk: Desk, policy: Policy) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody before the open server, in process, who has sent nothing yet."""
    context = ServerContext(lambda: desk, policy)
    http = HttpServer(build_server(context), context, HttpAccess(frozenset({HERE, "localhost:8421"}), KEY))
    transport = httpx.ASGITransport(app=http.app)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{HERE}") as client, http.opened():
        yield client


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": ""}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": f"Bearer {KEY}x"}, 401),
        ({"Authorization": f"Bearer {KEY[:-1]}"}, 401),
        ({"Authorization": f"Basic {KEY}"}, 401),
        ({"Authorization": KEY}, 401),
        ({"Authorization": b"Bearer \xff\xfe"}, 401),
        ({**HELD, "Host": "evil.example"}, 421),
        ({**HELD, "Host": "127.0.0.1"}, 421),
        ({**HELD, "Host": "127.0.0.1:8422"}, 421),
        ({**HELD, "Host": "127.0.0.1:8421.evil.example"}, 421),
        ({**HELD, "Host": ""}, 421),
        ({**HELD, "Origin": "https://evil.example"}, 403),
        ({**HELD, "Origin": "null"}, 403),
        ({**HELD, "Origin": "http://127.0.0.1:9999"}, 403),
        ({**HELD, "Origin": f"https://{HERE}"}, 403),
        ({**HELD, "Sec-Fetch-Site": "cross-site"}, 403),
        ({**HELD, "Sec-Fetch-Site": "same-site"}, 403),
    ],
)
@pytest.mark.parametrize("path", ["/mcp", "/health"])
async def test_whoever_is_not_a_client_of_this_machine_gets_nothing(
    door: httpx.AsyncClient, path: str, headers: dict[str, Any], status: int
) -> None:
    answer = await door.post(path, json=HELLO, headers={**ACCEPTED, **headers})
    assert answer.status_code == status
    assert "mcp-session-id" not in answer.headers
    assert KEY not in answer.text


@pytest.mark.parametrize(
    ("pairs", "status"),
    [
        ([("Host", HERE), ("Host", HERE), ("Authorization", f"Bearer {KEY}")], 421),
        ([("Host", HERE), ("Authorization", f"Bearer {KEY}"), ("Authorization", f"Bearer {KEY}")], 401),
        ([("Host", HERE), ("Origin", f"http://{HERE}"), ("Origin", "null"), ("Authorization", f"Bearer {KEY}")], 403),
    ],
)
async def test_a_header_that_comes_twice_proves_nothing(
    door: httpx.AsyncClient, pairs: list[tuple[str, str]], status: int
) -> None:
    answer = await door.post("/mcp", json=HELLO, headers=httpx.Headers([*pairs, *ACCEPTED.items()]))
    assert answer.status_code == status


async def test_without_a_token_the_answer_says_what_is_missing(door: httpx.AsyncClient) -> None:
    missing = await door.post("/mcp", json=HELLO)
    wrong = await door.post("/mcp", json=HELLO, headers={"Authorization": "Bearer wrong"})
    assert missing.headers["WWW-Authenticate"] == 'Bearer realm="ct-mcp"'
    assert wrong.headers["WWW-Authenticate"] == 'Bearer realm="ct-mcp", error="invalid_token"'


@pytest.mark.parametrize("host", [HERE, "localhost:8421", "LOCALHOST:8421"])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
async def test_a_client_of_this_machine_is_let_in(door: httpx.AsyncClient, host: str, scheme: str) -> None:
    headers = {**ACCEPTED, "Authorization": f"{scheme} {KEY}", "Host": host}
    answer = await door.get("/health", headers=headers)
    assert answer.json()["status"] == "ok"


@pytest.mark.parametrize("path", ["/", "/mcp/", "/mcp/x", "/.well-known/oauth-protected-resource", "/sse", "/healthz"])
async def test_there_is_nothing_else(door: httpx.AsyncClient, path: str) -> None:
    """Without a token too, so that a client that looks for a sign-in learns at once that there is none."""
    answer = await door.get(path)
    assert answer.status_code == 404
    assert "location" not in answer.headers


async def test_no_page_of_another_origin_is_ever_invited(door: httpx.AsyncClient) -> None:
    wish = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    for headers in (wish, {**wish, **HELD}):
        answer = await door.options("/mcp", headers=headers)
        assert answer.status_code == 403
        assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_answers_are_kept_by_nobody(door: httpx.AsyncClient) -> None:
    for answer in (await door.get("/health"), await door.get("/mcp"), await door.post("/mcp", headers=HELD)):
        assert "no-store" in answer.headers["Cache-Control"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_health_says_only_ok_to_those_without_the_token(door: httpx.AsyncClient) -> None:
    assert (await door.get("/health")).text == "ok"
    assert (await door.head("/health")).status_code == 200
    assert (await door.get("/health", headers={"Authorization": "Bearer wrong"})).status_code == 401
    assert (await door.post("/health", headers=HELD)).status_code == 405


async def test_health_tells_version_uptime_and_mode_to_a_client(desk: Desk) -> None:
    policy, times = Policy(mode=Mode.READ_ONLY), iter((100.0, 163.9))
    context = ServerContext(lambda: desk, policy)
    entrance = HttpAccess(frozenset({HERE}), KEY)
    http = HttpServer(build_server(context), context, entrance, clock=lambda: next(times))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=http.app), base_url=f"http://{HERE}") as client:
        async with http.opened():
            told = (await client.get("/health", headers=HELD)).json()
        assert told == {"status": "ok", "version": __version__, "uptime_seconds": 63, "mode": "read_only"}
        assert (await client.get("/health", headers=HELD)).status_code == 503, "it has ended"


async def test_the_token_shows_in_no_representation() -> None:
    assert KEY not in repr(HttpAccess(frozenset({HERE}), KEY))


async def test_a_body_that_is_too_large_is_refused_before_it_is_read(house: House) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(LARGEST_BODY // 1024 + 1):
            yield b" " * 1024

    async with house.raw() as raw:
        said = await raw.post("/mcp", content=b" " * (LARGEST_BODY + 1))
        streamed = await raw.post("/mcp", content=endless())
        assert (said.status_code, streamed.status_code) == (413, 413)


async def test_a_conversation_helps_nobody_without_the_token(house: House) -> None:
    async with house.raw() as raw:
        kept = (await raw.post("/mcp", json=HELLO)).headers["mcp-session-id"]
        assert (await raw.post("/mcp", json=PING, headers={"mcp-session-id": kept})).status_code == 200
        for token in ("", "Bearer wrong"):
            stolen = {"mcp-session-id": kept, "Authorization": token}
            for method in ("POST", "GET", "DELETE"):
                answer = await raw.request(method, "/mcp", json=PING, headers=stolen)
                assert answer.status_code == 401
        assert (await raw.post("/mcp", json=PING, headers={"mcp-session-id": "f" * 32})).status_code == 404


async def test_a_conversation_of_which_nothing_is_heard_ends(build: Build) -> None:
    async with build(idle_seconds=1e-6) as house, house.http.opened(), house.raw() as raw:
        kept = {"mcp-session-id": (await raw.post("/mcp", json=HELLO)).headers["mcp-session-id"]}
        while (await raw.post("/mcp", json=PING, headers=kept)).status_code != 404:
            pass
        assert (await raw.post("/mcp", json=HELLO)).status_code == 200, "a new one can begin"


async def test_the_token_is_never_logged(house: House, era: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpcore").setLevel(logging.WARNING)  # the test's own client
    async with house.joined(era) as client:
        await client.call_tool("get_positions", {})
    async with house.raw() as raw:
        await raw.post(f"/mcp?token={KEY}", json=HELLO, headers={"Host": "evil.example"})
        await raw.post("/mcp", content=b"no JSON")
    ours = [record for record in caplog.records if not record.name.startswith("httpx")]
    assert ours
    assert KEY not in " ".join(record.getMessage() for record in ours)


# What clients do, and share


async def test_an_order_is_asked_about_by_a_form_and_filled(
    house: House, era: str, person: Any, sim: Simulator
) -> None:
    async with house.joined(era, person) as client:
        placed = structure(await client.call_tool("place_order", BUY))
        assert (placed["status"], placed["filled_quantity"]) == ("filled", 1)
    assert len(person.asked) == 1
    assert len(sim.exchange.orders) == 1


async def test_what_one_client_proposed_the_other_sends_after_the_yes(
    house: House, era: str, desk: Desk, store: SqliteStore, sim: Simulator, clock: ManualClock
) -> None:
    async with house.joined(era, name="one") as one, house.joined("auto", name="other") as other:
        proposed = structure(await one.call_tool("place_order", BUY))
        again = structure(await other.call_tool("place_order", BUY))
        assert proposed["status"] == "needs_approval"
        assert again["ticket_id"] == proposed["ticket_id"], "two clients that want the same want one order"

        ticket = await desk.ticket(proposed["ticket_id"])
        phrase = ticket.question.split("type:")[1].splitlines()[0].strip()
        assert await desk.decisions.take(ticket, phrase, "test")
        sent = structure(await other.call_tool("confirm_ticket", {"ticket_id": ticket.ticket_id}))
        held = structure(await one.call_tool("get_positions", {}))
    assert (sent["status"], len(held["positions"])) == ("filled", 1)
    assert len(sim.exchange.orders) == 1
    assert len(house.desks) == 1, "one desk, and with it one budget and one store"


@pytest.mark.slow
async def test_one_budget_serves_all_clients(house: House, sim: Simulator, clock: ManualClock) -> None:
    """The simulator takes twenty requests at once from one token, and answers 429 to the next."""
    began, refused = clock(), []

    async def read(client: Client, count: int) -> None:
        if (await client.call_tool("get_bars", {"instrument": "MES", "count": count})).is_error:
            refused.append(count)

    async with (
        house.joined("auto", name="one") as one,
        house.joined("legacy", name="other") as other,
        anyio.create_task_group() as tasks,
    ):
        for count in range(1, 16):
            tasks.start_soon(read, one, count)
            tasks.start_soon(read, other, 100 + count)
    assert (len(house.desks), refused) == (1, [])
    assert len(sim.requests_of("GetBars")) == 30
    assert clock() > began, "thirty are more than may be sent at once"


async def test_each_client_is_asked_its_own_questions(house: House, person: Any, clock: ManualClock) -> None:
    """The form goes to the client that called, however many listen."""
    asked: dict[str, list[str]] = {"one": [], "other": []}

    def asks(name: str) -> Any:
        async def answer(context: object, params: Any) -> Any:
            asked[name].append(params.message)
            return await person(context, params)

        return answer

    async with house.joined("legacy", asks("one")) as one, house.joined("legacy", asks("other")) as other:
        await other.call_tool("place_order", BUY)
        clock.advance(11)
        await one.call_tool("place_order", {**BUY, "instrument": "ES"})
    assert [len(asked[name]) for name in ("one", "other")] == [1, 1]
    assert "MES" in asked["other"][0]


async def test_a_client_that_shows_no_forms_spoils_them_for_no_other_of_its_name(
    house: House, person: Any, clock: ManualClock
) -> None:
    """Two windows of one program: one declines by itself before anybody can have read, the other has a person."""

    async def declines(_: object, __: object) -> ElicitResult:
        return ElicitResult(action="decline")

    async with house.joined("legacy", declines) as one, house.joined("legacy", person) as other:
        declined = structure(await one.call_tool("place_order", BUY))
        sent = structure(await other.call_tool("place_order", {**BUY, "instrument": "ES"}))
    assert (declined["status"], sent["status"]) == ("needs_approval", "filled")


# How it ends


@asynccontextmanager
async def ending(house: House, grace_seconds: float) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Open the server until the given call; it comes back once the server has begun to end."""
    leave = anyio.Event()

    async def open_until_told() -> None:
        async with house.http.opened(grace_seconds):
            opened.set()
            await leave.wait()

    async def end() -> None:
        leave.set()
        async with house.raw() as raw:
            while (await raw.get("/health")).status_code != 503:
                pass

    opened = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(open_until_told)
        await opened.wait()
        yield end


@pytest.mark.parametrize("grace_seconds", [20.0, 0.0], ids=["finishing", "called back"])
async def test_an_order_under_way_is_finished_and_written_down(
    build: Build, era: str, grace_seconds: float, sim: Simulator, store: SqliteStore
) -> None:
    answers: list[dict[str, Any]] = []
    sim.faults.arm(Fault.SLOW_ANSWER, rpc="Flatten")

    async def flatten(house: House) -> None:
        async with house.joined(era) as client:
            await client.list_tools()  # else it asks for the schemas once the answer is there, and in vain
            answers.append(structure(await client.call_tool("flatten", {"account": "Sim101"})))

    async with build() as house, anyio.create_task_group() as tasks, ending(house, grace_seconds) as end:
        tasks.start_soon(flatten, house)
        await sim.faults.slow_answer_waits()
        await end()
        sim.faults.disarm()
    assert (await store.entries(limit=1))[0].kind == "answered"
    assert len(sim.requests_of("Flatten")) == 1
    assert [answer["status"] for answer in answers] == ["flat"], "and the client was told"


async def test_a_wait_for_the_person_does_not_hold_up_the_end(build: Build, sim: Simulator) -> None:
    never = anyio.Event()

    async def thinks(_: object, __: object) -> Any:
        asked.set()
        await never.wait()

    asked, told = anyio.Event(), anyio.Event()
    async with build() as house, anyio.create_task_group() as tasks, ending(house, 0.0) as end:

        async def ask() -> None:
            async with house.joined("legacy", thinks) as client:
                with pytest.raises(MCPError, match="The server is ending"):
                    await client.call_tool("place_order", BUY)
                told.set()

        tasks.start_soon(ask)
        await asked.wait()
        await end()
        await told.wait()
        tasks.cancel_scope.cancel()
    assert sim.exchange.orders == []


async def test_whoever_listens_is_let_go_without_a_complaint(build: Build, caplog: pytest.LogCaptureFixture) -> None:
    async with build() as house, house.raw() as raw, ending(house, 20.0) as end:
        kept = {"mcp-session-id": (await raw.post("/mcp", json=HELLO)).headers["mcp-session-id"]}
        await raw.post("/mcp", json={"jsonrpc": "2.0", "method": "notifications/initialized"}, headers=kept)
        async with raw.stream("GET", "/mcp", headers=kept) as stream:
            await end()
            assert [line async for line in stream.aiter_lines() if line.startswith("data")] == []
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_before_it_opens_and_after_it_ended_it_says_so(build: Build) -> None:
    async with build() as house, house.raw() as raw:
        assert (await raw.post("/mcp", json=HELLO)).status_code == 503
        async with house.http.opened():
            assert (await raw.post("/mcp", json=HELLO)).status_code == 200
        assert (await raw.post("/mcp", json=HELLO)).status_code == 503
        assert (await raw.get("/health")).status_code == 503


@pytest.mark.slow
async def test_sixty_four_calls_at_once_are_all_answered(house: House, era: str) -> None:
    answers: list[Any] = []
    async with house.joined(era, name="one") as one, house.joined(era, name="other") as other:
        for client in (one, other):
            await client.list_tools()  # else each of the calls asks for the schemas as well

        async def ask(client: Client, number: int) -> None:
            tool, given = ("get_positions", {"account": "Sim101"}) if number % 2 else ("get_journal", {"limit": 1})
            answers.append(await client.call_tool(tool, given))

        async with anyio.create_task_group() as group:
            for number in range(64):
                group.start_soon(ask, one if number % 4 < 2 else other, number)
    assert len(answers) == 64
    assert not any(answer.is_error for answer in answers)


async def test_calls_taken_back_in_the_middle_leave_the_others_and_the_server_whole(
    house: House, era: str, sim: Simulator
) -> None:
    answers: list[Any] = []
    taken_back = anyio.CancelScope()
    async with house.joined(era) as client:

        async def ask(account: str) -> None:
            answers.append(await client.call_tool("get_positions", {"account": account}))

        async def ask_and_give_up() -> None:
            with taken_back:
                async with anyio.create_task_group() as impatient:
                    for _ in range(32):
                        impatient.start_soon(ask, "Sim101")

        await client.call_tool("get_accounts", {})
        sim.faults.arm(Fault.SLOW_ANSWER, rpc="ListPositions")
        async with anyio.create_task_group() as group:
            group.start_soon(ask_and_give_up)
            for _ in range(32):
                group.start_soon(ask, "Sim101")
            await sim.faults.slow_answer_waits()
            taken_back.cancel()
            sim.faults.disarm()
        assert len(answers) == 32
        assert not any(answer.is_error for answer in answers)
        assert not (await client.call_tool("get_status", {})).is_error
