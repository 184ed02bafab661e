"""Holds every answer against what was so at some moment from its last write on."""

import re
from collections.abc import Iterator
from dataclasses import replace

from virtual_books import Books, Broken, Moment
from virtual_judge import Judge
from virtual_network import Request
from virtual_store import outstanding_since
from virtual_world import Call, World

from ct_mcp.desk.desk import MOST_WAITING
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.domain.approval import Approval, Ticket
from ct_mcp.domain.commands import (
    CancelOrder,
    CancelOrders,
    ChangeOrder,
    Command,
    PlaceOrder,
    ProtectPosition,
    ReplaceOrder,
    describe,
)
from ct_mcp.domain.instrument import Instrument
from ct_mcp.errors import CtMcpError
from ct_mcp.simulator.orders import SimOrder
from ct_mcp.store import tickets
from ct_mcp.store.journal import Entry

_REPORT_SECONDS, _COPIERS_TAKE = 3.0, 1.4
# Shorter than the product looks back, which counts from what it wrote down.
_RECENTLY = 200.0


_LEAVES = frozenset({"flatten", "close position", "cancel order", "cancel orders"})


class Answers:
    """What was told, and what of it is not so."""

    def __init__(self, world: World, books: Books, judge: Judge, broken: Broken) -> None:
        self._world, self._books, self._judge, self._broken = world, books, judge, broken
        self._filled_at: dict[tuple[str, Instrument | None], float] = {}

    def hears(self, call: Call) -> None:
        """Hold an answer against what was so."""
        self._world.simulator.addon.wake()
        told = call.told
        if call.ticket is not None and (told is None or not isinstance(told, Outcome) or told.status is Status.UNKNOWN):
            self._judge.told_unknown.add(call.ticket.ticket_id)
        for kind, what in self._lies(call):
            self._broken(kind, f"{what}; said: {words_of(told)[:700]}")
        if isinstance(told, Outcome) and told.filled_quantity and call.commands:
            command = call.commands[0]
            self._judge.fills_told[command.account] = self._world.now
            if isinstance(command, PlaceOrder) and not call.is_retold:
                self._filled_at[command.account, command.instrument] = self._world.now

    def is_asked(self, call: Call, ticket: Ticket) -> None:
        """Few questions wait at once, and one that opens names what was told as filled there a little while ago."""
        command = ticket.commands[0]
        self._tires(ticket)
        key = (command.account, getattr(command, "instrument", None))
        told_at = self._filled_at.get(key, -1e9)
        is_recent = 0 < self._world.now - told_at < _RECENTLY and not self._world.was_skewed
        if isinstance(command, PlaceOrder) and is_recent and "filled" not in ticket.question:
            self._broken("unnamed", f"the question of {describe(command)} names nothing of what filled a while ago")

    def _tires(self, ticket: Ticket) -> None:
        """More than a person can keep apart never wait, unless they are exits, which are asked about all the same."""
        items = ticket.request.items if ticket.request is not None else ()
        if all(item.only_reduces or item.kind in _LEAVES for item in items):
            return
        waiting = self._world.database.read(tickets.waiting, self._world.clock())
        asking = [
            each for each in waiting if each.approval is not Approval.NONE and set(each.accounts) & set(ticket.accounts)
        ]
        opening = [each for each in asking if each.created_at <= ticket.created_at]
        if len(opening) > MOST_WAITING:
            self._broken("tired", f"{len(opening)} questions of {ticket.accounts} wait at once")

    def _lies(self, call: Call) -> Iterator[tuple[str, str]]:
        told = call.told
        if isinstance(told, CtMcpError) and told.sent.startswith("Nothing"):
            yield from self._nothing(call)
        if not isinstance(told, Outcome):
            return
        if told.status.sent is False:
            yield from self._nothing(call)
        if call.ticket is None or call.commits_at is None or not told.status.sent:
            return
        if call.is_retold:
            yield from self._retold(told)
            return
        if len(call.ticket.commands) > 1:
            yield from self._all_flat(call, told)
            return
        yield from self._one(call, told, call.ticket.commands[0])

    def _nothing(self, call: Call) -> Iterator[tuple[str, str]]:
        """Said that nothing was sent, of a ticket that did something."""
        ticket = call.ticket
        if ticket is not None and (done := self._judge.had_effect.get(ticket.ticket_id)):
            yield "false no", f"said that nothing was sent, and {', '.join(each.rpc for each in done)} had its effect"

    def _since_write(self, call: Call, account: str) -> float:
        """When the last write of a call arrived, or when it was committed."""
        arrived = [each.at for each in call.writes if each.account == account and each.at is not None]
        return max([call.commits_at or call.began, *arrived])

    def _all_flat(self, call: Call, told: Outcome) -> Iterator[tuple[str, str]]:
        """Flat everywhere is said of accounts that were each looked at after the last fill in any of them."""
        if told.status is not Status.FLAT:
            return
        accounts = list(dict.fromkeys(each.account for each in call.commands))
        last = max(self._last_fill(account, call) for account in accounts)
        # Copiers repeat a fill within a second and a half: flat everywhere is not known before.
        ago = self._world.now - last
        if self._world.is_copied and last and ago < _COPIERS_TAKE:
            yield "false flat", f"said flat everywhere {ago:.1f} s after the last fill, before a copier can be seen"
        for account in accounts:
            window = self._books.within(account, self._seen_from(call, account))
            if not any(self._reads_flat(moment, call, None) for moment in window):
                yield (
                    "false flat",
                    f"said flat everywhere, {account} holds {window[0].held} and {len(window[0].orders)} orders",
                )
            elif not self._reads_flat(window[0], call, None) and call.read.get(account, 0.0) < last:
                yield (
                    "false flat",
                    f"said flat everywhere, {account} holds {window[0].held}, and was read before the last fill",
                )

    def _last_fill(self, account: str, call: Call) -> float:
        mine = [name for name, origin in self._books.origins.items() if origin in call.writes]
        fills = [at for name in mine for at, _ in self._books.filled[name]]
        return max(fills, default=0.0)

    def _seen_from(self, call: Call, account: str) -> float:
        """From when on what was told may be so: the last write, or an older moment that the lists showed.

        Where they showed nothing at all, the report of all accounts is what is left, which may be three seconds old.
        """
        since = min(self._since_write(call, account), call.shown_from.get(account, 1e9))
        return since - _REPORT_SECONDS if call.was_blind else since

    def _reads_flat(self, moment: Moment, call: Call, scope: str | None) -> bool:
        """Say whether nothing is held and nothing may fill; of an order of somebody's in an empty list nobody knows."""
        ours = (each for each in moment.orders if isinstance(self._books.origins.get(each.id), Request))
        return replace(moment, orders=tuple(ours) if call.saw_no_orders else moment.orders).is_flat(scope)

    def _one(self, call: Call, told: Outcome, command: Command) -> Iterator[tuple[str, str]]:
        window = self._books.within(command.account, self._seen_from(call, command.account))
        instrument = _instrument_of(command, self._books)
        if told.status is Status.FLAT:
            yield from self._flat(call, told, command, window)
        if told.position_after is not None and instrument is not None:
            nets = [moment.net(instrument) for moment in window]
            if told.position_after not in nets:
                yield "false position", f"position after is said to be {told.position_after}, and was {nets}"
        yield from self._order(told, command, window)
        yield from self._falsely_bare(call, told, window)
        if isinstance(command, CancelOrders) and told.status is Status.CANCELLED:
            yield from self._cancelled(call, told, command, window)
        if told.status in (Status.CANCELLED, Status.REJECTED, Status.CHANGED, Status.FILLED, Status.WORKING):
            yield from self._unprotected(call, told, command, window)

    def _retold(self, told: Outcome) -> Iterator[tuple[str, str]]:
        """What became of a spent ticket: its own order, as it stood by then or stands now."""
        order = self._books.order(told.order_id)
        if order is None or order not in self._books.of_ticket(told.ticket_id):
            return
        filled = {0, *(quantity for _, quantity in self._books.filled[order.id])}
        if told.filled_quantity is not None and told.filled_quantity not in filled:
            yield "false filled", f"{told.filled_quantity} are told to have filled, {filled} did"
        if told.status is not Status.WORKING:
            yield from _state(told, order, [])

    def _falsely_bare(self, call: Call, told: Outcome, window: list[Moment]) -> Iterator[tuple[str, str]]:
        """A stop that stands is never told as missing: whoever follows puts a second one beside it.

        Positions of some seconds ago beside orders of now may show what is gone as bare: that is cried rather than not.
        """
        late = [replace(window[0], held=then.held) for then in window[1:] if then.held and call.shown_from]
        for bare, name in _BARE.findall(told.alarm):
            left = [abs(moment.net(name)) - moment.stops(name, seen=True) for moment in (*window, *late)]
            if not call.was_blind and max(left) < int(bare):
                yield "false cry", f"said that {bare} of {name} stand without a stop, and {left} do"

    def _flat(self, call: Call, told: Outcome, command: Command, window: list[Moment]) -> Iterator[tuple[str, str]]:
        scope = None if getattr(command, "instrument", None) is None else str(getattr(command, "instrument"))  # noqa: B009
        if not any(self._reads_flat(moment, call, scope) for moment in window):
            now = window[0]
            yield "false flat", f"said flat, and {now.held} is held, {[each.signed for each in now.of(scope)]} may fill"
        read = call.read.get(command.account, self._world.now)
        for entry in self._world.database.read(outstanding_since, command.account, self._world.clock()):
            at = (entry.at - self._world.begins_at).total_seconds() - self._world.skew
            fills = entry.detail.get("may_fill")
            mine = call.ticket is not None and entry.ticket_id == call.ticket.ticket_id
            if mine or at > read or not fills or not _concerns(fills, scope) or self._is_being_told(entry):
                continue
            if not names(told, entry.ticket_id, entry.own_id, entry.summary.split("  ")[-1]):
                yield "unnamed", f"said flat, and {entry.summary} ({entry.ticket_id}) may still come: it is not named"

    def _is_being_told(self, entry: Entry) -> bool:
        """Whether it is an entry that is over, whose exits are still being placed by the call that sent it."""
        ticket = self._world.database.read(tickets.find, entry.ticket_id or "")
        order = self._books.order(entry.own_id)
        with_exits = ticket is not None and getattr(ticket.commands[0], "bracket", None) is not None
        return with_exits and order is not None and not order.is_live

    def _order(self, told: Outcome, command: Command, window: list[Moment]) -> Iterator[tuple[str, str]]:
        """The order that an answer names is the one of its ticket, and stands as is said."""
        order = self._books.order(told.order_id)
        if told.order_id is None:
            return
        if order is None:
            yield "false order", f"names {told.order_id}, and there is no such order"
            return
        origin = self._books.origins.get(order.id)
        if self._is_alike(order, command, told):
            return
        named = command.order_id if isinstance(command, ChangeOrder | CancelOrder) else None
        if named is not None and named not in (order.id, order.labels.own_id):
            yield "false order", f"names {order.id}, asked about was {named}"
        if named is None and (not isinstance(origin, Request) or origin.by.ticket.ticket_id != told.ticket_id):
            yield "false order", f"names {order.id}, which is of another: {_origin_of(origin)}"
            return
        filled = [quantity for at, quantity in self._books.filled[order.id] if at >= window[-1].since]
        before = [quantity for at, quantity in self._books.filled[order.id] if at < window[-1].since]
        possible = {0 if not before else before[-1], *filled}
        if told.filled_quantity is not None and told.filled_quantity not in possible:
            yield "false filled", f"{told.filled_quantity} are said to be filled, {possible} were"
        # Their no to a change is told with the order, which stands as it stood.
        if not (isinstance(command, ChangeOrder) and told.status is Status.REJECTED):
            yield from _state(told, order, window)

    def _is_alike(self, order: SimOrder, command: Command, told: Outcome) -> bool:
        """Whether nobody can tell it from the one that is meant: another's, that agrees in all that was sent."""
        if isinstance(command, ChangeOrder | CancelOrder):
            meant = self._books.order(command.order_id)
            sizes = set() if meant is None else {meant.terms.quantity, getattr(command, "quantity", None)}
        else:
            meant = next((each for each in self._books.of_ticket(told.ticket_id) if each is not order), None)
            sizes = set() if meant is None else {meant.terms.quantity}
        if meant is None or order is meant:
            return False
        same = (order.account, order.terms.contract, order.terms.action) == (
            meant.account,
            meant.terms.contract,
            meant.terms.action,
        )
        return same and order.terms.quantity in sizes

    def _cancelled(
        self, call: Call, told: Outcome, command: CancelOrders, window: list[Moment]
    ) -> Iterator[tuple[str, str]]:
        """Cancelled is said where none is left of those that a yes named, or of all; what filled meanwhile is told."""
        scope = None if command.instrument is None else str(command.instrument)
        named = {each.arguments.get("orderId") for each in call.writes if each.rpc == "Cancel"}
        if all(any(not named or each.id in named for each in moment.of(scope)) for moment in window):
            yield "false cancelled", f"said cancelled, and {[each.signed for each in window[0].of(scope)]} may fill"
        # What had filled by the last look at orders was no order any more, however old the positions beside it were.
        began = self._judge.listed[call.writes[-1]] if call.writes else call.commits_at or call.began
        stood = {each.id for each in self._books.within(command.account, began)[-1].of(scope)}
        filled = [name for name in sorted(stood) if any(at > began for at, _ in self._books.filled[name])]
        orders = [order for name in filled if (order := self._books.order(name)) is not None]
        moved = (f"the position in {order.terms.contract.name}" for order in orders)
        if filled and not names(told, "fill", *moved) and told.position_after is None:
            yield "hidden fill", f"said cancelled, and {filled} filled meanwhile"

    def _unprotected(
        self, call: Call, told: Outcome, command: Command, window: list[Moment]
    ) -> Iterator[tuple[str, str]]:
        """Where what was asked for took the stops of a position away, the answer says so."""
        if not isinstance(command, CancelOrder | CancelOrders | ChangeOrder | ReplaceOrder | ProtectPosition):
            return
        gone = [name for name, by in self._books.cancelled_by.items() if by in call.writes]
        began = call.looked_first.get(command.account, call.commits_at or call.began)
        first = self._books.within(command.account, began)[-1]
        last = self._books.within(command.account, self._judge.window[call.writes[0]])[-1] if call.writes else first
        for instrument in sorted({each.instrument for each in first.orders if each.id in gone and each.is_stop}):
            if first.net(instrument) * last.net(instrument) < 0:
                continue  # turned round by somebody before we sent: what stood behind it protected nothing any more
            before, after = first.stops(instrument), [(m.net(instrument), m.stops(instrument)) for m in window]
            bare = all(net and stops < min(before, abs(net)) for net, stops in after)
            # What an empty list hid was not known to be lost: that it stands without a stop is told all the same.
            said = words_of(told) + ("; ".join(told.stands_now) if call.was_blind else "")
            if bare and not any(word in said.casefold() for word in _CRIES):
                yield (
                    "unprotected",
                    f"{instrument} has lost its stop (before {before}, then {after}), and it is not said",
                )


_BARE = re.compile(r"UNPROTECTED: (\d+) of the \d+ contracts held in (\w+ [\d-]+) stand")
_CRIES = ("unprotected", "without a stop", "not known", "no stop", "what stands now could not be read")


def _state(told: Outcome, order: SimOrder, window: list[Moment]) -> Iterator[tuple[str, str]]:
    live = any(each.id == order.id for moment in window for each in moment.orders)
    match told.status:
        case Status.FILLED if order.remaining:
            yield "false filled", f"said filled, and {order.state}, {order.filled} of {order.terms.quantity}"
        case Status.WORKING if not live:
            yield "false working", f"said working, and it was {order.state}"
        case Status.CANCELLED if order.is_live or order.state.value != "Cancelled":
            yield "false cancelled", f"said cancelled, and {order.state}"
        case Status.REJECTED if order.is_live or order.filled:
            yield "false rejected", f"said rejected, and {order.state}, {order.filled} filled"


def _instrument_of(command: Command, books: Books) -> str | None:
    if isinstance(command, ReplaceOrder):
        return str(command.order.instrument)
    if isinstance(command, ChangeOrder | CancelOrder):
        order = books.order(command.order_id)
        return None if order is None else order.terms.contract.name
    named = getattr(command, "instrument", None)
    return None if named is None else str(named)


def _origin_of(origin: Request | str | None) -> str:
    return f"{origin.rpc} of ticket {origin.by.ticket.ticket_id}" if isinstance(origin, Request) else str(origin)


def _concerns(fills: object, scope: str | None) -> bool:
    rows = fills if isinstance(fills, list) else []
    return any(scope is None or scope.split(" ")[0] == row[0] for row in rows)


def names(told: Outcome, *ways: str | None) -> bool:
    """Say whether an answer names something, in any of these ways."""
    said = words_of(told).casefold()
    return any(way and way.casefold() in said for way in ways)


def words_of(told: Outcome | Exception | None) -> str:
    """All that was told."""
    if not isinstance(told, Outcome):
        return f"{type(told).__name__}: {told}"
    figures = f"filled {told.filled_quantity}, " if told.filled_quantity else ""
    figures += "" if told.position_after is None else f"position after {told.position_after}, "
    parts = (told.alarm, *told.warnings, *told.reasons, *map(str, told.findings), told.next_step)
    return f"{told.status.upper()} {figures}order {told.order_id}: {'; '.join(parts)}"
