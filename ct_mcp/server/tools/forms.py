"""What tools ask for: fields that several of them share, and the form of an order.

A tool with many fields takes one form, whose fields are its arguments; see `tool_schema`.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AliasChoices, BeforeValidator, Field, ValidatorFunctionWrapHandler, WrapValidator

from ct_mcp.domain.account import account_key
from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.level import ExitKind, Level, read_level
from ct_mcp.domain.order import OrderAction, OrderType, TimeInForce
from ct_mcp.domain.products import read_32nds, ticks_in_32nds
from ct_mcp.errors import BadRequest
from ct_mcp.server.tool_schema import MOST_COUNTED, MOST_RISKED, UNLISTED, StrictArguments
from ct_mcp.server.tools.exit_levels import read_bracket, targets_as_text, to_decimal

if TYPE_CHECKING:  # the desk is loaded by the first call, not by the start
    from ct_mcp.desk.desk import Desk

AccountName = Annotated[str, Field(description="Name, from get_accounts")]
AnyAccount = Annotated[str | None, Field(description="Else all")]
InstrumentName = Annotated[str, Field(description="ES 12-26; ES: front month")]
HeldInstrument = Annotated[str, Field(description="ES 12-26; ES: month held")]
AnyInstrument = Annotated[str | None, Field(description="Only this; ES: all its months")]
OneInstrument = Annotated[str | None, Field(description="Else the whole account")]
Details = Annotated[bool, Field(description="true: every limit and figure")]
Skip = Annotated[int, Field(ge=0, description="Rows to skip, as the answer says")]
OrderId = Annotated[str, Field(min_length=1, max_length=64, description="From get_orders")]
_Action = Annotated[Literal["BUY", "SELL"], Field(description="What the person asked for")]
_Quantity = Annotated[int, Field(ge=1, le=MOST_COUNTED, description="Contracts")]
_OrderType = Annotated[
    Literal["MARKET", "LIMIT", "STOP_MARKET", "STOP_LIMIT"],
    Field(
        description="LIMIT: at its price or better, at once if the market is there. STOP: once it trades there. "
        "MARKET: now. If unsaid, ask"
    ),
]


async def name_on_record(desk: "Desk", account: str) -> str:
    """Give an account its name as it is on record, which needs no service; or as the service knows it.

    Raises:
        BadRequest: No account is called so.
    """
    on_record = {account_key(name): name for name in await desk.book.accounts()}
    return on_record.get(account_key(account)) or (await desk.resolver.account(account)).name


Shown = Callable[[str, str], Awaitable[Instrument | None]]
"""By the name of an instrument and of an account."""


class In32nds(float):
    """A price that was written in 32nds, which counts only where the product is quoted so."""


def _as_written(value: object, number: ValidatorFunctionWrapHandler) -> float:
    """Take what a bond trader types, ``115'25``; any other text is refused as ever, and numbers stay as they are."""
    written = read_32nds(value) if isinstance(value, str) else None
    return float(number(value)) if written is None else In32nds(written)


Price = Annotated[float, WrapValidator(_as_written)]


def _as_text(value: object) -> object:
    """Take a price that comes as a number for what it would be as text."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return str(value) if isinstance(value, int) else str(to_decimal(value))


_LEVEL = "'6390.25'; '10 points' or '40 ticks' from the average price; 'break-even', 'break-even +2 ticks'"
_Level = Annotated[str | None, BeforeValidator(_as_text)]
StopLevel = Annotated[
    _Level,
    Field(max_length=40, description=f"Stop: {_LEVEL}", validation_alias=AliasChoices("stop_loss", "stop_loss_price")),
]
TargetLevel = Annotated[
    _Level,
    Field(
        max_length=40,
        description="Target: as stop_loss",
        validation_alias=AliasChoices("take_profit", "take_profit_price"),
    ),
]
"""Both are taken under the names of before as well, which are listed no more."""
_LimitPrice = Annotated[Price | None, Field(description="Only of LIMIT types")]
_StopPrice = Annotated[Price | None, Field(description="Only of STOP types")]
_TimeInForce = Annotated[Literal["DAY", "GTC"], Field(description="GTC: until cancelled")]
_OcoId = Annotated[str | None, Field(max_length=32, description="One cancels other: one new id on both")]
_AtmStrategy = Annotated[
    str | None, Field(max_length=64, description="ATM template, which brings its own stop and target")
]
_AsInPlaceOrder = Annotated[str | None, Field(max_length=64, description="As in place_order")]
_OcoAsInPlaceOrder = Annotated[str | None, Field(max_length=32, description="As in place_order")]
_FlattenFirst = Annotated[
    bool, Field(description="true: close what is held in the instrument, then send this; takes no stop_loss")
]
_Reason = Annotated[str | None, Field(max_length=300, description="Why, for the journal")]


_Risk = Annotated[
    float | None,
    Field(
        ge=0.01,
        le=MOST_RISKED,
        description="Instead of quantity: the most it may lose to stop_loss, in account currency; with one target",
    ),
]
_EntryLevel = "'6390.25', or from the fill: '10 points', '40 ticks'"
_StopLoss = Annotated[
    _Level,
    Field(
        max_length=40,
        description=f"Stop for it, which this server sends as it fills: {_EntryLevel}",
        validation_alias=AliasChoices("stop_loss", "stop_loss_price"),
    ),
]
_TakeProfit = Annotated[
    str | None,
    BeforeValidator(targets_as_text),
    Field(
        max_length=200,
        description="Target: as stop_loss, or '2R', twice the stop's distance; several: '1 at 1R, 1 at 20 points'",
        validation_alias=AliasChoices("take_profit", "take_profit_price"),
    ),
]
_StopAsInPlaceOrder = Annotated[
    _Level,
    Field(
        max_length=40, description="As in place_order", validation_alias=AliasChoices("stop_loss", "stop_loss_price")
    ),
]
_TargetAsInPlaceOrder = Annotated[
    str | None,
    BeforeValidator(targets_as_text),
    Field(
        max_length=200,
        description="As in place_order",
        validation_alias=AliasChoices("take_profit", "take_profit_price"),
    ),
]
_Tag = Annotated[str | None, Field(max_length=32, description="Name of the setup, for get_performance")]


class OrderForm(StrictArguments):
    """An order as the assistant words it; nothing that decides a trade is corrected or filled in."""

    account: AccountName
    instrument: InstrumentName
    action: _Action
    quantity: _Quantity
    order_type: _OrderType
    limit_price: _LimitPrice = None
    stop_price: _StopPrice = None
    time_in_force: _TimeInForce = "DAY"
    oco_id: _OcoId = None
    atm_strategy: _AtmStrategy = None

    async def order(self, desk: "Desk", shown: Shown | None = None, *, flatten_first: bool = False) -> PlaceOrder:
        """Resolve the names; ``shown`` gives the contract that a form has shown for these arguments, if one has.

        Raises:
            CtMcpError: There is no such account or instrument, or nobody could be asked.
        """
        account, action = (await desk.resolver.account(self.account)).name, OrderAction(self.action)
        instrument = await shown(self.instrument, account) if shown else None
        if instrument is None or instrument != await desk.resolver.instrument(self.instrument):
            instrument = await desk.resolver.instrument_to_trade(self.instrument, account, action)
        return PlaceOrder(
            account=account,
            instrument=instrument,
            action=action,
            quantity=self.quantity,
            order_type=OrderType(self.order_type),
            limit_price=to_price(self.limit_price, instrument),
            stop_price=to_price(self.stop_price, instrument),
            time_in_force=TimeInForce(self.time_in_force),
            oco_id=_named(self.oco_id),
            atm_strategy=_named(self.atm_strategy),
            flatten_first=flatten_first,
        )


class EntryForm(OrderForm):
    """An order with the exits that go with it, and a size of its own or from what it may lose."""

    quantity: Annotated[int | None, Field(ge=1, le=MOST_COUNTED, description="Contracts; or give risk")] = None  # type: ignore[assignment]  # one of the two is asked for
    risk: _Risk = None
    stop_loss: _StopLoss = None
    take_profit: _TakeProfit = None
    tag: _Tag = None

    async def entry(self, desk: "Desk", shown: Shown | None = None, *, flatten_first: bool = False) -> PlaceOrder:
        """Resolve the names, put the exits to the order, and reckon its size where that is left to what it risks.

        Raises:
            CtMcpError: As `order`; or the exits cannot be read, or no contract fits the risk.
        """
        if (self.quantity is None) == (self.risk is None):
            raise BadRequest("give exactly one of quantity and risk; nothing was sent")
        sized = self if self.quantity is not None else self.model_copy(update={"quantity": 1})
        order = await sized.order(desk, shown, flatten_first=flatten_first)
        bracket = read_bracket(self.stop_loss, self.take_profit, order.instrument, desk.policy.protection)
        order = replace(order, bracket=bracket, tag=_named(self.tag))
        return order if self.risk is None else await _from_risk(desk, order, to_decimal(self.risk) or Decimal(0))


class PlaceOrderForm(EntryForm):
    """The arguments of place_order."""

    flatten_first: _FlattenFirst = False
    reason: _Reason = None


class OrderReference(StrictArguments):
    """Which order of which account."""

    account: AccountName
    order_id: OrderId


class ReplaceOrderForm(OrderForm, OrderReference):
    """The arguments of replace_order: the order that goes, then the one that comes."""

    oco_id: _OcoAsInPlaceOrder = None
    atm_strategy: _AsInPlaceOrder = None

    reason: _Reason = None


class PreviewOrderForm(PlaceOrderForm):
    """The arguments of preview_order: those of place_order, so that they can be tried as they are."""

    quantity: Annotated[
        int | None, Field(ge=1, le=MOST_COUNTED, description="Without it and risk: the most that pass")
    ] = None  # type: ignore[assignment]  # as above
    risk: Annotated[float | None, Field(ge=0.01, le=MOST_RISKED, description="As in place_order")] = None
    stop_loss: _StopAsInPlaceOrder = None
    take_profit: _TargetAsInPlaceOrder = None
    tag: Annotated[str | None, Field(max_length=32, json_schema_extra={UNLISTED: True})] = None
    oco_id: _OcoAsInPlaceOrder = None
    atm_strategy: _AsInPlaceOrder = None
    flatten_first: Annotated[bool, Field(description="As in place_order")] = False
    reason: Annotated[str | None, Field(max_length=300, json_schema_extra={UNLISTED: True})] = None
    details: Details = False


async def _from_risk(desk: "Desk", order: PlaceOrder, risk: Decimal) -> PlaceOrder:
    """Give it the size that loses no more than that to its stop."""
    from ct_mcp.guard.context import RiskContext  # noqa: PLC0415  # the rules come with the first call
    from ct_mcp.guard.sizing import size_from_risk  # noqa: PLC0415

    if order.bracket is not None and len(order.bracket.take_profit) > 1:
        raise BadRequest("with risk the size is reckoned, so give one target for all of it; nothing was sent")
    account = await desk.resolver.account(order.account)
    context = RiskContext(desk.clock(), account)
    policy = desk.policy.for_(account.name, order.instrument.root)
    size = size_from_risk(order, risk, await desk.contexts.quote(order.instrument), context, policy)
    return replace(order, quantity=size.contracts, risk=risk)


def to_price(value: float | None, instrument: Instrument | None) -> Decimal | None:
    """Give a price that may be left out; 0, which forms hold that a machine filled in, is as good as left out.

    Raises:
        BadRequest: It was written in 32nds, and the instrument is not quoted so, or is not named.
    """
    price = to_decimal(value or None)
    if isinstance(value, In32nds) and not ticks_in_32nds(instrument):
        what = "which instrument this is about is not named" if instrument is None else f"{instrument} is not quoted so"
        raise BadRequest(f"a price in 32nds was given and {what}; give a number, {price:f} if 32nds are meant")
    return price


def to_levels(given: Mapping[ExitKind, str | None], instrument: Instrument) -> dict[ExitKind, Level]:
    """Read where the legs that were named are to stand.

    Raises:
        BadRequest: One is said in no way that can be read.
    """
    return {leg: _level(text, instrument) for leg, text in given.items() if text and text.strip() not in ("", "0")}


def _level(text: str, instrument: Instrument) -> Level:
    written = read_32nds(text)
    price = None if written is None else to_price(In32nds(written), instrument)
    return read_level(text) if price is None else price


def _named(text: str | None) -> str | None:
    """Give a name; an empty one is as good as left out."""
    return text if text and not text.isspace() else None
