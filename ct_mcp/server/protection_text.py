"""Says of every open position whether a stop stands behind it: a sentence of its own, whatever else works."""

from collections.abc import Sequence
from dataclasses import dataclass

from ct_mcp.server.account_queries import TradingStatus
from ct_mcp.server.format import MOST_ROWS, sanitize_name
from ct_mcp.server.queries import Query, list_orders, orders_borne_out

STEP = "tell the person now of what stands without a stop; protect_position sets one"
STEP_UNKNOWN = "look with get_positions and get_orders whether a stop stands"


@dataclass(frozen=True, slots=True)
class OpenPositions:
    """What is held, each with what is behind it; ``bare`` are those that no stop covers wholly, in a few words.

    ``doubtful`` are those of which nobody can say, and the accounts whose positions could not be read; where nothing is
    known to be held and some were not read, what is held ``is_unknown``.
    """

    lines: tuple[str, ...] = ()
    bare: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()
    is_unknown: bool = False

    @property
    def next_step(self) -> str:
        """What to do about it; empty where everything that is held has its stop."""
        return STEP if self.bare else STEP_UNKNOWN if self.doubtful else ""


async def read_open_positions(query: Query, read: Sequence[TradingStatus] | None) -> OpenPositions:
    """Name every open position with what is behind it; its orders are read only where something is open."""
    from ct_mcp.desk.remedies import position_line  # noqa: PLC0415  # the desk is loaded by the first call
    from ct_mcp.desk.standing import standing_of  # noqa: PLC0415

    statuses = read or ()
    held = [position for status in statuses for position in status.positions or () if position.quantity]
    rows = await query.attempt("working orders", list_orders(query, None)) if held else None
    orders = None if rows is None else await orders_borne_out(query, rows, None, [each.account for each in held])
    contracts = query.desk.contexts.contracts
    lines, bare, doubtful = [], [], []
    for position in held:
        mine = orders.behind(position.account) if orders else None
        standing = standing_of(position, mine or (), contracts.get(position.instrument))
        behind = "what is behind it is not known" if mine is None else "; ".join(standing.protection)
        name = f"{sanitize_name(position.account)}  {position_line(position)}"
        lines.append(f"{name}; {behind}")
        if mine is None or standing.doubtful:
            doubtful.append(name)
        if mine is not None and standing.bare > standing.doubtful:
            bare.append(f"{name} has NO STOP{_part(standing.bare - standing.doubtful, position.quantity)}")
    unread = [f"{sanitize_name(each.account.name)}  positions not read" for each in statuses if each.positions is None]
    is_unknown = read is None or (not held and bool(unread))
    return OpenPositions(tuple(lines[:MOST_ROWS]), _page(bare), _page([*doubtful, *unread]), is_unknown)


def _part(missing: int, held: int) -> str:
    return "" if missing >= held else f" for {missing} of {held}"


def _page(rows: Sequence[str]) -> tuple[str, ...]:
    left = len(rows) - MOST_ROWS
    return (*rows[:MOST_ROWS], *([f"and {left} more, see get_positions"] if left > 0 else []))


def unprotected_line(bare: Sequence[str], doubtful: Sequence[str]) -> str:
    """Write what stands without a stop, and of what that is not known; nothing where neither is so."""
    told = [f"UNPROTECTED, tell the person now: {'; '.join(bare)}"] if bare else []
    told += [f"whether a stop stands is NOT KNOWN: {'; '.join(doubtful)}"] if doubtful else []
    return "; ".join(told)
