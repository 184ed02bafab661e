"""Cards about closing, flattening and turning positions."""

from typing import Any

from tests.contract.agreement.asking import (
    Http,
    get,
    has,
    held,
    hold,
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
    speaks,
    state,
    succeeds,
    until,
)
from tests.contract.agreement.deck import At, NotObservable, When, card


async def _close(http: Http, at: At, status: int = 200, **more: Any) -> Any:
    return await post(http, f"{at.home}/positions/close", status, instrument=at.instrument, **more)


async def _flat(http: Http, at: At) -> None:
    await until(at, "to hold", lambda: held(http, at), 0)


@card(160, "endpoints 2.6", "doc-new")
async def a_close_answers_what_it_closes(http: Http, at: At) -> None:
    """A close answers the position as it was, under `closedPositions`; it is flat after that."""
    await hold(http, at, 2)
    answer = await _close(http, at)
    succeeds(answer)
    row = must(answer["closedPositions"], "row")
    same((row["instrument"], row["marketPosition"], row["quantity"]), (at.instrument, "Long", 2), "the position:")
    await _flat(http, at)


@card(161, "endpoints 2.6", "field")
async def a_close_tells_how_far_it_is(http: Http, at: At) -> None:
    """The newest add-on tells `pending`, `verified` and `remainingQuantity`."""
    await hold(http, at, 1)
    answer = await _close(http, at)
    if not {"pending", "verified", "remainingQuantity"} & set(answer):
        raise NotObservable("this version of the add-on tells none of them")
    has(answer, "pending", "verified", "remainingQuantity")


@card(162, "endpoints 2.6", "doc-new")
async def what_is_not_held_cannot_be_closed(http: Http, at: At) -> None:
    """A close without a position is answered with 400 and the name of the instrument."""
    speaks(await _close(http, at, 400), f"No positions found for instrument '{at.instrument}'")


@card(163, "endpoints 2.6", "doc-new")
async def a_percentage_is_a_fraction_and_rounds_up(http: Http, at: At) -> None:
    """`percent` is between 0 and 1, and a tenth of one contract closes it."""
    await hold(http, at, 1)
    await _close(http, at, percent=0.1)
    await _flat(http, at)


@card(164, "endpoints 2.6", "doc-new")
async def a_quantity_closes_a_part(http: Http, at: At) -> None:
    """`quantity` closes so many contracts, and goes before `percent`."""
    await hold(http, at, 3)
    await _close(http, at, quantity=1, percent=1.0)
    await until(at, "to hold", lambda: held(http, at), 2)


@card(165, "endpoints 2.6", "doc-new")
async def a_quantity_is_cut_down_to_what_is_held(http: Http, at: At) -> None:
    """A `quantity` above the position closes it and opens nothing."""
    await hold(http, at, 1)
    await _close(http, at, quantity=5)
    await _flat(http, at)
    await at.pause(1)
    same(await held(http, at), 0, "to hold")


@card(166, "field-notes 0.5", "doc-new")
async def a_partial_close_leaves_the_stop_as_large_as_it_was(http: Http, at: At) -> None:
    """After a partial close the stop still works, at the size of the whole position."""
    await hold(http, at, 2)
    low, _ = await prices(http, at)
    stop = await place(http, at, action="SELL", quantity=2, orderType="STOPMARKET", stopPrice=low)
    await at.pause(1)
    await _close(http, at, quantity=1)
    await until(at, "to hold", lambda: held(http, at), 1)
    same([(row["id"], row["quantity"]) for row in await orders(http, at)], [(stop, 2)], "the stop:")


@card(167, "endpoints 2.6", "doc-new")
async def a_full_close_takes_the_orders_along(http: Http, at: At) -> None:
    """A full close uses NinjaTrader's flatten, which cancels the orders of the instrument."""
    await hold(http, at, 1)
    resting = await rest(http, at)
    await _close(http, at)
    await _flat(http, at)
    await until(at, "the order to be", lambda: state(http, at, resting), "Cancelled")


@card(168, "endpoints 2.5", "doc-mid")
async def a_flatten_of_an_account_names_no_orders(http: Http, at: At) -> None:
    """The flatten of an account answers `closedPositions` and `success`, without ids of orders."""
    await hold(http, at, 1)
    answer = await post(http, f"{at.home}/positions/flatten", instrument=at.instrument)
    has(answer, "closedPositions", "success")
    lacks(answer, "orderIds")
    await _flat(http, at)


@card(169, "endpoints 2.5", "field")
async def a_flatten_of_an_instrument_leaves_a_resting_entry(http: Http, at: At) -> None:
    """The flatten of an instrument without a position leaves its resting orders alone."""
    resting = await rest(http, at)
    await post(http, f"{at.home}/positions/flatten", instrument=at.instrument)
    await at.pause(1)
    same(await state(http, at, resting), "Working", "state")


@card(170, "endpoints 2.5", "doc-mid")
async def a_flatten_of_an_account_takes_every_order(http: Http, at: At) -> None:
    """The flatten of a whole account also cancels orders without a position."""
    resting = await rest(http, at)
    await post(http, f"{at.home}/positions/flatten")
    await until(at, "the order to be", lambda: state(http, at, resting), "Cancelled")


@card(171, "endpoints 2.4", "doc-mid")
async def a_flatten_with_filters_names_the_orders(http: Http, at: At) -> None:
    """`/positions/flatten` with an account answers `orderIds` and `closedPositions`."""
    await hold(http, at, 1)
    answer = await post(http, "/positions/flatten", account=at.account, instrument=at.instrument)
    same((answer.get("success"), len(answer["orderIds"]), len(answer["closedPositions"])), (True, 1, 1), "one of each:")
    await _flat(http, at)


@card(172, "endpoints 2.4", "doc-new")
async def nothing_to_flatten_is_a_success_with_a_warning(http: Http, at: At) -> None:
    """With nothing to flatten the answer is a success, and `warning` says so."""
    answer = await post(http, "/positions/flatten", account=at.account, instrument=at.instrument)
    same((answer.get("success"), answer["closedPositions"]), (True, []), "success, and no positions:")
    same(type(answer.get("warning")), str, "warning")


@card(173, "endpoints 2.4", "doc-mid")
async def filters_of_a_flatten_have_to_fit_together(http: Http, at: At) -> None:
    """`marketPosition: short` beside the account leaves a long position."""
    await hold(http, at, 1)
    await post(http, "/positions/flatten", account=at.account, marketPosition="short")
    await at.pause(2)
    same(await held(http, at), 1, "to hold")


@card(174, "endpoints 2.4", "doc-mid", everywhere=True)
async def an_empty_flatten_closes_everything_everywhere(http: Http, at: At) -> None:
    """`/positions/flatten` with an empty body closes every position and order of every account."""
    await hold(http, at, 1)
    answer = await post(http, "/positions/flatten")
    has(answer, "orderIds", "closedPositions")
    await _flat(http, at)
    same((await get(http, "/positions"))["count"], 0, "positions of all accounts:")


@card(175, "endpoints 2.7", "doc-mid")
async def a_reversal_turns_the_same_size_around(http: Http, at: At) -> None:
    """Reverse answers the id of the new order, and stands as large on the other side."""
    await hold(http, at, 2)
    has(await post(http, f"{at.home}/positions/reverse", instrument=at.instrument), "orderId", "success")
    await until(at, "to hold", lambda: held(http, at), -2)


@card(176, "endpoints 2.7", "doc-mid")
async def without_a_position_there_is_nothing_to_reverse(http: Http, at: At) -> None:
    """Reverse without a position is answered with 400, naming instrument and account."""
    answer = await post(http, f"{at.home}/positions/reverse", 400, instrument=at.instrument)
    speaks(answer, f"No position found for instrument '{at.instrument}' in account '{at.account}'")
    same(await orders(http, at), [], "orders")


@card(177, "endpoints 2.8", "doc-new")
async def reverse_position_places_the_order_that_is_given(http: Http, at: At) -> None:
    """ReversePosition closes what is held, and then places the order of its own size."""
    await hold(http, at, 2)
    order = market(at, action="SELL", quantity=1)
    has(await post(http, f"{at.home}/positions/reverseposition", **order), "orderId", "success")
    await until(at, "to hold", lambda: held(http, at), -1)


@card(178, "endpoints 2.8", "doc-new")
async def reverse_position_needs_a_position(http: Http, at: At) -> None:
    """ReversePosition without a position is an error, and nothing is placed."""
    has(await post(http, f"{at.home}/positions/reverseposition", 400, **market(at, action="SELL")), "error")
    same(await positions(http, at), [], "positions")


@card(179, "endpoints 2.8", "doc-new", when=When.CLOSE_STUCK)
async def reverse_position_places_anyway(http: Http, at: At) -> None:
    """When the close has not worked after about five seconds, ReversePosition places its order all the same."""
    await hold(http, at, 1)
    await post(http, f"{at.home}/positions/reverseposition", **market(at, quantity=2))
    await until(at, "to hold", lambda: held(http, at), 3)


@card(180, "endpoints 3.7", "doc-mid")
async def flat_place_places_without_a_position(http: Http, at: At) -> None:
    """FlatPlace places its order whether or not there is a position, unlike ReversePosition."""
    has(await post(http, f"{at.home}/orders/flatplace", **market(at)), "orderId", "success")
    await until(at, "to hold", lambda: held(http, at), 1)


@card(181, "endpoints 3.7", "doc-mid")
async def flat_place_leaves_what_is_held(http: Http, at: At) -> None:
    """FlatPlace closes the position first, so that only its own order stands."""
    await hold(http, at, 3)
    await post(http, f"{at.home}/orders/flatplace", **market(at))
    await until(at, "to hold", lambda: held(http, at), 1)


@card(182, "field-notes 0.9", "doc-mid", when=When.CLOSE_STUCK)
async def flat_place_places_anyway(http: Http, at: At) -> None:
    """When the close has not worked in time, FlatPlace places its order all the same."""
    await hold(http, at, 1)
    await post(http, f"{at.home}/orders/flatplace", **market(at, quantity=2))
    await until(at, "to hold", lambda: held(http, at), 3)


@card(183, "endpoints 4", "doc-old")
async def an_execution_names_the_order_and_what_it_made(http: Http, at: At) -> None:
    """After a fill, an execution names the order, and the position that it left."""
    await hold(http, at, 1)
    rows = (await get(http, f"{at.home}/executions"))["executions"]
    mine = must([row for row in rows if row["instrument"] == at.instrument][-1:], "execution")
    same((mine["marketPosition"], mine["quantity"], mine["position"]), ("Long", 1, 1), "the fill:")
    same(await state(http, at, mine["orderId"]), "Filled", "state")
