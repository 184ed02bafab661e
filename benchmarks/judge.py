"""Holds what was said against what has happened. Pure: the truth before and after, the answers, the journal."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from deeds import WRITES, Deed, Order, Truth

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
class Case:
    """One deed: ``before`` it, ``when`` its last answer came, ``after`` all that held anything back was let go."""

    deed: Deed
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


def faults_in(case: Case) -> Found:
    """Every lie and every loss, by its kind; several answers are those of a client that asked again."""
    yield from _duplicates(case)
    changed = effects(case)
    if changed and all(answer.is_no for answer in case.said):
        yield "false rejected", f"said that nothing changed, and: {changed}"
    if (last := _last_claim(case.said)) is not None:
        yield from _claims(case, last)
        yield from _figures(case, last)


def _duplicates(case: Case) -> Found:
    """What adds up is taken once, however often it was asked for; of one call no write leaves twice."""
    for rpc, times in case.writes.items():
        if times > WRITES[case.deed.tool].get(rpc, 0) * len(case.said):
            yield "duplicate", f"{rpc} left {times} times for {len(case.said)} calls"
    for rpc, times in case.taken.items():
        if case.deed.adds_up and times > 1:
            yield "duplicate", f"{rpc} was taken {times} times"
    # What closes the old position comes by the same call, and has no id of ours.
    entries = [order for order in case.new_orders if order["own_id"] or order["rpc"] == "CancelReplace"]
    if len(entries) > 1:
        yield "duplicate", f"{len(entries)} orders came of one wish"


def _last_claim(said: Sequence[Said]) -> Said | None:
    """The last answer that speaks of something that was sent."""
    return next((each for each in reversed(said) if each.status is not None and each.status not in NOT_SENT), None)


def _claims(case: Case, said: Said) -> Found:
    order = _order(said.structure.get("order_id"), case.when)
    match said.status:
        case "flat" if not _is_flat(case):
            yield "false flat", _standing(case)
        case "filled" if not _is_filled(case, order):
            yield "false filled", f"{order or _standing(case)}"
        case "working" if not _is_working(case, order):
            yield "loss", f"said to be working: {order}"
        case "cancelled" if not _is_cancelled(case, order):
            yield "loss", f"said to be cancelled: {order or _standing(case)}"
        case "changed" if not _is_changed(case):
            yield "loss", f"said to be changed: {order}, {case.when['strategies']}"
        case "rejected" if order is not None and (order["state"] != "Rejected" or order["filled"]):
            yield "false rejected", f"{order}"
        case "accepted" if not case.taken:
            yield "loss", "said to be accepted, and nothing was taken"


def _figures(case: Case, said: Said) -> Found:
    """Position and fill, where the answer names them."""
    instrument, position = case.deed.arguments.get("instrument"), said.structure.get("position_after")
    order = _order(said.structure.get("order_id"), case.when)
    if instrument is None and order is not None:
        instrument = order["instrument"]
    if position is not None and instrument and position != case.when["held"].get(instrument, 0):
        yield "false filled", f"position after is said to be {position}: {case.when['held']}"
    filled = said.structure.get("filled_quantity")
    if filled is not None and order is not None and filled != order["filled"]:
        yield "false filled", f"{filled} are said to be filled: {order}"


def _is_flat(case: Case) -> bool:
    return not _held(case) and not _live(case)


def _is_filled(case: Case, order: Order | None) -> bool:
    """Of a close it means that so much is left as was asked for, of a turn that the other side is held."""
    instrument = case.deed.arguments.get("instrument", "")
    held, before = case.when["held"].get(instrument, 0), case.before["held"].get(instrument, 0)
    match case.deed.tool:
        case "close_position":
            left = abs(before) - case.deed.arguments.get("quantity", abs(before))
            return bool(held * before >= 0 and abs(held) <= left)
        case "reverse_position":
            return bool(held * before < 0)
    return order is not None and bool(order["state"] == "Filled")


def _is_working(case: Case, order: Order | None) -> bool:
    if order is None or not order["is_live"]:
        return False
    return case.deed.tool != "protect_position" or _is_protected(case)


def _is_cancelled(case: Case, order: Order | None) -> bool:
    if case.deed.tool == "cancel_orders":
        return not _live(case)
    return order is not None and bool(order["state"] == "Cancelled")


def _is_changed(case: Case) -> bool:
    strategies, arguments = case.when["strategies"], case.deed.arguments
    state, is_enabled = strategies.get(arguments.get("strategy_id"), ("", None))
    match case.deed.tool:
        case "change_order":
            return _has_terms(_order(arguments["order_id"], case.when), arguments)
        case "start_strategy":
            return len(strategies) > len(case.before["strategies"])
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


def _is_protected(case: Case) -> bool:
    """Live stops stand behind all that is held."""
    instrument = case.deed.arguments["instrument"]
    net = case.when["held"].get(instrument, 0)
    stops = [order for order in _live(case) if order["prices"][1] and order["signed"] * net < 0]
    return bool(sum(abs(order["signed"]) for order in stops) >= abs(net))


def effects(case: Case) -> str:
    """What a write has done since; nothing else does anything, so far away do orders rest."""
    known = {order["id"]: order for order in case.before["orders"]}
    # An order that the broker rejected was there, and changed nothing.
    parts = [f"new {order['id']}" for order in case.new_orders if order["state"] != "Rejected"]
    for order in case.after["orders"]:
        old = known.get(order["id"])
        if old and (old["signed"], old["prices"]) != (order["signed"], order["prices"]):
            parts.append(f"changed {order['id']}")
        if old and old["is_live"] and order["state"] == "Cancelled":
            parts.append(f"cancelled {order['id']}")
    before = case.before["strategies"]
    parts += [f"strategy {key}" for key, now in case.after["strategies"].items() if _is_other(before.get(key), now)]
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


def _held(case: Case) -> dict[str, int]:
    instrument = case.deed.arguments.get("instrument")
    return {name: net for name, net in case.when["held"].items() if instrument in (None, name)}


def _live(case: Case) -> list[Order]:
    instrument = case.deed.arguments.get("instrument")
    orders = case.when["orders"]
    return [order for order in orders if order["is_live"] and instrument in (None, order["instrument"])]


def _standing(case: Case) -> str:
    return f"{_held(case)} is held, {len(_live(case))} orders are live"
