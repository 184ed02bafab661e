"""Stands on the wire between our client and the simulator, and holds everything that leaves against what may leave.

It knows what the simulator holds, what the person said, and the journal as it is on disk; it asks no desk.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import unquote

import httpx

from ct_mcp.desk.execution import STALE_AFTER_SECONDS
from ct_mcp.domain import commands as asked
from ct_mcp.domain.approval import Approval, ApprovalItem, Ticket, TicketState
from ct_mcp.domain.strategy import StartStrategy
from ct_mcp.simulator.accounts import SimAccount
from ct_mcp.simulator.orders import SimOrder
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.journal import Entry, EntryKind
from ct_mcp.store.sqlite import SqliteStore

ROOT = "MES"
MAX_ORDER, MAX_POSITION = 3, 4
_ENDINGS = {
    "orders/place": "PlaceOrder",
    "orders/flatplace": "FlatPlace",
    "orders/cancel": "CancelOrders",
    "orders/cancel_and_bracket": "CancelAndBracket",
    "positions/close": "ClosePosition",
    "positions/flatten": "Flatten",
    "positions/reverse": "Reverse",
    "strategies/start": "StartStrategy",
}
_OF_ONE = {
    ("orders", "cancel"): "Cancel",
    ("orders", "change"): "Change",
    ("orders", "replace"): "CancelReplace",
    ("strategies", "enable"): "EnableStrategy",
    ("strategies", "disable"): "DisableStrategy",
    ("strategies", "close"): "CloseStrategy",
}
_MEANT = {
    "PlaceOrder": asked.PlaceOrder,
    "FlatPlace": asked.PlaceOrder,
    "Change": asked.ChangeOrder,
    "CancelReplace": asked.ReplaceOrder,
    "Cancel": asked.CancelOrder | asked.CancelOrders,
    "CancelOrders": asked.CancelOrders | asked.Flatten,
    "ClosePosition": asked.ClosePosition,
    "Flatten": asked.Flatten,
    "Reverse": asked.ReversePosition,
    "CancelAndBracket": asked.ProtectPosition,
    "StartStrategy": StartStrategy,
    "EnableStrategy": asked.EnableStrategy,
    "DisableStrategy": asked.DisableStrategy,
    "CloseStrategy": asked.CloseStrategy,
}
_RANK = (Approval.NONE, Approval.FORM, Approval.PAGE, Approval.PAGE_PIN)
_CHANNELS = {Approval.FORM: {"form", "page", "terminal"}, Approval.PAGE: {"page", "terminal"}}
_REFUSED = (400, 401, 403, 404, 409)


class MayFill(NamedTuple):
    """Signed contracts that may come of an intent, and whether they leave a position, as the journal has it on disk."""

    root: str
    year: int
    month: int
    signed: int
    leaves: bool


def may_fill(intent: Entry) -> list[MayFill]:
    """What an intent says may come of it."""
    rows = intent.detail["may_fill"]
    assert isinstance(rows, list)
    return [MayFill(*row) for row in rows]


class Died(BaseException):
    """The process is gone: nothing that would run after an exception has run."""


@dataclass(frozen=True)
class Sent:
    """One write that left, by the ticket that it belongs to; ``took`` tells whether the simulator did as it says."""

    ticket_id: str
    rpc: str
    took: bool


@dataclass
class Witness(httpx.AsyncBaseTransport):
    """What was seen, what the person said, and what is forbidden."""

    sim: Simulator
    auditor: SqliteStore
    live_mode: bool
    approvals: dict[str, str] = field(default_factory=dict)
    armed: dict[str, datetime] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    under_way: set[str] = field(default_factory=set)
    sent: list[Sent] = field(default_factory=list)
    own_ids: set[str] = field(default_factory=set)
    used: set[int] = field(default_factory=set)
    since: int = 0
    dies: str = ""
    broken: list[str] = field(default_factory=list)
    read: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.inner = self.sim.transport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass a request on, after holding it against what may leave."""
        rpc, account = rpc_of(request)
        if rpc is None:
            if request.url.path.endswith("/positions"):
                self.read[account] = self.net(account)
            return await self.inner.handle_async_request(request)
        said = json.loads(request.content or b"{}")
        try:
            entry = await self._hold(rpc, account, request.url.path, said)
        except AssertionError as broken:
            # The desk takes any exception for a lost answer, so it is kept for the invariants.
            self.broken.append(str(broken))
            raise Died from None
        return await self._passed_on(request, rpc, entry, said.get("orderId", ""))

    async def _passed_on(self, request: httpx.Request, rpc: str, entry: Entry, own_id: str) -> httpx.Response:
        if self.dies == "before":
            raise Died
        status = None
        try:
            response = await self.inner.handle_async_request(request)
            await response.aread()
            status = response.status_code
        except httpx.ConnectError:
            self.used.discard(entry.sequence)
            self.own_ids.discard(own_id)
            raise
        except httpx.TransportError:
            self._left(entry, rpc, status)
            raise
        self._left(entry, rpc, status)
        if self.dies == "after":
            raise Died
        return response

    def _left(self, entry: Entry, rpc: str, status: int | None) -> None:
        took = self.sim.requests[-1].accepted and status not in _REFUSED
        self.sent.append(Sent(entry.ticket_id or "", rpc, took))

    async def _hold(self, rpc: str, account: str, path: str, said: dict[str, Any]) -> Entry:
        """Find the intent and the ticket of a write; nothing leaves without them."""
        journal = (await self.auditor.entries(5000))[::-1]
        entry, ticket, number = await self._intent_of(rpc, account, said.get("orderId"), journal)
        command = ticket.commands[number]
        assert ticket.state is TicketState.SPENT, "a write without a spent ticket"
        assert ticket.ticket_id in self.under_way, "a write of a ticket that nobody commits"
        if ticket.approval is not Approval.NONE:
            assert self.approvals.get(ticket.ticket_id) in _CHANNELS[ticket.approval], "a write without its approval"
        if own_id := said.get("orderId"):
            assert own_id not in self.own_ids, "an own id left twice"
            self.own_ids.add(own_id)
        others = [other for other in await self.auditor.unsettled() if other.account == account]
        others = [other for other in others if (other.ticket_id, other.own_id) != (entry.ticket_id, entry.own_id)]
        # Of two that are sent at once each may go on what was so before the other.
        is_alone = len(self.under_way) == 1
        if leaves_whole(command) and rpc != "CancelOrders" and is_alone:
            self._is_no_second_exit(account, rpc, others)
        signed = self._opened_by(rpc, account, path, said)
        if ticket.approval is not Approval.NONE and is_alone:
            assert ticket.request is not None, "somebody was asked, and shown nothing"
            self._does_what_was_shown(ticket.request.items[number], rpc, account, signed)
            if rpc == "PlaceOrder" and not self.live(account) and not others:
                self._closes_only_if_shown(ticket.request.items[number], account)
        if signed is not None:
            self._may_open(account, ticket, entry, journal)
            self._within_limits(account, signed, rpc, others)
        return entry

    async def _intent_of(
        self, rpc: str, account: str, own_id: str | None, journal: tuple[Entry, ...]
    ) -> tuple[Entry, Ticket, int]:
        """Of two that are sent at once, the one of the id that left; the newest where the write carries none."""
        for entry in reversed(journal):
            if entry.kind is EntryKind.INTENT and entry.account == account and entry.sequence > self.since:
                ticket = await self.auditor.ticket(entry.ticket_id or "")
                number = None if ticket is None else place_in(ticket, entry)
                if ticket is None or number is None or entry.sequence in self.used:
                    continue
                if isinstance(ticket.commands[number], _MEANT[rpc]) and own_id in (None, entry.own_id):
                    self.used.add(entry.sequence)
                    return entry, ticket, number
        raise AssertionError(f"{rpc} in {account} left without an intent of its own in the journal")

    def _is_no_second_exit(self, account: str, rpc: str, others: list[Entry]) -> None:
        """An exit of unknown outcome may still fill: another for the same position would turn it round."""
        nets = self._nets(account)
        leaving = [fill for other in others for fill in may_fill(other) if fill.leaves and fill.signed]
        twice = [fill for fill in leaving if all(net * fill.signed <= 0 for net in nets)]
        assert not twice, f"{rpc} left while an exit is on its way: {twice}"

    def _does_what_was_shown(self, shown: ApprovalItem, rpc: str, account: str, signed: int | None) -> None:
        """The yes covers what the question said the command does, as the book stands and as it was last read."""
        nets = self._nets(account)
        assert signed is None or shown.only_reduces is not True, f"shown as an exit, and {rpc} opens"
        if rpc in ("Reverse", "CancelAndBracket"):
            assert shown.position_before in nets, f"shown with {shown.position_before}, and {rpc} finds {nets}"

    def _closes_only_if_shown(self, shown: ApprovalItem, account: str) -> None:
        """Where nothing else may fill, an order that fits into the position on its other side is an exit."""
        (order,) = shown.sends
        nets = self._nets(account)
        closes = all(net * order.action.sign < 0 and order.quantity <= abs(net) for net in nets)
        assert not closes or shown.only_reduces is not False, "shown as an opening, and it closes"

    def _nets(self, account: str) -> set[int]:
        """What is held, and what was held when positions were last read."""
        return {self.net(account), self.read.get(account, self.net(account))}

    def _may_open(self, account: str, ticket: Ticket, entry: Entry, journal: tuple[Entry, ...]) -> None:
        now = self.sim.clock()
        turns = [
            e.kind for e in journal if e.kind in (EntryKind.HALTED, EntryKind.RESUMED) and e.sequence < entry.sequence
        ]
        assert turns[-1:] != [EntryKind.HALTED], "it opens while trading is halted"
        reviewed = now - timedelta(seconds=STALE_AFTER_SECONDS)
        assert not self.live_mode or self.armed.get(account, reviewed) > reviewed, "it opens in an unarmed account"
        assert account not in self.lost, "it opens after the day's loss was reached"
        needed = Approval.FORM if self.account(account).spec.is_simulated else Approval.PAGE
        assert _RANK.index(ticket.approval) >= _RANK.index(needed), f"it opens with {ticket.approval}, {needed} is due"

    def _within_limits(self, account: str, signed: int, rpc: str, others: list[Entry]) -> None:
        """With everything that may fill on this side: held, live, and sent with an outcome nobody knows."""
        if signed == 0:
            return
        side = 1 if signed > 0 else -1
        known = {order.labels.own_id for order in self.sim.exchange.orders}
        pending = sum(
            max(0, side * fill.signed) for other in others if other.own_id not in known for fill in may_fill(other)
        )
        stands = standing(self.live(account), side, self._nets(account))
        reach = side * self.net(account) + stands + pending + abs(signed)
        assert abs(signed) <= MAX_ORDER or rpc == "Reverse", f"{signed} contracts in one order"
        assert reach <= MAX_POSITION, f"{signed} more may make {reach}"

    def _opened_by(self, rpc: str, account: str, path: str, said: dict[str, Any]) -> int | None:
        """Contracts that surely open or add, signed, as the book stands and as it was last read; None if none do."""
        nets = self._nets(account)
        match rpc:
            case "PlaceOrder" | "FlatPlace" | "CancelReplace":
                signed = int(said["quantity"]) * (1 if str(said["action"]).upper() == "BUY" else -1)
                adds = all(net * signed >= 0 or abs(signed) > abs(net) for net in nets)
                return signed if adds or rpc == "FlatPlace" else None
            case "Change":
                order = self._named(path)
                more = int(said.get("quantity", 0)) - order.terms.quantity if order else 0
                sign = order.terms.action.sign if order else 0
                return sign * more if more > 0 and all(net * sign >= 0 for net in nets) else None
            case "Reverse" | "StartStrategy" | "EnableStrategy":
                return 0
            case "CancelAndBracket":
                return None if any(nets) else 0
            case "ClosePosition" if said.get("quantity"):
                return self._turned_by(account, int(said["quantity"]), nets)
        return None

    def _turned_by(self, account: str, quantity: int, nets: set[int]) -> int | None:
        """A partial close, signed, where orders that stand leave as much again: together they may turn the position."""
        sign = -1 if max(nets) > 0 else 1
        closed = {net: min(quantity, abs(net)) for net in nets}
        turns = all(
            net * sign < 0 and closed[net] + standing(self.live(account), sign, {net}) > abs(net) for net in nets
        )
        return sign * min(closed.values()) if turns else None

    def _named(self, path: str) -> SimOrder | None:
        named = unquote(path.split("/orders/")[1].partition("/")[0])
        return next((o for o in self.sim.exchange.orders if named in (o.id, o.labels.own_id) and o.is_live), None)

    def account(self, name: str) -> SimAccount:
        """The account as it really is."""
        return self.sim.exchange.accounts[name]

    def net(self, account: str) -> int:
        """What is really held."""
        return self.account(account).net(self.sim.market.front(ROOT, self.sim.clock()))

    def live(self, account: str) -> list[SimOrder]:
        """What may really still fill."""
        return self.sim.exchange.live_orders(account)

    def took(self, since: int) -> list[Sent]:
        """The writes since some moment that were done."""
        return [one for one in self.sent[since:] if one.took]

    def no_ticket_has_left_more_often_than_it_may(self, at_most: dict[str, int]) -> None:
        """Once; a flatten once more to cancel what it left standing, and each account of several by itself."""
        for ticket_id, count in Counter(one.ticket_id for one in self.sent).items():
            assert count <= at_most[ticket_id], f"{count} writes of one ticket"


def place_in(ticket: Ticket, entry: Entry) -> int | None:
    """Which command of a ticket an intent is about: by its order id, and by its account."""
    places = (n for n in range(len(ticket.commands)) if ticket.own_id_of(n) == entry.own_id)
    return next((n for n in places if ticket.commands[n].account == entry.account), None)


def leaves_whole(command: asked.Command) -> bool:
    """Say whether it leaves all that is held."""
    return isinstance(command, asked.Flatten) or (isinstance(command, asked.ClosePosition) and not command.quantity)


def standing(orders: list[SimOrder], side: int, nets: set[int]) -> int:
    """Contracts of live orders that may fill on one side; of the pair around a position only the larger leg."""
    groups: dict[str, list[SimOrder]] = {}
    for order in orders:
        if order.terms.action.sign == side and not order.labels.closes:
            groups.setdefault(order.labels.oco_id or order.id, []).append(order)
    return sum(
        max(sizes) if any(_is_exit_pair(group, net) for net in nets) else sum(sizes)
        for group in groups.values()
        for sizes in ([order.remaining for order in group],)
    )


def _is_exit_pair(group: list[SimOrder], net: int) -> bool:
    """Say whether it is one stop and one other exit, neither larger than what is held."""
    leaves = all(order.terms.action.sign * net < 0 and order.remaining <= abs(net) for order in group)
    return leaves and len(group) == 2 and sum(order.terms.stop_price > 0 for order in group) == 1


def rpc_of(request: httpx.Request) -> tuple[str | None, str]:
    """Which write it is, and of which account; None for what only reads."""
    path = request.url.path
    parts = path.split("/")
    account = unquote(parts[parts.index("accounts") + 1]) if "accounts" in parts and parts[-1] != "accounts" else ""
    if request.method == "GET" or "/market/" in path:
        return None, account
    known = next((rpc for ending, rpc in _ENDINGS.items() if path.endswith(ending)), None)
    known = known or _OF_ONE.get((parts[-3], parts[-1]))
    assert known, f"{request.method} {path} is no call that a desk may make"
    assert account, f"{path} names no account"
    return known, account
