"""What is shown of a ticket: its command part by part, and each finding and figure where it belongs."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ct_mcp.domain.account import AccountKind
from ct_mcp.domain.approval import (
    Approval,
    ApprovalItem,
    ApprovalRequest,
    Finding,
    FindingKind,
    Ticket,
    TicketState,
)
from ct_mcp.domain.commands import (
    KINDS,
    ClosePosition,
    Command,
    Flatten,
    PlaceOrder,
    ProtectPosition,
    headline,
    summarize,
)
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderAction, OrderType, TimeInForce
from ct_mcp.store.journal import Entry, EntryKind
from ct_mcp.web.ticket_view import Figure, Headline, Remark, ShownItem, ticket_view

NOW = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)
MES, ES = Instrument("MES", 2026, 9), Instrument("ES", 2026, 12)
BUY, SELL = OrderAction.BUY, OrderAction.SELL
ORDER = PlaceOrder("Sim101", MES, BUY, 2, OrderType.MARKET, None, None, TimeInForce.DAY)
Make = Callable[..., Ticket]


def item(command: Command = ORDER, **more: Any) -> ApprovalItem:
    """What the person is shown of a command of a simulated account."""
    kind = AccountKind.SIMULATED
    return replace(ApprovalItem(command.account, kind, KINDS[type(command)], headline(command)), **more)


@pytest.fixture
def ticket() -> Make:
    """Make a ticket that was proposed just now, of whatever commands and with whatever items a test wants."""

    def made(*commands: Command, items: tuple[ApprovalItem, ...] = (), **more: Any) -> Ticket:
        commands = commands or (ORDER,)
        usual = Ticket(
            ticket_id="t",
            commands=commands,
            fingerprint="f",
            own_id="o",
            summary=f"SIM  {summarize(commands)}",
            request=ApprovalRequest(items or tuple(map(item, commands))),
            phrase="X",
            approval=Approval.PAGE,
            simulated=True,
            reason="",
            created_at=NOW,
            expires_at=NOW + timedelta(seconds=90),
        )
        return replace(usual, **more)

    return made


ES_ORDER = replace(ORDER, instrument=ES, action=SELL, quantity=1)
LIMITED = replace(ES_ORDER, order_type=OrderType.LIMIT, limit_price=Decimal("6410.25"))
STOPPED = replace(
    ES_ORDER,
    action=BUY,
    quantity=3,
    order_type=OrderType.STOP_LIMIT,
    limit_price=Decimal("6410.5"),
    stop_price=Decimal(6410),
    time_in_force=TimeInForce.GTC,
    oco_id="g1",
)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (ORDER, Headline("2 MES 09-26", BUY, "MARKET")),
        (LIMITED, Headline("1 ES 12-26", SELL, "LIMIT 6410.25")),
        (STOPPED, Headline("3 ES 12-26", BUY, "STOP LIMIT stop 6410 limit 6410.5 GTC in an OCO group")),
        (ClosePosition("Sim101", MES), Headline("CLOSE all of MES 09-26")),
        (
            ProtectPosition("Sim101", MES, None, Decimal(6000)),
            Headline("PROTECT MES 09-26 with stop loss 6000, in place of its orders"),
        ),
        (Flatten("Sim101", None), Headline("FLATTEN everything")),
        (replace(ORDER, flatten_first=True), Headline("flatten first, then BUY 2 MES 09-26 MARKET")),
    ],
)
def test_a_command_is_parted_into_its_words_and_none_is_lost(
    ticket: Make, command: Command, expected: Headline
) -> None:
    view = ticket_view(ticket(command), NOW)
    assert view.headline == expected
    assert str(view.headline) == headline(command)


def test_the_headline_of_several_commands_says_each_different_thing_once(ticket: Make) -> None:
    view = ticket_view(ticket(Flatten("Sim101", None), Flatten("Sim102", None), ORDER), NOW)
    assert str(view.headline) == "FLATTEN everything; BUY 2 MES 09-26 MARKET"
    assert view.account == "Sim101, Sim102"


@pytest.mark.parametrize(("side", "sign", "look"), [(BUY, "▲", "buy"), (SELL, "▼", "sell"), (None, "", "")])
def test_only_buying_and_selling_have_a_sign_and_a_colour_of_their_own(
    side: OrderAction | None, sign: str, look: str
) -> None:
    assert (Headline("1 MES", side).sign, Headline("1 MES", side).look) == (sign, look)


def test_the_figures_of_an_order_stand_by_themselves(ticket: Make) -> None:
    figures = item(
        instrument=MES,
        position_before=2,
        position_after=4,
        value=Decimal(60705),
        risk=Decimal(200),
        risk_basis="over 80 ticks",
        market_price=Decimal("6050.5"),
        currency="USD",
    )
    (shown,) = ticket_view(ticket(items=(figures,)), NOW).items
    assert shown.figures == (
        Figure("Position", "+2 now, +4 after"),
        Figure("Risk", "200.00", "USD, over 80 ticks"),
        Figure("Value", "60,705.00", "USD"),
        Figure("Market", "6050.5", "when asked"),
        Figure("Contract month", "SEP 2026"),
    )
    assert [figure.slug for figure in shown.figures] == ["position", "risk", "value", "market", "contract-month"]


def test_everything_else_of_the_question_is_shown_once_and_where_it_belongs(ticket: Make) -> None:
    findings = (
        Finding(FindingKind.ASSUMPTION, "RISK", "the risk is taken over 80 ticks"),
        Finding(FindingKind.COULD_NOT_VERIFY, "EXPIRY", "the day of expiry"),
        Finding(FindingKind.WARNING, "STOP", "a stop goes"),
    )
    steps = ("Held: +4 MES 09-26", "First: cancel one order", "Then: SELL 4")
    standing = ("LONG 4 MES 09-26 at 6000",)
    (shown,) = ticket_view(ticket(items=(item(findings=findings, steps=steps, standing=standing),)), NOW).items
    assert shown == ShownItem(
        account="Sim101",
        simulated=True,
        headline=Headline("2 MES 09-26", BUY, "MARKET"),
        figures=(),
        remarks=(
            Remark(FindingKind.WARNING, "a stop goes"),
            Remark(FindingKind.COULD_NOT_VERIFY, "the day of expiry"),
            Remark(FindingKind.ASSUMPTION, "the risk is taken over 80 ticks"),
        ),
        steps=steps,
        standing=standing,
    )
    assert [(remark.label, remark.look) for remark in shown.remarks] == [
        ("Warning", "caution"),
        ("Could not verify", "unverified"),
        ("Assumption", "line"),
    ]
    assert shown.cautions == shown.remarks[:2]


def test_each_of_several_commands_is_shown_under_its_own_account(ticket: Make) -> None:
    commands = (Flatten("Sim101", None), Flatten("APEX", None))
    live = item(commands[1], account_kind=AccountKind.LIVE, standing=("LONG 1",))
    view = ticket_view(ticket(*commands, items=(item(commands[0]), live), simulated=False), NOW)
    assert [(shown.account, shown.simulated, shown.standing) for shown in view.items] == [
        ("Sim101", True, ()),
        ("APEX", False, ("LONG 1",)),
    ]


def test_a_ticket_of_an_older_version_has_nothing_but_its_headline(ticket: Make) -> None:
    view = ticket_view(ticket(request=None, state=TicketState.EXPIRED), NOW)
    assert (str(view.headline), view.items) == ("BUY 2 MES 09-26 MARKET", ())


@pytest.mark.parametrize(
    ("approval", "simulated", "asks_for"),
    [
        (Approval.FORM, True, (False, False)),
        (Approval.PAGE, False, (True, False)),
        (Approval.PAGE_PIN, True, (False, True)),
        (Approval.PAGE_PIN, False, (True, True)),
    ],
)
def test_a_live_account_asks_for_the_phrase_and_the_policy_for_a_pin(
    ticket: Make, approval: Approval, simulated: bool, asks_for: tuple[bool, bool]
) -> None:
    view = ticket_view(ticket(approval=approval, simulated=simulated), NOW)
    assert (view.needs_phrase, view.needs_pin) == asks_for


@pytest.mark.parametrize(
    ("after", "left", "state"),
    [
        (0, 90, TicketState.OPEN),
        (30.5, 59, TicketState.OPEN),
        (90, 0, TicketState.EXPIRED),
        (500, 0, TicketState.EXPIRED),
    ],
)
def test_the_time_that_is_left_runs_down_and_never_below_nothing(
    ticket: Make, after: float, left: int, state: TicketState
) -> None:
    view = ticket_view(ticket(), NOW + timedelta(seconds=after))
    assert (view.seconds_left, view.seconds_in_all, view.state) == (left, 90, state)


def test_the_words_of_the_assistant_are_made_harmless(ticket: Make) -> None:
    assert ticket_view(ticket(reason="a\u202eb\x1b[31m\nc"), NOW).reason == "ab[31m c"


def entry(kind: EntryKind, seconds: int = 0, **detail: object) -> Entry:
    """One line of the journal."""
    at = NOW + timedelta(seconds=seconds)
    return Entry(1, at, kind, "summary", "Sim101", "t", None, None, False, "", detail, "0", "1")


def test_the_story_is_told_from_its_beginning_with_the_rules_apart(ticket: Make) -> None:
    newest_first = [
        entry(EntryKind.ANSWERED, 3, status="filled", rules=["not those of the proposal"]),
        entry(EntryKind.APPROVED, 2, by="page"),
        entry(EntryKind.PROPOSED, 1, rules=["quantity is within limit: quantity=2", "another"]),
    ]
    view = ticket_view(ticket(), NOW, newest_first)
    assert [step.text for step in view.story] == ["Proposed by the assistant", "Approved: page", "Read back: filled"]
    assert view.rules == ("quantity is within limit: quantity=2", "another")


def test_a_page_is_out_of_date_once_the_state_or_the_story_of_a_decided_ticket_moves(ticket: Make) -> None:
    story = [entry(EntryKind.APPROVED), entry(EntryKind.PROPOSED)]
    waits, spent = ticket(), replace(ticket(), state=TicketState.SPENT)
    assert ticket_view(waits, NOW).version == ticket_view(waits, NOW, story).version == "open"
    assert ticket_view(spent, NOW, story).version != ticket_view(spent, NOW, story[1:]).version
