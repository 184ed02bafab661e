"""Which link of the chain is broken, from what one read said. Pure."""

import re
from collections.abc import Sequence

from ct_mcp.errors import AddonOffline, AuthFailed, BadReply, BudgetExhausted, CtMcpError, RateLimited, Unavailable
from ct_mcp.server.answers.status import Link
from ct_mcp.server.present import theirs
from ct_mcp.server.standing import Standing, is_connected

CHAIN = ("CrossTrade", "token", "plan", "add-on", "NinjaTrader")

# The words by which the service says that the token is right and the subscription is not.
_PLAN = re.compile(r"(?i)HTTP 403|subscription|requires_pro|\bplan\b")
_NO_TOKEN = "there is no token"  # noqa: S105  # no password
_NOT_REACHED = "not looked at: a link before it does not hold"


def upstream_links(failure: CtMcpError | None) -> list[Link]:
    """How each link stands after the accounts were read, or after that failed.

    The chain is passed from left to right: what lies before the break holds, what lies behind it is not known.
    """
    if failure is None:
        return [Link(name, "ok") for name in CHAIN]
    place, state = _break(failure)
    held = [Link(name, "ok") for name in CHAIN[:place]]
    if isinstance(failure, AuthFailed) and failure.what == _NO_TOKEN:
        held = [Link(CHAIN[0], "unknown", "not asked: there is no token")]
    behind = [Link(name, "unknown", _NOT_REACHED) for name in CHAIN[place + 1 :]]
    return [*held, Link(CHAIN[place], state, f"{failure.code}: {failure.what}"), *behind]


def _break(failure: CtMcpError) -> tuple[int, str]:
    match failure:
        case AuthFailed():
            return (2 if _PLAN.search(failure.what) else 1), "broken"
        case AddonOffline():
            return 3, "broken"
        case Unavailable() | BadReply():
            return 0, "broken"
        case RateLimited():
            return 1, "unknown"
        case BudgetExhausted():
            return 0, "unknown"
        case _:
            return 3, "unknown"


def broker_links(standings: Sequence[Standing]) -> list[Link]:
    """Whether each account is connected to its broker, as NinjaTrader says."""
    return [_broker_link(standing) for standing in standings]


def _broker_link(standing: Standing) -> Link:
    name, status = f"broker of {theirs(standing.account.name)}", standing.account.connection_status
    if status is None:
        return Link(name, "unknown", "NinjaTrader did not say")
    return Link(name, "ok") if is_connected(status) else Link(name, "broken", f"NinjaTrader says {status}")


def next_step(failure: CtMcpError | None, standings: Sequence[Standing]) -> str:
    """The one thing to do: about the link that failed, else about the first account that is not connected."""
    if failure is not None:
        return failure.advice or "tell the person what failed, and call get_status again"
    statuses = ((standing.account.name, standing.account.connection_status) for standing in standings)
    lost = next((name for name, status in statuses if status and not is_connected(status)), None)
    return f"the person must connect {theirs(lost)} in NinjaTrader, then call get_status again" if lost else ""
