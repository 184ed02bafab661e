"""Every way to fail, drawn as a tree.

CtMcpError
├── ConfigError          the operator must mend the settings; raised at start
├── Refused              we said no; nothing was sent
│   ├── BadRequest       what was asked for makes no sense; says which field and why
│   ├── OrderDenied      guard rules said no: every code with its figures
│   ├── NotConfirmed     no yes: ticket unknown, declined or expired
│   │   └── TicketSpent  it was spent before; the journal knows what became of it
│   ├── NeedsRoom        too many questions wait for the person already
│   ├── TakenOver        another ct-mcp may be about it: what a watch or an entry is owed
│   ├── Halted           trading is halted; says who, when, why, and how the person lifts it
│   ├── BudgetExhausted  our own request budget is empty; says when it refills
│   │   └── AskedToWait  CrossTrade asked us to wait, and the time is not over
│   └── StoreFailed      the journal cannot be written, so nothing may be sent
│       ├── StoreOutOfReach  that of all machines cannot be used just now
│       │   ├── TicketOutOfReach  it knows of a ticket, or of none: nobody can say which
│       │   └── OnlyReduces  what may open waits for it; what leaves or only reduces does not
│       ├── StoreRefused     it holds a rule that forbids what was to be written
│       ├── NotInTeam    the database holds no plane over a team, or this role is no member
│       └── StoreDamaged     it holds what we cannot have written
├── UpstreamError        they answered no, or could not be reached; nothing changed
│   ├── OrderRejected    their words, quoted and labelled as theirs
│   ├── NotFound · AddonOffline · AuthFailed · RateLimited · Unavailable · BadReply
└── OutcomeUnknown       a write was sent and no answer came: look, never resend

Every message says what happened, whether anything was sent, and what to do next. Messages are for reading: what else
has to tell two failures apart asks their class or their ``reason``.
"""

from enum import StrEnum
from typing import ClassVar, Self


class CtMcpError(Exception):
    """The root; ``code`` is stable, ``str()`` is a whole message for the assistant."""

    code: ClassVar[str] = "CT_MCP_ERROR"
    sent: ClassVar[str] = "Nothing was sent to the market."
    next_step: ClassVar[str] = ""

    def __init__(self, what: str, *, next_step: str = "") -> None:
        """Say what happened; ``next_step`` overrides the usual advice of the class."""
        self.what = what
        self.advice = next_step or type(self).next_step
        super().__init__(what)

    def rephrased(self, what: str) -> Self:
        """Give the same failure, with all that it carries, in other words."""
        other = type(self).__new__(type(self), what)
        vars(other).update(vars(self))
        other.what = what
        return other

    def __str__(self) -> str:
        parts = (f"{self.code}: {self.what}", self.sent, f"Next: {self.advice}" if self.advice else "")
        return " ".join(part if part.endswith((".", "?", "!")) else f"{part}." for part in parts if part)


class ConfigError(CtMcpError):
    """The operator must mend the settings; lists every fault at once."""

    code = "CONFIG_INVALID"
    next_step = "mend the settings named above and start again"


class Refused(CtMcpError):
    """We said no; nothing was sent."""

    code = "REFUSED"


class BadRequest(Refused):
    """What was asked for makes no sense, or names something that cannot be told apart."""

    code = "REQUEST_INVALID"
    next_step = "correct the named field; do not guess a value that the person did not give"


class OrderDenied(Refused):
    """Guard rules said no: every code with its figures."""

    code = "ORDER_DENIED"
    next_step = "tell the person the reasons; only they can change the limits, in the settings of ct-mcp"


class NotConfirmed(Refused):
    """There is no yes for this ticket: unknown, declined or expired."""

    code = "NOT_CONFIRMED"
    next_step = "ask the person what they want; propose again only if they still want it"


class TicketSpent(NotConfirmed):
    """The ticket was spent before: what it held may have been sent then, and is not sent again."""

    code = "TICKET_SPENT"
    sent = "What it held may have been sent then; it is not sent again."
    next_step = "do NOT propose it again; see get_journal for what became of it"


class NeedsRoom(Refused):
    """As many proposals as a person can keep apart wait for their answer already."""

    code = "NEEDS_ROOM"
    next_step = "ask the person to answer those first, or wait until they expire"


class TakenOver(Refused):
    """What a watch, or an entry, is owed may be another ct-mcp's to send by now."""

    code = "TAKEN_OVER"
    next_step = "whoever looks after it goes on with it; get_watches and get_orders show how it stands"


class Halted(Refused):
    """Trading is halted; what closes or cancels still works."""

    code = "TRADING_HALTED"
    next_step = "only the person can resume trading; closing, flattening and cancelling still work"


class BudgetExhausted(Refused):
    """Our own request budget is empty."""

    code = "BUDGET_EXHAUSTED"
    next_step = "wait, then ask again with fewer calls"


class AskedToWait(BudgetExhausted):
    """CrossTrade asked us to wait, and the time is not over; what leaves a position does not wait for it."""

    code = "RATE_LIMITED"
    next_step = "wait that long, then ask again; cancels, closes and flattens are sent all the same"


class StoreFailed(Refused):
    """The journal cannot be written or read, so nothing may be sent."""

    code = "JOURNAL_UNAVAILABLE"
    next_step = "the person must mend the state folder (disk space, rights), then try again"


class StoreOutOfReach(StoreFailed):
    """The store that machines share cannot be used just now, whatever it is asked."""

    next_step = "ask once more: exits go on without it; for the rest the person must see that it is reached again"


class TicketOutOfReach(StoreOutOfReach):
    """Whether there is such a ticket, and what became of it, only the shared store knows."""

    sent = "What it held may have been sent before; nothing is sent now."
    next_step = "do NOT propose it again as if nothing had happened; look with get_orders and get_positions"


class OnlyReduces(StoreOutOfReach):
    """What may open or add waits for the store that machines share, and so does what was begun in it."""

    next_step = (
        "close_position, flatten, cancels and what only reduces still leave: ask for it once more; what opens or adds "
        "waits until the shared store is reached again"
    )


class StoreRefused(StoreFailed):
    """A rule that stands in the store itself forbids what was to be written, whoever asks."""

    next_step = "do not ask for the same again; if it was not asked twice, the person must check the journal"


class NotInTeam(StoreFailed):
    """The database answers, and says that there is no team, or that this role does not belong to it."""


class StoreDamaged(StoreFailed):
    """What the store holds was not written by us, or has been tampered with."""


class UpstreamError(CtMcpError):
    """They answered no, or could not be reached; nothing changed."""

    code = "UPSTREAM_ERROR"
    sent = "Nothing was changed in the account."


class OrderRejected(UpstreamError):
    """CrossTrade or NinjaTrader refused; the words in quotes are theirs."""

    code = "UPSTREAM_REJECTED"
    next_step = "tell the person what was refused; do not send the same again unchanged"


class NotFound(UpstreamError):
    """They do not know what was asked for."""

    code = "UPSTREAM_NOT_FOUND"
    next_step = "check the name or id with get_accounts, get_positions or get_orders"


class AddonOffline(UpstreamError):
    """CrossTrade answers, but the add-on inside NinjaTrader does not."""

    code = "ADDON_OFFLINE"
    next_step = "the person must start NinjaTrader 8 and connect the CrossTrade add-on; get_status says when it is back"


class AuthReason(StrEnum):
    """Why they let nobody in; with ``PLAN`` the token is right, and its subscription does not include the API."""

    NO_TOKEN = "no token"  # noqa: S105  # no password
    TOKEN_REFUSED = "token refused"  # noqa: S105  # no password
    PLAN = "plan"


class AuthFailed(UpstreamError):
    """There is no token, it was refused, or the plan does not include the API."""

    code = "AUTH_FAILED"
    next_step = "the person must check CROSSTRADE_TOKEN and that their plan includes the API"

    def __init__(self, what: str, reason: AuthReason, *, next_step: str = "") -> None:
        """Keep which of them it is."""
        super().__init__(what, next_step=next_step)
        self.reason = reason


class RateLimited(UpstreamError):
    """CrossTrade asked us to slow down; it was not repeated."""

    code = "RATE_LIMITED"
    next_step = "wait some seconds before the next call"

    def __init__(self, what: str, *, retry_after_seconds: float | None = None) -> None:
        """Keep how long they asked us to wait, where they said so."""
        super().__init__(what)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(UpstreamError):
    """The service could not be reached, or failed while reading."""

    code = "UPSTREAM_UNAVAILABLE"
    next_step = "what was asked for is unknown now, not empty; try again shortly or call get_status"


class BadReply(UpstreamError):
    """The service answered a read with something we cannot trust."""

    code = "UPSTREAM_BAD_REPLY"
    next_step = "what was asked for is unknown now, not empty; try again shortly or call get_status"


class OutcomeUnknown(CtMcpError):
    """A write was sent and no trustworthy answer came."""

    code = "OUTCOME_UNKNOWN"
    sent = "It was sent and may or may not have taken effect."
    next_step = "do NOT send it again; look with get_orders and get_positions"

    def __init__(self, what: str, *, next_step: str = "", order_id: str | None = None) -> None:
        """Keep which order they named, where they did."""
        super().__init__(what, next_step=next_step)
        self.order_id = order_id
