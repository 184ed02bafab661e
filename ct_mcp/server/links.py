"""Which link of the chain to the broker is broken, from what one read said. Pure.

The chain runs from CrossTrade to NinjaTrader; each account has a broker behind it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ct_mcp.domain.market import Quote, clock_words, their_clock_ahead_seconds
from ct_mcp.errors import (
    AddonOffline,
    AskedToWait,
    AuthFailed,
    AuthReason,
    BadReply,
    BudgetExhausted,
    CtMcpError,
    RateLimited,
    Unavailable,
)
from ct_mcp.live.cache import LinkState
from ct_mcp.server.account_queries import TradingStatus
from ct_mcp.server.format import sanitize_name

CHAIN = ("CrossTrade", "token", "plan", "add-on", "NinjaTrader")

_NOT_REACHED = "not looked at: a link before it does not hold"


@dataclass(frozen=True, slots=True)
class Link:
    """One link."""

    name: str
    state: LinkState
    why: str = ""


def upstream_links(failure: CtMcpError | None) -> list[Link]:
    """Say how each link of the chain is after the accounts were read, or after that failed.

    Every request passes the chain from left to right: what is before the break holds, what is behind it is not known.
    """
    if failure is None:
        return [Link(name, LinkState.OK) for name in CHAIN]
    place, state = _break(failure)
    held = [Link(name, LinkState.OK) for name in CHAIN[:place]]
    if isinstance(failure, AuthFailed) and failure.reason is AuthReason.NO_TOKEN:
        held = [Link(CHAIN[0], LinkState.UNKNOWN, "not asked: there is no token")]
    behind = [Link(name, LinkState.UNKNOWN, _NOT_REACHED) for name in CHAIN[place + 1 :]]
    return [*held, Link(CHAIN[place], state, f"{failure.code}: {failure.what}"), *behind]


def _break(failure: CtMcpError) -> tuple[int, LinkState]:
    """The place in the chain that a failure is about, and the state of the link there."""
    match failure:
        case AuthFailed():
            return (2 if failure.reason is AuthReason.PLAN else 1), LinkState.BROKEN
        case AddonOffline():
            return 3, LinkState.BROKEN
        case Unavailable() | BadReply():
            return 0, LinkState.BROKEN
        case RateLimited() | AskedToWait():
            return 1, LinkState.UNKNOWN
        case BudgetExhausted():
            return 0, LinkState.UNKNOWN
        case _:
            return 3, LinkState.UNKNOWN


def broker_links(accounts: Sequence[TradingStatus]) -> list[Link]:
    """Say whether each account is connected to its broker, as NinjaTrader reports it."""
    return [_broker_link(status) for status in accounts]


def _broker_link(status: TradingStatus) -> Link:
    account = status.account
    name = f"broker of {sanitize_name(account.name)}"
    if account.is_connected is None:
        return Link(name, LinkState.UNKNOWN, "NinjaTrader did not say")
    if account.is_connected:
        return Link(name, LinkState.OK)
    return Link(name, LinkState.BROKEN, f"NinjaTrader says {account.connection_status}")


def clock_link(quotes: Sequence[Quote] | None, now: datetime) -> Link:
    """Say whether the clock of NinjaTrader's computer agrees with ours, by the stamps of quotes."""
    stamped = [quote for quote in quotes or () if quote.at is not None and quote.is_market_open is not False]
    if not stamped:
        return Link("clock", LinkState.UNKNOWN, "no quote of an open market to tell it by")
    ahead = their_clock_ahead_seconds(stamped, now)
    return Link("clock", LinkState.OK) if ahead is None else Link("clock", LinkState.BROKEN, clock_words(ahead))


def next_step(failure: CtMcpError | None, accounts: Sequence[TradingStatus]) -> str:
    """Name the one thing to do: about the link that failed, else about the first account that is not connected."""
    if failure is not None:
        return failure.advice or "tell the person what failed, and call get_status again"
    lost = next((status.account.name for status in accounts if status.account.is_connected is False), None)
    return f"the person must connect {sanitize_name(lost)} in NinjaTrader, then call get_status again" if lost else ""
