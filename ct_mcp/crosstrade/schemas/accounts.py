"""Accounts, snapshots, watermarks and positions, as the service spells them."""

from dataclasses import replace
from decimal import Decimal
from typing import Annotated, Self

from pydantic import AliasPath, BeforeValidator, Field, PlainValidator, model_validator

from ct_mcp.crosstrade.schemas.reply import Reply, WireModel, parse_row, parse_rows
from ct_mcp.crosstrade.schemas.values import (
    AskedAccount,
    ExactAmount,
    HeldInstrument,
    HeldPrice,
    HeldQuantity,
    MaybeCount,
    MaybeFlag,
    MaybeLabel,
    MaybeMoney,
    MaybePrice,
    MaybeText,
    RowContext,
    Text,
    or_empty_object,
    or_no_list,
    required_text,
    row_fault,
)
from ct_mcp.domain.account import Account, AccountKind, AccountSnapshot, Balances, Direction, Position, Watermarks
from ct_mcp.domain.instrument import Instrument


def _direction(value: object) -> Direction:
    word = required_text(value).strip().upper()
    if word not in Direction.__members__:
        raise row_fault("its direction is none that we know")
    return Direction(word)


# NinjaTrader's names of currencies in small letters, as traders write them; another name is shown as it came.
_CURRENCIES = {
    "usdollar": "USD",
    "euro": "EUR",
    "britishpound": "GBP",
    "japaneseyen": "JPY",
    "swissfranc": "CHF",
    "canadiandollar": "CAD",
    "australiandollar": "AUD",
    "newzealanddollar": "NZD",
    "hongkongdollar": "HKD",
    "swedishkrona": "SEK",
}


class WireBalances(WireModel):
    """The items of an account, which hold its money; each under the name that the domain has for it."""

    cash_value: MaybeMoney = None
    net_liquidation: MaybeMoney = None
    buying_power: MaybeMoney = None
    realized_pnl: MaybeMoney = Field(default=None, validation_alias="realizedProfitLoss")
    unrealized_pnl: MaybeMoney = Field(default=None, validation_alias="unrealizedProfitLoss")
    gross_realized_pnl: MaybeMoney = Field(default=None, validation_alias="grossRealizedProfitLoss")
    commission: MaybeMoney = None
    initial_margin: MaybeMoney = None
    maintenance_margin: MaybeMoney = None
    excess_initial_margin: MaybeMoney = None
    trailing_max_drawdown: MaybeMoney = None
    daily_loss_limit: MaybeMoney = None
    weekly_loss_limit: MaybeMoney = None
    weekly_pnl: MaybeMoney = Field(default=None, validation_alias="weeklyProfitLoss")


class WireAccount(WireModel):
    """One account; a row may carry nothing but its name."""

    name: Text
    provider: MaybeLabel = None
    display_name: MaybeLabel = None
    denomination: MaybeLabel = None
    connection_status: MaybeLabel = None
    is_account_flat: MaybeFlag = None
    status: MaybeLabel = None
    daily_loss_limit: MaybeMoney = None
    max_order_size: MaybeCount = None
    max_position_size: MaybeCount = None
    item: Annotated[WireBalances, BeforeValidator(or_empty_object)] = Field(default_factory=WireBalances)

    def account(self) -> Account:
        """Give it in our words."""
        return Account(
            name=self.name,
            kind=_kind(self.provider),
            provider=self.provider,
            display_name=self.display_name,
            currency=_CURRENCIES.get((self.denomination or "").casefold(), self.denomination),
            connection_status=self.connection_status,
            status=self.status,
            max_order_size=self.max_order_size,
            max_position_size=self.max_position_size,
            balances=replace(Balances(**vars(self.item)), daily_loss_limit=self._loss_limit()),
        )

    def _loss_limit(self) -> Decimal | None:
        """Give the account's own limit, which stands in two places: the stricter one, 0 only where neither is set."""
        given = [limit for limit in (self.daily_loss_limit, self.item.daily_loss_limit) if limit is not None]
        return min(filter(None, given), default=given[0] if given else None)


class WirePosition(WireModel):
    """One position; the quantity has no sign, the direction is a word."""

    direction: Annotated[Direction, PlainValidator(_direction)] = Field(validation_alias="marketPosition")
    account: AskedAccount = ""
    instrument_type: MaybeText = None
    instrument: HeldInstrument
    quantity: HeldQuantity
    exact_quantity: ExactAmount = Field(default=None, validation_alias="quantity")
    average_price: HeldPrice = Field(default=None, validate_default=True)
    market_price: MaybePrice = None
    unrealized_pnl: MaybeMoney = Field(default=None, validation_alias="unrealizedProfitLoss")

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if (self.direction is Direction.FLAT) != (self.quantity == 0):
            raise row_fault(f"it says {self.direction} and {self.quantity} contracts at once")
        return self

    def position(self) -> Position:
        """Give it in our words."""
        told = vars(self)
        return Position(**{name: told[name] for name in told if name != "instrument_type"})


class WireSnapshot(WireModel):
    """One account with its positions; the account may be nested or be the row itself.

    What is no list of positions says nothing of them, and never that there are none.
    """

    account: object = None
    positions: Annotated[list[object] | None, PlainValidator(or_no_list)] = None


class WireWatermarks(WireModel):
    """The marks of one account in two objects, which are empty where CrossTrade monitors nothing."""

    account: AskedAccount = ""
    pnl: MaybeMoney = Field(default=None, validation_alias=AliasPath("stats", "pnl"))
    pnl_high: MaybeMoney = Field(default=None, validation_alias=AliasPath("watermarks", "pnlhigh"))
    net_liquidation: MaybeMoney = Field(default=None, validation_alias=AliasPath("stats", "netliq"))
    net_liquidation_high: MaybeMoney = Field(default=None, validation_alias=AliasPath("watermarks", "netliqhigh"))
    unrealized_pnl: MaybeMoney = Field(default=None, validation_alias=AliasPath("stats", "unrealized"))
    unrealized_high: MaybeMoney = Field(default=None, validation_alias=AliasPath("watermarks", "unrealhigh"))


def parse_accounts(reply: Reply) -> tuple[Account, ...]:
    """Read every account."""
    return tuple(row.account() for row in reply.rows("accounts", WireAccount))


def parse_asked_account(reply: Reply, asked: str) -> Account:
    """Read the account that was asked about, and no other."""
    account = reply.single("account", WireAccount, ["name"]).account()
    if account.name.casefold() != asked.casefold():
        reply.refuse("it is another account than the one that was asked about")
    return account


def parse_snapshots(reply: Reply) -> tuple[AccountSnapshot, ...]:
    """Read all active accounts with their open positions; the list claims success by its type instead."""
    if reply.top.get("accounts") == [] and reply.top.get("type") == "snapshot":
        return ()
    rows = enumerate(reply.listed("accounts"), 1)
    return tuple(_snapshot(value, f"{reply.rpc}, 'accounts' row {number}", reply.context()) for number, value in rows)


def parse_watermarks(reply: Reply, asked: str) -> Watermarks:
    """Read the marks; empty ones are no fault."""
    return Watermarks(**vars(reply.single("data", WireWatermarks, ["account"], asked)))


def parse_positions(reply: Reply, asked: str | None) -> tuple[Position, ...]:
    """Read every row of one account, or of all where ``asked`` is None; flat rows are given as such."""
    return tuple(row.position() for row in reply.rows("positions", WirePosition, asked))


def parse_asked_position(reply: Reply, asked: str, instrument: Instrument) -> Position:
    """Read the position that was asked about, and no other."""
    position = reply.single("position", WirePosition, ["marketPosition"], asked).position()
    if position.instrument != instrument:
        reply.refuse("it is of another instrument than the one that was asked about")
    return position


def _snapshot(value: object, what: str, context: RowContext) -> AccountSnapshot:
    row = parse_row(WireSnapshot, value, what, context)
    nested = row.account if isinstance(row.account, dict) and row.account else None
    named = f"{what}, 'account'" if nested else what
    of_account = parse_row(WireAccount, nested or value, named, context)
    account = of_account.account()
    if row.positions is None:
        return AccountSnapshot(account, None, of_account.is_account_flat)
    positions = parse_rows(WirePosition, row.positions, f"{what}, 'positions'", RowContext(context.today, account.name))
    return AccountSnapshot(account, tuple(each.position() for each in positions), of_account.is_account_flat)


_KINDS = {"simulator": AccountKind.SIMULATED, "playback": AccountKind.REPLAY, "market replay": AccountKind.REPLAY}


def _kind(provider: str | None) -> AccountKind:
    if not provider:
        return AccountKind.UNKNOWN
    return _KINDS.get(provider.casefold(), AccountKind.LIVE)
