"""How the cards ask, over bare HTTP, and how they compare what comes with what they expect."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from tests.contract.agreement.deck import At, Differs, NotObservable

Http = httpx.AsyncClient
TERMINAL = {"Filled", "Cancelled", "Rejected"}


async def ask(http: Http, method: str, path: str, *, status: int = 200, **more: Any) -> Any:
    """Send a request and give its JSON back; its status has to be the one expected."""
    answer = await http.request(method, path, **more)
    if answer.status_code != status:
        raise Differs(f"{method} {path} to answer {status}", f"{answer.status_code} {answer.text[:200]}")
    return answer.json()


async def get(http: Http, path: str, status: int = 200, **query: Any) -> Any:
    """Read."""
    return await ask(http, "GET", path, status=status, params=query or None)


async def post(http: Http, path: str, status: int = 200, **body: Any) -> Any:
    """Send a body."""
    return await ask(http, "POST", path, status=status, json=body)


def same(came: object, expected: object, about: str = "") -> None:
    """Expect a value."""
    if came != expected:
        raise Differs(f"{about} {expected!r}".strip(), repr(came))


def holds(*, fact: bool, expected: str, came: object) -> None:
    """Expect a fact."""
    if not fact:
        raise Differs(expected, came)


def has(row: Any, *names: str) -> None:
    """Expect keys."""
    missing = [name for name in names if name not in row]
    if missing:
        raise Differs(f"keys {', '.join(missing)}", f"keys {', '.join(row)}")


def lacks(row: Any, *names: str) -> None:
    """Expect that there are no such keys."""
    found = [name for name in names if name in row]
    if found:
        raise Differs(f"no keys {', '.join(found)}", f"keys {', '.join(row)}")


def fits(text: object, pattern: str) -> None:
    """Expect a text of a form."""
    if not isinstance(text, str) or re.fullmatch(pattern, text) is None:
        raise Differs(f"text like {pattern}", repr(text))


def speaks(answer: Any, words: str) -> None:
    """Expect an error that contains some words, and no success beside it."""
    has(answer, "error")
    same(answer.get("success", False), False, "success")
    if words.lower() not in str(answer["error"]).lower():
        raise Differs(f"an error that says {words!r}", repr(answer["error"]))


def succeeds(answer: Any) -> None:
    """Expect an object that says `success: true`."""
    if not isinstance(answer, dict) or answer.get("success") is not True:
        raise Differs("an object with success: true", str(answer)[:200])


def must(rows: list[Any], what: str) -> Any:
    """Expect a row, and take the first."""
    if not rows:
        raise Differs(f"a {what}", "none")
    return rows[0]


def some(rows: list[Any], what: str) -> Any:
    """Take the first row, or say that there is nothing to look at."""
    if not rows:
        raise NotObservable(f"there is no {what} to look at")
    return rows[0]


async def positions(http: Http, at: At) -> list[Any]:
    """What the account holds."""
    answer = await get(http, f"{at.home}/positions")
    return list(answer["positions"])


async def held(http: Http, at: At) -> int:
    """The signed net holding of the card's instrument."""
    rows = [row for row in await positions(http, at) if row["instrument"] == at.instrument]
    return sum(row["quantity"] * (1 if row["marketPosition"] == "Long" else -1) for row in rows)


async def orders(http: Http, at: At, *, active: bool = True) -> list[Any]:
    """The orders of the account in the card's instrument."""
    answer = await get(http, f"{at.home}/orders", activeOnly=str(active).lower())
    return [row for row in answer["orders"] if row["instrument"] == at.instrument]


async def state(http: Http, at: At, order_id: str) -> str:
    """The state of an order."""
    answer = await get(http, f"{at.home}/orders/{order_id}/status")
    return str(answer["status"])


async def until(at: At, what: str, look: Callable[[], Awaitable[object]], expected: object, tries: int = 8) -> None:
    """Look again, a second apart, until something is as expected."""
    for _ in range(tries):
        await at.pause(1)
        came = await look()
        if came == expected:
            return
    raise Differs(f"{what} {expected!r}", repr(came))


async def prices(http: Http, at: At) -> tuple[float, float]:
    """Two prices on the grid of ticks, a good way below and above the market."""
    quote = await get(http, "/market/quote", instrument=at.instrument)
    tick = quote["tickSize"]
    low, high = (round(round(quote["last"] * away / tick) * tick, 10) for away in (0.97, 1.03))
    return low, high


def market(at: At, **more: Any) -> dict[str, Any]:
    """One contract bought at the market, if nothing else is said."""
    order = {"instrument": at.instrument, "action": "BUY", "quantity": 1, "orderType": "MARKET", "timeInForce": "DAY"}
    return order | more


async def place(http: Http, at: At, **more: Any) -> str:
    """Place an order and give its id back."""
    answer = await post(http, f"{at.home}/orders/place", **market(at, **more))
    return str(answer["orderId"])


async def rest(http: Http, at: At, **more: Any) -> str:
    """Let an order rest below the market."""
    low, _ = await prices(http, at)
    order_id = await place(http, at, **({"orderType": "LIMIT", "limitPrice": low} | more))
    await until(at, "the order to be", lambda: state(http, at, order_id), "Working")
    return order_id


async def hold(http: Http, at: At, size: int) -> None:
    """Come to hold so many contracts; a negative number is short."""
    await place(http, at, quantity=abs(size), action="BUY" if size > 0 else "SELL")
    await until(at, "to hold", lambda: held(http, at), size)
