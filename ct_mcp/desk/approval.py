"""Draws the ticket: what the person is asked, and what is answered while nothing is sent.

The question is made here from the reviewed commands and from nothing that the assistant wrote. It is data: the form,
the page and the terminal render it. At the send the same facts are read anew and held against it, see
`still_approved`.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from secrets import choice, token_hex

from ct_mcp.desk import remedies
from ct_mcp.desk.approval_request import goes_singly, item_of
from ct_mcp.desk.journal_writer import summary_of
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.remedies import order_line
from ct_mcp.desk.story import shortened
from ct_mcp.domain.approval import (
    APPROVALS,
    FILLED_RECENTLY,
    LEFT_ALONE,
    SECOND_YES,
    Approval,
    ApprovalItem,
    ApprovalRequest,
    Finding,
    FindingKind,
    ShownOrder,
    Ticket,
    TicketState,
)
from ct_mcp.domain.commands import KINDS, ClosePosition, ReplaceOrder, describe, fingerprint_all
from ct_mcp.domain.order import OWN_ID, Order
from ct_mcp.errors import NeedsRoom, NotConfirmed, TicketSpent
from ct_mcp.guard.denial import OF_THE_CALL, OF_THE_MOMENT, DenialCode
from ct_mcp.guard.effect import is_cancel, leaves_whole_position, sets_a_watch
from ct_mcp.guard.effect_model import RiskDirection
from ct_mcp.guard.exposure import goes_towards_flat
from ct_mcp.guard.protection import lost_by_cancelling
from ct_mcp.guard.review import Review, largest_that_passes, review
from ct_mcp.guard.rule import Denial
from ct_mcp.text import command, contracts, format_price, sanitize

# No letters or digits that a person mistakes for another when reading them off a screen.
_CODE_ALPHABET = "ACDEFGHJKMNPQRTUVWXY34679"
_CODE_LENGTH = 4
_WHY_NOT = {
    TicketState.SPENT: "it was spent before",
    TicketState.DECLINED: "the person declined it",
    TicketState.EXPIRED: "it expired before the person said yes",
    TicketState.OPEN: "the person has not said yes",
    TicketState.APPROVED: "another call is just spending it",
}
_WAITING = {
    TicketState.OPEN: Status.NEEDS_APPROVAL,
    TicketState.APPROVED: Status.NEEDS_APPROVAL,
    TicketState.EXPIRED: Status.EXPIRED,
    TicketState.DECLINED: Status.DECLINED,
}


def draw_ticket(
    reviews: Sequence[Review], reason: str, filled: Sequence[Sequence[str]] = (), left_alone: Sequence[str] = ()
) -> Ticket:
    """Make the ticket of reviewed commands: fresh ids, the channel that must bring the yes, what is to be shown.

    Of several accounts it is as strict as the strictest. ``filled`` names for each command what was filled in its
    instrument a little while ago: whoever is asked twice for one wish must see it. ``left_alone`` names the accounts
    that are not flattened where all were meant: it stays with the ticket, so that every answer of it can say so.
    """
    first, *others = map(_item, reviews, filled or [()] * len(reviews))
    alone = (Finding(FindingKind.WARNING, LEFT_ALONE, each) for each in left_alone)
    ticket_id = token_hex(8)
    commands = tuple(review.command for review in reviews)
    now = max(review.context.now for review in reviews)
    return Ticket(
        ticket_id=ticket_id,
        commands=commands,
        fingerprint=fingerprint_all(commands),
        own_id=f"{OWN_ID}{ticket_id}",
        summary=summary_of(reviews),
        request=ApprovalRequest((replace(first, findings=(*alone, *first.findings)), *others)),
        phrase=_phrase(reviews),
        approval=max(map(approval_of, reviews), key=APPROVALS.index),
        simulated=all(review.simulated for review in reviews),
        reason=reason,
        created_at=now,
        expires_at=now + timedelta(seconds=reviews[0].policy.ticket_seconds),
    )


def _item(review: Review, filled: Sequence[str]) -> ApprovalItem:
    item = item_of(review)
    warnings = (Finding(FindingKind.WARNING, FILLED_RECENTLY, each) for each in shortened(filled))
    return replace(item, findings=(*warnings, *item.findings), fills=len(filled))


def approval_of(review: Review) -> Approval:
    """The channel that the policy asks for, by what the command does to the risk and not by its verb.

    What is placed where a stop may stand that no list shows would be a second one: that is asked about.
    """
    may_double = review.context.orders_doubted and review.effect.sends_orders
    reduces = review.effect.only_reduces and not sets_a_watch(review.command) and not may_double
    if reduces and is_cancel(review.command):
        return Approval.NONE
    return review.policy.approval_for(review.account, review.context.kind, leaves=bool(reduces))


def _phrase(reviews: Sequence[Review]) -> str:
    """On a live account the order itself is typed, a code for everything else."""
    (first, *others) = reviews
    order = first.effect.order
    if others or order is None or order.account != first.command.account or first.effect.changes is not None:
        return _code()
    if first.context.kind.is_simulated:
        return _code()
    return f"{order.action} {order.quantity} {order.instrument.root}"


def _code() -> str:
    return "".join(choice(_CODE_ALPHABET) for _ in range(_CODE_LENGTH))


# The send, held against the question ------------------------------------------------------------------------------


def still_approved(review: Review, ticket: Ticket, number: int) -> Review:
    """Deny what the yes does not cover any more, because by now the command would do something else.

    A whole close and a flatten go, whatever the book has become; so does what was shown as one, and is one still.
    """
    if leaves_whole_position(review.command) or _is_whole_as_shown(review, ticket, number):
        return review
    due, given = approval_of(review), ticket.approval
    denials = [*review.denials]
    if APPROVALS.index(due) > APPROVALS.index(given):
        figures = f"proposed under approval={given}, due now={due}; propose it again"
        denials.append(Denial(DenialCode.APPROVAL_OUTGROWN, figures))
    if not ticket.needs_second and any(finding.code == SECOND_YES for finding in review.findings):
        figures = "a second person's yes is due by now, and nobody was asked for it; propose it again"
        denials.append(Denial(DenialCode.APPROVAL_OUTGROWN, figures))
    shown = None if ticket.request is None else ticket.request.items[number]
    if shown is not None and shown.must_reduce and not review.effect.only_reduces:
        denials.append(_would_not_reduce(review))
    if shown is not None and ticket.is_asked:
        denials += _done_otherwise(shown, review)
    return replace(review, denials=tuple(denials))


def _would_not_reduce(review: Review) -> Denial:
    """Deny what a watch has made: for good where it does not reduce, for now where that is not known."""
    if review.effect.only_reduces is None:
        figures = "it was made by a watch, which may only reduce, and whether it does is not known; nothing was sent"
        return Denial(DenialCode.POSITION_UNKNOWN, figures)
    figures = "it was made by a watch, which may only reduce; nothing was sent"
    return Denial(DenialCode.WATCH_WOULD_NOT_REDUCE, figures)


def _is_whole_as_shown(review: Review, ticket: Ticket, number: int) -> bool:
    """Say whether a close names as many contracts as were held when it was shown, and as are held now."""
    shown = None if ticket.request is None else ticket.request.items[number]
    was_whole = shown is not None and bool(_closed(shown)) and shown.position_after == 0
    return was_whole and review.effect.direction is RiskDirection.CLOSES


def _done_otherwise(shown: ApprovalItem, review: Review) -> list[Denial]:
    """What the command would do now and the question did not show; the figures say what changed."""
    now = item_of(review)
    changed = [*_other_account(shown, now), *_other_orders(shown, now), *_other_cancels(shown, now, review)]
    changed += [*_other_close(shown, now), *_other_stop(shown, now)]
    if not changed:
        return []
    return [Denial(DenialCode.CHANGED_SINCE_ASKED, f"{'; '.join(changed)}; nothing was sent: propose it again")]


def _other_account(shown: ApprovalItem, now: ApprovalItem) -> Iterator[str]:
    if shown.simulated and not now.simulated:
        yield f"account kind was={shown.account_kind}, is={now.account_kind}"


def _other_orders(shown: ApprovalItem, now: ApprovalItem) -> Iterator[str]:
    """Other sizes, or the same order on the other side of flat; a close that is covered by now is no news."""
    if now.sends and _sizes(shown) != _sizes(now):
        yield f"orders shown={_orders(shown)}, now={_orders(now)}"
    is_turned = bool(now.sends) and _leaves(shown) is not _leaves(now)
    if is_turned or (shown.only_reduces and not now.only_reduces):
        yield f"shown as {_kind(shown)}, {_path(shown)}; now {_kind(now)}, {_path(now)}"


def _other_cancels(shown: ApprovalItem, now: ApprovalItem, review: Review) -> Iterator[str]:
    """Say which orders would go that were not shown, or more of one; what is not known any more may be anything."""
    if shown.cancels and review.effect.cancels is None and not goes_singly(shown, review.command):
        yield f"orders shown to go={_listed(shown.cancels)}; which go by now is not known"
    sizes = {order.order_id: order.remaining for order in shown.cancels}
    more = [order for order in now.cancels if order.remaining > sizes.get(order.order_id, 0)]
    if more:
        yield f"orders that would go and were not shown: {_listed(more)}"
    if shown.kind == KINDS[ReplaceOrder]:
        yield from _filled_since(shown, review.effect.cancels or ())


def _filled_since(shown: ApprovalItem, gone: Iterable[Order]) -> Iterator[str]:
    """What has filled of an order is not taken off the one that comes in its place, which was shown without it."""
    by_id = {order.order_id: order for order in gone}
    for was in shown.cancels:
        order = by_id.get(was.order_id)
        if order is not None and order.remaining < was.remaining:
            filled = f"{order.filled} of {order.quantity} filled"
            yield f"to be replaced shown={was.line}, now={order_line(order)}, {filled}"


def _listed(orders: Iterable[ShownOrder]) -> str:
    return "; ".join(order.line for order in orders)


def _other_close(shown: ApprovalItem, now: ApprovalItem) -> Iterator[str]:
    """A part that is more than was shown, or of the other side: a percentage is of what is held by then."""
    was, closes = _closed(shown), _closed(now)
    if closes is not None and was is not None and (closes * was < 0 or abs(closes) > abs(was)):
        yield f"contracts to close shown={was:+d}, {_path(shown)}; now={closes:+d}, {_path(now)}"


def _closed(item: ApprovalItem) -> int | None:
    before, after = item.position_before, item.position_after
    return None if item.kind != KINDS[ClosePosition] or before is None or after is None else before - after


def _other_stop(shown: ApprovalItem, now: ApprovalItem) -> Iterator[str]:
    """Somebody has moved the stop nearer meanwhile: the same price is a wider move by now."""
    was, away = shown.stop_moves_away_by or Decimal(0), now.stop_moves_away_by
    if away is not None and away > was:
        yield f"the stop was shown to move away by={format_price(was)}, and would move by={format_price(away)}"


def _leaves(item: ApprovalItem) -> bool:
    """Say whether an order leaves what is held. Beside a stop it may open for all that, and is not judged to reduce."""
    return len(item.sends) == 1 and goes_towards_flat(item.position_before, item.position_after)


def _path(item: ApprovalItem) -> str:
    return f"position {contracts(item.position_before)} to {contracts(item.position_after)}"


def _sizes(item: ApprovalItem) -> list[tuple[object, ...]]:
    return [
        (order.action, order.quantity, order.instrument, order.order_type, order.limit_price, order.stop_price)
        for order in item.sends
    ]


def _orders(item: ApprovalItem) -> str:
    sent = (f"{order.action} {order.quantity} {order.instrument} {order.order_type}" for order in item.sends)
    return ", ".join(sent) or "none"


def _kind(item: ApprovalItem) -> str:
    if item.only_reduces or _leaves(item):
        return "an exit"
    return "not known" if item.only_reduces is None else "an opening or a loss of protection"


def moved_since(ticket: Ticket, number: int, review: Review) -> tuple[str, ...]:
    """What changed around a command that still does what was shown; for the answer."""
    if ticket.request is None or not ticket.is_asked:
        return ()
    was, now = ticket.request.items[number].position_before, review.effect.position_before
    if was == now or None in (was, now):
        return ()
    return (f"the position was {contracts(was)} when the person was asked, and {contracts(now)} when it was sent",)


# What is answered while nothing is sent ---------------------------------------------------------------------------


def overtaken(review: Review, times: int) -> Review:
    """Deny what passed so often, and was each time overtaken by what others sent in the account."""
    figures = f"reviews={times}, each overtaken by what was sent in account={review.account}"
    return replace(review, denials=(*review.denials, Denial(DenialCode.ACCOUNT_IS_BUSY, figures)))


def no_room(reviews: Sequence[Review], full: NeedsRoom) -> list[Review]:
    """Too many questions wait for the person already: a no to all of it."""
    no = Denial(DenialCode.NEEDS_ROOM, f"{full.what}; {full.advice}")
    return [replace(review, denials=(no,)) for review in reviews]


def denied(reviews: Sequence[Review], notes: Sequence[str] = (), fills: Sequence[str] = ()) -> Outcome:
    """A rule said no: every reason with its figures. ``notes`` are told with it, and what was filled a while ago."""
    unread = dict.fromkeys(note for review in reviews for note in review.context.unread)
    several = len(reviews) > 1
    reasons = [
        f"{denial}, in account {review.account}" if several else str(denial)
        for review in reviews
        for denial in review.denials
    ]
    return Outcome(
        Status.DENIED,
        summary_of(reviews),
        simulated=all(review.simulated for review in reviews),
        reasons=(*reasons, *unread, *notes, *shortened(fills)),
        findings=tuple(dict.fromkeys(finding for review in reviews for finding in review.findings_to_answer)),
        next_step=_after_denial(reviews),
        codes=frozenset(denial.code for review in reviews for denial in review.denials),
    )


def _after_denial(reviews: Sequence[Review]) -> str:
    """One no is a no to all; what passes by itself is named, so that no account waits for another one's exit."""
    codes = {denial.code for review in reviews for denial in review.denials}
    step = "; ".join(filter(None, (*_by_kind(codes), _most_that_passes(reviews), _once_cancelled(reviews))))
    if codes == {DenialCode.EXIT_ON_ITS_WAY}:
        step = "look with get_positions and get_orders until it has filled; one that was lost goes again after a minute"
        step = f"{step}; one that stands in get_orders and does not fill: cancel_order it, then leave again"
    others = "; ".join(sanitize(describe(review.effect.meant), longest=120) for review in reviews if review.passes)
    return f"{step}. Not denied, if proposed by itself: {others}" if others else step


def _by_kind(codes: Collection[DenialCode]) -> Iterator[str]:
    """What to do about denials: what no settings would change is not laid at their door."""
    yield "tell the person the reasons"
    if OF_THE_CALL & set(codes):
        yield "with other values it is a new call, and no repeat"
    if OF_THE_MOMENT & set(codes):
        yield "what is of this moment may pass later: look again first"
    if set(codes) - OF_THE_CALL - OF_THE_MOMENT:
        yield "only they can change the limits, in the settings of ct-mcp"


def _once_cancelled(reviews: Sequence[Review]) -> str:
    """Of a bracket that passes once what it cancels is gone, and none of that protects: the calls, one by one."""
    no, effect = reviews[0], reviews[0].effect
    gone, legs, lost = effect.cancels, effect.legs, lost_by_cancelling(effect.cancels, no.context)
    is_bracket = effect.takes_away_first and effect.order is None
    if len(reviews) > 1 or not is_bracket or not gone or not legs or lost is None or lost.is_any:
        return ""
    left = tuple(order for order in no.context.orders or () if order not in gone)
    if not review(no.command, replace(no.context, orders=left), no.policy).passes:
        return ""
    calls = f"{remedies.cancelling_all(gone)}; then, once they read cancelled: {remedies.protecting(legs)}"
    return f"it passes once what it would cancel is gone, and none of that is a stop behind the position: {calls}"


def _most_that_passes(reviews: Sequence[Review]) -> str:
    """Of one order that is too large, how large it may be."""
    largest = largest_that_passes(reviews[0]) if len(reviews) == 1 else None
    if largest is None or not largest.contracts:
        return ""
    return f"at most {largest.contracts} would pass now"


def cannot_be_used(ticket_id: str, state: TicketState) -> NotConfirmed:
    """Say why a ticket cannot be spent."""
    why = TicketSpent if state is TicketState.SPENT else NotConfirmed
    return why(f"ticket {ticket_id} cannot be used: {_WHY_NOT[state]}")


def awaiting(ticket: Ticket, now: datetime) -> Outcome:
    """What is answered of a ticket that was not spent.

    Raises:
        TicketSpent: It was spent before; see `desk/story.py` for what became of it.
    """
    state = ticket.state_at(now)
    if state is TicketState.SPENT:
        raise cannot_be_used(ticket.ticket_id, state)
    outcome = Outcome(_WAITING[state], ticket.summary, ticket.simulated, ticket.ticket_id)
    match state:
        case TicketState.EXPIRED:
            return replace(outcome, next_step="propose it again only if the person still wants it")
        case TicketState.DECLINED:
            return replace(outcome, next_step="the person said no: do not propose it again unless they ask for it")
        case _:
            left = (ticket.expires_at - now).total_seconds()
            return replace(outcome, expires_in_seconds=max(0, int(left)), next_step=_how_to_approve(ticket))


def _how_to_approve(ticket: Ticket) -> str:
    """The person's own places, and no address: what opens a page must not come through the assistant."""
    if ticket.approval is Approval.NONE:
        return f"call confirm_ticket with ticket_id {ticket.ticket_id}"
    return (
        f"ask the person to run `{command('approve')}` in a terminal of their own, or to look at "
        f"`{command('console')}`, and to answer there, then call confirm_ticket with ticket_id {ticket.ticket_id}"
    )
