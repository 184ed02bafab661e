"""What may be asked of the desk. The caller gives every field that decides a trade; nothing is defaulted here."""

from dataclasses import dataclass, fields
from decimal import Decimal
from hashlib import sha256

from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderAction, OrderType, TimeInForce
from ct_mcp.domain.strategy import StartStrategy


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """Send one new order."""

    account: str
    instrument: Instrument
    action: OrderAction
    quantity: int
    order_type: OrderType
    limit_price: Decimal | None
    stop_price: Decimal | None
    time_in_force: TimeInForce
    oco_id: str | None = None
    atm_strategy: str | None = None
    flatten_first: bool = False


@dataclass(frozen=True, slots=True)
class ChangeOrder:
    """Change a working order; a None field stays as it is."""

    account: str
    order_id: str
    quantity: int | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """Cancel one order."""

    account: str
    order_id: str


@dataclass(frozen=True, slots=True)
class CancelOrders:
    """Cancel every working order of an account, or of one instrument in it."""

    account: str
    instrument: Instrument | None


@dataclass(frozen=True, slots=True)
class ClosePosition:
    """Leave one position, whole or in part; ``percent`` is 0 to 100 and at most one of the two is given."""

    account: str
    instrument: Instrument
    quantity: int | None = None
    percent: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Flatten:
    """Leave positions and cancel orders of one account, or of one instrument in it."""

    account: str
    instrument: Instrument | None


@dataclass(frozen=True, slots=True)
class ReplaceOrder:
    """Cancel one order and send another in its place, in the same account."""

    account: str
    order_id: str
    order: PlaceOrder

    def __post_init__(self) -> None:
        """Refuse what the person would not see in its line, and the call could not do."""
        if self.order.account != self.account or self.order.flatten_first:
            raise ValueError("a replacement stays in its account and flattens nothing")


@dataclass(frozen=True, slots=True)
class ReversePosition:
    """Stand the other way round in one instrument, at the same size."""

    account: str
    instrument: Instrument


@dataclass(frozen=True, slots=True)
class ProtectPosition:
    """Put a bracket around one position in place of its orders; at least one of the two prices is given."""

    account: str
    instrument: Instrument
    take_profit_price: Decimal | None
    stop_loss_price: Decimal | None


@dataclass(frozen=True, slots=True)
class FlattenEverything:
    """Leave all positions and cancel all orders of several accounts, one account after the other."""

    accounts: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse to flatten accounts that nobody named."""
        if not self.accounts or len(set(self.accounts)) < len(self.accounts):
            raise ValueError("name each account that is flattened, once")

    @property
    def account(self) -> str:
        """All of their names, for the one line that a person reads."""
        return ", ".join(self.accounts)


@dataclass(frozen=True, slots=True)
class EnableStrategy:
    """Let a strategy that was disabled trade on."""

    account: str
    strategy_id: str


@dataclass(frozen=True, slots=True)
class DisableStrategy:
    """Pause a strategy: its position stays, and NinjaTrader may cancel its orders."""

    account: str
    strategy_id: str


@dataclass(frozen=True, slots=True)
class CloseStrategy:
    """End a strategy together with its position and its orders."""

    account: str
    strategy_id: str


OrderAsked = PlaceOrder | ChangeOrder | ReplaceOrder
PositionAsked = ClosePosition | Flatten | FlattenEverything | ReversePosition | ProtectPosition
StrategyAsked = StartStrategy | EnableStrategy | DisableStrategy | CloseStrategy
Action = OrderAsked | CancelOrder | CancelOrders | PositionAsked | StrategyAsked


def describe(action: Action) -> str:
    """One line that a person can read, without the account's kind: ``Sim101  BUY 2 ES 12-26 MARKET``."""
    return f"{action.account}  {_words(action)}"


def _words(action: Action) -> str:
    match action:
        case PlaceOrder():
            return _order_words(action)
        case ChangeOrder():
            return f"CHANGE {action.order_id} to {_change_words(action)}"
        case ReplaceOrder():
            return f"REPLACE {action.order_id} by {_order_words(action.order)}"
        case CancelOrder() | CancelOrders():
            return f"CANCEL {action.order_id if isinstance(action, CancelOrder) else _all_orders(action.instrument)}"
        case StartStrategy() | EnableStrategy() | DisableStrategy() | CloseStrategy():
            return _strategy_words(action)
        case _:
            return _position_words(action)


def _strategy_words(action: StrategyAsked) -> str:
    match action:
        case StartStrategy():
            bars = f"{action.period} {action.bar_type} bars"
            given = "".join(f", {name}={value}" for name, value in action.parameters)
            return f"START STRATEGY {action.strategy_class} on {action.instrument}, {bars}, on its {action.mode}{given}"
        case EnableStrategy():
            return f"ENABLE STRATEGY {action.strategy_id}"
        case DisableStrategy():
            return f"DISABLE STRATEGY {action.strategy_id}, its position stays"
        case CloseStrategy():  # pragma: no branch  # the set is closed
            return f"CLOSE STRATEGY {action.strategy_id} with its position and orders"


def _position_words(action: PositionAsked) -> str:
    match action:
        case ClosePosition():
            return f"CLOSE {_how_much(action)} {action.instrument}"
        case Flatten():
            return f"FLATTEN {action.instrument or 'everything in this account'}"
        case FlattenEverything():
            return "FLATTEN everything in each of these accounts"
        case ReversePosition():
            return f"REVERSE {action.instrument}"
        case ProtectPosition():  # pragma: no branch  # the set is closed
            return f"PROTECT {action.instrument} with {_bracket_words(action)}, in place of its orders"


def _order_words(order: PlaceOrder) -> str:
    words = [
        order.action.value,
        str(order.quantity),
        str(order.instrument),
        order.order_type.value.replace("_", " "),
    ]
    if order.limit_price is not None:
        words.append(f"limit {_number(order.limit_price)}")
    if order.stop_price is not None:
        words.append(f"stop {_number(order.stop_price)}")
    if order.time_in_force is not TimeInForce.DAY:
        words.append(order.time_in_force.value)
    if order.atm_strategy:
        words.append(f"with ATM strategy {order.atm_strategy}")
    if order.oco_id:
        words.append(f"in OCO group {order.oco_id}")
    return " ".join(["flatten first, then", *words] if order.flatten_first else words)


def _change_words(change: ChangeOrder) -> str:
    given = (("quantity", change.quantity), ("limit", change.limit_price), ("stop", change.stop_price))
    return ", ".join(f"{name} {_number(value)}" for name, value in given if value is not None)


def _bracket_words(protect: ProtectPosition) -> str:
    given = (("take profit", protect.take_profit_price), ("stop loss", protect.stop_loss_price))
    return " and ".join(f"{name} {_number(value)}" for name, value in given if value is not None)


def _how_much(close: ClosePosition) -> str:
    if close.quantity is not None:
        return f"{close.quantity} of"
    return "all of" if close.percent is None else f"{_number(close.percent)} % of"


def _number(value: int | Decimal) -> str:
    """Without an exponent, but never as long as an absurd one would make it."""
    whole_or_absurd = isinstance(value, int) or not value.is_finite() or not -20 < value.adjusted() < 20
    return str(value)[:40] if whole_or_absurd else f"{value:f}"


def _all_orders(instrument: Instrument | None) -> str:
    return "all orders" if instrument is None else f"all orders of {instrument}"


def fingerprint(action: Action) -> str:
    """Equal for identical actions and for nothing else; 6410.0 and 6410.00 are the same price."""
    parts = (f"{field.name}={_canonical(getattr(action, field.name))}" for field in fields(action))
    return sha256("\x1f".join((type(action).__name__, *parts)).encode()).hexdigest()


def _canonical(value: object) -> str:
    if isinstance(value, PlaceOrder):
        return fingerprint(value)
    return str(value.normalize()) if isinstance(value, Decimal) and value.is_finite() else repr(value)
