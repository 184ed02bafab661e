"""Holds every write against what covers it, and every answer against what was so; asks no desk and reads no list.

What happens between our last look and the arrival of a write nobody can know of. So a write is held against every
state of the account from that look on, and an answer against every state from the last write on: it is wrong only if it
is wrong in all of them.
"""

from collections import Counter, defaultdict
from dataclasses import replace
from decimal import Decimal

from virtual_books import Books, Broken, Moment, Standing, standing_of
from virtual_network import OTHER_WORTH, Request
from virtual_store import outstanding_since
from virtual_world import RISK_TICKS, Call, World

from ct_mcp.domain.approval import Approval, ApprovalItem
from ct_mcp.domain.commands import (
    CancelOrder,
    CancelOrders,
    ClosePosition,
    Command,
    Flatten,
    PlaceOrder,
    ProtectPosition,
    ReversePosition,
)
from ct_mcp.domain.market import trading_day
from ct_mcp.domain.order import OrderType, TimeInForce
from ct_mcp.guard.effect import is_partial
from ct_mcp.guard.exposure import goes_towards_flat
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.orders import SimOrder

_ONE_READING_SECONDS = 1.0
_CANCELS_FIRST = frozenset({"CancelAndBracket", "CancelReplace", "FlatPlace", "Reverse"})


class Judge:
    """What was seen so far, and what is forbidden."""

    def __init__(self, world: World, books: Books, said_yes: set[str], broken: Broken) -> None:
        self._world, self._books, self._said_yes, self._broken = world, books, said_yes, broken
        self._left: Counter[tuple[str, str, str, str, int | None]] = Counter()
        self._shown_used: defaultdict[tuple[str, int, str, int], dict[str, int]] = defaultdict(dict)
        self.window: dict[Request, float] = {}
        self.listed: dict[Request, float] = {}
        self._unasked: dict[str, list[Request]] = defaultdict(list)
        self.fills_told: dict[str, float] = {}
        self.had_effect: dict[str, list[Request]] = {}
        self.told_unknown: set[str] = set()
        self.strangers: set[str] = set()
        books.on_order = self.appears

    # Requests

    def leaves(self, request: Request) -> None:
        """Nothing is sent without a spent ticket and its yes, and nothing twice."""
        call = request.by
        if not request.writes or call is None:
            if call is not None and any(each.account == request.account for each in call.writes):
                call.read_back.add(request.account)
            return
        ticket, account = call.ticket, request.account
        if ticket is None:
            self._broken("no ticket", f"{request.rpc} leaves without a ticket")
            return
        call.writes.append(request)
        self._takes_what_is_pushed(request, call)
        if ticket.ticket_id in self.strangers:
            self._broken("stranger", f"{request.rpc} leaves for ticket {ticket.ticket_id} of another service")
        self._leaves_before_readings(request, call)
        looked = call.looked.get(account, call.commits_at if call.commits_at is not None else call.began)
        # An exit is of a fill that its maker has read: that the answer tells of it meanwhile is no new look.
        self.window[request] = looked if call.under else max(looked, self.fills_told.get(account, 0.0))
        self.listed[request] = call.listed.get(account, self.window[request])
        if ticket.approval is Approval.NONE:
            self._unasked[account].append(request)
        # A yes to several cancels is carried out by one for each order.
        of_one = str(request.arguments.get("orderId", "")) if request.rpc == "Cancel" else ""
        same = ticket.ticket_id, account, request.rpc, of_one, call.number
        self._left[same] += 1
        if self._left[same] > 1:
            self._broken("twice", f"{request.rpc} leaves twice for ticket {ticket.ticket_id}")
        if ticket.approval is not Approval.NONE and (call.under or ticket.ticket_id) not in self._said_yes:
            self._broken("no yes", f"{request.rpc} leaves, and nobody said yes to ticket {ticket.ticket_id}")

    def _takes_what_is_pushed(self, request: Request, call: Call) -> None:
        """A quote that is pushed is never odd, and it left on that."""
        instrument, live = str(request.arguments.get("instrument")), call.process.live
        if live is not None and live.quote(instrument) is not None:
            call.odd_quotes.pop(instrument, None)

    def _leaves_before_readings(self, request: Request, call: Call) -> None:
        """Of several accounts every exit leaves first: none waits for what is read of another."""
        others = call.read_back - {request.account}
        if request.rpc == "Flatten" and len(call.commands) > 1 and others:
            self._broken(
                "late", f"the exit of {request.account} leaves after {', '.join(sorted(others))} was read back"
            )

    def arrives(self, request: Request) -> None:
        """Hold a write against how the account stands when it arrives; remember what a read shows."""
        call: Call | None = request.by
        if call is None:
            return
        if not request.writes:
            if request.rpc in ("ListOrders", "GetAllOrders"):
                at = self._books.looks(self._world.now)
                for account in (request.account,) if request.account else self._world.accounts:
                    call.listed[account] = at
                    # Positions of the same reading may have come before, and may be older than they are.
                    is_one = self._world.now - call.read.get(account, -1e9) < _ONE_READING_SECONDS
                    call.looked[account] = min(at, call.shown_from.get(account, at)) if is_one else at
                    call.looked_first.setdefault(account, at)
            elif request.rpc in ("ListPositions", "GetAllPositions", "GetPosition"):
                call.reads_of_positions.append(request)
                for account in (request.account,) if request.account else self._world.accounts:
                    call.read[account] = self._world.now
        elif call.ticket is not None:
            self._opens_beside_unknown(request, call)

    def is_answered(self, request: Request) -> None:
        """After it was carried out: what it has cancelled was shown, or protects nothing."""
        call: Call | None = request.by
        if call is None or request.at is None:
            return
        call.was_blind |= request.is_blind
        call.saw_no_orders |= request.hides_orders
        if request.rpc == "GetQuote":
            call.odd_quotes[str(request.arguments.get("instrument"))] = request.odd_quote
        if request.shows_moment < request.at:
            call.looked[request.account] = min(call.looked.get(request.account, 0.0), request.shows_moment)
            call.shown_from[request.account] = min(request.shows_moment, call.shown_from.get(request.account, 1e9))
        if request.writes and request.status == 200 and call.ticket is not None:
            self._holds_cancels(request, call)
            self._holds_changes(request, call)

    # What a write leads to

    def _window_of(self, request: Request) -> list[Moment]:
        """From its last look on; but what we sent after it ourselves, and asked nobody about, we knew of."""
        since = self.window[request]
        for other in self._unasked[request.account]:
            is_later = other.at is not None and other.left_at > request.left_at
            named = {str(each.arguments.get("instrument") or "") for each in (other, request)}
            is_beside = len(named) == 1 or "" in named  # of another instrument it says nothing
            if is_later and is_beside and other.by.ticket.ticket_id != request.by.ticket.ticket_id:
                since = max(since, other.at or 0.0)
        return self._books.within(request.account, since)

    def appears(self, order: SimOrder, request: Request) -> None:
        """An order of ours is there: is every contract of it covered?"""
        call: Call | None = request.by
        if call is None or call.ticket is None:
            self._broken("no ticket", f"{request.rpc} brought {order.id} without a ticket")
            return
        self._effect(request)
        number = self._number(call, request.account)
        command = call.ticket.commands[number]
        is_unasked = bool(call.under) or call.ticket.approval is Approval.NONE
        if isinstance(command, ClosePosition | Flatten) and is_unasked:
            self._exits_once(order, request, command)
        elif is_unasked and not call.saw_no_orders:
            self._only_reduces(order, request, command)
        elif call.ticket.request is not None:
            self._was_shown(order, request, call.ticket.request.items[number], number)
        if not isinstance(command, ClosePosition | Flatten):
            self._is_within_limit(order, request, command)

    def _number(self, call: Call, account: str) -> int:
        assert call.ticket is not None
        if call.number is not None:
            return call.number
        accounts = [command.account for command in call.ticket.commands]
        return accounts.index(account) if account in accounts else 0

    def _effect(self, request: Request) -> None:
        done = self.had_effect.setdefault(request.by.ticket.ticket_id, [])
        if request not in done:
            done.append(request)

    def _before(self, order: SimOrder, request: Request) -> list[tuple[Moment, list[Standing]]]:
        """How the account stood in the window, each with what of it does not go with this write."""
        going = {name for name, by in self._books.cancelled_by.items() if by is request} | {order.id}
        if request.rpc in _CANCELS_FIRST:
            going |= self._that_take_no_cancel() | self._going_already(request)
        mine = {name for name, by in self._books.origins.items() if by is request}
        return [
            (moment, [each for each in moment.of(order.terms.contract.name) if each.id not in going | mine])
            for moment in self._window_of(request)
        ]

    def _as_read(self, order: SimOrder, request: Request) -> list[tuple[Moment, list[Standing]]]:
        """The same, and where positions of then were read beside the orders of now, as these look together."""
        before = self._before(order, request)
        if request.account in request.by.shown_from:
            newest, rows = before[0]
            before += [(replace(newest, held=moment.held), rows) for moment, _ in before[1:]]
        return before

    def _that_take_no_cancel(self) -> set[str]:
        """Orders that were to go first and stay: that they are frozen nobody can know before."""
        orders = self._world.simulator.exchange.orders
        return {order.id for order in orders if order.is_live and order.blocking_fault is Fault.FROZEN_ORDERS}

    def _going_already(self, request: Request) -> set[str]:
        """Orders that stood when we looked, that it was to cancel first, and that somebody has cancelled since."""
        stood = {each.id for each in self._window_of(request)[-1].orders}
        return {each.id for each in self._books.now(request.account).orders if each.is_going and each.id in stood}

    def _exits_once(self, order: SimOrder, request: Request, command: ClosePosition | Flatten) -> None:
        """Whole exits always go, once: with the exits that are on their way they leave no more than is held."""
        name, row = order.terms.contract.name, standing_of(order)
        is_hidden = request.by.saw_no_orders and _sends_a_part(request, command)
        if not is_hidden and not self._is_left_once(order, request, command):
            what = f"{request.rpc} sends {row.signed:+d} {name} unasked"
            self._broken("exposure", f"{what}: {self._told_of(request, name)}")

    def _is_left_once(self, order: SimOrder, request: Request, command: ClosePosition | Flatten) -> bool:
        name, row = order.terms.contract.name, standing_of(order)
        partial = _sends_a_part(request, command)
        # An exit that leaves before anything is read, or on an empty list, knows of what we sent, and of nobody else's;
        # nor does one whose positions could not be read: nobody can say which order at the market leaves them.
        is_alone, looked = len(request.by.ticket.commands) == 1, order.account in request.by.looked
        came = any(each.is_delivered for each in request.by.reads_of_positions if each.account in ("", order.account))
        is_unread = not partial and (request.by.saw_no_orders or not (is_alone and looked and came))
        for moment, standing in self._before(order, request):
            net = moment.net(name)
            known = [each for each in standing if not is_unread or isinstance(self._books.origins[each.id], Request)]
            rows = known if partial else [each for each in known if each.is_market and not each.is_going]
            leaving = sum(abs(each.signed) for each in _once(rows, net) if each.signed * net < 0)
            if net * row.signed < 0 and leaving + abs(row.signed) <= abs(net):
                return True
        return False

    def _only_reduces(self, order: SimOrder, request: Request, command: Command) -> None:
        """What nobody is asked about raises the worst case on neither side."""
        name, row = order.terms.contract.name, standing_of(order)
        if isinstance(command, ReversePosition) or (isinstance(command, PlaceOrder) and command.flatten_first):
            self._broken("exposure", f"{request.rpc} sends {row.signed:+d} {name} unasked")
            return
        siblings = [each for each in self._world.simulator.exchange.orders if self._is_sibling(each, request)]
        for moment, standing in self._as_read(order, request):
            # Of a group that somebody has ended since, it was one as long as the group stood.
            groups = {each.oco_id for each in standing if not each.is_going}
            mine = [replace(standing_of(each), oco_id=each.labels.oco_id) for each in siblings]
            mine = [
                each if each.oco_id in groups else standing_of(old) for each, old in zip(mine, siblings, strict=True)
            ]
            bare = Moment(moment.since, moment.held, tuple(standing))
            long, short = moment.worst(name, without=[each.id for each in mine])
            then_long, then_short = bare.worst(name, *mine)
            if then_long <= long and then_short <= short:
                return
        self._broken("exposure", f"{request.rpc} sends {row.signed:+d} {name} unasked: {self._told_of(request, name)}")

    def _is_sibling(self, order: SimOrder, request: Request) -> bool:
        return order.is_live and self._books.origins.get(order.id) is request

    def _was_shown(self, order: SimOrder, request: Request, item: ApprovalItem, number: int) -> None:
        """The yes covers the sides and sizes that the question showed, and an exit only as an exit."""
        if item.kind in ("flatten", "close position") and not item.sends:
            return
        ticket_id, row = request.by.ticket.ticket_id, standing_of(order)
        command = request.by.ticket.commands[number]
        if isinstance(command, ClosePosition) and self._is_left_once(order, request, command):
            return  # by now it only reduces, and is no more than the share that was asked for
        side = 1 if row.signed > 0 else -1
        shown = sum(each.quantity for each in item.sends if each.action.sign == side)
        # Both legs of a bracket are exits of the same contracts.
        shown = max((each.quantity for each in item.sends), default=0) * 2 if item.kind == "protect position" else shown
        used = (ticket_id, number, order.terms.contract.name, side)
        self._shown_used[used][order.id] = abs(row.signed)  # an order that is changed meanwhile is one order
        sent = sum(self._shown_used[used].values())
        name = order.terms.contract.name
        window = self._window_of(request)
        as_shown = any(moment.net(name) == item.position_before for moment in window)
        # A bracket is cut to what is held when it is sent, and around that it opens nothing.
        if item.kind == "protect position" and any(
            moment.net(name) * row.signed < 0 and abs(row.signed) <= abs(moment.net(name)) for moment in window
        ):
            return
        # What is turned or left first was as it was shown when we last looked: nobody can know better.
        if sent > shown and not (request.rpc in ("Reverse", "FlatPlace") and as_shown):
            what = f"{request.rpc} sends {sent} on side {side:+d} of {name}, shown were {shown}"
            self._broken("exposure", f"{what}: {'; '.join(item.lines)}")
        before, after = item.position_before, item.position_after
        is_exit = item.kind == "place order" and len(item.sends) == 1 and None not in (before, after)
        if is_exit and goes_towards_flat(before, after):
            nets = [moment.net(name) for moment in self._window_of(request)]
            if not any(net * row.signed < 0 and abs(row.signed) <= abs(net) for net in nets):
                self._broken("exposure", f"shown as an exit from {before} to {after}, sent {row.signed:+d} at {nets}")

    def _is_within_limit(self, order: SimOrder, request: Request, command: Command) -> None:
        """With everything that may fill on its side, an order that opens stays within the position limit.

        What an empty list hides, and no other report tells of, nobody can count.
        """
        call: Call = request.by
        if isinstance(command, ProtectPosition | ReversePosition) or call.saw_no_orders:
            return
        name, row, root = order.terms.contract.name, standing_of(order), order.terms.contract.root
        side, most = 0 if row.signed > 0 else 1, self._world.own_limits.most_of(order.account)
        worst, before = list[int](), self._before(order, request)
        for moment, standing in before:
            bare = Moment(moment.since, moment.held, tuple(standing))
            others = sum(moment.worst(other)[side] for other in moment.months(root) if other != name)
            now, then = bare.worst(name)[side], bare.worst(name, row)[side]
            worst += [] if then + others <= max(most, now + others) else [then + others]
        if len(worst) == len(before):
            what = f"{request.rpc} sends {row.signed:+d} {name}, it may come to {worst}"
            self._broken("exposure", f"{what}, limit {most}")
        if isinstance(command, PlaceOrder) and not command.flatten_first and self._raises(order, request):
            self._opens(order, call, command)

    def _raises(self, order: SimOrder, request: Request) -> bool:
        """Whether it raises the worst case on its side in every state that may have been read."""
        name, row = order.terms.contract.name, standing_of(order)
        side = 0 if row.signed > 0 else 1
        states = [Moment(moment.since, moment.held, tuple(rows)) for moment, rows in self._as_read(order, request)]
        return all(bare.worst(name, row)[side] > bare.worst(name)[side] for bare in states)

    def _opens(self, order: SimOrder, call: Call, command: PlaceOrder) -> None:
        """What opens in every state that was seen: its size, its risk, and the quote that it was judged by."""
        policy, product = self._world.policy, order.terms.contract.product
        own = self._world.simulator.exchange.accounts[order.account].spec.max_order_size
        if own and command.quantity > own:
            self._broken("own limit", f"{command.quantity} {command.instrument} opens, the account takes {own} at most")
        bracket = command.bracket
        has_stop = bracket is not None and bracket.stop_loss is not None
        dollars = Decimal(str(product.tick_value)) * RISK_TICKS * command.quantity
        risk = self._world.own_limits.worth(dollars, order.account)
        if risk is None or (risk > policy.limits.max_order_risk and not has_stop):
            self._broken("risk", f"{command.quantity} {command.instrument} risks {risk} over {RISK_TICKS} ticks")
        if call.commits_at and self._world.losses.was_reached(order.account, call.commits_at, self._world.true_clock()):
            self._broken(
                "day loss", f"{command.action} {command.quantity} {command.instrument} opens after it was read"
            )
        odd, seen = call.odd_quotes.get(str(command.instrument)), (command.instrument, trading_day(self._world.clock()))
        if not odd:
            call.process.judged_by.add(seen)
        elif (odd != OTHER_WORTH or seen in call.process.judged_by) and not self._waits_for_the_open(command):
            self._broken("odd quote", f"{command.action} {command.quantity} {command.instrument} opens on {odd}")

    def _waits_for_the_open(self, command: PlaceOrder) -> bool:
        """Whether it rests until the session opens, whatever the book shows before."""
        is_closed = not self._world.simulator.market.is_open(self._world.true_clock())
        return is_closed and command.order_type is not OrderType.MARKET and command.time_in_force is TimeInForce.GTC

    def _holds_cancels(self, request: Request, call: Call) -> None:
        """What goes was shown, or nobody had to be asked: it protects nothing."""
        assert call.ticket is not None
        gone = [name for name, by in self._books.cancelled_by.items() if by is request]
        if gone:
            self._effect(request)
        command = call.ticket.commands[self._number(call, request.account)]
        if not isinstance(command, CancelOrder | CancelOrders):
            return
        window = self._window_of(request)
        if call.ticket.approval is Approval.NONE:
            for instrument in {each.instrument for each in window[0].orders}:
                if all(_is_bared(moment, instrument, gone) for moment in window):
                    self._broken("protection", f"{request.rpc} takes the stops of {instrument} away unasked")
        elif call.ticket.request is not None:
            self._were_shown(request, call.ticket.request.items[self._number(call, request.account)], gone)

    def _were_shown(self, request: Request, item: ApprovalItem, gone: list[str]) -> None:
        """What a yes takes away was shown, unless the person was told that nobody knows what goes."""
        if any(finding.code == "PROTECTION_UNKNOWN" for finding in item.findings):
            return
        shown = {each.order_id for each in item.cancels}
        known = set.intersection(*({each.id for each in moment.orders} for moment in self._window_of(request)))
        if more := sorted(set(gone) & known - shown):
            self._broken("not shown", f"{request.rpc} cancels {more}, shown were {sorted(shown)}")

    def _holds_changes(self, request: Request, call: Call) -> None:
        if request.rpc == "Change":
            self._effect(request)

    def _opens_beside_unknown(self, request: Request, call: Call) -> None:
        """While the outcome of what opens is unknown, nothing more opens on that side, in whatever words."""
        ticket = call.ticket
        command = None if ticket is None else ticket.commands[self._number(call, request.account)]
        if ticket is None or not isinstance(command, PlaceOrder) or self._leaves_only(command, request):
            return
        entries = self._world.database.read(outstanding_since, request.account, self._world.clock())
        for entry in entries:
            if entry.ticket_id == ticket.ticket_id or entry.ticket_id not in self.told_unknown:
                continue
            fills = entry.detail.get("may_fill")
            at = command.instrument
            for root, year, month, signed, *leaves in fills if isinstance(fills, list) else ():
                same = (root, year, month) == (at.root, at.year, at.month) and signed * command.action.sign > 0
                if same and not (leaves and leaves[0]):
                    what = f"{command.action} {command.quantity} {command.instrument} opens"
                    self._broken("twice", f"{what} while the outcome of {entry.summary} ({entry.ticket_id}) is unknown")
                    return

    def _leaves_only(self, command: PlaceOrder, request: Request) -> bool:
        nets = [moment.net(str(command.instrument)) for moment in self._window_of(request)]
        sign = command.action.sign
        return any(net * sign < 0 and command.quantity <= abs(net) for net in nets)

    def _told_of(self, request: Request, name: str) -> str:
        now = self._books.now(request.account)
        rows = ", ".join(f"{each.signed:+d}{' stop' if each.is_stop else ''}" for each in now.of(name))
        return f"held {now.net(name):+d}, may fill {rows or 'nothing'}"


def _sends_a_part(request: Request, command: Command) -> bool:
    """Say whether it is a close of part of what was held: one that was all of it names no contracts when it leaves."""
    return isinstance(command, ClosePosition) and is_partial(command) and "quantity" in request.arguments


def _once(rows: list[Standing], net: int) -> list[Standing]:
    """Of the usual pair around a position one half."""
    seen: dict[str, Standing] = {}
    for each in rows:
        key = each.oco_id or each.id
        if key not in seen or abs(each.signed) > abs(seen[key].signed):
            seen[key] = each
    return list(seen.values())


def _is_bared(moment: Moment, instrument: str, gone: list[str]) -> bool:
    left = Moment(moment.since, moment.held, tuple(each for each in moment.orders if each.id not in gone))
    return left.stops(instrument) < moment.stops(instrument)
