"""The faults of a file that no single value shows: names that nothing matches, tables that are twice, looser limits.

The operator's settings are held to them, and what a team sets for a trader.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from ct_mcp.config.faults import KeyPath, as_key, mismatch, shown
from ct_mcp.config.firm import faults_of_rules
from ct_mcp.config.presets import load_preset
from ct_mcp.config.values import account_name, root
from ct_mcp.domain.account import account_key
from ct_mcp.guard.policy import OF_WHOLE_ACCOUNTS, FlatBy, LimitOverrides, Limits, is_earlier

if TYPE_CHECKING:
    from ct_mcp.config.schema import AccountTable, InstrumentTable, LimitsTable


class LimitingFile(Protocol):
    """What a file holds that limits: in general, by account, by root."""

    @property
    def limits(self) -> "LimitsTable": ...
    @property
    def accounts(self) -> "Mapping[str, AccountTable]": ...
    @property
    def instruments(self) -> "Mapping[str, InstrumentTable]": ...


def binding(limits: Mapping[str, Any]) -> LimitOverrides:
    """Give the limits that hold anything back: an empty list of roots and no time of day do not."""
    return {name: value for name, value in limits.items() if value is not None}


def contradictions(
    file: "LimitingFile", raw: Mapping[str, Any], stated: Collection[str] | None = None
) -> Iterator[str]:
    """Every fault that no value shows by itself; of general limits those hold that are ``stated``, None for all."""
    yield from _names_that_nothing_matches(file)
    yield from _accounts_twice(file)
    yield from _limits_of_accounts(file, raw)
    yield from faults_of_rules(file.accounts, raw)
    general = Limits(**file.limits.given())
    overrides = dict(_overrides(file))
    for path, limits in overrides.items():
        held = {name: value for name, value in limits.items() if stated is None or name in stated}
        yield from _looser_limits(path, held, general, raw)
    zones = {limits["flat_by"].zone for limits in (file.limits.given(), *overrides.values()) if limits.get("flat_by")}
    if len(zones) > 1:  # nobody can say which of two times of day is the stricter
        yield f"flat_by: found times in the zones {' and '.join(sorted(zones))}, expected one zone throughout"
    yield from _times_beside_presets(file)


def _times_beside_presets(file: "LimitingFile") -> Iterator[str]:
    """Find times to be flat by that come now before that of an account's preset, and now after it."""
    of_all = [file.limits, *(one.limits for one in file.instruments.values())]
    for name, account in file.accounts.items():
        preset = None if account.firm is None else load_preset(account.firm)
        known = None if preset is None else preset.limits.get("flat_by")
        if preset is None or known is None:
            continue
        for found in dict.fromkeys(each.given().get("flat_by") for each in (*of_all, account.limits)):
            if found is not None and not (is_earlier(found, known) or is_earlier(known, found)):
                yield (
                    f"flat_by: found {_spelled(found)}, and {preset.preset.name} of {as_key(('accounts', name))} has "
                    f"{_spelled(known)}: which of them comes first changes over the year; expected a time in the "
                    f"zone {known.zone}"
                )


def _names_that_nothing_matches(file: "LimitingFile") -> Iterator[str]:
    for table, names, check in (("accounts", file.accounts, account_name), ("instruments", file.instruments, root)):
        for name in names:
            try:
                check(name)
            except ValueError as expected:
                yield f"{as_key((table, name))}: found a name that nothing can match, expected {expected}"


def _accounts_twice(file: "LimitingFile") -> Iterator[str]:
    """Find tables that differ in case alone: the service takes them for one account."""
    seen: dict[str, str] = {}
    for name in file.accounts:
        first = seen.setdefault(account_key(name), name)
        if first != name:
            only = as_key(("accounts", first))
            yield f"{as_key(('accounts', name))}: found a second table of one account, expected only {only}"


def _limits_of_accounts(file: "LimitingFile", raw: Mapping[str, Any]) -> Iterator[str]:
    """Find limits of whole accounts that stand under an instrument, where they would hold all others as well."""
    tables = (("instruments", file.instruments, OF_WHOLE_ACCOUNTS | {"rates"}), ("accounts", file.accounts, {"rates"}))
    for table, named, misplaced in tables:
        for who, one in named.items():
            for name in sorted(one.limits.model_fields_set & misplaced):
                places = "[limits] or in the limits of an account" if name in OF_WHOLE_ACCOUNTS else "[limits] alone"
                expected = f"it in {places}: it belongs to accounts, not to one instrument"
                found = raw[table][who]["limits"][name]
                yield f"{as_key((table, who, 'limits', name))}: {mismatch(found, expected)}"


def _overrides(file: "LimitingFile") -> Iterator[tuple[KeyPath, dict[str, Any]]]:
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
