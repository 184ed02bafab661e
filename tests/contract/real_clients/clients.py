"""The real clients: how each is installed, learns of ct-mcp, reaches the scripted model, and asks the person.

Everything a client keeps lies in a home of its own. Nothing of it is taken from the machine, and its key is made up.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.contract.real_clients.script import PROMPT

KEY = "sk-ant-made-up-for-the-scripted-model-0000"
ENTER = "\r"
_PHRASE = r"type[: ]+([A-Z0-9]{4})\b"
"""How the code of a simulated order stands in a form, whatever a client draws around it."""

Channel = Literal["form", "terminal"]
Commands = Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Typed:
    """Once ``seen`` stands on the screen, ``keys`` are typed, in which ``{0}`` is what its group has found."""

    seen: str
    keys: tuple[str, ...]
    once: bool = True
    pause_seconds: float = 0.3

    def found_in(self, screen: str) -> re.Match[str] | None:
        """Look for it."""
        return re.search(self.seen, screen)


@dataclass(frozen=True, slots=True)
class Room:
    """Where one client runs: its home, the folder it works in, its program, and the addresses it needs."""

    home: Path
    project: Path
    program: Path
    model: str
    ct_mcp: Path

    def write(self, name: str, content: object) -> Path:
        """Write a file of settings into the home."""
        file = self.home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content, indent=2), encoding="utf-8")
        return file


@dataclass(frozen=True, slots=True)
class Client:
    """One client, at the version that the table names.

    ``settle`` writes its settings, ``learn`` are the commands that make ct-mcp known to it, and ``finish`` adds what
    its person would: leave to call ct-mcp without a question of its own. ``env`` holds the key, the model's address
    and whatever keeps it from talking to its maker.
    """

    key: str
    title: str
    package: str
    version: str
    program: str
    approves: Channel
    start: Callable[[Room], Sequence[str]]
    env: Callable[[Room], Mapping[str, str]]
    learn: Callable[[Room], Commands]
    settle: Callable[[Room], object] = str
    finish: Callable[[Room], object] = str
    typed: tuple[Typed, ...] = ()
    fast: bool = False
    scripts: bool = False
    """Whether its package works only after the script that npm runs at its installation."""


def _install(key: str) -> Callable[[Room], Commands]:
    return lambda room: [[str(room.ct_mcp), "install", key, "--demo", "--yes"]]


def _claude_settings(room: Room) -> None:
    project = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
    room.write(
        ".claude.json",
        {
            "hasCompletedOnboarding": True,
            "theme": "dark",
            "customApiKeyResponses": {"approved": [KEY[-20:]], "rejected": []},
            "projects": {str(room.project): project},
        },
    )
    room.write(".claude/settings.json", {"permissions": {"allow": ["mcp__ct-mcp"], "defaultMode": "default"}})


CLAUDE_CODE = Client(
    "claude-code",
    "Claude Code",
    "@anthropic-ai/claude-code",
    "2.1.332",
    "claude",
    "form",
    start=lambda room: [str(room.program), PROMPT],
    env=lambda room: {
        "ANTHROPIC_BASE_URL": room.model,
        "ANTHROPIC_API_KEY": KEY,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_ERROR_REPORTING": "1",
    },
    learn=_install("claude-code"),
    settle=_claude_settings,
    typed=(Typed(_PHRASE, ("{0}", ENTER, ENTER), once=False),),
    scripts=True,
    fast=True,
)


def _codex_settings(room: Room) -> None:
    file = room.home / ".codex/config.toml"
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    head = f"""\
model = "scripted"
model_provider = "scripted"
check_for_update_on_startup = false

[analytics]
enabled = false

[model_providers.scripted]
name = "scripted"
base_url = "{room.model}/v1"
env_key = "SCRIPTED_KEY"
wire_api = "responses"

[projects."{room.project}"]
trust_level = "trusted"

"""
    room.write(".codex/config.toml", head + before + 'required = true\ndefault_tools_approval_mode = "approve"\n')


CODEX = Client(
    "codex",
    "Codex",
    "@openai/codex",
    "0.171.0",
    "codex",
    "form",
    start=lambda room: [str(room.program), PROMPT],
    env=lambda room: {"SCRIPTED_KEY": KEY},
    learn=_install("codex"),
    finish=_codex_settings,
    typed=(Typed(_PHRASE, ("{0}", ENTER), once=False),),
)

COPILOT = Client(
    "copilot",
    "Copilot CLI",
    "@github/copilot",
    "1.0.102",
    "copilot",
    "form",
    start=lambda room: [str(room.program), "--allow-tool=ct-mcp", "--disable-client-telemetry", "-i", PROMPT],
    env=lambda room: {
        "COPILOT_PROVIDER_BASE_URL": f"{room.model}/v1",
        "COPILOT_PROVIDER_API_KEY": KEY,
        "COPILOT_MODEL": "scripted",
        "COPILOT_OFFLINE": "true",
        "COPILOT_AUTO_UPDATE": "false",
    },
    learn=lambda room: [[str(room.program), "mcp", "add", "ct-mcp", "--", str(room.ct_mcp), "serve", "--demo"]],
    typed=(Typed(r"trust the files in this folder", (ENTER,)), Typed(_PHRASE, ("{0}", ENTER), once=False)),
)

_GEMINI_SETTINGS = {
    "security": {"auth": {"selectedType": "gemini-api-key"}},
    "privacy": {"usageStatisticsEnabled": False},
    "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False},
}

GEMINI = Client(
    "gemini",
    "Gemini CLI",
    "@google/gemini-cli",
    "0.61.0",
    "gemini",
    "terminal",
    start=lambda room: [str(room.program), "-m", "gemini-2.5-flash", "--skip-trust", "--yolo", "-p", PROMPT],
    env=lambda room: {
        "GEMINI_API_KEY": KEY,
        "GOOGLE_GEMINI_BASE_URL": room.model,
        "GEMINI_TELEMETRY_ENABLED": "false",
        "GEMINI_CLI_TRUST_WORKSPACE": "true",
    },
    learn=_install("gemini"),
    settle=lambda room: room.write(".gemini/settings.json", _GEMINI_SETTINGS),
)

_QWEN_SETTINGS = {
    "security": {"auth": {"selectedType": "openai"}},
    "privacy": {"usageStatisticsEnabled": False},
    "general": {"enableAutoUpdate": False},
}

QWEN = Client(
    "qwen",
    "Qwen Code",
    "@qwen-code/qwen-code",
    "0.24.4",
    "qwen",
    "terminal",
    start=lambda room: [str(room.program), "--yolo", "-p", PROMPT],
    env=lambda room: {
        "OPENAI_API_KEY": KEY,
        "OPENAI_BASE_URL": f"{room.model}/v1",
        "OPENAI_MODEL": "scripted",
        "QWEN_TELEMETRY_ENABLED": "false",
    },
    learn=lambda room: [
        [str(room.program), "mcp", "add", "--scope", "user", "ct-mcp", str(room.ct_mcp), "--", "serve", "--demo"]
    ],
    settle=lambda room: room.write(".qwen/settings.json", _QWEN_SETTINGS),
)


def _opencode_settings(room: Room) -> None:
    options = {"baseURL": f"{room.model}/v1", "apiKey": KEY}
    limits = {"name": "scripted", "tool_call": True, "limit": {"context": 200000, "output": 8000}}
    provider = {"npm": "@ai-sdk/openai-compatible", "options": options, "models": {"scripted": limits}}
    room.write(
        ".config/opencode/opencode.json",
        {
            "autoupdate": False,
            "share": "disabled",
            "model": "scripted/scripted",
            "small_model": "scripted/scripted",
            "provider": {"scripted": provider},
        },
    )


OPENCODE = Client(
    "opencode",
    "opencode",
    "opencode-ai",
    "1.18.33",
    "opencode",
    "terminal",
    start=lambda room: [str(room.program), "run", "--model", "scripted/scripted", PROMPT],
    env=lambda room: {
        "OPENCODE_DISABLE_AUTOUPDATE": "1",
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
    },
    learn=_install("opencode"),
    settle=_opencode_settings,
    scripts=True,
)

_CONTINUE = """\
name: scripted
version: 0.0.1
schema: v1
models:
  - name: scripted
    provider: openai
    model: scripted
    apiKey: {key}
    apiBase: {url}/v1
    capabilities: [tool_use]
    roles: [chat]
{servers}"""


def _continue_settings(room: Room) -> None:
    block = (room.home / ".continue/mcpServers/ct-mcp.yaml").read_text(encoding="utf-8")
    servers = block[block.index("mcpServers:") :]
    room.write(".continue/config.yaml", _CONTINUE.format(key=KEY, url=room.model, servers=servers))


CONTINUE = Client(
    "continue",
    "Continue CLI",
    "@continuedev/cli",
    "1.5.47",
    "cn",
    "terminal",
    start=lambda room: [
        *(str(room.program), "--config", str(room.home / ".continue/config.yaml")),
        *("--allow", "place_order", "--allow", "confirm_ticket", "-p", PROMPT),
    ],
    env=lambda room: {"CONTINUE_TELEMETRY_ENABLED": "0", "CONTINUE_CLI_AUTO_UPDATED": "1"},
    learn=_install("continue"),
    fast=True,
    finish=_continue_settings,
)

CLINE = Client(
    "cline",
    "Cline CLI",
    "cline",
    "3.0.65",
    "cline",
    "terminal",
    start=lambda room: [str(room.program), "--provider", "openai", "--model", "scripted", PROMPT],
    env=lambda room: {"CLINE_NO_AUTO_UPDATE": "1", "CLINE_TELEMETRY_DISABLED": "1", "DO_NOT_TRACK": "1"},
    learn=lambda room: [
        [str(room.program), "auth", "-p", "openai", "-k", KEY, "-m", "scripted", "-b", f"{room.model}/v1"],
        [str(room.ct_mcp), "install", "cline", "--demo", "--yes"],
    ],
)


CLIENTS = (CLAUDE_CODE, CODEX, COPILOT, GEMINI, QWEN, OPENCODE, CONTINUE, CLINE)
