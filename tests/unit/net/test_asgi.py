"""The embedded server: a socket of this machine, an application behind it, and an end that is in nobody's way."""

import asyncio
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from ct_mcp.net.asgi import LOOPBACK, Tls, authority_of, listen, serve
from ct_mcp.net.connections import Listener, raise_file_limit


def app_at(authority: str) -> ASGIApp:
    """An application that says where it thinks it is, and who has come."""

    async def tell(request: Request) -> PlainTextResponse:
        assert request.client is not None
        return PlainTextResponse(f"{authority} {request.client.host} {request.url.scheme}")

    return Starlette(routes=[Route("/", tell)])


async def test_it_is_served_at_the_authority_that_it_was_made_for() -> None:
    with anyio.fail_after(20):
        async with serve(app_at, listen()) as authority, httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"http://{authority}/", headers={"X-Forwarded-For": "192.0.2.1"})
    assert authority.startswith(f"{LOOPBACK}:")
    assert answer.text == f"{authority} {LOOPBACK} http", "whoever has come cannot say that they are another"
    assert "server" not in answer.headers


async def test_after_the_block_nobody_listens_any_more() -> None:
    with anyio.fail_after(20):
        async with serve(app_at, listen()) as authority:
            pass
        async with httpx.AsyncClient(trust_env=False) as client:
            with pytest.raises(httpx.ConnectError):
                await client.get(f"http://{authority}/")


async def test_an_answer_that_never_ends_does_not_hold_up_the_end() -> None:
    started = anyio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"first"
        started.set()
        await anyio.sleep_forever()

    async def answer(_: Request) -> StreamingResponse:
        return StreamingResponse(endless())

    async def read(url: str) -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get(url)

    with anyio.fail_after(20):
        async with (
            anyio.create_task_group() as tasks,
            serve(lambda _: Starlette(routes=[Route("/", answer)]), listen()) as authority,
        ):
            tasks.start_soon(read, f"http://{authority}/")
            await started.wait()


async def test_a_server_that_is_cancelled_still_closes_its_socket() -> None:
    listener = listen()
    with anyio.fail_after(20):
        with anyio.CancelScope() as scope:
            async with serve(app_at, listener):
                scope.cancel()
                await anyio.sleep_forever()
    assert listener.fileno() == -1


def test_a_port_that_is_taken_is_not_shared() -> None:
    with listen() as taken, pytest.raises(OSError, match=r"in use|denied|permitted"):
        listen(taken.getsockname()[1])


def test_an_address_of_another_machine_is_none_to_listen_at() -> None:
    with pytest.raises(OSError, match=r"\S"):
        listen(address="192.0.2.1")


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine speaks no IPv6")
def test_an_address_of_version_six_stands_in_brackets() -> None:
    try:
        listener = listen(address="::1")
    except OSError:
        pytest.skip("this machine has no address of version six")
    with listener:
        assert authority_of(listener) == f"[::1]:{listener.getsockname()[1]}"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """A certificate for this machine, made by itself."""
    folder: Path = tmp_path_factory.mktemp("tls")
    made = Tls(str(folder / "certificate.pem"), str(folder / "key.pem"))
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    try:
        subprocess.run(
            [*command, *names, "-keyout", made.key, "-out", made.certificate], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"no openssl to make a certificate with on {sys.platform}")
    return made


async def test_with_a_certificate_it_speaks_tls_alone(tls: Tls) -> None:
    trusting = ssl.create_default_context(cafile=tls.certificate)
    with anyio.fail_after(20):
        async with (
            serve(app_at, listen(), tls) as authority,
            httpx.AsyncClient(trust_env=False, verify=trusting) as client,
        ):
            assert (await client.get(f"https://{authority}/")).text.endswith("https")
            with pytest.raises(httpx.HTTPError):
                await client.get(f"http://{authority}/")


def silent(authority: str, said: bytes = b"") -> socket.socket:
    """Connect, say this and nothing more."""
    host, port = authority.split(":")
    connection = socket.create_connection((host, int(port)), timeout=60)
    connection.sendall(said)
    return connection


def is_closed(connection: socket.socket) -> bool:
    """Whether the other end has closed it; waits for what it says."""
    try:
        return connection.recv(4096) == b""
    except ConnectionError:
        return True


@pytest.mark.skipif(sys.platform == "win32", reason="there the event loop accepts by itself: by hand")
async def test_beyond_its_most_connections_a_listener_closes_at_once_and_goes_on_when_they_leave() -> None:
    with anyio.fail_after(60):
        async with serve(app_at, listen(most=3)) as authority:
            held = [await anyio.to_thread.run_sync(silent, authority) for _ in range(3)]
            for _ in range(20):
                with await anyio.to_thread.run_sync(silent, authority) as beyond:
                    assert await anyio.to_thread.run_sync(is_closed, beyond)
            for connection in held:
                connection.close()
            async with httpx.AsyncClient(trust_env=False) as client:
                while not await answers(client, authority):
                    await anyio.lowlevel.checkpoint()


@pytest.mark.skipif(sys.platform == "win32", reason="there the event loop accepts by itself: by hand")
async def test_who_asks_for_something_gets_in_past_those_who_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ct_mcp.net.connections.SECONDS_TO_SPEAK", 0.0)
    with anyio.fail_after(60):
        async with serve(app_at, listen(most=3)) as authority, httpx.AsyncClient(trust_env=False) as client:
            assert await answers(client, authority)
            held = [await anyio.to_thread.run_sync(silent, authority) for _ in range(20)]
            assert await anyio.to_thread.run_sync(is_closed, held[0]), "the eldest made room"
            assert await answers(client, authority), "whoever asked for something was not ended for them"
            async with httpx.AsyncClient(trust_env=False) as another:
                assert await answers(another, authority)
            for connection in held:
                connection.close()


async def answers(client: httpx.AsyncClient, authority: str) -> bool:
    """Whether a request is answered, and not closed."""
    try:
        return (await client.get(f"http://{authority}/")).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\nG",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nof 9",
    ],
    ids=["nothing", "half a request", "one and the first letter of another", "half of what nobody reads"],
)
async def test_a_connection_that_asks_for_nothing_is_ended(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ct_mcp.net.asgi.REQUEST_WITHIN_SECONDS", 0.05)
    with anyio.fail_after(60):
        async with serve(app_at, listen()) as authority:
            with await anyio.to_thread.run_sync(silent, authority, said) as connection:
                while not await anyio.to_thread.run_sync(is_closed, connection):
                    pass


async def test_an_answer_may_take_longer_than_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ct_mcp.net.asgi.REQUEST_WITHIN_SECONDS", 0.01)

    async def slow(_: Request) -> PlainTextResponse:
        over = anyio.Event()
        asyncio.get_running_loop().call_later(0.05, over.set)
        await over.wait()
        return PlainTextResponse("late")

    with anyio.fail_after(60):
        async with (
            serve(lambda _: Starlette(routes=[Route("/", slow)]), listen()) as authority,
            httpx.AsyncClient(trust_env=False) as client,
        ):
            assert (await client.get(f"http://{authority}/")).text == "late"


@pytest.mark.skipif(sys.platform == "win32", reason="files have no such limit there: by hand")
def test_the_limit_of_files_is_raised_and_a_listener_takes_no_more_than_they_allow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resource = pytest.importorskip("resource")
    limits = [(256, 1024)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: limits.append(new))
    assert raise_file_limit() == 1024
    assert limits[-1] == (1024, 1024)
    limits.append((128, 128))
    with listen(most=128) as few:
        assert isinstance(few, Listener)
        assert few.most == 16
    limits.append((256, resource.RLIM_INFINITY))
    assert raise_file_limit() == 10_240


def test_where_files_have_no_such_limit_none_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    assert raise_file_limit() > 1000
