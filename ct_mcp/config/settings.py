"""Settings: what the operator decided, read from flags, environment, file and defaults.

Every source is read to its end and all faults are told at once, so that nobody fixes one to meet the next. Nothing is
dropped and nothing is guessed: a key that is not known, or a limit that would have no effect, refuses to start.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ct_mcp.config.faults import KeyPath, as_flag, as_key, as_variable, listing, mismatch, shown
from ct_mcp.config.firm import account_policy, faults_of_rules, read_calendars
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
from ct_mcp.config.values import account_name, root
from ct_mcp.domain.account import account_key
from ct_mcp.domain.approval import Approval
from ct_mcp.errors import ConfigError
from ct_mcp.guard.firm_policy import NewsCalendar
from ct_mcp.guard.policy import (
    OF_WHOLE_ACCOUNTS,
    FlatBy,
    LimitOverrides,
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

    ``state`` is where all machines of a trader keep what they share; None is the folder alone.
    ``warnings`` belong on stderr; ``file`` is the one that was read, if any. In a demo ``token`` is made up for a
    simulator that lives as long as its process.
    """

    state_dir: Path
    policy: Policy = field(default_factory=Policy)
    state: PostgresUrl | None = None
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
    faults.extend(_contradictions(file, raw))
    calendars = read_calendars(file, faults)
    chosen = file.given() | file.upstream.given() | by_variable.given() | by_flag.given()
    state_dir = chosen.get("state_dir") or usual_state_dir()
    faults.extend(untrusted_state(state_dir))
    faults.extend(_packages_missing(chosen.get("state")))
    if faults:
        raise ConfigError(listing(faults, token.reveal() if token else None))
    policy = _policy(file, chosen.get("mode", Mode.SIM), calendars)
    return Settings(
        state_dir=state_dir,
        policy=policy,
        freshness=Freshness(**file.fresh.given()),
        timeouts=_timeouts(file),
        token=token,
        warnings=(*warnings, *_warnings(policy), *_state_warnings(by_variable.state, file.state)),
        file=path,
        **{name: chosen[name] for name in ("state", "base_url", "stream", "toolsets", "log_level") if name in chosen},
    )


def _packages_missing(state: PostgresUrl | None) -> Iterator[str]:
    if state is not None and find_spec("psycopg") is None:
        yield "state: needs a package that is not installed: install ct-mcp[postgres] in place of ct-mcp"


def _state_warnings(by_variable: PostgresUrl | None, in_file: PostgresUrl | None) -> Iterator[str]:
    if by_variable is not None and in_file is None:
        yield (
            "state: CT_MCP_STATE alone names it, so a terminal without that variable halts, arms and approves in the "
            "folder of this machine, and not there; name it in the file too, without its password"
        )
    state = by_variable or in_file
    if state is not None and not state.is_verified:
        yield (
            f"state: whether {state.host} is your database is not verified, so another could read all and answer "
            "in its place; add ?sslmode=verify-full&sslrootcert=FILE"
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
            name: account_policy(one, _binding(one.limits.given()), calendars.get(name))
            for name, one in file.accounts.items()
        },
        instruments={name: _binding(one.limits.given()) for name, one in file.instruments.items()},
        **file.approval.given(),
    )


def _binding(limits: Mapping[str, Any]) -> LimitOverrides:
    """Give the limits that hold anything back: an empty list of roots and no time of day do not."""
    return {name: value for name, value in limits.items() if value is not None}


def _contradictions(file: "SettingsFile", raw: Mapping[str, Any]) -> Iterator[str]:
    """Every fault that no value shows by itself."""
    yield from _names_that_nothing_matches(file)
    yield from _accounts_twice(file)
    yield from _limits_of_accounts(file, raw)
    yield from faults_of_rules(file, raw)
    general = Limits(**file.limits.given())
    overrides = dict(_overrides(file))
    for path, limits in overrides.items():
        yield from _looser_limits(path, limits, general, raw)
    zones = {limits["flat_by"].zone for limits in (file.limits.given(), *overrides.values()) if limits.get("flat_by")}
    if len(zones) > 1:  # nobody can say which of two times of day is the stricter
        yield f"flat_by: found times in the zones {' and '.join(sorted(zones))}, expected one zone throughout"


def _names_that_nothing_matches(file: "SettingsFile") -> Iterator[str]:
    for table, names, check in (("accounts", file.accounts, account_name), ("instruments", file.instruments, root)):
        for name in names:
            try:
                check(name)
            except ValueError as expected:
                yield f"{as_key((table, name))}: found a name that nothing can match, expected {expected}"


def _accounts_twice(file: "SettingsFile") -> Iterator[str]:
    """Find tables that differ in case alone: the service takes them for one account."""
    seen: dict[str, str] = {}
    for name in file.accounts:
        first = seen.setdefault(account_key(name), name)
        if first != name:
            only = as_key(("accounts", first))
            yield f"{as_key(('accounts', name))}: found a second table of one account, expected only {only}"


def _limits_of_accounts(file: "SettingsFile", raw: Mapping[str, Any]) -> Iterator[str]:
    """Find limits of whole accounts that stand under an instrument, where they would hold all others as well."""
    tables = (("instruments", file.instruments, OF_WHOLE_ACCOUNTS | {"rates"}), ("accounts", file.accounts, {"rates"}))
    for table, named, misplaced in tables:
        for who, one in named.items():
            for name in sorted(one.limits.model_fields_set & misplaced):
                places = "[limits] or in the limits of an account" if name in OF_WHOLE_ACCOUNTS else "[limits] alone"
                expected = f"it in {places}: it belongs to accounts, not to one instrument"
                found = raw[table][who]["limits"][name]
                yield f"{as_key((table, who, 'limits', name))}: {mismatch(found, expected)}"


def _overrides(file: "SettingsFile") -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    for name, account in file.accounts.items():
        limits = account.limits.given()
        yield ("accounts", name, "limits"), {key: value for key, value in limits.items() if key != "rates"}
    for name, instrument in file.instruments.items():
        limits = instrument.limits.given()
        yield (
            ("instruments", name, "limits"),
            {key: value for key, value in limits.items() if key not in OF_WHOLE_ACCOUNTS | {"rates"}},
        )


def _looser_limits(path: KeyPath, limits: Mapping[str, Any], general: Limits, raw: Mapping[str, Any]) -> Iterator[str]:
    """Give the limits of one account or root that would be passed over, since the general one is stricter."""
    for name, value in limits.items():
        if _loosens(general, name, value):
            expected = f"nothing looser than the general limit, {_spelled(getattr(general, name))}"
            found = raw[path[0]][path[1]][path[2]][name]
            yield f"{as_key((*path, name))}: {mismatch(found, expected)}: limits narrow and never widen"


def _loosens(general: Limits, name: str, value: Any) -> bool:
    if value is None:  # no time of day, any instrument
        return getattr(general, name) is not None
    return general.narrowed_by({name: value}) != replace(general, **{name: value})


def _spelled(limit: Any) -> str:
    """Spell a limit as the file would."""
    match limit:
        case FlatBy():
            return f'"{limit.at:%H:%M} {limit.zone}"'
        case frozenset():
            return shown(sorted(limit))
        case _:
            return shown(limit)


def _warnings(policy: Policy) -> list[str]:
    """Say what the operator may decide, but ought to see each time."""
    named = {f'[accounts."{name}"] approval': account.approval for name, account in policy.accounts.items()}
    places = {"[approval] live": policy.live, **named} if policy.mode is Mode.LIVE else {}
    unasked = [place for place, approval in places.items() if approval is Approval.NONE]
    return [f"{place} is none: the assistant trades there without anybody's yes" for place in unasked]
