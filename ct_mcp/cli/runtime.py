"""The parts of one process put together: settings, then client, store and desk, each opened when it is first used."""

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from ct_mcp.config.settings import Settings, load
from ct_mcp.errors import ConfigError

if TYPE_CHECKING:
    import argparse

    from ct_mcp.crosstrade.client import CrossTrade
    from ct_mcp.crosstrade.request import CallTimeouts
    from ct_mcp.desk.desk import Desk
    from ct_mcp.desk.membership import Membership
    from ct_mcp.desk.request_budget import SharedBudget
    from ct_mcp.desk.team_report import TeamReporter
    from ct_mcp.guard.policy import TeamRules
    from ct_mcp.live.cache import LiveCache
    from ct_mcp.store.postgres_url import PostgresUrl
    from ct_mcp.store.sql_store import SqlStore

FLAGS = ("config", "state_dir", "base_url", "mode", "toolsets", "log_level")
"""The settings that ``serve`` takes as flags; each may stand in a variable ``CT_MCP_...`` as well."""
OF_THE_DEMO = ("CT_MCP_STATE_DIR", "CT_MCP_LOG_LEVEL")
"""The variables that a demo reads."""


def utc_now() -> datetime:
    """Read the clock of this machine."""
    return datetime.now(UTC)


def settings_for(chosen: "argparse.Namespace") -> Settings:
    """Read the settings from the flags of a command, the environment and the file.

    Raises:
        ConfigError: One line for each fault.
    """
    flags: Mapping[str, str | None] = {name: getattr(chosen, name, None) for name in FLAGS}
    if not getattr(chosen, "demo", False):
        return load(flags, os.environ)
    return demo_settings(flags)


def demo_settings(flags: Mapping[str, str | None]) -> Settings:
    """Make the built-in settings with a state folder of their own: a demo reads no token and no usual file."""
    environ = {name: os.environ[name] for name in OF_THE_DEMO if name in os.environ}
    chosen = {name: flags.get(name) for name in ("config", "state_dir", "log_level", "mode", "toolsets")}
    settings = load(chosen, environ, default_file=_no_file, keyring=lambda: None)
    return replace(settings, state_dir=settings.state_dir / "demo", state=None, plane=None, token=None, demo=True)


def _no_file() -> Path:
    return Path(__file__).with_name("there-is-no-such-file.toml")


class Runtime:
    """The desk of one process and what it stands on, each built when it is first asked for."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._client: CrossTrade | None = None

    def build_desk(self) -> "Desk":
        """Build the desk over the real client and store, once; this imports httpx and sqlite3, and opens neither."""
        return self._desk

    @cached_property
    def _desk(self) -> "Desk":
        from ct_mcp.crosstrade.client import CrossTrade
        from ct_mcp.desk.desk import Desk

        settings = self.settings
        token = settings.token.reveal() if settings.token else None
        self._client = CrossTrade(settings.base_url, token, timeouts_of(settings), budget=self.budget)
        return Desk(self._client, self.store, self.team, clock=utc_now, pause=self._pause)

    async def _pause(self, seconds: float) -> bool:
        """Wait, but no longer than until there is word of an account; says whether there was."""
        return await self.live.pause(seconds, anyio.sleep)

    @cached_property
    def live(self) -> "LiveCache":
        """What is known between two reads; `feed` keeps it fresh."""
        from ct_mcp.live.cache import LiveCache

        return LiveCache(utc_now, self.settings.freshness)

    async def feed(self) -> None:
        """Feed what is known from the stream, until this is cancelled; at once over where there is to be none."""
        token = self.settings.token
        if not self.settings.stream or token is None:
            return
        from ct_mcp.crosstrade.stream.socket import LiveStream, over_websocket
        from ct_mcp.desk.day_losses import DayLosses
        from ct_mcp.live.feed import Feed
        from ct_mcp.live.losses import note_losses

        stream = LiveStream(over_websocket(self.settings.base_url, token.reveal()))
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(note_losses, self.live, DayLosses(self.store, self.team, utc_now))
                await Feed(stream, self.live, self.store, utc_now).run()
                tasks.cancel_scope.cancel()
        except Exception:  # the server goes on by request: what is only shown must not end what trades
            logging.getLogger("ct_mcp").exception("The stream has failed; everything is read by request")
            self.live.unfollow()

    async def listen(self) -> None:
        """Hear what other machines do, until this is cancelled; at once over where nothing is shared with any."""
        if self.settings.state is None:
            return
        try:
            from ct_mcp.store.postgres_wakes import WakeListener

            await WakeListener(self.settings.state, self.store.wakes).run()
        except Exception:  # the server goes on by looking: a wake-up only saves time
            logging.getLogger("ct_mcp").exception("What other machines do is seen at the next look only")

    async def owes_exits(self) -> bool:
        """Say whether an entry may still fill, has exits that stand, or something is to be watched.

        Looks only where there is a state file or a database, and at the clock.
        """
        from ct_mcp.guard.news_windows import settings_act

        if settings_act(self.settings.policy, utc_now()):
            return True
        store = self._store_if_there()
        return store is not None and bool(await store.duties() or await store.watches())

    async def report(self) -> None:
        """Tell the team how this machine stands, by what is known here; nothing is asked of the service for it.

        Raises:
            StoreFailed: It could not be told.
        """
        await self._reporter.report(self._desk.seen if self.is_used else None)

    @cached_property
    def _reporter(self) -> "TeamReporter":
        from socket import gethostname

        from ct_mcp.desk.team_report import TeamReporter

        return TeamReporter(self.team, self._store_if_there, utc_now, gethostname())

    def _store_if_there(self) -> "SqlStore | None":
        """The store, where anything was ever kept in it: to look makes none."""
        from ct_mcp.store.sqlite import FILE_NAME

        is_there = self.settings.state is not None or (self.settings.state_dir / FILE_NAME).exists()
        return self.store if is_there else None

    async def keeps_book(self) -> bool:
        """Say whether executions are to be kept; not before anything of this service was ever asked for here."""
        can_ask = self.settings.token is not None or self.settings.demo
        return self.settings.policy.recording.on and can_ask and self._store_if_there() is not None

    @cached_property
    def store(self) -> "SqlStore":
        """The store that the desk writes to."""
        return store_of(self.settings)

    @cached_property
    def team(self) -> "Membership":
        """How this trader stands with a team; where there is none, the settings alone hold."""
        return team_of(self.settings)

    @cached_property
    def budget(self) -> "SharedBudget":
        """What every process with this token takes its requests from."""
        return shared_budget(self.settings, utc_now)

    @property
    def is_used(self) -> bool:
        """Whether a handler has asked for the desk."""
        return self._client is not None

    async def close(self) -> None:
        """Close connections and the store, as far as they were opened."""
        if self._client is not None:
            await self._client.__aexit__(None, None, None)
        if "team" in self.__dict__:
            await self.team.close()
        if "budget" in self.__dict__:
            await self.budget.close()
        if "store" in self.__dict__:
            await self.store.close()


def store_of(settings: Settings) -> "SqlStore":
    """Open the store of a state folder or of all machines, as the service and the token of these settings see it.

    Raises:
        ConfigError: What it takes to reach a database is not installed.
    """
    from ct_mcp.store.sqlite import SqliteStore

    service = _service_of(settings)
    if settings.state is None:
        return SqliteStore(settings.state_dir, service=service)
    return _shared_store(settings, settings.state, service)


def _shared_store(settings: Settings, state: "PostgresUrl", service: str) -> "SqlStore":
    from ct_mcp.store.alone import ExitsAlone
    from ct_mcp.store.sql_store import SqlStore

    try:
        from ct_mcp.store.postgres import PostgresDatabase
    except ImportError as error:
        raise ConfigError(f"state: what reaches the database cannot be loaded: {error}") from error
    shared = PostgresDatabase(state, service, utc_now)
    return SqlStore(ExitsAlone(shared, settings.state_dir, service, utc_now))


def team_of(settings: Settings) -> "Membership":
    """Say how a trader stands with the team that these settings, or the place of their state, lead to; asks nothing.

    Raises:
        ConfigError: What it takes to reach a database is not installed.
    """
    from ct_mcp.desk.membership import Membership, TeamLink

    at = settings.team_at
    if at is None:
        return Membership(settings.policy, utc_now)
    from ct_mcp.store.team_file import TeamFile

    try:
        from ct_mcp.store.plane_trader import TraderPlane
    except ImportError as error:
        raise ConfigError(f"plane: what reaches the database cannot be loaded: {error}") from error
    plane = TraderPlane(at, required=settings.plane is not None, clock=utc_now)
    return Membership(settings.policy, utc_now, TeamLink(plane, _read_policy, TeamFile(settings.state_dir, str(at))))


def _read_policy(text: str) -> "TeamRules":
    from ct_mcp.config.team_policy import parse_team_policy  # makes the models of pydantic

    return parse_team_policy(text)


def _service_of(settings: Settings) -> str:
    """Name a service and a token by a piece of their hash; empty where there is no token, or one made up for a demo."""
    if settings.token is None or settings.demo:
        return ""
    named = f"ct-mcp service {settings.base_url} {settings.token.reveal()}"
    return sha256(named.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def timeouts_of(settings: Settings) -> "CallTimeouts":
    """Give the operator's timeouts to the client."""
    from ct_mcp.crosstrade.request import CallTimeouts

    waits = settings.timeouts
    return CallTimeouts(waits.connect_seconds, waits.read_seconds, waits.bars_seconds, waits.write_seconds)


def shared_budget(settings: Settings, clock: Callable[[], datetime]) -> "SharedBudget":
    """Open the request budget that all processes with this token share."""
    from ct_mcp.desk.request_budget import SharedBudget
    from ct_mcp.store.rate_limit_file import RateLimitFile

    token = settings.token.reveal() if settings.token else ""
    if settings.state is None:
        return SharedBudget(RateLimitFile(settings.state_dir), token, clock)
    from ct_mcp.store.rate_limit_table import RateLimitTable

    table = RateLimitTable(settings.state, clock)
    return SharedBudget(table, token, table.now)
