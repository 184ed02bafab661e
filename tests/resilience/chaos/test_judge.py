"""The judge of the campaign: every lie that is planted is found, by its kind, and what is true is none."""

from datetime import UTC, datetime
from typing import Any

import pytest
from journal_check import losses_in, lost_and_found, settled_wrongly
from judge import UNHEARD, Observation, Said, faults_in
from operations import Operation

from ct_mcp.store.journal import Entry, EntryKind

MES = "MES 09-26"
BUY = Operation("place_order", {"account": "Sim101", "instrument": MES, "action": "BUY", "quantity": 2})
CLOSE = Operation("close_position", {"account": "Sim101", "instrument": MES})
PART = Operation("close_position", {"account": "Sim101", "instrument": MES, "quantity": 1})
FLATTEN = Operation("flatten", {"account": "Sim101"})
CANCEL = Operation("cancel_order", {"account": "Sim101", "order_id": "a"})
CANCEL_ALL = Operation("cancel_orders", {"account": "Sim101", "instrument": MES})
CHANGE = Operation("change_order", {"account": "Sim101", "order_id": "a", "quantity": 3})
REVERSE = Operation("reverse_position", {"account": "Sim101", "instrument": MES})
PROTECT = Operation("protect_position", {"account": "Sim101", "instrument": MES, "stop_loss": 6000.0})
ENABLE = Operation("enable_strategy", {"account": "Sim101", "strategy_id": "7"})
DISABLE = Operation("disable_strategy", {"account": "Sim101", "strategy_id": "7"})
CLOSE_STRATEGY = Operation("close_strategy", {"account": "Sim101", "strategy_id": "7"})
START = Operation("start_strategy", {"account": "Sim101"})
RUNS, PAUSED, OVER = ["Realtime", True], ["Realtime", False], ["Finalized", False]
NOTHING_CHANGED = Said(None, "ADDON_OFFLINE: away. Nothing was changed in the account.")
DENIED = Said("denied", "DENIED (NOT sent)")


def order(name: str = "a", state: str = "Working", **other: Any) -> dict[str, Any]:
    """One order as the simulator tells it."""
    row = {"id": name, "own_id": f"own-{name}", "rpc": "PlaceOrder", "instrument": MES, "signed": 2}
    row |= {"prices": [6000.0, 0.0], "state": state, "filled": 2 if state == "Filled" else 0}
    return row | {"is_live": state not in ("Filled", "Cancelled", "Rejected")} | other


def truth(
    *orders: dict[str, Any], net: int = 0, writes: tuple[str, ...] = (), strategy: list[Any] | None = None
) -> dict[str, Any]:
    """What is so at some moment."""
    strategies = {} if strategy is None else {"7": strategy}
    held = {MES: net} if net else {}
    return {"orders": list(orders), "held": held, "strategies": strategies, "writes": [[rpc, True] for rpc in writes]}


def said(status: str, **structure: Any) -> Said:
    """An answer."""
    return Said(status, status.upper(), {"status": status, **structure})


def kinds(operation: Operation, answers: list[Said], before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What is found where nothing was held back."""
    return [kind for kind, _ in faults_in(Observation(operation, answers, before, after, {**after, "writes": []}))]


FILLED = said("filled", order_id="a", filled_quantity=2, position_after=2)
MEANWHILE = Said("filled", "WARNING: FILLED 2 of 2 BEFORE ITS CANCEL: BUY 2 (order-7)", {"status": "filled"})
STOP_BEFORE = order(signed=-2, prices=[0.0, 5990.0])
TRUE = [
    (BUY, FILLED, truth(), truth(order(state="Filled"), net=2, writes=("PlaceOrder",))),
    (BUY, said("working", order_id="own-a"), truth(), truth(order(), writes=("PlaceOrder",))),
    (BUY, said("rejected", order_id="a"), truth(), truth(order(state="Rejected"), writes=("PlaceOrder",))),
    (BUY, said("rejected"), truth(), truth(writes=("PlaceOrder",))),
    (BUY, NOTHING_CHANGED, truth(), truth(writes=("PlaceOrder",))),
    (BUY, said("unknown"), truth(), truth(order(state="Filled"), net=2, writes=("PlaceOrder",))),
    (BUY, said("accepted"), truth(), truth(order(state="Submitted"), writes=("PlaceOrder",))),
    (CLOSE, said("flat", position_after=0), truth(net=2), truth(writes=("ClosePosition",))),
    (PART, said("filled", position_after=1), truth(net=2), truth(net=1, writes=("ClosePosition",))),
    (FLATTEN, said("flat"), truth(order(), net=2), truth(order(state="Cancelled"), writes=("Flatten",))),
    (CANCEL, said("cancelled", order_id="a"), truth(order()), truth(order(state="Cancelled"), writes=("Cancel",))),
    (CHANGE, said("changed", order_id="a"), truth(order()), truth(order(signed=3), writes=("Change",))),
    (REVERSE, said("filled", position_after=-2), truth(net=2), truth(net=-2, writes=("Reverse",))),
    (
        PROTECT,
        said("working", order_id="a"),
        truth(net=2),
        truth(order(signed=-2, prices=[0.0, 6000.0]), net=2, writes=("CancelAndBracket",)),
    ),
    (
        PROTECT,
        said("changed"),
        truth(STOP_BEFORE, net=2),
        truth(order(signed=-2, prices=[0.0, 6000.0]), net=2, writes=("Change",)),
    ),
    (CHANGE, said("rejected", order_id="a"), truth(order()), truth(order(), writes=("Change",))),
    (CANCEL_ALL, MEANWHILE, truth(order("order-7")), truth(order("order-7", "Filled"), writes=("CancelOrders",))),
    (ENABLE, said("changed"), truth(strategy=PAUSED), truth(strategy=RUNS, writes=("EnableStrategy",))),
    (DISABLE, said("changed"), truth(strategy=RUNS), truth(strategy=PAUSED, writes=("DisableStrategy",))),
    (CLOSE_STRATEGY, said("changed"), truth(strategy=RUNS), truth(strategy=OVER, writes=("CloseStrategy",))),
    (START, said("changed"), truth(), truth(strategy=RUNS, writes=("StartStrategy",))),
    (ENABLE, DENIED, truth(strategy=["Historical", True]), truth(strategy=RUNS)),
]


@pytest.mark.parametrize(("operation", "answer", "before", "after"), TRUE)
def test_the_truth_is_no_lie(operation: Operation, answer: Said, before: dict[str, Any], after: dict[str, Any]) -> None:
    assert kinds(operation, [answer], before, after) == []


LIES = [
    ("false filled", BUY, FILLED, truth(), truth(order(), writes=("PlaceOrder",))),
    ("false filled", BUY, said("filled"), truth(), truth(writes=("PlaceOrder",))),
    ("false filled", BUY, said("working", order_id="a", filled_quantity=1), truth(), truth(order())),
    ("false filled", BUY, said("unknown", position_after=3), truth(), truth(net=2)),
    ("false filled", PART, said("filled"), truth(net=3), truth(net=3)),
    ("false filled", CLOSE, said("filled"), truth(net=3), truth(net=-3)),
    ("false filled", REVERSE, said("filled"), truth(net=2), truth(net=2)),
    ("loss", BUY, said("working", order_id="a"), truth(), truth(order(state="Cancelled"))),
    ("loss", BUY, said("working", order_id="b"), truth(), truth(order())),
    ("loss", BUY, said("accepted"), truth(), truth()),
    ("loss", CANCEL, said("cancelled", order_id="a"), truth(order()), truth(order())),
    ("loss", CANCEL_ALL, said("cancelled"), truth(order()), truth(order())),
    ("loss", CHANGE, said("changed", order_id="a"), truth(order()), truth(order())),
    ("loss", PROTECT, said("changed"), truth(STOP_BEFORE, net=2), truth(STOP_BEFORE, net=2)),
    ("false filled", CANCEL_ALL, MEANWHILE, truth(order("order-7")), truth(order("order-7", "Cancelled"))),
    (
        "loss",
        PROTECT,
        said("working", order_id="a"),
        truth(net=2),
        truth(order(signed=-1, prices=[0.0, 6000.0]), net=2),
    ),
    ("loss", ENABLE, said("changed"), truth(strategy=PAUSED), truth(strategy=PAUSED)),
    ("loss", DISABLE, said("changed"), truth(strategy=RUNS), truth(strategy=RUNS)),
    ("loss", CLOSE_STRATEGY, said("changed"), truth(strategy=RUNS), truth(strategy=PAUSED)),
    ("loss", START, said("changed"), truth(strategy=RUNS), truth(strategy=RUNS)),
    ("false flat", FLATTEN, said("flat"), truth(net=2), truth(net=1)),
    ("false flat", FLATTEN, said("flat"), truth(order()), truth(order())),
    ("false flat", CLOSE, said("flat"), truth(net=2), truth(order())),
    ("false rejected", BUY, said("rejected"), truth(), truth(order())),
    ("false rejected", BUY, said("rejected", order_id="a"), truth(), truth(order())),
    ("false rejected", BUY, DENIED, truth(), truth(order())),
    ("false rejected", BUY, NOTHING_CHANGED, truth(), truth(order(state="Filled"), net=2)),
    ("false rejected", CANCEL, NOTHING_CHANGED, truth(order()), truth(order(state="Cancelled"))),
    ("false rejected", CHANGE, NOTHING_CHANGED, truth(order()), truth(order(signed=3))),
    ("false rejected", START, NOTHING_CHANGED, truth(), truth(strategy=RUNS)),
    ("false rejected", DISABLE, DENIED, truth(strategy=RUNS), truth(strategy=PAUSED)),
    ("duplicate", BUY, said("unknown"), truth(), truth(order(), writes=("PlaceOrder", "PlaceOrder"))),
    ("duplicate", BUY, said("unknown"), truth(), truth(order("a"), order("b"))),
    ("duplicate", FLATTEN, said("unknown"), truth(net=2), truth(writes=("Flatten", "Flatten"))),
    ("duplicate", CANCEL, said("unknown"), truth(), truth(writes=("CancelOrders",))),
]


@pytest.mark.parametrize(("kind", "operation", "answer", "before", "after"), LIES)
def test_a_planted_lie_is_found(
    kind: str, operation: Operation, answer: Said, before: dict[str, Any], after: dict[str, Any]
) -> None:
    assert kind in kinds(operation, [answer], before, after)


def test_what_adds_up_is_found_twice_though_it_was_asked_for_twice() -> None:
    twice = truth(net=1, writes=("ClosePosition", "ClosePosition"))

    assert kinds(PART, [UNHEARD, said("unknown")], truth(net=3), twice) == ["duplicate"]


def test_leaving_twice_is_no_duplicate_where_it_was_asked_for_twice() -> None:
    assert kinds(FLATTEN, [UNHEARD, said("flat")], truth(net=3), truth(writes=("Flatten", "Flatten"))) == []


def test_a_denial_is_no_lie_where_the_first_call_was_never_answered() -> None:
    assert kinds(BUY, [UNHEARD, DENIED], truth(), truth(order(), writes=("PlaceOrder",))) == []


@pytest.mark.parametrize(("status", "is_found"), [("unknown", []), ("working", ["false filled"])])
def test_what_was_read_before_the_write_had_ended_is_a_lie_only_where_it_is_claimed(
    status: str, is_found: list[str]
) -> None:
    turned = truth(order(), net=-2, writes=("Reverse",)) | {"has_unread_write": True}

    found = kinds(REVERSE, [said(status, order_id="a", position_after=2)], truth(net=2), turned)

    assert found == is_found


def test_what_comes_once_it_is_let_go_was_not_refused() -> None:
    observed = Observation(BUY, [NOTHING_CHANGED], truth(), truth(), truth(order(), writes=("PlaceOrder",)))

    assert [kind for kind, _ in faults_in(observed)] == ["false rejected"]


def entry(kind: EntryKind, second: int = 0, **detail: Any) -> Entry:
    """One line of the journal."""
    at = datetime(2026, 9, 9, 14, 30, second, tzinfo=UTC)
    return Entry(second, at, kind, "BUY", "Sim101", "ticket", "own-a", "f", True, "", detail, "", "")


def stood(*orders: dict[str, Any], write: str = "PlaceOrder") -> Observation:
    """One write, of which nothing was heard, and what stands after it."""
    return Observation(BUY, [UNHEARD], truth(), truth(*orders, writes=(write,)), truth(*orders))


def test_a_write_that_nobody_wrote_down_is_a_loss() -> None:
    assert [kind for kind, _ in losses_in([], stood())] == ["loss"]
    assert not list(losses_in([entry(EntryKind.INTENT)], stood()))


@pytest.mark.parametrize("end", [entry(EntryKind.ANSWERED, 1, not_sent="offline"), entry(EntryKind.SETTLED, 1)])
def test_a_story_that_ends_without_the_order_that_stands_is_a_lie(end: Entry) -> None:
    assert "false rejected" in [kind for kind, _ in losses_in([entry(EntryKind.INTENT), end], stood(order()))]


@pytest.mark.parametrize("end", [{"not_sent": "offline"}, {"step": "place", "reasons": ["no"]}])
def test_a_no_in_the_journal_is_a_lie_where_something_changed(end: dict[str, Any]) -> None:
    story = [entry(EntryKind.INTENT), entry(EntryKind.ANSWERED, 1, **end)]

    assert [kind for kind, _ in losses_in(story, stood(order(own_id=None)))] == ["false rejected"]
    assert not list(losses_in(story, stood()))


def test_a_story_that_names_the_order_or_has_no_end_is_none() -> None:
    named, open_still = entry(EntryKind.ANSWERED, 1, order_id="a", status="working"), entry(EntryKind.UNKNOWN, 1)

    for end in (named, open_still):
        assert not list(losses_in([entry(EntryKind.INTENT), end], stood(order())))


@pytest.mark.parametrize(
    ("state", "stands", "kind"),
    [
        ("FILLED", [order()], "false filled"),
        ("CANCELLED", [order()], "false rejected"),
        ("WORKING", [], "loss"),
    ],
)
def test_what_was_settled_as_it_is_not_is_found(state: str, stands: list[dict[str, Any]], kind: str) -> None:
    settled = entry(EntryKind.SETTLED, 1, order_id="a", state=state)

    assert [found for found, _ in settled_wrongly([settled], truth(*stands))] == [kind]


@pytest.mark.parametrize(
    ("story", "found"),
    [
        ([entry(EntryKind.UNKNOWN, 1), entry(EntryKind.ANSWERED, 3)], [("itself", 3.0)]),
        ([entry(EntryKind.UNKNOWN, 1), entry(EntryKind.SETTLED, 9)], [("later", 9.0)]),
        ([entry(EntryKind.READ_BACK, 1)], [("left", 0.0)]),
        ([entry(EntryKind.ACCEPTED, 1), entry(EntryKind.ANSWERED, 2)], []),
        ([], [("left", 0.0)]),
    ],
)
def test_who_found_out_what_became_of_it_is_counted(story: list[Entry], found: list[tuple[str, float]]) -> None:
    assert list(lost_and_found([entry(EntryKind.INTENT), *story])) == found
