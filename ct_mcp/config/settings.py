"""Settings: what the operator decided, read from flags, environment, file and defaults.

Every source is read to its end and all faults are told at once, so that nobody mends one to meet the next. Nothing is
dropped and nothing is guessed: a key that is not known, or a limit that would have no effect, refuses to start.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ct_mcp.config.policy import read_policy
from ct_mcp.config.readers import FRESH, TABLES, TEXTS, TIMEOUTS, TOP, UPSTREAM
from ct_mcp.config.sources import read_file, usual_file, usual_state_dir, variables
from ct_mcp.config.table import Table, not_blank
from ct_mcp.config.token import Secret, read_token, token_from_keyring
from ct_mcp.domain.ticket import Approval
from ct_mcp.errors import ConfigError
from ct_mcp.guard.policy import Mode, Policy
from ct_mcp.live.view import Freshness


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long one upstream call may take. Bars take longer, since the add-on may have to fetch them first."""

    connect_seconds: float = 10.0
    read_seconds: float = 20.0
    bars_seconds: float = 45.0
    write_seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class Settings:
    """All that the operator decided. ``warnings`` belong on stderr; ``file`` is the one that was read, if any."""

    state_dir: Path
    policy: Policy = field(default_factory=Policy)
    base_url: str = "https://app.crosstrade.io"
    stream: bool = True
    freshness: Freshness = field(default_factory=Freshness)
    timeouts: Timeouts = Timeouts()
    toolsets: frozenset[str] = frozenset({"read", "trade"})
    log_level: str = "info"
    token: Secret | None = None
    warnings: tuple[str, ...] = ()
    file: Path | None = field(default=None, compare=False)


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
    faults: list[str] = []
    warnings: list[str] = []
    by_flag = Table("--", not_blank(flags), faults).read(TEXTS)
    by_variable = Table("CT_MCP_", variables(environ, warnings), faults).read(TEXTS)
    token = read_token(environ, keyring, faults, warnings)
    file, values = read_file(by_flag.get("config") or by_variable.get("config"), default_file, faults)
    table = Table("", values, faults)
    chosen = table.read(TOP, TABLES) | table.section("upstream").read(UPSTREAM) | by_variable | by_flag
    freshness = Freshness(**table.section("fresh").read(FRESH))
    policy = read_policy(table, chosen.get("mode", Mode.SIM))
    if faults:
        raise ConfigError(_told(faults, token))
    return Settings(
        state_dir=chosen.get("state_dir") or usual_state_dir(),
        policy=policy,
        freshness=freshness,
        timeouts=Timeouts(**{field: chosen[key] for key, field in TIMEOUTS.items() if key in chosen}),
        token=token,
        warnings=(*warnings, *_warnings(policy)),
        file=file,
        **{name: chosen[name] for name in ("base_url", "stream", "toolsets", "log_level") if name in chosen},
    )


def _warnings(policy: Policy) -> list[str]:
    """What the operator may decide, but ought to see each time."""
    named = {f'[accounts."{name}"] approval': account.approval for name, account in policy.accounts.items()}
    places = {"[approval] live": policy.live, **named} if policy.mode is Mode.LIVE else {}
    unasked = [place for place, approval in places.items() if approval is Approval.NONE]
    return [f"{place} is none: the assistant trades there without anybody's yes" for place in unasked]


def _told(faults: list[str], token: Secret | None) -> str:
    """All faults, a line each. A token that somebody pasted into the wrong place is not repeated."""
    heading = f"{len(faults)} {'fault' if len(faults) == 1 else 'faults'} in the settings"
    told = "\n".join((f"{heading}:", *faults))
    return told.replace(token.reveal(), "***") if token and len(token.reveal()) >= 8 else told
