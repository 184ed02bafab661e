"""The parts of one process: whose tickets and halts its store sees."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from ct_mcp.cli.runtime import store_of
from ct_mcp.config.settings import Settings
from ct_mcp.config.sources import Secret
from ct_mcp.domain.approval import Halt

NOW = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)


async def test_a_store_belongs_to_an_address_with_its_token_and_a_terminal_without_one_sees_all(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "state", token=Secret("one"))
    ours = store_of(settings)
    assert await ours.set_halt(Halt("guard", NOW, "three denials"))
    seen = {}
    for name, other in {
        "the same": settings,
        "another token": replace(settings, token=Secret("two")),
        "another address": replace(settings, base_url="http://127.0.0.1:1"),
        "no token": replace(settings, token=None),
        "a demo": replace(settings, demo=True),
    }.items():
        store = store_of(other)
        seen[name] = await store.halt() is not None
        await store.close()
    await ours.close()
    assert seen == {
        "the same": True,
        "another token": False,
        "another address": False,
        "no token": True,
        "a demo": True,
    }
