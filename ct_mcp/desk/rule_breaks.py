"""What journal and trades say of how the rules were kept: what was denied, and what went past a plan or a limit.

What a denied order would have made nobody knows: it has no fill, and nothing says where it would have been closed. So
no figure is made of it, and that is said.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from ct_mcp.domain.market import trading_day
from ct_mcp.domain.trades import RoundTrip
from ct_mcp.store.journal import Entry, EntryKind
from ct_mcp.text import count

MOST_READ = 5000
_BEYOND = Decimal("-1.25")
"""A trade that lost a quarter more than it risked: its stop slipped far, was moved away, or was not there."""
_MOST_CODES = 5
_BROKEN = {
    EntryKind.DAY_LOSS: "the day's loss limit was reached",
    EntryKind.UNPROTECTED: "contracts stood without the stop that was asked for",
    EntryKind.SUSPICIOUS: "something suspicious was journalled",
    EntryKind.HALTED: "trading was halted",
}


@dataclass(frozen=True, slots=True)
class RulesKept:
    """How many were denied, in words, and what was broken, one line each."""

    denied: int
    denied_words: tuple[str, ...]
    breaks: tuple[str, ...]


def rules_kept(entries: Sequence[Entry], trips: Sequence[RoundTrip], is_meant: Callable[[date], bool]) -> RulesKept:
    """Read the newest entries of an account, the newest first, as far as they are of the days that are meant."""
    meant = [entry for entry in entries if is_meant(trading_day(entry.at))]
    denied = [entry for entry in meant if entry.kind is EntryKind.DENIED]
    declined = [entry for entry in meant if entry.kind is EntryKind.DECLINED]
    more = len(entries) >= MOST_READ and len(meant) == len(entries)
    return RulesKept(len(denied), tuple(_denied_words(denied, declined, more=more)), tuple(_breaks(meant, trips)))


def _denied_words(denied: Sequence[Entry], declined: Sequence[Entry], *, more: bool) -> Iterable[str]:
    if not denied and not declined:
        return
    codes = Counter(code for entry in denied for code in _codes(entry))
    named = ", ".join(f"{code} {times}" for code, times in codes.most_common(_MOST_CODES))
    reach = f", of the newest {MOST_READ} entries of the journal" if more else ""
    yield (
        f"not sent: {count(len(denied), 'proposal')} denied{f' ({named})' if named else ''}, {len(declined)} declined"
        f"{reach}. What they would have made or cost is not known: they have no fills"
    )


def _codes(entry: Entry) -> list[str]:
    codes = entry.detail.get("codes")
    return [str(code) for code in codes] if isinstance(codes, list) else []


def _breaks(meant: Sequence[Entry], trips: Sequence[RoundTrip]) -> Iterable[str]:
    times = Counter(entry.kind for entry in meant)
    for kind, words in _BROKEN.items():
        if times[kind]:
            yield f"rule break: {words}, {count(times[kind], 'time')}"
    beyond = [trip for trip in trips if trip.r is not None and trip.r < _BEYOND]
    if beyond:
        yield f"rule break: {count(len(beyond), 'trade')} lost more than 1.25 times what its stop risked"
    bare = [trip for trip in trips if trip.plan is not None and trip.plan.stop is None]
    if bare:
        yield f"{count(len(bare), 'trade')} of {len(trips)} had no stop in its ticket, so no R"
    elsewhere = [trip for trip in trips if trip.plan is None]
    if elsewhere:
        yield f"{count(len(elsewhere), 'trade')} of {len(trips)} had no ticket: not sent by ct-mcp"
