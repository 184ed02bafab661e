"""Looks until the account says what became of an action, and not one read longer than it must."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain

import anyio

from ct_mcp.desk.order_lists import borne_out, is_each_once, listed_elsewhere
from ct_mcp.desk.ports import BookReads
from ct_mcp.desk.recognition import Renamed, is_over_by_now, sorted_out
from ct_mcp.desk.side_by_side import SideBySide
from ct_mcp.domain.account import Position
from ct_mcp.domain.instrument import Instrument, OtherInstrument
from ct_mcp.domain.order import LONGEST_LOOKBACK_SECONDS, OWN_ID, Execution, Order, OrderState
from ct_mcp.errors import CtMcpError, NotFound

# Waits; true where it ended early, because there was word that something may have changed.
Pause = Callable[[float], Awaitable[bool | None]]
# Looks once for an order of an account; None where it could not be read, which proves nothing.
Look = Callable[[str, str], Awaitable[Order | None]]

# The first look comes at once, the others after these pauses. A refusal by the broker may come a second after the
# acknowledgement, so an order that is only ACCEPTED is looked at beyond that.
PAUSES_SECONDS = (0.15, 0.35, 0.7, 1.3, 2.5)
# A look costs two requests of the few that are kept for exits, so not each of many words is worth one.
_MOST_WORDS = 4
# Of real time: a service that answers slowly must not hold an answer back until the client gives up and asks again.
LONGEST_SECONDS = 12.0
# So many requests are kept for exits; a list that leaves something out has so far left out everything.
_ORDERS_ASKED_FOR = 6


@dataclass(frozen=True, slots=True)
class AccountState:
    """Positions and open orders of one account, or of one instrument in it, as just read."""

    positions: tuple[Position, ...]
    orders: tuple[Order, ...]
    # It was read a while ago, and what was looked at since could not be read or believed.
    is_stale: bool = False
    # Orders that are over and are listed still. A list that holds none, and nothing that stands, may hide all.
    over: tuple[Order, ...] = ()
    # What stood before and does not any more, as it was listed, or else as it was then read by its id.
    ended: tuple[Order, ...] = ()
    # Executions since the exit was sent, whosever they are; none where they were not asked for or not read.
    fills: tuple[Execution, ...] = ()
    # What else the account holds, where one instrument was read.
    beside: tuple[Position, ...] = field(default=(), compare=False)
    # No order is listed beside what is held, not even one that is over, and no second list could be read.
    orders_doubted: bool = False

    @property
    def is_flat(self) -> bool:
        """Say whether nothing is held and no order is left."""
        return not self.positions and not self.orders

    @property
    def net(self) -> int:
        """Signed contracts over what was read; meaningful for one instrument."""
        return sum(position.net for position in self.positions)

    @property
    def lists_orders(self) -> bool:
        """Say whether any order was listed, over or not: a list that leaves something out has so far held nothing."""
        return bool(self.orders or self.over)


@dataclass(frozen=True, slots=True)
class Baseline:
    """What stood before an exit: a list that holds nothing of it any more is not believed on its word alone."""

    instruments: tuple[Instrument, ...] = ()
    # What was held of each of these, signed.
    nets: frozenset[tuple[Instrument, int]] = frozenset()
    order_ids: tuple[str, ...] = ()
    # A whole account is to be called flat: its own report is asked for what no list may have shown.
    ask_account: bool = False
    # No order is known to have stood, so there is none to be asked for by its id: where no order is listed, not even
    # one that is over, the list of all accounts is asked.
    ask_all_orders: bool = False
    # The same, but only where nothing is held either: what closes a part leaves other orders standing.
    ask_all_if_flat: bool = False
    of: Instrument | None = None
    # How long ago, in whole seconds, the exit was sent whose executions are to be told; None where none are.
    sent_ago: Callable[[], int] | None = None
    # The rows of its orders as they were read, by the id, which may be another by now.
    known: Mapping[str, Order] = field(default_factory=dict)


async def moments(pause: Pause, pauses: Sequence[float] = PAUSES_SECONDS) -> AsyncIterator[None]:
    """The moments to look: at once, after each pause, and at word of a change, which shortens no later pause."""
    yield
    words = 0
    for seconds in pauses:
        while await pause(seconds) and words < _MOST_WORDS:
            words += 1
            yield
        yield


class AccountPoller:
    """Reads back, with pauses in between.

    No failure leaves it, not even that of our own request budget: it speaks of a read, and whoever hears it after a
    send would take it for one of the send.
    """

    def __init__(self, upstream: BookReads, pause: Pause, longest_seconds: float = LONGEST_SECONDS) -> None:
        self._upstream, self._pause = upstream, pause
        self._longest_seconds = longest_seconds
        self.renamed = Renamed()

    async def order(
        self,
        account: str,
        order_id: str,
        is_settled: Callable[[Order], bool],
        is_it: Callable[[Order], bool] | None = None,
        look: Look | None = None,
    ) -> Order | None:
        """The order once it is settled, or as it was last seen; None where it could not be read at all.

        What is read and is not the order that was meant counts as not read. One that they rejected carries their words.
        """
        look = look or partial(self.look, is_it=is_it)
        seen: Order | None = None
        with anyio.move_on_after(self._longest_seconds):
            async for _ in moments(self._pause):
                read = await look(account, order_id)
                seen = read if read is not None and (is_it is None or is_it(read)) else seen
                if seen is not None and is_settled(seen):
                    break
        return None if seen is None else await self.with_their_words(seen)

    async def with_their_words(self, order: Order) -> Order:
        """Add why an order was rejected, which only its history tells."""
        if order.state is not OrderState.REJECTED or order.said:
            return order
        try:
            history = await self._upstream.lifecycle(order.account, order.order_id)
        except CtMcpError:
            return order
        return replace(order, said=history.last_said) if history.order_id == order.order_id else order

    async def book(
        self, account: str, instrument: Instrument | None, is_settled: Callable[[AccountState], bool], before: Baseline
    ) -> AccountState | None:
        """The book once it is settled, or as it was last seen; None where it could not be read at all.

        Settled is believed only once what stood before was also looked up by itself, and is gone. Neither is a list
        that holds nothing of the instrument believed at the end, where it was to hold something.
        """
        seen: AccountState | None = None
        with anyio.move_on_after(self._longest_seconds):
            async for _ in moments(self._pause):
                read = await self.book_now(account, instrument)
                if read is not None and is_settled(read):
                    borne_out = await self.borne_out(account, before, read)
                    if borne_out is not None:
                        seen = borne_out
                        break
                    read = None
                seen = read or (replace(seen, is_stale=True) if seen else None)
        if seen is None or seen.positions or is_settled(seen) or instrument is None:
            return seen
        return None if await self._holds(account, instrument) else seen

    async def borne_out(self, account: str, before: Baseline, read: AccountState) -> AccountState | None:
        """A reading with what is over since; None where anything that stood before may still be held or stand.

        Lists have come back empty while contracts were held, so a second source has to say the same: a position is
        asked for by its name, unless the report of all accounts holds none and an execution shows that it was left.
        """
        held = {position.instrument for position in read.positions}
        names = [name for name in before.instruments if name not in held]
        over, ids = sorted_out(before.order_ids, read.orders, read.over)
        async with SideBySide([]) as ask:
            fills = ask.read("executions", self._fills_since(account, before))
            reported = ask.read("report", self._reported(account, read)) if before.ask_account else None
            named = [] if before.ask_account else [ask.read("position", self._holds(account, name)) for name in names]
            found = [
                ask.read("order", self._if_over(account, order_id, before, read))
                for order_id in ids[:_ORDERS_ASKED_FOR]
            ]
            is_blind = not read.lists_orders and (before.ask_all_orders or (before.ask_all_if_flat and read.is_flat))
            elsewhere = ask.read("orders", self._has_orders(account, before)) if is_blind else None
        if (elsewhere is not None and elsewhere.value) or any(each.value is None for each in found):
            return None
        over = [*{it.order_id: it for it in chain(over, *(each.value or () for each in found))}.values()]
        # One that filled while the lists were read was no order any more, and no position yet.
        doubted = {order.instrument for order in over if order.filled} - held - set(names)
        if reported is not None:
            traded = (fill.instrument for fill in fills.value or ())
            moved = {name for name in traded if not isinstance(name, OtherInstrument)} - held
            doubted |= {*(reported.value or ()), *(moved.union(names) - _left(before, fills.value or ()))}
        is_held = any(each.value for each in named) or (reported is not None and reported.value is None)
        if is_held or any([await self._holds(account, name) for name in sorted(doubted, key=str)]):
            return None
        return replace(read, ended=tuple(over), fills=fills.value or ())

    async def _has_orders(self, account: str, before: Baseline) -> bool:
        """Ask the list of all accounts. Where it cannot be read nothing is proven: not every add-on has it."""
        rows = await listed_elsewhere(self._upstream, account)
        return any(before.of is None or order.instrument == before.of for order in rows or ())

    async def is_believable(self, account: str, instrument: Instrument | None, read: AccountState) -> bool:
        """Say whether a book that holds nothing is borne out by another source than the lists."""
        if read.positions:
            return True
        if instrument is None:
            return await self._reports_flat(account, read)
        return not await self._holds(account, instrument)

    async def _reports_flat(self, account: str, read: AccountState) -> bool:
        """Ask the report of all accounts; what it shows and the list does not is asked for by its name."""
        shown = await self._reported(account, read)
        return shown is not None and not any([await self._holds(account, name) for name in sorted(shown, key=str)])

    async def _reported(self, account: str, read: AccountState) -> frozenset[Instrument] | None:
        """Ask the report of all accounts, another source than the lists, for what it holds and the list does not.

        None where that is not known: it could not be read, or does not say what is held. It may be three seconds old,
        so what it shows may be gone.
        """
        try:
            reports = await self._upstream.snapshot()
        except CtMcpError:
            return None
        mine = [report for report in reports if report.account.name == account]
        shown = {held.instrument for report in mine for held in report.positions or () if held.quantity}
        shown -= {held.instrument for held in read.positions}
        is_known = bool(shown or read.positions or all(report.what_is_held is not None for report in mine))
        return frozenset(shown) if mine and is_known else None

    async def _holds(self, account: str, instrument: Instrument) -> bool:
        """Not knowing counts as held."""
        try:
            return bool((await self._upstream.position(account, instrument)).quantity)
        except CtMcpError:
            return True

    async def _if_over(
        self, account: str, order_id: str, before: Baseline, read: AccountState
    ) -> tuple[Order, ...] | None:
        """The order where it is closed, none where they no longer know it (they prune); None where it may stand."""
        try:
            order = await self._upstream.order(account, order_id)
        except NotFound:
            return ()
        except CtMcpError:
            return None
        return (order,) if is_over_by_now(order_id, order, before.known, read.over) else None

    async def book_now(self, account: str, instrument: Instrument | None) -> AccountState | None:
        """One reading of positions and orders; None unless both could be read and no position is listed twice."""
        try:
            async with SideBySide([]) as ask:
                orders = ask.read("orders", self._upstream.orders(account, active_only=False))
                positions = ask.read("positions", self._upstream.positions(account))
            if is_each_once(positions.required()):
                orders = await borne_out(self._upstream, account, orders, positions)
            book = book_of(positions.required(), orders.required(), instrument)
        except CtMcpError:
            return None
        return book and replace(book, orders_doubted=orders.is_borne_out is False)

    async def book_believed(self, account: str, instrument: Instrument | None) -> AccountState | None:
        """One reading of positions and open orders, of which nothing held is borne out by another source."""
        read = await self.book_now(account, instrument)
        return read if read is not None and await self.is_believable(account, instrument, read) else None

    async def book_beside(self, seen: Order, before: Baseline) -> AccountState | None:
        """One reading of the instrument of an order; None where it leaves out what may still stand or be held."""
        read = await self.book_now(seen.account, seen.instrument)
        return None if read is None else await self.borne_out(seen.account, before, read)

    async def net_position(self, account: str, instrument: Instrument) -> int | None:
        """Signed contracts held now.

        None where positions could not be read, where one is listed twice, or where none is listed and one held.
        """
        return (await self.holding(account, instrument))[0]

    async def holding(
        self, account: str, instrument: Instrument
    ) -> tuple[int, tuple[Position, ...]] | tuple[None, None]:
        """Signed contracts held now, with their rows; None twice where that is not known, as in `net_position`."""
        try:
            positions = await self._upstream.positions(account)
        except CtMcpError:
            return None, None
        if not is_each_once(positions):
            return None, None
        held = tuple(each for each in positions if each.instrument == instrument and each.quantity)
        net = sum(position.net for position in held)
        return (None, None) if net == 0 and await self._holds(account, instrument) else (net, held)

    async def is_alike(self, account: str, instrument: Instrument, net: int) -> bool:
        """Say whether a position reads the same by its name as in the list; not knowing is no."""
        try:
            return (await self._upstream.position(account, instrument)).net == net
        except CtMcpError:
            return False

    async def find(self, account: str, own_id: str, is_it: Callable[[Order], bool]) -> Order | None:
        """Look for an order of unknown outcome by our own id: directly, in its lifecycle, in the whole list.

        Never by price and size: somebody else's order would be taken for ours. None proves nothing.
        """
        found: Order | None = None
        with anyio.move_on_after(self._longest_seconds):
            async for _ in moments(self._pause, PAUSES_SECONDS[-3:]):
                found = await self.find_once(account, own_id, is_it)
                if found is not None:
                    break
        return found

    async def find_once(self, account: str, own_id: str, is_it: Callable[[Order], bool] | None = None) -> Order | None:
        """One round of `find`."""
        return await self.find_named(account, own_id, is_it) or await self._listed(account, own_id)

    async def find_named(self, account: str, own_id: str, is_it: Callable[[Order], bool] | None = None) -> Order | None:
        """Do the same without a list, for whoever has one."""
        if (order := await self.look(account, own_id, is_it)) is not None:
            return order
        try:
            lifecycle = await self._upstream.lifecycle(account, own_id)
        except CtMcpError:
            lifecycle = None
        if lifecycle is None or lifecycle.order_id == own_id:
            return None
        return await self.look(account, lifecycle.order_id, is_it)

    async def every_order(self, account: str) -> tuple[Order, ...]:
        """The orders of an account, also those that are over; none where they were not read, which proves nothing."""
        try:
            return await self._upstream.orders(account, active_only=False)
        except CtMcpError:
            return ()

    async def _listed(self, account: str, own_id: str) -> Order | None:
        orders = await self.every_order(account)
        return next((order for order in orders if order.is_named(own_id)), None)

    async def _fills_since(self, account: str, before: Baseline) -> tuple[Execution, ...]:
        """The executions since the exit; by the time that has passed, so that no clock of theirs matters."""
        if before.sent_ago is None:
            return ()
        found = await self.fills(account, max(1, before.sent_ago()))
        return tuple(fill for fill in found if before.of in (None, fill.instrument))

    async def fills(self, account: str, lookback_seconds: int) -> tuple[Execution, ...]:
        """The executions of the last so many seconds; none where they could not be read, which proves nothing."""
        try:
            return await self._upstream.executions(account, min(lookback_seconds, LONGEST_LOOKBACK_SECONDS))
        except CtMcpError:
            return ()

    async def look(self, account: str, order_id: str, is_it: Callable[[Order], bool] | None = None) -> Order | None:
        """One look-up by an id; None where it could not be read, or is another order than was meant.

        Without ``is_it`` only one that carries the id is meant: a service that mixes up two requests answers with the
        other's order. One that carries another id may have got a new one, but not while a list shows the one meant.
        """
        order = None
        for name in self.renamed.to_ask(order_id) if is_it else (order_id,):
            with suppress(CtMcpError):
                order = order or await self._upstream.order(account, name)
        if order is None or is_it is None:
            return order if order is not None and order.is_named(order_id) else None
        if not self.renamed.is_named(order, order_id) and not order_id.startswith(OWN_ID):
            order = await self._listed(account, order_id) or order
        return self.renamed.learn(order_id, order) if is_it(order) else None


def book_of(
    positions: Sequence[Position], orders: Sequence[Order], instrument: Instrument | None
) -> AccountState | None:
    """Put a reading together; None where a position is listed twice. Without an instrument it is the whole account."""
    if not is_each_once(positions):
        return None
    mine = [order for order in orders if instrument in (None, order.instrument)]
    return AccountState(
        tuple(each for each in positions if each.quantity and instrument in (None, each.instrument)),
        tuple(order for order in mine if not order.is_closed),
        beside=tuple(each for each in positions if each.quantity and instrument not in (None, each.instrument)),
        over=tuple(order for order in orders if order.is_closed),
    )


def _left(before: Baseline, fills: Sequence[Execution]) -> set[Instrument]:
    """Instruments of which executions since the exit come to what was held, and to no more."""
    nets = dict(before.nets)
    for fill in fills:
        nets[fill.instrument] = nets.get(fill.instrument, 0) + fill.quantity * (fill.action.sign if fill.action else 0)
    return {instrument for instrument, net in nets.items() if net == 0}
