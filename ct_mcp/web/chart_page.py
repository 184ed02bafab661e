"""The live chart: bars, position, working orders and the day's fills, as a page and as what its script draws.

What it shows of an account is what the console's panels read, so that looking at both costs no more than at one.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, tzinfo
from urllib.parse import urlencode

from starlette.responses import Response

from ct_mcp.desk.book import TradeBook
from ct_mcp.desk.day_fills import DayFills, day_fills
from ct_mcp.desk.ports import Store
from ct_mcp.domain.account import account_key
from ct_mcp.domain.chart import Chart, Holdings, fills_on, is_up, marks_of
from ct_mcp.domain.chart_text import chart_lines, name_of_bar
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import parse_period
from ct_mcp.domain.products import ticks_in_32nds
from ct_mcp.errors import CtMcpError, StoreFailed
from ct_mcp.text import sanitize
from ct_mcp.web.accounts import AccountReader, AccountsSnapshot, account_named
from ct_mcp.web.chart_reader import BarReader
from ct_mcp.web.rendering import not_here, page
from ct_mcp.web.sessions import PageRequest

_LENGTHS = {"minute": (1, 2, 5, 15, 30), "hour": (1, 4), "day": (1,), "week": (1,)}
PERIODS = tuple(f"{length} {unit}" for unit, lengths in _LENGTHS.items() for length in lengths)
COUNTS = (60, 120, 250, 500)
EVERY_SECONDS = 10
_MARKUP = {ord(mark): f"\\u{ord(mark):04x}" for mark in "<>&"}


@dataclass(frozen=True, slots=True)
class ChartChoice:
    """Which chart is wanted, as a form says it."""

    instrument: str = ""
    period: str = "5 minute"
    count: int = 120
    account: str = ""

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> "ChartChoice":
        """Read what a form asked for; what is none of the choices is the usual one."""
        given = {field.name: sanitize(query.get(field.name, ""), longest=80) for field in fields(cls)}
        usual = cls()
        return cls(
            given["instrument"][:40],
            given["period"] if given["period"] in PERIODS else usual.period,
            next((count for count in COUNTS if str(count) == given["count"]), usual.count),
            given["account"],
        )

    @property
    def query(self) -> str:
        """Spell it for an address."""
        return urlencode({field.name: getattr(self, field.name) for field in fields(self)})


@dataclass(frozen=True, slots=True)
class ChartPage:
    """The chart, for a session that may see everything; times are in ``zone``, None is this machine's."""

    store: Store
    book: TradeBook
    bars: BarReader
    accounts: AccountReader
    clock: Callable[[], datetime]
    zone: tzinfo | None = None

    async def show(self, request: PageRequest) -> Response:
        """Show the page, with the chart in words; its script draws it."""
        if not request.session.sees_all:
            return not_here()
        snapshot = await self.accounts.read()
        choice = _completed(ChartChoice.parse(request.query), snapshot)
        failure, lines = "", list[str]()
        if choice.instrument:
            try:
                lines = list(chart_lines(await self._chart(choice, snapshot), self.zone))
            except CtMcpError as error:
                failure = str(error)
        context = {
            "title": "ct-mcp chart",
            "path": request.session.path,
            "choice": choice,
            "periods": PERIODS,
            "counts": COUNTS,
            "accounts": [sanitize(name, longest=80) for name in _names(snapshot)],
            "lines": lines,
            "failure": failure,
            "every": EVERY_SECONDS,
        }
        return page("chart.html", context)

    async def data(self, request: PageRequest) -> Response:
        """Give what the script draws; where the bars cannot be read, why not."""
        if not request.session.sees_all:
            return not_here()
        choice = ChartChoice.parse(request.query)
        try:
            chart = await self._chart(choice, await self.accounts.read())
        except CtMcpError as error:
            return _json({"failure": str(error)}, 503)
        return _json(as_json(chart, self.zone))

    async def _chart(self, choice: ChartChoice, snapshot: AccountsSnapshot) -> Chart:
        period = parse_period(choice.period)
        known = await self.bars.read(choice.instrument, period, choice.count)
        chart = Chart(known.instrument, period, known.bars, known.read_at, known.contract)
        failures = [known.failure] if known.failure else []
        if not choice.account:
            return replace(chart, failures=tuple(failures))
        account = account_named(choice.account, _names(snapshot)) or choice.account
        fills = await self._fills(account, failures)
        failures += [f"of the account: {error.code}: {error.what}" for error in snapshot.failures]
        holdings = _holdings(account, known.instrument, snapshot, fills)
        return replace(chart, holdings=holdings, failures=tuple(failures), notes=fills.gaps if fills else ())

    async def _fills(self, account: str, failures: list[str]) -> DayFills | None:
        try:
            found = await day_fills(self.store, self.book, account, self.clock())
        except StoreFailed as error:
            failures.append(f"fills: {error.code}: {error.what}")
            return None
        if found is None:
            failures.append("fills: no ct-mcp has listened to this account yet")
        return found


def _names(snapshot: AccountsSnapshot) -> list[str]:
    return [seen.account.name for seen in snapshot.accounts or ()]


def _json(content: Mapping[str, object], status: int = 200) -> Response:
    """Answer with JSON in which nothing looks like markup, whoever may take it for a page."""
    text = json.dumps(content, ensure_ascii=True, allow_nan=False).translate(_MARKUP)
    return Response(text, status, media_type="application/json")


def _completed(choice: ChartChoice, snapshot: AccountsSnapshot) -> ChartChoice:
    """Choose what is held or working where nothing was named, and the account that has it."""
    chosen = account_named(choice.account, _names(snapshot))
    open_there = [*(snapshot.positions or ()), *(snapshot.working_orders or ())]
    mine = [each for each in open_there if not choice.account or each.account == chosen]
    if not choice.instrument and mine:
        choice = replace(choice, instrument=str(mine[0].instrument))
    names = [*(each.account for each in mine), *_names(snapshot)]
    return choice if choice.account or not names else replace(choice, account=sanitize(names[0], longest=80))


def _holdings(account: str, instrument: Instrument, snapshot: AccountsSnapshot, fills: DayFills | None) -> Holdings:
    def is_there(row_account: str, row_instrument: Instrument) -> bool:
        return account_key(row_account) == account_key(account) and row_instrument == instrument

    positions, orders = snapshot.positions, snapshot.working_orders
    return Holdings(
        account,
        None if positions is None else tuple(each for each in positions if is_there(each.account, each.instrument)),
        None if orders is None else tuple(each for each in orders if is_there(each.account, each.instrument)),
        None if fills is None else tuple(each for each in fills.fills if each.instrument == instrument),
        None if fills is None else fills.since,
    )


def as_json(chart: Chart, zone: tzinfo | None) -> dict[str, object]:
    """Give a chart as its script draws it; prices are floats, for drawing alone, and the lines say them exactly."""
    times = [_time_of(chart, place) for place in range(len(chart.bars))]
    return {
        "title": f"{chart.instrument} {chart.period}",
        "in32nds": ticks_in_32nds(chart.instrument),
        "tick": None if chart.tick is None else float(chart.tick),
        "bars": [
            [time, float(bar.open), float(bar.high), float(bar.low), float(bar.close), bar.volume, is_up(bar)]
            for time, bar in zip(times, chart.bars, strict=True)
        ],
        "marks": [
            {"kind": mark.kind, "price": float(mark.price), "sign": mark.sign, "words": sanitize(mark.words)}
            for mark in marks_of(chart)
        ],
        "fills": [
            {"time": times[fill.place], "price": float(fill.price), "sign": fill.sign, "quantity": fill.quantity}
            for fill in fills_on(chart)
        ],
        "lines": list(chart_lines(chart, zone)),
    }


def _time_of(chart: Chart, place: int) -> int | str:
    """Seconds since 1970 of the end of a bar; of one of a day or longer its trading day."""
    bar = chart.bars[place]
    return int(bar.closes_at.timestamp()) if chart.has_times else name_of_bar(chart, bar, None)
