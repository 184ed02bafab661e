"""Cards about quotes, hours, bars and templates."""

from typing import Any

from tests.contract.agreement.asking import Http, fits, get, has, holds, lacks, post, same, some, speaks, succeeds
from tests.contract.agreement.deck import At, card

OLDER = (
    "description", "type", "tickSize", "pointValue", "exchange", "expiration", "tradingHours", "instrument", "bid",
    "ask", "last", "open", "high", "low", "close", "volume", "quoteTime", "quoteTimeUtc",
)  # fmt: skip
NEWER = ("tickValue", "epoch", "dataSource", "isMarketOpen")
ISO = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z"
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


async def _quote(http: Http, at: At) -> Any:
    return await get(http, "/market/quote", instrument=at.instrument)


async def _resolved(http: Http, spelled: str) -> str:
    return str((await get(http, "/market/quote", instrument=spelled))["instrument"])


@card(60, "endpoints 5.1", "doc-mid")
async def a_quote_has_its_documented_keys(http: Http, at: At) -> None:
    """A quote has 22 documented keys."""
    has(await _quote(http, at), *OLDER, *NEWER)


@card(61, "endpoints 5.1", "doc-mid")
async def a_quote_has_no_success(http: Http, at: At) -> None:
    """A quote comes flat and without `success`."""
    lacks(await _quote(http, at), "success", "data")


@card(62, "endpoints 5.1", "doc-mid")
async def the_epoch_of_a_quote_is_in_seconds(http: Http, at: At) -> None:
    """A quote counts seconds since 1970, alone among all answers."""
    epoch = (await _quote(http, at))["epoch"]
    holds(fact=1.5e9 < epoch < 4e9, expected="seconds", came=epoch)


@card(63, "endpoints 5.1", "doc-mid")
async def several_quotes_are_a_bare_list(http: Http, at: At) -> None:
    """Of several instruments, separated by commas, the answer is a list with nothing around it."""
    answer = await get(http, "/market/quote", instrument=f"{at.instrument},CL")
    holds(fact=isinstance(answer, list), expected="a bare list", came=type(answer).__name__)
    same([row["instrument"].split()[0] for row in answer], [at.root, "CL"], "roots")


@card(64, "endpoints 5.1", "doc-mid")
async def the_time_of_a_quote_is_american(http: Http, at: At) -> None:
    """`quoteTime` is the computer's time as it is written in the United States; `quoteTimeUtc` has no zone."""
    quote = await _quote(http, at)
    fits(quote["quoteTime"], r"\d\d/\d\d/\d{4} \d\d:\d\d:\d\d [AP]M")
    fits(quote["quoteTimeUtc"], r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


@card(65, "endpoints 5.1", "doc-mid")
async def a_tick_is_worth_its_size_times_the_point(http: Http, at: At) -> None:
    """`tickValue` is `tickSize` times `pointValue`."""
    quote = await _quote(http, at)
    same(round(quote["tickValue"], 6), round(quote["tickSize"] * quote["pointValue"], 6), "tickValue")


@card(66, "endpoints 5.1", "doc-mid")
async def a_quote_says_where_it_comes_from(http: Http, at: At) -> None:
    """`dataSource` has a status and a list of feeds."""
    source = (await _quote(http, at))["dataSource"]
    has(source, "status", "connectedFeeds")
    holds(fact=isinstance(source["connectedFeeds"], list), expected="a list of feeds", came=source)


@card(67, "platform Names", "doc-mid")
async def a_root_means_the_front_month(http: Http, at: At) -> None:
    """A bare root is resolved, and the answer echoes the dated form."""
    fits(await _resolved(http, at.root), rf"{at.root} \d\d-\d\d")


@card(68, "platform Names", "doc-mid")
async def the_continuous_form_means_the_front_month(http: Http, at: At) -> None:
    """`ES1!` means the contract that `ES` means."""
    same(await _resolved(http, f"{at.root}1!"), await _resolved(http, at.root), "the front month")


@card(69, "platform Names", "doc-mid")
async def every_spelling_of_a_month_means_it(http: Http, at: At) -> None:
    """`ESU26`, `ESU6` and `ES SEP26` mean what `ES 09-26` means, and that is what the answer says."""
    root, month, year = at.root, int(at.instrument[-5:-3]), at.instrument[-2:]
    code = "FGHJKMNQUVXZ"[month - 1]
    spelled = (f"{root}{code}{year}", f"{root}{code}{year[-1]}", f"{root} {MONTHS[month - 1]}{year}", at.instrument)
    same({await _resolved(http, each) for each in spelled}, {at.instrument}, "one contract:")


@card(70, "platform Names", "inferred")
async def an_unknown_instrument_is_refused(http: Http, _: At) -> None:
    """An instrument that does not exist is answered with 400."""
    speaks(await get(http, "/market/quote", 400, instrument="QQQQ 01-01"), "")


@card(71, "endpoints 5.1", "doc-mid")
async def a_quote_needs_an_instrument(http: Http, _: At) -> None:
    """The instrument of a quote is required."""
    speaks(await get(http, "/market/quote", 400), "")


@card(72, "endpoints 5.2", "doc-mid")
async def the_older_quote_has_success_and_fewer_keys(http: Http, at: At) -> None:
    """The older route has `success`, and neither tick value, epoch, source nor market state."""
    answer = await get(http, f"{at.home}/quote", instrument=at.instrument)
    has(answer, *OLDER, "success")
    lacks(answer, *NEWER)


@card(73, "endpoints 5.2", "field")
async def the_older_quote_takes_several(http: Http, at: At) -> None:
    """The older route takes several instruments with commas between them."""
    answer = await get(http, f"{at.home}/quote", instrument=f"{at.instrument},CL")
    same(len(answer), 2, "rows")


@card(74, "endpoints 5.3", "doc-mid")
async def market_info_has_its_documented_keys(http: Http, at: At) -> None:
    """The trading hours come with status, session and the one after, in UTC with seven digits."""
    answer = await get(http, "/market/info", instrument=at.instrument)
    has(answer, "success", "timestamp", "instrument", "timeZone", "status", "session", "upcoming")
    has(answer["status"], "isOpen", "state")
    has(answer["session"], "label", "utcStart", "utcEnd", "localStart", "localEnd", "countdown", "action")
    for moment in (answer["timestamp"], answer["session"]["utcStart"], answer["upcoming"]["utcEnd"]):
        fits(moment, ISO)


@card(75, "endpoints 5.3", "doc-mid")
async def market_info_is_of_es_if_nothing_is_named(http: Http, _: At) -> None:
    """Without an instrument the hours are those of the front month of ES."""
    fits((await get(http, "/market/info"))["instrument"], r"ES \d\d-\d\d")


@card(76, "endpoints 5.3", "doc-mid")
async def the_time_zone_is_a_name_that_windows_knows(http: Http, at: At) -> None:
    """`timeZone` is a name such as `Central Standard Time`, and not one such as America/Chicago."""
    fits((await get(http, "/market/info", instrument=at.instrument))["timeZone"], "[A-Z][A-Za-z. ]+ Time")


@card(77, "endpoints 5.3", "doc-mid")
async def the_session_is_the_next_one_while_the_market_is_closed(http: Http, at: At) -> None:
    """An open market shows the session until its close, a closed one the next until its open."""
    answer = await get(http, "/market/info", instrument=at.instrument)
    is_open = answer["status"]["isOpen"]
    expected = ("Current Session", "Until Close") if is_open else ("Next Session", "Until Open")
    same((answer["session"]["label"], answer["session"]["action"]), expected, "label and action")


@card(78, "endpoints 5.3", "doc-mid")
async def the_countdown_is_the_seconds_that_remain(http: Http, at: At) -> None:
    """`countdown` writes `secondsRemaining` as hours, minutes and seconds."""
    session = (await get(http, "/market/info", instrument=at.instrument))["session"]
    fits(session["countdown"], r"(\d+\.)?\d+:\d\d:\d\d")
    hours, minutes, seconds = (int(part) for part in session["countdown"].split(".")[-1].split(":"))
    told = hours * 3600 + minutes * 60 + seconds
    off = abs(told - session["secondsRemaining"] % 86_400)
    holds(fact=off <= 1 or session["secondsRemaining"] >= 86_400, expected="the same span", came=session)


@card(79, "endpoints 5.1 and 5.3", "doc-mid")
async def quote_and_info_agree_whether_the_market_is_open(http: Http, at: At) -> None:
    """`isMarketOpen` of the quote is `isOpen` of the trading hours."""
    quote, info = await _quote(http, at), await get(http, "/market/info", instrument=at.instrument)
    same(quote["isMarketOpen"], info["status"]["isOpen"], "isMarketOpen")


@card(80, "endpoints 5.4", "doc-mid")
async def bars_have_their_documented_keys(http: Http, at: At) -> None:
    """Bars come with what was asked for and a count; a bar has a time, an epoch, four prices and a volume."""
    answer = await post(http, "/market/bars", instrument=at.instrument, period=5, daysBack=4)
    has(answer, "instrument", "periodType", "period", "count", "bars")
    same((answer["period"], answer["count"]), (5, len(answer["bars"])), "period and count")
    has(some(answer["bars"], "bar"), "time", "epoch", "open", "high", "low", "close", "volume")


@card(81, "endpoints 5.4", "doc-mid")
async def bars_are_of_one_minute_if_nothing_is_said(http: Http, at: At) -> None:
    """Without a period, bars are of one minute."""
    answer = await post(http, "/market/bars", instrument=at.instrument, limit=2)
    same((str(answer["periodType"]).lower(), answer["period"]), ("minute", 1), "period")


@card(82, "endpoints 5.4", "doc-mid")
async def the_epoch_of_a_bar_is_in_milliseconds(http: Http, at: At) -> None:
    """A bar counts milliseconds, and writes its time in UTC with seven digits."""
    bar = some((await post(http, "/market/bars", instrument=at.instrument, daysBack=4, limit=2))["bars"], "bar")
    holds(fact=1.5e12 < bar["epoch"] < 4e12, expected="milliseconds", came=bar["epoch"])
    fits(bar["time"], ISO)


@card(83, "endpoints 5.4", "doc-mid")
async def a_limit_keeps_the_newest_bars(http: Http, at: At) -> None:
    """Of more bars than the limit, the newest are kept, oldest first."""
    wanted: dict[str, Any] = {"instrument": at.instrument, "periodType": "day", "daysBack": 20}
    many, few = await post(http, "/market/bars", **wanted), await post(http, "/market/bars", **wanted, limit=3)
    epochs = [bar["epoch"] for bar in many["bars"]]
    same(epochs, sorted(epochs), "oldest first:")
    same([bar["epoch"] for bar in few["bars"]], epochs[-3:], "the newest three:")


@card(84, "endpoints 5.4", "field")
async def a_moment_must_be_iso_with_z(http: Http, at: At) -> None:
    """`from` in any form but ISO-8601 in UTC is answered with an error that names it."""
    answer = await post(http, "/market/bars", 400, instrument=at.instrument, **{"from": "17/03/2026 00:00"})
    speaks(answer, "Invalid 'from'")


@card(85, "endpoints 5.4", "doc-mid")
async def days_back_is_ignored_beside_from(http: Http, at: At) -> None:
    """With `from`, `daysBack` changes nothing."""
    until = some((await post(http, "/market/bars", instrument=at.instrument, daysBack=4))["bars"][-1:], "bar")["time"]
    span: dict[str, Any] = {
        "instrument": at.instrument,
        "periodType": "day",
        "from": "2026-08-01T00:00:00Z",
        "to": until,
    }
    bars = [(await post(http, "/market/bars", **span, **more))["bars"] for more in ({}, {"daysBack": 1})]
    same(len(bars[1]), len(bars[0]), "as many bars")


@card(86, "endpoints 6.6", "field")
async def templates_are_names_in_a_list(http: Http, _: At) -> None:
    """The ATM templates are names under `templates`, beside `success: true`, and belong to no account."""
    answer = await get(http, "/atm-templates")
    succeeds(answer)
    same([name for name in answer["templates"] if not isinstance(name, str)], [], "what is no name:")
