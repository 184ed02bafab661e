"""Where the console of a demo finds the simulator that a server of the demo has in its own process."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import anyio

from ct_mcp.config.settings import Settings
from ct_mcp.config.token import Secret

_FILE = "simulator.json"


@contextmanager
def announced(settings: Settings) -> Iterator[None]:
    """Say in the state folder of the demo where its simulator is, while the block runs; the newest server counts."""
    file = settings.state_dir / _FILE
    said = json.dumps({"base_url": settings.base_url, "token": settings.token.reveal() if settings.token else ""})
    with suppress(OSError):  # a demo whose folder cannot be written has worse to tell than this
        _write_for_owner(file, said)
    try:
        yield
    finally:
        if _read(file) == said:
            file.unlink(missing_ok=True)


async def met(settings: Settings) -> Settings | None:
    """Settings that lead to the simulator of a server that runs now; None where there is none."""
    try:
        said = json.loads(_read(settings.state_dir / _FILE))
        host, _, port = said["base_url"].removeprefix("http://").rpartition(":")
        await (await anyio.connect_tcp(host, int(port))).aclose()
        return replace(settings, base_url=said["base_url"], token=Secret(said["token"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_for_owner(file: Path, text: str) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as written:
        written.write(text)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError:
        return ""
