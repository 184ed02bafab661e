"""The commands: what may be asked of the desk.

The caller gives every field that decides a trade; nothing is defaulted here. What a command *does* is said in one
place, `guard/effect.py`; how it is sent in `desk/handlers`.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256

from ct_mcp.domain.bracket import Bracket, ExitLevel, Target
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.level import Distance
from ct_mcp.domain.order import NEW_GROUP, Order, OrderAction, OrderType, TimeInForce
from ct_mcp.domain.products import price_of, ticks_in_32nds
from ct_mcp.domain.strategy import StartStrategy
from ct_mcp.domain.watch import SetWatch, command_words
from ct_mcp.text import quoted


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """Send one new order.

    ``bracket`` are the exits that it gets as it fills. ``risk`` is the money that its size was reckoned from, and
    ``tag`` the setup that the person names it by; neither changes what is sent. ``exit_of`` names the entry whose
    bracket this order is a part of: only the desk makes such an order, and never for a caller.
    """

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
    bracket: Bracket | None = None
    risk: Decimal | None = None
    tag: str | None = None
    exit_of: str | None = None


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
        """Refuse what the person would not see, and the call could not do."""
        if self.order.account != self.account or self.order.flatten_first:
            raise ValueError("a replacement stays in its account and flattens nothing")


@dataclass(frozen=True, slots=True)
class ReversePosition:
    """Turn one position round, at the same size."""

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


OrderCommand = PlaceOrder | ChangeOrder | ReplaceOrder
PositionCommand = ClosePosition | Flatten | ReversePosition | ProtectPosition
StrategyCommand = StartStrategy | EnableStrategy | DisableStrategy | CloseStrategy
Command = OrderCommand | CancelOrder | CancelOrders | PositionCommand | StrategyCommand | SetWatch


KINDS: Mapping[type[Command], str] = {
    PlaceOrder: "place order",
    ChangeOrder: "change order",
    ReplaceOrder: "replace order",
    CancelOrder: "cancel order",
    CancelOrders: "cancel orders",
    ClosePosition: "close position",
    Flatten: "flatten",
    ReversePosition: "reverse position",
    ProtectPosition: "protect position",
    StartStrategy: "start strategy",
    EnableStrategy: "enable strategy",
    DisableStrategy: "disable strategy",
    CloseStrategy: "close strategy",
    SetWatch: "set watch",
}


def summarize(commands: Sequence[Command]) -> str:
    """Write several commands as one line: the accounts, and what is asked for in each."""
    accounts = ", ".join(dict.fromkeys(command.account for command in commands))
    return f"{accounts}  {'; '.join(dict.fromkeys(_words(command, named=True) for command in commands))}"


def describe(command: Command) -> str:
    """Write a command as one line, without the kind of its account: ``Sim101  BUY 2 ES 12-26 MARKET``."""
    return f"{command.account}  {_words(command, named=True)}"


def headline(command: Command) -> str:
    """Write what a command asks for, without its account and without a word of the assistant's: see `names`.

    ``BUY 2 ES 12-26 MARKET in an OCO group``.
    """
    return _words(command, named=False)


def as_meant(command: Command, before: int | None, after: int | None) -> Command:
    """Give a command as it is put into words: a close of as many contracts as are held is one of all of them."""
    if isinstance(command, ClosePosition) and before and after == 0:
        return replace(command, quantity=None, percent=None)
    return command


def names(command: Command, groups: Container[str | None] = ()) -> tuple[str, ...]:
    """Give what the assistant named in its own words, each quoted: ``OCO group "exit-1"``; no group that stands."""
    match command:
        case PlaceOrder():
            group = None if command.oco_id == NEW_GROUP or command.oco_id in groups else command.oco_id
            given = (("ATM strategy", command.atm_strategy), ("OCO group", group), ("tag", command.tag))
            return tuple(f"{what} {quoted(name)}" for what, name in given if name)
        case ReplaceOrder():
            return names(command.order, groups)
        case CancelOrder():
            return (f"order {quoted(command.order_id)}",)
        case StartStrategy():
            parameters = (f"{quoted(name)} = {quoted(str(value))}" for name, value in command.parameters)
            return (f"strategy {quoted(command.strategy_class)}", *parameters)
        case EnableStrategy() | DisableStrategy() | CloseStrategy():
            return (f"strategy {quoted(command.strategy_id)}",)
        case _:
            return ()


def _words(command: Command, *, named: bool) -> str:
    match command:
        case PlaceOrder():
            return _order_words(command, named=named)
        case ChangeOrder():
            return f"CHANGE {command.order_id} to {_change_words(command)}"
        case ReplaceOrder():
            return f"REPLACE {command.order_id} by {_order_words(command.order, named=named)}"
        case CancelOrder() | CancelOrders():
            return f"CANCEL {_orders_cancelled(command, named=named)}"
        case StartStrategy() | EnableStrategy() | DisableStrategy() | CloseStrategy():
            return _strategy_words(command, named=named)
        case _:
            return _position_words(command)


def _strategy_words(command: StrategyCommand, *, named: bool) -> str:
    match command:
        case StartStrategy():
            bars = f"{command.period} {command.bar_type} bars"
            given = "".join(f", {name}={value}" for name, value in command.parameters) if named else ""
            what = f" {command.strategy_class}" if named else ""
            return f"START STRATEGY{what} on {command.instrument}, {bars}, on its {command.mode}{given}"
        case _:
            what = f" {command.strategy_id}" if named else ""
    match command:
        case EnableStrategy():
            return f"ENABLE STRATEGY{what}"
        case DisableStrategy():
            return f"DISABLE STRATEGY{what}, its position stays"
        case CloseStrategy():  # pragma: no branch  # the set is closed
            return f"CLOSE STRATEGY{what} with its position and orders"


def _position_words(command: PositionCommand | SetWatch) -> str:
    match command:
        case SetWatch():
            return command_words(command)
        case ClosePosition():
            return f"CLOSE {_how_much(command)} {command.instrument}"
        case Flatten():
            return f"FLATTEN {command.instrument or 'everything'}"
        case ReversePosition():
            return f"REVERSE {command.instrument}"
        case ProtectPosition():  # pragma: no branch  # the set is closed
            return f"PROTECT {command.instrument} with {_bracket_words(command)}, in place of its orders"


def _order_words(order: PlaceOrder, *, named: bool) -> str:
    terms = order_terms(order, named=named)
    words = " ".join(filter(None, (order.action, str(order.quantity), str(order.instrument), *terms)))
    words = ", ".join(filter(None, (words, exits_in_words(order))))
    return f"flatten first, then {words}" if order.flatten_first else words


def order_terms(order: PlaceOrder, *, named: bool = False) -> tuple[str, str, str]:
    """Write how an order is done, in three parts: its type, its prices, and the rest; empty where there is none.

    ``LIMIT``, ``6410``, ``GTC``; or ``STOP LIMIT``, ``stop 6390 limit 6389``, nothing. ``named`` says by what name
    the assistant calls its template and its group.
    """
    rest = [] if order.time_in_force is TimeInForce.DAY else [order.time_in_force.value]
    if order.atm_strategy:
        rest.append(f'with ATM strategy "{order.atm_strategy}"' if named else "with an ATM strategy")
    if order.oco_id:
        is_named = named and order.oco_id != NEW_GROUP
        rest.append(f'in OCO group "{order.oco_id}"' if is_named else "in an OCO group")
    prices = price_terms(order)
    return order.order_type.value.replace("_", " "), prices, " ".join(rest)


def price_terms(order: PlaceOrder | Order) -> str:
    """Write the prices of an order: ``6410``, or ``stop 6390 limit 6389`` where one could be taken for the other."""
    given = {"stop": order.stop_price, "limit": order.limit_price}
    named = order.order_type is OrderType.STOP_LIMIT or None not in given.values()
    prices = {name: _price(order.instrument, price) for name, price in given.items() if price is not None}
    return " ".join(f"{name} {price}" if named else price for name, price in prices.items())


def exits_in_words(order: PlaceOrder) -> str:
    """Write the exits that go with an order: ``stop 10 points, target 6430``; nothing where none do."""
    bracket = order.bracket
    if bracket is None:
        return ""
    stop = () if bracket.stop_loss is None else (f"stop {_level_words(bracket.stop_loss, order.instrument)}",)
    targets = (f"target {_target_words(target, order.instrument)}" for target in bracket.take_profit)
    return ", ".join((*stop, *targets))


def _target_words(target: Target, instrument: Instrument) -> str:
    at = _level_words(target.level, instrument)
    return at if target.quantity is None else f"{at} for {target.quantity}"


def _level_words(level: ExitLevel, instrument: Instrument) -> str:
    return str(level) if isinstance(level, Distance) else _price(instrument, level)


def _change_words(change: ChangeOrder) -> str:
    given = (("quantity", change.quantity), ("limit", change.limit_price), ("stop", change.stop_price))
    return ", ".join(f"{name} {_number(value)}" for name, value in given if value is not None)


def _bracket_words(protect: ProtectPosition) -> str:
    given = (("take profit", protect.take_profit_price), ("stop loss", protect.stop_loss_price))
    return " and ".join(f"{name} {_price(protect.instrument, value)}" for name, value in given if value is not None)


def _price(instrument: object, price: Decimal) -> str:
    return price_of(instrument, price) if ticks_in_32nds(instrument) else _number(price)


def _how_much(close: ClosePosition) -> str:
    if close.quantity is not None:
        return f"{close.quantity} of"
    percent = close.percent
    return "all of" if percent is None or (percent.is_finite() and percent == 100) else f"{_number(percent)} % of"


def _number(value: int | Decimal) -> str:
    """Without an exponent, but never as long as an absurd one would make it."""
    whole_or_absurd = isinstance(value, int) or not value.is_finite() or not -20 < value.adjusted() < 20
    return str(value)[:40] if whole_or_absurd else f"{value:f}"


def _orders_cancelled(command: CancelOrder | CancelOrders, *, named: bool) -> str:
    if isinstance(command, CancelOrder):
        return command.order_id if named else "an order"
    return "all orders" if command.instrument is None else f"all orders of {command.instrument}"


def fingerprint_all(commands: Sequence[Command]) -> str:
    """Make the fingerprint of what a ticket holds: of one command its own, of several one over them all, in order."""
    prints = [fingerprint(command) for command in commands]
    return prints[0] if len(prints) == 1 else sha256("\x1e".join(prints).encode()).hexdigest()


def fingerprint(command: Command) -> str:
    """Equal for identical commands and for nothing else; 6410.0 and 6410.00 are the same price.

    An order whose size was reckoned from what it risks is the same whatever size came of that: it was asked for once.
    """
    return _fingerprint(command)


def _fingerprint(value: Command | Bracket | Target | Distance) -> str:
    value = value.in_order if isinstance(value, StartStrategy) else value
    sized = isinstance(value, PlaceOrder) and value.risk is not None
    names = (field.name for field in fields(value) if not (sized and field.name == "quantity"))
    parts = (f"{name}={_canonical(getattr(value, name))}" for name in names)
    return sha256("\x1f".join((type(value).__name__, *parts)).encode()).hexdigest()


def wish(command: Command) -> str:
    """Equal for commands that somebody who repeats one wish would send, in whatever words.

    Time in force and group do not make another wish, and of a market order nothing does but its side and its size; of
    a size that was reckoned from a risk, the risk.
    """
    if isinstance(command, ReplaceOrder):
        return fingerprint(replace(command, order=_essence(command.order)))
    return fingerprint(_essence(command) if isinstance(command, PlaceOrder) else command)


def _essence(order: PlaceOrder) -> PlaceOrder:
    bare = replace(order, time_in_force=TimeInForce.DAY, oco_id=None, bracket=None, tag=None)
    if order.order_type is OrderType.MARKET:
        return replace(bare, atm_strategy=None, flatten_first=False)
    return bare


def _canonical(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, PlaceOrder | Bracket | Target | Distance):
        return _fingerprint(value)
    if isinstance(value, tuple):
        return f"({','.join(map(_canonical, value))})"
    return str(value.normalize()) if isinstance(value, Decimal) and value.is_finite() else repr(value)
