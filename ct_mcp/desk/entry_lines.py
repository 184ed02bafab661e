"""What the question says of the exits that go with an entry: prices, money, and what happens where they fail."""

from collections.abc import Iterator
from decimal import Decimal

from ct_mcp.domain.bracket import Bracket, ExitLevel, exit_price, stop_distance, target_distances
from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.domain.level import ExitKind
from ct_mcp.domain.market import Quote
from ct_mcp.domain.products import price_of
from ct_mcp.guard.figures import entry_price
from ct_mcp.guard.protection import leaving
from ct_mcp.text import format_price, money, signed_money

_THEN = {True: "what is unprotected is CLOSED at the market", False: "you are told, and nothing is sent"}
_ONLY_WHILE = "Protected only while ct-mcp runs; an ATM template protects by itself."


def entry_lines(order: PlaceOrder, bracket: Bracket, quote: Quote | None) -> list[str]:
    """Give the steps of an entry with exits, in the order in which they happen."""
    entry = entry_price(order, quote)
    lines = [*_size_line(order), *_leg_lines(order, bracket, quote, entry)]
    if bracket.stop_loss is None:
        return [*lines, "NO STOP goes with it.", _ONLY_WHILE]
    within = f"If the stop does not stand {bracket.deadline_seconds:g} s after a fill, or is refused"
    then = _THEN[bracket.closes_if_unprotected]
    return [*lines, f"{within}: {then}.", _ONLY_WHILE]


def _size_line(order: PlaceOrder) -> Iterator[str]:
    if order.risk is not None:
        how = "at the price of now, rounded down; what the trade costs is not counted"
        yield f"Size from risk: {order.quantity} contracts for at most {money(order.risk)}, {how}"


def _leg_lines(order: PlaceOrder, bracket: Bracket, quote: Quote | None, entry: Decimal | None) -> Iterator[str]:
    """Each exit with its price, from the fill where it is a distance, and what it comes to."""
    tick = None if quote is None else quote.contract.tick_size
    if bracket.stop_loss is not None:
        distance = None if tick is None or entry is None else stop_distance(bracket, entry, order.action, tick)
        at = _where(order, bracket.stop_loss, ExitKind.STOP, quote, entry)
        worth = _worth(quote, distance, order.quantity, -1)
        yield f"As it fills: stop loss {leaving(order.action.sign)} {order.quantity} {at}{worth}"
    distances = dict(target_distances(bracket, entry, order.action, tick)) if tick and entry is not None else {}
    for target in bracket.take_profit:
        size, at = target.quantity or order.quantity, _where(order, target.level, ExitKind.TARGET, quote, entry)
        cancels = ", one cancels the other" if bracket.stop_loss is not None else ""
        worth = _worth(quote, distances.get(target), size, 1)
        yield f"Then: target {leaving(order.action.sign)} {size} {at}{worth}{cancels}"


def _where(order: PlaceOrder, level: ExitLevel, leg: ExitKind, quote: Quote | None, entry: Decimal | None) -> str:
    if isinstance(level, Decimal):
        return f"at {price_of(order.instrument, level)}"
    if quote is None or entry is None:
        return f"{level} from the fill"
    price = exit_price(level, leg, entry, order.action, quote.contract)
    return f"{level} from the fill, about {price_of(order.instrument, price)}"


def _worth(quote: Quote | None, distance: Decimal | None, quantity: int, sign: int) -> str:
    if quote is None or distance is None:
        return ""
    amount = signed_money(quote.contract.money(distance, quantity) * sign)
    return f" ({amount}, {format_price(quote.contract.ticks(distance))} ticks)"
