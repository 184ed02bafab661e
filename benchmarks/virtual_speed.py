"""What makes an episode cheap: what was read once is not read again.

Every function that is remembered is pure and its whole input is the key, so a story is the same to the letter with and
without it, which `tests/resilience/virtual` holds against each other. Nothing that judges or decides is remembered.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any

from virtual_world import replaced

from ct_mcp import text
from ct_mcp.crosstrade import failures
from ct_mcp.crosstrade.schemas import accounts, market, reply
from ct_mcp.crosstrade.schemas.values import RowContext, parse_json
from ct_mcp.simulator.market import Market, TopOfBook
from ct_mcp.simulator.products import SimContract
from ct_mcp.store import journal_table, ticket_codec
from ct_mcp.store.journal import entry_of

_MOST = 20_000
_parse_row, _top = reply.parse_row, Market.top
_rows: dict[tuple[object, ...], Any] = {}
_tops: dict[tuple[object, ...], TopOfBook] = {}


def remembered() -> AbstractContextManager[None]:
    """Remember what rows, answers and commands say while an episode is played."""
    read: dict[tuple[Any, str], Callable[..., Any]] = {
        (journal_table, "entry_of"): _entry_of,
        (ticket_codec, "_read"): _read,
        (failures, "parse_json"): _json,
        (text, "_seen"): _seen,
        (Market, "top"): _top_of,
    }
    rows = {(module, "parse_row"): _row for module in (reply, accounts, market)}
    return replaced(read | rows)


_entry_of = lru_cache(_MOST)(entry_of)
_read = lru_cache(_MOST)(ticket_codec._read)
_json = lru_cache(_MOST // 10)(parse_json)
_seen = lru_cache(_MOST)(text._seen)


def _row(model: type[Any], value: object, what: str, context: RowContext) -> Any:
    """A row that was read is a frozen model; one that cannot be read is named anew each time."""
    key = (model, repr(value), context)
    if key not in _rows:
        if len(_rows) > _MOST:
            _rows.clear()
        _rows[key] = _parse_row(model, value, what, context)
    return _rows[key]


def _top_of(self: Market, contract: SimContract, at: Any) -> TopOfBook:
    """Many ask for the same moment, each of its accounts and orders in turn."""
    key = (self.seed, contract.name, at)
    if key not in _tops:
        if len(_tops) > _MOST:
            _tops.clear()
        _tops[key] = _top(self, contract, at)
    return _tops[key]
