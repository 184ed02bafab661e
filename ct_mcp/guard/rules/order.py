"""Rules on the order itself: what is filled in, instrument, contract, size and the position it leads to."""

from collections.abc import Container
from datetime import date, datetime, timedelta
from decimal import Decimal

from ct_mcp.domain.commands import (
    ChangeOrder,
    ClosePosition,
    CloseStrategy,
    DisableStrategy,
    EnableStrategy,
    PlaceOrder,
    ReplaceOrder,
)
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import trading_day
from ct_mcp.domain.order import Order, OrderType, is_plain_group, is_price, is_whole_number
from ct_mcp.domain.strategy import StartStrategy
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.denial import DenialCode
from ct_mcp.guard.effect_model import Effect
from ct_mcp.guard.exposure import others_at_worst
from ct_mcp.guard.figures import quote_of
from ct_mcp.guard.policy import Policy
from ct_mcp.guard.rule import (
    NO_ORDER,
    Denial,
    NotApplicable,
    Passed,
    RuleAnswer,
    could_not_verify,
    on_instruments,
    on_opening,
    on_orders,
    on_orders_that_open,
    rule,
    warning,
)
from ct_mcp.text import format_price, plain, utc_minute

NO_CHANGE = NotApplicable("changes no order")
NO_CLOSE = NotApplicable("no partial close")
_LONGEST_NEW_GROUP = 32
_MOST_TEMPLATES = 20
_TEMPLATE_UNREAD = could_not_verify(
    "ATM_TEMPLATE_UNREAD",
    "what the ATM strategy adds is not told: its stop, its target, their sizes, and whether it reverses at its stop",
)
_DAY_UNKNOWN = could_not_verify("EXPIRY_UNKNOWN", "the contract expires this month, and the day is not known")


@rule("instrument-allowed", "the instrument is allowed")
@on_opening
@on_instruments
def instrument_is_allowed(instrument: Instrument, _context: RiskContext, policy: Policy) -> RuleAnswer:
    """No list means any instrument; an empty list means none. What is held may be left and protected all the same."""
    allowed = policy.limits.instruments
    names = "any" if allowed is None else ", ".join(sorted(allowed)) or "none"
    figures = f"root={instrument.root}, allowed={names}"
    if allowed is not None and instrument.root not in allowed:
        return Denial(DenialCode.INSTRUMENT_NOT_ALLOWED, figures)
    return Passed(figures)


@rule("contract-alive", "the contract has not expired")
@on_instruments
def contract_has_not_expired(contract: Instrument, context: RiskContext, _policy: Policy) -> RuleAnswer:
    """Deny a contract that is over: the month decides, and the day where the service knows one."""
    today = trading_day(context.now)
    if contract.is_past(today):
        return Denial(DenialCode.CONTRACT_EXPIRED, f"contract={contract.month_in_words}, today={today}")
    quote = quote_of(contract, context)
    ends_at = None if quote is None else _end_of(quote.contract.expires_at, date(contract.year, contract.month, 1))
    if ends_at is None:
        figures = f"contract={contract.month_in_words}, today={today}"
        return Passed(figures, _DAY_UNKNOWN if (contract.year, contract.month) == (today.year, today.month) else None)
    figures = f"contract={contract.month_in_words}, expires at={utc_minute(ends_at)}"
    return Denial(DenialCode.CONTRACT_EXPIRED, figures) if ends_at <= context.now else Passed(figures)


@rule("other-months", "no other month of the root is held")
@on_instruments
def other_months_that_are_held_are_named(contract: Instrument, context: RiskContext, _policy: Policy) -> RuleAnswer:
    """After a roll a root means another month than the one that is held: whoever is asked must see both."""
    held = [each for each in context.positions or () if each.quantity and each.instrument.root == contract.root]
    others = [f"{each.direction} {each.quantity} {each.instrument}" for each in held if each.instrument != contract]
    if not others:
        return Passed("none")
    also = f"the account also holds {', '.join(others)}; this order is for {contract} and leaves that as it is"
    return Passed(", ".join(others), warning("OTHER_MONTH_HELD", also))


def _end_of(expires_at: datetime | None, first_of_month: date) -> datetime | None:
    """NinjaTrader names the first of the contract month for most futures: that is the month, not the day."""
    if expires_at is None or expires_at.date() == first_of_month:
        return None
    is_only_a_date = not (expires_at.hour or expires_at.minute)
    return expires_at + timedelta(days=1) if is_only_a_date else expires_at


@rule("quantity-whole", "the quantity is a whole number")
@on_orders
def quantity_is_a_whole_number(order: PlaceOrder, _context: RiskContext, _policy: Policy) -> RuleAnswer:
    """Of one or more; true and 3.0 are none."""
    return _no_quantity(order) or Passed(f"quantity={order.quantity}")


@rule("quantity-limit", "the quantity is within the limit for one order")
@on_orders_that_open
def quantity_is_within_limit(order: PlaceOrder, _context: RiskContext, policy: Policy) -> RuleAnswer:
    """Each order by itself."""
    maximum = policy.limits.max_order_contracts
    figures = f"quantity={order.quantity}, maximum={maximum}"
    return _no_quantity(order) or (
        Denial(DenialCode.QUANTITY_EXCEEDS_MAXIMUM, figures) if order.quantity > maximum else Passed(figures)
    )


@rule("own-order-size", "the quantity is within the account's own limit")
@on_orders_that_open
def quantity_is_within_the_accounts_own_limit(order: PlaceOrder, context: RiskContext, _policy: Policy) -> RuleAnswer:
    """Hold the largest order that NinjaTrader reports for the account; none is reported as 0."""
    own = None if context.account is None else context.account.max_order_size
    if not own:
        return NotApplicable("the account has no largest order of its own")
    figures = f"quantity={plain(repr(order.quantity))}, the account's own maximum={own}"
    is_within = is_whole_number(order.quantity) and order.quantity <= own
    return Passed(figures) if is_within else Denial(DenialCode.ACCOUNT_ORDER_SIZE_EXCEEDED, figures)


@rule("own-position-size", "the position stays within the account's own limit")
@on_opening
def position_stays_within_the_accounts_own_limit(effect: Effect, context: RiskContext, _policy: Policy) -> RuleAnswer:
    """Hold the largest position that NinjaTrader reports for the account; none is reported as 0."""
    own, order = None if context.account is None else context.account.max_position_size, effect.order
    if not own or order is None:
        return NotApplicable("the account has no largest position of its own")
    reach = reach_of_root(effect, context)
    if reach is None:
        return Denial(DenialCode.POSITION_UNKNOWN, f"no report of positions and orders in {order.instrument}")
    figures = f"position after={reach * order.action.sign}, the account's own maximum={own}"
    return Denial(DenialCode.ACCOUNT_POSITION_SIZE_EXCEEDED, figures) if reach > own else Passed(figures)


@rule("position-limit", "the position stays within its limit")
@on_opening
def position_stays_within_limit(effect: Effect, context: RiskContext, policy: Policy) -> RuleAnswer:
    """Count what is held, working, in flight and of unknown outcome as if all of it filled on the order's side.

    The limit is the root's: other contract months of it count as well, each on its side.
    """
    order = effect.order
    if order is None:
        return NO_ORDER
    if bad := _no_quantity(order):
        return bad
    parts, reach = _parts_of_position(order, context), reach_of_root(effect, context)
    if reach is None or parts is None:
        return Denial(DenialCode.POSITION_UNKNOWN, f"no report of positions and orders in {order.instrument}")
    maximum = policy.limits.max_position_contracts
    figures = f"position after={reach * order.action.sign}, maximum={maximum}, {parts}"
    return Denial(DenialCode.POSITION_EXCEEDS_MAXIMUM, figures) if reach > maximum else Passed(figures)


def reach_of_root(effect: Effect, context: RiskContext) -> int | None:
    """Count how far the order's side can come to stand over all months of its root, never negative."""
    order, after = effect.order, effect.after
    if order is None or after is None:
        return None
    others = [worst for other, worst in others_at_worst(order.instrument, context) if _is_month_of(order, other)]
    ends = [None if worst is None else worst.side(order.action.sign) for worst in (after, *others)]
    return None if None in ends else sum(end for end in ends if end is not None)


def _is_month_of(order: PlaceOrder, other: Instrument) -> bool:
    return other.root == order.instrument.root


def _no_quantity(order: PlaceOrder) -> Denial | None:
    if is_whole_number(order.quantity):
        return None
    return Denial(DenialCode.QUANTITY_INVALID, f"quantity={plain(repr(order.quantity))}, at least=1, whole contracts")


def _parts_of_position(order: PlaceOrder, context: RiskContext) -> str | None:
    net, orders, sign = context.net_position(order.instrument), context.open_orders(order.instrument), order.action.sign
    if net is None or orders is None:
        return None
    working = sum(other.remaining for other in orders if other.action is order.action)
    unknown = sum(max(0, sent.signed_quantity * sign) for sent in context.pending_orders(order.instrument))
    others = others_at_worst(order.instrument, context)
    months = [
        f"{other}={worst.side(sign) * sign if worst else 'unknown'}"
        for other, worst in others
        if _is_month_of(order, other)
    ]
    parts = f"held={net}, working={working}, unknown={unknown}, this order={order.quantity}"
    return ", ".join((parts, *months))


@rule("order-type", "the order type can be sent")
@on_orders
def order_type_can_be_sent(order: PlaceOrder, _context: RiskContext, _policy: Policy) -> RuleAnswer:
    """Deny types that are only read: orders of them stand in the account, and none is placed or changed from here."""
    figures = f"order type={order.order_type}"
    return Passed(figures) if order.order_type.can_be_sent else Denial(DenialCode.ORDER_TYPE_NOT_SENDABLE, figures)


@rule("limit-price-fits", "the limit price fits the order type")
@on_orders
def limit_price_fits_the_order_type(order: PlaceOrder, _context: RiskContext, _policy: Policy) -> RuleAnswer:
    """Limit and stop limit orders need one, the others may not carry one."""
    codes = DenialCode.LIMIT_PRICE_MISSING, DenialCode.LIMIT_PRICE_SUPERFLUOUS
    return _fits(order, ("limit_price", order.limit_price), codes, needed=order.order_type.needs_limit_price)


@rule("stop-price-fits", "the stop price fits the order type")
@on_orders
def stop_price_fits_the_order_type(order: PlaceOrder, _context: RiskContext, _policy: Policy) -> RuleAnswer:
    """Stop market and stop limit orders need one, the others may not carry one."""
    codes = DenialCode.STOP_PRICE_MISSING, DenialCode.STOP_PRICE_SUPERFLUOUS
    return _fits(order, ("stop_price", order.stop_price), codes, needed=order.order_type.needs_stop_price)


@rule("stop-limit-order", "stop and limit stand in the right order")
@on_orders
def stop_limit_prices_stand_in_order(order: PlaceOrder, _context: RiskContext, _policy: Policy) -> RuleAnswer:
    """Once triggered, the limit must leave room on the side that the order trades through."""
    stop, limit = order.stop_price, order.limit_price
    if order.order_type is not OrderType.STOP_LIMIT:
        return NotApplicable("no stop limit order")
    if stop is None or limit is None or not is_price(stop) or not is_price(limit):
        return NotApplicable("needs two readable prices")
    figures = f"{order.action} stop={format_price(stop)}, limit={format_price(limit)}"
    return Denial(DenialCode.STOP_LIMIT_CROSSED, figures) if (limit - stop) * order.action.sign < 0 else Passed(figures)


@rule("names-plain", "names are plain text")
def names_are_plain_text(effect: Effect, context: RiskContext, _policy: Policy) -> RuleAnswer:
    """OCO groups, templates and strategies are words that NinjaTrader knows, not carriers for anything else."""
    orders = context.orders
    given, groups = _names(effect), None if orders is None else {order.oco_id for order in orders}
    if given is None:
        return NO_ORDER
    named = [(field, name) for field, name in given if name is not None]
    odd = [f"{field}={plain(name)!r}" for field, name in named if not _fits_its_field(field, name, groups)]
    return Denial(DenialCode.NAME_INVALID, ", ".join(odd)) if odd else Passed("plain")


@rule("atm-template", "the ATM strategy template is one that NinjaTrader lists")
@on_orders
def atm_template_is_listed(order: PlaceOrder, context: RiskContext, _policy: Policy) -> RuleAnswer:
    """Deny a name that NinjaTrader does not list: it would reject the order after the person was asked."""
    if order.atm_strategy is None:
        return NotApplicable("names no ATM strategy")
    if context.atm_templates is None:
        return Denial(
            DenialCode.ATM_TEMPLATES_UNKNOWN, f"no report of templates, asked for={plain(order.atm_strategy)!r}"
        )
    if order.atm_strategy not in context.atm_templates:
        listed = ", ".join(plain(name) for name in context.atm_templates[:_MOST_TEMPLATES]) or "none"
        return Denial(DenialCode.ATM_TEMPLATE_UNKNOWN, f"asked for={plain(order.atm_strategy)!r}, listed={listed}")
    return Passed(f"template={plain(order.atm_strategy)!r}", _TEMPLATE_UNREAD)


@rule("order-open", "the order that is named is open")
def order_named_is_open(effect: Effect, context: RiskContext, _policy: Policy) -> RuleAnswer:
    """Deny changes of what is closed or not listed; it may have filled."""
    command = effect.command
    if not isinstance(command, ChangeOrder | ReplaceOrder):
        return NO_CHANGE
    order, figures = context.order(command.order_id), f"order={plain(command.order_id)}"
    if context.orders is None:
        return Denial(DenialCode.ORDERS_UNKNOWN, f"no report of orders, {figures}")
    if order is None or order.account != command.account:
        return Denial(DenialCode.ORDER_UNKNOWN, f"{figures} is not among the open orders of {plain(command.account)}")
    return Denial(DenialCode.ORDER_CLOSED, f"{figures}, state={order.state}") if order.is_closed else Passed(figures)


@rule("change-changes", "the change changes something")
def change_changes_something(effect: Effect, context: RiskContext, _policy: Policy) -> RuleAnswer:
    """Deny a change that names no field, changes none, or takes back contracts that filled."""
    change = effect.command
    if not isinstance(change, ChangeOrder):
        return NO_CHANGE
    given = (change.quantity, change.limit_price, change.stop_price)
    if given == (None, None, None):
        return Denial(DenialCode.CHANGE_EMPTY, "none of quantity, limit_price, stop_price was given")
    order = context.order(change.order_id)
    if order is None:
        return NotApplicable("the order is not known")
    return _change_answer(change, order)


@rule("close-size", "the close says once how much")
def close_says_how_much_once(effect: Effect, _context: RiskContext, _policy: Policy) -> RuleAnswer:
    """Allow a quantity, or a percentage, or neither for all of it."""
    close = effect.command
    if not isinstance(close, ClosePosition):
        return NO_CLOSE
    quantity, percent = close.quantity, close.percent
    if quantity is not None and percent is not None:
        return Denial(
            DenialCode.CLOSE_AMBIGUOUS, f"quantity={plain(repr(quantity))} and percent={format_price(percent)}"
        )
    if quantity is not None and not is_whole_number(quantity):
        return Denial(DenialCode.CLOSE_QUANTITY_INVALID, f"quantity={plain(repr(quantity))}")
    if percent is not None and not (is_price(percent) and 0 < percent <= 100):
        return Denial(DenialCode.CLOSE_PERCENT_INVALID, f"percent={format_price(percent)}, above=0, at most=100")
    return Passed(
        f"quantity={'all' if quantity is None and percent is None else quantity or f'{format_price(percent)} %'}"
    )


def _fits(
    order: PlaceOrder, given: tuple[str, Decimal | None], codes: tuple[DenialCode, DenialCode], *, needed: bool
) -> RuleAnswer:
    """Hold one price against what the order type needs; ``codes`` are for a missing and for a superfluous one."""
    (name, price), (missing, superfluous) = given, codes
    figures = f"order type={order.order_type}, {name}={'none' if price is None else format_price(price)}"
    if needed and price is None:
        return Denial(missing, figures)
    if price is not None and not needed:
        return Denial(superfluous, figures)
    return Passed(figures)


@rule("replacement-fits", "the replacement can take the place of the old order")
def replacement_can_take_the_place(effect: Effect, context: RiskContext, _policy: Policy) -> RuleAnswer:
    """In the same instrument, and in no OCO group that goes with the old order: NinjaTrader never takes one again."""
    swap = effect.command
    if not isinstance(swap, ReplaceOrder):
        return NotApplicable("replaces no order")
    old, new = context.order(swap.order_id), swap.order
    if old is None:
        return NotApplicable("the order is not known")
    figures = f"old={old.instrument}, new={new.instrument}"
    if old.instrument != new.instrument:
        return Denial(DenialCode.REPLACEMENT_ELSEWHERE, figures)
    if new.oco_id and new.oco_id == old.oco_id:
        return Denial(DenialCode.OCO_GROUP_SPENT, f"oco_id={plain(new.oco_id)} goes with order={plain(swap.order_id)}")
    return Passed(figures)


def _names(effect: Effect) -> list[tuple[str, str | None]] | None:
    command, order = effect.command, effect.order
    if isinstance(command, StartStrategy):
        values = [(plain(name), value) for name, value in command.parameters if isinstance(value, str)]
        parameters = [("parameter", name) for name, _ in command.parameters]
        return [("strategy_class", command.strategy_class), *parameters, *values]
    if isinstance(command, EnableStrategy | DisableStrategy | CloseStrategy):
        return [("strategy_id", command.strategy_id)]
    if order is None:
        return None
    group = order.oco_id if effect.changes is None else None  # whoever placed an order has named its group
    return [("oco_id", group), ("atm_strategy", order.atm_strategy)]


def _fits_its_field(field: str, name: str, groups: Container[str | None] | None) -> bool:
    """A group's id is the assistant's own word, so it holds nothing that could be a sentence to the person.

    That of a group which stands is not, and may be as long as NinjaTrader makes them; which stand may not be known.
    """
    if field != "oco_id":
        return _is_plain(name)
    return is_plain_group(name) and (len(name) <= _LONGEST_NEW_GROUP or groups is None or name in groups)


def _is_plain(name: str) -> bool:
    return 0 < len(name) <= 60 and name.isprintable() and name == name.strip() and not set(name) & set(";=")


def _change_answer(change: ChangeOrder, order: Order) -> RuleAnswer:
    if is_whole_number(change.quantity) and change.quantity is not None and change.quantity <= order.filled:
        return Denial(DenialCode.CHANGE_BELOW_FILLED, f"quantity={change.quantity}, filled={order.filled}")
    fields = (
        ("quantity", change.quantity, order.quantity),
        ("limit_price", change.limit_price, order.limit_price),
        ("stop_price", change.stop_price, order.stop_price),
    )
    changed = [name for name, new, old in fields if _differs(new, old)]
    if not changed:
        return Denial(DenialCode.CHANGE_WITHOUT_EFFECT, "every field that was given stands so already")
    return Passed(f"changes={', '.join(changed)}")


def _differs(new: int | Decimal | None, old: int | Decimal | None) -> bool:
    if new is None:
        return False
    return (isinstance(new, Decimal) and not new.is_finite()) or new != old
