"""Cards about positions, for those who only look."""

from tests.contract.agreement.asking import Http, get, has, holds, lacks, positions, same, some, speaks, succeeds
from tests.contract.agreement.deck import At, NotObservable, card

FIELDS = (
    "type", "account", "instrument", "instrumentType", "marketPosition", "quantity", "averagePrice", "marketPrice",
    "unrealizedProfitLoss",
)  # fmt: skip


@card(21, "endpoints 2.1", "field")
async def positions_come_in_an_object(http: Http, at: At) -> None:
    """The positions of an account stand under `positions`, beside `success: true`."""
    answer = await get(http, f"{at.home}/positions")
    succeeds(answer)
    holds(fact=isinstance(answer.get("positions"), list), expected="a list under positions", came=answer)


@card(22, "endpoints, common shapes", "doc-mid")
async def a_position_has_its_documented_keys(http: Http, at: At) -> None:
    """A position has nine documented keys and is of the type `NinjaTrader.Cbi.Position`."""
    row = some(await positions(http, at), "position")
    has(row, *FIELDS)
    same(row["type"], "NinjaTrader.Cbi.Position", "type")
    lacks(row, "avgPrice", "symbol", "side")


@card(23, "endpoints, common shapes", "doc-mid")
async def the_size_of_a_position_has_no_sign(http: Http, at: At) -> None:
    """The direction is `Long` or `Short`, and the quantity is above zero in both."""
    rows = await positions(http, at)
    some(rows, "position")
    same({row["marketPosition"] for row in rows} - {"Long", "Short"}, set(), "other directions:")
    holds(fact=all(row["quantity"] > 0 for row in rows), expected="quantities above zero", came=rows)


@card(24, "endpoints 2.2", "doc-mid")
async def positions_of_all_accounts_are_counted(http: Http, _: At) -> None:
    """The positions of all accounts come with `count` and `success`."""
    answer = await get(http, "/positions")
    has(answer, "positions", "count", "success")
    same(answer["count"], len(answer["positions"]), "count")


@card(25, "endpoints, common shapes", "doc-mid")
async def positions_of_all_accounts_carry_a_tag(http: Http, _: At) -> None:
    """A position has a `tag`, which may be null, in the list over all accounts."""
    has(some((await get(http, "/positions"))["positions"], "position"), *FIELDS, "tag")


@card(26, "endpoints 2.2", "doc-mid")
async def flat_rows_are_left_out(http: Http, _: At) -> None:
    """Rows without contracts are left out, unless `includeFlat` asks for them."""
    rows = (await get(http, "/positions"))["positions"]
    same([row for row in rows if not row["quantity"]], [], "flat rows")
    more = (await get(http, "/positions", includeFlat="true"))["positions"]
    holds(fact=len(more) >= len(rows), expected="as many rows or more with includeFlat", came=len(more))


@card(27, "endpoints, common shapes", "inferred")
async def a_flat_row_says_flat(http: Http, _: At) -> None:
    """A row without contracts has the direction `Flat`."""
    rows = (await get(http, "/positions", includeFlat="true"))["positions"]
    same(some([row for row in rows if not row["quantity"]], "flat row")["marketPosition"], "Flat", "marketPosition")


@card(28, "endpoints 2.3", "doc-mid")
async def one_position_stands_flat_beside_success(http: Http, at: At) -> None:
    """One position comes flat, with `success: true`."""
    row = some(await positions(http, at), "position")
    answer = await get(http, f"{at.home}/position", instrument=row["instrument"])
    has(answer, *FIELDS)
    same((answer["success"], answer["instrument"]), (True, row["instrument"]), "success and instrument")


@card(29, "endpoints 2.3", "inferred")
async def a_position_that_is_not_there_is_refused(http: Http, at: At) -> None:
    """Asked for a position that is not held, the service answers 400 and says that there is none."""
    if any(row["instrument"].startswith("CL ") for row in await positions(http, at)):
        raise NotObservable("CL is held")
    speaks(await get(http, f"{at.home}/position", 400, instrument="CL"), "position")


@card(30, "endpoints 2.3", "doc-mid")
async def a_position_needs_its_instrument(http: Http, at: At) -> None:
    """The instrument of a position is required."""
    has(await get(http, f"{at.home}/position", 400), "error")
