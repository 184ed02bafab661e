"""Look at the cards by hand, against the real service: python -m tests.contract.agreement.run --help."""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit
from uuid import uuid4

import anyio
import httpx

from tests.contract.agreement.asking import TERMINAL, hold, rest
from tests.contract.agreement.deck import At, Card, Differs, NotObservable, When, deck
from tests.contract.agreement.fence import Fence, Outside

AGREES, DIFFERS, UNSEEN = "agrees", "differs", "not observable"
ALL_AGREE, SOME_DIFFER, NOT_STARTED, NOT_FLAT = 0, 1, 2, 3
_SECONDS_FOR_A_CARD = 180
_ODD = (httpx.HTTPError, ValueError, LookupError, TypeError, AttributeError, TimeoutError)
BASE_URL = "https://app.crosstrade.io"


class CannotStart(Exception):
    """The run must not begin, or cannot."""


@dataclass(frozen=True)
class Found:
    """What became of one card."""

    card: Card
    verdict: str
    why: str = ""


@dataclass(frozen=True)
class Wish:
    """What is to be looked at."""

    account: str | None
    root: str = "MES"
    trading: bool = False
    offline: bool = False
    numbers: frozenset[int] = frozenset()

    def wants(self, card: Card) -> bool:
        """Say whether a card belongs to the run."""
        if self.numbers and card.number not in self.numbers:
            return False
        return (self.trading or not card.trades) and (card.when is When.OFFLINE) is self.offline


@dataclass
class Run:
    """One run over a connection. Writes lines without the token."""

    wish: Wish
    http: httpx.AsyncClient
    fence: Fence
    write: Callable[[str], None]
    found: list[Found] = field(default_factory=list)

    async def __call__(self) -> int:
        """Look at every card that is wanted, show the table, and give the exit code."""
        try:
            at = await self._begin()
        except (CannotStart, *_ODD) as error:
            self.write(f"Not started: {str(error) or type(error).__name__}")
            return NOT_STARTED
        try:
            flat = await self._look_at_all(at)
        finally:
            self._show()
        if not flat:
            self._shout(at)
            return NOT_FLAT
        if self.wish.trading:
            self.write(f"{at.account} was read after the last card: no position and no working order.")
        return SOME_DIFFER if any(each.verdict == DIFFERS for each in self.found) else ALL_AGREE

    async def _look_at_all(self, at: At) -> bool:
        """Look at the cards that trade, each followed by a clean account, and then at those that read.

        Where trading is allowed, those that read get something to look at.
        """
        wanted = [card for card in deck() if self.wish.wants(card)]
        for card in (each for each in wanted if each.trades):
            if not await self._look_and_tidy([card], at):
                return False
        reading = [each for each in wanted if not each.trades]
        if self.wish.trading and reading:
            return await self._look_and_tidy(reading, at, furnished=True)
        self.found += [await self._look(card, at) for card in reading]
        return True

    async def _look_and_tidy(self, cards: list[Card], at: At, *, furnished: bool = False) -> bool:
        """Look at some cards and leave the account flat, whatever happened; say whether it is."""
        flat = False
        try:
            if furnished:
                await self._furnish(at)
            self.found += [await self._look(card, at) for card in cards]
        finally:
            with anyio.CancelScope(shield=True):
                flat = await self._tidied(at)
            if not flat:
                self._shout(at)
        return flat

    async def _furnish(self, at: At) -> None:
        """Hold two contracts and let an order rest, so that there is something to look at."""
        self.fence.trades = True
        try:
            await hold(self.http, at, 2)
            await rest(self.http, at)
        except (Differs, *_ODD) as error:
            self.write(f"There is less to look at, because the account could not be furnished: {error}")

    def _shout(self, at: At) -> None:
        self.write(f"LOOK AT {at.account}: IT COULD NOT BE READ AS FLAT. Flatten it in NinjaTrader now.")

    async def _read(self, path: str, **query: str) -> dict[str, object]:
        answer = await self.http.get(path, params=query or None)
        if answer.status_code != 200:
            raise CannotStart(f"GET {path} answered {answer.status_code}: {answer.text[:200]}")
        return dict(answer.json())

    async def _begin(self) -> At:
        """Find the account and the instrument, and refuse what is not play money."""
        if self.wish.offline:
            return self._at(self.wish.account or "Sim101", f"{self.wish.root} 01-01")
        if self.wish.trading and self.wish.account is None:
            raise CannotStart("trading cards need the name of a simulated account: --account Sim101")
        account = await self._read(f"/accounts/{self.wish.account or 'Sim101'}")
        if self.wish.trading and account.get("provider") != "Simulator":
            raise CannotStart(f"{account.get('name')} is not play money: its provider is {account.get('provider')!r}")
        quote = await self._read("/market/quote", instrument=self.wish.root)
        if self.wish.trading and quote.get("isMarketOpen") is not True:
            raise CannotStart("trading cards need an open market")
        at = self._at(str(account["name"]), str(quote["instrument"]))
        if self.wish.trading and not await self._is_flat(at):
            raise CannotStart(f"{at.account} holds something or has working orders; the cards would disturb it")
        return at

    def _at(self, account: str, instrument: str) -> At:
        self.fence.account = account
        return At(account, instrument, self.fence.pause, lambda: f"card-{uuid4().hex[:12]}")

    async def _look(self, card: Card, at: At) -> Found:
        """Look at one card, unless what it needs cannot be had."""
        try:
            if card.when not in (When.ORDINARY, When.OFFLINE):
                raise NotObservable(f"only while {card.when}")
            if card.everywhere and not await self._all_is_play_money():
                raise NotObservable("it would reach accounts that are not simulated")
            await self._send(card, at)
        except NotObservable as nothing:
            return Found(card, UNSEEN, str(nothing))
        except (Differs, Outside) as differs:
            return Found(card, DIFFERS, str(differs))
        except _ODD as error:
            return Found(card, DIFFERS, f"expected {card.belief!r}; came {type(error).__name__} {error}")
        return Found(card, AGREES)

    async def _send(self, card: Card, at: At) -> None:
        self.fence.trades, self.fence.everywhere = card.trades, card.everywhere
        with anyio.fail_after(_SECONDS_FOR_A_CARD):
            await card.look(self.http, at)

    async def _all_is_play_money(self) -> bool:
        rows = (await self.http.get("/accounts")).json().get("accounts", [])
        return bool(rows) and all(row.get("provider") == "Simulator" for row in rows)

    async def _is_flat(self, at: At) -> bool:
        """Read whether the account holds nothing and has no working order; what cannot be read is not flat."""
        held = await self._read(f"{at.home}/positions")
        working = await self._read(f"{at.home}/orders", activeOnly="true")
        if held.get("success") is not True or working.get("success") is not True:
            return False
        states = [row["orderState"] for row in working["orders"]]  # type: ignore[attr-defined]
        return held["positions"] == [] and all(state in TERMINAL for state in states)

    async def _tidied(self, at: At) -> bool:
        """Leave the account flat after a card, and read that it is."""
        self.fence.trades, self.fence.everywhere = True, False
        for _ in range(4):
            try:
                if await self._is_flat(at):
                    return True
                await self.http.post(f"{at.home}/orders/cancel", json={})
                await self.http.post(f"{at.home}/positions/flatten", json={})
                await at.pause(2)
            except (CannotStart, httpx.HTTPError, ValueError, LookupError, TypeError) as error:
                self.write(f"while tidying: {error}")
        return False

    def _show(self) -> None:
        for each in sorted(self.found, key=lambda each: each.card.number):
            card = each.card
            self.write(f"{card.number:>4}  {each.verdict:<14}  {card.source} [{card.mark}]  {card.belief}")
            if each.why:
                self.write(f"      {each.why}")
        sums = Counter(each.verdict for each in self.found)
        self.write(", ".join(f"{sums[verdict]} {verdict}" for verdict in (AGREES, DIFFERS, UNSEEN)))


def _is_safe(url: str) -> bool:
    """Say whether a token may travel there: over TLS, or not out of this computer."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        here = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        here = False
    return parts.scheme == "https" or (parts.scheme == "http" and here)


async def run(
    wish: Wish,
    *,
    token: str,
    base_url: str = BASE_URL,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], Awaitable[None]] = anyio.sleep,
    out: Callable[[str], object] = sys.stdout.write,
) -> int:
    """Look at the cards; the exit code: 0 all agree, 1 some differ, 2 not started, 3 not left flat."""

    def write(line: str) -> None:
        out(line.replace(token, "<token>") + "\n")

    if not _is_safe(base_url):
        write("Not started: the token goes to https or loopback only")
        return NOT_STARTED
    fence = Fence(None, clock, pause)
    async with httpx.AsyncClient(
        base_url=f"{base_url}/v1/api",
        headers={"Authorization": f"Bearer {token}"},
        event_hooks={"request": [fence]},
        timeout=45,
        trust_env=False,
    ) as http:
        return await Run(wish, http, fence, write)()


def _asked(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.contract.agreement.run", description=__doc__)
    parser.add_argument("--account", help="a simulated account; Sim101 for cards that only read")
    parser.add_argument("--instrument", default="MES", help="a root whose front month is looked at")
    parser.add_argument("--trading", action="store_true", help="also the cards that trade")
    parser.add_argument("--offline", action="store_true", help="only the cards for an add-on that is switched off")
    parser.add_argument("--card", type=int, action="append", default=[], help="only this number; may be repeated")
    parser.add_argument("--base-url", default=BASE_URL)
    return parser.parse_args(arguments)


def main() -> int:
    """Read what is asked for, and look."""
    asked, token = _asked(), os.environ.get("CROSSTRADE_TOKEN", "").strip()
    if not token:
        sys.stderr.write("Not started: CROSSTRADE_TOKEN is not set\n")
        return NOT_STARTED
    wish = Wish(asked.account, asked.instrument, asked.trading, asked.offline, frozenset(asked.card))
    return anyio.run(lambda: run(wish, token=token, base_url=asked.base_url))


if __name__ == "__main__":
    sys.exit(main())
