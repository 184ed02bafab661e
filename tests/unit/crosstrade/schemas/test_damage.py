"""Documented answers with one thing broken: read, or refused, and nothing else."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.crosstrade.schemas.accounts import parse_accounts, parse_positions, parse_snapshots, parse_watermarks
from ct_mcp.crosstrade.schemas.market import parse_bars, parse_quotes, parse_session
from ct_mcp.crosstrade.schemas.orders import (
    known_orders,
    parse_acknowledgement,
    parse_asked_order,
    parse_executions,
    parse_lifecycle,
)
from ct_mcp.crosstrade.schemas.reply import Reply
from ct_mcp.crosstrade.schemas.strategies import (
    parse_asked_strategy,
    parse_strategies,
    parse_strategy_acknowledgement,
    parse_templates,
)
from ct_mcp.crosstrade.schemas.values import parse_json
from ct_mcp.errors import UpstreamError

NOW = datetime(2026, 3, 18, 21, 0, tzinfo=UTC)
DATA = Path(__file__).parents[3] / "data"
READERS: dict[str, Callable[[Reply], object]] = {
    "ListAccounts": parse_accounts,
    "GetAccountSummary": parse_snapshots,
    "GetWatermarks": lambda reply: parse_watermarks(reply, "Sim101"),
    "ListPositions": lambda reply: parse_positions(reply, "Sim101"),
    "ListOrders": lambda reply: known_orders().of(reply, "Sim101"),
    "GetOrder": lambda reply: parse_asked_order(reply, "Sim101"),
    "GetOrderLifecycle": lambda reply: parse_lifecycle(reply, "Sim101"),
    "ListExecutions": lambda reply: parse_executions(reply, "Sim101"),
    "GetQuote.several": lambda reply: parse_quotes(reply, ["ES", "NQ"]),
    "MarketInfo": lambda reply: parse_session(reply, "ES"),
    "GetBars": lambda reply: parse_bars(reply, "ES", 3),
    "Flatten": lambda reply: parse_acknowledgement(reply, "Sim101"),
    "ListAllStrategies": lambda reply: parse_strategies(reply, None),
    "GetStrategy": lambda reply: parse_asked_strategy(reply, "Sim101", "334081723"),
    "DisableStrategy": lambda reply: parse_strategy_acknowledgement(reply, "Sim101", "334081723"),
    "ListAtmTemplates": parse_templates,
}
PAYLOADS = {name: parse_json((DATA / f"{name}.json").read_text(encoding="utf-8")) for name in READERS}
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
