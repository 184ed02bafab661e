"""The book: what was traded, in figures, by day and trade by trade, with plan, yes, fills and exit; and as CSV."""

import csv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, tzinfo
from decimal import Decimal
from io import StringIO
from urllib.parse import urlencode

from anyio import to_thread
from starlette.responses import Response

from ct_mcp.desk.book import TradeBook, Wanted
from ct_mcp.domain.account import Direction
from ct_mcp.domain.instrument import parse_instrument
from ct_mcp.domain.performance import by_currency, performance_of
from ct_mcp.domain.trades import RoundTrip, TradeList
from ct_mcp.domain.trading_days import read_date
from ct_mcp.errors import BadRequest
from ct_mcp.text import command, harmless_cell, iso, sanitize, zone_words
from ct_mcp.web.accounts import account_named
from ct_mcp.web.book_view import calendar_of, curves_of, figures_of, trade_row
from ct_mcp.web.rendering import message, not_here, page
from ct_mcp.web.sessions import PageRequest

ROWS = 50
SIDES = {"long": Direction.LONG, "short": Direction.SHORT}


@dataclass(frozen=True, slots=True)
class BookFilter:
    """Which trades are wanted, as a form says it; what is empty leaves nothing out."""

    account: str = ""
    since: str = ""
    until: str = ""
    instrument: str = ""
    tag: str = ""
    side: str = ""

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> "BookFilter":
        """Read what a form asked for."""
        return cls(*(sanitize(query.get(field.name, ""), longest=80) for field in fields(cls)))

    @property
    def is_any(self) -> bool:
        """Whether any trade of the account is left out."""
        return replace(self, account="") != BookFilter()

    @property
    def query(self) -> str:
        """Spell it for an address."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return urlencode({name: value for name, value in named.items() if value})

    def wanted(self, today: date) -> Wanted:
        """Read it.

        Raises:
            BadRequest: A day, a name or a side is none.
        """
        since, until = _day("since", self.since), _day("until", self.until)
        if since and until and since > until:
            raise BadRequest(f"since, {since}, lies after until, {until}")
        if self.side not in ("", *SIDES):
            raise BadRequest(f"side {self.side!a} must be long or short")
        instrument = str(parse_instrument(self.instrument, today)) if self.instrument else None
        return Wanted(since, until, instrument, self.tag or None)

    def takes(self, trip: RoundTrip) -> bool:
        """Say whether its side is wanted."""
        return not self.side or trip.side is SIDES[self.side]


def _day(name: str, text: str) -> date | None:
    try:
        return read_date(text) if text else None
    except ValueError:
        raise BadRequest(f"{name} {text!a} must be a day, such as 2026-11-30") from None


@dataclass(frozen=True, slots=True)
class _Asked:
    """What one request wants, and what was found."""

    filter: BookFilter
    accounts: tuple[str, ...]
    trades: TradeList | None
    trips: tuple[RoundTrip, ...]


@dataclass(frozen=True, slots=True)
class BookPage:
    """The pages of the book, for a session that may see everything; times are in ``zone``, None is this machine's."""

    book: TradeBook
    clock: Callable[[], datetime]
    zone: tzinfo | None = None

    async def show(self, request: PageRequest) -> Response:
        """Show the whole of it."""
        if not request.session.sees_all:
            return not_here()
        try:
            asked = await self._ask(request)
        except BadRequest as fault:
            return message("That cannot be looked up", fault.what, status=400)
        number = _number(request.query.get("page", ""))
        # Beside the event loop: a record of years takes seconds, and the other pages go on meanwhile.
        context = await to_thread.run_sync(self._context, asked, number)
        return page("book.html", {"path": request.session.path, **context})

    async def export(self, request: PageRequest) -> Response:
        """Give the same trades as a CSV file."""
        if not request.session.sees_all:
            return not_here()
        try:
            asked = await self._ask(request)
        except BadRequest as fault:
            return message("That cannot be looked up", fault.what, status=400)
        name = "".join(
            letter for letter in asked.filter.account if letter.isascii() and (letter.isalnum() or letter in "-_")
        )
        headers = {"Content-Disposition": f'attachment; filename="ct-mcp-trades-{name or "none"}.csv"'}
        content = await to_thread.run_sync(trades_as_csv, asked.trips)
        return Response(content.encode("utf-8-sig"), headers=headers, media_type="text/csv")

    async def _ask(self, request: PageRequest) -> _Asked:
        accounts = await self.book.accounts()
        chosen = BookFilter.parse(request.query)
        if not chosen.account and accounts:
            chosen = replace(chosen, account=sanitize(accounts[0], longest=80))
        wanted = chosen.wanted(self.clock().date())
        account = account_named(chosen.account, accounts)
        if account is None:
            return _Asked(chosen, accounts, None, ())
        trades = await self.book.trades(account, wanted)
        return _Asked(chosen, accounts, trades, tuple(trip for trip in trades.trips if chosen.takes(trip)))

    def _context(self, asked: _Asked, number: int) -> dict[str, object]:
        newest = asked.trips[::-1]
        pages = max(1, -(-len(newest) // ROWS))
        number = min(number, pages)
        performance = [performance_of(found, currency) for currency, found in by_currency(asked.trips).items()]
        began = asked.trades.began if asked.trades else None
        return {
            "title": "ct-mcp book",
            "wanted": asked.filter,
            "importing": command("book", "import", "FILE"),
            "accounts": [sanitize(name, longest=80) for name in asked.accounts],
            "trades": asked.trades,
            "began": None if began is None else f"{began.astimezone(self.zone):%Y-%m-%d %H:%M}",
            "zone": zone_words(self.clock().astimezone(self.zone)),
            "performance": [(each, figures_of(each)) for each in performance],
            "curves": curves_of(asked.trips),
            "months": calendar_of(asked.trips, asked.trades.gaps if asked.trades else ()),
            "rows": [trade_row(trip, self.zone) for trip in newest[(number - 1) * ROWS : number * ROWS]],
            "count": len(newest),
            "number": number,
            "pages": pages,
        }


def _number(text: str) -> int:
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 6 else 1


# CSV

_Value = str | int | Decimal | datetime | date | None
# First those of `ct-mcp book export`, then what a page shows besides.
_COLUMNS: Mapping[str, Callable[[RoundTrip], _Value]] = {
    "account": lambda trip: trip.account,
    "instrument": lambda trip: str(trip.instrument),
    "side": lambda trip: trip.side.value,
    "quantity": lambda trip: trip.quantity,
    "opened_at": lambda trip: trip.opened_at,
    "closed_at": lambda trip: trip.closed_at,
    "trading_day": lambda trip: trip.day,
    "average_entry": lambda trip: trip.average_entry,
    "average_exit": lambda trip: trip.average_exit,
    "gross": lambda trip: trip.gross,
    "commission": lambda trip: trip.commission,
    "net": lambda trip: trip.net,
    "currency": lambda trip: trip.currency,
    "setup": lambda trip: trip.plan.tag if trip.plan else None,
    "ticket": lambda trip: trip.plan.ticket_id if trip.plan else None,
    "stop": lambda trip: trip.plan.stop if trip.plan else None,
    "risk": lambda trip: trip.risk,
    "r": lambda trip: trip.r,
    "mae": lambda trip: trip.mae,
    "mfe": lambda trip: trip.mfe,
    "excursion_source": lambda trip: trip.excursion.source.value if trip.excursion else None,
    "sources": lambda trip: " ".join(sorted(trip.sources)),
    "targets": lambda trip: " ".join(map(_plain, trip.plan.targets)) if trip.plan else None,
    "approved_by": lambda trip: trip.plan.approved_by if trip.plan else None,
    "approved_at": lambda trip: trip.plan.approved_at if trip.plan else None,
    "notes": lambda trip: "; ".join(trip.notes),
}


def trades_as_csv(trips: Iterable[RoundTrip]) -> str:
    """Write trades for a spreadsheet, oldest first; what is not known is empty, and no text is taken for a formula."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    writer.writerows([_cell(read(trip)) for read in _COLUMNS.values()] for trip in trips)
    return out.getvalue()


def _cell(value: _Value) -> str | int | None:
    match value:
        case Decimal():
            return _plain(value)
        case datetime():
            return iso(value)
        case date():
            return value.isoformat()
        case str():
            return harmless_cell(sanitize(value))
        case _:
            return value


def _plain(value: Decimal) -> str:
    return f"{round(value, 6).normalize():f}"
