"""Which toolsets are on, which are off, and why. What may not be used is not listed, so somebody has to say so."""

from collections.abc import Collection

from ct_mcp.guard.policy import Mode

_READ_ONLY = "not listed, because the mode is read_only; only the operator can change it"
_LEFT_OUT = "not listed, because the operator left it out of the toolsets"
_NO_TRADE = "not listed, because toolset trade is off"
_NO_CHARTS = "not part of this version"


def may_trade(chosen: Collection[str], mode: Mode) -> bool:
    """Whether anything is listed that can reach the market; toolset strategies trades only where trade is on too."""
    return "trade" in chosen and mode is not Mode.READ_ONLY


def toolsets_off(chosen: Collection[str], mode: Mode) -> list[str]:
    """What is not listed, and why. Reading is always on: what trades must be looked at."""
    whys = {"trade": _trade(chosen, mode), "strategies": _strategies(chosen, mode), "charts": _charts(chosen)}
    return [f"{name}: {why}" for name, why in whys.items() if why]


def asked_in_vain(chosen: Collection[str]) -> str:
    """What the operator asks for and this version has not, for stderr; empty where there is nothing."""
    return f"toolset charts is {_NO_CHARTS}: no tool of it is listed" if "charts" in chosen else ""


def _trade(chosen: Collection[str], mode: Mode) -> str:
    if may_trade(chosen, mode):
        return ""
    return _READ_ONLY if mode is Mode.READ_ONLY else _LEFT_OUT


def _strategies(chosen: Collection[str], mode: Mode) -> str:
    if "strategies" not in chosen:
        return _LEFT_OUT
    if may_trade(chosen, mode):
        return ""
    return f"what changes one is {_READ_ONLY if mode is Mode.READ_ONLY else _NO_TRADE}; reading them is on"


def _charts(chosen: Collection[str]) -> str:
    return f"{_NO_CHARTS}, though the settings ask for it" if "charts" in chosen else _NO_CHARTS
