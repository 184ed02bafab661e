"""Stands on the wire between our client and the simulator, and holds everything that leaves against what may leave.

It knows what the simulator holds, what the person said, and the journal as it is on disk; it asks no desk.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import unquote

import httpx

from ct_mcp.desk.errand import STALE_AFTER_SECONDS
from ct_mcp.domain import action as asked
from ct_mcp.domain.strategy import StartStrategy
from ct_mcp.domain.ticket import Approval, Ticket, TicketState
from ct_mcp.simulator.ledger import Account
from ct_mcp.simulator.orders import Order
from ct_mcp.simulator.world import Simulator
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
    "Cancel": asked.CancelOrder,
    "CancelOrders": asked.CancelOrders | asked.Flatten | asked.FlattenEverything,
    "ClosePosition": asked.ClosePosition,
    "Flatten": asked.Flatten | asked.FlattenEverything,
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

    async def _hold(self, rpc: str, account: str, path: str, said: dict) -> Entry:
        """Find the intent and the ticket of a write; nothing leaves without them."""
        journal = (await self.auditor.entries(5000))[::-1]
        entry, ticket = await self._intent_of(rpc, account, journal)
        assert ticket.state is TicketState.SPENT, "a write without a spent ticket"
        assert ticket.ticket_id in self.under_way, "a write of a ticket that nobody commits"
        if ticket.approval is not Approval.NONE:
            assert self.approvals.get(ticket.ticket_id) in _CHANNELS[ticket.approval], "a write without its approval"
        if own_id := said.get("orderId"):
            assert own_id not in self.own_ids, "an own id left twice"
            self.own_ids.add(own_id)
        signed = self._opened_by(rpc, account, path, said)
        if signed is not None:
            self._may_open(account, ticket, entry, journal)
            await self._within_limits(account, signed, rpc, entry)
        return entry

    async def _intent_of(self, rpc: str, account: str, journal: tuple[Entry, ...]) -> tuple[Entry, Ticket]:
        for entry in reversed(journal):
            if entry.kind is EntryKind.INTENT and entry.account == account and entry.sequence > self.since:
                ticket = await self.auditor.ticket(entry.ticket_id or "")
                if entry.sequence not in self.used and ticket and isinstance(ticket.action, _MEANT[rpc]):
                    self.used.add(entry.sequence)
                    return entry, ticket
        raise AssertionError(f"{rpc} in {account} left without an intent of its own in the journal")

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

    async def _within_limits(self, account: str, signed: int, rpc: str, entry: Entry) -> None:
        """With everything that may fill on this side: held, live, and sent with an outcome nobody knows."""
        if signed == 0:
            return
        side = 1 if signed > 0 else -1
        known = {order.labels.own_id for order in self.sim.exchange.orders}
        pending = sum(
            max(0, side * quantity)
            for other in await self.auditor.unsettled()
            if other.account == account and other.sequence != entry.sequence and other.own_id not in known
            for *_, quantity in other.detail["may_fill"]
        )
        reach = side * self.net(account) + standing(self.live(account), side) + pending + abs(signed)
        assert abs(signed) <= MAX_ORDER or rpc == "Reverse", f"{signed} contracts in one order"
        assert reach <= MAX_POSITION, f"{signed} more may make {reach}"

    def _opened_by(self, rpc: str, account: str, path: str, said: dict) -> int | None:
        """Contracts that surely open or add, signed, as the book stands and as it was last read; None if none do."""
        nets = {self.net(account), self.read.get(account, self.net(account))}
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
        return None

    def _named(self, path: str) -> Order | None:
        named = unquote(path.split("/orders/")[1].partition("/")[0])
        return next((o for o in self.sim.exchange.orders if named in (o.id, o.labels.own_id) and o.is_live), None)

    def account(self, name: str) -> Account:
        """The account as it really is."""
        return self.sim.exchange.accounts[name]

    def net(self, account: str) -> int:
        """What is really held."""
        return self.account(account).net(self.sim.market.front(ROOT, self.sim.clock()))

    def live(self, account: str) -> list[Order]:
        """What may really still fill."""
        return self.sim.exchange.live_orders(account)

    def took(self, since: int) -> list[Sent]:
        """The writes since some moment that were done."""
        return [one for one in self.sent[since:] if one.took]

    def no_ticket_has_left_more_often_than_it_may(self, at_most: dict[str, int]) -> None:
        """Once; a flatten once more to cancel what it left standing, and each account of several by itself."""
        for ticket_id, count in Counter(one.ticket_id for one in self.sent).items():
            assert count <= at_most[ticket_id], f"{count} writes of one ticket"


def standing(orders: list[Order], side: int) -> int:
    """Contracts of live orders that may fill on one side; of an OCO group its largest."""
    groups: dict[str, int] = {}
    for order in orders:
        if order.terms.action.sign == side and not order.labels.closes:
            group = order.labels.oco_id or order.id
            groups[group] = max(groups.get(group, 0), order.remaining)
    return sum(groups.values())


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
