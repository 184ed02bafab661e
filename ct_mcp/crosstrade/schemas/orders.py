"""Orders, executions, lifecycles and acknowledgements, as the service spells them."""

import html
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

from pydantic import AliasChoices, BeforeValidator, Field, PlainValidator, field_validator

from ct_mcp.crosstrade.schemas.accounts import WirePosition
from ct_mcp.crosstrade.schemas.reply import KnownRows, Reply, WireModel, parse_row
from ct_mcp.crosstrade.schemas.values import (
    AskedAccount,
    ExactAmount,
    HeldInstrument,
    HeldQuantity,
    MaybeEpoch,
    MaybeFlag,
    MaybeLabel,
    MaybeMoney,
    MaybePrice,
    MaybeText,
    MaybeTime,
    MaybeWhole,
    Price,
    RowInfo,
    Text,
    asked_account,
    held_price,
    or_empty_list,
    parse_text,
    required_text,
    row_fault,
)
from ct_mcp.domain.account import Position
from ct_mcp.domain.order import (
    Execution,
    Lifecycle,
    LifecycleEvent,
    Order,
    OrderAction,
    OrderState,
    OrderType,
    TimeInForce,
)
from ct_mcp.text import normalize, sanitize

# --- words ---

_LONGEST_REMARK = 200
# Read with a pattern: an XML parser would follow whatever a name or a signal put into the blob.
_OWN_ID = re.compile(r"<AutomatedTradingOrderId>([^<>]{1,200})</AutomatedTradingOrderId>")
_ACTIONS = {
    "buy": OrderAction.BUY,
    "buytocover": OrderAction.BUY,
    "sell": OrderAction.SELL,
    "sellshort": OrderAction.SELL,
}
_TYPES = {normalize(kind): kind for kind in OrderType} | {"mit": OrderType.MARKET_IF_TOUCHED}
_STATES = {normalize(state): state for state in OrderState} | {"canceled": OrderState.CANCELLED}
_FILL_ACTIONS = {"long": OrderAction.BUY, "short": OrderAction.SELL}


def parse_state(word: str) -> OrderState:
    """Read a state in any case and spacing; what we do not know is UNKNOWN, which never counts as closed."""
    return _STATES.get(normalize(word), OrderState.UNKNOWN)


def _maybe_state(value: object) -> OrderState | None:
    word = parse_text(value)
    return None if word is None else parse_state(word)


def _order_action(value: object) -> OrderAction:
    word = normalize(required_text(value))
    if word not in _ACTIONS:
        raise row_fault("its action is none that we know")
    return _ACTIONS[word]


def _order_type(value: object) -> OrderType:
    """Read a type; one that the service cannot place still makes an order that counts, and that can be cancelled."""
    return _TYPES.get(normalize(required_text(value)), OrderType.OTHER)


def _fill_action(value: object) -> OrderAction | None:
    return _FILL_ACTIONS.get(normalize(parse_text(value) or ""))


def _time_in_force(value: object) -> TimeInForce | None:
    word = (parse_text(value) or "").strip().upper()
    return TimeInForce(word) if word in TimeInForce.__members__ else None


def _own_id(value: object) -> str | None:
    """Give the id that we gave the order, which comes back inside a blob, and on some orders only."""
    found = _OWN_ID.search(parse_text(value) or "")
    return html.unescape(found[1]) if found else None


def _maybe_asked_account(value: object, info: RowInfo) -> str | None:
    return None if parse_text(value) is None else asked_account(value, info)


def _remark(value: object) -> str | None:
    """Read their words on what went wrong, made harmless; that nothing did is no remark."""
    words = sanitize(parse_text(value) or "", longest=_LONGEST_REMARK)
    return words if words and normalize(words) != "noerror" else None


def _ids(value: object) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


# Why the broker or NinjaTrader said no: its own words where there are any, else the name of the fault.
_REMARKS = AliasChoices("nativeError", "error")

# --- what is read ---


class WireOrder(WireModel):
    """One order; it may carry its id under either of two names."""

    order_type: Annotated[OrderType, PlainValidator(_order_type)]
    account: AskedAccount = ""
    order_id: Text = Field(validation_alias=AliasChoices("id", "orderId"))
    instrument_type: MaybeText = None
    instrument: HeldInstrument
    filled: HeldQuantity
    action: Annotated[OrderAction, PlainValidator(_order_action)] = Field(
        validation_alias=AliasChoices("orderAction", "action")
    )
    state_word: MaybeText = Field(default=None, validation_alias="orderState")
    quantity: HeldQuantity
    exact_quantity: ExactAmount = Field(default=None, validation_alias="quantity")
    limit_price: Decimal | None = Field(default=None, validate_default=True)
    stop_price: Decimal | None = Field(default=None, validate_default=True)
    average_fill_price: MaybePrice = None
    time_in_force: Annotated[TimeInForce | None, PlainValidator(_time_in_force)] = None
    oco_id: MaybeText = None
    name: MaybeLabel = None
    automated_trading_order_id: MaybeText = None
    user_data: Annotated[str | None, PlainValidator(_own_id)] = None
    epoch: MaybeEpoch = None
    time: MaybeTime = None
    said: Annotated[str | None, PlainValidator(_remark)] = Field(default=None, validation_alias=_REMARKS)

    @field_validator("limit_price", "stop_price", mode="plain")
    @classmethod
    def _price_of_the_type(cls, value: object, info: RowInfo) -> Decimal | None:
        """Unused prices are 0.0 and never null, so what the type does not use is not read at all.

        Of what is no dated future a price may be missing: its row must hide no other.
        """
        kind = info.data.get("order_type", OrderType.OTHER)
        is_used = kind.needs_limit_price if info.field_name == "limit_price" else kind.needs_stop_price
        return held_price(value, info) if is_used else None

    def order(self) -> Order:
        """Give it in our words.

        Filled is their word for all of it: a count of contracts that says less is behind it.
        """
        word = self.state_word or ""
        state = parse_state(word)
        filled = max(self.filled, self.quantity) if state is OrderState.FILLED else self.filled
        return Order(
            account=self.account,
            order_id=self.order_id,
            instrument=self.instrument,
            action=self.action,
            order_type=self.order_type,
            state=state,
            quantity=self.quantity,
            exact_quantity=self.exact_quantity,
            filled=filled,
            limit_price=self.limit_price,
            stop_price=self.stop_price,
            # Zero is the price of what has not filled: beside a fill it is none.
            average_fill_price=(self.average_fill_price or None) if filled else None,
            time_in_force=self.time_in_force,
            oco_id=self.oco_id,
            name=self.name,
            own_id=self.automated_trading_order_id or self.user_data,
            # The epoch where there is one, since their text often lacks its zone.
            placed_at=self.epoch or self.time,
            unknown_word=None if normalize(word) in _STATES else sanitize(word, longest=40) or None,
            said=self.said,
        )


class WireExecution(WireModel):
    """One execution."""

    account: AskedAccount = ""
    execution_id: Text = Field(validation_alias="id")
    order_id: MaybeText = None
    instrument_type: MaybeText = None
    instrument: HeldInstrument
    # On an execution the market position is the direction of the fill, not of what stands afterwards.
    action: Annotated[OrderAction | None, PlainValidator(_fill_action)] = Field(
        default=None, validation_alias="marketPosition"
    )
    quantity: HeldQuantity
    exact_quantity: ExactAmount = Field(default=None, validation_alias="quantity")
    price: Price
    name: MaybeLabel = None
    commission: MaybeMoney = None
    fee: MaybeMoney = None
    epoch: MaybeEpoch = None
    time: MaybeTime = None

    def execution(self) -> Execution:
        """Give it in our words; its time is read from the epoch, since the text lacks its zone."""
        return Execution(
            account=self.account,
            execution_id=self.execution_id,
            order_id=self.order_id,
            instrument=self.instrument,
            action=self.action,
            quantity=self.quantity,
            exact_quantity=self.exact_quantity,
            price=self.price,
            at=self.epoch or self.time,
            name=self.name,
            commission=None if self.commission is None else self.commission + (self.fee or 0),
        )


class WireEvent(WireModel):
    """One step in the history of an order."""

    epoch: MaybeEpoch = None
    timestamp: MaybeTime = None
    source: MaybeLabel = None
    event: MaybeLabel = None
    order_state: Annotated[OrderState | None, PlainValidator(_maybe_state)] = None
    order_id: MaybeText = None
    said: Annotated[str | None, PlainValidator(_remark)] = Field(default=None, validation_alias=_REMARKS)


class WireLifecycle(WireModel):
    """The head of a history."""

    order_id: Text
    original_order_id: MaybeText = None
    account: Annotated[str | None, PlainValidator(_maybe_asked_account)] = None


def known_orders() -> KnownRows[Order]:
    """Give what remembers the orders of lists, of one account or of all where none is named."""
    return KnownRows("orders", lambda row, what, context: parse_row(WireOrder, row, what, context).order())


def parse_asked_order(reply: Reply, asked: str) -> Order:
    """Read one order. Its id may differ from the one asked for: NinjaTrader and brokers assign new ones."""
    return reply.single("order", WireOrder, ["orderState"], asked).order()


def parse_lifecycle(reply: Reply, asked: str) -> Lifecycle:
    """Read the history of an order, oldest first.

    The service does not look at the account that it is asked with, so another account's order is refused here.
    """
    head = reply.single("lifecycle", WireLifecycle, ["orderId"], asked)
    events = tuple(_event(row) for row in reply.rows("events", WireEvent))
    if all(event.at is not None for event in events):
        events = tuple(sorted(events, key=lambda event: event.at or reply.now))
    return Lifecycle(head.order_id, head.original_order_id, head.account, events)


def known_executions() -> KnownRows[Execution]:
    """Give what remembers the executions of lists."""
    return KnownRows("executions", lambda row, what, context: parse_row(WireExecution, row, what, context).execution())


def parse_executions(reply: Reply, asked: str) -> tuple[Execution, ...]:
    """Read every execution of one account."""
    return known_executions().of(reply, asked)


def parse_executions_of_order(reply: Reply, asked: str) -> tuple[Execution, ...]:
    """Read all of one order; its id may differ from the one that was asked with, but not from row to row."""
    executions = parse_executions(reply, asked)
    order_ids = {execution.order_id for execution in executions}
    if None in order_ids or len(order_ids) > 1:
        reply.refuse("its rows do not all name the same order")
    return executions


def _event(row: WireEvent) -> LifecycleEvent:
    return LifecycleEvent(
        at=row.epoch or row.timestamp,
        source=row.source or "",
        event=row.event or "",
        state=row.order_state,
        order_id=row.order_id,
        said=row.said,
    )


# --- acknowledgements ---


class WireAcknowledgement(WireModel):
    """What comes back from a write; newer services say more after a close."""

    order_id: MaybeText = None
    order_ids: Annotated[tuple[str, ...], PlainValidator(_ids)] = ()
    closed_positions: Annotated[tuple[WirePosition, ...], BeforeValidator(or_empty_list)] = ()
    pending: MaybeFlag = None
    remaining_quantity: MaybeWhole = None


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """They took a request: it is neither working nor filled, and nothing is flat, before it was read back.

    ``closed`` holds positions as they stood when closing was requested: proof of the request, not of the fill.
    ``pending`` and ``remaining_quantity`` come from newer services after a close; None where they say nothing.
    ``warning`` holds their words, made harmless.
    """

    order_ids: tuple[str, ...] = ()
    warning: str | None = None
    closed: tuple[Position, ...] = ()
    pending: bool | None = None
    remaining_quantity: int | None = None


def parse_acknowledgement(reply: Reply, account: str) -> Acknowledged:
    """Read an acknowledgement; without ``success: true`` there is none.

    Raises:
        BadReply: It does not prove that the request was taken.
    """
    if not reply.succeeded:
        reply.refuse("success is not claimed")
    row = reply.whole(WireAcknowledgement, account)
    ids = (row.order_id, *row.order_ids)
    return Acknowledged(
        order_ids=tuple(dict.fromkeys(each for each in ids if each is not None)),
        warning=reply.warning,
        closed=tuple(each.position() for each in row.closed_positions),
        pending=row.pending,
        remaining_quantity=row.remaining_quantity,
    )


def parse_order_acknowledgement(reply: Reply, account: str) -> Acknowledged:
    """Read an acknowledgement that must name its order."""
    acknowledged = parse_acknowledgement(reply, account)
    return acknowledged if acknowledged.order_ids else reply.refuse("it names no order")
