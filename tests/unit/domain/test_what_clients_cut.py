"""What of a question reaches the person in a client that cuts it: three rows of 80 columns, and 40 of a title."""

from datetime import timedelta
from textwrap import wrap

import pytest

from ct_mcp.domain.account import AccountKind
from ct_mcp.domain.approval import Approval, ApprovalItem, ApprovalRequest, Ticket
from ct_mcp.domain.commands import Flatten
from tests.conftest import A_TRADING_MORNING

ROWS, COLUMNS, TITLE = 3, 80, 40
HEADLINES = (
    "BUY 1 MES 12-26 MARKET",
    "SELL 100 MES 12-26 STOP_LIMIT stop 6402.25 limit 6400.25 GTC with an ATM strategy in an OCO group",
    "BUY 1 MES 12-26 MARKET " + "and whatever a longer headline says " * 20,
)


def ticket_of(phrase: str, *items: ApprovalItem) -> Ticket:
    request, now = ApprovalRequest(items), A_TRADING_MORNING
    return Ticket(
        ticket_id="0123456789abcdef",
        commands=(Flatten("Sim101", None),),
        fingerprint="f",
        own_id="ctmcp-0",
        summary="s",
        request=request,
        phrase=phrase,
        approval=Approval.FORM,
        simulated=request.simulated,
        reason="",
        created_at=now,
        expires_at=now + timedelta(seconds=90),
    )


def item_of(headline: str, account: str = "Sim101", kind: AccountKind = AccountKind.SIMULATED) -> ApprovalItem:
    return ApprovalItem(account, kind, kind, headline, steps=tuple(f"step {number}" for number in range(12)))


def as_a_client_draws(text: str) -> list[str]:
    """The rows of a client that breaks lines at its width, draws the first and says how many more there are."""
    rows = [row for line in text.splitlines() for row in wrap(line, COLUMNS) or [""]]
    return rows[:ROWS]


@pytest.mark.parametrize("phrase", ["V7MA", "SELL 100 MES"])
@pytest.mark.parametrize("account", ["Sim101", "APEX-123456-07 (evaluation, John's second one)"])
@pytest.mark.parametrize("headline", HEADLINES)
def test_what_a_yes_needs_stands_in_what_every_client_shows(headline: str, account: str, phrase: str) -> None:
    ticket = ticket_of(phrase, item_of(headline, account))
    drawn = " ".join(as_a_client_draws(ticket.question))
    assert f"to send it, type {phrase}" in drawn
    assert account in drawn
    assert headline[:30] in drawn
    assert f"{account}  {headline}".rstrip() in ticket.question, "what was cut stands whole further down"
    assert phrase in ticket.field_title
    assert len(ticket.field_title) <= TITLE


def test_a_long_name_of_an_account_leaves_the_order_in_the_first_line() -> None:
    account = "APEX-" + "9" * 120 + "-07"
    first, *further = ticket_of("V7MA", item_of(HEADLINES[0], account)).question.splitlines()
    assert first == f"APEX-{'9' * 23}...{'9' * 25}-07  {HEADLINES[0]} - to send it, type V7MA"
    assert f"{account}  {HEADLINES[0]}" in further


def test_the_kind_of_the_account_is_the_second_line() -> None:
    first, second, *_ = ticket_of("SELL 2 MES", item_of("SELL 2 MES", "APEX-1", AccountKind.LIVE)).question.splitlines()
    assert first == "APEX-1  SELL 2 MES - to send it, type SELL 2 MES"
    assert second == "LIVE ACCOUNT - REAL MONEY"


def test_several_commands_say_so_in_the_first_line() -> None:
    ticket = ticket_of("V7MA", item_of("FLATTEN"), item_of("FLATTEN", "Sim102"))
    assert as_a_client_draws(ticket.question)[0] == "2 commands under one yes - to send it, type V7MA"


@pytest.mark.parametrize("phrase", ["V7MA", "BUY 1 MES", "SELL 100000 " + "M" * 40])
def test_a_title_is_never_longer_than_clients_draw(phrase: str) -> None:
    assert len(ticket_of(phrase, item_of("BUY")).field_title) <= TITLE
