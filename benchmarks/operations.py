"""What the campaign lets the assistant do: every kind of mutation, drawn by a seed from what stands in the account."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from ct_mcp.desk.approval_request import MOST_CANCELLED_SINGLY

Truth = dict[str, Any]
Arguments = dict[str, Any]
Order = dict[str, Any]

ACCOUNT = "Sim101"
ROOTS = ("MES", "MES", "MNQ")

# The writes that each tool may lead to, and how often at most: sent once each, and never again.
WRITES: dict[str, dict[str, int]] = {
    "place_order": {"PlaceOrder": 1, "FlatPlace": 1},
    "change_order": {"Change": 1},
    "replace_order": {"CancelReplace": 1},
    "cancel_order": {"Cancel": 1},
    "cancel_orders": {"CancelOrders": 1, "Cancel": MOST_CANCELLED_SINGLY},
    "close_position": {"ClosePosition": 1},
    "flatten": {"Flatten": 1, "CancelOrders": 1},
    "flatten_everything": {"Flatten": 1, "CancelOrders": 1},
    "reverse_position": {"Reverse": 1},
    "protect_position": {"CancelAndBracket": 1, "Change": 2, "PlaceOrder": 2},
    "start_strategy": {"StartStrategy": 1},
    "enable_strategy": {"EnableStrategy": 1},
    "disable_strategy": {"DisableStrategy": 1},
    "close_strategy": {"CloseStrategy": 1},
}


# More than this, and the account is left before anything else is done.
_MOST_HELD, _MOST_RESTING = 60, 20


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of a tool that changes something."""

    tool: str
    arguments: Arguments

    @property
    def adds_up(self) -> bool:
        """Say whether twice is more than once: not of leaving, cancelling and pausing."""
        return self.tool not in _MAY_BE_REPEATED and (self.tool != "close_position" or "quantity" in self.arguments)


_MAY_BE_REPEATED = frozenset(
    {"cancel_order", "cancel_orders", "flatten", "flatten_everything", "disable_strategy", "close_strategy"}
)


def draw(rng: Random, truth: Truth) -> Operation:
    """Any operation that makes sense in this account."""
    makers = _MAKERS
    if any(abs(net) > _MOST_HELD for net in truth["held"].values()) or len(_live(truth)) > _MOST_RESTING:
        makers = (_flatten, _everything)
    while True:
        if (operation := rng.choice(makers)(rng, truth)) is not None:
            return operation


def entry(rng: Random, truth: Truth) -> Operation:
    """An order of any kind; far from the market where it rests, so that nothing but an operation changes it."""
    last, tick, instrument = truth["price"]
    buys, kind = rng.random() < 0.5, rng.choice(["MARKET", "MARKET", "LIMIT", "STOP_MARKET", "STOP_LIMIT"])
    below = buys == (kind == "LIMIT")
    price = _far(rng, last, tick, below=below)
    prices = {
        "LIMIT": {"limit_price": price},
        "STOP_MARKET": {"stop_price": price},
        "STOP_LIMIT": {"stop_price": price, "limit_price": _price(price + (-1 if below else 1) * 8 * tick, tick)},
    }.get(kind, {})
    terms = {"action": "BUY" if buys else "SELL", "quantity": rng.randint(1, 12), "order_type": kind, **prices}
    first = {"flatten_first": True} if rng.random() < 0.15 else {}
    return Operation("place_order", {"account": ACCOUNT, "instrument": instrument, **terms, **first})


def _change(rng: Random, truth: Truth) -> Operation | None:
    order = _resting(rng, truth)
    if order is None:
        return None
    changed: Arguments = {"quantity": abs(order["signed"]) % 5 + 1}
    limit, stop = order["prices"]
    if bool(limit) != bool(stop) and rng.random() < 0.5:
        last, tick, _ = truth["price"]
        changed = {"limit_price" if limit else "stop_price": _far(rng, last, tick, below=(limit or stop) < last)}
    return Operation("change_order", {"account": ACCOUNT, "order_id": order["id"], **changed})


def _replace(rng: Random, truth: Truth) -> Operation | None:
    order = _resting(rng, truth)
    if order is None:
        return None
    terms = entry(rng, truth).arguments
    terms.pop("flatten_first", None)
    return Operation("replace_order", {**terms, "order_id": order["id"]})


def _cancel(rng: Random, truth: Truth) -> Operation | None:
    order = _resting(rng, truth)
    return None if order is None else Operation("cancel_order", {"account": ACCOUNT, "order_id": order["id"]})


def _of_position(tool: str) -> Callable[[Random, Truth], Operation | None]:
    def made(_: Random, truth: Truth) -> Operation | None:
        instrument = truth["price"][2]
        return (
            Operation(tool, {"account": ACCOUNT, "instrument": instrument}) if truth["held"].get(instrument) else None
        )

    return made


def _close(rng: Random, truth: Truth) -> Operation | None:
    held = truth["held"].get(truth["price"][2], 0)
    part = {"quantity": rng.randint(1, abs(held))} if abs(held) > 1 and rng.random() < 0.5 else {}
    operation = _of_position("close_position")(rng, truth)
    return operation and Operation(operation.tool, {**operation.arguments, **part})


def _protect(rng: Random, truth: Truth) -> Operation | None:
    last, tick, instrument = truth["price"]
    held = truth["held"].get(instrument, 0)
    if not held:
        return None
    away = (1 if held > 0 else -1) * tick * rng.randint(600, 900)
    prices = {"stop_loss": _price(last - away, tick)}
    if rng.random() < 0.7:
        prices["take_profit"] = _price(last + away, tick)
    return Operation("protect_position", {"account": ACCOUNT, "instrument": instrument, **prices})


def _strategy(rng: Random, truth: Truth) -> Operation | None:
    running = [key for key, (state, _) in truth["strategies"].items() if state != "Finalized"]
    if not running:
        return None
    tool = rng.choice(["enable_strategy", "disable_strategy", "close_strategy"])
    return Operation(tool, {"account": ACCOUNT, "strategy_id": rng.choice(running)})


def _start(rng: Random, truth: Truth) -> Operation:
    terms = {"strategy_class": "SampleMACrossOver", "instrument": truth["price"][2], "mode": "account"}
    bars = {"period_type": "minute", "period": rng.randint(1, 30), "parameters": {"Fast": rng.randint(2, 50)}}
    return Operation("start_strategy", {"account": ACCOUNT, **terms, **bars})


def _everything(_: Random, __: Truth) -> Operation:
    return Operation("flatten_everything", {})


def _orders(_: Random, truth: Truth) -> Operation:
    return Operation("cancel_orders", {"account": ACCOUNT, "instrument": truth["price"][2]})


def _flatten(rng: Random, truth: Truth) -> Operation:
    instrument = {"instrument": truth["price"][2]} if rng.random() < 0.5 else {}
    return Operation("flatten", {"account": ACCOUNT, **instrument})


def _live(truth: Truth) -> list[Order]:
    return [order for order in truth["orders"] if order["is_live"]]


def _resting(rng: Random, truth: Truth) -> Order | None:
    own = [order for order in _live(truth) if order["rpc"] in ("PlaceOrder", "FlatPlace", "CancelReplace")]
    mine = [order for order in own if order["instrument"] == truth["price"][2]]
    return rng.choice(mine) if mine else None


def _far(rng: Random, last: float, tick: float, *, below: bool) -> float:
    return _price(last + (-1 if below else 1) * tick * rng.randint(600, 900), tick)


def _price(price: float, tick: float) -> float:
    return round(round(price / tick) * tick, 8)


# What opens is drawn more often, so that there is something to leave.
_MAKERS: tuple[Callable[[Random, Truth], Operation | None], ...] = (
    *5 * (entry,),
    *2 * (_change,),
    *2 * (_replace,),
    *2 * (_cancel,),
    _orders,
    *2 * (_close,),
    _flatten,
    _everything,
    *2 * (_of_position("reverse_position"),),
    *2 * (_protect,),
    _start,
    *2 * (_strategy,),
)
