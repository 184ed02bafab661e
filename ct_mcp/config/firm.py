"""The rules of one account: those of a preset, narrowed by what the operator set, never widened."""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ct_mcp.config.faults import KeyPath, as_key, mismatch, shown
from ct_mcp.config.news import read_calendar
from ct_mcp.config.presets import LoadedPreset, load_preset
from ct_mcp.guard.firm_policy import (
    Automation,
    DayLossEnds,
    Drawdown,
    DrawdownKind,
    FirmRules,
    IfUnknown,
    NewsCalendar,
    NewsRule,
    ScalingStep,
    minis_at,
)
from ct_mcp.guard.policy import AccountPolicy, LimitOverrides, stricter

if TYPE_CHECKING:
    from ct_mcp.config.schema import AccountTable, SettingsFile

_DRAWDOWN = ("drawdown", "drawdown_amount", "start_balance")
_KINDS = list(DrawdownKind)
_ENDS = list(DayLossEnds)


def account_policy(account: "AccountTable", limits: LimitOverrides, calendar: NewsCalendar | None) -> AccountPolicy:
    """Say what the settings say of one account, with what its preset says; there is no fault in it."""
    preset = _preset_of(account)
    own = account.rules.given()
    if preset is None:
        automation = account.automation or Automation.PROPOSE
        return AccountPolicy(account.approval, limits, automation, _rules(own, None, calendar) if own else None)
    shared = {name: stricter(name, value, limits[name]) for name, value in preset.limits.items() if name in limits}
    rules = _rules(_narrowed(preset.rules, own), preset, calendar)
    advises = Automation.ADVISE in (preset.automation, account.automation)
    automation = Automation.ADVISE if advises else Automation.PROPOSE
    return AccountPolicy(account.approval, {**preset.limits, **limits, **shared}, automation, rules)


def read_calendars(file: "SettingsFile", faults: list[str]) -> dict[str, NewsCalendar | None]:
    """Read the calendars of news that accounts name."""
    named = {name: account.rules.news_file for name, account in file.accounts.items() if account.rules.news_file}
    read = {path: read_calendar(path, faults) for path in dict.fromkeys(named.values())}
    return {name: read[path] for name, path in named.items()}


def faults_of_rules(accounts: "Mapping[str, AccountTable]", raw: Mapping[str, Any]) -> Iterator[str]:
    """Give what is looser than the preset of its account, and rules that lack a figure."""
    for name, account in accounts.items():
        preset, at = _preset_of(account), ("accounts", name)
        own, given = account.rules.given(), raw["accounts"][name].get("rules", {})
        if preset is not None:
            for key, value in own.items():
                if _loosens(key, preset.rules, value):
                    yield _looser((*at, "rules", key), given[key], preset.rules.get(key), preset)
            yield from _looser_limits(at, account.limits.given(), raw["accounts"][name].get("limits", {}), preset)
            if preset.automation is Automation.ADVISE and account.automation is Automation.PROPOSE:
                yield _looser((*at, "automation"), "propose", "advise", preset)
        merged = _narrowed(preset.rules, own) if preset else own
        missing = [key for key in _DRAWDOWN if merged.get(key) is None]
        if len(missing) in (1, 2) or (missing and merged.get("floor_locks_at") is not None):
            yield f"{as_key((*at, 'rules'))}: a floor needs {', '.join(missing)} as well"


def _looser_limits(
    at: KeyPath, limits: Mapping[str, Any], raw: Mapping[str, Any], preset: LoadedPreset
) -> Iterator[str]:
    for name, value in limits.items():
        known = preset.limits.get(name)
        if known is not None and (value is None or stricter(name, known, value) != value):
            yield _looser((*at, "limits", name), raw[name], known, preset)


def _looser(path: KeyPath, found: Any, known: Any, preset: LoadedPreset) -> str:
    said = "none" if known is None else _spelled(known)
    return f"{as_key(path)}: {mismatch(found, f'nothing looser than {preset.preset.name} has it, {said}')}"


def _spelled(value: Any) -> str:
    if isinstance(value, tuple):
        return "; ".join(f"{step.minis} from {step.balance}" for step in value)
    return shown(value)


def _preset_of(account: "AccountTable") -> LoadedPreset | None:
    return None if account.firm is None else load_preset(account.firm)


# How each figure narrows ------------------------------------------------------------------------------------------

_STRICTER: Mapping[str, Callable[[Any, Any], Any]] = {
    "drawdown": lambda one, other: max(one, other, key=_KINDS.index),
    "drawdown_amount": min,
    "start_balance": max,
    "floor_locks_at": max,
    "scaling": lambda one, other: other if _is_within(other, one) else one,
    "no_opposite": lambda one, other: one or other,
    "no_opposite_over_accounts": lambda one, other: one or other,
    "opposite_groups": lambda one, other: (*one, *other),
    "require_stop": lambda one, other: one or other,
    "profit_lock": min,
    "news_before_minutes": max,
    "news_after_minutes": max,
    "news_no_resting": lambda one, other: one or other,
    "news_unknown": lambda one, other: IfUnknown.DENY if IfUnknown.DENY in (one, other) else IfUnknown.TELL,
    "day_loss_ends": lambda one, other: max(one, other, key=_ENDS.index),
    "best_day_percent": min,
}


def _narrowed(preset: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    both = {key: _STRICTER[key](preset[key], value) for key, value in own.items() if preset.get(key) is not None}
    return {**preset, **own, **both}


def _loosens(key: str, preset: Mapping[str, Any], value: Any) -> bool:
    """Say whether a figure would be passed over; a floor that never locks is the strictest."""
    known = preset.get(key)
    if known is None:
        return key == "floor_locks_at" and preset.get("drawdown") is not None
    return key != "opposite_groups" and _STRICTER[key](known, value) != value


def _is_within(own: tuple[ScalingStep, ...], preset: tuple[ScalingStep, ...]) -> bool:
    """Say whether no balance gives more contracts than the preset does."""
    balances = [step.balance for step in (*own, *preset)]
    return all(minis_at(own, balance) <= minis_at(preset, balance) for balance in (Decimal(0), *balances))


def _rules(given: Mapping[str, Any], preset: LoadedPreset | None, calendar: NewsCalendar | None) -> FirmRules:
    drawdown = None
    if given.get("drawdown") is not None:
        lock = given.get("floor_locks_at")
        drawdown = Drawdown(given["drawdown"], given["drawdown_amount"], given["start_balance"], lock)
    return FirmRules(
        preset=None if preset is None else preset.preset,
        drawdown=drawdown,
        scaling=given.get("scaling") or (),
        no_opposite=given.get("no_opposite") or False,
        no_opposite_over_accounts=given.get("no_opposite_over_accounts") or False,
        opposite_groups=given.get("opposite_groups") or (),
        require_stop=given.get("require_stop") or False,
        profit_lock=given.get("profit_lock"),
        news=_news(given, calendar),
        best_day_percent=given.get("best_day_percent"),
        day_loss_ends=given.get("day_loss_ends") or DayLossEnds.DAY,
    )


_NEWS = ("news_file", "news_before_minutes", "news_after_minutes")


def _news(given: Mapping[str, Any], calendar: NewsCalendar | None) -> NewsRule | None:
    no_resting = given.get("news_no_resting") or False
    if not no_resting and all(given.get(key) is None for key in _NEWS):
        return None
    before, after = given.get("news_before_minutes") or 0, given.get("news_after_minutes") or 0
    unknown = given.get("news_unknown") or IfUnknown.DENY
    return NewsRule(timedelta(minutes=before), timedelta(minutes=after), calendar, unknown, no_resting)
