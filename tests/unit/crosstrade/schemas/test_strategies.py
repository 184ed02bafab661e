"""Strategies, where what decides nothing is read where it can be, and what starts one."""

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from ct_mcp.crosstrade.schemas.reply import Reply
from ct_mcp.crosstrade.schemas.strategies import (
    StrategyAcknowledged,
    parse_asked_strategy,
    parse_strategies,
    parse_strategy_acknowledgement,
    parse_templates,
    start_body,
)
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.strategy import BarType, HostMode, StartStrategy, Strategy, StrategyState
from ct_mcp.errors import BadReply, BadRequest

Replies = Callable[..., Reply]
MOMENTUM = Strategy(
    account="Sim101",
    strategy_id="334081723",
    state=StrategyState.REALTIME,
    is_enabled=True,
    class_name="MomentumBreakout",
    name="Momentum ES",
    instrument=Instrument("ES", 2026, 6),
    host_mode=HostMode.CHART,
    parameters=(("FastPeriod", "9"), ("Threshold", "1.25"), ("UseTrail", "true"), ("Label", "morning")),
)
START = StartStrategy(
    "Sim101", "MomentumBreakout", Instrument("ES", 2026, 6), HostMode.CHART, BarType.RANGE, 8, (("FastPeriod", 9),)
)


def test_strategies_are_read_in_our_words(reply: Replies) -> None:
    running, over = parse_strategies(reply("ListStrategies"), "sim101")
    assert running == MOMENTUM
    assert (over.strategy_id, over.state, over.is_over) == ("334081699", StrategyState.FINALIZED, True)
    assert (over.is_enabled, over.host_mode, over.parameters) == (False, HostMode.ACCOUNT, ())


def test_strategies_of_every_account_each_name_theirs(reply: Replies) -> None:
    assert [strategy.account for strategy in parse_strategies(reply("ListAllStrategies"), None)] == [
        "Sim101",
        "Sim101",
        "APEX1234",
    ]
    with pytest.raises(BadReply, match="not of the one"):
        parse_strategies(reply("ListAllStrategies"), "Sim101")


def test_a_strategy_is_read_flat_or_wrapped(reply: Replies) -> None:
    for name in ("GetStrategy", "GetStrategy.wrapped"):
        assert parse_asked_strategy(reply(name), "Sim101", "334081723") == MOMENTUM


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"state": "Hibernating"}, {"state": StrategyState.UNKNOWN}),
        ({"state": None}, {"state": StrategyState.UNKNOWN}),
        ({"state": "SETDEFAULTS"}, {"state": StrategyState.SET_DEFAULTS}),
        ({"isEnabled": None}, {"is_enabled": None}),
        ({"isEnabled": "true"}, {"is_enabled": None}),
        ({"strategyId": None, "id": 334081723}, {}),
        ({"strategyClass": None, "className": "Other"}, {"class_name": "Other"}),
        ({"strategyClass": None}, {"class_name": None}),
        ({"displayName": "Shown"}, {"name": "Shown"}),
        ({"instrument": "MSFT"}, {"instrument": None}),
        ({"instrument": None}, {"instrument": None}),
        ({"hostMode": "headless"}, {"host_mode": HostMode.ACCOUNT}),
        ({"hostMode": None, "mode": "Chart"}, {}),
        ({"hostMode": "cloud"}, {"host_mode": None}),
        ({"parameters": "none"}, {"parameters": ()}),
        ({"parameters": {"Levels": [1, 2]}}, {"parameters": (("Levels", "[1, 2]"),)}),
        ({"account": "SIM101"}, {"account": "SIM101"}),
        ({"account": None}, {}),
    ],
)
def test_what_decides_nothing_is_read_where_it_can_be(
    reply: Replies, changes: dict[str, object], expected: dict[str, object]
) -> None:
    read = parse_asked_strategy(reply("GetStrategy", **changes), "Sim101", "334081723")
    assert read == replace(MOMENTUM, **expected)  # type: ignore[arg-type]


@pytest.mark.parametrize("changes", [{"strategyId": None}, {"strategyId": "7"}, {"account": "Sim102"}])
def test_another_strategy_than_the_one_asked_for_is_refused(reply: Replies, changes: dict[str, object]) -> None:
    with pytest.raises(BadReply):
        parse_asked_strategy(reply("GetStrategy", **changes), "Sim101", "334081723")


def test_a_row_without_its_account_in_the_list_of_all_is_refused(reply: Replies) -> None:
    with pytest.raises(BadReply, match="'account' is missing"):
        parse_strategies(reply("ListAllStrategies", strategies=[{"strategyId": "7"}], count=1), None)


def test_no_strategies_are_none_only_where_success_is_claimed(reply: Replies) -> None:
    assert parse_strategies(reply("ListStrategies", strategies=[]), "Sim101") == ()
    with pytest.raises(BadReply):
        parse_strategies(reply("ListStrategies", strategies=[], success=None), "Sim101")


def test_a_secret_among_the_parameters_does_not_show(reply: Replies) -> None:
    parameters = {"WebhookKey": "abc-def", "ApiToken": "x=y=z", "Note": "a\u202eb\u200b = c"}
    read = parse_asked_strategy(reply("GetStrategy", parameters=parameters), "Sim101", "334081723")
    assert read.parameters == (("WebhookKey", "[hidden]"), ("ApiToken", "[hidden]"), ("Note", "ab = c"))


def test_an_acknowledgement_says_what_stood_and_stands(reply: Replies) -> None:
    paused = parse_strategy_acknowledgement(reply("DisableStrategy", warning="late"), "sim101", "334081723")
    assert paused == StrategyAcknowledged("334081723", True, False, StrategyState.REALTIME, "late")
    closed = parse_strategy_acknowledgement(reply("CloseStrategy"), "Sim101", "334081723")
    assert closed == StrategyAcknowledged("334081723")
    assert parse_strategy_acknowledgement(reply("CloseStrategy", strategyId=None), "Sim101", "7").strategy_id is None
    assert parse_strategy_acknowledgement(reply("CloseStrategy"), "Sim101", None).strategy_id == "334081723"


@pytest.mark.parametrize("changes", [{"success": None}, {"strategyId": "7"}, {"account": "Sim102"}])
def test_an_acknowledgement_of_something_else_is_none(reply: Replies, changes: dict[str, object]) -> None:
    with pytest.raises(BadReply):
        parse_strategy_acknowledgement(reply("DisableStrategy", **changes), "Sim101", "334081723")


def test_a_strategy_starts_with_what_was_asked_for_and_nothing_else() -> None:
    parameters = (("Threshold", Decimal("1.250")), ("UseTrail", True), ("Label", "x"), ("FastPeriod", 9))
    assert json.dumps(start_body(replace(START, parameters=parameters))) == (
        '{"strategyClass": "MomentumBreakout", "instrument": "ES 06-26", "mode": "chart", "periodType": "Range", '
        '"period": 8, "parameters": {"Threshold": 1.25, "UseTrail": true, "Label": "x", "FastPeriod": 9}}'
    )
    assert "parameters" not in start_body(replace(START, parameters=()))


@pytest.mark.parametrize(
    "changes",
    [
        {"strategy_class": ""},
        {"strategy_class": "NinjaTrader.Custom.Mine"},
        {"strategy_class": "Mine; DROP"},
        {"strategy_class": "9Lives"},
        {"strategy_class": "x" * 101},
        {"parameters": (("a b", 1),)},
        {"parameters": (("Ratio", Decimal("NaN")),)},
        {"period": 0},
    ],
)
def test_a_start_that_makes_no_sense_is_not_sent(changes: dict[str, object]) -> None:
    with pytest.raises(BadRequest):
        start_body(replace(START, **changes))  # type: ignore[arg-type]


def test_templates_are_named_as_an_order_must_name_them(reply: Replies) -> None:
    assert parse_templates(reply("ListAtmTemplates")) == ("T1", "Scalp 8/12")
