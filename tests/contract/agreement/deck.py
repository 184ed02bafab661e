"""Cards: one documented belief about the service each, in our words, and a way to look whether it holds."""

import importlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from urllib.parse import quote

import httpx

_HERE = Path(__file__).parent
MARKS = ("doc-new", "doc-mid", "doc-old", "doc", "agents", "field", "inferred")


class When(StrEnum):
    """What has to be so for a card to be looked at. Only the first two can be had by hand."""

    ORDINARY = "the add-on is connected"
    OFFLINE = "NinjaTrader or the add-on is off"
    CROWDED = "the budget of requests is used up, which is never done by hand"
    CLOSE_STUCK = "a close does not fill, which cannot be had by hand"
    HURRIED = "two requests arrive at the same moment, which cannot be had by hand"
    WARNED = "the service has something to warn of, which cannot be had by hand"


class Differs(AssertionError):
    """The service is not as a card says."""

    def __init__(self, expected: object, came: object) -> None:
        """Take what was expected and what came."""
        super().__init__(f"expected {expected}; came {came}")
        self.expected, self.came = str(expected), str(came)


class NotObservable(Exception):
    """Nothing is there to look at: no template, no position, no fill."""


@dataclass(frozen=True)
class At:
    """Where a card looks: a simulated account and a dated instrument. `pause` lets seconds pass."""

    account: str
    instrument: str
    pause: Callable[[float], Awaitable[None]]
    fresh: Callable[[], str]

    @property
    def home(self) -> str:
        """The path of the account."""
        return f"/accounts/{quote(self.account, safe='')}"

    @property
    def root(self) -> str:
        """The instrument without its month."""
        return self.instrument.split()[0]


Look = Callable[[httpx.AsyncClient, At], Awaitable[None]]


@dataclass(frozen=True)
class Card:
    """One belief. `everywhere` marks what would reach accounts that nobody has named."""

    number: int
    source: str
    mark: str
    look: Look
    trades: bool
    when: When
    everywhere: bool

    @property
    def belief(self) -> str:
        """The belief, in a sentence."""
        return " ".join((self.look.__doc__ or "").split())

    @property
    def name(self) -> str:
        """The name of the card's function."""
        return self.look.__name__


_dealt: list[Card] = []


def card(
    number: int, source: str, mark: str, *, when: When = When.ORDINARY, everywhere: bool = False
) -> Callable[[Look], Look]:
    """Make a card of a function; it trades if it stands in the folder `trading`."""

    def deal(look: Look) -> Look:
        trades = ".trading." in f"{look.__module__}."
        _dealt.append(Card(number, source, mark, look, trades, when, everywhere))
        return look

    return deal


@cache
def deck() -> tuple[Card, ...]:
    """Import every card; they come in the order of their numbers."""
    for room in ("reading", "trading"):
        for file in sorted((_HERE / room).glob("*.py")):
            importlib.import_module(f"tests.contract.agreement.{room}.{file.stem}")
    return tuple(sorted(_dealt, key=lambda each: each.number))
