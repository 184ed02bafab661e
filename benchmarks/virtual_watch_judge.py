"""What must hold of watches, held against the simulator's books and its market, and against nothing the desk has read.

* A watch sends nothing but a nearer stop, a cancel and a flatten, under a ticket of its own; nothing of it twice.
* No watch widens the worst case on either side, nor takes a stop that still protects.
* Who slept beyond its lease sends nothing of before it fell asleep.
* A trailing stop never moves away, and is not missing after a move.
* What is to be flat by a time was flat once since, or that it is not is told; nothing leaves before its time.
* Each watch ends with its life. An alert tells once, and what was so.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from virtual_books import Books, Broken, Moment
from virtual_network import Request
from virtual_store import epoch_of_exits
from virtual_world import Call, World

from ct_mcp.domain.watch import AlertOn, Notice, Watch, WatchKind
from ct_mcp.simulator.orders import SimOrder, SimOrderState
from ct_mcp.store import journal_table
from ct_mcp.store import watches as stored

_LEASE_SECONDS, _AGAIN_SECONDS, _TICK_SECONDS = 15.0, 50.0, 5.0
_BLIND_SECONDS, _SENT_WITHIN_SECONDS = 20.0, 30.0
_SENDS = frozenset({"Change", "Cancel", "Flatten", "CancelOrders"})
_MAY_BE_DONE = frozenset({None, 200, 500, 502, 504})
_SEEN_WITHIN_SECONDS, _ENDS_WITHIN = 75, timedelta(seconds=120)
_OVER = (SimOrderState.FILLED, SimOrderState.PART_FILLED)


class WatchJudge:
    """What was seen so far, and what is forbidden."""

    def __init__(self, world: World, books: Books, broken: Broken, tell: Callable[[str], None]) -> None:
        self._world, self._books, self._broken, self._tell = world, books, broken, tell
        self.counted: dict[str, int] = {}
        self.alerts: dict[str, float] = {}
        self._known: dict[str, Watch] = {}
        self._sent: defaultdict[tuple[str, str, str], list[Request]] = defaultdict(list)
        self._made_at: dict[str, float] = {}
        self._before: dict[Request, dict[str, tuple[int, int]]] = {}
        self._told: Counter[str] = Counter()
        self._heard, self._skewed_at = 0, -1e9
        self._found: set[str] = set()
        self._blind_at: dict[str, float] = {}
        self._told_blindly: set[str] = set()

    # Requests

    def leaves(self, request: Request) -> None:
        """Nothing twice, nothing before its time, and nothing of who slept."""
        call: Call | None = request.by
        if not request.writes or call is None or call.ticket is None:
            return
        watch = self._watch_of(call)
        if watch is None:
            return
        if self._world.skew:  # since a moment ago: the next look at it is still to come
            self._skewed_at = self._world.now
        self._count("sent")
        item = call.ticket.request.items[0] if call.ticket.request else None
        if request.rpc not in _SENDS or item is None or not item.must_reduce:
            self._broken("not reducing", f"{request.rpc} leaves under {call.under}")
        self._is_its_turn(request, call)
        if watch.due is not None and self._world.clock() < watch.due and not self._world.was_skewed:
            self._broken("early", f"{request.rpc} of {watch.watch_id} leaves at {self._world.clock()}")
        key = watch.watch_id, request.rpc, str(request.arguments.get("stopPrice", ""))
        for other in self._sent[key]:
            self._is_not_again(request, other, watch)
        self._sent[key].append(request)

    def _is_not_again(self, request: Request, other: Request, watch: Watch) -> None:
        """A cancel never, a flatten not while the first may be on its way, a move not where it was carried out."""
        since = request.left_at - other.left_at
        may_be_done = other.status in _MAY_BE_DONE
        is_again = request.rpc == "Cancel" and may_be_done
        is_soon = since < _AGAIN_SECONDS and self._world.now - self._skewed_at > 2 * _AGAIN_SECONDS
        is_again |= request.rpc == "Flatten" and is_soon and may_be_done
        is_again |= request.rpc == "Change" and other.status == 200 and since < _AGAIN_SECONDS and self._stood(request)
        if is_again:
            self._broken("twice", f"{request.rpc} of {watch.watch_id} leaves again after {since:.1f} s")

    def _stood(self, request: Request) -> bool:
        """Whether the stop stood where it is asked for, ever since this was looked at."""
        order, since = str(request.arguments.get("orderId")), request.by.began
        rows = [
            row for moment in self._books.within(request.account, since) for row in moment.orders if row.id == order
        ]
        return bool(rows) and all(row.terms[2] == request.arguments.get("stopPrice") for row in rows)

    def _is_its_turn(self, request: Request, call: Call) -> None:
        """Whatever it made before it fell asleep, for longer than its lease, is not its to send when it wakes.

        A lease that was taken while the clock was ahead holds for as much longer once it is set right. One that it
        took again when it woke, and that nobody had meanwhile, is the same: what it made goes within half a minute.
        """
        process: Any = call.process
        slept, is_longer = process.woke_at - process.slept_from, self._skewed_at > process.slept_from - _LEASE_SECONDS
        is_same = process.slept_in_epoch == self._world.database.read(epoch_of_exits) and slept < _SENT_WITHIN_SECONDS
        if (
            slept >= _LEASE_SECONDS
            and not is_same
            and not is_longer
            and call.began < process.slept_from < process.woke_at <= self._world.now
        ):
            self._broken("slept", f"{request.rpc} under {call.under} leaves after a sleep of {slept:.0f} s")

    def arrives(self, request: Request) -> None:
        """Hold it against how the account stands."""
        call: Call | None = request.by
        if not request.writes or call is None or self._watch_of(call) is None:
            return
        moment = self._books.now(request.account)
        if not any(each.is_market or each.is_going for each in moment.orders):  # an exit of a moment ago is not known
            self._before[request] = self._worst(moment)
        order = self._books.order(str(request.arguments.get("orderId", "")))
        if request.rpc == "Change" and order is not None:
            self._is_nearer(request, call, order)
        if request.rpc == "Cancel" and order is not None:
            self._bares_nothing(request, call, order)

    def is_answered(self, request: Request) -> None:
        """After it was carried out: neither side is worse."""
        if request.hides_orders or request.is_blind:
            self._blind_at[request.account] = self._world.now
        if (before := self._before.pop(request, None)) is None:
            return
        for name, (long, short) in self._worst(self._books.now(request.account)).items():
            long_before, short_before = before.get(name, (0, 0))
            if long > long_before or short > short_before:
                was, now = f"{long_before}/{short_before}", f"{long}/{short}"
                self._broken("wider", f"{request.rpc} under {request.by.under}: {name} from {was} to {now}")

    def _worst(self, moment: Moment) -> dict[str, tuple[int, int]]:
        """Without what is just being cancelled: a flatten closes at the market while that still stands."""
        names, going = {*moment.held, *(each.instrument for each in moment.orders)}, _going(moment)
        return {name: moment.worst(name, without=going) for name in names}

    def _is_nearer(self, request: Request, call: Call, order: SimOrder) -> None:
        """Against every price at which it stood since this was looked at: somebody else may move it meanwhile."""
        wanted, sign = float(request.arguments.get("stopPrice") or 0.0), -order.terms.action.sign
        rows = (row for at in self._books.within(request.account, call.began) for row in at.orders)
        stood = [row.terms[2] for row in rows if row.id == order.id]
        if stood and all((wanted - price) * sign < 0 for price in stood):
            self._broken("away", f"{call.under} moves {order.id} from {stood} to {wanted}")
        if request.arguments.get("quantity") is not None:
            self._broken("not reducing", f"{call.under} changes the size of {order.id}")
        self._count("moves")

    def _bares_nothing(self, request: Request, call: Call, order: SimOrder) -> None:
        name, wrong = order.terms.contract.name, []
        for moment in self._books.within(request.account, call.began):
            left = Moment(moment.since, moment.held, tuple(each for each in moment.orders if each.id != order.id))
            wrong.append(left.stops(name) < moment.stops(name))
        if wrong and all(wrong):
            self._broken("bared", f"{call.under} cancels {order.id}, which protected {name}")

    # Over time

    async def looks_on(self) -> None:
        """Hear what is told, and remember what is watched."""
        while True:
            await asyncio.sleep(1.0)
            if self._world.skew:
                self._skewed_at = self._world.now
            for watch in self._world.database.read(stored.watches):
                self._made_at.setdefault(watch.watch_id, self._world.now)
                self._known[watch.watch_id] = watch
            for notice in self._world.database.read(stored.notices, self._heard, 100):
                self._heard = notice.number
                self._hears(notice)

    def _hears(self, notice: Notice) -> None:
        self._tell(f"told: {notice.words}")
        self._told[notice.watch_id] += 1
        watch = self._known.get(notice.watch_id)
        if self._world.now - self._blind_at.get(notice.account, -1e9) < _BLIND_SECONDS:
            self._told_blindly.add(notice.watch_id)  # what no list shows nobody can know of
        if notice.watch_id not in self.alerts or watch is None or "its life has ended" in notice.words:
            return
        self._count("alerts told")
        if self._told[notice.watch_id] > 1:
            self._broken("told twice", notice.words)
        if not self._was_so(watch):
            self._broken("not so", f"{notice.words}, and it never was")

    def _was_so(self, watch: Watch) -> bool:
        now = self._world.now
        if watch.on is AlertOn.TIME:
            clock_may_be_wrong = self._world.was_skewed
            return watch.due is not None and (self._world.clock() >= watch.due or clock_may_be_wrong)
        if watch.on is AlertOn.FILL:
            since = self.alerts[watch.watch_id] - 10
            at = (t for name, fills in self._books.filled.items() for t, _ in fills if self._is_in(name, watch.account))
            return any(t >= since for t in at) or self._world.was_skewed
        return any(self._price_was(watch, back) for back in range(min(int(now) + 1, _SEEN_WITHIN_SECONDS)))

    def _is_in(self, order_id: str, account: str) -> bool:
        order = self._books.order(order_id)
        return order is not None and order.account == account

    def _price_was(self, watch: Watch, seconds_ago: int) -> bool:
        assert watch.instrument is not None
        assert watch.level is not None
        contract = self._world.contract(watch.instrument)
        at = self._world.true_clock() - timedelta(seconds=seconds_ago)
        price = contract.product.price(self._world.simulator.market.top(contract, at).last)
        return price >= float(watch.level) if watch.is_above else price <= float(watch.level)

    def holds_when_calm(self) -> None:
        """After a while in which all went well, with both processes awake."""
        for watch_id, kind, what in self._wrong_when_calm():
            if watch_id not in self._found:
                self._found.add(watch_id)
                self._broken(kind, what)

    def _wrong_when_calm(self) -> Iterator[tuple[str, str, str]]:
        standing = {watch.watch_id for watch in self._world.database.read(stored.watches)}
        now = self._world.clock()
        for watch in self._known.values():
            if watch.watch_id in standing and now > watch.until + _ENDS_WITHIN:
                yield watch.watch_id, "endless", f"{watch.watch_id} ({watch.kind}) stands, its life ended {watch.until}"
            is_due = watch.due is not None and now > watch.due + _ENDS_WITHIN
            if watch.kind is WatchKind.FLAT_BY and is_due and not self._was_left(watch):
                yield watch.watch_id, "not flat", f"{watch.watch_id} was due {watch.due}, and nothing is told of it"
            if watch.kind is WatchKind.CANCEL_AFTER and is_due and watch.watch_id in standing:
                yield watch.watch_id, "not cancelled", f"{watch.watch_id} was due {watch.due}, and still goes on"
            if watch.kind is WatchKind.TRAILING_STOP and (gone := self._is_missing(watch)):
                yield watch.watch_id, "missing", f"{watch.watch_id}: {gone}"

    def _was_left(self, watch: Watch) -> bool:
        """Whether it was flat at some moment since it was due, or what it could not do is told."""
        if watch.watch_id in self._told_blindly:
            return True
        since = self._made_at[watch.watch_id] - _TICK_SECONDS
        name = None if watch.instrument is None else str(watch.instrument)
        if any(moment.is_flat(name) for moment in self._books.within(watch.account, since)):
            return True
        words = [each.words for each in self._world.database.read(stored.notices, 0, 10_000)]
        return any(watch.watch_id in each and ("NOT FLAT" in each or "not seen flat" in each) for each in words)

    def _is_missing(self, watch: Watch) -> str:
        """A stop that ended by something of ours, while the position was held."""
        order = self._books.order(watch.order_id)
        if order is None or order.is_live or order.state in _OVER:
            return ""
        by = self._books.cancelled_by.get(order.id)
        is_ours = isinstance(by, Request) and by.rpc == "Change"
        return f"{order.id} is {order.state} after a move of ours" if is_ours else ""

    def ends(self) -> None:
        """The journal is whole."""
        verified = self._world.database.read(journal_table.verify)
        if not verified.ok:
            self._broken("journal", verified.why or "broken")

    def _watch_of(self, call: Call) -> Watch | None:
        if not call.under.startswith("watch "):
            return None
        watch_id = call.under.removeprefix("watch ").rsplit(", under", 1)[0]
        return self._known.get(watch_id) or next(
            (each for each in self._world.database.read(stored.watches) if each.watch_id == watch_id), None
        )

    def _count(self, what: str) -> None:
        self.counted[what] = self.counted.get(what, 0) + 1


def _going(moment: Moment) -> list[str]:
    return [each.id for each in moment.orders if each.is_going]
