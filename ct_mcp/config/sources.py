"""Where settings come from: the environment, one file, the platform's folders."""

import tomllib
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from ct_mcp.config.table import not_blank, shown
from ct_mcp.guard.policy import Mode


def usual_file() -> Path:
    """Where the settings are looked for when nobody names a file."""
    from platformdirs import user_config_path  # noqa: PLC0415  # not needed where a file is named

    return user_config_path("ct-mcp", appauthor=False) / "config.toml"


def usual_state_dir() -> Path:
    """The platform's folder for what outlives a process."""
    from platformdirs import user_state_path  # noqa: PLC0415  # not needed where a folder is named

    return user_state_path("ct-mcp", appauthor=False)


def variables(environ: Mapping[str, str], warnings: list[str]) -> dict[str, str]:
    """What the environment says under ``CT_MCP_``, by the names of the settings.

    A mode that cannot be read refuses to start in a file or a flag, where the person sees why. A variable is mostly
    filled in by a client, which would show nothing but a dead server; there the safest mode and a warning serve better.
    """
    names = [name for name in environ if name.startswith("CT_MCP_")]
    given = not_blank({name.removeprefix("CT_MCP_").lower(): environ[name] for name in names})
    if (mode := given.get("mode")) and mode not in list(Mode):
        warnings.append(f"CT_MCP_MODE: found {shown(mode)}, which is no mode; taken as read_only")
        given["mode"] = Mode.READ_ONLY
    return given


def read_file(named: Path | None, usual: Callable[[], Path], faults: list[str]) -> tuple[Path | None, dict[str, Any]]:
    """The file that was read and what stands in it; only a file that somebody named has to exist."""
    file = named or usual()
    try:
        return file, _parsed(file.read_bytes())
    except FileNotFoundError:
        if named is None:
            return None, {}
        faults.append(f"{file}: there is no such file")
    except OSError as error:
        faults.append(f"{file}: cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        faults.append(f"{file}: is not UTF-8 text; save it as UTF-8")
    except (ArithmeticError, RecursionError):
        faults.append(f"{file}: holds a number or a nesting beyond all bounds")
    except ValueError as error:
        faults.append(f"{file}: is not valid TOML: {error}")
    return file, {}


def _parsed(content: bytes) -> dict[str, Any]:
    # Notepad on Windows begins a file with a byte order mark.
    return tomllib.loads(content.decode("utf-8-sig"), parse_float=Decimal)
