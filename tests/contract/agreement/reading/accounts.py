"""Cards about accounts, the snapshot of them, and watermarks."""

from typing import Any

from tests.contract.agreement.asking import Http, fits, get, has, holds, lacks, same, some, speaks, succeeds
from tests.contract.agreement.deck import At, NotObservable, card

FIELDS = (
    "id", "name", "displayName", "primaryUser", "provider", "denomination", "status", "dailyLossLimit", "minCashValue",
    "maxOrderSize", "maxPositionSize", "connection", "connectionStatus", "lastTransactionSum", "item",
)  # fmt: skip
MONEY = (
    "buyingPower", "cashValue", "commission", "dailyLossLimit", "dailyProfitTrigger", "excessInitialMargin",
    "excessIntradayMargin", "excessMaintenanceMargin", "excessPositionMargin", "fee", "grossRealizedProfitLoss",
    "initialMargin", "intradayMargin", "longOptionValue", "longStockValue", "lookAheadMaintenanceMargin",
    "maintenanceMargin", "netLiquidation", "netLiquidationByCurrency", "positionMargin", "realizedProfitLoss",
    "shortOptionValue", "shortStockValue", "sodCashValue", "sodLiquidatingValue", "totalCashBalance",
    "trailingMaxDrawdown", "unrealizedProfitLoss", "weeklyLossLimit", "weeklyProfitLoss", "weeklyProfitTrigger",
)  # fmt: skip
MARKS = {"pnlhigh", "netliqhigh", "unrealhigh"}


async def _account(http: Http, at: At) -> Any:
    return await get(http, at.home)


async def _in_snapshot(http: Http, at: At) -> Any:
    rows = (await get(http, "/accounts/snapshot"))["accounts"]
    return some([row for row in rows if row["account"]["name"].lower() == at.account.lower()], "account of that name")


@card(1, "endpoints 1.1", "field")
async def accounts_come_in_an_object(http: Http, _: At) -> None:
    """The list of accounts stands under `accounts`, beside `success: true`, and its rows have a name."""
    answer = await get(http, "/accounts")
    succeeds(answer)
    has(some(answer["accounts"], "account"), "name")


@card(2, "endpoints 1.1", "inferred")
async def an_account_in_the_list_is_as_it_is_alone(http: Http, _: At) -> None:
    """A row of the list of accounts has the fields of one account."""
    has(some((await get(http, "/accounts"))["accounts"], "account"), *FIELDS)


@card(3, "endpoints 1.2", "doc-mid")
async def an_account_stands_flat_beside_success(http: Http, at: At) -> None:
    """One account comes flat, with its documented fields and `success: true`."""
    answer = await _account(http, at)
    has(answer, *FIELDS)
    succeeds(answer)
    lacks(answer, "data")


@card(4, "endpoints 1.2", "doc-mid")
async def money_is_under_item(http: Http, at: At) -> None:
    """The money of an account is under `item`, with 31 documented keys."""
    has((await _account(http, at))["item"], *MONEY)


@card(5, "field-notes 9", "field")
async def no_money_stands_at_the_top(http: Http, at: At) -> None:
    """There is no balance, equity or realised profit beside the name of an account."""
    lacks(await _account(http, at), "balance", "equity", "cashValue", "netLiquidation", "realizedPnlToday")


@card(6, "endpoints 1.2", "doc-mid")
async def profit_is_spelled_out(http: Http, at: At) -> None:
    """Keys of money say `ProfitLoss` and never `PnL`."""
    wrong = [name for name in (await _account(http, at))["item"] if "pnl" in name.lower()]
    same(wrong, [], "keys that say PnL:")


@card(7, "endpoints 1.2", "doc-mid")
async def money_is_written_with_a_fraction(http: Http, at: At) -> None:
    """Every number of an account is a float, but `id`, `maxOrderSize` and `maxPositionSize`, which are whole."""
    answer = await _account(http, at)
    same([name for name in MONEY if not isinstance(answer["item"][name], float)], [], "keys that are no floats:")
    whole = ("id", "maxOrderSize", "maxPositionSize")
    same([name for name in whole if type(answer[name]) is not int], [], "keys that are not whole:")


@card(8, "endpoints 1.2", "doc-mid")
async def money_can_carry_binary_noise(http: Http, at: At) -> None:
    """A sum of money may have more than two decimals, because it is binary underneath."""
    item = (await _account(http, at))["item"]
    if not any(value != round(value, 2) for value in item.values()):
        raise NotObservable("every sum happens to be round at the moment")


@card(9, "platform Names", "doc-mid")
async def the_case_of_an_account_does_not_matter(http: Http, at: At) -> None:
    """An account is found by its name in any case, and the answer spells it as NinjaTrader does."""
    names = {(await get(http, f"/accounts/{spelled}"))["name"] for spelled in (at.account.lower(), at.account.upper())}
    same(names, {(await _account(http, at))["name"]}, "one spelling")


@card(10, "endpoints 10 row 2", "inferred")
async def an_unknown_account_is_refused(http: Http, _: At) -> None:
    """An account that does not exist is answered with 400 and an error that speaks of the account."""
    speaks(await get(http, "/accounts/NoSuchAccount0", 400), "account")


@card(11, "endpoints 1.2", "doc-mid")
async def play_money_is_provided_by_the_simulator(http: Http, at: At) -> None:
    """The `provider` of a simulated account is `Simulator`."""
    same((await _account(http, at))["provider"], "Simulator", "provider")


@card(12, "endpoints 1.3", "doc-old")
async def the_snapshot_is_a_route_and_not_an_account(http: Http, _: At) -> None:
    """`/accounts/snapshot` shows all accounts, with the type `snapshot`."""
    answer = await get(http, "/accounts/snapshot")
    same(answer.get("type"), "snapshot", "type")
    has(answer, "timestamp", "epoch", "accounts")


@card(13, "endpoints 1.3", "doc-old")
async def the_snapshot_has_no_success(http: Http, _: At) -> None:
    """The snapshot comes without `success`."""
    lacks(await get(http, "/accounts/snapshot"), "success")


@card(14, "endpoints 1.3", "doc-old")
async def the_epoch_of_the_snapshot_is_in_milliseconds(http: Http, _: At) -> None:
    """The snapshot counts milliseconds since 1970."""
    epoch = (await get(http, "/accounts/snapshot"))["epoch"]
    holds(fact=1.5e12 < epoch < 4e12, expected="milliseconds", came=epoch)


@card(15, "endpoints 1.3", "doc-old")
async def the_time_of_the_snapshot_is_local(http: Http, _: At) -> None:
    """The snapshot tells the computer's time, with seven digits and an offset."""
    fits((await get(http, "/accounts/snapshot"))["timestamp"], r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}[+-]\d\d:\d\d")


@card(16, "endpoints 1.3", "doc-old")
async def an_account_in_the_snapshot_is_nested(http: Http, at: At) -> None:
    """In the snapshot an account stands under `account`, with `type` and `isAccountFlat`, beside `positions`."""
    row = await _in_snapshot(http, at)
    has(row, "account", "positions")
    has(row["account"], *FIELDS, "type", "isAccountFlat")
    same(row["account"]["type"], "NinjaTrader.Cbi.Account", "type")


@card(17, "endpoints 1.3", "doc-old")
async def money_in_the_snapshot_is_as_it_is_alone(http: Http, at: At) -> None:
    """In the snapshot the money of an account has the keys that it has alone."""
    has((await _in_snapshot(http, at))["account"]["item"], *MONEY)


@card(18, "endpoints 1.3", "field")
async def the_snapshot_is_cached(http: Http, at: At) -> None:
    """A second snapshot within about three seconds is the first one again."""
    first = await get(http, "/accounts/snapshot")
    await at.pause(1)
    same((await get(http, "/accounts/snapshot"))["epoch"], first["epoch"], "the same epoch")


@card(19, "endpoints 1.4", "doc-mid")
async def watermarks_are_wrapped(http: Http, at: At) -> None:
    """Watermarks stand under `data`, with account, watermarks and stats."""
    answer = await get(http, f"{at.home}/watermarks")
    succeeds(answer)
    has(answer["data"], "account", "watermarks", "stats")


@card(20, "endpoints 1.4", "doc-mid")
async def watermarks_have_small_letters(http: Http, at: At) -> None:
    """The keys of watermarks are in small letters; there are none while nothing has been reported."""
    data = (await get(http, f"{at.home}/watermarks"))["data"]
    if not data["watermarks"]:
        raise NotObservable("no monitor, or no P&L reported this session")
    has(data["watermarks"], *MARKS)
    has(data["stats"], *MARKS, "pnl", "total", "unrealized", "poscount", "netliq")
