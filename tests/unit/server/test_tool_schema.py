"""Arguments are taken as they came or refused in words; nothing is mended, coerced or dropped."""

from typing import Any

import pytest
from mcp import Client
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.utilities.func_metadata import FuncMetadata
from mcp_types import ToolAnnotations
from pydantic import ValidationError

from ct_mcp.desk.desk import Desk
from ct_mcp.errors import BadRequest, OutcomeUnknown
from ct_mcp.guard.policy import Policy
from ct_mcp.server.app import build_server
from ct_mcp.server.context import ServerContext
from ct_mcp.server.tool_schema import StrictMetadata, plain_schema, strict_tool
from ct_mcp.server.tools.strategies import start_strategy
from ct_mcp.simulator.simulator import Simulator
from tests.conftest import Connect, Person
from tests.unit.server.conftest import text_of

ORDER = {"account": "Sim101", "instrument": "MES", "action": "BUY", "quantity": 1, "order_type": "MARKET"}
LIMIT = {**ORDER, "order_type": "LIMIT"}

REFUSED = {
    "quantity true": (ORDER | {"quantity": True}, "quantity"),
    "quantity as text": (ORDER | {"quantity": "3"}, "quantity"),
    "quantity 2.5": (ORDER | {"quantity": 2.5}, "quantity"),
    "quantity -0.0": (ORDER | {"quantity": -0.0}, "quantity"),
    "quantity 3.0 as text": (ORDER | {"quantity": "3.0"}, "quantity"),
    "a target's quantity 1.5": (ORDER | {"take_profit": [{"quantity": 1.5, "price": "20 points"}]}, "take_profit"),
    "quantity 0": (ORDER | {"quantity": 0}, "quantity"),
    "quantity -1": (ORDER | {"quantity": -1}, "quantity"),
    "quantity null": (ORDER | {"quantity": None}, "quantity"),
    "price as text": (LIMIT | {"limit_price": "6410"}, "limit_price"),
    "price true": (LIMIT | {"limit_price": True}, "limit_price"),
    "action in lower case": (ORDER | {"action": "buy"}, "action"),
    "action missing": ({key: ORDER[key] for key in ORDER if key != "action"}, "action is missing"),
    "account missing": ({key: ORDER[key] for key in ORDER if key != "account"}, "account is missing"),
    "order type of the wire": (ORDER | {"order_type": "STOPMARKET"}, "order_type"),
    "an unknown key": (ORDER | {"confirm": True}, "confirm is not a parameter"),
    "a limit of their own": (ORDER | {"max_order_contracts": 100}, "max_order_contracts is not a parameter"),
}


@pytest.mark.parametrize(("arguments", "said"), REFUSED.values(), ids=REFUSED.keys())
async def test_what_is_not_exactly_right_is_refused_and_nothing_is_sent(
    connect: Connect, person: Person, sim: Simulator, arguments: dict[str, Any], said: str
) -> None:
    async with connect(person) as client:
        result = await client.call_tool("place_order", arguments)
    assert result.is_error
    assert said in text_of(result)
    assert "Nothing was sent to the market." in text_of(result)
    assert not sim.exchange.orders
    assert not person.asked


@pytest.mark.parametrize("price", [float("nan"), float("inf"), float("-inf"), 1e400])
async def test_a_price_that_is_no_number_is_refused(desk: Desk, sim: Simulator, price: float) -> None:
    """Called below the transport, which in this process would turn it into null."""
    server = build_server(ServerContext(lambda: desk, Policy()))
    with pytest.raises(ToolError, match=r"limit_price.*Nothing was sent"):
        await server.call_tool("place_order", LIMIT | {"limit_price": price})
    assert not sim.requests


HUGE = {"quantity 2**63": {"quantity": 2**63}, "price -0": {"order_type": "LIMIT", "limit_price": -0.0}}


@pytest.mark.parametrize("odd", HUGE.values(), ids=HUGE.keys())
async def test_odd_numbers_that_are_numbers_are_denied_by_the_rules(
    connect: Connect, person: Person, sim: Simulator, odd: dict[str, Any]
) -> None:
    async with connect(person) as client:
        result = await client.call_tool("place_order", ORDER | odd)
    assert result.structured_content["status"] == "denied"
    assert not sim.exchange.orders


async def test_the_text_null_does_not_widen_a_flatten_to_the_whole_account(connect: Connect, sim: Simulator) -> None:
    """The SDK reads the text "null" as no value, which on this tool means every position of the account."""
    async with connect() as client:
        result = await client.call_tool("flatten", {"account": "Sim101", "instrument": "null"})
    assert result.is_error
    assert not sim.requests_of("Flatten", "FlattenEverything")


async def test_a_flatten_without_its_account_is_refused(connect: Connect, sim: Simulator) -> None:
    async with connect() as client:
        result = await client.call_tool("flatten", {})
    assert "account is missing" in text_of(result)
    assert not sim.requests


@pytest.mark.parametrize("name", ["sim101 ", " Sim101", "Sim1O1", "\u0405im101", "Sim101\u200b", ""])
async def test_a_look_alike_of_an_account_is_refused(
    connect: Connect, person: Person, sim: Simulator, name: str
) -> None:
    async with connect(person) as client:
        result = await client.call_tool("place_order", ORDER | {"account": name})
    assert result.is_error
    assert "does not exist" in text_of(result)
    assert not sim.exchange.orders


HALF_LETTERS: list[tuple[str, dict[str, Any]]] = [
    ("get_journal", {"account": "\ud800"}),
    ("flatten", {"account": "Sim101\udfff"}),
    ("place_order", ORDER | {"reason": "\ud83d"}),
    ("cancel_orders", {"account": "\udc00"}),
    ("get_status", {"\udc00": 1}),
]


@pytest.mark.parametrize(("tool", "arguments"), HALF_LETTERS)
async def test_text_that_cannot_be_written_down_is_a_bad_argument(
    desk: Desk, sim: Simulator, tool: str, arguments: dict[str, Any]
) -> None:
    """Called below the transport, on which some clients send half a letter as JSON spells it."""
    server = build_server(ServerContext(lambda: desk, Policy()))
    with pytest.raises(ToolError, match=r"^REQUEST_INVALID.*UTF-8.*Nothing was sent") as refused:
        await server.call_tool(tool, arguments)
    assert str(refused.value).encode()
    assert not sim.requests


async def test_each_argument_that_takes_integers_takes_a_whole_number_with_a_point(desk: Desk, policy: Policy) -> None:
    """JSON Schema says that 3.0 is an integer, and clients that hold all numbers as floats send it."""
    server = build_server(ServerContext(lambda: desk, policy, toolsets=frozenset({"read", "trade", "strategies"})))
    integers = 0
    for tool in server._tool_manager.list_tools():
        for name, field in tool.parameters["properties"].items():
            if field["type"] == "integer":
                integers += 1
                for value, is_fault in ((2.0, False), (2.5, True), (True, True), ("2", True)):
                    assert (name in _faulty(tool.fn_metadata, {name: value})) is is_fault, (tool.name, name, value)
    assert integers > 10


def _faulty(metadata: FuncMetadata, arguments: dict[str, Any]) -> set[str]:
    try:
        metadata.validate_arguments(arguments)
    except ValidationError as error:
        return {str(fault["loc"][0]) for fault in error.errors() if fault["type"] != "missing"}
    return set()


async def test_a_part_that_is_given_with_a_point_leaves(connect: Connect, person: Person, sim: Simulator) -> None:
    async with connect(person) as client:
        await client.call_tool("place_order", ORDER | {"quantity": 2})
        sim.advance(2)
        told = await client.call_tool("close_position", {"account": "Sim101", "instrument": "MES", "quantity": 1.0})
    assert not told.is_error
    assert told.structured_content["position_after"] == 1


HUGE_NUMBER = 10**400
RISKED = {key: ORDER[key] for key in ORDER if key != "quantity"} | {"stop_loss": "10 points"}
BEYOND: dict[str, tuple[str, dict[str, Any]]] = {
    "a stop": ("place_order", ORDER | {"stop_loss": HUGE_NUMBER}),
    "a target": ("place_order", ORDER | {"take_profit": HUGE_NUMBER}),
    "one of some targets": ("place_order", ORDER | {"take_profit": [HUGE_NUMBER]}),
    "a limit": ("place_order", LIMIT | {"limit_price": HUGE_NUMBER}),
    "a risk": ("place_order", RISKED | {"risk": 1e31}),
    "a risk to preview": ("preview_order", RISKED | {"risk": 1e31}),
    "a risk beyond a float": ("preview_order", RISKED | {"risk": HUGE_NUMBER}),
    "a share": ("close_position", {"account": "Sim101", "instrument": "MES", "percent": HUGE_NUMBER}),
    "an hour before all": ("get_bars", {"instrument": "MES", "start": "0001-01-01T00:00:00+14:00"}),
    "an hour after all": ("get_bars", {"instrument": "MES", "end": "9999-12-31T23:00:00-14:00"}),
    "the first day": ("get_executions", {"account": "Sim101", "day": "0001-01-01"}),
    "the last day": ("get_executions", {"account": "Sim101", "day": "9999-12-31"}),
    "trades since the first day": ("get_trades", {"account": "Sim101", "since": "0001-01-01"}),
}


@pytest.mark.parametrize(("tool", "arguments"), BEYOND.values(), ids=BEYOND.keys())
async def test_what_is_beyond_all_bounds_is_a_bad_argument(
    connect: Connect, person: Person, tool: str, arguments: dict[str, Any]
) -> None:
    async with connect(person) as client:
        result = await client.call_tool(tool, arguments)
    assert result.is_error
    assert text_of(result).startswith("REQUEST_INVALID")
    assert "Nothing was sent to the market." in text_of(result)
    assert not person.asked


@pytest.mark.parametrize("name", ["stop_loss_price", "take_profit_price"])
async def test_null_under_a_name_of_before_says_the_same_as_leaving_it_out(connect: Connect, name: str) -> None:
    async with connect() as client:
        preview = await client.call_tool("preview_order", ORDER | {name: None})
        protect = await client.call_tool("protect_position", {"account": "Sim101", "instrument": "MES", name: None})
    assert not preview.is_error
    assert "INTERNAL_FAULT" not in text_of(protect)


async def test_null_says_the_same_as_leaving_a_field_out(connect: Connect) -> None:
    async with connect() as client:
        result = await client.call_tool("get_positions", {"account": None, "instrument": None})
    assert not result.is_error


async def test_null_is_refused_only_where_something_has_to_be_said(desk: Desk, policy: Policy, era: str) -> None:
    context = ServerContext(lambda: desk, policy, toolsets=frozenset({"read", "trade", "strategies"}))
    async with Client(build_server(context), mode=era) as client:
        for tool in (await client.list_tools()).tools:
            names = tool.input_schema.get("properties", {})
            said = text_of(await client.call_tool(tool.name, dict.fromkeys(names)))
            refused = {name for name in names if f" {name}: " in said and "found null" in said}
            assert refused == set(tool.input_schema.get("required", ())), tool.name


def test_null_within_an_argument_says_the_same_as_leaving_it_out() -> None:
    start: dict[str, Any] = {
        "account": "Sim101",
        "strategy_class": "X",
        "instrument": "MES",
        "mode": "account",
        "period_type": "minute",
    }
    start |= {"period": 5, "parameters": {"Slow": None, "Fast": 3}}
    tool = strict_tool(start_strategy, "Start", ToolAnnotations())
    assert tool.fn_metadata.validate_arguments(start)["parameters"] == {"Fast": 3}


def test_our_errors_say_what_happened_what_was_sent_and_what_comes_next() -> None:
    assert str(BadRequest("period '7' is no period")) == (
        "REQUEST_INVALID: period '7' is no period. Nothing was sent to the market. "
        "Next: correct the named field; do not guess a value that the person did not give."
    )
    assert "do NOT send it again" in str(OutcomeUnknown("no answer came"))


def test_a_schema_loses_its_references_its_titles_and_its_null_defaults() -> None:
    schema = {
        "$defs": {"Row": {"type": "object", "title": "Row", "properties": {"title": {"type": "string", "title": "T"}}}},
        "properties": {
            "rows": {"type": "array", "items": {"$ref": "#/$defs/Row"}},
            "price": {"anyOf": [{"type": "number"}, {"type": "null"}], "default": None, "title": "Price"},
        },
    }
    assert plain_schema(schema) == {
        "properties": {
            "rows": {"type": "array", "items": {"type": "object", "properties": {"title": {"type": "string"}}}},
            "price": {"type": ["number", "null"]},
        },
    }


async def test_a_fault_of_ours_stays_hidden_and_claims_nothing(era: str) -> None:
    def build_desk() -> Desk:
        raise RuntimeError("a secret of the inside")

    async with Client(build_server(ServerContext(build_desk, Policy())), mode=era) as client:
        result = await client.call_tool("flatten", {"account": "Sim101"})
    assert result.is_error
    assert "INTERNAL_FAULT" in text_of(result)
    assert "Whether anything was sent is not known" in text_of(result)
    assert "secret" not in result.model_dump_json()


async def test_a_fault_of_ours_in_what_only_reads_says_that_nothing_was_sent(era: str) -> None:
    def build_desk() -> Desk:
        raise RuntimeError("a secret of the inside")

    async with Client(build_server(ServerContext(build_desk, Policy())), mode=era) as client:
        result = await client.call_tool("get_positions", {})
    assert text_of(result).startswith("INTERNAL_FAULT")
    assert "Nothing was sent to the market." in text_of(result)
    assert "is not known" not in text_of(result)


async def test_a_fault_of_ours_before_the_tool_begins_says_that_nothing_was_sent(
    desk: Desk, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(_: StrictMetadata, __: dict[str, Any]) -> dict[str, Any]:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr(StrictMetadata, "_without_nulls", breaks)
    server = build_server(ServerContext(lambda: desk, policy))
    with pytest.raises(ToolError, match=r"^INTERNAL_FAULT.*Nothing was sent to the market") as told:
        await server.call_tool("flatten", {"account": "Sim101"})
    assert "secret" not in str(told.value)
