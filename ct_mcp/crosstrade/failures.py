"""Which of our errors a failed request is, and whether anything may have happened. Pure.

| what happened                        | while reading          | while writing                              |
|--------------------------------------|------------------------|--------------------------------------------|
| it never left (connect failed)       | Unavailable            | Unavailable                                |
| it broke on the way                  | Unavailable            | OutcomeUnknown                             |
| 4xx, or 200 with an error            | by its text            | the same: their no is definite             |
| 401, 403                             | AuthFailed             | AuthFailed                                 |
| 408                                  | AddonOffline           | AddonOffline if proven, else OutcomeUnknown |
| 429                                  | RateLimited            | RateLimited; the broker's: OutcomeUnknown  |
| 4xx whose words cannot be read       | by its status          | OutcomeUnknown: they may leave it open     |
| 3xx, 5xx                             | Unavailable            | OutcomeUnknown                             |
| 200 that cannot be read              | BadReply               | OutcomeUnknown                             |
| a code that leaves it open           | by its status          | OutcomeUnknown, whatever the status        |
| a no to an order that names one      |                        | OutcomeUnknown: it may have been placed    |
| a no to a call that is made in steps |                        | OutcomeUnknown, unless it came beforehand  |
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime

import httpx

from ct_mcp.crosstrade.schemas.values import parse_json
from ct_mcp.errors import (
    AddonOffline,
    AuthFailed,
    AuthReason,
    BadReply,
    CtMcpError,
    NotFound,
    OrderRejected,
    OutcomeUnknown,
    RateLimited,
    Unavailable,
    UpstreamError,
)
from ct_mcp.text import quoted

NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
LONGEST_WAIT_SECONDS = 3600.0
# Its budget is full again in seven seconds, so a larger figure was meant in milliseconds.
_LONGEST_IN_SECONDS = 300.0
# Not every answer tells the time at theirs, and what lies between two clocks says little.
_LONGEST_BY_OUR_CLOCK_SECONDS = 10.0
_MAY_BE_REPEATED = "call get_status; once CrossTrade can be reached, the same may be asked for again"

# Only these two prove that the add-on was away before anything was handed to it.
_OFFLINE_BEFORE = re.compile(r"(?i)client not ready|\bnot connected")
# These, next to anything else, say that it was lost on the way.
_LOST_ON_THE_WAY = re.compile(
    r"(?i)time[d -]*out|connection closed|disconnected|no (?:response|answer|reply)|no longer"
)
_LEFT_OPEN = re.compile(
    r"(?i)internal_error|broker[_ ]rate[_ ]limit|tradovate_unavailable|tradovate_session_expired"
    r"|close_needs_reconciliation|reconciliation_required"
)
# Said to an exit: what it asks for is on its way by another request. To anything else it is a no.
_CLOSE_RUNS = re.compile(r"(?i)close_in_progress")
_OF_ONE_ACCOUNT = re.compile(r"(?i)snapshot_refresh_pending")
_NO_POSITION = re.compile(r"(?i)\bno positions? (?:was )?found for instrument")
_ORDER_GONE = re.compile(r"(?i)not found or already terminal")
_NOT_FOUND = re.compile(
    r"(?i)not[ _]found|no such|does not exist|unknown[_ ](?:account|order|execution|strategy|instrument)"
)
_TOO_OLD = re.compile(r"(?i)unknown api command")
# Next to a 401, these say that the token is right and the subscription is not.
_PLAN = re.compile(r"(?i)subscription|requires_pro|\bplan\b")
# Any of these, said of a call that does one thing and then another, proves that it did not even begin.
_BEFORE_IT_BEGAN = (
    _OFFLINE_BEFORE,
    _ORDER_GONE,
    _NO_POSITION,
    _TOO_OLD,
    re.compile(r"(?i)\b(?:invalid|unknown)[_ ](?:request|account|instrument)\b|\baccount\b[^,;]{0,80}\bnot[ _]found"),
)


class NoPosition(NotFound):
    """They say that the account holds no position of the instrument; cross-check with the list before believing it."""


class OrderGone(NotFound):
    """The order is not there, or over already: it may have filled."""

    next_step = "it may have filled: look with get_order and get_positions before anything else"


@dataclass(frozen=True, slots=True)
class SentRequest:
    """What was asked: enough to say what broke, nothing secret but what must be hidden from its message.

    ``unused_proxy`` names the variable of a proxy that was not used.
    """

    rpc: str
    writes: bool
    assumed: str = ""
    secrets: tuple[str, ...] = ()
    steps: bool = False
    unused_proxy: str = ""
    places: bool = False
    closes: bool = False


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back. ``text`` is None where it was too long or no UTF-8, ``body`` where it is no JSON."""

    status: int
    text: str | None
    retry_after: str | None = None
    date: str | None = None
    body: object = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Parse the body once."""
        object.__setattr__(self, "body", parse_json(self.text or ""))


def failure_of(request: SentRequest, broken: Exception | HttpAnswer, now: datetime) -> CtMcpError | None:
    """Say which error this is; None for an answer that claims success, whose rows are then for the wire to prove."""
    if isinstance(broken, Exception):
        return _from_exception(request, broken)
    if 200 <= broken.status < 300:
        return _from_claimed_success(request, broken)
    return _from_status(request, broken, now)


def retry_after_seconds(answer: HttpAnswer, now: datetime) -> float | None:
    """Say how long they ask us to wait: from the body, else from the header; None where neither says so."""
    body = _body(answer)
    details = body.get("details")
    nested = details.get("retryAfter") if isinstance(details, dict) else None
    for value in (body.get("retryAfter"), body.get("retry_after"), nested, answer.retry_after):
        if (seconds := _wait_seconds(value, answer.date, now)) is not None:
            return min(max(0.0, seconds), LONGEST_WAIT_SECONDS)
    return None


def is_of_one_account(answer: HttpAnswer) -> bool:
    """Say whether a 429 is about one account, whose figures they are reading anew, and about no number of requests."""
    return _OF_ONE_ACCOUNT.search(error_text(answer)) is not None


def error_text(answer: HttpAnswer) -> str:
    """Give what they say went wrong, unclean; empty where they say nothing."""
    body = _body(answer)
    error = body.get("error")
    said = [*error.values()] if isinstance(error, dict) else [error]
    said += [body.get("detail"), body.get("message")]
    return ": ".join(dict.fromkeys(word for word in said if isinstance(word, str) and word.strip()))


def _from_exception(request: SentRequest, broken: Exception) -> CtMcpError:
    kind = type(broken).__name__
    if isinstance(broken, NEVER_LEFT):
        what = f"{request.rpc} never left: CrossTrade could not be reached ({kind}){_why_no_proxy(request)}"
        return Unavailable(what, next_step=_MAY_BE_REPEATED if request.writes else "")
    if request.writes:
        return OutcomeUnknown(f"{request.rpc} got no answer ({kind})")
    return Unavailable(f"{request.rpc} got no answer ({kind})")


def _why_no_proxy(request: SentRequest) -> str:
    if not request.unused_proxy:
        return ""
    return f"; {request.unused_proxy} is set, but ct-mcp goes through no proxy and needs a direct way to CrossTrade"


def _from_claimed_success(request: SentRequest, answer: HttpAnswer) -> CtMcpError | None:
    body = answer.body
    if body is None:
        return _untrusted(request, f"{request.rpc} was answered with HTTP {answer.status} that cannot be read")
    if not isinstance(body, dict):
        return None
    success, error = body.get("success"), body.get("error")
    if success is False or (success is None and error):
        return _from_words(request, answer)
    if error or success not in (True, None):
        return _untrusted(
            request, f"{request.rpc} was answered with success and an error at once{_said(request, answer)}"
        )
    return None


def _from_status(request: SentRequest, answer: HttpAnswer, now: datetime) -> CtMcpError:
    what = f"{request.rpc} was answered with HTTP {answer.status}{_said(request, answer)}"
    match answer.status:
        case 401 | 403:
            is_plan = answer.status == 403 or _PLAN.search(error_text(answer))
            return AuthFailed(what, AuthReason.PLAN if is_plan else AuthReason.TOKEN_REFUSED)
        case 408:
            return _from_408(request, answer, what)
        case 429 if not (request.writes and (_is_unread(answer) or _LEFT_OPEN.search(error_text(answer)))):
            return RateLimited(what, retry_after_seconds=retry_after_seconds(answer, now))
        case 404:
            return _from_404(request, answer)
        case status if 400 <= status < 500 and status != 429:
            return _from_words(request, answer)
        case _:
            return OutcomeUnknown(what) if request.writes else Unavailable(what)


def _from_408(request: SentRequest, answer: HttpAnswer, what: str) -> CtMcpError:
    words = error_text(answer)
    proven = _OFFLINE_BEFORE.search(words) and not _LOST_ON_THE_WAY.search(words)
    return OutcomeUnknown(what) if request.writes and not proven else AddonOffline(what)


def _from_words(request: SentRequest, answer: HttpAnswer) -> CtMcpError:
    """Their no is definite, unless their words leave open what happened, or it may have come half-way."""
    words = error_text(answer)
    what = f"{request.rpc} was refused{_said(request, answer)}"
    if _LEFT_OPEN.search(words) or _LOST_ON_THE_WAY.search(words):
        return OutcomeUnknown(what) if request.writes else Unavailable(what)
    if request.writes and _is_unread(answer):
        return OutcomeUnknown(f"{request.rpc} was answered with HTTP {answer.status} that cannot be read")
    if request.closes and _CLOSE_RUNS.search(words):
        return OutcomeUnknown(f"{what}; so an exit is on its way")
    if request.places and (named := _order_named(answer)):
        return OutcomeUnknown(f"{what}; it names an order all the same", order_id=named)
    if request.steps and not any(proof.search(words) for proof in _BEFORE_IT_BEGAN):
        return OutcomeUnknown(f"{what}; what it does first may have been done")
    return _definite_no(request, words, what)


def _is_unread(answer: HttpAnswer) -> bool:
    """Say whether its words are not known: they broke off, were too long, or are those of somebody in between."""
    return answer.body is None


def _order_named(answer: HttpAnswer) -> str | None:
    """Give the order that they name beside their no: who has refused one has none to name."""
    match _body(answer):
        case {"orderId": str(order_id)} | {"orderIds": [str(order_id), *_]}:
            return order_id or None
    return None


def _definite_no(request: SentRequest, words: str, what: str) -> UpstreamError:
    if _OFFLINE_BEFORE.search(words):
        return AddonOffline(what)
    if _ORDER_GONE.search(words):
        return OrderGone(what)
    if _NO_POSITION.search(words):
        return NoPosition(what)
    if _TOO_OLD.search(words):
        return NotFound(what, next_step="the person must update the CrossTrade add-on in NinjaTrader")
    return _not_found(request, what) if _NOT_FOUND.search(words) else OrderRejected(what)


def _from_404(request: SentRequest, answer: HttpAnswer) -> CtMcpError:
    meant = _body(answer).get("did_you_mean")
    hint = f"; they suggest {quoted(str(meant), request.secrets)}" if meant else ""
    guess = f"; {request.assumed} of this endpoint is our assumption" if request.assumed else ""
    if meant or not _ORDER_GONE.search(error_text(answer)):
        return _not_found(request, f"{request.rpc} was answered with HTTP 404{_said(request, answer)}{hint}{guess}")
    return OrderGone(f"{request.rpc} was refused{_said(request, answer)}")


def _not_found(request: SentRequest, what: str) -> NotFound:
    return NotFound(what, next_step="check the id with get_strategies" if "Strateg" in request.rpc else "")


def _untrusted(request: SentRequest, what: str) -> CtMcpError:
    return OutcomeUnknown(what) if request.writes else BadReply(what)


def _said(request: SentRequest, answer: HttpAnswer) -> str:
    words = error_text(answer)
    return f"; CrossTrade said {quoted(words, request.secrets)}" if words else ""


def _body(answer: HttpAnswer) -> dict[str, object]:
    return answer.body if isinstance(answer.body, dict) else {}


def _wait_seconds(value: object, their_date: str | None, now: datetime) -> float | None:
    match value:
        case bool() | None:
            return None
        case int() | Decimal():
            return _not_milliseconds(float(min(value, 10**9)))
        case str():
            return _parse_seconds(value.strip(), their_date, now)
        case _:
            return None


def _parse_seconds(text: str, their_date: str | None, now: datetime) -> float | None:
    """Read seconds, or how far a time is from when they answered, by their own clock where they tell it."""
    if re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", text):
        return _not_milliseconds(float(text))
    if (until := _parse_date(text)) is None:
        return None
    if their_date is not None and (answered_at := _parse_date(their_date.strip())) is not None:
        return min((until - answered_at).total_seconds(), _LONGEST_IN_SECONDS)
    return min((until - now).total_seconds(), _LONGEST_BY_OUR_CLOCK_SECONDS)


def _parse_date(text: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _not_milliseconds(figure: float) -> float:
    return figure / 1000 if figure > _LONGEST_IN_SECONDS else figure
