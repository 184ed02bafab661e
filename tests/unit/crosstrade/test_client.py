"""The client over a transport that answers as a test says: what leaves, how often, and what becomes of the answer."""

import gzip
import json
import os
import struct
import sys
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache, partial, reduce
from pathlib import Path

import anyio
import anyio.lowlevel
import httpx
import pytest
from anyio.abc import SocketAttribute, SocketStream

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.crosstrade.connection import LONGEST_ANSWER_BYTES, utc_now
from ct_mcp.crosstrade.failures import NoPosition
from ct_mcp.crosstrade.rate_limit import OwnBudget, Rank
from ct_mcp.crosstrade.request import Call, CallTimeouts
from ct_mcp.crosstrade.schemas.bracket import ASSUMED_FIELDS
from ct_mcp.crosstrade.schemas.strategies import StrategyAcknowledged
from ct_mcp.domain.account import Direction, Position
from ct_mcp.domain.commands import ChangeOrder, ClosePosition, PlaceOrder, ProtectPosition
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import parse_period
from ct_mcp.domain.order import OrderAction, OrderType, TimeInForce
from ct_mcp.domain.strategy import BarType, HostMode, StartStrategy
from ct_mcp.errors import (
    AddonOffline,
    AskedToWait,
    AuthFailed,
    AuthReason,
    BadReply,
    BadRequest,
    BudgetExhausted,
    ConfigError,
    CtMcpError,
    Halted,
    NotFound,
    OrderRejected,
    OutcomeUnknown,
    RateLimited,
    Unavailable,
)

TOKEN = "tok-3f9a77c1d2"
HOST = "https://crosstrade.invalid"
DATA = Path(__file__).parents[2] / "data"
ES = Instrument("ES", 2026, 3)
MES = Instrument("MES", 2026, 3)
ORDER = PlaceOrder("Sim101", ES, OrderAction.BUY, 1, OrderType.LIMIT, Decimal("6600.25"), None, TimeInForce.DAY)
YES = {"success": True, "orderId": "a1"}
Answer = httpx.Response | Exception | None


class World:
    """A service that gives its answers one after the other (the last one for ever), and a clock that sleeping moves."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 18, 21, 0, tzinfo=UTC)
        self.answers: list[Answer] = []
        self.sent: list[httpx.Request] = []
        self.slept: list[float] = []

    def will_answer(self, *answers: object) -> None:
        """JSON for a 200, a whole response, or an exception."""
        whole = (httpx.Response, Exception)
        self.answers = [answer if isinstance(answer, whole) else httpx.Response(200, json=answer) for answer in answers]

    def will_answer_with(self, name: str) -> None:
        self.answers = [httpx.Response(200, content=(DATA / f"{name}.json").read_bytes())]

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        assert answer is not None
        return httpx.Response(answer.status_code, content=answer.content, headers=answer.headers)

    def clock(self) -> datetime:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def client(world: World) -> AsyncIterator[CrossTrade]:
    async with client_of(world) as client:
        yield client


def client_of(
    world: World, base_url: str = HOST, token: str | None = TOKEN, timeouts: CallTimeouts | None = None
) -> CrossTrade:
    return CrossTrade(
        base_url,
        token,
        timeouts or CallTimeouts(),
        transport=httpx.MockTransport(world.answer),
        clock=world.clock,
        sleep=world.sleep,
    )


def said(status: int, error: str, **more: object) -> httpx.Response:
    return httpx.Response(status, json={"success": False, "error": error, **more})


Use = Callable[[CrossTrade], Awaitable[object]]

READS: list[tuple[str, str, str, Use]] = [
    ("ListAccounts", "/v1/api/accounts", "", lambda c: c.accounts()),
    ("GetAccount", "/v1/api/accounts/Sim101", "", lambda c: c.account("Sim101")),
    ("GetAccountSummary", "/v1/api/accounts/snapshot", "", lambda c: c.snapshot()),
    ("GetWatermarks", "/v1/api/accounts/Sim101/watermarks", "", lambda c: c.watermarks("Sim101")),
    ("ListPositions", "/v1/api/accounts/Sim101/positions", "", lambda c: c.positions("Sim101")),
    ("GetAllPositions", "/v1/api/positions", "includeFlat=false", lambda c: c.all_positions()),
    (
        "GetPosition",
        "/v1/api/accounts/Sim101/position",
        "instrument=MES+03-26",
        lambda c: c.position("Sim101", MES),
    ),
    (
        "ListOrders",
        "/v1/api/accounts/Sim101/orders",
        "activeOnly=true",
        lambda c: c.orders("Sim101", active_only=True),
    ),
    ("GetAllOrders", "/v1/api/orders", "activeOnly=false", lambda c: c.all_orders(active_only=False)),
    ("GetOrder", "/v1/api/accounts/Sim101/orders/a1", "", lambda c: c.order("Sim101", "a1")),
    ("GetOrderLifecycle", "/v1/api/accounts/Sim101/orders/a1/lifecycle", "", lambda c: c.lifecycle("Sim101", "a1")),
    (
        "ListExecutions",
        "/v1/api/accounts/Sim101/executions",
        "lookbackTime=900",
        lambda c: c.executions("Sim101", 900),
    ),
    (
        "ListExecutions",
        "/v1/api/accounts/Sim101/orders/a1/executions",
        "",
        lambda c: c.executions_of_order("Sim101", "a1"),
    ),
    ("GetQuote", "/v1/api/market/quote", "instrument=ES", lambda c: c.quotes(["ES1!"])),
    ("GetQuote.several", "/v1/api/market/quote", "instrument=ES%2CNQ+03-26", lambda c: c.quotes(["ES", "NQH26"])),
    ("MarketInfo", "/v1/api/market/info", "instrument=ES", lambda c: c.session("ES")),
    ("GetBars", "/v1/api/market/bars", "", lambda c: c.bars("ES", parse_period("5 minute"), count=3)),
    (
        "ListAllStrategies",
        "/v1/api/strategies",
        "includeTerminal=true",
        lambda c: c.all_strategies(include_terminal=True),
    ),
    (
        "GetStrategy",
        "/v1/api/accounts/Sim101/strategies/334081723",
        "",
        lambda c: c.strategy("Sim101", "334081723"),
    ),
    ("ListAtmTemplates", "/v1/api/atm-templates", "", lambda c: c.atm_templates()),
]  # fmt: skip


@pytest.mark.parametrize(("payload", "path", "query", "read"), READS)
async def test_each_read_asks_its_own_route_and_reads_the_documented_answer(
    world: World, client: CrossTrade, payload: str, path: str, query: str, read: Use
) -> None:
    world.will_answer_with(payload)
    assert await read(client)
    (request,) = world.sent
    assert (request.url.path, request.url.query.decode()) == (path, query)
    assert request.method == ("POST" if payload == "GetBars" else "GET")


PROTECT = ProtectPosition("Sim101", ES, Decimal("6650.50"), Decimal("6580.25"))
SHORT = Position("Sim101", ES, Direction.SHORT, 2, Decimal(6600))
START = StartStrategy("Sim101", "MomentumBreakout", ES, HostMode.ACCOUNT, BarType.MINUTE, 5)
CLOSE = ClosePosition("Sim101", ES, percent=Decimal(25))
WRITES: list[tuple[str, dict[str, object], Use]] = [
    (
        "POST /v1/api/accounts/Sim101/orders/place",
        {"instrument": "ES 03-26", "action": "BUY", "quantity": 1, "orderType": "LIMIT", "timeInForce": "DAY",
         "limitPrice": 6600.25, "orderId": "ct-1"},
        lambda c: c.place_order(ORDER, "ct-1"),
    ),
    (
        "POST /v1/api/accounts/Sim101/orders/place",
        {"instrument": "ES 03-26", "action": "BUY", "quantity": 1, "orderType": "LIMIT", "timeInForce": "DAY",
         "limitPrice": 6600.25, "orderId": "ct-1", "requireMarketPosition": "flat"},
        lambda c: c.place_order(ORDER, "ct-1", frozenset({Direction.FLAT})),
    ),
    (
        "POST /v1/api/accounts/Sim101/orders/flatplace",
        {"instrument": "ES 03-26", "action": "BUY", "quantity": 1, "orderType": "LIMIT", "timeInForce": "DAY",
         "limitPrice": 6600.25, "orderId": "ct-1"},
        lambda c: c.flat_place(ORDER, "ct-1"),
    ),
    (
        "PUT /v1/api/accounts/Sim101/orders/a1/change",
        {"quantity": 2},
        lambda c: c.change_order(ChangeOrder("Sim101", "a1", quantity=2)),
    ),
    (
        "POST /v1/api/accounts/Sim101/orders/a1/replace",
        {"instrument": "ES 03-26", "action": "BUY", "quantity": 1, "orderType": "LIMIT", "timeInForce": "DAY",
         "limitPrice": 6600.25},
        lambda c: c.replace_order("Sim101", "a1", ORDER),
    ),
    ("POST /v1/api/accounts/Sim101/orders/a1/cancel", {}, lambda c: c.cancel_order("Sim101", "a1")),
    (
        "POST /v1/api/accounts/Sim101/orders/cancel",
        {"instrument": "ES 03-26"},
        lambda c: c.cancel_orders("Sim101", ES),
    ),
    ("POST /v1/api/accounts/Sim101/orders/cancel", {}, lambda c: c.cancel_orders("Sim101", None)),
    (
        "POST /v1/api/accounts/Sim101/positions/close",
        {"instrument": "ES 03-26", "percent": 0.25},
        lambda c: c.close_position(CLOSE),
    ),
    ("POST /v1/api/accounts/Sim101/positions/flatten", {}, lambda c: c.flatten("Sim101", None)),
    (
        "POST /v1/api/accounts/Sim101/positions/flatten",
        {"instrument": "ES 03-26"},
        lambda c: c.flatten("Sim101", ES),
    ),
    (
        "POST /v1/api/accounts/Sim101/positions/reverse",
        {"instrument": "ES 03-26"},
        lambda c: c.reverse("Sim101", ES),
    ),
    (
        "POST /v1/api/accounts/Sim101/orders/cancel_and_bracket",
        {"instrument": "ES 03-26", "action": "SELL", "quantity": 2, "takeProfit": 6650.5, "stopLoss": 6580.25},
        lambda c: c.cancel_and_bracket(PROTECT, SHORT, ASSUMED_FIELDS),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("route", "body", "write"), WRITES)
async def test_each_write_sends_its_own_body_to_its_own_route_once(
    world: World, client: CrossTrade, route: str, body: dict[str, object], write: Use
) -> None:
    world.will_answer({**YES, "warning": "nothing to flatten"})
    acknowledged = await write(client)
    assert getattr(acknowledged, "order_ids", None) == ("a1",)
    assert getattr(acknowledged, "warning", None) == "nothing to flatten"
    (request,) = world.sent
    assert f"{request.method} {request.url.path}" == route
    assert json.loads(request.content) == body


@pytest.mark.parametrize(
    ("route", "body", "write"),
    [
        ("/strategies/334081723/enable", {}, lambda c: c.enable_strategy("Sim101", "334081723")),
        ("/strategies/334081723/disable", {}, lambda c: c.disable_strategy("Sim101", "334081723")),
        ("/strategies/334081723/close", {}, lambda c: c.close_strategy("Sim101", "334081723")),
        (
            "/strategies/start",
            {"strategyClass": "MomentumBreakout", "instrument": "ES 03-26", "mode": "account",
             "periodType": "Minute", "period": 5},
            lambda c: c.start_strategy(START),
        ),
    ],
)  # fmt: skip
async def test_each_order_to_a_strategy_goes_to_its_own_route_once(
    world: World, client: CrossTrade, route: str, body: dict[str, object], write: Use
) -> None:
    world.will_answer_with("DisableStrategy")
    acknowledged = await write(client)
    assert isinstance(acknowledged, StrategyAcknowledged)
    assert (acknowledged.strategy_id, acknowledged.is_enabled) == ("334081723", False)
    (request,) = world.sent
    assert (request.method, request.url.path) == ("POST", f"/v1/api/accounts/Sim101{route}")
    assert json.loads(request.content) == body


@pytest.mark.parametrize(
    "write",
    [
        lambda c: c.start_strategy(START),
        lambda c: c.close_strategy("Sim101", "7"),
        lambda c: c.reverse("Sim101", ES),
        lambda c: c.cancel_and_bracket(PROTECT, SHORT, ASSUMED_FIELDS),
    ],
)
async def test_what_would_do_it_twice_is_not_sent_again(world: World, client: CrossTrade, write: Use) -> None:
    for lost in (httpx.ReadTimeout(""), said(500, "internal_error"), {"success": "yes"}):
        world.will_answer(lost, YES)
        with pytest.raises(OutcomeUnknown):
            await write(client)
    assert len(world.sent) == 3


@pytest.mark.parametrize(
    "write",
    [
        lambda c: c.flat_place(ORDER, "ct-1"),
        lambda c: c.reverse("Sim101", ES),
        lambda c: c.replace_order("Sim101", "a1", ORDER),
        lambda c: c.cancel_and_bracket(PROTECT, SHORT, ASSUMED_FIELDS),
    ],
)
async def test_a_refusal_half_way_is_not_taken_for_nothing_done(world: World, client: CrossTrade, write: Use) -> None:
    world.will_answer(said(400, "Stop price must be below the market"))
    with pytest.raises(OutcomeUnknown, match="what it does first may have been done"):
        await write(client)
    world.will_answer(said(400, "Invalid request"))
    with pytest.raises(OrderRejected):
        await write(client)


async def test_a_bracket_that_fails_says_how_its_prices_were_spelled_and_why(world: World, client: CrossTrade) -> None:
    for broken, error in ((said(400, "Invalid request"), OrderRejected), (httpx.ReadTimeout(""), OutcomeUnknown)):
        world.will_answer(broken)
        with pytest.raises(error, match="takeProfit and stopLoss is our assumption"):
            await client.cancel_and_bracket(PROTECT, SHORT, ASSUMED_FIELDS)


async def test_a_position_that_is_not_there_is_not_turned_round(world: World, client: CrossTrade) -> None:
    world.will_answer(said(400, "No position found for instrument 'ES 03-26' in account 'sim101'"))
    with pytest.raises(NoPosition):
        await client.reverse("Sim101", ES)


async def test_what_is_said_of_a_strategy_that_is_not_there_or_over(world: World, client: CrossTrade) -> None:
    for status in (404, 400):
        world.will_answer(said(status, "strategy_not_found"))
        with pytest.raises(NotFound, match="get_strategies"):
            await client.enable_strategy("Sim101", "7")
    world.will_answer(said(409, "strategy is terminated"))
    with pytest.raises(OrderRejected, match="terminated"):
        await client.enable_strategy("Sim101", "7")


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        (httpx.ReadTimeout(""), OutcomeUnknown),
        (httpx.RemoteProtocolError(""), OutcomeUnknown),
        (said(500, "internal_error"), OutcomeUnknown),
        (said(408, "no answer"), OutcomeUnknown),
        (said(408, "Client not ready"), AddonOffline),
        (said(429, "rate_limited"), RateLimited),
        (httpx.Response(200), OutcomeUnknown),
        (httpx.Response(200, json={"orderId": "a1"}), OutcomeUnknown),
        (httpx.Response(200, json={"success": True}), OutcomeUnknown),
        (httpx.Response(200, content=b"\xff{}"), OutcomeUnknown),
        (httpx.Response(301, headers={"location": "https://elsewhere.invalid/"}), OutcomeUnknown),
    ],
)
async def test_a_write_that_may_have_left_is_never_sent_again(
    world: World, client: CrossTrade, broken: object, error: type[CtMcpError]
) -> None:
    world.will_answer(broken, YES)
    with pytest.raises(error):
        await client.place_order(ORDER, "ct-1")
    assert len(world.sent) == 1


async def test_a_write_whose_connection_failed_is_sent_a_second_time_and_no_third(
    world: World, client: CrossTrade
) -> None:
    world.will_answer(httpx.ConnectError(""), YES)
    assert (await client.place_order(ORDER, "ct-1")).order_ids == ("a1",)
    world.will_answer(httpx.ConnectTimeout(""))
    with pytest.raises(Unavailable, match="never left"):
        await client.cancel_order("Sim101", "a1")
    assert len(world.sent) == 4


@pytest.mark.parametrize(
    "broken",
    [
        httpx.ReadTimeout(""),
        httpx.ConnectError(""),
        said(500, "internal_error"),
        said(408, "Client not ready"),
        said(502, "x"),
    ],
)
async def test_a_read_is_tried_again_twice_with_back_off(world: World, client: CrossTrade, broken: object) -> None:
    world.will_answer(broken, broken, {"success": True, "accounts": []})
    assert await client.accounts() == ()
    assert world.slept == [0.5, 1.0]


async def test_a_read_is_not_tried_a_fourth_time(world: World, client: CrossTrade) -> None:
    world.will_answer(said(500, "internal_error"))
    with pytest.raises(Unavailable):
        await client.accounts()
    assert len(world.sent) == 3


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        (said(401, "bad token"), AuthFailed),
        (said(404, "not found"), NotFound),
        (httpx.Response(200, json={"accounts": []}), BadReply),
        (httpx.Response(200, text="<html>"), BadReply),
    ],
)
async def test_a_read_that_would_fail_again_is_not_tried_again(
    world: World, client: CrossTrade, broken: object, error: type[CtMcpError]
) -> None:
    world.will_answer(broken)
    with pytest.raises(error):
        await client.accounts()
    assert len(world.sent) == 1


async def test_a_read_that_took_long_is_not_tried_again(world: World) -> None:
    def slow(request: httpx.Request) -> httpx.Response:
        world.now += timedelta(seconds=21)
        return world.answer(request)

    world.will_answer(said(500, "internal_error"))
    client = CrossTrade(HOST, TOKEN, transport=httpx.MockTransport(slow), clock=world.clock, sleep=world.sleep)
    with pytest.raises(Unavailable):
        await client.accounts()
    assert len(world.sent) == 1


async def test_the_token_goes_into_one_header_and_to_one_host(world: World, client: CrossTrade) -> None:
    world.will_answer(httpx.Response(302, headers={"location": "https://elsewhere.invalid/"}))
    with pytest.raises(Unavailable):
        await client.accounts()
    for request in world.sent:
        assert request.url.host == "crosstrade.invalid"
        assert request.headers["authorization"] == f"Bearer {TOKEN}"
        others = {name: value for name, value in request.headers.items() if name != "authorization"}
        assert TOKEN not in str(request.url) + str(others) + request.content.decode()


async def test_the_token_never_shows_whatever_they_answer(world: World, client: CrossTrade) -> None:
    row = {"account": "Sim101", "instrument": TOKEN, "marketPosition": "Long", "quantity": 1, "averagePrice": 1}
    for answer in (
        said(400, TOKEN),
        said(500, f"key={TOKEN}"),
        {"positions": [{**row, "account": TOKEN}]},
    ):
        world.will_answer(answer)
        with pytest.raises(CtMcpError) as caught:
            await client.positions("Sim101")
        assert "hidden" in str(caught.value)
        assert TOKEN not in f"{caught.value} {caught.value!r} {caught.value.__cause__}"
    assert TOKEN not in repr(vars(client))
    world.will_answer({"positions": [row]})
    (held,) = await client.positions("Sim101")
    assert "hidden" in held.instrument.label
    assert TOKEN not in repr(held)


async def test_without_a_token_nothing_is_sent(world: World) -> None:
    for token in (None, ""):
        with pytest.raises(AuthFailed, match="CROSSTRADE_TOKEN") as caught:
            await client_of(world, token=token).accounts()
        assert caught.value.reason is AuthReason.NO_TOKEN
    assert not world.sent


@pytest.mark.parametrize(
    "base_url", [HOST, f"{HOST}/", "https://host:8443", "http://localhost:1", "http://127.0.0.9:1", "http://[::1]:1"]
)
def test_the_token_may_go_to_https_and_to_this_machine(world: World, base_url: str) -> None:
    assert client_of(world, base_url)


@pytest.mark.parametrize(
    "base_url",
    ["http://crosstrade.invalid", "ftp://localhost", "crosstrade.invalid", "", "https://", f"{HOST}/v1/api",
     f"{HOST}?a=b", "https://me:pw@crosstrade.invalid", "https://[oops", "http://localhost.evil.invalid", "http://10.0.0.1"],
)  # fmt: skip
def test_the_token_may_go_nowhere_else(world: World, base_url: str) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        client_of(world, base_url)


async def test_names_are_written_into_the_address_safely(world: World, client: CrossTrade) -> None:
    world.will_answer_with("ListPositions")
    for name in ("APEX 12!Apex?x=1#", "100%2e", "Ünï"):
        with pytest.raises(BadReply):
            await client.positions(name)
    assert [request.url.raw_path for request in world.sent] == [
        b"/v1/api/accounts/APEX%2012%21Apex%3Fx%3D1%23/positions",
        b"/v1/api/accounts/100%252e/positions",
        b"/v1/api/accounts/%C3%9Cn%C3%AF/positions",
    ]


@pytest.mark.parametrize("name", ["", " ", ".", "..", "...", "a/b", "../positions", "a\\b", "Sim101\n", "Sim\u202e101"])
async def test_a_name_that_would_change_the_route_is_not_sent(world: World, client: CrossTrade, name: str) -> None:
    for use in (client.flatten(name, None), client.cancel_order("Sim101", name), client.positions(name)):
        with pytest.raises(BadRequest, match="cannot be a name"):
            await use
    assert not world.sent


async def test_the_name_of_a_list_is_no_account(client: CrossTrade) -> None:
    with pytest.raises(BadRequest, match="name of a list"):
        await client.account("Snapshot")


@pytest.mark.parametrize("body", [None, {"account": ""}, {"account": "Sim101"}])
@pytest.mark.parametrize("rpc", ["FlattenEverything", "CancelAllOrders"])
def test_nothing_can_reach_accounts_that_nobody_named(rpc: str, body: dict[str, object] | None) -> None:
    with pytest.raises(ValueError, match="nobody named"):
        Call(rpc, body=body)


async def test_thirteen_reads_leave_at_once_and_the_next_ones_wait(world: World, client: CrossTrade) -> None:
    world.will_answer({"success": True, "accounts": []})
    for _ in range(13):
        await client.accounts()
    assert world.slept == []
    await client.accounts()
    assert world.slept == [pytest.approx(1 / 2.9, abs=0.001)]
    assert (await client.allowance()).requests_left == 0


async def test_exits_use_the_reserve_without_waiting(world: World, client: CrossTrade) -> None:
    world.will_answer({"success": True, "accounts": [], "orderId": "a1"})
    for _ in range(13):
        await client.accounts()
    urgent = client.urgent()
    for _ in range(6):
        await urgent.flatten("Sim101", None)
    assert world.slept == []
    assert (await urgent.allowance()).requests_left_for_exits == 0


async def test_a_wait_that_would_be_too_long_is_refused_with_its_length(world: World) -> None:
    client = client_of(world, timeouts=CallTimeouts(turn_seconds=0.2))
    world.will_answer({"success": True, "accounts": []})
    for _ in range(13):
        await client.accounts()
    with pytest.raises(BudgetExhausted, match=r"may leave in 0\.3 s"):
        await client.accounts()
    assert len(world.sent) == 13


async def test_what_they_refuse_as_too_fast_slows_everything_down(world: World, client: CrossTrade) -> None:
    world.will_answer(said(429, "rate_limited", retryAfter=3), {"success": True, "accounts": []})
    assert await client.accounts() == ()
    assert sum(world.slept) == pytest.approx(3 + 6 / 2.9, abs=0.01)


async def test_a_read_that_would_wait_too_long_after_their_refusal_says_that_they_refused(
    world: World, client: CrossTrade
) -> None:
    world.will_answer(said(429, "rate_limited", retryAfter=60))
    with pytest.raises(RateLimited) as caught:
        await client.accounts()
    assert caught.value.retry_after_seconds == 60
    assert len(world.sent) == 1
    with pytest.raises(AskedToWait, match=r"RATE_LIMITED: CrossTrade asked us to wait; .* may leave in 6\d\.\d s"):
        await client.positions("Sim101")


async def test_an_exit_leaves_two_seconds_into_a_pause_and_another_refusal_is_told_as_that(
    world: World, client: CrossTrade
) -> None:
    world.will_answer(said(429, "rate_limited", retryAfter=120))
    with pytest.raises(RateLimited):
        await client.accounts()
    began = world.now
    with pytest.raises(RateLimited, match="Flatten was answered with HTTP 429"):
        await client.urgent().flatten("Sim101", None)
    assert (world.now - began).total_seconds() == 2.0
    assert [request.method for request in world.sent] == ["GET", "POST"]
    assert (await client.allowance()).paused_seconds > 100


async def test_an_exit_that_is_answered_in_a_pause_lets_the_next_go_at_once_and_nothing_else(
    world: World, client: CrossTrade
) -> None:
    limited = said(429, "rate_limited", retryAfter=120)
    world.will_answer(limited, {"success": True}, {"success": True, "positions": []}, {"success": True}, limited)
    with pytest.raises(RateLimited):
        await client.accounts()
    exits, began = client.urgent(), world.now
    await exits.flatten("Sim101", None)
    assert await exits.positions("Sim101") == ()
    await exits.flatten("Sim102", None)
    assert (world.now - began).total_seconds() == 2.0
    with pytest.raises(AskedToWait):
        await client.accounts()
    for _ in range(2):  # refused again, they wait again
        with pytest.raises(RateLimited):
            await exits.flatten("Sim103", None)
    assert (world.now - began).total_seconds() == 4.0


async def test_an_exit_that_found_no_place_in_the_budget_for_long_leaves_all_the_same(world: World) -> None:
    client = client_of(world, timeouts=CallTimeouts(turn_seconds=0.2))
    world.will_answer({"success": True})
    for _ in range(20):
        await client.urgent().flatten("Sim101", None)
    assert len(world.sent) == 20


async def test_a_time_to_wait_is_measured_by_the_clock_of_who_asks(world: World, client: CrossTrade) -> None:
    ahead = {"Date": "Wed, 18 Mar 2026 21:04:00 GMT", "Retry-After": "Wed, 18 Mar 2026 21:04:03 GMT"}
    world.will_answer(httpx.Response(429, json={"error": "Rate limit exceeded"}, headers=ahead), YES)
    with pytest.raises(RateLimited):
        await client.reverse("Sim101", MES)
    assert (await client.allowance()).paused_seconds == 3.0


async def test_figures_of_one_account_that_are_read_anew_keep_nothing_else_waiting(
    world: World, client: CrossTrade
) -> None:
    pending = said(429, "snapshot_refresh_pending", retryAfter=1)
    world.will_answer(pending, {"success": True, "positions": []})
    assert await client.positions("Sim101") == ()
    assert world.slept == [1.0]
    assert client.held_up() == ""


async def test_the_last_check_runs_after_the_wait_and_before_the_send(world: World, client: CrossTrade) -> None:
    world.will_answer(YES)
    seen: list[tuple[int, datetime]] = []

    async def check() -> None:
        seen.append((len(world.sent), world.now))

    for _ in range(15):
        await client.checked_by(check).cancel_order("Sim101", "a1")
    assert [sent for sent, _ in seen] == list(range(15))
    assert seen[-1][1] > seen[0][1]


async def test_what_the_last_check_raises_keeps_the_write_from_leaving(world: World, client: CrossTrade) -> None:
    async def check() -> None:
        raise Halted("halted while it waited")

    with pytest.raises(Halted):
        await client.urgent().checked_by(check).place_order(ORDER, "ct-1")
    assert not world.sent


async def test_a_warning_beside_a_read_is_told_to_whoever_listens(world: World, client: CrossTrade) -> None:
    heard: list[str] = []
    world.will_answer({"success": True, "accounts": [], "warning": 'old\nadd-on "1.11"'})
    await client.heard_by(heard.append).accounts()
    await client.accounts()
    assert heard == ["""ListAccounts: CrossTrade warned "old add-on '1.11'\""""]


@pytest.mark.parametrize(
    ("use", "error"), [(lambda c: c.accounts(), BadReply), (lambda c: c.flatten("Sim101", None), OutcomeUnknown)]
)
async def test_an_answer_without_end_is_not_read_to_its_end(
    world: World, client: CrossTrade, use: Use, error: type[CtMcpError]
) -> None:
    world.will_answer(httpx.Response(200, content=b" " * (LONGEST_ANSWER_BYTES + 1)))
    with pytest.raises(error):
        await use(client)


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"HTTPS_PROXY": "http://me:secret@proxy.invalid:3128"}, "HTTPS_PROXY"),
        ({"https_proxy": "http://proxy.invalid:3128"}, "HTTPS_PROXY"),
        ({"ALL_PROXY": "socks5://proxy.invalid"}, "ALL_PROXY"),
        ({"HTTP_PROXY": "http://proxy.invalid:3128"}, ""),
        ({"HTTPS_PROXY": "http://proxy.invalid:3128", "NO_PROXY": "crosstrade.invalid"}, ""),
        ({}, ""),
    ],
)
@pytest.mark.parametrize("use", [lambda c: c.accounts(), lambda c: c.flatten("Sim101", None)])
async def test_a_proxy_that_is_not_used_is_named_where_there_is_no_way_out(
    world: World, monkeypatch: pytest.MonkeyPatch, use: Use, environ: dict[str, str], named: str
) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    world.will_answer(httpx.ConnectError("no route to host"))
    async with client_of(world) as client:
        with pytest.raises(Unavailable) as raised:
            await use(client)
    assert (f"; {named} is set, but ct-mcp goes through no proxy" in str(raised.value)) is bool(named)
    assert ("proxy" in str(raised.value)) is bool(named)
    assert "secret" not in str(raised.value)


class Unmetered(OwnBudget):
    """A budget that lets everything go at once."""

    async def wait(self, now: datetime, *, rank: Rank, waited: float = 0.0) -> float:
        return 0.0


async def test_no_number_of_reads_that_wait_for_an_answer_keeps_an_exit_from_leaving() -> None:
    waiting = 0

    async def serve(stream: SocketStream) -> None:
        nonlocal waiting
        async with stream:
            while b"\r\n\r\n" not in (asked := await stream.receive()):
                pass
            if asked.startswith(b"GET"):
                waiting += 1
                await anyio.sleep_forever()
            body = b'{"success": true}'
            await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(SocketAttribute.local_port)
    with anyio.fail_after(60):
        async with (
            anyio.create_task_group() as tasks,
            CrossTrade(f"http://127.0.0.1:{port}", TOKEN, budget=Unmetered()) as client,
        ):
            tasks.start_soon(listener.serve, serve)
            for _ in range(30):
                tasks.start_soon(client.accounts)
            while waiting < 10:
                await anyio.lowlevel.checkpoint()
            await client.urgent().flatten("Sim101", None)
            tasks.cancel_scope.cancel()
    await listener.aclose()


def test_exits_have_connections_of_their_own_and_as_many_as_there_are_exits() -> None:
    client = CrossTrade(HOST, TOKEN)
    assert not {"_exits", "_transport"} & vars(client.connection).keys(), "none is made before it is needed"
    exits, others = client.connection._exits, client.connection._transport
    assert isinstance(exits, httpx.AsyncHTTPTransport)
    assert isinstance(others, httpx.AsyncHTTPTransport)
    assert exits is not others
    assert (exits._pool._max_connections, others._pool._max_connections) == (sys.maxsize, 10)


class Packed(httpx.AsyncBaseTransport):
    """A service whose one answer comes in pieces, packed as its header says or not; counts the pieces it gave."""

    def __init__(self, body: bytes, coding: str, piece: int = 1000) -> None:
        self.pieces, self.coding, self.given = [body[at : at + piece] for at in range(0, len(body), piece)], coding, 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["accept-encoding"] == "gzip"
        return httpx.Response(200, headers={"Content-Encoding": self.coding}, stream=PackedStream(self))


class PackedStream(httpx.AsyncByteStream):
    """The body of such an answer."""

    def __init__(self, of: Packed) -> None:
        self.of = of

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.of.pieces:
            self.of.given += 1
            yield piece


ACCOUNTS = json.dumps({"success": True, "accounts": []}).encode()

# Without the time of packing: cases are named after their bytes, in every process alike.
packed_once = partial(gzip.compress, mtime=0)


@cache
def much_packed_small() -> bytes:
    """So many spaces that nobody may unpack them: one block, packed once and repeated, and the check sum of all."""
    block, times = b" " * LONGEST_ANSWER_BYTES, 64
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed, end = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH), packer.flush()
    check_sum = reduce(lambda so_far, _: zlib.crc32(block, so_far), range(times), 0)
    return packed_once(b"")[:10] + packed * times + end + struct.pack("<II", check_sum, times * len(block))


@pytest.mark.parametrize(
    ("body", "coding"),
    [(ACCOUNTS, ""), (ACCOUNTS, "identity"), (packed_once(ACCOUNTS), "gzip"), (packed_once(ACCOUNTS), "GZIP")],
)
async def test_an_answer_is_read_plain_or_packed_once(world: World, body: bytes, coding: str) -> None:
    async with CrossTrade(HOST, TOKEN, transport=Packed(body, coding, 7), clock=world.clock) as client:
        assert await client.accounts() == ()


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (packed_once(packed_once(ACCOUNTS)), "gzip, gzip"),
        (zlib.compress(ACCOUNTS), "deflate"),
        (ACCOUNTS, "br"),
        (ACCOUNTS, "gzip"),
        (packed_once(ACCOUNTS)[:-9], "gzip"),
        (packed_once(ACCOUNTS) + packed_once(b" "), "gzip"),
    ],
    ids=["twice", "otherwise", "unknown", "not at all", "cut off", "in two"],
)
@pytest.mark.parametrize(
    ("use", "error"), [(lambda c: c.accounts(), BadReply), (lambda c: c.flatten("Sim101", None), OutcomeUnknown)]
)
async def test_an_answer_that_is_packed_otherwise_is_not_trusted(
    world: World, body: bytes, coding: str, use: Use, error: type[CtMcpError]
) -> None:
    async with CrossTrade(HOST, TOKEN, transport=Packed(body, coding), clock=world.clock) as client:
        with pytest.raises(error, match="cannot be read"):
            await use(client)


@pytest.mark.parametrize("piece", [1000, 1_000_000], ids=["small pieces", "all in one piece"])
@pytest.mark.parametrize("coding", ["gzip", "gzip, gzip"])
async def test_what_is_packed_small_is_not_unpacked_beyond_what_we_read(world: World, coding: str, piece: int) -> None:
    body = much_packed_small()
    packed = Packed(packed_once(body, 9) if "," in coding else body, coding, piece)
    tracemalloc.start()
    try:
        async with CrossTrade(HOST, TOKEN, transport=packed, clock=world.clock) as client:
            with pytest.raises(OutcomeUnknown):
                await client.flatten("Sim101", None)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 4 * LONGEST_ANSWER_BYTES
    assert packed.given < len(packed.pieces) or len(packed.pieces) < 10


@pytest.mark.parametrize(
    ("use", "error"), [(lambda c: c.accounts(), Unavailable), (lambda c: c.flatten("Sim101", None), OutcomeUnknown)]
)
async def test_an_answer_that_never_comes_is_given_up(world: World, use: Use, error: type[CtMcpError]) -> None:
    async def never(_: httpx.Request) -> httpx.Response:
        await anyio.sleep_forever()
        raise AssertionError("for ever has ended")

    times = CallTimeouts(connect_seconds=0, read_seconds=0, write_seconds=0)
    client = CrossTrade(HOST, TOKEN, times, transport=httpx.MockTransport(never), clock=world.clock, sleep=world.sleep)
    with pytest.raises(error, match="TimeoutError"):
        await use(client)


async def test_no_position_is_flat_and_an_unknown_account_is_not(world: World, client: CrossTrade) -> None:
    world.will_answer(said(400, "No position found for instrument 'ES 03-26' in account 'Sim101'"))
    flat = await client.position("Sim101", ES)
    assert (flat.direction, flat.quantity, flat.instrument) == (Direction.FLAT, 0, ES)
    world.will_answer(said(400, "Account 'Sim101' not found"))
    with pytest.raises(NotFound):
        await client.position("Sim101", ES)


async def test_flat_rows_are_no_open_positions(world: World, client: CrossTrade) -> None:
    row = {"account": "Sim101", "instrument": "ES 03-26", "marketPosition": "Flat", "quantity": 0, "averagePrice": 0.0}
    world.will_answer({"success": True, "positions": [row]})
    assert await client.positions("Sim101") == ()
    assert await client.all_positions() == ()


@pytest.mark.parametrize(
    "use",
    [
        lambda c: c.quotes([]),
        lambda c: c.quotes(["ES", "NQ,CL"]),
        lambda c: c.session("??"),
        lambda c: c.bars("ES", parse_period("1 day"), count=0),
        lambda c: c.bars("ES", parse_period("1 day"), count=9000),
        lambda c: c.bars(
            "ES",
            parse_period("1 day"),
            count=5,
            start=datetime(2026, 1, 2, tzinfo=UTC),
            end=datetime(2026, 1, 1, tzinfo=UTC),
        ),
        lambda c: c.executions("Sim101", 0),
        lambda c: c.executions("Sim101", 901),
        lambda c: c.reference("robots.txt"),
        lambda c: c.change_order(ChangeOrder("Sim101", "a1")),
        lambda c: c.strategy("Sim101", ".."),
        lambda c: c.start_strategy(replace(START, period=0)),
        lambda c: c.cancel_and_bracket(PROTECT, replace(SHORT, direction=Direction.FLAT, quantity=0), ASSUMED_FIELDS),
        lambda c: c.place_order(replace(ORDER, order_type=OrderType.OTHER), "ct-1"),
    ],
)
async def test_what_makes_no_sense_is_not_sent(world: World, client: CrossTrade, use: Use) -> None:
    with pytest.raises(BadRequest):
        await use(client)
    assert not world.sent


async def test_a_slip_of_our_own_is_not_sent(world: World, client: CrossTrade) -> None:
    flattening = PlaceOrder(
        "Sim101", ES, OrderAction.BUY, 1, OrderType.MARKET, None, None, TimeInForce.DAY, flatten_first=True
    )
    for slip in (
        client.place_order(flattening, "ct-1"),
        client.place_order(ORDER, "ct 1"),
        client.flat_place(ORDER, ""),
        client.replace_order("Sim102", "a1", ORDER),
        client.replace_order("Sim101", "a1", flattening),
        client.cancel_and_bracket(PROTECT, replace(SHORT, account="Sim102"), ASSUMED_FIELDS),
    ):
        with pytest.raises(ValueError, match=r"flat_place|our own order id|replacement|bracket"):
            await slip
    assert not world.sent


@pytest.mark.parametrize("name", ["llms.txt", "llms-full.txt", "openapi.json", "openapi.yaml", "_endpoints"])
async def test_a_reference_comes_as_it_is(world: World, client: CrossTrade, name: str) -> None:
    world.will_answer(httpx.Response(200, text="# CrossTrade\n"))
    assert await client.reference(name) == "# CrossTrade\n"
    assert world.sent[0].url.path == f"/v1/api/{name}"


@pytest.mark.parametrize("text", ["", " \n", "<!DOCTYPE html><p>hi", "\n<HTML>"])
async def test_a_page_of_a_web_site_is_no_reference(world: World, client: CrossTrade, text: str) -> None:
    world.will_answer(httpx.Response(200, text=text))
    with pytest.raises(BadReply, match="no document"):
        await client.reference("llms.txt")


@pytest.mark.parametrize(
    "listed",
    [
        [{"method": "get", "path": "/v1/api/accounts", "rpc": "ListAccounts"}],
        {"endpoints": [{"method": "GET", "path": "/v1/api/accounts", "name": "ListAccounts"}]},
        {"success": True, "routes": [{"method": "GET", "path": "/v1/api/accounts", "api": "ListAccounts"}]},
    ],
)
async def test_the_live_catalogue_is_read_in_every_reasonable_shape(
    world: World, client: CrossTrade, listed: object
) -> None:
    world.will_answer(listed)
    (route,) = await client.endpoints()
    assert (route.method, route.path, route.name) == ("GET", "/v1/api/accounts", "ListAccounts")


async def test_a_catalogue_of_plain_lines_is_read_too_and_an_empty_one_refused(
    world: World, client: CrossTrade
) -> None:
    world.will_answer(["GET /v1/api/accounts", "POST /v1/api/market/bars"])
    assert [(route.method, route.path) for route in await client.endpoints()] == [
        ("GET", "/v1/api/accounts"),
        ("POST", "/v1/api/market/bars"),
    ]
    unreadable: list[object] = [{"endpoints": []}, ["GET"]]
    for nothing in unreadable:
        world.will_answer(nothing)
        with pytest.raises(BadReply):
            await client.endpoints()


def test_the_clock_of_this_machine_knows_its_zone() -> None:
    assert utc_now().tzinfo is UTC


async def test_closing_the_client_closes_its_connections_and_costs_nothing_unused(world: World) -> None:
    class Closing(httpx.MockTransport):
        closed = 0

        async def aclose(self) -> None:
            Closing.closed += 1

    for uses in (0, 1):
        world.will_answer({"success": True, "accounts": []})
        async with CrossTrade(HOST, TOKEN, transport=Closing(world.answer), clock=world.clock) as client:
            for _ in range(uses):
                await client.accounts()
        assert Closing.closed == uses


async def test_every_request_carries_the_token_and_says_that_it_speaks_json(world: World, client: CrossTrade) -> None:
    world.will_answer(YES)
    await client.flatten("Sim101", None)
    (sent,) = world.sent
    assert sent.headers["authorization"] == f"Bearer {TOKEN}"
    assert sent.headers["content-type"] == "application/json"
    assert sent.headers["content-length"] == str(len(sent.content))
    assert sent.headers["host"] == str(sent.url.netloc, "ascii")
