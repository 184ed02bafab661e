"""The network between the desk and the simulator: delays, losses, and answers that are not so, drawn from the seed.

A request that has left arrives whatever becomes of whoever sent it, perhaps long after they gave up. Nothing is ever
sent twice here, so what arrives twice was sent twice.
"""

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from random import Random
from typing import Any, Protocol, cast
from urllib.parse import unquote

import httpx
from starlette.responses import Response

from ct_mcp.crosstrade.failures import HttpAnswer
from ct_mcp.crosstrade.request import Call
from ct_mcp.simulator.fault_responses import NoResponse
from ct_mcp.simulator.gateway import Gateway, RateLimit, ReceivedRequest, dispatch, fault_before
from ct_mcp.simulator.rest.endpoints import ENDPOINTS, PREFIX, RpcEndpoint
from ct_mcp.simulator.simulator import Simulator


class NetworkFault(StrEnum):
    """What goes wrong on the way, or in what an add-on says of itself."""

    REFUSED = "no connection: it never leaves"
    REQUEST_LOST = "the request is lost"
    ANSWER_LOST = "the answer is lost, at once"
    NO_ANSWER = "no answer ever comes"
    SLOW_REQUEST = "the request arrives after up to 45 s"
    SLOW_ANSWER = "the answer comes after up to 45 s"
    BLIND = "the add-on sees neither positions nor orders, and says that nothing is to be left"
    POSITIONS_LAG = "positions are some seconds old"
    DOUBLED_ROW = "a position is listed twice"
    OTHER_ORDER = "GetOrder answers with another order of the account"
    ODD_STATE = "orders that stand read a state that few know of"
    WIDE_BOOK = "bid and ask are far from the last trade"
    OTHER_WORTH = "a quote says that a tick is worth twice as much"


Arm = tuple[NetworkFault, str | None, int]
"""A fault, the call that it is armed for or any, and how often it strikes."""

_LISTS = {"ListPositions": "positions", "ListOrders": "orders"}
_LEAVES = frozenset({"Flatten", "ClosePosition"})
_LAG_SECONDS = 6.0
OTHER_WORTH = "a contract worth twice what it was"


@dataclass(eq=False, slots=True)
class Request:
    """One request on its way. ``by`` is the call of the assistant that it belongs to, ``at`` when it arrived."""

    rpc: str
    account: str
    arguments: Mapping[str, Any]
    by: Any
    left_at: float
    writes: bool
    at: float | None = None
    status: int | None = None
    shows_moment: float = 0.0
    is_blind: bool = False
    hides_orders: bool = False
    is_delivered: bool = False
    odd_quote: str = ""


UNDER_WAY: ContextVar[Request | None] = ContextVar("UNDER_WAY", default=None)
"""The request that the simulator is carrying out."""


class Witness(Protocol):
    """Who is told of everything that passes."""

    def leaves(self, request: Request) -> None: ...
    def arrives(self, request: Request) -> None: ...
    def is_answered(self, request: Request) -> None: ...


@dataclass(slots=True)
class Weather:
    """How the network is at the moment."""

    rng: Random
    arms: list[list[Any]] = field(default_factory=list)
    slow_seconds: float = 0.1
    struck: dict[NetworkFault, int] = field(default_factory=dict)

    def turns(self, arms: list[Arm], slow_seconds: float) -> None:
        """Let other things go wrong from now on."""
        self.arms, self.slow_seconds = [list(arm) for arm in arms], slow_seconds

    def adds(self, fault: NetworkFault) -> None:
        """Let one more go wrong, until it turns."""
        self.arms.append([fault, None, 10_000])

    @property
    def lags(self) -> bool:
        """Whether positions are some seconds old for as long as this weather lasts."""
        return any(arm[0] is NetworkFault.POSITIONS_LAG and arm[2] > 100 for arm in self.arms)

    def strikes(self, fault: NetworkFault, rpc: str) -> bool:
        """Use a fault up once, where it is due."""
        for arm in self.arms:
            if arm[0] is fault and arm[1] in (None, rpc) and arm[2]:
                arm[2] -= 1
                self.struck[fault] = self.struck.get(fault, 0) + 1
                return True
        return False

    def delay(self) -> float:
        """How long one way takes: seldom much longer than usual."""
        return self.rng.expovariate(1 / self.slow_seconds) if self.rng.random() < 0.1 else self.slow_seconds / 5


class Network:
    """The way to one simulator, for every process; ``current`` names the call that a request belongs to."""

    def __init__(self, simulator: Simulator, weather: Weather, witness: Witness, current: ContextVar[Any]) -> None:
        self._simulator, self._weather, self._witness, self._current = simulator, weather, witness, current
        self._gateway = Gateway(simulator.addon, simulator.token, RateLimit(), simulator.requests)
        self._before: dict[str, list[tuple[float, bytes]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.waiting: set[Request] = set()
        self.turned_away = 0  # for their pace, where a budget would have waited

    async def carry(self, call: Call, address: str, longest_seconds: float) -> HttpAnswer:
        """Send one request, and wait so long for its answer; it goes its way even if nobody waits any more.

        Raises:
            HTTPError: It was not sent, or no answer comes.
            TimeoutError: It did not come in time.
        """
        endpoint, named = _endpoint_of(call.endpoint.method, address)
        if self._weather.strikes(NetworkFault.REFUSED, endpoint.rpc):
            await asyncio.sleep(0)
            raise httpx.ConnectError("All connection attempts failed")
        arguments = {**_said(call), **named}
        loop = asyncio.get_running_loop()
        account = str(arguments.get("account", ""))
        sent = Request(endpoint.rpc, account, arguments, self._current.get(), loop.time(), endpoint.writes)
        self._witness.leaves(sent)
        answer: asyncio.Future[HttpAnswer] = loop.create_future()
        task = loop.create_task(self._carried(endpoint, sent, answer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        too_late = loop.call_later(longest_seconds, _give_up, answer)
        self.waiting.add(sent)
        try:
            return await answer
        finally:
            self.waiting.discard(sent)
            too_late.cancel()

    async def _carried(self, endpoint: RpcEndpoint, sent: Request, answer: "asyncio.Future[HttpAnswer]") -> None:
        """There and back."""
        weather, rng = self._weather, self._weather.rng
        slow = weather.strikes(NetworkFault.SLOW_REQUEST, sent.rpc)
        await asyncio.sleep(rng.uniform(1, 45) if slow else weather.delay())
        if weather.strikes(NetworkFault.REQUEST_LOST, sent.rpc):
            _fail(answer, "Server disconnected without sending a response.")
            return
        response = await self._served(endpoint, sent)
        self._witness.is_answered(sent)
        if weather.strikes(NetworkFault.NO_ANSWER, sent.rpc):
            return
        slow = weather.strikes(NetworkFault.SLOW_ANSWER, sent.rpc)
        await asyncio.sleep(rng.uniform(1, 45) if slow else weather.delay())
        if isinstance(response, NoResponse) or weather.strikes(NetworkFault.ANSWER_LOST, sent.rpc):
            _fail(answer, "Server disconnected without sending a response.")
        elif not answer.done():
            sent.is_delivered = response.status_code == 200
            text = bytes(response.body).decode()
            answer.set_result(HttpAnswer(response.status_code, text, response.headers.get("retry-after")))

    async def _served(self, endpoint: RpcEndpoint, sent: Request) -> Response:
        """What the service does with it and says, as `ct_mcp.simulator.app` does it behind a route."""
        addon, gateway = self._simulator.addon, self._gateway
        addon.wake()
        sent.at = sent.shows_moment = asyncio.get_running_loop().time()
        self._witness.arrives(sent)
        limited = gateway.check_rate_limit()
        self.turned_away += limited is not None
        early = limited or fault_before(addon, endpoint)
        gateway.log.append(ReceivedRequest(endpoint.method, "", endpoint.rpc, accepted=early is None))
        if early is None and (early := self._seen_blindly(sent)) is None:
            UNDER_WAY.set(sent)
            early = (await dispatch(addon, endpoint, lambda: sent.arguments)).response
            UNDER_WAY.set(None)
            early = self._seen_otherwise(sent, early)
        sent.status = early.status_code
        return early

    def _seen_blindly(self, sent: Request) -> Response | None:
        """An add-on that sees nothing lists nothing, and finds nothing to leave."""
        weather = self._weather
        if sent.rpc in _LISTS and weather.strikes(NetworkFault.BLIND, sent.rpc):
            sent.is_blind = True
            sent.hides_orders = sent.rpc == "ListOrders" and bool(self._simulator.exchange.live_orders(sent.account))
            return _json({_LISTS[sent.rpc]: [], "count": 0, "success": True})
        if sent.rpc in _LEAVES and weather.strikes(NetworkFault.BLIND, sent.rpc):
            return _json({"closedPositions": [], "success": True, "warning": "No open positions matched the request"})
        return None

    def _seen_otherwise(self, sent: Request, response: Response) -> Response:
        """Answers that are late, doubled, or about something else."""
        if response.status_code != 200 or not _is_readable(response):
            sent.hides_orders = sent.rpc in ("ListOrders", "GetAllOrders")
            return response
        if sent.rpc in ("ListPositions", "GetPosition"):
            return self._lagging(sent, response)
        if sent.rpc == "GetOrder" and self._weather.strikes(NetworkFault.OTHER_ORDER, sent.rpc):
            return self._of_another(sent, response)
        if sent.rpc in ("ListOrders", "GetAllOrders"):
            sent.is_blind = sent.hides_orders = self._hides_orders(sent, response)
        if sent.rpc in ("GetOrder", "ListOrders"):
            return _oddly(response) if self._weather.strikes(NetworkFault.ODD_STATE, sent.rpc) else response
        return self._quoted(sent, response) if sent.rpc == "GetQuote" else response

    def _hides_orders(self, sent: Request, response: Response) -> bool:
        """Whether a list is empty although orders stand."""
        accounts = (sent.account,) if sent.account else self._simulator.exchange.accounts
        live = any(self._simulator.exchange.live_orders(account) for account in accounts)
        return live and not json.loads(bytes(response.body)).get("orders")

    def _quoted(self, sent: Request, response: Response) -> Response:
        """A market that nobody should trade at blindly; what was shown is kept for the judge."""
        if self._weather.strikes(NetworkFault.WIDE_BOOK, sent.rpc):
            sent.odd_quote = "a book that is 100 ticks wide"
            return _changed(response, lambda row: {"bid": row["bid"] - 100 * row["tickSize"]})
        if self._weather.strikes(NetworkFault.OTHER_WORTH, sent.rpc):
            sent.odd_quote = OTHER_WORTH
            return _changed(response, lambda row: {name: row[name] * 2 for name in ("tickValue", "pointValue")})
        return response

    def _lagging(self, sent: Request, response: Response) -> Response:
        now = asyncio.get_running_loop().time()
        kept = self._before.setdefault(f"{sent.rpc} {sent.account} {sent.arguments.get('instrument')}", [])
        kept.append((now, bytes(response.body)))
        if self._weather.strikes(NetworkFault.POSITIONS_LAG, sent.rpc):
            sent.shows_moment, body = next(each for each in kept if each[0] >= now - _LAG_SECONDS)
            response = Response(body)
        del kept[:-8]
        if sent.rpc == "ListPositions" and self._weather.strikes(NetworkFault.DOUBLED_ROW, sent.rpc):
            said = json.loads(bytes(response.body))
            return _json({**said, "positions": [row for row in said["positions"] for _ in range(2)]})
        return response

    def _of_another(self, sent: Request, response: Response) -> Response:
        """The newest other order of the account that has filled, in the place of the one that was asked for."""
        orders = self._simulator.exchange.orders
        named = sent.arguments.get("orderId")
        others = [
            each for each in orders if each.account == sent.account and named not in (each.id, each.labels.own_id)
        ]
        filled = next((each for each in reversed(others) if each.filled), None)
        if filled is None:
            return response
        said = json.loads(bytes(response.body))
        row = said.get("order", said)
        row |= {"id": filled.id, "orderState": "Filled", "filled": filled.filled, "quantity": filled.terms.quantity}
        row |= {"orderAction": filled.terms.action.value, "instrument": filled.terms.contract.name}
        return _json(said)


def _is_readable(response: Response) -> bool:
    """Say whether another fault has left its words whole."""
    try:
        return isinstance(json.loads(bytes(response.body)), dict | list)
    except ValueError:
        return False


def _oddly(response: Response) -> Response:
    """What works reads as accepted by risk, one of the sixteen states of NinjaTrader."""
    text = bytes(response.body).decode()
    return Response(text.replace('"Working"', '"AcceptedByRisk"').encode(), media_type="application/json")


def _changed(response: Response, changes: Callable[[dict[str, Any]], dict[str, Any]]) -> Response:
    said = json.loads(bytes(response.body))
    rows = [row | changes(row) for row in (said if isinstance(said, list) else [said])]
    return Response(json.dumps(rows if isinstance(said, list) else rows[0]).encode(), media_type="application/json")


def _json(body: Mapping[str, object]) -> Response:
    return Response(json.dumps(body).encode(), media_type="application/json")


def _give_up(answer: "asyncio.Future[HttpAnswer]") -> None:
    if not answer.done():
        answer.set_exception(TimeoutError())


def _fail(answer: "asyncio.Future[HttpAnswer]", why: str) -> None:
    if not answer.done():
        answer.set_exception(httpx.RemoteProtocolError(why))


_PATTERNS = [
    (each.method, re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", PREFIX + each.path)), each) for each in ENDPOINTS
]


@lru_cache(maxsize=4096)
def _endpoint_of(method: str, path: str) -> tuple[RpcEndpoint, Mapping[str, str]]:
    for wanted, pattern, endpoint in _PATTERNS:
        if wanted == method and (found := pattern.fullmatch(path)):
            return endpoint, {name: unquote(value) for name, value in found.groupdict().items()}
    raise LookupError(f"{method} {path} is no call that is served")


def _said(call: Call) -> Mapping[str, Any]:
    """What goes along with the path: of a read its query, of a write its body as JSON says it."""
    if call.endpoint.method == "GET":
        return call.query
    return cast("dict[str, Any]", json.loads(json.dumps(dict(call.body or {}), allow_nan=False)))


def told_of(request: Request) -> str:
    """What a request says beside its account."""
    said = {name: value for name, value in request.arguments.items() if name != "account" and value is not None}
    return ", ".join(f"{name}={value}" for name, value in said.items())
