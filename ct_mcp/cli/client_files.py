"""Change the file in which a client keeps its servers: plan it, show it, keep what was there, write in one stroke.

Beside each file that was changed stands its backup, the text as it was before ct-mcp stood in it. Taking ct-mcp out
gives that text back, if nothing but our entry has been changed since; else the entry alone is cut out.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ct_mcp.cli.clients import Client, Entry, words_of
from ct_mcp.cli.json_text import UnreadableText
from ct_mcp.errors import CtMcpError
from ct_mcp.files import replace_file
from ct_mcp.text import command

_BACKUP = ".before-ct-mcp"


class ClientFileRefused(CtMcpError):
    """A client's file is left as it is; says which and why."""

    code = "CLIENT_FILE"
    sent = "It was not changed."


@dataclass(frozen=True, slots=True)
class ClientFileChange:
    """What becomes of one file; None is no file. ``keeps_backup``: what stands beside it is the text of before."""

    file: Path
    before: str | None
    after: str | None
    keeps_backup: bool = False

    @property
    def is_needed(self) -> bool:
        """Whether anything would be different."""
        return self.before != self.after


def backup_of(file: Path) -> Path:
    """Say where the text of before stands."""
    return file.with_name(file.name + _BACKUP)


def keep_backup(file: Path) -> None:
    """Keep the text of before beside a file, with the file's rights.

    Raises:
        ClientFileRefused: It cannot be written.
    """
    text = read_text(file)
    if text is None:
        return
    try:
        replace_file(backup_of(file), text.encode(), like=file)
    except OSError as error:
        raise ClientFileRefused(f"{file} has no backup, which cannot be written: {error.strerror}") from error


def named_in(client: Client, file: Path) -> dict[str, Any]:
    """Give the servers that a client's file names.

    Raises:
        ClientFileRefused: It cannot be read.
    """
    with _refusing(client, file):
        return client.named(read_text(file) or "")


def plan_install(client: Client, file: Path, name: str, entry: Entry) -> ClientFileChange:
    """Plan to put an entry into a file.

    Raises:
        ClientFileRefused: The file cannot be read or edited, or the name is taken by something else.
    """
    before = read_text(file)
    with _refusing(client, file):
        there = client.named(before or "").get(name)
        if there is not None and not (isinstance(there, dict) and "command" in there):
            raise UnreadableText(f"{name} is the name of another kind of server there; choose another with --name")
        after = client.put(before or "", name, entry)
        return ClientFileChange(file, before, after, keeps_backup=_origin(client, file, name) is not _UNKNOWN)


def plan_uninstall(client: Client, file: Path, name: str) -> ClientFileChange:
    """Plan to give back the text of before, or to take the entry out.

    Raises:
        ClientFileRefused: As above.
    """
    before = read_text(file)
    with _refusing(client, file, "mend it, or take the entry out by hand"):
        if before is None or name not in client.named(before):
            return ClientFileChange(file, before, before)
        origin = _origin(client, file, name)
        if not isinstance(origin, _Unknown):
            return ClientFileChange(file, before, origin, keeps_backup=True)
        return ClientFileChange(file, before, client.take(before, name) or None)


class _Unknown:
    """In place of a text of before that nobody knows any more."""


_UNKNOWN = _Unknown()


def _origin(client: Client, file: Path, name: str) -> str | _Unknown | None:
    """Give the text from which our entry makes the present one: the backup, or None where there was no file."""
    now = read_text(file)
    entry = client.named(now).get(name) if now is not None else None
    if entry is None:
        return _UNKNOWN
    backup = read_text(backup_of(file))
    with suppress(UnreadableText, KeyError):
        if client.put(backup or "", name, entry) == now:
            return backup
    return _UNKNOWN


def write_change(change: ClientFileChange) -> None:
    """Write what was planned, unless the file has become another meanwhile.

    Raises:
        ClientFileRefused: It has, or it cannot be written.
    """
    file, backup = change.file, backup_of(change.file)
    if read_text(file) != change.before:
        raise ClientFileRefused(f"{file} was changed by somebody else meanwhile", next_step="run this again")
    try:
        if not change.keeps_backup:
            keep_backup(file)
        if change.after is None:
            file.unlink()
        else:
            replace_file(file, change.after.encode())
        if change.after is not None and change.keeps_backup and change.after == read_text(backup):
            backup.unlink()
    except OSError as error:
        raise ClientFileRefused(f"{file} cannot be written: {error.strerror}") from error


def difference(client: Client, change: ClientFileChange, name: str) -> Iterator[str]:
    """Show what is put in, or how the command was and will be; nothing else, since secrets of others may stand there.

    What an insertion puts in is ours from its first letter to its last.
    """
    before, after = change.before or "", change.after or ""
    if (inserted := _inserted(before, after)) is not None:
        yield from (f"+ {line}" for line in inserted.splitlines() if line.strip())
        return
    for sign, text in (("-", before), ("+", after)):
        if words := words_of(client.named(text).get(name)):
            yield f"{sign} {name}: {' '.join(words)}"


def _inserted(before: str, after: str) -> str | None:
    """Give the one piece that makes the second text of the first, with the lines it begins with; None for others."""
    at = next((place for place, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]), len(before))
    piece = after[at : at + len(after) - len(before)]
    if len(after) <= len(before) or before[:at] + piece + before[at:] != after:
        return None
    while at and not piece.startswith("\n") and piece.endswith(before[at - 1]):
        at, piece = at - 1, before[at - 1] + piece[:-1]
    return piece


@contextmanager
def _refusing(client: Client, file: Path, next_step: str = "") -> Iterator[None]:
    try:
        yield
    except UnreadableText as error:
        by_hand = next_step or f"mend it, or add by hand what {command('install', client.key, '--print')} shows"
        raise ClientFileRefused(f"{file} is left as it is: {error}", next_step=by_hand) from error


def read_text(file: Path) -> str | None:
    """Read a text with its line ends as they are; None where there is no file.

    Raises:
        ClientFileRefused: It cannot be read.
    """
    try:
        return file.read_bytes().decode()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ClientFileRefused(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ClientFileRefused(f"{file} is not UTF-8 text", next_step="save it as UTF-8, then try again") from None
