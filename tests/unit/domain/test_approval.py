"""The question, and the life of the ticket that holds it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from ct_mcp.domain.account import AccountKind
from ct_mcp.domain.approval import Approval, ApprovalItem, ApprovalRequest, Finding, FindingKind, Ticket, TicketState
from ct_mcp.domain.commands import Flatten, PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderAction, OrderType, TimeInForce

NOW = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
TICKET = Ticket(
    ticket_id="t1",
    commands=(Flatten("Sim101", None),),
    fingerprint="f",
    own_id="o",
    summary="s",
    request=None,
    phrase="p",
    approval=Approval.FORM,
    simulated=True,
    reason="",
    created_at=NOW,
    expires_at=NOW + timedelta(seconds=90),
)


@pytest.mark.parametrize("state", TicketState)
def test_only_a_ticket_that_waits_can_expire(state: TicketState) -> None:
    ticket = replace(TICKET, state=state)
    waits = state in (TicketState.OPEN, TicketState.APPROVED)
    assert ticket.state_at(NOW + timedelta(seconds=89.999)) is state
    assert ticket.state_at(NOW + timedelta(seconds=90)) is (TicketState.EXPIRED if waits else state)


def test_a_clock_that_is_put_right_by_a_little_ends_no_ticket_and_one_that_is_set_back_does() -> None:
    assert TICKET.state_at(NOW - timedelta(seconds=5)) is TicketState.OPEN
    assert TICKET.state_at(NOW - timedelta(seconds=5.001)) is TicketState.EXPIRED


ES = Instrument("ES", 2026, 12)
ORDER = PlaceOrder("Sim101", ES, OrderAction.BUY, 2, OrderType.MARKET, None, None, TimeInForce.DAY)
ITEM = ApprovalItem(
    account="Sim101",
    account_kind=AccountKind.SIMULATED,
    kind="place order",
    headline="BUY 2 ES 12-26 MARKET",
    instrument=ES,
    sends=(ORDER,),
    position_before=0,
    position_after=2,
    value=Decimal(640_000),
    risk=Decimal(2000),
    risk_basis="over 80 ticks",
    market_price=Decimal("6400.25"),
    currency="USD",
    steps=("First: this",),
    findings=(Finding(FindingKind.WARNING, "W", "mind the gap"), Finding(FindingKind.ASSUMPTION, "A", "so it is")),
)


def test_a_question_of_one_command_says_what_it_does_then_its_figures_then_what_to_know() -> None:
    assert ApprovalRequest((ITEM,)).lines == (
        "First: this",
        "Position flat now, +2 after",
        "Risk 2,000.00 (USD, over 80 ticks)",
        "Value 640,000.00 (USD)",
        "Market 6400.25 (when asked)",
        "Contract month DEC 2026",
        "WARNING: mind the gap",
        "Assumption: so it is",
    )


def test_what_is_not_known_is_said_so() -> None:
    unknown = replace(ITEM, position_before=None, position_after=None, risk=None, value=None, market_price=None)
    assert [f"{fact.name} {fact.figure}" for fact in unknown.facts] == [
        "Position unknown now, unknown after",
        "Risk unknown",
        "Value unknown",
        "Contract month DEC 2026",
    ]


def test_what_leads_to_flat_shows_where_it_leads_and_neither_risk_nor_value() -> None:
    names = [fact.name for fact in replace(ITEM, risk=None, value=None, risk_basis="").facts]
    assert names == ["Position", "Market", "Contract month"]


def test_a_question_of_several_commands_names_each_with_its_account_and_kind() -> None:
    live = replace(ITEM, account="EVAL-1", account_kind=AccountKind.UNKNOWN, steps=(), findings=())
    live = replace(live, risk_basis="", market_price=None)
    request = ApprovalRequest((ITEM, live))
    assert request.heading == "LIVE ACCOUNT - REAL MONEY", "one account of unknown kind is enough"
    assert "SIM  Sim101  BUY 2 ES 12-26 MARKET" in request.lines
    assert request.lines[-2:] == ("LIVE  EVAL-1  BUY 2 ES 12-26 MARKET", "nothing held, no open orders")


def test_a_question_about_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one command"):
        ApprovalRequest(())


def test_the_text_to_type_stands_at_the_end_of_a_form() -> None:
    question = replace(TICKET, request=ApprovalRequest((ITEM,)), phrase="V7MA").question
    headline, kind, *_ = question.splitlines()
    assert headline == "Sim101  BUY 2 ES 12-26 MARKET - to send it, type V7MA"
    assert kind.startswith("SIMULATED ACCOUNT")
    assert question.endswith("To send it, type:  V7MA\nAnything else sends nothing.")


def test_each_command_of_a_ticket_has_an_order_id_of_its_own() -> None:
    several = replace(TICKET, commands=(Flatten("Sim101", None), Flatten("Sim102", None)))
    assert TICKET.own_id_of(0) == "o"
    assert [several.own_id_of(number) for number in range(2)] == ["o-1", "o-2"]
    assert several.accounts == ("Sim101", "Sim102")
