"""The line to CrossTrade: takes a place in the budget, sends one request, reads one bounded answer.

Reads are tried three times at most. Writes are sent once; only one whose connection failed, and which therefore never
left, is tried a second time. The token goes to the configured host and nowhere else.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from ipaddress import ip_address
from typing import TypeVar
from urllib.parse import urlsplit

import anyio
import httpx

from ct_mcp import __version__
from ct_mcp.crosstrade.budget import Budget, OwnBudget
from ct_mcp.crosstrade.call import Call
from ct_mcp.crosstrade.failures import Answer, Request, failure_of, retry_after_seconds
from ct_mcp.crosstrade.wire_row import Reply
from ct_mcp.crosstrade.words import hidden, redacted
from ct_mcp.errors import (
    AddonOffline,
    AuthFailed,
    BadReply,
    BudgetExhausted,
    ConfigError,
    OutcomeUnknown,
    RateLimited,
    Unavailable,
    UpstreamError,
)

LONGEST_ANSWER_BYTES = 8 * 1024 * 1024
BACK_OFF_SECONDS = (0.5, 1.0)
_USUAL_PENALTY_SECONDS = 1.0
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long one call may take; ``turn`` is the longest wait for a place in the budget."""

    connect_seconds: float = 10.0
    read_seconds: float = 20.0
    bars_seconds: float = 45.0
    write_seconds: float = 20.0
    turn_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class Manner:
    """How calls are made: with the right to the reserve, after a last check, and who hears their warnings."""

    urgent: bool = False
    last_check: Callable[[], Awaitable[None]] | None = None
    hear: Callable[[str], None] | None = None


def utc_now() -> datetime:
    """The clock of this machine."""
    return datetime.now(UTC)


@dataclass(eq=False, repr=False)
class Line:
    """One host, one token, one budget. Constructing it touches no network."""

    base_url: str
    token: str | None
    timeouts: Timeouts = Timeouts()
    transport: httpx.AsyncBaseTransport | None = None
    clock: Callable[[], datetime] = utc_now
    budget: Budget = field(default_factory=OwnBudget)
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep

    def __post_init__(self) -> None:
        """Refuse an address that the token must not go to."""
        self.base_url = _safe_base(self.base_url)

    async def ask(self, call: Call, read: Callable[[Reply], _T], manner: Manner) -> _T:
        """Read something; tried again, inside the budget, where that may help."""
        started_at, pauses = self.clock(), iter(BACK_OFF_SECONDS)
        failed: UpstreamError | None = None
        while True:
            try:
                return self._proven(await self._reply(call, manner), read, manner)
            except BudgetExhausted as error:
                raise failed or error from None
            except (Unavailable, AddonOffline, RateLimited) as error:
                failed = error
            is_late = (self.clock() - started_at).total_seconds() > self.timeouts.read_seconds
            if is_late or (pause := next(pauses, None)) is None:
                raise failed
            await self.sleep(pause)

    async def send(self, call: Call, read: Callable[[Reply], _T], manner: Manner) -> _T:
        """Write something, once. While writing, Unavailable means that it never left, so that may be tried again.

        Raises:
            OutcomeUnknown: It was sent and no trustworthy answer came.
        """
        try:
            reply = await self._reply(call, manner)
        except Unavailable:
            await self.sleep(BACK_OFF_SECONDS[0])
            reply = await self._reply(call, manner)
        try:
            return self._proven(reply, read, Manner())
        except BadReply as error:
            raise OutcomeUnknown(error.what) from None

    async def aclose(self) -> None:
        """Close the connections."""
        if "_client" in vars(self):
            await self._client.aclose()

    async def _reply(self, call: Call, manner: Manner) -> Reply:
        if not self.token:
            raise AuthFailed("there is no token", next_step="the person must set CROSSTRADE_TOKEN and start again")
        address = call.address
        await self._take_turn(urgent=manner.urgent)
        if manner.last_check is not None:
            await manner.last_check()
        outcome = await self._exchange(call, address)
        now = self.clock()
        if isinstance(outcome, Answer) and outcome.status == 429:
            await self.budget.penalise(now, retry_after_seconds(outcome, now) or _USUAL_PENALTY_SECONDS)
        return _judged(call, outcome, now, (self.token,))

    async def _take_turn(self, *, urgent: bool) -> None:
        waited = 0.0
        while seconds := await self.budget.wait(self.clock(), urgent=urgent):
            if waited + seconds > self.timeouts.turn_seconds:
                raise BudgetExhausted(f"our own request budget is empty; the next request may leave in {seconds:.1f} s")
            await self.sleep(seconds)
            waited += seconds

    async def _exchange(self, call: Call, address: str) -> Answer | Exception:
        timeout = self._timeout(call)
        try:
            with anyio.fail_after(self.timeouts.connect_seconds + (timeout.read or 0.0)):
                request = httpx.Request(
                    call.endpoint.method,
                    self.base_url + address,
                    params=dict(call.query) or None,
                    headers=self._headers,
                    content=_content(call),
                    extensions={"timeout": timeout.as_dict()},
                )
                response = await self._client.handle_async_request(request)
                try:
                    text = await _bounded_text(response)
                finally:
                    await response.aclose()
                text = None if text is None else hidden(text, self.token)
                return Answer(response.status_code, text, response.headers.get("retry-after"))
        except Exception as error:  # noqa: BLE001 - whatever broke, the failures table must judge it: a write may be out
            return error

    def _proven(self, reply: Reply, read: Callable[[Reply], _T], manner: Manner) -> _T:
        try:
            value = read(reply)
        except UpstreamError as error:
            raise type(error)(redacted(error.what, reply.secrets)) from None
        if manner.hear is not None and reply.warning:
            manner.hear(f'{reply.rpc}: CrossTrade warned "{reply.warning}"')
        return value

    @cached_property
    def _headers(self) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self.token}",
            "Accept": "application/json, text/plain",
            "Accept-Encoding": "gzip, deflate",
            "Content-Type": "application/json",
            "User-Agent": f"ct-mcp/{__version__}",
        }

    @cached_property
    def _client(self) -> httpx.AsyncBaseTransport:
        """A bare transport: it follows no redirect, keeps no cookie and asks no environment for a proxy."""
        limits = httpx.Limits(max_connections=10, max_keepalive_connections=4, keepalive_expiry=5.0)
        return self.transport or httpx.AsyncHTTPTransport(trust_env=False, limits=limits)

    def _timeout(self, call: Call) -> httpx.Timeout:
        times = self.timeouts
        by_rpc = times.bars_seconds if call.rpc == "GetBars" else times.read_seconds
        seconds = times.write_seconds if call.endpoint.writes else by_rpc
        return httpx.Timeout(seconds, connect=times.connect_seconds, pool=times.connect_seconds)


def _content(call: Call) -> bytes | None:
    if call.endpoint.method == "GET":
        return None
    return json.dumps(dict(call.body or {}), allow_nan=False).encode()


async def _bounded_text(response: httpx.Response) -> str | None:
    """The body as text; None where it is longer than we read, or no UTF-8."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > LONGEST_ANSWER_BYTES:
            return None
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _judged(call: Call, outcome: Answer | Exception, now: datetime, secrets: tuple[str, ...]) -> Reply:
    if call.is_document and isinstance(outcome, Answer) and 200 <= outcome.status < 300:
        return Reply(call.rpc, _document(call, outcome), now, secrets)
    endpoint = call.endpoint
    request = Request(call.rpc, endpoint.writes, endpoint.assumed, secrets, endpoint.steps)
    failure = failure_of(request, outcome, now)
    if failure is not None:
        raise failure
    return Reply(call.rpc, outcome.body if isinstance(outcome, Answer) else None, now, secrets)


def _document(call: Call, answer: Answer) -> str:
    text = answer.text or ""
    if not text.strip() or text.lstrip()[:9].casefold().startswith(("<!doctype", "<html")):
        raise BadReply(f"{call.rpc} was answered with no document")
    return text


def _safe_base(base_url: str) -> str:
    try:
        parts = urlsplit(base_url)
        bare = not (parts.username or parts.password or parts.path.strip("/") or parts.query or parts.fragment)
        safe = parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or ""))
    except ValueError:
        bare = safe = False
    if not (bare and safe and parts.hostname):
        raise ConfigError("upstream.base_url must be https://HOST, or http on this machine alone, without a path")
    return base_url.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
