"""``ct-mcp serve --http`` as a process: where it listens, what it keeps and says, and how it ends."""

import argparse
import signal
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import anyio
import httpx
import httpx2
import pytest
from anyio import to_thread
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from ct_mcp.cli.http_settings import HttpAddress, address_of, client_token, open_listener, token_file
from ct_mcp.cli.runtime import demo_settings
from ct_mcp.config.settings import Settings
from ct_mcp.config.sources import Secret
from ct_mcp.errors import ConfigError
from ct_mcp.net.asgi import Tls
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.server import served as served_simulator
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.sqlite import SqliteStore
from tests.unit.cli.conftest import Started, begin, begin_really

CtMcp = Callable[..., subprocess.CompletedProcess[str]]
signals_as_posix_has_them = pytest.mark.skipif(
    sys.platform == "win32", reason="signals reach a process otherwise there: press Ctrl-C by hand"
)
modes_as_posix_has_them = pytest.mark.skipif(sys.platform == "win32", reason="there the folder's rights protect it")


@dataclass
class Running:
    """A server as a process, and what it has said on stderr."""

    process: Started
    url: str
    said: str
    token: str

    async def ends(self) -> tuple[int, str, str]:
        """Wait for the end; gives the code, stdout, and what else stood on stderr."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        out, err = [await to_thread.run_sync(stream.read) for stream in (self.process.stdout, self.process.stderr)]
        return await to_thread.run_sync(self.process.wait), out, err

    @asynccontextmanager
    async def joined(self, era: str = "auto", **more: Any) -> AsyncIterator[Client]:
        """Connect the SDK's own client, with the token."""
        async with (
            httpx2.AsyncClient(headers={"Authorization": f"Bearer {self.token.strip()}"}, timeout=20, **more) as wire,
            Client(streamable_http_client(f"{self.url}/mcp", http_client=wire), mode=era) as client,
        ):
            yield client


@asynccontextmanager
async def running(
    environ: Mapping[str, str], state: Path, *arguments: str, start: Callable[..., Started] = begin
) -> AsyncIterator[Running]:
    """Start a server on any free port, and wait until it says that it serves."""
    place = ("--http", "--port", "0", "--state-dir", str(state))
    with start("serve", *place, *arguments, environ=environ) as process:
        try:
            with anyio.fail_after(60):
                said = await to_thread.run_sync(_said, process, abandon_on_cancel=True)
                (url,) = {
                    word.removesuffix("/mcp") for word in said.split() if word.startswith(("http://", "https://"))
                }
                file = state / "demo" / "http-token" if "--demo" in arguments else state / "http-token"
                yield Running(process, url, said, await anyio.Path(file).read_text(encoding="utf-8"))
        finally:
            process.kill()


def _said(process: Started) -> str:
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if "claude mcp add" in said:
            break
    return said


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The state folder of the server."""
    return tmp_path / "state"


@pytest.fixture
def settings(state: Path) -> Settings:
    """Settings that lead to the state folder."""
    return replace(demo_settings({"state_dir": str(state)}), state_dir=state)


# The token


@modes_as_posix_has_them
def test_the_token_is_made_once_and_kept_for_its_owner_alone(settings: Settings) -> None:
    made = client_token(settings)
    file = token_file(settings)
    assert len(made) >= 43
    assert file.read_text(encoding="utf-8") == f"{made}\n"
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert client_token(settings) == made


def test_every_folder_has_a_token_of_its_own(settings: Settings, tmp_path: Path) -> None:
    assert client_token(settings) != client_token(replace(settings, state_dir=tmp_path / "another"))


@modes_as_posix_has_them
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
def test_a_token_that_others_may_have_read_is_trusted_no_more(settings: Settings, mode: int) -> None:
    client_token(settings)
    token_file(settings).chmod(mode)
    with pytest.raises(ConfigError, match="not for its owner alone"):
        client_token(settings)


@modes_as_posix_has_them
def test_a_token_that_lies_elsewhere_is_refused(settings: Settings, tmp_path: Path) -> None:
    settings.state_dir.mkdir()
    (tmp_path / "elsewhere").write_text("x" * 43, encoding="utf-8")
    token_file(settings).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="cannot be used"):
        client_token(settings)


@pytest.mark.parametrize("text", ["", "short", "a" * 31, f"{'a' * 20} {'b' * 20}", "ü" * 40, "a" * 2000])
def test_what_is_no_token_is_refused(settings: Settings, text: str) -> None:
    client_token(settings)
    token_file(settings).write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="holds no token"):
        client_token(settings)


def test_the_token_of_crosstrade_is_never_the_token_of_clients(settings: Settings) -> None:
    with pytest.raises(ConfigError, match="holds the token of CrossTrade"):
        client_token(replace(settings, token=Secret(client_token(settings))))


def test_a_folder_that_cannot_be_written_is_told(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot be used"):
        client_token(replace(settings, state_dir=tmp_path / "a file"))


# The place


def flags(**given: Any) -> argparse.Namespace:
    """What the command line makes of flags that were not given, and of those that were."""
    usual: dict[str, Any] = {"host": None, "port": None, "name": [], "tls_cert": None, "tls_key": None}
    return argparse.Namespace(**{**usual, **given})


def test_it_listens_on_loopback_where_nothing_else_is_said() -> None:
    place = address_of(flags())
    assert (str(place.address), place.port, place.url(8421)) == ("127.0.0.1", 8421, "http://127.0.0.1:8421")
    assert place.authorities(8421) == {"127.0.0.1:8421", "localhost:8421", "[::1]:8421"}


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.2", "::1"])
def test_every_address_of_loopback_will_do(host: str) -> None:
    assert address_of(flags(host=host)).address.is_loopback


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"host": "0.0.0.0", "name": ["x"]}, "that needs --tls-cert and --tls-key"),
        ({"host": "::", "name": ["x"]}, "that needs --tls-cert and --tls-key"),
        ({"host": "192.168.1.5"}, "that needs --tls-cert and --tls-key"),
        ({"host": "192.168.1.5", "tls_cert": "c.pem"}, "belong together"),
        ({"tls_key": "k.pem"}, "belong together"),
        ({"tls_cert": "there-is-none.pem", "tls_key": "there-is-none.pem"}, "cannot be used"),
        ({"host": "trader.lan"}, "expected an address of this machine"),
        ({"host": ""}, "expected an address of this machine"),
    ],
)
def test_a_place_that_would_be_unsafe_is_refused(given: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        address_of(flags(**given))


def test_every_fault_of_a_place_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        address_of(flags(host="0.0.0.0"))
    assert refused.value.what.count("--host 0.0.0.0") == 2


def test_an_address_of_the_network_answers_to_its_own_names_alone(certificate: Tls) -> None:
    tls = {"tls_cert": certificate.certificate, "tls_key": certificate.key}
    place = address_of(flags(host="192.168.1.5", name=["Trader.lan"], **tls))
    assert place.authorities(8421) == {"192.168.1.5:8421", "trader.lan:8421"}
    assert place.authorities(443) == {"192.168.1.5", "trader.lan", "192.168.1.5:443", "trader.lan:443"}
    assert place.url(8421) == "https://trader.lan:8421"


def test_an_address_of_version_six_stands_in_brackets() -> None:
    assert HttpAddress(ip_address("::1"), 1).url(8421) == "http://[::1]:8421"
    assert "[fd00::1]:8421" in HttpAddress(ip_address("fd00::1"), 1).authorities(8421)


def test_a_port_that_is_taken_is_told() -> None:
    with open_listener(HttpAddress(ip_address("127.0.0.1"), 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"127.0.0.1 port {port} cannot be used"):
            open_listener(HttpAddress(ip_address("127.0.0.1"), port))


def test_what_is_refused_ends_the_command_in_words(ct_mcp: CtMcp) -> None:
    refused = ct_mcp("serve", "--demo", "--http", "--host", "0.0.0.0", "--name", "trader.lan")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "that needs --tls-cert and --tls-key" in refused.stderr


def test_what_belongs_to_http_is_refused_without_it(ct_mcp: CtMcp) -> None:
    refused = ct_mcp("serve", "--demo", "--port", "8421")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "belong to --http" in refused.stderr


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """A certificate of its own signing for this machine, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "cert.pem").write_bytes(made.public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return Tls(str(folder / "cert.pem"), str(folder / "key.pem"))


# The process


@pytest.mark.slow
@signals_as_posix_has_them
@pytest.mark.parametrize(("number", "start"), [(signal.SIGINT, begin), (signal.SIGTERM, begin_really)])
async def test_it_serves_tells_how_to_reach_it_and_ends_quietly(
    environ: Mapping[str, str], state: Path, number: signal.Signals, start: Callable[..., Started]
) -> None:
    async with running(environ, state, "--demo", "--log-level", "debug", start=start) as server:
        for era in ("auto", "legacy"):
            async with server.joined(era) as client:
                assert "place_order" in {tool.name for tool in (await client.list_tools()).tools}
                assert not (await client.call_tool("get_positions", {})).is_error
        assert f"{server.url}/mcp" in server.said
        assert str(state / "demo" / "http-token") in server.said
        server.process.send_signal(number)
        code, out, err = await server.ends()
    assert (code, out) == (0, "")
    assert server.token.strip() not in server.said + err
    assert "Traceback" not in err


@pytest.mark.slow
@signals_as_posix_has_them
async def test_two_clients_share_what_one_proposed(environ: Mapping[str, str], state: Path) -> None:
    order = {"account": "Sim101", "instrument": "MES", "action": "BUY", "quantity": 1, "order_type": "MARKET"}
    async with (
        running({**environ, "BROWSER": "none"}, state, "--demo") as server,
        server.joined("auto") as one,
        server.joined("legacy") as other,
    ):
        proposed = (await one.call_tool("place_order", order)).structured_content or {}
        again = (await other.call_tool("place_order", order)).structured_content or {}
        assert proposed["status"] == "needs_approval"
        assert again["ticket_id"] == proposed["ticket_id"]
        async with httpx.AsyncClient(base_url=server.url) as wire:
            assert (await wire.get("/health")).text == "ok"
            health = (await wire.get("/health", headers={"Authorization": f"Bearer {server.token.strip()}"})).json()
    assert health["mode"] == "sim"


@pytest.mark.slow
@signals_as_posix_has_them
async def test_what_is_being_sent_is_finished_before_a_signal_ends_it(
    environ: Mapping[str, str], state: Path, era: str
) -> None:
    simulator = Simulator(market_hours="always")
    simulator.faults.arm(Fault.SLOW_ANSWER, rpc="Flatten")
    answers: list[dict[str, Any]] = []
    with_token = {**environ, "CROSSTRADE_TOKEN": simulator.token}
    async with served_simulator(simulator) as url, running(with_token, state, "--base-url", url) as server:

        async def flatten() -> None:
            async with server.joined(era) as client:
                await client.list_tools()
                answers.append((await client.call_tool("flatten", {"account": "Sim101"})).structured_content or {})

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(flatten)
            await simulator.faults.slow_answer_waits()
            server.process.send_signal(signal.SIGTERM)
            simulator.faults.disarm()
        assert await to_thread.run_sync(server.process.wait) == 0
    store = SqliteStore(state)
    kinds = [entry.kind for entry in await store.entries(limit=10)]
    await store.close()
    assert (kinds[0], len(simulator.requests_of("Flatten"))) == ("answered", 1)
    assert [answer["status"] for answer in answers] == ["flat"]


@pytest.mark.slow
@signals_as_posix_has_them
async def test_it_speaks_tls_with_the_given_certificate(
    environ: Mapping[str, str], state: Path, certificate: Tls
) -> None:
    tls = ("--tls-cert", certificate.certificate, "--tls-key", certificate.key)
    async with running(environ, state, "--demo", *tls) as server:
        assert server.url.startswith("https://127.0.0.1:")
        trusted = ssl.create_default_context(cafile=certificate.certificate)
        async with server.joined(verify=trusted) as client:
            assert (await client.list_tools()).tools
