"""Cards about placing, changing and cancelling orders."""

from typing import Any

from tests.contract.agreement.asking import (
    TERMINAL,
    Http,
    ask,
    fits,
    get,
    has,
    held,
    hold,
    holds,
    lacks,
    market,
    must,
    orders,
    place,
    positions,
    post,
    prices,
    rest,
    same,
    some,
    speaks,
    state,
    succeeds,
    until,
)
from tests.contract.agreement.deck import At, NotObservable, card

GONE = "not found or already terminal"


async def _row(http: Http, at: At, order_id: str) -> Any:
    return must([row for row in await orders(http, at, active=False) if row["id"] == order_id], "such order")


async def _refused(http: Http, at: At, order: dict[str, Any]) -> Any:
    """Expect that an order is refused at once and leaves nothing behind."""
    before = len(await orders(http, at, active=False))
    answer = await post(http, f"{at.home}/orders/place", 400, **order)
    has(answer, "error")
    same(len(await orders(http, at, active=False)), before, "no new order:")
    return answer


@card(120, "endpoints 3.6", "doc-new")
async def a_placed_order_is_acknowledged_by_its_id(http: Http, at: At) -> None:
    """The answer to an order is its id and `success: true`, and nothing about a fill."""
    low, _ = await prices(http, at)
    order = market(at, orderType="LIMIT", limitPrice=low)
    answer = await post(http, f"{at.home}/orders/place", **order)
    has(answer, "orderId")
    succeeds(answer)
    lacks(answer, "filled", "averageFillPrice", "orderState")


@card(121, "endpoints 3.6", "doc-new")
async def the_acknowledgement_comes_before_the_fill(http: Http, at: At) -> None:
    """The lifecycle tells that the call was received before the order filled."""
    order_id = await place(http, at)
    await until(at, "the order to be", lambda: state(http, at, order_id), "Filled")
    events = (await get(http, f"{at.home}/orders/{order_id}/lifecycle"))["events"]
    received = must([event for event in events if event["source"] == "api_received"], "event of the call")
    filled = must([event for event in events if event["orderState"] == "Filled"], "event of the fill")
    holds(fact=received["epoch"] <= filled["epoch"], expected="the call first", came=events)


@card(122, "endpoints 3.6", "doc-mid")
async def the_case_of_words_does_not_matter(http: Http, at: At) -> None:
    """`Buy`, `Limit` and `Gtc` are understood as BUY, LIMIT and GTC; the row says `Buy`, `Limit` and `Gtc`."""
    order_id = await rest(http, at, action="Buy", orderType="Limit", timeInForce="Gtc")
    row = await _row(http, at, order_id)
    same((row["orderAction"], row["orderType"], row["timeInForce"]), ("Buy", "Limit", "Gtc"), "the row")


@card(123, "endpoints 3", "field")
async def the_id_of_a_placed_order_is_a_guid(http: Http, at: At) -> None:
    """On a simulated account the id that comes back is 32 hexadecimal digits."""
    fits(await rest(http, at), "[0-9a-f]{32}")


@card(124, "endpoints 3.6", "doc-new")
async def an_order_is_found_by_our_own_id(http: Http, at: At) -> None:
    """An `orderId` that we give at placement finds the order later (older add-ons lose it for plain orders)."""
    own = at.fresh()
    order_id = await rest(http, at, orderId=own)
    same((await get(http, f"{at.home}/orders/{own}"))["orderId"], order_id, "orderId")


@card(125, "field-notes 5", "field")
async def an_own_id_is_burnt_for_ever(http: Http, at: At) -> None:
    """An `orderId` that was used once is refused, also when its order is done."""
    own = at.fresh()
    order_id = await rest(http, at, orderId=own)
    await post(http, f"{at.home}/orders/{order_id}/cancel")
    await until(at, "the order to be", lambda: state(http, at, order_id), "Cancelled")
    low, _ = await prices(http, at)
    await _refused(http, at, market(at, orderType="LIMIT", limitPrice=low, orderId=own))


@card(126, "field-notes 5", "field")
async def a_plain_order_does_not_carry_our_own_id(http: Http, at: At) -> None:
    """`userData` holds our own id only where an ATM template is used."""
    order_id = await rest(http, at, orderId=at.fresh())
    holds(
        fact="AutomatedTradingOrderId" not in str((await _row(http, at, order_id))["userData"]),
        expected="no id in userData",
        came="one",
    )


@card(127, "endpoints 3.5", "doc-new")
async def a_lifecycle_is_found_by_our_own_id(http: Http, at: At) -> None:
    """The lifecycle is found by our own id, and tells both."""
    own = at.fresh()
    order_id = await rest(http, at, orderId=own)
    answer = await get(http, f"{at.home}/orders/{own}/lifecycle")
    same((answer["orderId"], answer["originalOrderId"]), (order_id, own), "both ids:")


@card(128, "endpoints 3.6", "doc-new")
async def a_position_that_is_required_and_missing_refuses_the_order(http: Http, at: At) -> None:
    """`requireMarketPosition: long` on a flat account is refused with 400, and nothing is placed."""
    await _refused(http, at, market(at, requireMarketPosition="long"))


@card(129, "endpoints 3.6", "doc-new")
async def a_position_that_is_required_may_be_one_of_several(http: Http, at: At) -> None:
    """`requireMarketPosition` takes a list with commas."""
    low, _ = await prices(http, at)
    order = {"orderType": "LIMIT", "limitPrice": low}
    has(
        await post(http, f"{at.home}/orders/place", **market(at, **order, requireMarketPosition="flat,long")), "orderId"
    )


@card(130, "endpoints 3.6", "doc-new")
async def as_many_positions_as_allowed_refuse_another(http: Http, at: At) -> None:
    """`maxPositions` refuses an order that opens when so many positions or more are open already."""
    await _refused(http, at, market(at, maxPositions=0))


@card(131, "endpoints 3.6", "doc-new")
async def the_limit_of_positions_does_not_stop_adding(http: Http, at: At) -> None:
    """`maxPositions` does not refuse an order that adds to a position."""
    await hold(http, at, 1)
    await place(http, at, maxPositions=1)
    await until(at, "to hold", lambda: held(http, at), 2)


@card(132, "field-notes 5", "field")
async def a_time_in_force_is_needed_on_every_order(http: Http, at: At) -> None:
    """An order without `timeInForce` is refused, also one at the market."""
    order = market(at)
    del order["timeInForce"]
    await _refused(http, at, order)


@card(133, "endpoints 3.6", "inferred")
async def a_limit_order_needs_its_price(http: Http, at: At) -> None:
    """A limit order without a limit price is refused at once."""
    await _refused(http, at, market(at, orderType="LIMIT"))


@card(134, "field-notes 11", "field")
async def a_kind_with_an_underscore_is_none(http: Http, at: At) -> None:
    """`STOP_MARKET` is refused; the word is STOPMARKET."""
    low, _ = await prices(http, at)
    await _refused(http, at, market(at, action="SELL", orderType="STOP_MARKET", stopPrice=low))


@card(135, "field-notes 11", "field")
async def immediate_or_cancel_does_not_exist(http: Http, at: At) -> None:
    """A time in force other than DAY and GTC is refused."""
    await _refused(http, at, market(at, timeInForce="IOC"))


@card(136, "field-notes 11", "field")
async def the_names_of_other_surfaces_are_not_understood(http: Http, at: At) -> None:
    """`qty` and `tif` are names of the other surfaces, and are refused here."""
    order = {"instrument": at.instrument, "action": "BUY", "qty": 1, "orderType": "MARKET", "tif": "DAY"}
    await _refused(http, at, order)


@card(137, "endpoints 3.6", "inferred")
async def a_bracket_in_a_plain_order_protects_nothing(http: Http, at: At) -> None:
    """`takeProfit` and `stopLoss` on PlaceOrder place no exits."""
    low, high = await prices(http, at)
    await place(http, at, takeProfit=high, stopLoss=low)
    await until(at, "to hold", lambda: held(http, at), 1)
    same(await orders(http, at), [], "exits:")


@card(138, "field-notes 0.7", "field")
async def accepted_is_not_working(http: Http, at: At) -> None:
    """A stop that the market has passed is acknowledged with 200 and rejected after that."""
    low, _ = await prices(http, at)
    order_id = await place(http, at, orderType="STOPMARKET", stopPrice=low)
    await until(at, "the order to be", lambda: state(http, at, order_id), "Rejected")


@card(139, "endpoints 3.6", "doc-mid")
async def one_order_cancels_the_other(http: Http, at: At) -> None:
    """Two orders with the same `ocoId`: when one fills, the other is cancelled."""
    oco, (_, high) = at.fresh(), await prices(http, at)
    waiting = await rest(http, at, ocoId=oco)
    same((await _row(http, at, waiting))["ocoId"], oco, "ocoId")
    await place(http, at, orderType="LIMIT", limitPrice=high, ocoId=oco)
    await until(at, "the other order to be", lambda: state(http, at, waiting), "Cancelled")


@card(140, "endpoints 6.6", "field")
async def a_template_that_does_not_exist_rejects_the_order(http: Http, at: At) -> None:
    """An order that names an unknown ATM template is refused, or acknowledged and rejected."""
    answer = await http.post(f"{at.home}/orders/place", json=market(at, strategy="No such template 0"))
    if answer.status_code != 400:
        same(answer.status_code, 200, "status")
        await until(at, "the order to be", lambda: state(http, at, answer.json()["orderId"]), "Rejected")
    same(await positions(http, at), [], "positions")


async def _with_template(http: Http, at: At, own: str) -> list[Any]:
    name = some((await get(http, "/atm-templates"))["templates"], "ATM template")
    await place(http, at, strategy=name, orderId=own)
    await until(at, "to hold", lambda: held(http, at), 1)
    await at.pause(1)
    return await orders(http, at)


@card(141, "endpoints 3", "field")
async def a_template_places_legs_that_name_it(http: Http, at: At) -> None:
    """After the entry fills, orders such as Stop1 and Target1 stand, and `ownerStrategy` names the template."""
    legs = await _with_template(http, at, at.fresh())
    holds(fact=len(legs) >= 1, expected="legs", came="none")
    fits(legs[0]["name"], r"(Stop|Target)\d")
    holds(fact=bool(legs[0]["ownerStrategy"]["name"]), expected="the name of the template", came=legs[0])


@card(142, "field-notes 5", "field")
async def legs_of_a_template_carry_our_own_id(http: Http, at: At) -> None:
    """Where a template is used, `userData` holds our own id in a piece of XML."""
    own = at.fresh()
    legs = await _with_template(http, at, own)
    must(legs, "leg")
    expected = f"<AutomatedTradingOrderId>{own}</AutomatedTradingOrderId>"
    holds(fact=expected in str(legs[0]["userData"]), expected=expected, came=legs[0]["userData"])


@card(143, "endpoints 3.8", "doc-new")
async def a_cancel_is_acknowledged_by_the_id(http: Http, at: At) -> None:
    """The answer to a cancel is the id and `success: true`; the order is cancelled after that."""
    order_id = await rest(http, at)
    answer = await post(http, f"{at.home}/orders/{order_id}/cancel")
    same((answer.get("orderId"), answer.get("success")), (order_id, True), "orderId and success")
    await until(at, "the order to be", lambda: state(http, at, order_id), "Cancelled")


@card(144, "endpoints 3.8", "doc-new")
async def an_order_that_is_over_cannot_be_cancelled(http: Http, at: At) -> None:
    """A cancel of an order that has filled is answered with 400 and words that are promised to stay."""
    order_id = await place(http, at)
    await until(at, "the order to be", lambda: state(http, at, order_id), "Filled")
    speaks(await post(http, f"{at.home}/orders/{order_id}/cancel", 400), GONE)


@card(145, "endpoints 3.8", "doc-new")
async def an_order_that_never_was_cannot_be_cancelled(http: Http, at: At) -> None:
    """A cancel of an unknown id is answered with the same words, and the id."""
    answer = await post(http, f"{at.home}/orders/{'0' * 32}/cancel", 400)
    speaks(answer, f"Order linked to '{'0' * 32}' {GONE}")


@card(146, "endpoints 3.9", "doc-new")
async def the_orders_of_an_instrument_are_cancelled_together(http: Http, at: At) -> None:
    """CancelOrders answers the ids of the orders that it cancels."""
    order_id = await rest(http, at)
    answer = await post(http, f"{at.home}/orders/cancel", instrument=at.instrument)
    same((answer.get("success"), order_id in answer["orderIds"]), (True, True), "success, and the id among them:")
    await until(at, "the order to be", lambda: state(http, at, order_id), "Cancelled")


@card(147, "endpoints 10 row 21", "inferred")
async def without_orders_there_is_nothing_to_cancel(http: Http, at: At) -> None:
    """CancelOrders without orders is a success with an empty list."""
    answer = await post(http, f"{at.home}/orders/cancel", instrument=at.instrument)
    same((answer.get("orderIds"), answer.get("success")), ([], True), "orderIds and success")


@card(148, "endpoints 3.10", "inferred", everywhere=True)
async def the_orders_of_all_accounts_are_cancelled_together(http: Http, at: At) -> None:
    """`/orders/cancelall` cancels in every account, and answers the ids."""
    order_id = await rest(http, at)
    answer = await post(http, "/orders/cancelall")
    same((answer.get("success"), order_id in answer["orderIds"]), (True, True), "success, and the id among them:")


@card(149, "endpoints 3.12", "doc-new")
async def an_order_is_changed_by_put(http: Http, at: At) -> None:
    """Change is PUT: it answers an id and `success: true`, and the price of the order is new."""
    order_id, (low, _) = await rest(http, at), await prices(http, at)
    tick = (await get(http, "/market/quote", instrument=at.instrument))["tickSize"]
    answer = await ask(http, "PUT", f"{at.home}/orders/{order_id}/change", json={"limitPrice": low - 4 * tick})
    has(answer, "orderId")
    succeeds(answer)

    async def price() -> object:
        rows = [row for row in await orders(http, at) if row["orderState"] == "Working"]
        return rows[0]["limitPrice"] if rows else None

    await until(at, "the price to be", price, low - 4 * tick)


@card(150, "endpoints 3.12", "doc-new")
async def an_order_is_not_changed_by_post(http: Http, at: At) -> None:
    """POST to the path of Change is no route."""
    order_id = await rest(http, at)
    answer = await http.post(f"{at.home}/orders/{order_id}/change", json={"quantity": 2})
    holds(fact=answer.status_code in (404, 405), expected="404 or 405", came=answer.status_code)


@card(151, "field-notes 11", "field")
async def an_order_is_not_cancelled_by_delete(http: Http, at: At) -> None:
    """DELETE of an order is no route, and the order stays."""
    order_id = await rest(http, at)
    answer = await http.delete(f"{at.home}/orders/{order_id}")
    holds(fact=answer.status_code in (404, 405), expected="404 or 405", came=answer.status_code)
    same(await state(http, at, order_id), "Working", "state")


@card(152, "endpoints 3.11", "doc-mid")
async def a_replaced_order_is_cancelled_and_another_placed(http: Http, at: At) -> None:
    """CancelReplace answers the id of a new order; the old one is cancelled."""
    old, (low, _) = await rest(http, at), await prices(http, at)
    answer = await post(
        http, f"{at.home}/orders/{old}/replace", **market(at, orderType="LIMIT", limitPrice=low, quantity=2)
    )
    same((answer.get("success"), answer["orderId"] != old), (True, True), "success, and another id:")
    await until(at, "the old order to be", lambda: state(http, at, old), "Cancelled")
    await until(at, "the new order to be", lambda: state(http, at, answer["orderId"]), "Working")


@card(153, "endpoints 3.11", "doc-mid")
async def what_is_over_is_not_replaced(http: Http, at: At) -> None:
    """CancelReplace of an order that is over places nothing."""
    old = await place(http, at)
    await until(at, "the order to be", lambda: state(http, at, old), "Filled")
    low, _ = await prices(http, at)
    order = market(at, orderType="LIMIT", limitPrice=low)
    has(await post(http, f"{at.home}/orders/{old}/replace", 400, **order), "error")
    same(await orders(http, at), [], "orders")


@card(154, "field-notes 5", "field")
async def a_fill_in_parts_is_position_and_order(http: Http, at: At) -> None:
    """While an order is PartFilled, a position stands beside an order that works."""
    order_id = await place(http, at, quantity=25)
    for _ in range(4):
        row = await _row(http, at, order_id)
        if row["orderState"] == "PartFilled":
            holds(fact=0 < row["filled"] < 25, expected="a part", came=row["filled"])
            return
        if row["orderState"] in TERMINAL:
            break
        await at.pause(0.1)
    raise NotObservable("the order filled at one stroke")
