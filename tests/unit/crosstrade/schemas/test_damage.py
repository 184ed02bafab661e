"""Documented answers with one thing broken: read, or refused, and nothing else."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.crosstrade.failures import json_in
from ct_mcp.crosstrade.wire import acknowledged_in
from ct_mcp.crosstrade.wire_accounts import accounts_in, positions_in, snapshots_in, watermarks_in
from ct_mcp.crosstrade.wire_market import bars_in, quotes_in, session_in
from ct_mcp.crosstrade.wire_orders import asked_order_in, executions_in, lifecycle_in, orders_in
from ct_mcp.crosstrade.wire_row import Reply
from ct_mcp.crosstrade.wire_strategies import (
    acknowledged_strategy_in,
    asked_strategy_in,
    strategies_in,
    templates_in,
)
from ct_mcp.errors import UpstreamError

NOW = datetime(2026, 3, 18, 21, 0, tzinfo=UTC)
DATA = Path(__file__).parents[1] / "data"
READERS: dict[str, Callable[[Reply], object]] = {
    "ListAccounts": accounts_in,
    "GetAccountSummary": snapshots_in,
    "GetWatermarks": lambda reply: watermarks_in(reply, "Sim101"),
    "ListPositions": lambda reply: positions_in(reply, "Sim101"),
    "ListOrders": lambda reply: orders_in(reply, "Sim101"),
    "GetOrder": lambda reply: asked_order_in(reply, "Sim101"),
    "GetOrderLifecycle": lambda reply: lifecycle_in(reply, "Sim101"),
    "ListExecutions": lambda reply: executions_in(reply, "Sim101"),
    "GetQuote.several": lambda reply: quotes_in(reply, ["ES", "NQ"]),
    "MarketInfo": lambda reply: session_in(reply, "ES"),
    "GetBars": lambda reply: bars_in(reply, "ES", 3),
    "Flatten": lambda reply: acknowledged_in(reply, "Sim101"),
    "ListAllStrategies": lambda reply: strategies_in(reply, None),
    "GetStrategy": lambda reply: asked_strategy_in(reply, "Sim101", "334081723"),
    "DisableStrategy": lambda reply: acknowledged_strategy_in(reply, "Sim101", "334081723"),
    "ListAtmTemplates": templates_in,
}
PAYLOADS = {name: json_in((DATA / f"{name}.json").read_text(encoding="utf-8")) for name in READERS}
JUNK = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from([[], {}, [None], "1e400", 10**400, -0.0, "ES", "9999-12-31T23:59:59Z", "0000-00-00"])
)


def places(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The way to every value in a payload."""
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*path, key))


def damaged(value: object, path: tuple[str | int, ...], junk: object) -> object:
    if not path:
        return junk
    value = deepcopy(value)
    inner = value
    for key in path[:-1]:
        inner = inner[key]  # type: ignore[index]
    inner[path[-1]] = junk  # type: ignore[index]
    return value


@given(st.data(), st.sampled_from(sorted(READERS)), JUNK)
def test_one_broken_thing_is_read_or_refused(data: st.DataObject, name: str, junk: object) -> None:
    path = data.draw(st.sampled_from(list(places(PAYLOADS[name]))))
    reply = Reply(name, damaged(PAYLOADS[name], path, junk), NOW)
    try:
        READERS[name](reply)
    except UpstreamError as error:
        assert str(error)  # noqa: PT017 - refusing is one of the two right endings


def test_every_payload_is_read_when_nothing_is_broken() -> None:
    for name, read in READERS.items():
        assert read(Reply(name, PAYLOADS[name], NOW))
