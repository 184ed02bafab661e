"""Whatever is called, in whatever order, with restarts and faults in between: nothing twice, nothing without a yes.

A bigger budget, by hand: ``CT_MCP_MODEL_EXAMPLES=2000 pytest tests/resilience/stateful``; it then draws anew each time.
"""

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ct_mcp.desk.controls import Actor
from ct_mcp.domain.approval import Halt, Ticket
from ct_mcp.domain.commands import (
    CancelOrder,
    CancelOrders,
    ChangeOrder,
    ClosePosition,
    CloseStrategy,
    Command,
    DisableStrategy,
    EnableStrategy,
    Flatten,
    PlaceOrder,
    ProtectPosition,
    ReplaceOrder,
    ReversePosition,
)
from ct_mcp.domain.order import OrderAction, OrderType, TimeInForce
from ct_mcp.domain.strategy import BarType, HostMode, StartStrategy
from ct_mcp.simulator.fault_responses import FAULTS_AFTER_ACCEPT as AFTER_ACCEPT
from ct_mcp.simulator.faults import AnyFault, Fault, Lag
from tests.resilience.stateful.scene import ACCOUNTS, MES, Scene

_BY_HAND = os.environ.get("CT_MCP_MODEL_EXAMPLES")
# Shrinking a story of thirty steps takes minutes; by hand it is worth them.
PHASES = (Phase.explicit, Phase.generate, Phase.shrink) if os.environ.get("CT_MCP_MODEL_SHRINKS") else (Phase.generate,)
AFTER = [fault for fault in AFTER_ACCEPT if fault is not Fault.SLOW_ANSWER]
_FAULTS = [fault for fault in Fault if fault is not Fault.SLOW_ANSWER] + [Lag.CLOSE_STUCK]
_RPCS = [None, "PlaceOrder", "FlatPlace", "Flatten", "CancelOrders", "Cancel", "Change", "CancelReplace", "Reverse"]
_RPCS += ["CancelAndBracket", "ClosePosition", "ListPositions", "ListOrders", "GetOrder", "GetPosition", "GetAccount"]
_LATE = st.integers(0, 3)
_DESK = st.integers(0, 1)
_ACCOUNT = st.sampled_from((*ACCOUNTS[:1] * 2, *ACCOUNTS))
_WHAT = (
    st.sampled_from(["buy", "sell"] * 3 + ["limit"] * 2)
    | st.sampled_from(
        [
            "stop",
            "flat_first",
            "change",
            "cancel",
            "cancel_all",
            "close",
            "part",
            "flatten",
            "everything",
            "replace",
            "two",
        ]
    )
    | st.sampled_from(["reverse", "protect", "start", "enable", "disable", "close_strategy"])
)
_RPCS_OF = {
    **dict.fromkeys(("buy", "sell", "limit", "stop", "two"), "PlaceOrder"),
    **dict.fromkeys(("close", "part"), "ClosePosition"),
    **dict.fromkeys(("flatten", "everything"), "Flatten"),
    **{"flat_first": "FlatPlace", "change": "Change", "cancel": "Cancel", "cancel_all": "CancelOrders"},
    **{"replace": "CancelReplace", "reverse": "Reverse", "protect": "CancelAndBracket"},
    **{"start": "StartStrategy", "enable": "EnableStrategy", "disable": "DisableStrategy"},
    "close_strategy": "CloseStrategy",
}
_TROUBLE = st.lists(st.sampled_from(_FAULTS), max_size=2) | st.sampled_from(AFTER).map(lambda fault: [fault])
_EXIT = st.sampled_from(["close", "flatten", "everything"])
_STUCK = st.sampled_from([Lag.CLOSE_STUCK, Fault.NO_FILL, *AFTER, Fault.REQUEST_LOST_BEFORE_ACCEPT])
_DIES = st.sampled_from(["", "", "", "", "before", "after"])
_DEED = st.sampled_from([*["trades", "disarm", "form"] * 3, "halt", "expire", "loss"])
_WAY = st.sampled_from(["BUY", "SELL"])


def order(account: str, way: str, quantity: int, kind: str = "MARKET", **more: Any) -> PlaceOrder:
    """One order, whose prices are in ``more``."""
    prices: dict[str, Any] = {"limit_price": None, "stop_price": None, **more}
    terms = (OrderAction(way), quantity, OrderType(kind))
    return PlaceOrder(account, MES, *terms, time_in_force=TimeInForce.DAY, **prices)


class Model(RuleBasedStateMachine):
    """The rules are what can happen; the scene and the witness hold what must be so."""

    @initialize(live=st.booleans())
    def begin(self, live: bool) -> None:
        self.scene = Scene(live=live)
        if live:
            for account in ACCOUNTS:
                self.scene.arm(account, 3600)

    def teardown(self) -> None:
        if hasattr(self, "scene"):
            self.scene.close()

    def commands(self, what: str, account: str, size: int, pick: int) -> tuple[Command, ...]:
        """One command over what stands in the simulator at this moment, or several for one ticket."""
        match what:
            case "everything":
                return tuple(Flatten(name, None) for name in ACCOUNTS)
            case "two":
                stop = self.command("stop", account, size, pick)
                return (order(account, "BUY", size), stop)
            case _:
                return (self.command(what, account, size, pick),)

    def command(self, what: str, account: str, size: int, pick: int) -> Command:
        """One command over what stands in the simulator at this moment."""
        scene = self.scene
        live = scene.witness.live(account)
        order_id = live[pick % len(live)].id if live else "no-such-order"
        away = scene.price(-20 - 10 * pick)
        resting = order(account, "BUY", size, "LIMIT", limit_price=away)
        held = scene.witness.net(account)
        sign = 1 if held >= 0 else -1
        strategy = ("334081723", "334081724", "334081725", "1")[pick]
        made: dict[str, Callable[[], Command]] = {
            "buy": lambda: order(account, "BUY", size),
            "sell": lambda: order(account, "SELL", size),
            "limit": lambda: resting,
            "stop": lambda: order(account, "SELL", size, "STOP_MARKET", stop_price=away),
            "flat_first": lambda: order(account, "SELL", size, flatten_first=True),
            "change": lambda: ChangeOrder(account, order_id, quantity=size),
            "cancel": lambda: CancelOrder(account, order_id),
            "cancel_all": lambda: CancelOrders(account, None if pick % 2 else MES),
            "close": lambda: ClosePosition(account, MES),
            "part": lambda: ClosePosition(account, MES, quantity=size),
            "flatten": lambda: Flatten(account, None if pick % 2 else MES),
            "replace": lambda: ReplaceOrder(account, order_id, resting),
            "reverse": lambda: ReversePosition(account, MES),
            "protect": lambda: ProtectPosition(account, MES, scene.price(40 * sign), scene.price(-40 * sign)),
            "start": lambda: StartStrategy(account, "HoldLong", MES, HostMode.ACCOUNT, BarType.MINUTE, 1),
            "enable": lambda: EnableStrategy(account, strategy),
            "disable": lambda: DisableStrategy(account, strategy),
            "close_strategy": lambda: CloseStrategy(account, strategy),
        }
        return made[what]()

    def ticket(self, late: int) -> Ticket:
        """One of the last tickets."""
        tickets = list(self.scene.tickets.values())
        return tickets[-1 - late % len(tickets)]

    @rule(which=_DESK, what=_WHAT, account=_ACCOUNT, size=st.integers(1, 4), pick=_LATE)
    def proposes(self, which: int, what: str, account: str, size: int, pick: int) -> None:
        self.scene.propose(which, *self.commands(what, account, size, pick))

    @rule(which=_DESK, what=_WHAT, account=_ACCOUNT, size=st.integers(1, 3), pick=_LATE, trouble=_TROUBLE, dies=_DIES)
    def trades(
        self, which: int, what: str, account: str, size: int, pick: int, trouble: list[AnyFault], dies: str
    ) -> None:
        """Propose, approve and commit; perhaps something misbehaves, or the process dies while it sends."""
        ticket = self.scene.propose(which, *self.commands(what, account, size, pick))
        if ticket is None:
            return
        self.scene.approve(1 - which, ticket, "form" if pick == 3 else "page")
        for fault in trouble:
            self.scene.sim.faults.arm(fault, rpc=_RPCS_OF.get(what), times=1)
        self.scene.commit((which, ticket.ticket_id), dies=dies)
        if dies:
            self.scene.restart(which)

    trades_more = rule(which=_DESK, what=_WHAT, account=_ACCOUNT, size=st.integers(1, 3), pick=_LATE)(
        lambda self, which, what, account, size, pick: self.trades(which, what, account, size, pick, [], "")
    )

    @rule(which=_DESK, account=_ACCOUNT, size=st.integers(1, 2), pick=_LATE, trouble=_TROUBLE)
    def trades_two(self, which: int, account: str, size: int, pick: int, trouble: list[AnyFault]) -> None:
        """Two orders under one ticket; perhaps what misbehaves strikes the first of them."""
        self.begins_afresh(account)
        self.trades(which, "two", account, size, pick, trouble, "")

    @rule(which=_DESK, exits=st.tuples(_EXIT, _EXIT), account=_ACCOUNT, size=st.integers(1, 3), fault=_STUCK)
    def leaves_twice(self, which: int, exits: tuple[str, str], account: str, size: int, fault: AnyFault) -> None:
        """The first exit may be on its way still when the other process is asked for another."""
        self.begins_afresh(account)
        self.scene.somebody_trades(account, "Buy", size)
        self.trades(which, exits[0], account, size, 1, [fault], "")
        self.trades(1 - which, exits[1], account, size, 1, [], "")

    @rule(which=_DESK, account=_ACCOUNT, size=st.integers(1, 3), is_halted=st.booleans())
    def closes_a_part_beside_its_exits(self, which: int, account: str, size: int, is_halted: bool) -> None:
        """What stands around the position would turn it round once a part of it is gone."""
        self.begins_afresh(account)
        self.scene.somebody_trades(account, "Buy", 3)
        self.trades(which, "protect", account, size, 1, [], "")
        if is_halted:
            self.the_person_steps_in("halt", account)
        self.trades(which, "part", account, size, 1, [], "")

    def begins_afresh(self, account: str) -> None:
        """The guard halts after a few denials, and faults stay: without this most stories would end there."""
        self.the_person_steps_in("resume", account)
        self.the_person_steps_in("arm", account)
        self.scene.sim.faults.disarm()

    @rule(which=_DESK, ways=st.tuples(_WAY, _WAY), account=_ACCOUNT, size=st.integers(1, 3), deed=_DEED)
    def is_overtaken(self, which: int, ways: tuple[str, str], account: str, size: int, deed: str) -> None:
        """Between the proposal and the send the book becomes another, or the person steps in."""
        self.begins_afresh(account)
        held = self.scene.witness.net(account)
        if held and deed == "trades":
            ways, size = (("SELL", "SELL") if held > 0 else ("BUY", "BUY")), min(3, abs(held))
        ticket = self.scene.propose(which, order(account, ways[0], size))
        if ticket is not None:
            self.scene.approve(which, ticket, "form" if deed == "form" else "page")
        match deed:
            case "loss" if size == 3:
                self.scene.loses(account)
                self.scene.sim.advance(3)
            case "trades":
                self.scene.somebody_trades(account, ways[1].capitalize(), size)
            case "halt" | "disarm":
                self.the_person_steps_in(deed, account)
                self.scene.sim.advance(3)
            case "expire":
                self.scene.sim.advance(95)
        if ticket is not None:
            self.scene.commit((which, ticket.ticket_id))

    @precondition(lambda self: self.scene.tickets)
    @rule(which=_DESK, late=_LATE, channel=st.sampled_from(["form", "page", "terminal", "declined", "wrong"]))
    def decides(self, which: int, late: int, channel: str) -> None:
        desk, ticket = self.scene.desks[which], self.ticket(late)
        match channel:
            case "declined":
                self.scene.run(desk.decisions.decline(ticket, "page"))
            case "wrong":
                assert not self.scene.run(desk.decisions.take(ticket, "yes", "form"))
            case _:
                self.scene.approve(which, ticket, channel)

    @precondition(lambda self: self.scene.tickets)
    @rule(which=_DESK, late=_LATE)
    def commits(self, which: int, late: int) -> None:
        self.scene.commit((which, self.ticket(late).ticket_id))

    @precondition(lambda self: self.scene.tickets)
    @rule(late=_LATE, later=_LATE)
    def commits_at_both(self, late: int, later: int) -> None:
        """Both processes spend at once: two tickets, or the same."""
        self.scene.commit((0, self.ticket(late).ticket_id), (1, self.ticket(later).ticket_id))

    @rule(account=_ACCOUNT, ways=st.tuples(_WAY, _WAY), sizes=st.tuples(st.integers(1, 3), st.integers(1, 3)))
    def trades_at_both(self, account: str, ways: tuple[str, str], sizes: tuple[int, int]) -> None:
        """Two orders that pass side by side, each at a process of its own."""
        self.begins_afresh(account)
        asked = [order(account, way, size) for way, size in zip(ways, sizes, strict=True)]
        tickets = [self.scene.propose(which, command) for which, command in enumerate(asked)]
        both = [(which, ticket) for which, ticket in enumerate(tickets) if ticket]
        for which, ticket in both:
            self.scene.approve(which, ticket, "terminal")
        self.scene.commit(*((which, ticket.ticket_id) for which, ticket in both))

    @rule(which=_DESK, what=_WHAT, account=_ACCOUNT, unknown=st.sampled_from(["", "0123456789abcdef", "' OR 1=1"]))
    def looks(self, which: int, what: str, account: str, unknown: str) -> None:
        """Preview, and commit what nobody knows."""
        for command in self.commands(what, account, 1, 0):
            self.scene.preview(which, command)
        self.scene.commit((which, unknown))

    @rule(which=_DESK)
    def restarts(self, which: int) -> None:
        self.scene.restart(which)

    @rule(deed=st.sampled_from(["halt", "resume", "resume", "arm", "arm", "arm briefly", "disarm"]), account=_ACCOUNT)
    def the_person_steps_in(self, deed: str, account: str) -> None:
        scene = self.scene
        match deed:
            case "halt":
                assert isinstance(scene.run(scene.desks[0].controls.halt("enough", Actor.TERMINAL)), Halt)
            case "resume":
                scene.run(scene.desks[0].controls.resume(Actor.PAGE))
            case "disarm":
                scene.disarm(account)
            case _:
                scene.arm(account, 5 if deed == "arm briefly" else 3600)

    @rule(seconds=st.sampled_from([0.1, 1, 11, 61, 95]))
    def time_passes(self, seconds: float) -> None:
        self.scene.sim.advance(seconds)

    @rule(fault=st.sampled_from(_FAULTS), rpc=st.sampled_from(_RPCS), times=st.sampled_from([0, 0, 1, 2, None]))
    def misbehaves(self, fault: AnyFault, rpc: str | None, times: int | None) -> None:
        """For some calls or for all; or what misbehaved does so no more."""
        self.scene.sim.faults.disarm()
        self.scene.sim.faults.arm(fault, rpc=rpc, times=times)

    @rule(
        account=_ACCOUNT, deed=st.sampled_from(["Buy", "Sell", "Buy", "Sell", "cancel", "loss"]), size=st.integers(1, 3)
    )
    def somebody_else_steps_in(self, account: str, deed: str, size: int) -> None:
        match deed:
            case "cancel":
                self.scene.somebody_cancels(account)
            case "loss" if size == 3:
                self.scene.loses(account)
            case "Buy" | "Sell":
                self.scene.somebody_trades(account, deed, size)

    @invariant()
    def nothing_left_that_may_not(self) -> None:
        if hasattr(self, "scene"):
            assert not self.scene.witness.broken, "; ".join(self.scene.witness.broken)
            self.scene.witness.no_ticket_has_left_more_often_than_it_may(self.scene.at_most())

    @invariant()
    def the_journal_is_whole(self) -> None:
        if hasattr(self, "scene"):
            found = self.scene.run(self.scene.auditor.verify())
            assert found.ok, found.why


TestModel = Model.TestCase
TestModel.settings = settings(
    max_examples=int(_BY_HAND or 8),
    stateful_step_count=30,
    derandomize=not _BY_HAND,
    database=None,
    deadline=None,
    phases=PHASES,
    suppress_health_check=list(HealthCheck),
)
