"""The connection to CrossTrade: takes a place in the request budget, sends one request, reads one bounded answer.

Reads are tried three times at most. Where one was given up after some seconds, and nothing else has answered since it
left, who waits for a turn behind it, or asks right after it, is told so at once: whoever reads in three rounds would
wait three times. Writes are sent once; only one whose connection failed, and which therefore never left, is tried a
second time. The token goes to the configured host and nowhere else.
"""

import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from ipaddress import ip_address
from typing import TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

import anyio
import httpx

from ct_mcp import __version__
from ct_mcp.crosstrade.failures import HttpAnswer, SentRequest, failure_of, is_of_one_account, retry_after_seconds
from ct_mcp.crosstrade.rate_limit import LONGEST_PAUSE_OF_EXITS_SECONDS, Budget, OwnBudget, Rank, ServicePace
from ct_mcp.crosstrade.request import USUAL_TIMEOUTS, Call, CallOptions, CallTimeouts
from ct_mcp.crosstrade.schemas.reply import Reply
from ct_mcp.errors import (
    AddonOffline,
    AskedToWait,
    AuthFailed,
    AuthReason,
    BadReply,
    BudgetExhausted,
    ConfigError,
    OutcomeUnknown,
    RateLimited,
    Unavailable,
    UpstreamError,
)
from ct_mcp.text import redact, redact_secrets

LONGEST_ANSWER_BYTES = 8 * 1024 * 1024
BACK_OFF_SECONDS = (0.5, 1.0)
_CODING = "gzip"
_USUAL_PENALTY_SECONDS = 1.0
_SILENT_AFTER_SECONDS = 5.0
_STILL_SILENT_SECONDS = 2.0
_STILL_LET_THROUGH_SECONDS = 15.0
_GIVEN_UP = (TimeoutError, httpx.TimeoutException)
_T = TypeVar("_T")


def utc_now() -> datetime:
    """Read the clock of this machine."""
    return datetime.now(UTC)


@dataclass(eq=False, repr=False)
class Connection:
    """One host, one token, one request budget. Constructing it touches no network."""

    base_url: str
    token: str | None
    timeouts: CallTimeouts = USUAL_TIMEOUTS
    transport: httpx.AsyncBaseTransport | None = None
    clock: Callable[[], datetime] = utc_now
    budget: Budget = field(default_factory=OwnBudget)
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    pace: ServicePace = field(default_factory=ServicePace, init=False)
    _answered_at: float = field(default=float("-inf"), init=False)
    _let_through_at: float = field(default=float("-inf"), init=False)
    _silent: tuple[str, float, float] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Refuse an address that the token must not go to."""
        self.base_url = _safe_base(self.base_url)

    async def ask(self, call: Call, parse: Callable[[Reply], _T], options: CallOptions) -> _T:
        """Read something; tried again, inside the budget, where that may help. One by one while they are slow."""
        started_at, pauses, asked_at = self.clock(), iter(BACK_OFF_SECONDS), anyio.current_time()
        failed: UpstreamError | None = None
        while True:
            try:
                async with self._in_turn(urgent=options.urgent):
                    if silence := self._silence(call, asked_at):
                        raise failed or silence
                    reply = await self._exchange(call, options)
                return _parsed(reply, parse, options.hear)
            except BudgetExhausted as error:
                raise failed or error from None
            except (Unavailable, AddonOffline, RateLimited) as error:
                failed = error
                asked_for = error.retry_after_seconds if isinstance(error, RateLimited) else None
            if self._silence(call, asked_at):
                raise failed
            is_late = (self.clock() - started_at).total_seconds() > self.timeouts.read_seconds
            if is_late or (pause := next(pauses, None)) is None:
                raise failed
            await self.sleep(max(pause, min(asked_for or 0.0, BACK_OFF_SECONDS[-1])))

    async def send(self, call: Call, parse: Callable[[Reply], _T], options: CallOptions) -> _T:
        """Write something, once. While writing, Unavailable means that it never left, so that may be tried again.

        Raises:
            OutcomeUnknown: It was sent and no trustworthy answer came.
        """
        try:
            reply = await self._exchange(call, options)
        except Unavailable:
            await self.sleep(BACK_OFF_SECONDS[0])
            reply = await self._exchange(call, options)
        try:
            return _parsed(reply, parse, None)
        except BadReply as error:
            raise OutcomeUnknown(error.what) from None

    async def aclose(self) -> None:
        """Close the connections."""
        for way in ("_transport", "_exits"):
            if way in vars(self):
                await vars(self)[way].aclose()

    async def _exchange(self, call: Call, options: CallOptions) -> Reply:
        """Send one request when its turn has come, and judge what came back."""
        if not self.token:
            step = "the person must set CROSSTRADE_TOKEN and start again"
            raise AuthFailed("there is no token", AuthReason.NO_TOKEN, next_step=step)
        address = call.address
        waited = await self._take_turn(_rank(call, urgent=options.urgent))
        if options.last_check is not None:
            await options.last_check()
        began = anyio.current_time()
        outcome = await self._request(call, address, self._exits if options.urgent else self._transport)
        now, ended = self.clock(), anyio.current_time()
        self._hear(call, outcome, began, ended)
        if _tells_the_pace(call, outcome):
            self.pace.took(ended - began, ended)
        if isinstance(outcome, HttpAnswer) and outcome.status == 429 and not is_of_one_account(outcome):
            self.pace.refused(ended)
            self._let_through_at = float("-inf")
            await self.budget.penalise(now, retry_after_seconds(outcome, now) or _USUAL_PENALTY_SECONDS)
        elif isinstance(outcome, HttpAnswer) and waited >= LONGEST_PAUSE_OF_EXITS_SECONDS:
            self._let_through_at = ended
        return _judged(call, outcome, now, _sent(call, self.token, self._unused_proxy))

    def _hear(self, call: Call, outcome: HttpAnswer | Exception, began: float, ended: float) -> None:
        """Take note of who answers, and of a read that nobody has answered, nor anything else since it left."""
        if isinstance(outcome, HttpAnswer):
            self._answered_at, self._silent = ended, None
            return
        was_long = isinstance(outcome, _GIVEN_UP) and ended - began > _SILENT_AFTER_SECONDS
        if was_long and _tells_the_pace(call, outcome) and self._answered_at <= began:
            self._silent = call.rpc, ended - began, ended

    def _silence(self, call: Call, asked_at: float) -> Unavailable | None:
        """Say that a read need not leave: another was just given up, after this was asked for or right before."""
        if self._silent is None:
            return None
        rpc, seconds, at = self._silent
        if anyio.current_time() - at > _STILL_SILENT_SECONDS and asked_at > at:
            return None
        return Unavailable(f"{call.rpc} was not asked: {rpc} got no answer in {seconds:.0f} s, and nothing else did")

    @asynccontextmanager
    async def _in_turn(self, *, urgent: bool) -> AsyncIterator[None]:
        """Let one read after the other go while they want to be asked less; no exit waits for what is not urgent."""
        if not self.pace.why(anyio.current_time()):
            yield
            return
        async with self._urgent_turn if urgent else self._turn:
            yield

    @cached_property
    def _turn(self) -> anyio.Lock:
        return anyio.Lock()

    @cached_property
    def _urgent_turn(self) -> anyio.Lock:
        return anyio.Lock()

    async def _take_turn(self, rank: Rank) -> float:
        """Wait for a place, and say how long. An exit is not given up for want of one: a 429 would tell.

        Where an exit was let through in a pause, the next, and what it looks at, need not wait as long again.
        """
        was_let_through = anyio.current_time() - self._let_through_at <= _STILL_LET_THROUGH_SECONDS
        waited = LONGEST_PAUSE_OF_EXITS_SECONDS if was_let_through and rank is not Rank.USUAL else 0.0
        while seconds := await self.budget.wait(self.clock(), rank=rank, waited=waited):
            if waited + seconds > self.timeouts.turn_seconds:
                if rank is Rank.EXIT:
                    break
                raise await self._no_turn(seconds)
            await self.sleep(seconds)
            waited += seconds
        return waited

    async def _no_turn(self, seconds: float) -> BudgetExhausted:
        """Say whose limit it is."""
        if (await self.budget.snapshot(self.clock())).paused_seconds:
            return AskedToWait(f"CrossTrade asked us to wait; the next request may leave in {seconds:.1f} s")
        return BudgetExhausted(f"our own request budget is empty; the next request may leave in {seconds:.1f} s")

    async def _request(self, call: Call, address: str, transport: httpx.AsyncBaseTransport) -> HttpAnswer | Exception:
        timeout = self._timeout(call)
        try:
            with anyio.fail_after(self.timeouts.connect_seconds + (timeout.read or 0.0)):
                request = httpx.Request(
                    call.endpoint.method,
                    _url(self.base_url + address, tuple(call.query.items())),
                    headers=self._headers,
                    content=_content(call),
                    extensions={"timeout": timeout.as_dict()},
                )
                response = await transport.handle_async_request(request)
                try:
                    text = await _bounded_text(response)
                finally:
                    await response.aclose()
                text = None if text is None else redact(text, self.token)
                headers = response.headers
                return HttpAnswer(response.status_code, text, headers.get("retry-after"), headers.get("date"))
        except Exception as error:  # noqa: BLE001 - whatever broke, the failures table must judge it: a write may be out
            return error

    @cached_property
    def _headers(self) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self.token}",
            "Accept": "application/json, text/plain",
            "Accept-Encoding": _CODING,
            "Content-Type": "application/json",
            "User-Agent": f"ct-mcp/{__version__}",
        }

    @cached_property
    def _unused_proxy(self) -> str:
        """The variable of a proxy that programs here may be meant to use; it is given neither token nor orders."""
        parts, proxies = urlsplit(self.base_url), getproxies_environment()
        host = parts.hostname or ""
        named = next((scheme for scheme in (parts.scheme, "all") if proxies.get(scheme)), "")
        is_meant = named and not _is_loopback(host) and not proxy_bypass_environment(host, proxies)
        return f"{named.upper()}_PROXY" if is_meant else ""

    @cached_property
    def _transport(self) -> httpx.AsyncBaseTransport:
        return self.transport or _bare_transport()

    @cached_property
    def _exits(self) -> httpx.AsyncBaseTransport:
        """The way of exits and what they look at: no number of slow reads takes it, nor of other exits."""
        return self.transport or _bare_transport(most=None)

    def _timeout(self, call: Call) -> httpx.Timeout:
        times = self.timeouts
        by_rpc = times.bars_seconds if call.rpc == "GetBars" else times.read_seconds
        seconds = times.write_seconds if call.endpoint.writes else by_rpc
        return httpx.Timeout(seconds, connect=times.connect_seconds, pool=times.connect_seconds)


def _bare_transport(most: int | None = 10) -> httpx.AsyncBaseTransport:
    """A transport that follows no redirect, keeps no cookie and asks no environment for a proxy.

    A connection is kept for seconds alone: one that was idle for long may be dead without a sign, and an exit sent into
    it would be of unknown outcome.
    """
    limits = httpx.Limits(max_connections=most, max_keepalive_connections=4, keepalive_expiry=5.0)
    return httpx.AsyncHTTPTransport(trust_env=False, limits=limits)


@lru_cache(maxsize=128)
def _url(address: str, query: tuple[tuple[str, str], ...]) -> httpx.URL:
    """Take an address apart: the same few are asked all day, and that takes as long as sending does."""
    return httpx.URL(address, params=dict(query) or None)


def _sent(call: Call, token: str, unused_proxy: str) -> SentRequest:
    end = call.endpoint
    return SentRequest(
        call.rpc, end.writes, end.assumed, (token,), end.steps, unused_proxy, places=end.places, closes=end.closes
    )


def _rank(call: Call, *, urgent: bool) -> Rank:
    if not urgent:
        return Rank.USUAL
    return Rank.EXIT if call.endpoint.writes else Rank.FOR_EXIT


def _tells_the_pace(call: Call, outcome: HttpAnswer | Exception) -> bool:
    """Say whether what it took is what a read takes: bars and documents take longer, and no connection is no answer."""
    is_usual = not call.endpoint.writes and not call.is_document and call.rpc != "GetBars"
    return is_usual and not isinstance(outcome, httpx.ConnectError)


def _content(call: Call) -> bytes | None:
    if call.endpoint.method == "GET":
        return None
    return json.dumps(dict(call.body or {}), allow_nan=False).encode()


async def _bounded_text(response: httpx.Response) -> str | None:
    """Give the body as text; None where it is longer than we read, not as it was asked for, or no UTF-8."""
    body = await _bounded_body(response)
    try:
        return None if body is None else body.decode("utf-8")
    except UnicodeDecodeError:
        return None


async def _bounded_body(response: httpx.Response) -> bytes | None:
    """Read no more than we take, and unpack no more: a thousand bytes can be made to unpack to a thousand million."""
    codings = [coding for coding in _codings(response) if coding != "identity"]
    if codings not in ([], [_CODING]):
        return None
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS) if codings else None
    body = bytearray()
    async for chunk in _raw_chunks(response):
        try:
            body += unpacker.decompress(chunk, LONGEST_ANSWER_BYTES + 1 - len(body)) if unpacker else chunk
        except zlib.error:
            return None
        if len(body) > LONGEST_ANSWER_BYTES or (unpacker and unpacker.unused_data):
            return None
    return bytes(body) if unpacker is None or unpacker.eof or not body else None


def _codings(response: httpx.Response) -> list[str]:
    named = response.headers.get_list("content-encoding", split_commas=True)
    return [coding.strip().lower() for coding in named if coding.strip()]


def _raw_chunks(response: httpx.Response) -> AsyncIterator[bytes]:
    """The bytes as they came: httpx would unpack each piece to its end, as often as the answer says it was packed."""
    assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101  # of an asynchronous transport
    return aiter(response.stream)


def _judged(call: Call, outcome: HttpAnswer | Exception, now: datetime, request: SentRequest) -> Reply:
    """Give the answer, if it claims success; else its error is raised."""
    if call.is_document and isinstance(outcome, HttpAnswer) and 200 <= outcome.status < 300:
        return Reply(call.rpc, _document(call, outcome), now, request.secrets)
    failure = failure_of(request, outcome, now)
    if failure is not None:
        raise failure
    return Reply(call.rpc, outcome.body if isinstance(outcome, HttpAnswer) else None, now, request.secrets)


def _document(call: Call, answer: HttpAnswer) -> str:
    text = answer.text or ""
    if not text.strip() or text.lstrip()[:9].casefold().startswith(("<!doctype", "<html")):
        raise BadReply(f"{call.rpc} was answered with no document")
    return text


def _parsed(reply: Reply, parse: Callable[[Reply], _T], hear: Callable[[str], None] | None) -> _T:
    """Say what the answer says; its warning is told to ``hear``, and no error carries the token."""
    try:
        value = parse(reply)
    except UpstreamError as error:
        raise error.rephrased(redact_secrets(error.what, reply.secrets)) from None
    if hear is not None and reply.warning:
        hear(f'{reply.rpc}: CrossTrade warned "{reply.warning}"')
    return value


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
