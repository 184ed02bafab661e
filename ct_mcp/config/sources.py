"""Where settings come from: the environment, one file, the keyring, the platform's folders."""

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

from ct_mcp.config.faults import shown
from ct_mcp.files import find_changeable_by_others, make_it_yours
from ct_mcp.guard.policy import Mode

UNEXPANDED = re.compile(r"\$\{|^\$\w+$|^%\w+%$")
"""A variable that the program that starts us was meant to fill in, as ``${VAR}``, ``$VAR`` or ``%VAR%``."""

WINDOWS_PATH_ADVICE = "A backslash means something else in double quotes: use single quotes, or / in place of it"

TOKEN_VARIABLES = ("CROSSTRADE_TOKEN", "XTRADE_TOKEN")
_TOKEN = re.compile(r"[!#-&(-~]+")  # what a header may carry, without blanks and quotation marks
_FAULTY_LINE = re.compile(r"\(at line ([0-9]+), ")
# A backslash that stands alone, behind a double quote and outside of comments.
_LONE_BACKSLASH = re.compile(r'^[^#]*"(?:[^\\]|\\\\)*\\(?!\\)')


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A text that shows itself only where `reveal` is called."""

    _value: str

    def __repr__(self) -> str:
        return "Secret(***)"

    def reveal(self) -> str:
        """Give the text itself, for the header that needs it and for nothing else."""
        return self._value


def not_blank(texts: Mapping[str, str | None]) -> dict[str, str]:
    """Keep the texts that say something, without the blanks around them."""
    return {name: text.strip() for name, text in texts.items() if text and text.strip()}


def variables(environ: Mapping[str, str], warnings: list[str]) -> dict[str, str]:
    """Read what the environment says under ``CT_MCP_``, by the names of the settings.

    A mode that cannot be read refuses to start in a file or a flag, where the person sees why. A variable is mostly
    filled in by a client, which would show nothing but a dead server; there the safest mode and a warning serve better.
    """
    given = not_blank({_setting(name): text for name, text in environ.items() if name.startswith("CT_MCP_")})
    if (mode := given.get("mode")) and mode not in list(Mode):
        warnings.append(f"CT_MCP_MODE: found {shown(mode)}, which is no mode; taken as read_only")
        given["mode"] = Mode.READ_ONLY.value
    return given


def _setting(variable: str) -> str:
    """Name the setting of a variable; bytes of its name that are no text become question marks."""
    return variable.removeprefix("CT_MCP_").lower().encode("utf-8", "replace").decode()


def read_file(named: Path | None, usual: Callable[[], Path], faults: list[str]) -> tuple[Path | None, dict[str, Any]]:
    """Read the file, and say which it was; only a file that somebody named has to exist."""
    file = named or usual()
    try:
        content = file.read_bytes()
        faults.extend(untrusted([file]))
    except FileNotFoundError:
        if named is None:
            return None, {}
        faults.append(f"{file}: there is no such file")
    except OSError as error:
        faults.append(f"{file}: cannot be read: {error.strerror}")
    else:
        return file, _parse(file, content, faults)
    return file, {}


def untrusted(paths: Iterable[Path]) -> Iterator[str]:
    """Give a fault where other users of this machine may change one of these: they would decide what is allowed."""
    found = find_changeable_by_others(paths)
    if found is not None:
        yield f"{found}: other users of this machine own it or may change it: {make_it_yours(found)}"


def untrusted_state(folder: Path) -> Iterator[str]:
    """Give a fault where others may change the state folder or a file of its tickets, journal and limits."""
    try:
        yield from untrusted((folder, *folder.glob("*.sqlite3*")))
    except OSError as error:
        yield f"{folder}: cannot be looked at: {error.strerror}"


def _parse(file: Path, content: bytes, faults: list[str]) -> dict[str, Any]:
    try:
        text = content.decode("utf-8-sig")  # Notepad on Windows begins a file with a byte order mark
        return tomllib.loads(text, parse_float=Decimal)
    except UnicodeDecodeError:
        faults.append(f"{file}: is not UTF-8 text; save it as UTF-8")
    except (ArithmeticError, RecursionError):
        faults.append(f"{file}: holds a number or a nesting beyond all bounds")
    except ValueError as error:
        advice = f". {WINDOWS_PATH_ADVICE}" if _has_lone_backslash(text, str(error)) else ""
        faults.append(f"{file}: is not valid TOML: {error}{advice}")
    return {}


def _has_lone_backslash(text: str, error: str) -> bool:
    """Say whether the line that an error names, else the last, holds a backslash that stands alone."""
    named = _FAULTY_LINE.search(error)
    lines = text.rstrip().split("\n")[: int(named[1]) if named else None]
    return _LONE_BACKSLASH.search(lines[-1]) is not None


def read_token(
    environ: Mapping[str, str], keyring: Callable[[], str | None], faults: list[str], warnings: list[str]
) -> Secret | None:
    """Read the token of the environment, else of the keyring; no fault or warning repeats it."""
    given = not_blank({name: environ.get(name) for name in TOKEN_VARIABLES}) or _kept(keyring, warnings)
    if len(set(given.values())) > 1:
        names = " and ".join(TOKEN_VARIABLES)
        faults.append(f"{names}: found two different tokens, expected one of the variables only")
    for place, text in given.items():
        if flaw := token_flaw(text):
            faults.append(f"{place}: {flaw}")
    return Secret(next(iter(given.values()))) if given else None


class NoKeyring(OSError):
    """The optional package is missing."""


_ENTRY = ("ct-mcp", "crosstrade")


def token_from_keyring() -> str | None:
    """Ask the keyring of the operating system; None where the optional package or the entry is missing.

    Raises:
        OSError: There is a keyring, but it is locked or broken.
    """
    with suppress(NoKeyring):
        return kept_in_keyring()
    return None


def kept_in_keyring() -> str | None:
    """Ask the keyring; None where it holds no token.

    Raises:
        NoKeyring: The optional package is missing.
        OSError: There is a keyring, but it is locked or broken.
    """
    return _ask_keyring("get_password")


def keep_in_keyring(token: Secret) -> None:
    """Keep a token in the keyring, in place of one that is there.

    Raises:
        NoKeyring: The optional package is missing.
        OSError: There is a keyring, but it is locked or broken.
    """
    _ask_keyring("set_password", token.reveal())


def remove_from_keyring() -> bool:
    """Remove the token from the keyring; False where there is none.

    Raises:
        NoKeyring, OSError: As above.
    """
    if kept_in_keyring() is None:
        return False
    _ask_keyring("delete_password")
    return True


def _ask_keyring(method: str, *given: str) -> str | None:
    try:
        keyring, errors = import_module("keyring"), import_module("keyring.errors")
    except ImportError as error:
        raise NoKeyring("the package keyring is not installed") from error
    try:
        found: str | None = getattr(keyring, method)(*_ENTRY, *given)
    except errors.KeyringError as error:
        raise OSError(type(error).__name__) from error
    return found


def _kept(keyring: Callable[[], str | None], warnings: list[str]) -> dict[str, str]:
    try:
        return not_blank({"the keyring's entry for ct-mcp": keyring()})
    except OSError as error:
        warnings.append(f"the keyring cannot be read ({error}); there is no token")
        return {}


def token_flaw(text: str) -> str:
    """Say why a text cannot be a token, without repeating it; empty where it can."""
    if UNEXPANDED.search(text):
        return "found a variable, expected the token; the program that starts this server did not fill it in"
    if not _TOKEN.fullmatch(text):
        return "found blanks, quotation marks or other characters that no token has, expected the token alone"
    return ""


def usual_file() -> Path:
    """Say where the settings are looked for when nobody names a file."""
    from platformdirs import user_config_path  # noqa: PLC0415  # not needed where a file is named

    return user_config_path("ct-mcp", appauthor=False) / "config.toml"


def usual_state_dir() -> Path:
    """Say which folder of the platform holds what outlives a process."""
    from platformdirs import user_state_path  # noqa: PLC0415  # not needed where a folder is named

    return user_state_path("ct-mcp", appauthor=False)
