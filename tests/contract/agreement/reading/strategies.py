"""Cards about NinjaScript strategies, for those who only look."""

from typing import Any

from tests.contract.agreement.asking import Http, fits, get, has, holds, same, some, succeeds
from tests.contract.agreement.deck import At, NotObservable, card


async def _mine(http: Http, at: At, *, terminal: bool = True) -> list[Any]:
    answer = await get(http, f"{at.home}/strategies", includeTerminal=str(terminal).lower())
    return list(answer["strategies"])


@card(90, "endpoints 6.1", "inferred")
async def strategies_of_all_accounts_are_listed(http: Http, _: At) -> None:
    """`/strategies` lists the strategies of all accounts under `strategies`, beside `success: true`."""
    answer = await get(http, "/strategies")
    succeeds(answer)
    holds(fact=isinstance(answer.get("strategies"), list), expected="a list under strategies", came=answer)


@card(91, "endpoints 6.1", "inferred")
async def strategies_of_an_account_are_listed(http: Http, at: At) -> None:
    """The strategies of an account are under the path of the account, and all of them are its own."""
    same({row["account"] for row in await _mine(http, at)} - {at.account}, set(), "other accounts:")


@card(92, "endpoints 6.1", "field")
async def a_strategy_has_its_keys(http: Http, at: At) -> None:
    """A strategy tells its id, account, state, whether it is enabled, and its parameters."""
    has(some(await _mine(http, at), "strategy"), "strategyId", "account", "state", "isEnabled", "parameters")


@card(93, "endpoints 6", "doc-mid")
async def the_id_of_a_strategy_is_a_number_in_a_text(http: Http, at: At) -> None:
    """`strategyId` is NinjaTrader's number, written as a text."""
    fits(some(await _mine(http, at), "strategy")["strategyId"], r"\d+")


@card(94, "endpoints 6.1", "field")
async def strategies_that_are_over_are_listed_on_demand(http: Http, at: At) -> None:
    """Strategies that are over are listed only with `includeTerminal`."""
    every, running = await _mine(http, at), await _mine(http, at, terminal=False)
    if len(every) == len(running):
        raise NotObservable("no strategy of the account is over")
    same([row["state"] for row in running if row["state"] in ("Finalized", "Terminated")], [], "over:")


@card(95, "endpoints 6.1", "inferred")
async def one_strategy_stands_flat_beside_success(http: Http, at: At) -> None:
    """One strategy comes flat, with `success: true`."""
    row = some(await _mine(http, at), "strategy")
    answer = await get(http, f"{at.home}/strategies/{row['strategyId']}")
    same((answer.get("success"), answer.get("strategyId")), (True, row["strategyId"]), "success and id")


@card(96, "platform, envelope and errors", "doc-new")
async def an_unknown_strategy_is_not_found(http: Http, at: At) -> None:
    """A strategy that does not exist is answered with 404, unlike an order."""
    has(await get(http, f"{at.home}/strategies/1", 404), "error")
