"""What was sent and may yet fill: as it is kept with an intent, as the rules count it, and as answers tell of it.

It is counted beside what is listed. An account that reads flat is not flat for good while an order of ours may still
fill, of whatever process, and an answer that says what the account holds says so.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from ct_mcp.desk import remedies
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.ports import Store
from ct_mcp.domain.account import Position
from ct_mcp.domain.approval import Ticket
from ct_mcp.domain.instrument import Instrument, held_instrument
from ct_mcp.domain.order import CLOSED, Order, OrderType
from ct_mcp.domain.passing import has_passed
from ct_mcp.guard.context import PendingOrder, RiskContext
from ct_mcp.guard.denial import DenialCode
from ct_mcp.guard.effect import instrument_named
from ct_mcp.guard.effect_model import Effect
from ct_mcp.store.journal import SETTLING, Entry, EntryKind
from ct_mcp.text import sanitize, span

# Far more than is sent in a day by hand; what stands from before that is not known by this.
_LOOK_BACK = 100
_OVER = frozenset(state.casefold() for state in CLOSED)


def may_fill_detail(effect: Effect) -> dict[str, object]:
    """Write what a send may add to the book, as it is kept with its intent."""
    detail: dict[str, object] = {
        "may_fill": [[*_named(fill.instrument), fill.signed_quantity, fill.leaves] for fill in effect.may_fill]
    }
    if effect.leaves_all:
        detail["leaves_all"] = _named(effect.instrument) if effect.instrument else []
    if effect.starts:
        detail["starts"] = _named(effect.instrument) if effect.instrument else []
    if _leaves_by_an_order(effect):
        detail["takes_away"] = True
    return detail


def _leaves_by_an_order(effect: Effect) -> bool:
    """Say whether it is an order at the market that leaves what is held: by what it does it is an exit on its way."""
    is_market = effect.order is not None and effect.order.order_type is OrderType.MARKET
    return is_market and effect.leads_to_flat


def _named(instrument: Instrument) -> list[object]:
    return [instrument.root, instrument.year, instrument.month]


def is_exit_of(detail: Mapping[str, object]) -> bool:
    """Say whether an intent is one to leave a position, in whole or in part."""
    return "leaves_all" in detail or any(fill.leaves for fill in fills_of(detail))


def takes_away(detail: Mapping[str, object]) -> bool:
    """Say whether an intent leaves a position in whatever words: as an exit, or by an order at the market."""
    return is_exit_of(detail) or "takes_away" in detail


def fills_of(detail: Mapping[str, object]) -> Iterator[PendingOrder]:
    """Read what `may_fill_detail` wrote; entries of an older version do not say whether they leave a position."""
    fills = detail.get("may_fill")
    for root, year, month, quantity, *leaves in fills if isinstance(fills, list) else ():
        yield PendingOrder(held_instrument(root, year, month), quantity, leaves=bool(leaves and leaves[0]))


def pending_orders(
    outstanding: Iterable[Entry],
    orders: Iterable[Order],
    positions: Iterable[Position],
    now: datetime | None = None,
) -> tuple[PendingOrder, ...]:
    """What outstanding intents may yet fill, where it does not stand in the list of orders.

    Of one that is listed, what has filled: the positions may not show it yet. An exit of all that is held leaves what
    it finds when it arrives, whatever was read before, and an order that was to leave is an exit while it may arrive.
    """
    listed, held, pending = tuple(orders), tuple(positions), list[PendingOrder]()
    for entry in outstanding:
        mine = [order for order in listed if _is_order_of(entry, order)]
        pending += [PendingOrder(it.instrument, it.action.sign * it.filled, is_filled=True) for it in mine if it.filled]
        sent = [] if mine else [*_unlisted(entry, now)]
        pending += [*sent, *_left_as_it_arrives(entry, sent, held)]
    return tuple(pending)


def _left_as_it_arrives(
    entry: Entry, sent: Iterable[PendingOrder], positions: Iterable[Position]
) -> Iterator[PendingOrder]:
    """Give what is held by now beyond what an exit of all was read to leave."""
    counted = tuple(sent)
    for held in (held for held in positions for scope in whole_exits([entry]) if scope in (None, held.instrument)):
        told = (fill.signed_quantity for fill in counted if fill.instrument == held.instrument)
        rest = held.net + sum(signed for signed in told if signed * held.net < 0)
        if rest * held.net > 0:
            yield PendingOrder(held.instrument, -rest, leaves=True)


def _unlisted(entry: Entry, now: datetime | None) -> Iterator[PendingOrder]:
    is_exit = "takes_away" in entry.detail and now is not None and not has_passed(entry.at, UNDER_WAY_SECONDS, now)
    for fill in fills_of(entry.detail):
        yield replace(fill, leaves=True) if is_exit else fill


def whole_exits(outstanding: Iterable[Entry]) -> tuple[Instrument | None, ...]:
    """What outstanding exits leave as they arrive: an instrument, or None for all."""
    return _scopes(outstanding, "leaves_all")


def strategy_starts(outstanding: Iterable[Entry]) -> tuple[Instrument | None, ...]:
    """Where a strategy may trade by now that nobody has seen do so: an instrument, or None where that is not known."""
    return _scopes(outstanding, "starts")


def _scopes(outstanding: Iterable[Entry], key: str) -> tuple[Instrument | None, ...]:
    scopes = (entry.detail[key] for entry in outstanding if key in entry.detail)
    return tuple(held_instrument(*scope) if isinstance(scope, list) and scope else None for scope in scopes)


def starts_of(effect: Effect, context: RiskContext) -> list[int]:
    """Where the position may really have stood: as it was listed, and with what was outstanding by then."""
    if effect.instrument is None or effect.position_before is None:
        return []
    sent = sum(order.signed_quantity for order in context.pending_orders(effect.instrument))
    return list(dict.fromkeys((effect.position_before, effect.position_before + sent)))


def is_shown(starts: Iterable[int], order: Order, net: int | None) -> bool:
    """Say whether a net position holds what an order has filled since one of these positions stood."""
    return net is not None and net - order.action.sign * order.filled in starts


def _is_order_of(entry: Entry, order: Order) -> bool:
    return entry.own_id is not None and order.is_named(entry.own_id)


# What the journal last knew to stand


async def last_exit_is_over(store: Store, account: str) -> bool:
    """Say whether the last exit of ours was seen to leave nothing: its order may stand all the same, and never fill.

    Nor is it over where an exit was denied since because one was on its way, of ours or of anybody.
    """
    story = await store.entries(_LOOK_BACK, account)
    last = next((entry for entry in story if _is_of_an_exit(entry)), None)
    if last is None:
        return True
    end = next((entry for entry in story if entry.own_id == last.own_id and entry.kind in SETTLING), None)
    if last.kind is not EntryKind.INTENT or end is None:
        return False
    return _is_over(end) if not is_exit_of(last.detail) else end.detail.get("status") == Status.FLAT


def _is_of_an_exit(entry: Entry) -> bool:
    codes = entry.detail.get("codes")
    if entry.kind is EntryKind.DENIED:
        return isinstance(codes, list) and DenialCode.EXIT_ON_ITS_WAY in codes
    return entry.kind is EntryKind.INTENT and takes_away(entry.detail)


async def possibly_open_orders(store: Store, account: str, instrument: Instrument | None) -> tuple[str, ...]:
    """Orders of ours in an account, or in one instrument of it, by id, that nobody has seen closed; newest first."""
    told: dict[str, list[Entry]] = {}
    entries = await store.entries_of_orders(_LOOK_BACK, account)
    read = {entry.own_id: entry.detail.get("order_id") for entry in reversed(entries) if entry.kind in SETTLING}
    for entry in entries:
        if entry.kind is EntryKind.ACCEPTED and read.get(entry.own_id) not in (None, entry.detail.get("order_id")):
            continue  # it carries another id since, under which it was read
        if isinstance(order_id := entry.detail.get("order_id"), str):
            told.setdefault(order_id, []).append(entry)
    standing = {order_id: story for order_id, story in told.items() if not _is_over(story[0])}
    return tuple([order_id for order_id, story in standing.items() if await _is_of(store, story, instrument)])


def orders_over_before(newest_first: Iterable[Entry], own_id: str) -> frozenset[str]:
    """Give the orders that other intents have seen over, or whose fills they have told."""
    others, newest, told = [each for each in newest_first if each.own_id != own_id], dict[str, Entry](), set[str]()
    for entry in others:
        if isinstance(order_id := entry.detail.get("order_id"), str):
            newest.setdefault(order_id, entry)
        fills = entry.detail.get("fills")
        told |= set(fills) if isinstance(fills, list | tuple) else set()
    return frozenset(told | {order_id for order_id, entry in newest.items() if _is_over(entry)})


def _is_over(newest: Entry) -> bool:
    """As it was read back, or settled later."""
    return str(newest.detail.get("status") or newest.detail.get("state")).casefold() in _OVER


async def _is_of(store: Store, story: list[Entry], instrument: Instrument | None) -> bool:
    """A change names no instrument; what placed the order does."""
    if instrument is None:
        return True
    tickets = await store.tickets({entry.ticket_id or "" for entry in story})
    return any(instrument in _instruments(ticket) for ticket in tickets.values())


def _instruments(ticket: Ticket) -> set[Instrument | None]:
    return {instrument_named(command, RiskContext(ticket.created_at)) for command in ticket.commands}


UNDER_WAY_SECONDS = 60.0
"""Longer than any request lives: what has not reached NinjaTrader by then never will."""


def line(entry: Entry, now: datetime) -> str:
    """Name one intent: what it was, its ticket, and how long ago it was sent."""
    age = span(max(0.0, (now - entry.at).total_seconds()))
    ticket = f"ticket {entry.ticket_id}, " if entry.ticket_id else ""
    return f"of unknown outcome, and may still take effect: {sanitize(entry.summary)} ({ticket}sent {age} ago)"


def may_arrive(entry: Entry, now: datetime, instrument: Instrument | None) -> bool:
    """Say whether it may still fill, in one instrument or any: what is older stands in the lists by now, or never will.

    What sends orders and does not say of which instrument may fill in each.
    """
    fills = [fill for fill in fills_of(entry.detail) if fill.signed_quantity]
    is_there = any(instrument in (None, fill.instrument) for fill in fills) or (entry.opens and not fills)
    is_there |= any(instrument is None or scope in (None, instrument) for scope in whole_exits([entry]))
    return is_there and not has_passed(entry.at, UNDER_WAY_SECONDS, now)


def with_outstanding(
    outcome: Outcome,
    others: Iterable[Entry],
    now: datetime,
    instrument: Instrument | None,
    as_answered: Status = Status.ACCEPTED,
) -> Outcome:
    """Name the other intents of the account; flat is not said of an instrument where one of them may still fill.

    What is left to say then is what they answered to the write: that nothing was taken must not read as accepted.
    """
    others = tuple(others)
    coming = [entry for entry in others if may_arrive(entry, now, instrument)]
    outcome = replace(outcome, warnings=(*outcome.warnings, *(line(entry, now) for entry in others)))
    if not coming or not (outcome.status is Status.FLAT or outcome.position_after == 0):
        return outcome
    undo = (_taking_back(entry) for entry in coming if entry.opens and entry.own_id)
    return replace(
        outcome,
        status=as_answered if outcome.status is Status.FLAT else outcome.status,
        alarm="; ".join(filter(None, (outcome.alarm, not_for_certain(coming)))),
        next_step="; ".join(filter(None, (outcome.next_step, remedies.AWAIT, *undo))),
    )


def not_for_certain(coming: Iterable[Entry]) -> str:
    """Say that what reads flat may not stay so."""
    summaries = ", ".join(f"{sanitize(entry.summary)} (ticket {entry.ticket_id})" for entry in coming)
    return f"NOT FLAT FOR CERTAIN: it reads flat, and this may still fill: {summaries}"


def _taking_back(entry: Entry) -> str:
    """Cancel by the id that we gave it, which most orders keep."""
    which = f"account {remedies.named(entry.account or '')}, order_id {remedies.named(entry.own_id or '')}"
    return f"if the person wants to take it back: cancel_order with {which}"
