"""``ct-mcp install``: every client's file on every system, written with care and given back as it was."""

import io
import json
import stat
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from ct_mcp.cli import install as command
from ct_mcp.cli.client_files import ClientFileRefused, backup_of, plan_install, write_change
from ct_mcp.cli.clients import CLIENTS, Machine, starts_us
from ct_mcp.cli.install import Installation, install
from ct_mcp.cli.parser import CLIENT_KEYS
from ct_mcp.cli.screen import Screen

CtMcp = Callable[..., subprocess.CompletedProcess[str]]

WORDS = ("/opt/ct mcp/bin/ct-mcp", "serve", "--demo")
SECRET = "a-secret-of-somebody"
CODE = {"win32": "AppData/Roaming/Code/User", "darwin": "Library/Application Support/Code/User"}
CLAUDE = {"win32": "AppData/Roaming/Claude", "darwin": "Library/Application Support/Claude"}
FILES: dict[str, Callable[[str], str]] = {
    "claude-desktop": lambda system: f"{CLAUDE.get(system, '.config/Claude')}/claude_desktop_config.json",
    "claude-code": lambda _: ".claude.json",
    "cursor": lambda _: ".cursor/mcp.json",
    "vscode": lambda system: f"{CODE.get(system, '.config/Code/User')}/mcp.json",
    "continue": lambda _: ".continue/mcpServers/ct-mcp.yaml",
    "windsurf": lambda _: ".codeium/windsurf/mcp_config.json",
    "cline": lambda _: ".cline/data/settings/cline_mcp_settings.json",
    "codex": lambda _: ".codex/config.toml",
    "gemini": lambda _: ".gemini/settings.json",
    "opencode": lambda _: ".config/opencode/opencode.json",
}
SIGNS = {"claude-code": ".claude", "continue": ".continue", "cline": ".cline"}
TEXTS = {
    "codex": '# mine\nmodel = "x"\n\n[mcp_servers.a]\ncommand = "a" # c\nenv = { KEY = "a-secret-of-somebody" }\n',
    "continue": "",
}
JSONC = '{\n  // mine\n  "BOX": {\n    "a": {"command": "a", "env": {"K": "a-secret-of-somebody"}}, /* */\n  },\n}\n'
every_client = pytest.mark.parametrize("key", FILES)
every_system = pytest.mark.parametrize("system", ["win32", "darwin", "linux"])


@pytest.fixture(autouse=True)
def nothing_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """No client of the machine that runs the tests is started."""
    monkeypatch.setenv("PATH", "")


class Desk:
    """A person's home on some system, with one client in it."""

    def __init__(self, home: Path, key: str, system: str = "linux", **environ: str) -> None:
        self.client, self.machine, self.out = CLIENTS[key], Machine(system, environ, home), io.StringIO()
        self.file = home / FILES[key](system)
        self.sign = home / SIGNS[key] if key in SIGNS else self.file.parent
        self.sign.mkdir(parents=True)
        self.text = TEXTS.get(key, JSONC.replace("BOX", self.client.box))

    def has_servers(self) -> "Desk":
        if self.text:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.file.write_bytes(self.text.encode())
        return self

    def runs(self, words: Sequence[str] = WORDS, run: command.Run | None = None, **more: Any) -> int:
        asked = Installation(self.client, "ct-mcp", tuple(words), self.machine, **{"agreed": True, **more})
        return install(asked, Screen(self.out), run)

    def entries(self) -> dict[str, Any]:
        return self.client.named(self.file.read_text(encoding="utf-8"))


@every_client
@every_system
def test_each_client_is_found_and_its_servers_and_comments_are_kept(tmp_path: Path, key: str, system: str) -> None:
    desk = Desk(tmp_path, key, system).has_servers()
    before = desk.client.named(desk.text)
    assert desk.runs() == 0
    after = desk.entries()
    assert starts_us(after.pop("ct-mcp"))
    assert after == before
    assert all(line in desk.file.read_text(encoding="utf-8") for line in desk.text.splitlines())
    assert SECRET not in desk.out.getvalue()


@every_client
def test_to_uninstall_gives_back_the_text_of_before_and_leaves_nothing_behind(tmp_path: Path, key: str) -> None:
    desk = Desk(tmp_path, key).has_servers()
    there = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    desk.runs()
    desk.runs(["/elsewhere/ct-mcp", "serve"])
    assert desk.runs(uninstall=True) == 0
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == there
    assert not desk.text or desk.file.read_bytes() == desk.text.encode()


@every_client
def test_a_client_that_has_no_file_yet_gets_one_that_goes_with_the_entry(tmp_path: Path, key: str) -> None:
    desk = Desk(tmp_path, key)
    assert desk.runs() == 0
    assert starts_us(desk.entries()["ct-mcp"])
    assert desk.runs(uninstall=True) == 0
    assert not desk.file.exists()


@every_client
def test_to_install_it_again_changes_nothing(tmp_path: Path, key: str) -> None:
    desk = Desk(tmp_path, key).has_servers()
    desk.runs()
    before = desk.file.stat()
    assert desk.runs(agreed=False) == 0
    assert desk.file.stat().st_mtime_ns == before.st_mtime_ns
    assert "knows ct-mcp already" in desk.out.getvalue()


@every_client
def test_what_only_shows_and_what_nobody_agreed_to_changes_nothing(tmp_path: Path, key: str) -> None:
    desk = Desk(tmp_path, key).has_servers()
    assert desk.runs(agreed=False, dry_run=True) == 0
    assert desk.runs(agreed=False) == 2  # tests have no terminal
    assert "+ " in desk.out.getvalue()
    assert [path for path in tmp_path.rglob("*before-ct-mcp")] == []
    assert not desk.text or desk.file.read_bytes() == desk.text.encode()


@every_client
def test_a_client_that_is_not_there_is_told_with_where_it_was_looked_for(tmp_path: Path, key: str) -> None:
    out, client = io.StringIO(), CLIENTS[key]
    asked = Installation(client, "ct-mcp", WORDS, Machine("linux", {}, tmp_path), agreed=True)
    assert install(asked, Screen(out)) == 1
    assert "was not found" in out.getvalue()
    assert all(str(place.sign) in out.getvalue() for place in client.places(asked.machine))
    assert list(tmp_path.iterdir()) == []


@every_client
def test_a_file_that_cannot_be_read_is_left_as_it_is(tmp_path: Path, key: str) -> None:
    desk = Desk(tmp_path, key)
    desk.file.parent.mkdir(parents=True, exist_ok=True)
    desk.file.write_text("{ [ broken", encoding="utf-8")
    with pytest.raises(ClientFileRefused, match="is left as it is"):
        desk.runs()
    assert desk.file.read_text(encoding="utf-8") == "{ [ broken"


def test_each_client_is_given_what_it_reads(tmp_path: Path) -> None:
    command_and_args = {"command": WORDS[0], "args": list(WORDS[1:])}
    expected: dict[str, dict[str, Any]] = {
        "vscode": {"type": "stdio", **command_and_args},
        "claude-code": {"type": "stdio", **command_and_args},
        "cline": {**command_and_args, "timeout": 60},
        "opencode": {"type": "local", "command": list(WORDS)},
    }
    for key, client in CLIENTS.items():
        text = client.put("", "ct-mcp", client.entry(WORDS))
        if key == "continue":
            (entry,) = yaml.safe_load(text)["mcpServers"]
            assert entry == {"name": "ct-mcp", "type": "stdio", **command_and_args}
        else:
            read = tomllib.loads(text) if key == "codex" else json.loads(text)
            assert read == {client.box: {"ct-mcp": expected.get(key, command_and_args)}}


@pytest.mark.skipif(sys.platform == "win32", reason="there a file has the rights of its folder")
def test_the_file_and_its_backup_keep_the_rights_of_the_file(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "cursor").has_servers()
    desk.file.chmod(0o640)
    desk.runs()
    assert [stat.S_IMODE(path.stat().st_mode) for path in (desk.file, backup_of(desk.file))] == [0o640, 0o640]
    assert backup_of(desk.file).read_bytes() == desk.text.encode()


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_stays_one(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "cursor")
    (tmp_path / "dotfiles").write_text("{}", encoding="utf-8")
    desk.file.symlink_to(tmp_path / "dotfiles")
    desk.runs()
    assert desk.file.is_symlink()
    assert "ct-mcp" in (tmp_path / "dotfiles").read_text(encoding="utf-8")


def test_a_byte_order_mark_and_the_ends_of_lines_are_kept(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "cursor")
    before = b'\xef\xbb\xbf{\r\n  "mcpServers": {\r\n  }\r\n}\r\n'
    desk.file.write_bytes(before)
    desk.runs()
    after = desk.file.read_bytes()
    assert after.startswith(b"\xef\xbb\xbf{\r\n")
    assert after.count(b"\n") == after.count(b"\r\n") > 4
    desk.runs(uninstall=True)
    assert desk.file.read_bytes() == before


def test_what_a_person_wrote_beside_the_command_stays(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "cursor")
    theirs = {"command": "uvx", "args": ["ct-mcp"], "env": {"CROSSTRADE_TOKEN": SECRET}, "disabled": True}
    desk.file.write_text(json.dumps({"mcpServers": {"ct-mcp": theirs}}), encoding="utf-8")
    desk.runs()
    assert desk.entries()["ct-mcp"] == {**theirs, "command": WORDS[0], "args": list(WORDS[1:])}
    assert "- ct-mcp: uvx ct-mcp" in desk.out.getvalue()
    assert SECRET not in desk.out.getvalue()


def test_after_others_changed_the_file_the_entry_alone_is_taken_out(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "cursor").has_servers()
    desk.runs()
    desk.file.write_text(desk.file.read_text(encoding="utf-8").replace("// mine", "// changed"), encoding="utf-8")
    desk.runs(uninstall=True)
    assert desk.file.read_text(encoding="utf-8") == desk.text.replace("// mine", "// changed")


def test_servers_that_a_person_added_behind_the_block_of_continue_stay(tmp_path: Path) -> None:
    desk, added = (
        Desk(tmp_path, "continue"),
        '  - name: files\n    command: "files-server"\n    env:\n      KEY: "abc"\n',
    )
    desk.runs()
    whole = desk.file.read_text(encoding="utf-8")
    desk.file.write_text(f"{whole}    env:\n      OURS: 1\n\n{added}", encoding="utf-8")
    desk.runs(uninstall=True)
    without = desk.file.read_text(encoding="utf-8")
    (entry,) = yaml.safe_load(without)["mcpServers"]
    assert entry == {"name": "files", "command": "files-server", "env": {"KEY": "abc"}}
    desk.runs()
    assert desk.file.read_text(encoding="utf-8") == whole + added
    desk.runs(uninstall=True)
    assert desk.file.read_text(encoding="utf-8") == without


@pytest.mark.parametrize("added", ["# mine\n", "rules:\n  - be kind\n"])
def test_what_is_no_server_behind_the_block_of_continue_is_not_lost(tmp_path: Path, added: str) -> None:
    desk = Desk(tmp_path, "continue")
    desk.runs()
    desk.file.write_text(desk.file.read_text(encoding="utf-8") + added, encoding="utf-8")
    with pytest.raises(ClientFileRefused, match="take the entry out by hand"):
        desk.runs(uninstall=True)
    assert desk.file.read_text(encoding="utf-8").endswith(added)


def test_an_entry_of_another_kind_is_not_written_over(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "cursor")
    desk.file.write_text('{"mcpServers": {"ct-mcp": {"url": "http://127.0.0.1:8421/mcp"}}}', encoding="utf-8")
    with pytest.raises(ClientFileRefused, match="--name"):
        desk.runs()


def test_a_file_that_another_program_writes_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "cursor").has_servers()
    change = plan_install(desk.client, desk.file, "ct-mcp", desk.client.entry(WORDS))
    desk.file.write_text("{}", encoding="utf-8")
    with pytest.raises(ClientFileRefused, match="meanwhile"):
        write_change(change)
    assert desk.file.read_text(encoding="utf-8") == "{}"


def test_the_packaged_claude_of_windows_is_written_where_it_reads(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "claude-desktop", "win32", LOCALAPPDATA=str(tmp_path / "Local"))
    packaged = tmp_path / "Local" / "Packages" / "Claude_pzs8" / "LocalCache" / "Roaming" / "Claude"
    packaged.mkdir(parents=True)
    desk.runs()
    assert (packaged / "claude_desktop_config.json").is_file()
    assert desk.file.is_file()


@pytest.mark.parametrize(
    ("key", "variable", "file"),
    [
        ("codex", "CODEX_HOME", "config.toml"),
        ("claude-code", "CLAUDE_CONFIG_DIR", ".claude.json"),
        ("opencode", "XDG_CONFIG_HOME", "opencode/opencode.json"),
    ],
)
def test_a_folder_that_a_person_has_moved_is_followed(tmp_path: Path, key: str, variable: str, file: str) -> None:
    (place,) = CLIENTS[key].places(Machine("linux", {variable: str(tmp_path)}, Path("/nowhere")))
    assert place.file == tmp_path / file


@pytest.mark.parametrize("key", ["claude-code", "codex", "gemini"])
def test_a_client_with_a_command_of_its_own_adds_it_by_that(
    tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, ran = Desk(tmp_path, key).has_servers(), []
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")

    def theirs(words: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        ran.append(list(words))
        desk.file.write_text(desk.client.put(desk.text, "ct-mcp", desk.client.entry(WORDS)), encoding="utf-8")
        return subprocess.CompletedProcess(words, 0, "", "")

    assert desk.runs(run=theirs) == 0
    (words,) = ran
    assert words[1:3] == ["mcp", "add"]
    assert words[-len(WORDS) :] == list(WORDS) or [words[-4], *words[-2:]] == list(WORDS)
    assert backup_of(desk.file).read_bytes() == desk.text.encode()
    assert desk.runs(run=theirs) == 0
    assert len(ran) == 1


def test_a_command_of_theirs_that_fails_is_told_with_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(tmp_path, "codex")
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    assert desk.runs(run=lambda words: subprocess.CompletedProcess(words, 3, "", "first\nno such thing\n")) == 1
    assert "did not take it: no such thing" in desk.out.getvalue()


def test_a_script_of_windows_is_not_given_signs_that_its_shell_obeys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path, "codex", "win32")
    monkeypatch.setattr("shutil.which", lambda name: rf"C:\npm\{name}.CMD")
    assert desk.runs([r"C:\A&B\ct-mcp.exe", "serve"]) == 0
    assert desk.entries()["ct-mcp"]["command"] == r"C:\A&B\ct-mcp.exe"


def test_the_parser_knows_every_client() -> None:
    assert tuple(CLIENTS) == CLIENT_KEYS


# As a process


def test_a_person_sees_all_clients_and_installs_one(ct_mcp: CtMcp, tmp_path: Path) -> None:
    (tmp_path / "home" / ".cursor").mkdir()
    assert "does not know it" in ct_mcp("install").stdout
    done = ct_mcp("install", "cursor", "--demo", "--yes", "--state-dir", "~/state")
    assert (done.returncode, done.stderr) == (0, "")
    entry = json.loads((tmp_path / "home" / ".cursor" / "mcp.json").read_text(encoding="utf-8"))["mcpServers"]["ct-mcp"]
    assert Path(entry["command"]).is_absolute()
    assert entry["args"][-4:] == ["serve", "--demo", "--state-dir", str(tmp_path / "home" / "state")]
    assert "knows it as ct-mcp" in ct_mcp("install").stdout


def test_who_installs_it_in_continue_hears_that_its_command_line_reads_another_file(
    ct_mcp: CtMcp, environ: Mapping[str, str]
) -> None:
    (Path(environ["HOME"]) / ".continue").mkdir()
    told = ct_mcp("install", "continue", "--demo", "--yes").stdout
    assert "reads ~/.continue/config.yaml alone" in " ".join(told.split())


def test_the_token_is_never_written_and_the_person_is_told_where_it_belongs(ct_mcp: CtMcp, tmp_path: Path) -> None:
    (tmp_path / "home" / ".cursor").mkdir()
    done = ct_mcp("install", "cursor", "--yes", CROSSTRADE_TOKEN=SECRET)
    assert "ct-mcp login" in done.stdout
    assert SECRET not in done.stdout + (tmp_path / "home" / ".cursor" / "mcp.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("variable", "value", "flags"),
    [
        ("CT_MCP_MODE", "read_only", ["--mode", "read_only"]),
        ("CT_MCP_MODE", "read-only", ["--mode", "read_only"]),
        ("CT_MCP_TOOLSETS", "read", ["--toolsets", "read"]),
        ("CT_MCP_BASE_URL", "https://other.example", ["--base-url", "https://other.example"]),
        ("CT_MCP_LOG_LEVEL", "debug", ["--log-level", "debug"]),
        ("CT_MCP_LOG_LEVEL", " ", []),
    ],
)
def test_what_a_variable_of_the_terminal_says_goes_with_the_entry(
    ct_mcp: CtMcp, tmp_path: Path, variable: str, value: str, flags: list[str]
) -> None:
    assert args_of(ct_mcp, tmp_path, **{variable: value}) == ["serve", *flags]


def test_a_demo_carries_what_a_demo_reads(ct_mcp: CtMcp, tmp_path: Path) -> None:
    given = {"CT_MCP_MODE": "read_only", "CT_MCP_CONFIG": "nowhere.toml", "CT_MCP_LOG_LEVEL": "debug"}
    assert args_of(ct_mcp, tmp_path, "--demo", **given) == ["serve", "--demo", "--log-level", "debug"]


def args_of(ct_mcp: CtMcp, folder: Path, *flags: str, **environ: str) -> list[str]:
    """Install it in Cursor; gives what stands in the entry from ``serve`` on."""
    (folder / "home" / ".cursor").mkdir()
    done = ct_mcp("install", "cursor", "--yes", *flags, **{"CT_MCP_STATE_DIR": "", **environ})
    assert done.returncode == 0, done.stderr
    file = folder / "home" / ".cursor" / "mcp.json"
    args: list[str] = json.loads(file.read_text(encoding="utf-8"))["mcpServers"]["ct-mcp"]["args"]
    return args[args.index("serve") :]


@pytest.mark.parametrize("variable", ["CT_MCP_STATE", "CT_MCP_PLANE"])
def test_a_database_of_the_terminal_is_named_and_never_written(ct_mcp: CtMcp, tmp_path: Path, variable: str) -> None:
    (tmp_path / "home" / ".cursor").mkdir()
    url = f"postgresql://trader:{SECRET}@localhost/desk"
    done = ct_mcp("install", "cursor", "--yes", **{variable: url})
    assert f"{variable} stands in the environment of this terminal" in " ".join(done.stdout.split())
    assert SECRET not in done.stdout + (tmp_path / "home" / ".cursor" / "mcp.json").read_text(encoding="utf-8")


def test_settings_with_faults_are_told_before_a_client_would_meet_them(ct_mcp: CtMcp, tmp_path: Path) -> None:
    (tmp_path / "home" / ".cursor").mkdir()
    done = ct_mcp("install", "cursor", "--yes", "--config", str(tmp_path / "nowhere.toml"))
    assert (done.returncode, done.stdout) == (2, "")
    assert list((tmp_path / "home" / ".cursor").iterdir()) == []


def test_print_shows_what_to_paste_also_where_the_client_is_not(ct_mcp: CtMcp) -> None:
    shown = ct_mcp("install", "windsurf", "--print", "--name", "mine").stdout
    assert "mine" in json.loads(shown[shown.index("{") :])["mcpServers"]


def test_a_person_at_a_terminal_is_asked(at_a_terminal: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "home" / ".cursor").mkdir()
    for answer, code in (("n", 1), ("y", 0)):
        terminal = at_a_terminal("install", "cursor", "--demo")
        terminal.until("y or n: ")
        terminal.types(answer)
        assert terminal.ends() == code
        assert (tmp_path / "home" / ".cursor" / "mcp.json").exists() == (code == 0)
