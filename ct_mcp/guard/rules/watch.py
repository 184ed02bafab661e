"""Rules on watches: what one needs to stand on when it is set. What it sends later is judged by itself."""

from datetime import datetime, timedelta

from ct_mcp.domain.approval import Finding
from ct_mcp.domain.order import Order, OrderType
from ct_mcp.domain.watch import SetWatch, WatchKind
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.denial import DenialCode
from ct_mcp.guard.effect_model import Effect
from ct_mcp.guard.holidays import end_of_day
from ct_mcp.guard.policy import Policy
from ct_mcp.guard.protection import lost_by_cancelling, with_groups
from ct_mcp.guard.rule import Denial, NotApplicable, Passed, RuleAnswer, rule, warning
from ct_mcp.text import plain, utc_minute

NO_WATCH = NotApplicable("sets no watch")
_MOST_AHEAD = timedelta(hours=120)


@rule("watch-stands", "the watch has what it acts on, and can only reduce")
def watch_has_what_it_acts_on(effect: Effect, context: RiskContext, _policy: Policy) -> RuleAnswer:
    """A trailing stop needs a stop that stands behind a position; what is cancelled later may protect nothing."""
    watch = effect.command
    if not isinstance(watch, SetWatch):
        return NO_WATCH
    if watch.does is WatchKind.FLAT_BY:
        return Passed("flattening only reduces")
    figures = f"order={plain(watch.order_id or 'none')}"
    if context.orders is None or context.positions is None:
        return Denial(DenialCode.ORDERS_UNKNOWN, f"no report of orders and positions, {figures}")
    order = context.order(watch.order_id or "")
    if order is None or order.account != watch.account:
        return Denial(DenialCode.ORDER_UNKNOWN, f"{figures} is not among the open orders of {plain(watch.account)}")
    return (
        _trailed(order, figures, context) if watch.does is WatchKind.TRAILING_STOP else _opens(order, figures, context)
    )


def _trailed(order: Order, figures: str, context: RiskContext) -> RuleAnswer:
    net = context.net_position(order.instrument)
    figures = f"{figures}, type={order.order_type}, position={'not known' if net is None else net}"
    if order.order_type is not OrderType.STOP_MARKET or not net or net * order.action.sign > 0:
        return Denial(DenialCode.WATCH_NEEDS_STOP, f"{figures}; a stop market order behind a position is needed")
    return Passed(figures)


def only_opens(order: Order, context: RiskContext) -> bool:
    """Say whether an order opens or adds, and takes no protection along if it goes; not knowing is no."""
    net = context.net_position(order.instrument)
    lost = lost_by_cancelling(with_groups((order,), context.orders or ()), context)
    return net is not None and net * order.action.sign >= 0 and lost is not None and not lost.is_any


def _opens(order: Order, figures: str, context: RiskContext) -> RuleAnswer:
    if not only_opens(order, context):
        return Denial(DenialCode.WATCH_WOULD_NOT_REDUCE, f"{figures} leaves or protects a position, or may")
    return Passed(f"{figures}, {order.action} {order.remaining}")


@rule("watch-time", "the watch acts at a time that is to come")
def watch_acts_at_a_time_to_come(effect: Effect, context: RiskContext, _policy: Policy) -> RuleAnswer:
    """A time that has passed would act at once, and one far away is none that anybody remembers."""
    watch = effect.command
    if not isinstance(watch, SetWatch) or watch.does is WatchKind.TRAILING_STOP:
        return NO_WATCH
    due = due_of(watch, context.now)
    if due is None:
        return Denial(DenialCode.WATCH_TIME_INVALID, "no time was given")
    figures = f"due={utc_minute(due)}, now={utc_minute(context.now)}"
    if not context.now < due <= context.now + _MOST_AHEAD:
        return Denial(DenialCode.WATCH_TIME_INVALID, figures)
    return Passed(figures, _comes_too_late(watch, due))


def _comes_too_late(watch: SetWatch, due: datetime) -> Finding | None:
    """Say so where it is to be flat when nothing trades any more: the person named the time, so it stays theirs."""
    end = end_of_day(due, None)
    if watch.does is not WatchKind.FLAT_BY or end.closes_at is None or due < end.closes_at:
        return None
    words = f"trading ends at {utc_minute(end.closes_at)} that day, {end.why}: this comes too late to be flat"
    return warning("DAY_ENDS_EARLY", words)


def due_of(watch: SetWatch, now: datetime) -> datetime | None:
    """When it acts, if it is set now."""
    return watch.due if watch.minutes is None else now + timedelta(minutes=watch.minutes)
