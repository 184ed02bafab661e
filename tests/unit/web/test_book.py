"""The book's page: every figure with its sample, gaps named, each trade with plan, yes and fills; and its CSV."""

import csv
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ct_mcp.cli.book import _TRADE_NAMES as TRADE_NAMES
from ct_mcp.desk.book import EVERYTHING, TradeBook, Wanted
from ct_mcp.desk.desk import Desk
from ct_mcp.domain.account import Direction
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderAction
from ct_mcp.domain.performance import performance_of
from ct_mcp.domain.trades import (
    Listening,
    OpenLot,
    RecordedExecution,
    RecordGap,
    RoundTrip,
    Source,
    TradeList,
)
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.store.sqlite import FILE_NAME, SqliteStore
from ct_mcp.web.app import web_app
from ct_mcp.web.book import BookFilter, trades_as_csv
from ct_mcp.web.book_view import MOST_POINTS, calendar_of, curves_of, figures_of, trade_row
from ct_mcp.web.sessions import SessionStore
from tests.factories import ES, NOW, SIM101, round_trip
from tests.unit.web.conftest import AUTHORITY, Browser, Enter, Propose

BERLIN = ZoneInfo("Europe/Berlin")
GAP = RecordGap(SIM101, NOW - timedelta(days=5, hours=3), NOW - timedelta(days=5))


class Kept:
    """A book of trades that were made by hand."""

    def __init__(self, *trips: RoundTrip, gaps: tuple[RecordGap, ...] = (), **more: object) -> None:
        self.trips, self.gaps, self.more = trips, gaps, more

    async def accounts(self) -> tuple[str, ...]:
        """Name those that have a trade."""
        return tuple(dict.fromkeys(trip.account for trip in self.trips))

    async def trades(self, account: str, wanted: Wanted = EVERYTHING) -> TradeList:
        """Give those that are meant."""
        found = tuple(trip for trip in self.trips if trip.account == account and wanted.takes(trip))
        return TradeList(account, wanted.since, wanted.until, found, gaps=self.gaps, **self.more)  # type: ignore[arg-type]


Keep = Callable[..., Awaitable[Browser]]


@pytest.fixture
def keep(desk: Desk, store: SqliteStore, sessions: SessionStore, enter: Enter) -> Keep:
    """Open the console of a desk with such a book."""

    async def entered(*trips: RoundTrip, **more: object) -> Browser:
        desk.book = Kept(*trips, **more)  # type: ignore[assignment,arg-type]
        return await enter(on=web_app(desk, store, sessions, AUTHORITY))

    return entered


LOST = round_trip(-4, hours_ago=76)


async def test_figures_calendar_curve_and_trades_are_on_one_page(keep: Keep) -> None:
    page = await (await keep(LOST, round_trip())).look("/book")
    text = re.sub(r"<[^>]+>|\s+", " ", page)
    for said in (
        "+590.00 USD",  # 1,000 and -400, less 5 each
        "1 won, 1 lost",
        "50 %",
        "of 2 trades",
        "Made of 2 trades: fewer than 30 say little",
        "November 2026",
        "2026-11-23",
        "LONG 2 ES 12-26",
        "opening range",
        "stop 6390, target 6420, risk 1,000.00",
        "yes by page at",
        "ticket ticket-1",
        "2 at 6400 (Entry), commission 2.50, order order-1, heard",
        "+1.00 R",
        "-400.00",
        "+1,200.00",
        "stream quotes",
        "a break",
        "The assistant's words, not a fact",
    ):
        assert said in text.replace("&#39;", "'"), said
    assert 'data-curve="[[' in page


@pytest.mark.parametrize("path", ["/book", "/book.csv"])
async def test_whoever_may_see_one_ticket_sees_nothing_of_it(enter: Enter, propose: Propose, path: str) -> None:
    browser = await enter(await propose())
    answer = await browser.client.get(f"{browser.path}{path}")
    assert answer.status_code == 404


@pytest.mark.parametrize("path", ["/book", "/book.csv", "/chart", "/chart/data"])
async def test_without_the_cookie_there_is_nothing(keep: Keep, path: str) -> None:
    browser = await keep(LOST)
    browser.client.cookies.clear()
    assert (await browser.client.get(f"{browser.path}{path}")).status_code == 403


async def test_nothing_on_record_is_said_with_what_to_do(keep: Keep) -> None:
    page = await (await keep()).look("/book")
    assert "Nothing is on record yet" in page
    assert "ct-mcp book import FILE" in page
    assert "<table" not in page


async def test_gaps_are_named_on_the_page_and_in_the_calendar(keep: Keep) -> None:
    page = await (await keep(LOST, gaps=(GAP,), unmatched=("ES 12-26: <b>1</b> missing",))).look("/book")
    assert GAP.words in page
    assert "what was done in them is missing here" in page
    assert "The record has a gap in this day" in page
    assert "&lt;b&gt;1&lt;/b&gt; missing" in page


async def test_a_trade_that_may_not_be_whole_is_called_unsure(keep: Keep) -> None:
    page = await (await keep(LOST, replace(round_trip(), notes=(GAP.words,)))).look("/book")
    assert page.count("unsure: see its fills") == 1
    assert f'<li class="noted">{GAP.words}</li>' in page


async def test_what_is_still_open_is_named_and_counts_as_no_trade(keep: Keep) -> None:
    lot = OpenLot(SIM101, ES, Direction.SHORT, 3, (), (), None, None)
    page = await (await keep(LOST, open=(lot,))).look("/book")
    assert "Still open, and no trade yet: SHORT 3 ES 12-26" in page


FILTERS = {
    "since=2026-11-23": 1,
    "until=2026-11-22": 1,
    "instrument=es": 2,
    "instrument=ESZ26": 2,
    "instrument=NQ": 0,
    "tag=Opening+range": 2,
    "tag=pullback": 0,
    "side=long": 2,
    "side=short": 0,
    "account=APEX-482910": 0,
}


@pytest.mark.parametrize(("query", "found"), FILTERS.items())
async def test_a_form_without_scripts_chooses_trades(keep: Keep, query: str, found: int) -> None:
    browser = await keep(LOST, round_trip())
    page = await browser.look(f"/book?{query}")
    assert page.count('<th scope="row"') == found
    exported = (await browser.client.get(f"{browser.path}/book.csv?{query}")).content.decode("utf-8-sig")
    assert len(list(csv.reader(StringIO(exported)))) == found + 1
    if not found:
        assert "No trade like this" in page or "Nothing is on record of" in page


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("since=yesterday", "since 'yesterday' must be a day, such as 2026-11-30"),
        ("since=2026-11-03&until=2026-11-02", "since, 2026-11-03, lies after until, 2026-11-02"),
        ("side=up", "side 'up' must be long or short"),
        ("instrument=%3Cscript%3E", "is none of the known spellings"),
    ],
)
@pytest.mark.parametrize("path", ["/book", "/book.csv"])
async def test_what_cannot_be_looked_up_is_refused_in_words(keep: Keep, path: str, query: str, said: str) -> None:
    browser = await keep(LOST)
    answer = await browser.client.get(f"{browser.path}{path}?{query}")
    assert answer.status_code == 400
    assert said in answer.text.replace("&#39;", "'")
    assert "<script>" not in answer.text


async def test_what_a_form_asked_for_stands_in_it_again_and_in_the_links(keep: Keep) -> None:
    page = await (await keep(LOST)).look("/book?tag=opening+range&side=long&since=2026-11-01")
    assert 'name="tag" value="opening range"' in page
    assert '<option value="long" selected>' in page
    assert 'name="since" type="date" value="2026-11-01"' in page
    assert "/book.csv?account=Sim101&amp;since=2026-11-01&amp;tag=opening+range&amp;side=long" in page


async def test_many_trades_come_in_pages_and_figures_are_of_all(keep: Keep) -> None:
    browser = await keep(*(round_trip(hours_ago=hours) for hours in range(120, 0, -1)))
    first, last = await browser.look("/book"), await browser.look("/book?page=3")
    assert (first.count('<th scope="row"'), last.count('<th scope="row"')) == (50, 20)
    assert "Page 1 of 3" in first
    assert "120 won, 0 lost" in first
    assert "120 won, 0 lost" in last
    assert (await browser.look("/book?page=99")).count('<th scope="row"') == 20
    assert (await browser.look("/book?page=-1")).count('<th scope="row"') == 50


HOSTILE = '</td><script>alert(1)</script>"\u202e=1+1'


async def test_what_others_wrote_is_text_on_the_page(keep: Keep) -> None:
    trip = round_trip()
    assert trip.plan is not None
    plan = replace(trip.plan, tag=HOSTILE, reason=HOSTILE, ticket_id=HOSTILE, approved_by=HOSTILE)
    fills = tuple(replace(fill, name=HOSTILE, order_id=HOSTILE) for fill in trip.entries)
    browser = await keep(replace(trip, plan=plan, entries=fills, account=HOSTILE, notes=(HOSTILE,)))
    page = await browser.look("/book")
    assert "<script>alert" not in page
    assert "\u202e" not in page.replace(HOSTILE.replace("<", "&lt;").replace(">", "&gt;").replace('"', "&#34;"), "")
    answer = await browser.client.get(f"{browser.path}/book.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="ct-mcp-trades-tdscriptalert1script11.csv"'


async def test_a_store_that_cannot_be_read_is_said_so(
    enter: Enter, desk: Desk, sessions: SessionStore, clock: ManualClock, tmp_path: Path
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / FILE_NAME).write_text("this is no database" * 100, encoding="utf-8")
    desk.book = TradeBook(SqliteStore(tmp_path / "broken"), clock)
    browser = await enter(on=web_app(desk, desk.store, sessions, AUTHORITY))
    answer = await browser.client.get(f"{browser.path}/book")
    assert answer.status_code == 503
    assert "Something is broken" in answer.text


async def test_trades_of_the_record_itself_are_shown(enter: Enter, store: SqliteStore) -> None:
    bought = RecordedExecution(SIM101, "1", ES, OrderAction.BUY, 1, Decimal(6400), NOW, Source.HEARD)
    sold = replace(bought, execution_id="2", action=OrderAction.SELL, price=Decimal(6410), at=NOW + timedelta(hours=1))
    await store.keep_heard(SIM101, (bought, sold), Listening(NOW - timedelta(hours=1), NOW + timedelta(hours=2), ()))
    page = await (await enter()).look("/book")
    assert "LONG 1 ES 12-26" in page
    assert "gross USD, commission unknown" in page
    assert "not asked for through ct-mcp" in page


# What stands in it


def test_each_figure_says_of_how_many_trades_it_is_made() -> None:
    unplanned = replace(round_trip(2, hours_ago=3), plan=None, excursion=None)
    figures = {each.name: each for each in figures_of(performance_of((LOST, round_trip(), unplanned), "USD"))}
    assert (figures["Expectancy in R"].value, figures["Expectancy in R"].sample) == (
        "0.30",
        "of 2 trades with a stop in the plan",
    )
    assert figures["Average worst (MAE)"].sample == "of 2 trades"
    assert (figures["Average win"].sample, figures["Average loss"].sample) == ("of 2 trades", "of 1 trade")
    assert figures["Average loss"].look == "loss"


def test_without_any_commission_the_result_is_called_gross() -> None:
    trip = round_trip()
    free = replace(trip, entries=tuple(replace(fill, commission=None) for fill in trip.entries))
    first = figures_of(performance_of((free,), "USD"))[0]
    assert (first.name, first.value) == ("Gross: no commission is known", "+1,000.00 USD")
    assert trade_row(free, BERLIN).of_result == "gross USD, commission unknown"


def test_the_curve_adds_up_what_was_closed_and_keeps_each_second_once() -> None:
    (curve,) = curves_of((round_trip(), LOST, round_trip(2, hours_ago=76)))
    assert [value for _, value in curve.points] == [-210.0, 785.0]
    assert curve.ends.words == "+785.00"


def test_a_curve_of_years_is_thinned_to_what_a_screen_shows_and_keeps_its_end() -> None:
    (curve,) = curves_of([round_trip(1, hours_ago=minute / 60) for minute in range(5000)])
    assert len(curve.points) <= MOST_POINTS
    assert curve.points[-1][1] == 5000 * 95
    assert list(curve.points) == sorted(curve.points)


def test_currencies_are_never_added_up() -> None:
    euros = round_trip(currency="EUR", instrument=Instrument("FDAX", 2026, 12))
    assert [(each.currency, each.ends.words) for each in curves_of((round_trip(), euros))] == [
        ("EUR", "+995.00"),
        ("USD", "+995.00"),
    ]


def test_the_calendar_is_of_trading_days_and_names_gaps() -> None:
    evening = round_trip(hours_ago=-8)  # 23:30 UTC, which is the next trading day
    (month,) = calendar_of((LOST, evening), (GAP,))
    days = {day.day: day for week in month.weeks for day in week if day}
    assert month.weekdays == ("Mon", "Tue", "Wed", "Thu", "Fri")
    assert [amount.words for amount in days[date(2026, 11, 24)].amounts] == ["+995.00"]
    assert days[date(2026, 11, 24)].trades == 1
    assert [day.day.day for day in days.values() if not day.heard] == [18]
    assert len(month.weeks) == 5


def test_the_calendar_has_weekends_only_where_something_was_closed_in_one() -> None:
    (month,) = calendar_of((round_trip(hours_ago=48),), ())
    assert len(month.weekdays) == 7


def test_a_trade_of_a_bond_has_its_prices_in_32nds_too() -> None:
    zb = round_trip(instrument=Instrument("ZB", 2026, 12))
    assert trade_row(zb, BERLIN).entry == "6400 (6400'00)"


def test_times_are_those_of_the_person() -> None:
    row = trade_row(round_trip(), BERLIN)
    assert row.closed == "2026-11-23 15:30:00"
    assert row.approval == "yes by page at 2026-11-23 15:10:00"


def test_where_nobody_was_asked_that_is_said() -> None:
    trip = round_trip()
    assert trip.plan is not None
    assert trade_row(replace(trip, plan=replace(trip.plan, approved_by="")), BERLIN).approval == "nobody was asked"


# CSV


def test_its_columns_are_those_of_the_command_and_more() -> None:
    names = trades_as_csv(()).strip().split(",")
    assert tuple(names[: len(TRADE_NAMES)]) == TRADE_NAMES


def rows_of(*trips: RoundTrip) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(trades_as_csv(trips))))


def test_a_row_has_every_figure_exactly() -> None:
    (row,) = rows_of(round_trip())
    expected = {
        "account": "Sim101",
        "trading_day": "2026-11-23",
        "opened_at": "2026-11-23T14:10:00Z",
        "closed_at": "2026-11-23T14:30:00Z",
        "instrument": "ES 12-26",
        "side": "LONG",
        "quantity": "2",
        "average_entry": "6400",
        "average_exit": "6410",
        "gross": "1000",
        "commission": "5",
        "net": "995",
        "risk": "1000",
        "r": "0.995",
        "mae": "-400",
        "mfe": "1200",
        "setup": "opening range",
        "stop": "6390",
        "targets": "6420",
        "approved_by": "page",
        "sources": "heard",
    }
    assert {name: row[name] for name in expected} == expected


def test_what_is_not_known_is_empty_and_not_zero() -> None:
    (row,) = rows_of(replace(round_trip(), plan=None, excursion=None, point_value=None))
    assert [row[name] for name in ("net", "gross", "r", "risk", "mae", "setup", "ticket")] == [""] * 7


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", '"=1', ";=1", "＝1", "=cmd|' /C calc'!A0"]  # noqa: RUF001


def with_text(field: str, text: str) -> RoundTrip:
    """A trade one of whose texts somebody else chose."""
    trip = round_trip()
    assert trip.plan is not None
    match field:
        case "account":
            return replace(trip, account=text)
        case "notes":
            return replace(trip, notes=(text,))
        case "tag":
            return replace(trip, plan=replace(trip.plan, tag=text))
        case _:
            return replace(trip, plan=replace(trip.plan, ticket_id=text, approved_by=text))


@pytest.mark.parametrize("text", FORMULAS)
@pytest.mark.parametrize("field", ["account", "tag", "ticket", "notes"])
def test_no_text_of_others_is_a_formula_in_a_spreadsheet(text: str, field: str) -> None:
    trip = with_text(field, text)
    written = trades_as_csv((trip,))
    figures = re.compile(r"-?\d+(\.\d+)?")
    for delimiter in ",;\t":
        for row in csv.reader(StringIO(written), delimiter=delimiter):
            for cell in row:
                begins = cell.lstrip(' "')[:1]
                assert begins not in tuple("=+-@\t\r＝") or figures.fullmatch(cell), cell  # noqa: RUF001


def test_the_file_opens_as_utf_8_in_a_spreadsheet_and_its_lines_end_as_there() -> None:
    written = trades_as_csv((round_trip(),))
    assert written.endswith("\r\n")
    assert written.count("\r\n") == 2


def test_a_filter_spells_only_what_was_chosen() -> None:
    assert BookFilter(account="Sim 1", side="long").query == "account=Sim+1&side=long"
    assert not BookFilter(account="Sim 1").is_any
