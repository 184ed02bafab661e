"""The policy as the file states it. Limits of one account or root narrow the general ones, and never widen them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ct_mcp.config.readers import ACCOUNT, APPROVAL, LIMITS, account_name, root
from ct_mcp.config.table import Reader, Table, shown
from ct_mcp.guard.policy import AccountPolicy, FlatBy, LimitOverrides, Limits, Mode, Policy


def read_policy(table: Table, mode: Mode) -> Policy:
    """Everything under approval, limits, accounts and instruments; faults go where the table keeps them."""
    given = table.section("limits").read(LIMITS)
    limits = replace(Limits(), **given)
    policy = Policy(
        mode=mode,
        limits=limits,
        accounts={name: _account(one, limits) for name, one in _each(table, "accounts", account_name).items()},
        instruments={name: _instrument(one, limits) for name, one in _each(table, "instruments", root).items()},
        **table.section("approval").read(APPROVAL),
    )
    overrides = [account.limits for account in policy.accounts.values()]
    _expect_one_zone(table, [given, *overrides, *policy.instruments.values()])
    return policy


def _each(table: Table, section: str, reader: Reader) -> dict[str, Table]:
    """The tables of a section whose names the operator chose."""
    parent = table.section(section)
    for name in parent.values:
        try:
            reader(name)
        except ValueError as expected:
            parent.fault(name, f"found a name that nothing can match, expected {expected}")
    return {name: parent.section(name) for name in parent.values}


def _account(table: Table, general: Limits) -> AccountPolicy:
    return AccountPolicy(table.read(ACCOUNT, ("limits",)).get("approval"), _narrower(table, general))


def _instrument(table: Table, general: Limits) -> LimitOverrides:
    table.read({}, ("limits",))
    return _narrower(table, general)


def _narrower(table: Table, general: Limits) -> LimitOverrides:
    """The limits of one account or root. A looser one would be passed over in silence, so it is a fault."""
    limits = table.section("limits")
    given = limits.read(LIMITS)
    for name, value in given.items():
        if _loosens(general, name, value):
            limits.fault(
                name,
                f"found {shown(limits.values[name])}, expected nothing looser than the general limit, "
                f"{_in_words(getattr(general, name))}: limits narrow and never widen",
            )
    return {name: value for name, value in given.items() if value is not None}


def _loosens(general: Limits, name: str, value: Any) -> bool:
    if value is None:  # no time of day, any instrument
        return getattr(general, name) is not None
    return general.narrowed_by({name: value}) != replace(general, **{name: value})


def _in_words(limit: Any) -> str:
    match limit:
        case FlatBy():
            return f'"{limit.at:%H:%M} {limit.zone}"'
        case frozenset():
            return shown(sorted(limit))
        case _:
            return shown(limit)


def _expect_one_zone(table: Table, every: list[Mapping[str, Any]]) -> None:
    """Of two times of day in different zones nobody can say which is the stricter."""
    zones = {limits["flat_by"].zone for limits in every if limits.get("flat_by")}
    if len(zones) > 1:
        table.fault("flat_by", f"found times in the zones {' and '.join(sorted(zones))}, expected one zone throughout")
