"""Cards about orders and executions, for those who only look."""

from typing import Any

from tests.contract.agreement.asking import TERMINAL, Http, fits, get, has, holds, lacks, same, some, speaks, succeeds
from tests.contract.agreement.deck import At, Differs, card

ROW = (
    "id", "orderId", "ocoId", "name", "account", "instrument", "orderType", "orderState", "orderAction", "quantity",
    "limitPrice", "stopPrice", "filled", "averageFillPrice", "timeInForce", "time", "ownerStrategy", "userData",
)  # fmt: skip
STATES = TERMINAL | {
    "Initialized", "Submitted", "Accepted", "Working", "TriggerPending", "PartFilled", "ChangePending",
    "ChangeSubmitted", "CancelPending", "CancelSubmitted", "Unknown",
}  # fmt: skip


async def _rows(http: Http, at: At, *, active: bool = False) -> list[Any]:
    answer = await get(http, f"{at.home}/orders", activeOnly=str(active).lower())
    some(answer["orders"], "order")
    return list(answer["orders"])


async def _filled(http: Http, at: At) -> Any:
    return some([row for row in await _rows(http, at) if row["orderState"] == "Filled"], "order that has filled")


@card(31, "endpoints 3.1", "field")
async def orders_come_in_an_object(http: Http, at: At) -> None:
    """The orders of an account stand under `orders`, beside `success: true`."""
    answer = await get(http, f"{at.home}/orders")
    succeeds(answer)
    holds(fact=isinstance(answer.get("orders"), list), expected="a list under orders", came=answer)


@card(32, "endpoints 3", "field")
async def an_order_has_its_keys(http: Http, at: At) -> None:
    """An order in the list has the eighteen keys that a program in production reads."""
    has((await _rows(http, at))[0], *ROW)


@card(33, "endpoints 3", "field")
async def the_way_of_an_order_is_its_order_action(http: Http, at: At) -> None:
    """The way is under `orderAction`, as `Buy` or `Sell`; there is no `action` and no `side`."""
    rows = await _rows(http, at)
    lacks(rows[0], "action", "side", "type", "status")
    same({row["orderAction"] for row in rows} - {"Buy", "Sell"}, set(), "other ways:")


@card(34, "endpoints 3", "doc-old")
async def states_are_those_of_ninjatrader(http: Http, at: At) -> None:
    """The state of every order is one of NinjaTrader's, in its spelling."""
    same({row["orderState"] for row in await _rows(http, at)} - STATES, set(), "other states:")


@card(35, "endpoints 3", "doc-old")
async def kinds_are_spelled_as_ninjatrader_does(http: Http, at: At) -> None:
    """A row spells Market, Limit, StopMarket, StopLimit, and Day or Gtc, unlike a request."""
    rows = await _rows(http, at)
    same({row["orderType"] for row in rows} - {"Market", "Limit", "StopMarket", "StopLimit"}, set(), "other kinds:")
    same({row["timeInForce"] for row in rows} - {"Day", "Gtc"}, set(), "other times in force:")


@card(36, "endpoints 3.1", "field")
async def active_only_leaves_out_what_is_done(http: Http, at: At) -> None:
    """With `activeOnly=true` no order of the list has come to its end."""
    states = {row["orderState"] for row in await _rows(http, at, active=True)}
    same(states & TERMINAL, set(), "terminal states:")


@card(37, "endpoints 3.1", "field")
async def without_active_only_what_is_done_is_there(http: Http, at: At) -> None:
    """With `activeOnly=false` NinjaTrader also shows orders that are done, while it holds them."""
    some([row for row in await _rows(http, at) if row["orderState"] in TERMINAL], "order that is done")


@card(38, "endpoints 3", "field")
async def a_price_that_is_not_used_is_zero(http: Http, at: At) -> None:
    """Prices that an order does not use are 0.0 and never null."""
    for row in await _rows(http, at):
        unused = [name for name in ("limitPrice", "stopPrice", "averageFillPrice") if row[name] is None]
        same(unused, [], "null prices:")


@card(39, "endpoints 3", "field")
async def the_id_of_an_order_on_a_simulated_account_is_a_guid(http: Http, at: At) -> None:
    """On a simulated account the `id` of an order is 32 hexadecimal digits without dashes."""
    fits((await _rows(http, at))[0]["id"], "[0-9a-f]{32}")


@card(40, "endpoints 3", "field")
async def an_order_by_hand_has_no_owner(http: Http, at: At) -> None:
    """`ownerStrategy` is an object of three keys, or null; for an order without strategy it names nobody."""
    rows = [row for row in await _rows(http, at) if not (row["ownerStrategy"] or {}).get("name")]
    owner = some(rows, "order without strategy")["ownerStrategy"]
    same(owner in (None, {"id": None, "name": None, "displayName": None}), True, "an owner of nulls, or none:")


@card(41, "endpoints 3.2", "inferred")
async def orders_of_all_accounts_are_counted(http: Http, _: At) -> None:
    """`/orders` lists the orders of all accounts, with `count` and `success`."""
    answer = await get(http, "/orders", activeOnly="false")
    has(answer, "orders", "count", "success")
    same(answer["count"], len(answer["orders"]), "count")


@card(42, "endpoints 3.3", "doc-old")
async def one_order_stands_flat_beside_success(http: Http, at: At) -> None:
    """One order comes flat, not wrapped in `order`, with its id under `orderId`."""
    row = (await _rows(http, at))[0]
    answer = await get(http, f"{at.home}/orders/{row['id']}")
    lacks(answer, "order", "data")
    same((answer.get("success"), answer.get("orderId")), (True, row["id"]), "success and orderId")


@card(43, "endpoints 3.3", "doc-old")
async def one_order_has_the_documented_keys(http: Http, at: At) -> None:
    """One order has the keys of the old page that rows of the list do not have."""
    row = (await _rows(http, at))[0]
    answer = await get(http, f"{at.home}/orders/{row['id']}")
    has(answer, "instrumentType", "fromEntrySignal", "gtd", "hasOverfill", "isBacktestOrder", "limitPriceChanged")


@card(44, "platform Times", "doc-old")
async def an_order_without_date_ends_in_2099(http: Http, at: At) -> None:
    """`gtd` on the first of December 2099 means that there is no such date."""
    row = (await _rows(http, at))[0]
    answer = await get(http, f"{at.home}/orders/{row['id']}")
    same(answer["gtd"], "2099-12-01T00:00:00.0000000", "gtd")


@card(45, "endpoints 3.4", "doc-old")
async def the_status_of_an_order_is_its_state(http: Http, at: At) -> None:
    """`/status` tells under `status` what the list tells under `orderState`."""
    row = await _filled(http, at)
    answer = await get(http, f"{at.home}/orders/{row['id']}/status")
    same(answer, {"status": "Filled", "success": True}, "the answer")


@card(46, "endpoints 3.3", "field")
async def an_unknown_order_is_no_success(http: Http, at: At) -> None:
    """An order that does not exist is an HTTP error, or 200 with `success: false`."""
    answer = await http.get(f"{at.home}/orders/{'0' * 32}")
    if answer.status_code == 200 and answer.json().get("success") is not False:
        raise Differs("an error or success: false", f"{answer.status_code} {answer.text[:200]}")


@card(47, "endpoints 3.5", "doc-new")
async def an_order_has_a_lifecycle(http: Http, at: At) -> None:
    """The lifecycle tells both ids, the account, a count and the events."""
    answer = await get(http, f"{at.home}/orders/{(await _filled(http, at))['id']}/lifecycle")
    has(answer, "success", "orderId", "originalOrderId", "account", "count", "events")
    same(answer["count"], len(answer["events"]), "count")


@card(48, "endpoints 3.5", "doc-new")
async def events_have_their_keys(http: Http, at: At) -> None:
    """An event has a time in UTC with milliseconds, an epoch in milliseconds, a source and a state."""
    answer = await get(http, f"{at.home}/orders/{(await _filled(http, at))['id']}/lifecycle")
    event = some(answer["events"], "event")
    has(event, "timestamp", "epoch", "source", "event", "orderState", "orderId")
    fits(event["timestamp"], r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
    holds(fact=1.5e12 < event["epoch"] < 4e12, expected="milliseconds", came=event["epoch"])


@card(49, "endpoints 3.5", "doc-new")
async def the_account_does_not_filter_a_lifecycle(http: Http, at: At) -> None:
    """The account in the path of a lifecycle is not used: any name finds the same events."""
    order_id = (await _filled(http, at))["id"]
    mine = await get(http, f"{at.home}/orders/{order_id}/lifecycle")
    other = await get(http, f"/accounts/NoSuchAccount0/orders/{order_id}/lifecycle")
    same(other["count"], mine["count"], "as many events")


@card(50, "endpoints 3.5", "doc-new")
async def fills_can_be_left_out_of_a_lifecycle(http: Http, at: At) -> None:
    """With `includeFills=false` there are fewer events, and with `limit=1` there is one."""
    path = f"{at.home}/orders/{(await _filled(http, at))['id']}/lifecycle"
    everything, bare = await get(http, path), await get(http, path, includeFills="false")
    holds(fact=bare["count"] < everything["count"], expected="fewer events", came=bare["count"])
    same((await get(http, path, limit=1))["count"], 1, "count")


@card(51, "endpoints 4.1", "doc-old")
async def executions_come_in_an_object(http: Http, at: At) -> None:
    """The executions of an account stand under `executions`, beside `success: true`."""
    answer = await get(http, f"{at.home}/executions")
    succeeds(answer)
    holds(fact=isinstance(answer.get("executions"), list), expected="a list under executions", came=answer)


async def _executions(http: Http, at: At) -> list[Any]:
    rows = (await get(http, f"{at.home}/executions", lookbackTime=900))["executions"]
    some(rows, "execution of the last fifteen minutes")
    return list(rows)


@card(52, "endpoints 4", "doc-old")
async def an_execution_has_its_keys(http: Http, at: At) -> None:
    """An execution has fourteen documented keys, its direction as `Long` or `Short`."""
    row = (await _executions(http, at))[0]
    has(row, "id", "type", "time", "epoch", "name", "orderId", "account", "serverName", "instrument", "instrumentType")
    has(row, "position", "marketPosition", "positionStrategy", "price", "quantity")
    same(row["type"], "NinjaTrader.Cbi.Execution", "type")


@card(53, "endpoints 4", "doc-old")
async def the_time_of_an_execution_has_no_offset(http: Http, at: At) -> None:
    """The time of an execution is the computer's, with seven digits and no offset; its epoch is in milliseconds."""
    row = (await _executions(http, at))[0]
    fits(row["time"], r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}")
    holds(fact=1.5e12 < row["epoch"] < 4e12, expected="milliseconds", came=row["epoch"])


@card(54, "endpoints 4.1", "doc-old")
async def executions_go_back_fifteen_minutes_at_most(http: Http, at: At) -> None:
    """However far `lookbackTime` reaches, no execution is older than 900 seconds."""
    now = (await get(http, "/accounts/snapshot"))["epoch"]
    rows = (await get(http, f"{at.home}/executions", lookbackTime=86_400))["executions"]
    some(rows, "execution of the last fifteen minutes")
    oldest = min(row["epoch"] for row in rows)
    holds(fact=oldest >= now - 910_000, expected="none older than 900 s", came=f"{(now - oldest) / 1000:.0f} s")


@card(55, "endpoints 4.2", "doc-old")
async def one_execution_stands_flat_beside_success(http: Http, at: At) -> None:
    """One execution comes flat, with `success: true`."""
    row = (await _executions(http, at))[0]
    same(await get(http, f"{at.home}/executions/{row['id']}"), row | {"success": True}, "the row and success:")


@card(56, "endpoints 4.3", "inferred")
async def executions_are_found_by_their_order(http: Http, at: At) -> None:
    """The executions of an order are under the path of the order."""
    row = (await _executions(http, at))[0]
    answer = await get(http, f"{at.home}/orders/{row['orderId']}/executions")
    same({each["orderId"] for each in answer["executions"]}, {row["orderId"]}, "one order:")


@card(57, "endpoints 3.3", "doc-new")
async def an_unknown_execution_is_refused(http: Http, at: At) -> None:
    """An execution that does not exist is answered with 400."""
    speaks(await get(http, f"{at.home}/executions/{'0' * 32}", 400), "")
