"""Tells from the journal what became of a spent ticket, and what was filled a little while ago.

A ticket is spent once, and its answer may never have reached anybody: the client gave up, or asked twice. Whoever asks
again gets that answer here, and nothing is sent.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation

from ct_mcp.desk.journal_writer import Step
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.polling import Pause
from ct_mcp.desk.ports import Store
from ct_mcp.desk.readback import status_of
from ct_mcp.desk.together import Part, together
from ct_mcp.domain.approval import Approval, Ticket
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderState
from ct_mcp.domain.passing import has_passed
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.effect import instrument_named, is_urgent, leaves_position
from ct_mcp.guard.effect_model import Effect
from ct_mcp.store.journal import Entry, EntryKind
from ct_mcp.text import as_of, sanitize, span

LOOK_EVERY_SECONDS = 0.25
# Longer than any request lives, and than any review before it takes.
UNDER_WAY_SECONDS = 60.0
_NEVER_SENT_AFTER = timedelta(minutes=5)
RECENTLY = timedelta(minutes=5)
"""How far back a fill still matters to whoever is asked, or was told that nothing was sent."""
_MOST_ENTRIES, _MOST_NAMED = 200, 5

_SENDING = (EntryKind.INTENT, EntryKind.ACCEPTED, EntryKind.UNKNOWN)
_TELLING = frozenset(
    {*_SENDING, EntryKind.ANSWERED, EntryKind.READ_BACK, EntryKind.SETTLED, EntryKind.DENIED, EntryKind.ERROR}
)


@dataclass(frozen=True, slots=True)
class Story:
    """What the journal says of a spent ticket, the oldest first."""

    ticket: Ticket
    entries: tuple[Entry, ...]

    def is_under_way(self, now: datetime) -> bool:
        """Say whether somebody may just be sending it: no end is written, and it has not been quiet for long."""
        last = max((entry.at for entry in self.entries), default=self.ticket.created_at)
        return not has_passed(last, UNDER_WAY_SECONDS, now) and any(_is_open(self._of(step)) for step in self._steps)

    def parts(self, now: datetime) -> list[Part]:
        """Tell each of its commands as it was told, or settled since."""
        return [self._part(step, now) for step in self._steps]

    def outcome(self, now: datetime, parts: Sequence[Part] = ()) -> Outcome:
        """Tell what became of it: of one command its outcome, of several one for all."""
        parts = parts or self.parts(now)
        told = parts[0].outcome or Outcome(Status.DENIED, self.ticket.summary, self.ticket.simulated)
        ends = [self.newest(number) for number in range(len(parts))]
        at = min((end.at for end in ends if end is not None), default=self.ticket.created_at)
        if len(parts) > 1:
            told = replace(together(self.ticket, parts), as_of=as_of(at, now) if _is_said_of_then(parts) else "")
        elif parts[0].outcome is None:
            told = replace(told, reasons=(parts[0].why,), as_of=as_of(at, now))
        told = replace(told, ticket_id=self.ticket.ticket_id)
        if told.status is Status.SET:
            return replace(told, next_step=self._of_watch(now))
        if told.status.sent is False:
            return replace(told, next_step="nothing of it was sent, and nothing will be: tell the person the reasons")
        said = f"this ticket was spent before, and is not sent again: this is what became of it {as_of(at, now)}"
        return replace(told, reasons=(*told.reasons, said))

    def part(self, number: int, now: datetime) -> Part | None:
        """Tell one of its commands; None where it was never written down as about to be sent."""
        step = Step(self.ticket, number)
        return self._part(step, now) if any(entry.kind is EntryKind.INTENT for entry in self._of(step)) else None

    def newest(self, number: int) -> Entry | None:
        """Give the newest that was written of one of its commands."""
        return next(reversed(self._of(Step(self.ticket, number))), None)

    def names(self, number: int) -> tuple[str, ...]:
        """Every id under which the order of a command was known, the newest first; the first one keeps working."""
        told = (entry.detail.get("order_id") for entry in reversed(self._of(Step(self.ticket, number))))
        return tuple(dict.fromkeys(str(each) for each in told if each))

    def _of_watch(self, now: datetime) -> str:
        """Say how the watch stands that it set, whose sends are tickets of their own."""
        over = next((entry for entry in reversed(self.entries) if entry.kind is EntryKind.WATCH_OVER), None)
        if over is not None:
            return f"the watch is over, {as_of(over.at, now)}: {sanitize(over.summary)}"
        return (
            "the watch goes on, and sends by itself when it is due; end_watch ends it; get_watches tells how it stands"
        )

    @property
    def _steps(self) -> list[Step]:
        return [Step(self.ticket, number) for number in range(len(self.ticket.commands))]

    def _of(self, step: Step) -> list[Entry]:
        """What was written of one command; what a person settled names no order and means all of them."""
        return [entry for entry in self.entries if entry.kind in _TELLING and entry.own_id in (None, step.own_id)]

    def _part(self, step: Step, now: datetime) -> Part:
        entries, account = self._of(step), step.command.account
        if why := _never_done(entries):
            return Part(account, None, why)
        if not entries and now > self.ticket.expires_at + _NEVER_SENT_AFTER:
            return Part(account, None, "it was spent, and never written down as about to be sent")
        return Part(account, _told(step, entries, now))


def _is_said_of_then(parts: Sequence[Part]) -> bool:
    return any(part.outcome is not None and part.outcome.as_of for part in parts)


def _is_open(entries: Sequence[Entry]) -> bool:
    return not entries or entries[-1].kind in _SENDING


def is_at_its_end(entry: Entry) -> bool:
    """Say whether nothing more can come of a command by what was written of it last: all of it was read, or settled.

    What the person settled is at its end too; an account that was read may still hold an order of it that is to fill.
    """
    if entry.kind is EntryKind.SETTLED:
        return not {"is_over", "what", "watch", "strategy"}.isdisjoint(entry.detail)
    return entry.kind is EntryKind.ANSWERED


def _never_done(entries: Sequence[Entry]) -> str:
    """Say why nothing of it left; nothing where something did, or may have."""
    ends = [entry for entry in entries if entry.kind is not EntryKind.INTENT]
    if ends and ends[-1].kind is EntryKind.SETTLED and isinstance(ends[-1].detail.get("watch"), str):
        return "no watch was set, and nothing of it can come any more: it may be proposed anew"
    if not ends or not all(entry.kind is EntryKind.DENIED or "not_sent" in entry.detail for entry in ends):
        return ""
    newest = ends[-1].detail
    return "; ".join(_words(newest.get("denials"))) or f"not sent: {sanitize(str(newest.get('not_sent', '')))}"


def _told(step: Step, entries: Sequence[Entry], now: datetime) -> Outcome:
    """Tell one command by the newest that was written of it: all of it is of then."""
    outcome = Outcome(Status.UNKNOWN, step.summary, step.simulated)
    if not entries or entries[-1].kind is EntryKind.INTENT:
        return replace(outcome, reasons=("it is just being sent, or whoever sent it ended before it was answered",))
    detail, status = entries[-1].detail, _status(step, entries)
    unread = ("they took it, and it was not read back yet",) if entries[-1].kind is EntryKind.ACCEPTED else ()
    named = next((entry.detail["order_id"] for entry in reversed(entries) if entry.detail.get("order_id")), None)
    order_id = detail.get("order_id", named)  # an answer that names none knows that what they named is another
    return replace(
        outcome,
        status=status,
        order_id=None if order_id is None else sanitize(str(order_id), longest=80),
        order_state=_state(detail),
        filled_quantity=_whole(detail.get("filled")),
        average_fill_price=_price(detail.get("average_fill_price")),
        position_after=_whole(detail.get("position_after")),
        reasons=(
            *unread,
            *_unanswered(entries),
            *_words(detail.get("reasons")),
            *_words(detail.get("what")),
            *_standing(detail),
        ),
        alarm=_cried(entries),
        warnings=_words(detail.get("warnings")),
        next_step=sanitize(str(detail.get("next_step") or ""), longest=600),
        stands_now=_words(detail.get("stands_now")),
        # What nobody knows is not known now either.
        as_of="" if status in (Status.UNKNOWN, Status.ACCEPTED) else as_of(entries[-1].at, now),
    )


def _cried(entries: Sequence[Entry]) -> str:
    """Give what had to be read first of all when it was told; settling it later takes nothing back."""
    cried = (entry.detail["alarm"] for entry in reversed(entries) if entry.detail.get("alarm"))
    return sanitize(str(next(cried, "")), longest=600)


def _unanswered(entries: Sequence[Entry]) -> tuple[str, ...]:
    """Why no answer could be trusted, of what was settled later."""
    lost = [entry for entry in entries if entry.kind is EntryKind.UNKNOWN]
    return _words(lost[-1].detail.get("reasons")) if lost and entries[-1].kind is EntryKind.SETTLED else ()


def _status(step: Step, entries: Sequence[Entry]) -> Status:
    """Read the status as it was told; of what was settled later, as the order or the account was read."""
    entry = entries[-1]
    if (told := str(entry.detail.get("status") or "")) in frozenset(Status):
        return Status(told)
    if (state := _state(entry.detail)) is not None:
        return status_of(state)
    match entry.kind:
        case EntryKind.ANSWERED if not entry.detail.get("not_sent"):
            return Status.REJECTED
        case EntryKind.ACCEPTED | EntryKind.ANSWERED | EntryKind.ERROR:
            return Status.ACCEPTED
        case EntryKind.SETTLED:
            return _settled_as(step, entries)
        case _:
            return Status.UNKNOWN


def _settled_as(step: Step, entries: Sequence[Entry]) -> Status:
    """Read what was settled by an account, which carries no id of ours: what stands tells of an exit alone.

    Whether it did what was asked is not known, but only whether they took it; and what a person said was not read.
    """
    detail = entries[-1].detail
    if "refused" in detail:
        return Status.REJECTED
    if "watch" in detail:
        return Status.SET
    if leaves_position(step.command) and detail.get("positions") == detail.get("orders") == []:
        return Status.FLAT
    was_taken = any(entry.kind is EntryKind.ACCEPTED for entry in entries)
    return Status.ACCEPTED if was_taken and "what" not in detail else Status.UNKNOWN


def _state(detail: Mapping[str, object]) -> OrderState | None:
    state = str(detail.get("order_state") or detail.get("state") or "")
    return OrderState(state) if state in frozenset(OrderState) else None


def _standing(detail: Mapping[str, object]) -> Iterator[str]:
    """What was read of the account, its orders or the strategy, when it was settled."""
    for name in ("positions", "orders"):
        if isinstance(detail.get(name), list):
            yield f"{name}: {'; '.join(_words(detail[name])) or 'none'}"
    for name, words in (("old_order", "old order"), ("strategy", "strategy"), ("stands", "the order")):
        if detail.get(name):
            yield f"{words}: {sanitize(str(detail[name]))}"


def _words(value: object) -> tuple[str, ...]:
    lines = value if isinstance(value, list | tuple) else (value,) if value else ()
    return tuple(sanitize(str(line)) for line in lines)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _price(value: object) -> Decimal | None:
    try:
        return None if value is None else Decimal(str(value))
    except InvalidOperation:
        return None


async def story_of(store: Store, ticket: Ticket) -> Story:
    """Read what the journal says of a ticket."""
    newest_first = await store.entries(_MOST_ENTRIES, ticket_id=ticket.ticket_id)
    return Story(ticket, tuple(reversed(newest_first)))


async def followed(store: Store, ticket: Ticket, seconds: float, clock: Callable[[], datetime], pause: Pause) -> Story:
    """Read it; while somebody may just be sending it, wait so long for its end."""
    waited, story = 0.0, await story_of(store, ticket)
    while story.is_under_way(clock()) and waited < seconds:
        await pause(LOOK_EVERY_SECONDS)
        waited, story = waited + LOOK_EVERY_SECONDS, await story_of(store, ticket)
    return story


async def fills_beside(store: Store, effect: Effect, now: datetime) -> tuple[str, ...]:
    """Name what was filled a little while ago in the instrument of a command that may open or add."""
    if effect.instrument is None or is_urgent(effect.command):
        return ()
    return await recent_fills(store, effect.command.account, effect.instrument, now)


async def fills_of(store: Store, ticket: Ticket, now: datetime) -> tuple[str, ...]:
    """Name what was filled a little while ago in the instruments of a ticket, each once."""
    shown = [(each.account, each.instrument) for each in ticket.request.items] if ticket.request else []
    found = [fill for account, at in shown if at for fill in await recent_fills(store, account, at, now)]
    return tuple(dict.fromkeys(found))


async def has_filled_meanwhile(store: Store, ticket: Ticket, now: datetime) -> bool:
    """Say whether something filled that the question of a new ticket does not name: it was told while it was made.

    Of several commands none opens.
    """
    (first, *others) = ticket.commands
    if others or ticket.request is None or ticket.approval is Approval.NONE or is_urgent(first):
        return False
    return len(await fills_of(store, ticket, now)) > sum(item.fills_shown for item in ticket.request.items)


async def recent_fills(store: Store, account: str, instrument: Instrument, now: datetime) -> tuple[str, ...]:
    """Name what was read as filled in an instrument within the last minutes, the newest first, each contract once."""
    told = [fill for fill in _fills_in(await store.entries_of_orders(_MOST_ENTRIES, account)) if fill.is_recent(now)]
    tickets = await store.tickets({name for fill in told for name in fill.ticket_ids}) if told else {}
    there = {ticket_id for ticket_id, ticket in tickets.items() if instrument in _instruments(ticket)}
    return tuple(fill.line(now) for fill in reversed(told) if there & fill.ticket_ids)


@dataclass(frozen=True, slots=True)
class _Fill:
    """What an entry was the first to tell of an order; ``placed_by`` is the first that names the order."""

    told_by: Entry
    contracts: int
    placed_by: Entry
    was_seen: bool

    def is_recent(self, now: datetime) -> bool:
        return now - self.told_by.at <= RECENTLY

    @property
    def ticket_ids(self) -> frozenset[str]:
        return frozenset(filter(None, (self.told_by.ticket_id, self.placed_by.ticket_id)))

    def line(self, now: datetime) -> str:
        """Give its age; where another command read the order later, only how long ago that was is known."""
        what = f"{self.contracts} of {sanitize(self.placed_by.summary, longest=120)}"
        return f"{'filled' if self.was_seen else 'read as filled'} {_ago(self.told_by.at, now)}: {what}"


def _fills_in(newest_first: Sequence[Entry]) -> Iterator[_Fill]:
    """Give what each entry tells of an order beyond all before it: a cancel or a change tells all that had filled."""
    known, first = dict[str, int](), dict[str, Entry]()
    places_none = {entry.own_id for entry in newest_first if entry.detail.get("may_fill") == []}
    for entry in reversed(newest_first):
        if not entry.ticket_id or entry.kind not in _TELLING:
            continue
        order = str(entry.detail.get("order_id") or entry.own_id or entry.ticket_id)
        placed_by, filled = first.setdefault(order, entry), _whole(entry.detail.get("filled")) or 0
        if (more := filled - known.get(order, 0)) > 0:
            known[order] = filled
            is_its_own = entry.own_id == placed_by.own_id and entry.own_id not in places_none
            yield _Fill(entry, more, placed_by, is_its_own and entry.kind is not EntryKind.SETTLED)


async def fills_told(store: Store, ticket: Ticket, now: datetime) -> tuple[str, ...]:
    """Name them for whoever waits for a ticket that comes to nothing."""
    return shortened(await fills_of(store, ticket, now))


def shortened(fills: Sequence[str]) -> tuple[str, ...]:
    """Name the newest, and say how many more there were: nobody reads forty, nor needs them to notice one."""
    more = len(fills) - _MOST_NAMED
    if more <= 0:
        return tuple(fills)
    return (*fills[:_MOST_NAMED], f"{more} more filled within {span(RECENTLY.total_seconds())}")


def _ago(at: datetime, now: datetime) -> str:
    return f"{span(max(0.0, (now - at).total_seconds()))} ago"


def _instruments(ticket: Ticket) -> set[Instrument | None]:
    shown = ticket.request.items if ticket.request else ()
    named = {instrument_named(command, RiskContext(ticket.created_at)) for command in ticket.commands}
    return named | {item.instrument for item in shown}
