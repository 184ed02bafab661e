"""Puts the parts together: settings → client, store and desk. Nothing is opened before it is first used."""

import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from ct_mcp.config.settings import Settings, load

if TYPE_CHECKING:
    import argparse

    from ct_mcp.crosstrade.client import CrossTrade
    from ct_mcp.desk.desk import Desk
    from ct_mcp.desk.shared_budget import SharedBudget
    from ct_mcp.live.view import LiveView
    from ct_mcp.store.sqlite import SqliteStore

FLAGS = ("config", "state_dir", "base_url", "mode", "toolsets", "log_level")
_OF_THE_DEMO = ("CT_MCP_STATE_DIR", "CT_MCP_LOG_LEVEL")


def settings_for(chosen: "argparse.Namespace") -> Settings:
    """Settings from the flags of a command, the environment and the file.

    Raises:
        ConfigError: One line for each fault.
    """
    flags: Mapping[str, str | None] = {name: getattr(chosen, name, None) for name in FLAGS}
    if not getattr(chosen, "demo", False):
        return load(flags, os.environ)
    return demo_settings(flags)


def demo_settings(flags: Mapping[str, str | None]) -> Settings:
    """The built-in settings with a state folder of their own: a demo meets neither the token nor the usual file."""
    environ = {name: os.environ[name] for name in _OF_THE_DEMO if name in os.environ}
    chosen = {name: flags.get(name) for name in ("config", "state_dir", "log_level", "mode", "toolsets")}
    settings = load(chosen, environ, default_file=_no_file, keyring=lambda: None)
    return replace(settings, state_dir=settings.state_dir / "demo", token=None)


def _no_file() -> Path:
    return Path(__file__).with_name("there-is-no-such-file.toml")


class Furnishing:
    """The desk of one process and the store under it, each built when it is first asked for."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._client: CrossTrade | None = None

    def desk(self) -> "Desk":
        """Build the desk over the real client and store; this imports httpx and sqlite3, and opens neither."""
        return self._desk

    @cached_property
    def _desk(self) -> "Desk":
        from ct_mcp.crosstrade.client import CrossTrade
        from ct_mcp.crosstrade.line import Timeouts, utc_now
        from ct_mcp.desk.desk import Desk

        settings, waits = self.settings, self.settings.timeouts
        timeouts = Timeouts(waits.connect_seconds, waits.read_seconds, waits.bars_seconds, waits.write_seconds)
        token = settings.token.reveal() if settings.token else None
        self._client = CrossTrade(settings.base_url, token, timeouts, budget=self.budget)
        return Desk(self._client, self.store, settings.policy, clock=utc_now, pause=self._pause)

    async def _pause(self, seconds: float) -> bool:
        """Wait, but no longer than until there is word of an account; says whether there was."""
        return await self.live.pause(seconds, anyio.sleep)

    @cached_property
    def live(self) -> "LiveView":
        """What is known between two reads; `feed` keeps it fresh."""
        from ct_mcp.crosstrade.line import utc_now
        from ct_mcp.live.view import LiveView

        return LiveView(utc_now, self.settings.freshness)

    async def feed(self) -> None:
        """Feed what is known from the stream, until this is cancelled; at once over where there is to be none."""
        token = self.settings.token
        if not self.settings.stream or token is None:
            return
        from ct_mcp.crosstrade.line import utc_now
        from ct_mcp.crosstrade.stream import Stream, over_websocket
        from ct_mcp.live.feed import Feed

        stream = Stream(over_websocket(self.settings.base_url, token.reveal()))
        try:
            await Feed(stream, self.live, self.store, utc_now).run()
        except Exception:  # the server goes on by request: what is only shown must not end what trades
            logging.getLogger("ct_mcp").exception("The stream has failed; everything is read by request")
            self.live.unfollow()

    @cached_property
    def store(self) -> "SqliteStore":
        """The store that the desk writes to."""
        from ct_mcp.store.sqlite import SqliteStore

        return SqliteStore(self.settings.state_dir)

    @cached_property
    def budget(self) -> "SharedBudget":
        """What every process with this token takes its requests from."""
        from ct_mcp.crosstrade.line import utc_now
        from ct_mcp.desk.shared_budget import SharedBudget
        from ct_mcp.store.meters import Meters

        token = self.settings.token
        return SharedBudget(Meters(self.settings.state_dir), token.reveal() if token else "", utc_now)

    @property
    def is_used(self) -> bool:
        """Whether a handler has asked for the desk."""
        return self._client is not None

    async def close(self) -> None:
        """Close connections and the store, as far as they were opened."""
        if self._client is not None:
            await self._client.__aexit__(None, None, None)
        if "budget" in self.__dict__:
            await self.budget.close()
        if "store" in self.__dict__:
            await self.store.close()
