"""Plans: what would be sent to an account that is only advised on, and what was then done there by hand.

1. A proposal that passes every rule becomes a plan: sized and judged as an order would be, answered with all its
   figures, and journalled as ``proposed`` under an id that begins with ``plan-``. No ticket stands under that id, so
   nothing of it can ever be approved or sent; its status is ``needs_approval``, since it is the person's to act on.
2. The executions that tools read of that account are held against the plans of the last hours. Each that fits one, in
   instrument and side, no earlier and no larger, is written down as its deed: ``read_back`` under the id of the plan.
   What fills of an order that was listed when the plan was made is none: that order was there before it.
   What is filled while nobody reads for a quarter of an hour is not seen, and no plan is ever said not to be followed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from secrets import token_hex

from ct_mcp.desk.approval_request import item_of
from ct_mcp.desk.journal_writer import summary_of
from ct_mcp.desk.membership import PolicyInForce
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.ports import Store
from ct_mcp.domain.commands import PlaceOrder, fingerprint_all
from ct_mcp.domain.order import Execution
from ct_mcp.errors import StoreFailed
from ct_mcp.guard.firm_policy import Automation
from ct_mcp.guard.review import Review, as_if_sent, with_each_other
from ct_mcp.store.journal import Entry, EntryKind, NewEntry
from ct_mcp.text import format_price, one_line, sanitize

_MARK = "plan-"
_FOLLOWED_FOR = timedelta(hours=12)
_MOST_ENTRIES = 200
_MOST_ORDERS = 500
_BY_HAND = "nothing was sent and nothing will be: tell the person the plan, who places it in NinjaTrader by hand"
_NEXT = f"{_BY_HAND}; there is no ticket to confirm, and get_executions tells what was done"


def as_plans(reviews: Sequence[Review]) -> tuple[bool, list[Review]]:
    """Judge what goes to accounts that are only advised on as if it were sent, and all of it beside each other.

    The first says whether any of it does: then nothing of it is sent.
    """
    advised = any(review.policy.automation is Automation.ADVISE for review in reviews)
    return advised, with_each_other([as_if_sent(review) for review in reviews])


class Plans:
    """Writes down plans, and holds what was filled against them."""

    def __init__(self, store: Store, held: PolicyInForce, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._held = held
        self._clock = clock

    async def keep(self, reviews: Sequence[Review], reason: str) -> Outcome:
        """Journal a plan and answer with it.

        Raises:
            StoreFailed: It could not be written.
        """
        summary = f"PLAN, not sent: {summary_of(reviews)}"
        lines = [line for review in reviews for line in item_of(review).lines]
        plan_id = await self._kept_before(reviews) or await self._keep(summary, lines, reviews, reason)
        simulated = all(review.simulated for review in reviews)
        findings = tuple(dict.fromkeys(finding for review in reviews for finding in review.findings_to_answer))
        told = (f"plan {plan_id}", *lines)
        return Outcome(Status.NEEDS_APPROVAL, summary, simulated, reasons=told, findings=findings, next_step=_NEXT)

    async def _kept_before(self, reviews: Sequence[Review]) -> str | None:
        """Give the plan of the same call a moment ago: whoever repeats it has not made another."""
        since = self._clock() - timedelta(seconds=self._held.policy.ticket_seconds)
        entries = await self._store.entries(_MOST_ENTRIES, reviews[0].account)
        wish = _wish(reviews)
        same = (each for each in entries if _is_plan(each) and each.detail.get("wish") == wish)
        return next((each.own_id for each in same if each.at > since), None)

    async def _keep(self, summary: str, lines: Sequence[str], reviews: Sequence[Review], reason: str) -> str:
        plan_id = f"{_MARK}{token_hex(8)}"
        entry = NewEntry(
            EntryKind.PROPOSED,
            summary,
            account=", ".join(dict.fromkeys(review.account for review in reviews)),
            ticket_id=plan_id,
            own_id=plan_id,
            reason=one_line(reason),
            detail={
                "approval": "by hand",
                "plan": list(lines),
                "orders": [_order(order) for order in _orders_of(reviews)],
                "wish": _wish(reviews),
                "there_before": _there_before(reviews),
            },
        )
        await self._store.append(entry, self._clock())
        return plan_id

    async def follow(self, account: str, executions: Sequence[Execution]) -> tuple[str, ...]:
        """Write down which executions carry out which plan, each once, and say so; nothing where none is advised on."""
        if self._held.policy.for_(account, None).automation is not Automation.ADVISE or not executions:
            return ()
        try:
            return await self._follow(account, executions)
        except StoreFailed:
            return ("what was done could not be held against the plans: the journal cannot be used",)

    async def _follow(self, account: str, executions: Sequence[Execution]) -> tuple[str, ...]:
        now, said = self._clock(), list[str]()
        entries = [each for each in await self._store.entries(_MOST_ENTRIES, account) if _is_of_a_plan(each, now)]
        done = {str(name) for each in entries for name in _list(each, "executions")}
        left = sorted((each for each in executions if each.execution_id not in done), key=_when)
        for plan in _plans_of(entries):
            fits = plan.taken_of(left)
            if not fits:
                continue
            left = [each for each in left if each not in fits]
            entry = plan.deed(fits)
            await self._store.append(entry, now)
            said.append(str(entry.detail["what"]))
        return tuple(said)


@dataclass(frozen=True, slots=True)
class _Plan:
    """One plan of the journal: its order, and the contracts of it that were not seen to be filled yet."""

    entry: Entry
    instrument: str
    action: str
    quantity: int
    left: int
    there_before: frozenset[str] | None

    def taken_of(self, executions: Sequence[Execution]) -> list[Execution]:
        """Give the executions that carry it out, the oldest first, up to its contracts."""
        left, taken = self.left, list[Execution]()
        for each in executions:
            if self._fits(each) and each.quantity <= left:
                left, taken = left - each.quantity, [*taken, each]
        return taken

    def _fits(self, execution: Execution) -> bool:
        where = (str(execution.instrument), execution.action) == (self.instrument, self.action)
        return where and execution.at is not None and self._is_later(execution, execution.at)

    def _is_later(self, execution: Execution, at: datetime) -> bool:
        """Say whether it came after the plan; by its time alone where nobody could say which orders were there."""
        if self.there_before is None or execution.order_id is None:
            return at >= self.entry.at
        return execution.order_id not in self.there_before and at >= self.entry.at - _CLOCKS_DIFFER

    def deed(self, fits: Sequence[Execution]) -> NewEntry:
        """Write what was done of it."""
        filled = sum(each.quantity for each in fits)
        average = sum((each.price * each.quantity for each in fits), Decimal(0)) / filled
        so_far = self.quantity - self.left + filled
        deed = f"{self.action} {filled} {self.instrument} at {format_price(round(average, 6))}"
        what = f"done by hand: {deed}, {so_far} of {self.quantity} as planned in {self.entry.own_id}"
        return NewEntry(
            EntryKind.READ_BACK,
            self.entry.summary,
            account=self.entry.account,
            ticket_id=self.entry.own_id,
            own_id=self.entry.own_id,
            detail={
                "what": what,
                "filled": filled,
                "average_fill_price": average,
                "executions": [sanitize(each.execution_id) for each in fits],
            },
        )


_CLOCKS_DIFFER = timedelta(seconds=15)


def _wish(reviews: Sequence[Review]) -> str:
    return fingerprint_all([review.command for review in reviews])


def _orders_of(reviews: Sequence[Review]) -> list[PlaceOrder]:
    return [order for review in reviews for order in (review.effect.order,) if order is not None]


def _order(order: PlaceOrder) -> dict[str, object]:
    return {"instrument": str(order.instrument), "action": order.action, "quantity": order.quantity}


def _there_before(reviews: Sequence[Review]) -> list[str] | None:
    """Name the orders that were listed as it was made, those that were over too; None where that is not known."""
    contexts = [review.context for review in reviews]
    if any(each.orders is None or each.orders_doubted for each in contexts):
        return None
    over = {name for each in contexts for name in each.over}
    names = over | {order.order_id for each in contexts for order in each.orders or ()}
    return sorted(names) if len(names) <= _MOST_ORDERS else None


def _is_of_a_plan(entry: Entry, now: datetime) -> bool:
    return _is_plan(entry) and now - entry.at <= _FOLLOWED_FOR


def _is_plan(entry: Entry) -> bool:
    return (entry.own_id or "").startswith(_MARK)


def _plans_of(entries: Sequence[Entry]) -> list[_Plan]:
    """Read the plans of one order each, the oldest first, with what is left of them; entries come newest first."""
    filled: dict[str | None, int] = {}
    for entry in entries:
        if entry.kind is EntryKind.READ_BACK:
            filled[entry.own_id] = filled.get(entry.own_id, 0) + int(str(entry.detail.get("filled") or 0))
    plans = list[_Plan]()
    for entry in reversed(entries):
        match _list(entry, "orders"):
            case [{"instrument": str(instrument), "action": str(action), "quantity": int(quantity)}]:
                left, before = quantity - filled.get(entry.own_id, 0), entry.detail.get("there_before")
                known = frozenset(map(str, before)) if isinstance(before, list) else None
                plans.append(_Plan(entry, instrument, action, quantity, left, known))
    return plans


def _list(entry: Entry, name: str) -> list[object]:
    found = entry.detail.get(name)
    return found if isinstance(found, list) else []


def _when(execution: Execution) -> float:
    return 0.0 if execution.at is None else execution.at.timestamp()
