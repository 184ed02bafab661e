"""The life of a ticket."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ct_mcp.domain.action import Flatten
from ct_mcp.domain.ticket import Approval, Ticket, TicketState

NOW = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
TICKET = Ticket(
    ticket_id="t1",
    action=Flatten("Sim101", None),
    fingerprint="f",
    own_id="o",
    summary="s",
    question="q",
    phrase="p",
    approval=Approval.FORM,
    simulated=True,
    reason="",
    created_at=NOW,
    expires_at=NOW + timedelta(seconds=90),
)


@pytest.mark.parametrize("state", TicketState)
def test_only_a_ticket_that_waits_can_lapse(state: TicketState) -> None:
    ticket = replace(TICKET, state=state)
    waits = state in (TicketState.OPEN, TicketState.APPROVED)
    assert ticket.state_at(NOW + timedelta(seconds=89.999)) is state
    assert ticket.state_at(NOW + timedelta(seconds=90)) is (TicketState.LAPSED if waits else state)
