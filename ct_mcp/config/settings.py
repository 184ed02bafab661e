"""Settings: what the operator decided, read from flags, environment, file and defaults.

Every source is read to its end and all faults are told at once, so that nobody fixes one to meet the next. Nothing is
dropped and nothing is guessed: a key that is not known, or a limit that would have no effect, refuses to start.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ct_mcp.config.contradictions import binding, contradictions
from ct_mcp.config.faults import as_flag, as_key, as_variable, listing
from ct_mcp.config.firm import account_policy, read_calendars
from ct_mcp.config.sources import (
    Secret,
    not_blank,
    read_file,
    read_token,
    token_from_keyring,
    untrusted_state,
    usual_file,
    usual_state_dir,
    variables,
)
from ct_mcp.domain.approval import Approval
from ct_mcp.errors import ConfigError
from ct_mcp.guard.firm_policy import NewsCalendar
from ct_mcp.guard.policy import (
    Limits,
    Mode,
    Policy,
    Protection,
    Recording,
    Watching,
)
from ct_mcp.live.cache import Freshness
from ct_mcp.store.postgres_url import PostgresUrl

if TYPE_CHECKING:
    from ct_mcp.config.schema import SettingsFile


@dataclass(frozen=True, slots=True)
class UpstreamTimeouts:
    """How long one upstream call may take. Bars take longer, since the add-on may have to fetch them first."""

    connect_seconds: float = 10.0
    read_seconds: float = 20.0
    bars_seconds: float = 45.0
    write_seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class Settings:
    """All that the operator decided.

    ``state`` is where all machines of a trader keep what they share; None is the folder alone. ``plane`` is the
    database of the trader's team, where they name one; `team_at` says where one is asked for.
    ``warnings`` belong on stderr; ``file`` is the one that was read, if any. In a demo ``token`` is made up for a
    simulator that lives as long as its process.
    """

    state_dir: Path
    policy: Policy = field(default_factory=Policy)
    state: PostgresUrl | None = None
    plane: PostgresUrl | None = None
    base_url: str = "https://app.crosstrade.io"
    stream: bool = True
    freshness: Freshness = field(default_factory=Freshness)
    timeouts: UpstreamTimeouts = UpstreamTimeouts()
    toolsets: frozenset[str] = frozenset({"read", "trade"})
    log_level: str = "info"
    token: Secret | None = None
    demo: bool = False
    warnings: tuple[str, ...] = ()
    file: Path | None = field(default=None, compare=False)

    @property
    def team_at(self) -> PostgresUrl | None:
        """Where the team's plane is asked: where the settings say, else where all machines share their state."""
        return self.plane or self.state


def load(
    flags: Mapping[str, str | None],
    environ: Mapping[str, str],
    *,
    default_file: Callable[[], Path] = usual_file,
    keyring: Callable[[], str | None] = token_from_keyring,
) -> Settings:
    """Read flags, environment, file and defaults, in this order of precedence.

    Flags are config, state_dir, base_url, mode, toolsets and log_level; None and blank count as not given.

    Raises:
        ConfigError: One line for each fault of any source.
    """
    from ct_mcp.config.schema import Overrides, SettingsFile, Variables, read  # noqa: PLC0415  # makes the models of pydantic

    faults: list[str] = []
    warnings: list[str] = []
    by_flag = read(Overrides, not_blank(flags), as_flag, faults)
    by_variable = read(Variables, variables(environ, warnings), as_variable, faults)
    token = read_token(environ, keyring, faults, warnings)
    path, raw = read_file(by_flag.config or by_variable.config, default_file, faults)
    file = read(SettingsFile, raw, as_key, faults)
    faults.extend(contradictions(file, raw))
    calendars = read_calendars(file, faults)
    chosen = file.given() | file.upstream.given() | by_variable.given() | by_flag.given()
    state_dir = chosen.get("state_dir") or usual_state_dir()
    faults.extend(untrusted_state(state_dir))
    faults.extend(_packages_missing(chosen))
    if faults:
        raise ConfigError(listing(faults, token.reveal() if token else None))
    policy = _policy(file, chosen.get("mode", Mode.SIM), calendars)
    return Settings(
        state_dir=state_dir,
        policy=policy,
        freshness=Freshness(**file.fresh.given()),
        timeouts=_timeouts(file),
        token=token,
        warnings=(
            *warnings,
            *_warnings(policy),
            *_database_warnings("state", by_variable.state, file.state),
            *_database_warnings("plane", by_variable.plane, file.plane),
        ),
        file=path,
        **{name: chosen[name] for name in _AS_CHOSEN if name in chosen},
    )


_AS_CHOSEN = ("state", "plane", "base_url", "stream", "toolsets", "log_level")
_DATABASES = ("state", "plane")


def _packages_missing(chosen: Mapping[str, Any]) -> Iterator[str]:
    for name in _DATABASES:
        if chosen.get(name) is not None and find_spec("psycopg") is None:
            yield f"{name}: needs a package that is not installed: install ct-mcp[postgres] in place of ct-mcp"


_NAMED_BY_VARIABLE = {
    "state": "halts, arms and approves in the folder of this machine, and not there",
    "plane": "knows nothing of the team's halts and policies",
}
_ANSWERS_IN_ITS_PLACE = {
    "state": "another could read all and answer in its place",
    "plane": "another could halt you, and say yes in a second person's place",
}


def _database_warnings(name: str, by_variable: PostgresUrl | None, in_file: PostgresUrl | None) -> Iterator[str]:
    if by_variable is not None and in_file is None:
        yield (
            f"{name}: {as_variable((name,))} alone names it, so a terminal without that variable "
            f"{_NAMED_BY_VARIABLE[name]}; name it in the file too, without its password"
        )
    database = by_variable or in_file
    if database is not None and not database.is_verified:
        whose = "your database" if name == "state" else "your team's database"
        yield (
            f"{name}: whether {database.host} is {whose} is not verified, so {_ANSWERS_IN_ITS_PLACE[name]}; "
            "add ?sslmode=verify-full&sslrootcert=FILE"
        )


def _timeouts(file: "SettingsFile") -> UpstreamTimeouts:
    given = file.upstream.given()
    return UpstreamTimeouts(
        **{key.replace("_timeout", ""): value for key, value in given.items() if "_timeout_" in key}
    )


def _policy(file: "SettingsFile", mode: Mode, calendars: Mapping[str, NewsCalendar | None]) -> Policy:
    return Policy(
        mode=mode,
        limits=Limits(**file.limits.given()),
        protection=Protection(**file.protection.given()),
        watches=Watching(**file.watches.given()),
        recording=Recording(**file.book.given()),
        accounts={
            name: account_policy(one, binding(one.limits.given()), calendars.get(name))
            for name, one in file.accounts.items()
        },
        instruments={name: binding(one.limits.given()) for name, one in file.instruments.items()},
        **file.approval.given(),
    )


def _warnings(policy: Policy) -> list[str]:
    """Say what the operator may decide, but ought to see each time."""
    named = {f'[accounts."{name}"] approval': account.approval for name, account in policy.accounts.items()}
    places = {"[approval] live": policy.live, **named} if policy.mode is Mode.LIVE else {}
    unasked = [place for place, approval in places.items() if approval is Approval.NONE]
    return [f"{place} is none: the assistant trades there without anybody's yes" for place in unasked]
