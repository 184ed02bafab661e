"""Files and folders for their owner alone: make them, replace them, check them, read them.

On POSIX their mode says whose they are. On Windows a file has the rights of its folder, which is for the owner alone
where that lies in the owner's profile: there the checks pass.
"""

import errno
import os
import stat
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

LONGEST_TEXT = 64 * 1024

# A link that somebody else put there leads wherever they like.
_NO_LINK = 0 if sys.platform == "win32" else os.O_NOFOLLOW


class OpenToOthers(PermissionError):
    """A file that others may read or change, so that what it holds is neither secret nor to be trusted."""


def make_private_folder(folder: Path) -> None:
    """Make a folder for its owner alone, and those above it; one that exists stays as it is."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def create_private_file(file: Path, text: str = "") -> None:
    """Make a new file for its owner alone, and its folder if there is none.

    Raises:
        FileExistsError: There is a file, or a link, of this name already. It was not opened.
    """
    make_private_folder(file.parent)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(text)


def replace_private_file(file: Path, text: str) -> None:
    """Put a file for its owner alone in place of another, if there is one; readers see the old text or the new."""
    fresh = file.with_name(f".{file.name}-{token_hex(8)}")
    create_private_file(fresh, text)
    try:
        fresh.replace(file)
    except OSError:
        with suppress(OSError):
            fresh.unlink()
        raise


def replace_file(file: Path, content: bytes, like: Path | None = None) -> None:
    """Put a file in place of another in one stroke, with the rights of that other, or of ``like``.

    A link is followed, so that it stays one. Where neither is there, the file is for its owner alone.
    """
    target = file.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}-{token_hex(8)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        with suppress(FileNotFoundError):
            fresh.chmod(stat.S_IMODE((like or target).stat().st_mode))
        fresh.replace(target)
    except OSError:
        with suppress(OSError):
            fresh.unlink()
        raise


def read_private_file(file: Path, longest: int = LONGEST_TEXT) -> str:
    """Read at most ``longest`` characters of a file that is for its owner alone; bytes that are no UTF-8 become marks.

    Raises:
        OpenToOthers: Others may have read or changed it; nothing of it is given.
        OSError: It cannot be read, or is a link.
    """
    with os.fdopen(os.open(file, os.O_RDONLY | _NO_LINK), encoding="utf-8", errors="replace") as opened:
        # Of the file that is open now, which nobody can exchange any more.
        if _is_open_to_others(os.fstat(opened.fileno())):
            raise OpenToOthers(errno.EACCES, "it is not for its owner alone", str(file))
        return opened.read(longest)


def is_open_to_others(path: Path) -> bool:
    """Say whether somebody else owns a file or a folder, or may read or change it.

    Raises:
        OSError: There is none, or it cannot be looked at.
    """
    return _is_open_to_others(path.stat())


def is_changeable_by_others(path: Path) -> bool:
    """Say whether somebody else may change a file or a folder; what the system's administrator owns is not doubted.

    Raises:
        OSError: There is none, or it cannot be looked at.
    """
    if sys.platform == "win32":
        return False
    found = path.stat()
    return found.st_uid not in (os.geteuid(), 0) or bool(stat.S_IMODE(found.st_mode) & 0o022)


def find_changeable_by_others(paths: Iterable[Path]) -> Path | None:
    """Find the first of these files and folders that somebody else owns or may change; one that is not there is fine.

    Raises:
        OSError: One of them cannot be looked at.
    """
    for path in paths:
        with suppress(FileNotFoundError, NotADirectoryError):
            if is_changeable_by_others(path):
                return path
    return None


def make_it_yours(path: Path) -> str:
    """Say how a person takes a file or folder from others; they look first, since what it says may be somebody's."""
    return f"look at what stands in it, then make it yours alone (chmod go-w '{path}'; chown, where it is another's)"


def _is_open_to_others(found: os.stat_result) -> bool:
    if sys.platform == "win32":
        return False
    return found.st_uid != os.geteuid() or bool(stat.S_IMODE(found.st_mode) & 0o077)
