"""What the tools of the book say: trades as lines, figures with the size of their samples, and gaps before all else."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from ct_mcp.domain.performance import (
    SMALL_SAMPLE,
    Group,
    Performance,
    PerformanceReport,
    Statistic,
    by_currency,
    performance_of,
)
from ct_mcp.domain.products import price_of
from ct_mcp.domain.trades import OpenLot, RecordGap, RoundTrip, TradeList
from ct_mcp.domain.trading_days import TradingDays
from ct_mcp.server.format import join_cells, join_lines, sanitize_name
from ct_mcp.text import count, iso, quoted, span, utc_minute

MOST_TRADES = 40
"""A line is some 60 tokens."""
_MOST_NAMED = 5
_MOST_GROUPS = 30
TRADE_COLUMNS = "closed UTC, side, contracts, entry -> exit, result, R, held, excursion, setup, ticket"
_NO_RECORD = (
    "nothing is on record of this account yet: ct-mcp records what is executed while it runs, and the person can put "
    "NinjaTrader's export in with ct-mcp book import"
)


def trades_text(trades: TradeList, days: TradingDays, now: datetime, skip: int) -> str:
    """Write the trades of some days, the newest first."""
    newest = list(reversed(trades.trips))
    page = newest[skip : skip + MOST_TRADES]
    name = sanitize_name(trades.account)
    head = f"{count(len(newest), 'trade')} of {name}, {days}, newest first, read {iso(now)}"
    more = len(newest) - skip - len(page)
    left = f"{more} more are left out here: call again with skip={skip + len(page)}, or name fewer days"
    return join_lines(
        (
            head,
            *record_lines(trades.began, trades.gaps, trades.heard_until),
            *_sums(trades.trips),
            *((TRADE_COLUMNS,) if page else ()),
            *map(_trade_line, page),
            *((left,) if more > 0 else ()),
            *open_lines(trades.open),
            *unmatched_lines(trades.unmatched),
        )
    )


def record_lines(began: datetime | None, gaps: Sequence[RecordGap], heard_until: datetime | None = None) -> list[str]:
    """Say since when there is a record, and where it has gaps: what was done in them is in no figure."""
    if began is None and (not gaps or heard_until is None):
        return [_NO_RECORD]
    since = "nothing executed is on record" if began is None else f"on record since {utc_minute(began)}"
    since += "" if heard_until is None else f", read last {iso(heard_until)}: what was done since is not in it yet"
    if not gaps:
        return [f"{since}; no gaps in these days"]
    named = "; ".join(gap.words for gap in gaps[-_MOST_NAMED:])
    others = f"; {len(gaps) - _MOST_NAMED} earlier ones" if len(gaps) > _MOST_NAMED else ""
    return [since, f"GAPS: {named}{others}. What was executed then is missing here, and in every figure"]


def open_lines(lots: Sequence[OpenLot]) -> list[str]:
    """Say what is open: no trade yet."""
    return [f"open, no trade yet: {_lot_words(lot)}" for lot in lots[:_MOST_NAMED]] + _rest(lots, "more are open")


def unmatched_lines(unmatched: Sequence[str]) -> list[str]:
    """Name what no trade could be made of, the newest."""
    told = [f"not counted: {sanitize_name(said, 300)}" for said in unmatched[-_MOST_NAMED:]]
    return told + _rest(unmatched, "more are not counted")


def _rest(rows: Sequence[object], words: str) -> list[str]:
    return [f"{len(rows) - _MOST_NAMED} {words}"] if len(rows) > _MOST_NAMED else []


def _lot_words(lot: OpenLot) -> str:
    at = price_of(lot.instrument, lot.entries[0].price)
    closed = f", {lot.closed} of it closed" if lot.closed else ""
    return f"{lot.side} {lot.left} {lot.instrument} since {utc_minute(lot.entries[0].at)} at {at}{closed}"


def _trade_line(it: RoundTrip) -> str:
    tag = None if it.plan is None or not it.plan.tag else f"setup {quoted(it.plan.tag)}"
    stop = None if it.plan is None or it.plan.stop is None else f"stop {price_of(it.instrument, it.plan.stop)}"
    cells = (
        f"{it.closed_at:%Y-%m-%d %H:%M}",
        f"{it.side} {it.quantity} {it.instrument}",
        f"{_price(it, it.average_entry)} -> {_price(it, it.average_exit)}",
        f"{signed(it.result)} {it.currency or ''}".rstrip() + ("" if it.net is not None else " before costs"),
        None if it.r is None else f"{it.r:+.2f} R",
        f"held {span(it.held_for.total_seconds())}",
        _excursion_words(it),
        tag,
        stop,
        f"ticket {it.plan.ticket_id}" if it.plan else "no ticket",
        *(("UNSURE: " + "; ".join(it.notes),) if it.notes else ()),
    )
    return join_cells(cell for cell in cells if cell)


def _price(trip: RoundTrip, price: Decimal) -> str:
    return price_of(trip.instrument, round(price, 6))


def _excursion_words(it: RoundTrip) -> str | None:
    if it.excursion is None or it.mae is None or it.mfe is None:
        return None
    return f"MAE {signed(it.mae)} MFE {signed(it.mfe)} ({it.excursion.source})"


def _sums(trips: Sequence[RoundTrip]) -> list[str]:
    return [_sum_line(performance_of(found, currency)) for currency, found in by_currency(trips).items()]


def _sum_line(it: Performance) -> str:
    return f"result: {_net_words(it)}; {it.wins} won, {it.losses} lost"


def _net_words(it: Performance) -> str:
    """Say what all came to, and of how many each sum is made where that is not all of them."""
    money = it.currency or "of unknown currency"
    if it.net.sample == it.trades:
        return (
            f"{signed(it.net.value)} {money} net (gross {signed(it.gross.value)}, commission {_plain(it.commission)})"
        )
    if it.gross.value is None:
        return f"unknown: what a point is worth is not known for any of {it.trades}"
    known = f"commission is known of {it.commission.sample} of {it.trades}"
    return f"{signed(it.gross.value)} {money} before costs, of {it.gross.sample} of {it.trades} trades; {known}"


def _plain(it: Statistic) -> str:
    return "unknown" if it.value is None else f"{round(it.value, 2):,f}"


def signed(value: Decimal | None) -> str:
    """Write money with its sign: ``+1,234.50``; ``unknown`` for None."""
    return "unknown" if value is None else f"{round(value, 2):+,.2f}"


# --- performance ---


def performance_text(report: PerformanceReport, days: TradingDays, now: datetime) -> str:
    """Write the figures of some days: in all, split up, and what stands beside them."""
    head = f"performance of {sanitize_name(report.account)}, {days}, read {iso(now)}"
    none = () if report.totals or report.began is None else ("no trade was closed in these days",)
    return join_lines(
        (
            head,
            *record_lines(report.began, report.gaps, report.heard_until),
            *none,
            *(line for total in report.totals for line in _figure_lines(total)),
            *_group_lines(report),
            *open_lines(report.open),
            *unmatched_lines(report.unmatched),
            *report.denied_words,
            *report.breaks,
        )
    )


def _figure_lines(it: Performance) -> list[str]:
    small = f"SMALL SAMPLE: {it.trades} of {SMALL_SAMPLE} trades that rates need to mean much" if it.is_small else ""
    even = it.win_rate.sample - it.wins - it.losses
    return [
        f"{count(it.trades, 'trade')}: {_net_words(it)}",
        small,
        f"win rate {_percent(it.win_rate)} (n={it.win_rate.sample}: {it.wins} won, {it.losses} lost, {even} even)",
        f"average win {_with_sample(it.average_win)}, average loss {_with_sample(it.average_loss)}, "
        f"profit factor {_ratio(it.profit_factor)}",
        f"expectancy {_with_sample(it.expectancy)} a trade, {_in_r(it.expectancy_r)}",
        f"max drawdown of the results {_with_sample(it.max_drawdown)}; longest run won {it.longest_won}, "
        f"lost {it.longest_lost}, now {_streak_words(it.streak)} (n={it.expectancy.sample})",
        f"average MAE {_with_sample(it.average_mae)}, average MFE {_with_sample(it.average_mfe)}",
    ]


def _with_sample(it: Statistic) -> str:
    return f"{signed(it.value) if it.sample else 'none'} (n={it.sample})"


def _percent(it: Statistic) -> str:
    return "none" if it.value is None else f"{100 * it.value:.0f} %"


def _ratio(it: Statistic) -> str:
    return f"{'none: nothing was lost' if it.value is None else f'{it.value:.2f}'} (n={it.sample})"


def _in_r(it: Statistic) -> str:
    return (
        "R none (n=0: no ticket had a stop)" if it.value is None else f"{it.value:+.2f} R (n={it.sample}, with a stop)"
    )


def _streak_words(streak: int) -> str:
    return "even" if not streak else f"{abs(streak)} {'won' if streak > 0 else 'lost'}"


def _group_lines(report: PerformanceReport) -> Iterable[str]:
    if report.by is None or not report.groups:
        return
    yield f"by {report.by} (n is the number of trades; of fewer than {SMALL_SAMPLE} a rate says little):"
    for group in report.groups[:_MOST_GROUPS]:
        yield _group_line(group)
    if len(report.groups) > _MOST_GROUPS:
        yield f"{len(report.groups) - _MOST_GROUPS} more are left out here: name fewer days"


def _group_line(group: Group) -> str:
    it = group.performance
    cells = (
        f"  {sanitize_name(group.name, 40)}: n={it.trades}",
        f"{signed(it.expectancy.value and it.expectancy.value * it.expectancy.sample)} {it.currency or ''}".rstrip(),
        f"win rate {_percent(it.win_rate)}",
        f"expectancy {signed(it.expectancy.value)}",
        f"{_in_r(it.expectancy_r)}" if it.expectancy_r.sample else "",
        f"profit factor {'none' if it.profit_factor.value is None else f'{it.profit_factor.value:.2f}'}",
    )
    return join_cells(cell for cell in cells if cell)
