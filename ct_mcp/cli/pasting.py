"""The lines that a person pastes into a client, so that it starts this server on a simulator."""

import json
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

NAME = "ct-mcp-demo"
_ARGUMENTS = ("serve", "--demo")
_CACHE_OF_UV = "archive-v0"


def our_command(started_as: str) -> tuple[str, ...]:
    """What starts ct-mcp, by its absolute path: programs that a desktop starts have a short PATH."""
    # The launchers of Windows leave the ending of their own name out.
    name = "ct-mcp.exe" if sys.platform == "win32" else "ct-mcp"
    places = [started_as] if Path(started_as).stem == "ct-mcp" else []
    candidates = [Path(place).with_name(name).absolute() for place in (*places, sys.executable)]
    found = next((str(candidate) for candidate in candidates if candidate.is_file()), None)
    return (found,) if found else (sys.executable, "-m", "ct_mcp")


def is_in_a_cache(command: Sequence[str]) -> bool:
    """Say whether ``uvx`` put it where it may be cleared away."""
    return _CACHE_OF_UV in Path(command[0]).parts


def json_lines(command: Sequence[str]) -> list[str]:
    """The entry as Claude Desktop and Cursor read it; a backslash in a path is written twice."""
    program, *arguments = *command, *_ARGUMENTS
    return [
        "{",
        '  "mcpServers": {',
        f'    "{NAME}": {{',
        f'      "command": {json.dumps(program, ensure_ascii=False)},',
        f'      "args": {json.dumps(arguments, ensure_ascii=False)}',
        "    }",
        "  }",
        "}",
    ]


def yaml_lines(command: Sequence[str]) -> list[str]:
    """The same as a block of Continue; what JSON quotes, YAML reads."""
    program, *arguments = *command, *_ARGUMENTS
    return [
        f"name: {NAME}",
        "version: 0.0.1",
        "schema: v1",
        "mcpServers:",
        f"  - name: {NAME}",
        "    type: stdio",
        f"    command: {json.dumps(program, ensure_ascii=False)}",
        f"    args: {json.dumps(arguments, ensure_ascii=False)}",
    ]


def claude_code_line(command: Sequence[str], *, windows: bool = sys.platform == "win32") -> str:
    """The same as a command for Claude Code, quoted for the shell of this machine."""
    words = ["claude", "mcp", "add", NAME, "--", *command, *_ARGUMENTS]
    return subprocess.list2cmdline(words) if windows else shlex.join(words)


def desktop_file(platform: str, environ: Mapping[str, str], home: Path) -> Path:
    """Where Claude Desktop keeps its servers on this machine."""
    if platform == "win32":
        roaming = environ.get("APPDATA")
        folder = Path(roaming) if roaming else home / "AppData" / "Roaming"
    elif platform == "darwin":
        folder = home / "Library" / "Application Support"
    else:
        folder = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    return folder / "Claude" / "claude_desktop_config.json"
