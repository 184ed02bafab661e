"""What a call may say: path, query and body, merged into one flat set of arguments."""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

from ct_mcp.simulator.bars import PeriodType
from ct_mcp.simulator.orders import Action, OrderType, TimeInForce


class Direction(StrEnum):
    """Which positions a flatten is to leave."""

    LONG = "long"
    SHORT = "short"


def in_any_case(kind: type[StrEnum]) -> BeforeValidator:
    """Take the name of an enumeration in any case; the wire writes BUY and also Buy."""
    spellings = {member.lower(): member for member in kind}
    return BeforeValidator(lambda value: spellings.get(value.lower(), value) if isinstance(value, str) else value)


def _none_for_empty(value: object) -> object:
    return None if value == "" else value


def one_of(*names: str) -> WithJsonSchema:
    """Describe an enumeration whose case does not matter."""
    return WithJsonSchema({"type": "string", "enum": list(names), "description": "In any case."})


BuyOrSell = Annotated[Action, in_any_case(Action), one_of("BUY", "SELL")]
Kind = Annotated[OrderType, in_any_case(OrderType), one_of("MARKET", "LIMIT", "STOPMARKET", "STOPLIMIT")]
Standing = Annotated[TimeInForce, in_any_case(TimeInForce), one_of("DAY", "GTC")]
Period = Annotated[PeriodType, in_any_case(PeriodType), one_of("minute", "day", "week", "month", "year")]
Way = Annotated[Direction, in_any_case(Direction), one_of("long", "short")]
Contracts = Annotated[int, Field(gt=0, le=1_000_000, description="Contracts.")]
Price = Annotated[float, Field(gt=0, lt=1_000_000_000, description="A price of the instrument.")]
AccountName = Annotated[str, Field(min_length=1, description="Account name, in any case.")]
Instrument = Annotated[
    str,
    BeforeValidator(lambda value: value.strip() if isinstance(value, str) else value),
    Field(min_length=1, description="`ES 12-26`, `ES`, `ES1!`, `ESZ26` or `ES DEC26`."),
]
OptionalText = Annotated[str | None, BeforeValidator(_none_for_empty)]


class Args(BaseModel):
    """Arguments of a call; what is not known is ignored."""

    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True, allow_inf_nan=False)


class NoArgs(Args):
    """Nothing to say."""


class AccountArgs(Args):
    """An account."""

    account: AccountName


class InstrumentArgs(Args):
    """One instrument, or several separated by commas."""

    instrument: Instrument


class AccountInstrumentArgs(AccountArgs):
    """An account and an instrument."""

    instrument: Instrument


class AllPositionsArgs(Args):
    """Whether rows without a position are wanted."""

    include_flat: bool = False


class FlattenArgs(Args):
    """Filters; without any of them everything is flattened."""

    account: OptionalText = None
    instrument: OptionalText = None
    market_position: Annotated[Way | None, BeforeValidator(_none_for_empty)] = None


class FlattenAccountArgs(AccountArgs):
    """An account, and perhaps one instrument in it."""

    instrument: OptionalText = None


class CloseArgs(AccountInstrumentArgs):
    """A position, and how much of it; without quantity and percent all of it."""

    quantity: Contracts | None = None
    percent: Annotated[float, Field(gt=0, le=1, description="A fraction; rounded up to whole contracts.")] | None = None


class OrdersArgs(AccountArgs):
    """An account, and whether orders that are done are left out."""

    active_only: bool = True


class AllOrdersArgs(Args):
    """Whether orders that are done are left out."""

    active_only: bool = True


class OrderArgs(AccountArgs):
    """One order."""

    order_id: Annotated[str, Field(min_length=1, description="The id from the placement, or the caller's own.")]


class LifecycleArgs(OrderArgs):
    """One order, and how much of its history."""

    include_fills: bool = True
    include_raw: bool = False
    limit: Annotated[int, Field(ge=1, le=2000)] = 200


class TermsArgs(AccountInstrumentArgs):
    """An order to be placed; the nine fields that every kind of placing has."""

    action: BuyOrSell
    quantity: Contracts
    order_type: Kind
    time_in_force: Standing
    limit_price: Price | None = None
    stop_price: Price | None = None
    oco_id: OptionalText = None
    strategy: OptionalText = None


class PlaceArgs(TermsArgs):
    """An order to be placed, with the newer fields."""

    order_id: OptionalText = None
    require_market_position: OptionalText = None
    max_positions: Annotated[int, Field(ge=0)] | None = None


class ReplaceArgs(TermsArgs):
    """The order to be cancelled and the one to be placed instead."""

    order_id: Annotated[str, Field(min_length=1)]


class ChangeArgs(OrderArgs):
    """One order and its new terms."""

    quantity: Contracts | None = None
    limit_price: Price | None = None
    stop_price: Price | None = None
    strategy_id: OptionalText = None


class BracketArgs(AccountInstrumentArgs):
    """What is to protect a position; at least one of the two prices. `action` is the one that opened the position."""

    action: BuyOrSell
    quantity: Contracts
    take_profit: Price | None = None
    stop_loss: Price | None = None
    delay: Annotated[int, Field(ge=0, le=10_000, description="Milliseconds between cancelling and placing.")] = 250


class CancelOrdersArgs(AccountArgs):
    """An account, and perhaps one instrument in it."""

    instrument: OptionalText = None


class ExecutionsArgs(AccountArgs):
    """An account and how far to look back."""

    lookback_time: Annotated[int, Field(ge=1, description="Seconds; 900 at most.")] = 320


class ExecutionArgs(AccountArgs):
    """One execution."""

    execution_id: Annotated[str, Field(min_length=1)]


class MarketInfoArgs(Args):
    """An instrument; the front month of ES if none is named."""

    instrument: OptionalText = None


class BarsArgs(InstrumentArgs):
    """Which bars."""

    period_type: Period = PeriodType.MINUTE
    period: Annotated[int, Field(ge=1, le=1440)] = 1
    days_back: Annotated[int, Field(ge=0, le=3650)] = 1
    from_: Annotated[str | None, Field(alias="from", description="UTC, `2026-03-17T00:00:00Z`.")] = None
    to: Annotated[str | None, Field(description="UTC; now if it is left out.")] = None
    limit: Annotated[int, Field(ge=1, le=20_000, description="The newest so many.")] = 5000
