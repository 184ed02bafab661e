"""What mode and toolsets allow is listed, what they do not is not, and somebody says why."""

import logging
import sys
from dataclasses import replace
from datetime import date, time, timedelta
from typing import Any

import pytest
from mcp import Client

from ct_mcp.desk.desk import Desk
from ct_mcp.guard.firm_policy import Automation, FirmRules, NewsRule, Preset, PresetFigure
from ct_mcp.guard.policy import AccountPolicy, FlatBy, Limits, Mode, Policy, Watching
from ct_mcp.server.app import (
    ALERT_TOOLS,
    CHART_TOOLS,
    READ_TOOLS,
    STRATEGY_READ_TOOLS,
    STRATEGY_TRADE_TOOLS,
    TRADE_TOOLS,
    WATCH_TOOLS,
    build_server,
)
from ct_mcp.server.context import ServerContext
from ct_mcp.server.policy_text import policy_text, unavailable_toolsets
from tests.unit.server.conftest import text_of

LEFT_OUT = "not listed, because the operator left it out of the toolsets"
NO_CHARTS = f"charts: {LEFT_OUT}"


def _names(*toolsets: tuple[Any, ...]) -> list[str]:
    return [function.__name__ for toolset in toolsets for function, *_ in toolset]


async def _listed(toolsets: str, mode: Mode = Mode.SIM) -> list[str]:
    context = ServerContext(lambda: pytest.fail("listing needs no desk"), Policy(mode=mode), toolsets=_set(toolsets))
    async with Client(build_server(context)) as client:
        return [tool.name for tool in (await client.list_tools()).tools]


def _set(toolsets: str) -> frozenset[str]:
    return frozenset(toolsets.split())


CHOICES = {
    "read trade": _names(READ_TOOLS, TRADE_TOOLS, WATCH_TOOLS),
    "read": _names(READ_TOOLS, ALERT_TOOLS, WATCH_TOOLS),
    "trade": _names(READ_TOOLS, TRADE_TOOLS, WATCH_TOOLS),
    "read strategies": _names(READ_TOOLS, ALERT_TOOLS, WATCH_TOOLS, STRATEGY_READ_TOOLS),
    "read trade strategies": _names(READ_TOOLS, TRADE_TOOLS, WATCH_TOOLS, STRATEGY_READ_TOOLS, STRATEGY_TRADE_TOOLS),
    "read trade charts": _names(READ_TOOLS, TRADE_TOOLS, WATCH_TOOLS, CHART_TOOLS),
    "read strategies charts": _names(READ_TOOLS, ALERT_TOOLS, WATCH_TOOLS, STRATEGY_READ_TOOLS, CHART_TOOLS),
}


@pytest.mark.parametrize("toolsets", CHOICES)
@pytest.mark.parametrize("mode", [Mode.SIM, Mode.LIVE])
async def test_what_was_chosen_is_listed(toolsets: str, mode: Mode) -> None:
    assert await _listed(toolsets, mode) == CHOICES[toolsets]


@pytest.mark.parametrize(
    ("toolsets", "listed"),
    [
        ("read trade", _names(READ_TOOLS, ALERT_TOOLS, WATCH_TOOLS)),
        ("read trade strategies", _names(READ_TOOLS, ALERT_TOOLS, WATCH_TOOLS, STRATEGY_READ_TOOLS)),
    ],
)
async def test_read_only_lists_nothing_that_trades_whatever_was_chosen(toolsets: str, listed: list[str]) -> None:
    assert await _listed(toolsets, Mode.READ_ONLY) == listed


OFF = {
    ("read trade", Mode.SIM): [f"strategies: {LEFT_OUT}", NO_CHARTS],
    ("read trade strategies", Mode.LIVE): [NO_CHARTS],
    ("read trade strategies charts", Mode.SIM): [],
    ("read", Mode.SIM): [f"trade: {LEFT_OUT}", f"strategies: {LEFT_OUT}", NO_CHARTS],
    ("read strategies", Mode.SIM): [
        f"trade: {LEFT_OUT}",
        "strategies: what changes one is not listed, because toolset trade is off; reading them is on",
        NO_CHARTS,
    ],
    ("read trade strategies", Mode.READ_ONLY): [
        "trade: not listed, because the mode is read_only; only the operator can change it",
        "strategies: what changes one is not listed, because the mode is read_only; only the operator can change it; "
        "reading them is on",
        NO_CHARTS,
    ],
}


@pytest.mark.parametrize(("chosen", "mode"), OFF)
def test_what_is_off_is_named_with_its_reason(chosen: str, mode: Mode) -> None:
    assert unavailable_toolsets(_set(chosen), mode) == OFF[chosen, mode]


def test_charts_without_what_draws_them_are_told_to_the_operator(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with caplog.at_level(logging.WARNING, logger="ct_mcp"):
        _built("read charts")
        (told,) = caplog.messages
        assert told.startswith("toolset charts: pictures need Pillow, which is not installed")
        assert "pip install pillow" in told
        _built("read trade")
    assert caplog.messages == [told]
    assert unavailable_toolsets(_set("read trade strategies charts"), Mode.SIM) == [told.removeprefix("toolset ")]


def test_charts_with_what_draws_them_are_not_spoken_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="ct_mcp"):
        _built("read charts")
    assert caplog.messages == []


def _built(toolsets: str) -> None:
    build_server(ServerContext(lambda: pytest.fail("building needs no desk"), Policy(), toolsets=_set(toolsets)))


@pytest.mark.parametrize("chosen", ["read trade", "read trade strategies charts", "read strategies"])
async def test_the_status_says_the_same_in_both_halves(desk: Desk, chosen: str) -> None:
    async with Client(build_server(ServerContext(lambda: desk, desk.policy, toolsets=_set(chosen)))) as client:
        told = await client.call_tool("get_status", {"details": True})
    off = OFF[chosen, Mode.SIM]
    assert told.structured_content["toolsets_off"] == off
    assert f"toolsets off: {'; '.join(off) or 'none'}" in text_of(told)


def test_the_rules_of_a_funded_account_are_named_with_their_date_and_what_is_never_sent() -> None:
    figure = PresetFigure("drawdown_amount", "2000", "https://example.com", date(2026, 10, 4))
    accounts = {
        "EVAL-1": AccountPolicy(automation=Automation.ADVISE, firm=FirmRules(Preset("some-50k", "Some", (figure,)))),
        "EVAL-2": AccountPolicy(firm=FirmRules(require_stop=True)),
        "EVAL-3": AccountPolicy(),
    }
    told = policy_text(Policy(accounts=accounts), lambda: date(2027, 1, 3))
    old = "OLD: looked up 91 days ago, compare it with the firm's own page"
    advised = "automation advise: nothing is ever sent, proposals become plans"
    assert f"- account EVAL-1: preset some-50k of 2026-10-04, {old}; {advised}" in told
    assert "- account EVAL-2: rules of a funded account" in told
    assert "EVAL-3:" not in told


def test_the_day_is_not_asked_for_where_no_account_needs_it() -> None:
    def nobody() -> date:
        raise AssertionError

    assert "## Mode" in policy_text(Policy(), nobody)


@pytest.mark.parametrize(
    ("no_resting", "automation", "told"),
    [(True, Automation.PROPOSE, True), (False, Automation.PROPOSE, False), (True, Automation.ADVISE, False)],
)
def test_what_is_cancelled_before_a_release_says_what_it_hangs_on(
    no_resting: bool, automation: Automation, told: bool
) -> None:
    news = NewsRule(timedelta(minutes=2), timedelta(minutes=2), no_resting=no_resting)
    account = AccountPolicy(automation=automation, firm=FirmRules(news=news))
    text = policy_text(Policy(accounts={"EVAL-1": account}), lambda: date(2026, 9, 9))
    line = "news in EVAL-1: before a release what rests and would open is cancelled; it acts only while ct-mcp runs"
    assert (line in text) is told


def test_a_time_to_be_flat_by_that_acts_says_what_it_hangs_on() -> None:
    acts = Policy(limits=Limits(flat_by=FlatBy(time(15, 10), "America/Chicago")), watches=Watching(flat_by_acts=True))
    assert "only while ct-mcp runs, which ct-mcp watch does" in policy_text(acts, lambda: date(2026, 9, 9))
    assert "only while ct-mcp runs" not in policy_text(replace(acts, watches=Watching()), lambda: date(2026, 9, 9))
