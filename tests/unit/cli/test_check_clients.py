"""What ``ct-mcp check`` says of the clients that start a server."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from ct_mcp.cli.check_clients import Handshake, client_findings, shake_hands
from ct_mcp.cli.clients import CLIENTS, Machine
from ct_mcp.live.cache import LinkState

SECRET = "a-secret-of-somebody"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A home with nothing in it."""
    return Machine("linux", {}, tmp_path)


def knows(machine: Machine, key: str, *words: str, **more: object) -> None:
    (place, *_) = CLIENTS[key].places(machine)
    place.file.parent.mkdir(parents=True)
    client = CLIENTS[key]
    text = client.put("", "ct-mcp", {**client.entry(words), **more})
    place.file.write_text(text, encoding="utf-8")


async def test_where_no_client_knows_us_it_says_how_one_does(machine: Machine) -> None:
    (found,) = await client_findings(machine)
    assert (found.link.state, found.next_step) == (LinkState.OFF, "")
    assert "ct-mcp install" in found.link.why


async def test_each_client_is_told_with_its_command_which_is_started_once(machine: Machine) -> None:
    started: list[tuple[tuple[str, ...], dict[str, str]]] = []

    async def answers(words: Sequence[str], environ: Mapping[str, str]) -> Handshake:
        started.append((tuple(words), dict(environ)))
        return Handshake(tools=24)

    for key in ("cursor", "codex", "continue"):
        knows(machine, key, "/bin/ct-mcp", "serve")
    knows(machine, "opencode", "ct-mcp", "serve", environment={"A": "1", "B": "${input:b}", "C": 3})
    found = await client_findings(machine, answers)
    assert [one.link.name for one in found] == ["client Cursor", "client Continue", "client Codex", "client opencode"]
    assert {one.link.state for one in found} == {LinkState.OK}
    assert "ct-mcp starts /bin/ct-mcp serve, which lists 24 tools" in found[0].link.why
    assert "ct-mcp install opencode writes the whole path" in found[-1].link.why
    assert started == [(("/bin/ct-mcp", "serve"), {}), (("ct-mcp", "serve"), {"A": "1"})]


async def test_what_does_not_start_is_broken_with_what_it_said_and_what_to_do(machine: Machine) -> None:
    program = f"import sys; sys.exit('first\\nno luck with {SECRET}')"
    knows(machine, "cursor", sys.executable, "-c", program, "ct-mcp", env={"CROSSTRADE_TOKEN": SECRET})
    (found,) = await client_findings(machine)
    assert found.link.state is LinkState.BROKEN
    assert "it ended at once and said: no luck with" in found.link.why
    assert SECRET not in found.link.why
    assert found.next_step.startswith("mend that in its file; ct-mcp install cursor writes the command anew")


async def test_a_program_that_is_not_there_is_told() -> None:
    assert (await shake_hands(["/nowhere/ct-mcp"], {})).why == "there is no such program"


async def test_a_file_that_cannot_be_read_is_told_and_hides_no_other(machine: Machine) -> None:
    knows(machine, "cursor", "/bin/ct-mcp")
    (place,) = CLIENTS["cursor"].places(machine)
    place.file.write_text("{", encoding="utf-8")
    (found,) = await client_findings(machine)
    assert (found.link.state, found.link.name) == (LinkState.BROKEN, "client Cursor")


async def test_servers_of_others_are_left_alone(machine: Machine) -> None:
    knows(machine, "cursor", "/bin/other", "serve")
    (found,) = await client_findings(machine)
    assert found.link.name == "clients"


async def test_our_own_server_answers_without_network_and_token(tmp_path: Path) -> None:
    words = [sys.executable, "-P", "-m", "ct_mcp", "serve", "--state-dir", str(tmp_path)]
    shake = await shake_hands(words, {"PYTHONPATH": str(Path(__file__).parents[3]), "HOME": str(tmp_path)})
    assert shake.tools > 10, json.dumps(shake.why)
