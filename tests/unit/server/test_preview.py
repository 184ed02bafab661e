"""A preview shows every rule with its figures, and changes nothing."""

from decimal import Decimal
from typing import Any

import pytest

from ct_mcp.domain.approval import Approval
from ct_mcp.domain.order import OrderAction
from ct_mcp.guard.policy import Limits, Mode, Policy
from ct_mcp.guard.review import RULES
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.sqlite import SqliteStore
from tests.unit.server.conftest import Ask, Place

ORDER = {"account": "Sim101", "instrument": "ES", "action": "BUY", "quantity": 2, "order_type": "MARKET"}


async def test_every_rule_is_listed_with_its_figures_on_request(ask: Ask) -> None:
    told = await ask("preview_order", **ORDER, details=True)
    data = told.data
    assert data["would_pass"] is True
    assert {rule["rule"] for rule in data["rules"]} == {rule.title for rule in RULES}
    assert all(f"{rule['rule']}: {rule['figures']}" in told.text for rule in data["rules"])
    assert "pass  the quantity is within the limit for one order: quantity=2, maximum=5" in told.text
    assert "n/a  the account is armed" in told.text
    assert told.text.startswith("WOULD PASS (nothing was sent): SIM  Sim101  BUY 2 ES 09-26 MARKET")


async def test_the_figures_come_finished(ask: Ask, place: Place) -> None:
    await place(OrderAction.BUY, 1)
    data = (await ask("preview_order", **ORDER)).data
    assert data["notional"] == pytest.approx((data["ask"] + 80 * 0.25) * 50 * 2), "a buyer pays the ask"
    assert (data["risk"], data["risk_ticks"]) == (2000, 80)
    assert (data["position_now"], data["position_after"], data["most_long_after"]) == (1, 3, 3)
    assert data["quote_age_seconds"] <= 1
    assert data["simulated"] is True


async def test_a_denied_order_shows_each_denial_and_is_no_error(ask: Ask) -> None:
    told = await ask("preview_order", **(ORDER | {"quantity": 50, "order_type": "LIMIT", "limit_price": 6050.1}))
    assert not told.is_error
    assert told.data["would_pass"] is False
    denied = {rule["figures"].split(":")[0] for rule in told.data["rules"] if rule["result"] == "denied"}
    assert {"QUANTITY_EXCEEDS_MAXIMUM", "POSITION_EXCEEDS_MAXIMUM", "PRICE_OFF_TICK"} <= denied
    head, first, *_ = told.text.splitlines()
    assert (head.split(" (")[0], first[:9]) == ("WOULD BE DENIED", "DENIED by")
    assert "DENIED by PRICE_OFF_TICK" in told.text
    assert "n/a" not in told.text
    assert len(told.text.splitlines()) <= 15


@pytest.mark.parametrize(
    ("policy", "most", "binds"),
    [
        (Policy(limits=Limits(max_order_contracts=4, max_order_risk=Decimal(9000))), 4, "QUANTITY_EXCEEDS_MAXIMUM"),
        (Policy(limits=Limits(max_position_contracts=1)), 1, "POSITION_EXCEEDS_MAXIMUM"),
        (Policy(limits=Limits(max_order_risk=Decimal(2500))), 2, "RISK_EXCEEDS_MAXIMUM"),
        (Policy(limits=Limits(max_order_risk=Decimal(10))), 0, "RISK_EXCEEDS_MAXIMUM"),
    ],
)
async def test_it_says_how_many_pass_at_most_and_what_binds(ask: Ask, most: int, binds: str) -> None:
    told = await ask("preview_order", **{name: value for name, value in ORDER.items() if name != "quantity"})
    data = told.data
    assert (data["passes_at_most"], data["would_pass"]) == (most, most > 0)
    assert binds in data["binding_rule"]
    assert f"passes with at most {most} in one order; one more: " in told.text


async def test_how_far_the_price_stands_from_the_market_is_told(ask: Ask) -> None:
    told = await ask("preview_order", **(ORDER | {"order_type": "LIMIT", "limit_price": 6045}))
    assert told.data["ticks_from_market"] == (told.data["reference_price"] - 6045) / 0.25
    assert "the order stands" in told.text


@pytest.mark.parametrize("policy", [Policy(simulated=approval) for approval in Approval], ids=list(Approval))
async def test_it_says_which_yes_would_be_needed(ask: Ask, policy: Policy) -> None:
    told = await ask("preview_order", **ORDER)
    assert told.data["approval"] == policy.simulated
    assert f"approval needed: {told.data['approval_needed']}" in told.text


@pytest.mark.parametrize("policy", [Policy(mode=Mode.READ_ONLY)], ids=["read_only"])
async def test_in_read_only_it_still_shows_what_the_rules_say(ask: Ask) -> None:
    told = await ask("preview_order", **ORDER)
    assert told.data["would_pass"] is False
    assert "MODE_READ_ONLY" in told.text


async def test_it_changes_nothing_and_writes_nothing_down(
    ask: Ask, store: SqliteStore, sim: Simulator, clock: ManualClock
) -> None:
    await ask("preview_order", **ORDER, reason="just looking")
    assert await store.entries(10) == ()
    assert await store.open_tickets(clock()) == ()
    assert not sim.exchange.orders
    assert all(seen.method == "GET" for seen in sim.requests)


async def test_what_could_not_be_read_denies_and_is_noted(ask: Ask, sim: Simulator) -> None:
    sim.faults.arm(Fault.EMPTY_BODY, rpc="GetQuote")
    told = await ask("preview_order", **(ORDER | {"instrument": "ES 09-26"}))
    assert told.data["would_pass"] is False
    assert told.data["notional"] is None
    assert "QUOTE_UNKNOWN" in told.text
    assert "notional unknown" in told.text
    assert "note: quote could not be read" in told.text


async def test_positions_that_cannot_be_read_are_unknown_and_not_flat(ask: Ask, sim: Simulator) -> None:
    sim.faults.arm(Fault.EMPTY_BODY, rpc="ListPositions")
    told = await ask("preview_order", **ORDER)
    assert told.data["position_now"] is None
    assert (
        "position unknown now, unknown after; where open orders fill as well, between unknown and unknown" in told.text
    )


@pytest.mark.parametrize("change", [{"quantity": 0}, {"action": "buy"}, {"account": "Sim1"}, {"sure": True}])
async def test_bad_arguments_are_refused_as_place_order_refuses_them(ask: Ask, change: dict[str, Any]) -> None:
    arguments = ORDER | change
    preview, order = await ask("preview_order", **arguments), await ask("place_order", **arguments)
    assert preview.is_error
    assert preview.text == order.text


async def test_how_many_may_be_bought_is_not_the_question_whether_it_was_sent_a_moment_ago(ask: Ask) -> None:
    await ask("place_order", **(ORDER | {"quantity": 1}))
    told = await ask("preview_order", **{name: value for name, value in ORDER.items() if name != "quantity"})
    assert told.data["passes_at_most"] > 0
    assert "DUPLICATE" not in told.text
    limit = Limits().max_position_contracts
    assert told.data["room_in_position"] == limit - told.data["position_now"]
    assert f"room to the position limit: {told.data['room_in_position']} in all" in told.text
