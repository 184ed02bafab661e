"""Cards about starting, pausing and ending strategies; each ends what it has started."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.contract.agreement.asking import Http, get, has, post, same
from tests.contract.agreement.deck import At, card

SAMPLE = "SampleMACrossOver"


@asynccontextmanager
async def _started(http: Http, at: At) -> AsyncIterator[str]:
    """Run the sample that comes with NinjaTrader, over periods so long that it does not trade."""
    body: dict[str, Any] = {
        "strategyClass": SAMPLE,
        "instrument": at.instrument,
        "parameters": {"Fast": 400, "Slow": 500},
    }
    answer = await post(http, f"{at.home}/strategies/start", **body)
    try:
        await at.pause(3)
        yield f"{at.home}/strategies/{answer['strategyId']}"
    finally:
        await http.post(f"{at.home}/strategies/{answer['strategyId']}/close", json={})


async def _switch(http: Http, path: str, what: str) -> tuple[Any, Any]:
    answer = await post(http, f"{path}/{what}")
    has(answer, "strategyId", "account", "hostMode", "wasEnabled", "isEnabled", "state", "success")
    return answer["wasEnabled"], answer["isEnabled"]


@card(210, "endpoints 6.5", "doc-new")
async def a_started_strategy_is_listed(http: Http, at: At) -> None:
    """StartStrategy answers an id, and the strategy is among those of the account."""
    async with _started(http, at) as path:
        rows = (await get(http, f"{at.home}/strategies"))["strategies"]
        same(path.rsplit("/", 1)[1] in {row["strategyId"] for row in rows}, True, "the id among them:")


@card(211, "endpoints 6.3", "doc-new")
async def a_strategy_is_paused_once(http: Http, at: At) -> None:
    """DisableStrategy tells what was and what is; a second one changes nothing and says so."""
    async with _started(http, at) as path:
        same(await _switch(http, path, "disable"), (True, False), "was and is enabled:")
        same(await _switch(http, path, "disable"), (False, False), "was and is enabled:")


@card(212, "endpoints 6.4", "doc-new")
async def a_strategy_that_runs_can_be_enabled_again(http: Http, at: At) -> None:
    """EnableStrategy of one that is enabled is a success with `wasEnabled: true`."""
    async with _started(http, at) as path:
        same(await _switch(http, path, "enable"), (True, True), "was and is enabled:")


@card(213, "endpoints 6.4", "doc-new")
async def a_strategy_goes_on_after_a_pause(http: Http, at: At) -> None:
    """EnableStrategy after DisableStrategy lets it go on."""
    async with _started(http, at) as path:
        await _switch(http, path, "disable")
        same(await _switch(http, path, "enable"), (False, True), "was and is enabled:")


@card(214, "endpoints 6.2", "doc-mid")
async def a_closed_strategy_answers_its_id(http: Http, at: At) -> None:
    """CloseStrategy answers the id and `success: true`."""
    async with _started(http, at) as path:
        same(await post(http, f"{path}/close"), {"strategyId": path.rsplit("/", 1)[1], "success": True}, "the answer:")


@card(215, "endpoints 6.4", "doc-new")
async def a_strategy_that_is_over_stays_over(http: Http, at: At) -> None:
    """A strategy that was closed cannot be enabled any more: 409."""
    async with _started(http, at) as path:
        await post(http, f"{path}/close")
        await at.pause(2)
        has(await post(http, f"{path}/enable", 409), "error")


@card(216, "endpoints 6.4", "doc-new")
async def an_unknown_strategy_cannot_be_enabled(http: Http, at: At) -> None:
    """EnableStrategy of an id that does not exist is answered with 404."""
    has(await post(http, f"{at.home}/strategies/1/enable", 404), "error")


@card(217, "endpoints 6.5", "doc-new")
async def a_class_must_be_compiled(http: Http, at: At) -> None:
    """StartStrategy of a class that NinjaTrader has not compiled is refused with 400."""
    body = {"strategyClass": "NoSuchClass0", "instrument": at.instrument}
    has(await post(http, f"{at.home}/strategies/start", 400, **body), "error")


@card(218, "endpoints 6.5", "doc-new")
async def a_strategy_wants_the_full_name_of_its_instrument(http: Http, at: At) -> None:
    """StartStrategy takes the dated name, and no root."""
    has(await post(http, f"{at.home}/strategies/start", 400, strategyClass=SAMPLE, instrument=at.root), "error")
