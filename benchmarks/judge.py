"""Holds what was said against what has happened. Pure: the truth before and after, the answers, the journal."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from operations import WRITES, Operation, Order, Truth

KINDS = ("duplicate", "loss", "false flat", "false filled", "false rejected")
"""Each of them must never happen. A claim of success that is not so, whatever its words, is a loss."""

NOT_SENT = frozenset({"denied", "needs_approval", "declined", "expired"})
_NOTHING = ("Nothing was sent", "Nothing was changed")
Found = Iterator[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Said:
    """One answer as the assistant has it; one that never came is not heard."""

    status: str | None
    text: str
    structure: dict[str, Any] = field(default_factory=dict)
    is_heard: bool = True

    @property
    def is_no(self) -> bool:
        """Whether it claims that nothing has changed; an order that the broker rejects is one that was there."""
        if self.status is None:
            return self.is_heard and any(words in self.text for words in _NOTHING)
        return self.status in NOT_SENT or (self.status == "rejected" and not self.structure.get("order_id"))


UNHEARD = Said(None, "", is_heard=False)


@dataclass(frozen=True, slots=True)
class Observation:
    """One operation: ``before`` it, ``when`` its last answer came, ``after`` all that held anything back was let go."""

    operation: Operation
    said: Sequence[Said]
    before: Truth
    when: Truth
    after: Truth

    @property
    def writes(self) -> Counter[str]:
        """What reached the service, taken by the add-on or not."""
        return Counter(rpc for truth in (self.when, self.after) for rpc, _ in truth["writes"])

    @property
    def taken(self) -> Counter[str]:
        """What the add-on took."""
        return Counter(rpc for truth in (self.when, self.after) for rpc, taken in truth["writes"] if taken)

    @property
    def new_orders(self) -> list[Order]:
        """The orders that were not there before."""
        known = {order["id"] for order in self.before["orders"]}
        return [order for order in self.after["orders"] if order["id"] not in known]


def faults_in(observed: Observation) -> Found:
    """Every lie and every loss, by its kind; several answers are those of a client that asked again."""
    yield from _duplicates(observed)
    changed = effects(observed)
    if changed and all(answer.is_no for answer in observed.said):
        yield "false rejected", f"said that nothing changed, and: {changed}"
    if (last := _last_claim(observed.said)) is not None:
        yield from _claims(observed, last)
        yield from _figures(observed, last)


def _duplicates(observed: Observation) -> Found:
    """What adds up is taken once, however often it was asked for; of one call no write leaves twice."""
    for rpc, times in observed.writes.items():
        if times > WRITES[observed.operation.tool].get(rpc, 0) * len(observed.said):
            yield "duplicate", f"{rpc} left {times} times for {len(observed.said)} calls"
    for rpc, times in observed.taken.items():
        if observed.operation.adds_up and times > WRITES[observed.operation.tool].get(rpc, 1):
            yield "duplicate", f"{rpc} was taken {times} times"
    # What closes the old position comes by the same call, and has no id of ours.
    entries = [order for order in observed.new_orders if order["own_id"] or order["rpc"] == "CancelReplace"]
    if len(entries) > 1:
        yield "duplicate", f"{len(entries)} orders came of one wish"


def _last_claim(said: Sequence[Said]) -> Said | None:
    """The last answer that speaks of something that was sent."""
    return next((each for each in reversed(said) if each.status is not None and each.status not in NOT_SENT), None)


def _claims(observed: Observation, said: Said) -> Found:
    order = _order(said.structure.get("order_id"), observed.when)
    match said.status:
        case "flat" if not _is_flat(observed):
            yield "false flat", _standing(observed)
        case "filled" if not _is_filled(observed, order, said):
            yield "false filled", f"{order or _standing(observed)}"
        case "working" if not _is_working(observed, order):
            yield "loss", f"said to be working: {order}"
        case "cancelled" if not _is_cancelled(observed, order):
            yield "loss", f"said to be cancelled: {order or _standing(observed)}"
        case "changed" if not _is_changed(observed):
            yield "loss", f"said to be changed: {order}, {observed.when['strategies']}"
        case "rejected" if order is not None and not _is_rejected(observed, order):
            yield "false rejected", f"{order}"
        case "accepted" if not observed.taken:
            yield "loss", "said to be accepted, and nothing was taken"


def _figures(observed: Observation, said: Said) -> Found:
    """Position and fill, where the answer names them."""
    instrument, position = observed.operation.arguments.get("instrument"), said.structure.get("position_after")
    order = _order(said.structure.get("order_id"), observed.when)
    if instrument is None and order is not None:
        instrument = order["instrument"]
    # Once the machine was so busy that a write ended after all that was read: what was unknown then is no claim.
    is_too_early = said.status == "unknown" and observed.when.get("has_unread_write", False)
    held = observed.when["held"].get(instrument or "", 0)
    if position is not None and instrument and position != held and not is_too_early:
        yield "false filled", f"position after is said to be {position}: {observed.when['held']}"
    filled = said.structure.get("filled_quantity")
    if filled is not None and order is not None and filled != order["filled"]:
        yield "false filled", f"{filled} are said to be filled: {order}"


def _is_flat(observed: Observation) -> bool:
    return not _held(observed) and not _live(observed)


def _is_filled(observed: Observation, order: Order | None, said: Said) -> bool:
    """Of a close it means that so much is left as was asked for, of a turn that the other side is held."""
    instrument = observed.operation.arguments.get("instrument", "")
    held, before = observed.when["held"].get(instrument, 0), observed.before["held"].get(instrument, 0)
    match observed.operation.tool:
        case "close_position":
            left = abs(before) - observed.operation.arguments.get("quantity", abs(before))
            return bool(held * before >= 0 and abs(held) <= left)
        case "reverse_position":
            return bool(held * before < 0)
        case "cancel_orders":  # one of them was filled before its cancel
            return any(each["filled"] and each["id"] in said.text for each in observed.when["orders"])
    return order is not None and bool(order["state"] == "Filled")


def _is_rejected(observed: Observation, order: Order) -> bool:
    """Their no to a change, in whatever tool, is told with the order, which stands as it stood."""
    is_known = order["id"] not in {new["id"] for new in observed.new_orders}
    if is_known and order["is_live"]:
        return True
    return bool(order["state"] == "Rejected" and not order["filled"])


def _is_working(observed: Observation, order: Order | None) -> bool:
    if order is None or not order["is_live"]:
        return False
    return observed.operation.tool != "protect_position" or _is_protected(observed)


def _is_cancelled(observed: Observation, order: Order | None) -> bool:
    if observed.operation.tool == "cancel_orders":
        return not _live(observed)
    return order is not None and bool(order["state"] == "Cancelled")


def _is_changed(observed: Observation) -> bool:
    strategies, arguments = observed.when["strategies"], observed.operation.arguments
    state, is_enabled = strategies.get(arguments.get("strategy_id"), ("", None))
    match observed.operation.tool:
        case "change_order":
            return _has_terms(_order(arguments["order_id"], observed.when), arguments)
        case "protect_position":
            legs = {"stop_loss": 1, "take_profit": 0}
            stands = [{name: order["prices"][at] for name, at in legs.items()} for order in _live(observed)]
            return all(any(leg[name] == arguments[name] for leg in stands) for name in legs if name in arguments)
        case "start_strategy":
            return len(strategies) > len(observed.before["strategies"])
        case "enable_strategy":
            return is_enabled is True
        case "disable_strategy":
            return is_enabled is False
    return bool(state == "Finalized")


def _has_terms(order: Order | None, asked: dict[str, Any]) -> bool:
    if order is None:
        return False
    stands = {"quantity": abs(order["signed"]), "limit_price": order["prices"][0], "stop_price": order["prices"][1]}
    return all(asked.get(name) in (None, value) for name, value in stands.items())


def _is_protected(observed: Observation) -> bool:
    """Live stops stand behind all that is held."""
    instrument = observed.operation.arguments["instrument"]
    net = observed.when["held"].get(instrument, 0)
    stops = [order for order in _live(observed) if order["prices"][1] and order["signed"] * net < 0]
    return bool(sum(abs(order["signed"]) for order in stops) >= abs(net))


def effects(observed: Observation) -> str:
    """What a write has done since; nothing else does anything, so far away do orders rest."""
    known = {order["id"]: order for order in observed.before["orders"]}
    # An order that the broker rejected was there, and changed nothing.
    parts = [f"new {order['id']}" for order in observed.new_orders if order["state"] != "Rejected"]
    for order in observed.after["orders"]:
        old = known.get(order["id"])
        if old and (old["signed"], old["prices"]) != (order["signed"], order["prices"]):
            parts.append(f"changed {order['id']}")
        if old and old["is_live"] and order["state"] == "Cancelled":
            parts.append(f"cancelled {order['id']}")
    before = observed.before["strategies"]
    parts += [f"strategy {key}" for key, now in observed.after["strategies"].items() if _is_other(before.get(key), now)]
    return ", ".join(parts)


def _is_other(before: Sequence[Any] | None, now: Sequence[Any]) -> bool:
    """A strategy comes to real time by itself."""
    if before is None or before[1] != now[1]:
        return True
    return bool((before[0] == "Finalized") != (now[0] == "Finalized"))


def _order(named: str | None, truth: Truth) -> Order | None:
    return (
        next((order for order in truth["orders"] if named in (order["id"], order["own_id"])), None) if named else None
    )


def _held(observed: Observation) -> dict[str, int]:
    instrument = observed.operation.arguments.get("instrument")
    return {name: net for name, net in observed.when["held"].items() if instrument in (None, name)}


def _live(observed: Observation) -> list[Order]:
    instrument = observed.operation.arguments.get("instrument")
    orders = observed.when["orders"]
    return [order for order in orders if order["is_live"] and instrument in (None, order["instrument"])]


def _standing(observed: Observation) -> str:
    return f"{_held(observed)} is held, {len(_live(observed))} orders are live"
