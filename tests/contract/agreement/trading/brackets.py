"""Cards about CancelAndBracket."""

from typing import Any

from tests.contract.agreement.asking import (
    Http,
    has,
    held,
    hold,
    orders,
    place,
    post,
    prices,
    rest,
    same,
    state,
    until,
)
from tests.contract.agreement.deck import At, When, card


async def _bracket(http: Http, at: At, **more: Any) -> Any:
    low, high = await prices(http, at)
    body: dict[str, Any] = (
        {"instrument": at.instrument, "action": "BUY", "quantity": 1} | {"takeProfit": high, "stopLoss": low} | more
    )
    wanted: dict[str, Any] = {name: value for name, value in body.items() if value is not None}
    return await post(http, f"{at.home}/orders/cancel_and_bracket", **wanted)


async def _legs(http: Http, at: At) -> list[tuple[str, str, int]]:
    rows = [(row["orderType"], row["orderAction"], row["quantity"]) for row in await orders(http, at)]
    return sorted(rows)


def _pair(size: int) -> list[tuple[str, str, int]]:
    return [("Limit", "Sell", size), ("StopMarket", "Sell", size)]


@card(190, "endpoints 3.13", "doc-mid")
async def a_bracket_is_a_target_and_a_stop(http: Http, at: At) -> None:
    """CancelAndBracket places a limit and a stop market against the way that it is given, as one OCO pair."""
    await hold(http, at, 1)
    same((await _bracket(http, at)).get("success"), True, "success")
    await until(at, "the legs to be", lambda: _legs(http, at), _pair(1))
    names = {row["ocoId"] for row in await orders(http, at)}
    same((len(names), "" in names), (1, False), "one ocoId, that is not empty:")


@card(191, "endpoints 3.13", "inferred")
async def a_bracket_answers_the_new_ids(http: Http, at: At) -> None:
    """CancelAndBracket answers the ids of its legs under `orderIds`."""
    await hold(http, at, 1)
    answer = await _bracket(http, at)
    has(answer, "orderIds", "success")
    await until(at, "the legs to be", lambda: _legs(http, at), _pair(1))
    same({row["id"] for row in await orders(http, at)}, set(answer["orderIds"]), "the ids:")


@card(192, "endpoints 3.13", "doc-mid")
async def a_bracket_cancels_what_was_there(http: Http, at: At) -> None:
    """CancelAndBracket cancels every order of the instrument first; the new ids are never the old ones."""
    await hold(http, at, 1)
    old = await rest(http, at)
    await _bracket(http, at)
    await until(at, "the old order to be", lambda: state(http, at, old), "Cancelled")
    await until(at, "the legs to be", lambda: _legs(http, at), _pair(1))
    same(old in {row["id"] for row in await orders(http, at)}, False, "the old id among the new ones:")


@card(193, "endpoints 3.13", "doc-mid")
async def a_bracket_is_cut_down_to_the_position(http: Http, at: At) -> None:
    """The size of the legs is that of the position, if more is asked for."""
    await hold(http, at, 1)
    await _bracket(http, at, quantity=5)
    await until(at, "the legs to be", lambda: _legs(http, at), _pair(1))


@card(194, "endpoints 3.13", "doc-mid")
async def a_bracket_on_a_flat_account_opens(http: Http, at: At) -> None:
    """Without a position at the beginning the legs are placed all the same, at the size asked for."""
    await _bracket(http, at, quantity=2)
    await until(at, "the legs to be", lambda: _legs(http, at), _pair(2))


@card(195, "endpoints 3.13", "inferred")
async def a_bracket_may_have_one_side(http: Http, at: At) -> None:
    """One of the two prices is enough."""
    await hold(http, at, 1)
    await _bracket(http, at, takeProfit=None)
    await until(at, "the legs to be", lambda: _legs(http, at), [("StopMarket", "Sell", 1)])


@card(196, "endpoints 3.13", "inferred")
async def a_bracket_needs_a_price(http: Http, at: At) -> None:
    """Without any of the two prices it is refused, and nothing is cancelled."""
    resting = await rest(http, at)
    body = {"instrument": at.instrument, "action": "BUY", "quantity": 1}
    has(await post(http, f"{at.home}/orders/cancel_and_bracket", 400, **body), "error")
    await at.pause(1)
    same(await state(http, at, resting), "Working", "state")


@card(197, "field-notes 0.3", "field")
async def a_bracket_is_not_atomic(http: Http, at: At) -> None:
    """A new stop that the market has passed is rejected when the old one is gone: only the target remains."""
    await hold(http, at, 1)
    low, high = await prices(http, at)
    old = await place(http, at, action="SELL", orderType="STOPMARKET", stopPrice=low)
    await at.pause(1)
    await _bracket(http, at, stopLoss=high)
    await until(at, "the old stop to be", lambda: state(http, at, old), "Cancelled")
    await until(at, "the legs to be", lambda: _legs(http, at), [("Limit", "Sell", 1)])


@card(198, "endpoints 3.13", "doc-mid", when=When.HURRIED)
async def a_bracket_is_not_placed_if_the_position_goes_meanwhile(http: Http, at: At) -> None:
    """If the position goes flat between cancelling and placing, no leg is placed."""
    await hold(http, at, 1)
    await place(http, at, action="SELL")
    await at.pause(0.19)
    await _bracket(http, at)
    await at.pause(1)
    same((await _legs(http, at), await held(http, at)), ([], 0), "legs and position")
