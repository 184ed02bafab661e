"""The token that clients of ``serve --http`` show: our own, made at the first start, and kept for its owner alone."""

import os
import re
import stat
import sys
from hmac import compare_digest
from pathlib import Path
from secrets import token_urlsafe

from ct_mcp.config.settings import Settings
from ct_mcp.errors import ConfigError

_FILE = "http-token"
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{32,512}")


def token_file(settings: Settings) -> Path:
    """Where the token is kept."""
    return settings.state_dir / _FILE


def kept_token(settings: Settings) -> str:
    """The token of this state folder; made where there is none yet.

    On POSIX the file is for its owner alone, and one that others may read is refused. On Windows it has the rights of
    the folder that it stands in, which is for the owner alone as long as that lies in the owner's profile.

    Raises:
        ConfigError: The file cannot be read, written or trusted.
    """
    file = token_file(settings)
    try:
        token = _read(file) if file.exists() else _made(file)
    except OSError as error:
        raise ConfigError(f"{file} cannot be used: {error.strerror}") from error
    if not _TOKEN.fullmatch(token):
        raise ConfigError(f"{file} holds no token of 32 characters or more: delete it, and a new one is made")
    if settings.token is not None and compare_digest(token, settings.token.reveal()):
        raise ConfigError(f"{file} holds the token of CrossTrade, which no client may have: delete it")
    return token


def _made(file: Path) -> str:
    token = token_urlsafe(32)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as written:
        written.write(f"{token}\n")
    return token


def _read(file: Path) -> str:
    with os.fdopen(
        os.open(file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), encoding="utf-8", errors="replace"
    ) as kept:
        if sys.platform != "win32":
            found = os.fstat(kept.fileno())
            if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
                raise ConfigError(f"{file} is not for its owner alone, so others may have read it: delete it")
        return kept.read(1024).strip()
