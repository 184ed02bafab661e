"""Draws the ticket: what the person is shown, made here from the action and from nothing that the assistant wrote."""

import unicodedata
from collections.abc import Sequence
from datetime import timedelta
from secrets import choice, token_hex

from ct_mcp.desk.consequences import consequences, what_stands
from ct_mcp.desk.facts import Case
from ct_mcp.domain.account import AccountKind
from ct_mcp.domain.action import (
    Action,
    CancelOrder,
    CancelOrders,
    FlattenEverything,
    PlaceOrder,
    ReplaceOrder,
    ReversePosition,
    describe,
    fingerprint,
)
from ct_mcp.domain.ticket import Approval, Ticket
from ct_mcp.guard.direction import only_reduces
from ct_mcp.guard.legs import resulting_order

# No letters or digits that a person mistakes for another when reading them off a screen.
_CODE_ALPHABET = "ACDEFGHJKMNPQRTUVWXY34679"
_CODE_LENGTH = 4
_STRICTER = (Approval.NONE, Approval.FORM, Approval.PAGE, Approval.PAGE_PIN)


def draw_ticket(case: Case, reason: str) -> Ticket:
    """Make the ticket of a reviewed action: fresh ids, the channel that must bring the yes, the words to be shown."""
    phrase = _phrase(case)
    lines = [describe(case.action), *consequences(case)]
    return _drawn(case.action, (case,), reason, phrase, lines)


def draw_ticket_for_all(action: FlattenEverything, cases: Sequence[Case], reason: str) -> Ticket:
    """Make the one ticket of several accounts, whose cases are flattens: as strict as the strictest of them."""
    lines = [describe(action)]
    for case in cases:
        lines += ["", f"{_kind(case)}  {case.account.name}", *(what_stands(case) or ["nothing held, no open orders"])]
    return _drawn(action, cases, reason, _code(), lines)


def _drawn(action: Action, cases: Sequence[Case], reason: str, phrase: str, lines: Sequence[str]) -> Ticket:
    ticket_id = token_hex(8)
    simulated = all(case.simulated for case in cases)
    unchecked = dict.fromkeys(check for case in cases for check in case.review.checks_not_run)
    lines = [*lines, *(f"Not checked: {check}" for check in unchecked)]
    now = max(case.view.now for case in cases)
    return Ticket(
        ticket_id=ticket_id,
        action=action,
        fingerprint=fingerprint(action),
        own_id=f"ctmcp-{ticket_id}",
        summary=summary_of_action(action, simulated=simulated),
        question=_question(lines, phrase, simulated=simulated),
        phrase=phrase,
        approval=max(map(approval_of, cases), key=_STRICTER.index),
        simulated=simulated,
        reason=reason,
        created_at=now,
        expires_at=now + timedelta(seconds=cases[0].policy.ticket_seconds),
    )


def approval_of(case: Case) -> Approval:
    """The channel that the policy asks for, by what the action does to the risk and not by its verb."""
    action, view = case.action, case.view
    kind = case.account.kind
    # Close and flatten only reduce by what they are; of the others the book says it, and not knowing is no yes.
    reduces = only_reduces(action, view)
    if reduces and isinstance(action, CancelOrder | CancelOrders):
        return Approval.NONE
    return case.policy.approval_for(case.account.name, kind, leaves=bool(reduces))


def summary_of(case: Case) -> str:
    """One line that a person can read, ``SIM  Sim101  BUY 2 ES 12-26 MARKET``."""
    return summary_of_action(case.action, simulated=case.simulated)


def summary_of_action(action: Action, *, simulated: bool) -> str:
    """The same line, where no single case stands for the whole action."""
    return clean(f"{'SIM' if simulated else 'LIVE'}  {describe(action)}")


def clean(text: str) -> str:
    """Make one line without control, format or bidirectional characters: no name may repaint what the person reads."""
    spaced = "".join(" " if letter.isspace() else letter for letter in text)
    return "".join(letter for letter in spaced if unicodedata.category(letter)[0] != "C")


def _phrase(case: Case) -> str:
    """On a live account the order itself is typed, a code for everything else."""
    sends = isinstance(case.action, PlaceOrder | ReplaceOrder | ReversePosition)
    order = resulting_order(case.action, case.view) if sends else None
    if case.account.kind is AccountKind.SIMULATED or order is None:
        return _code()
    return f"{order.action} {order.quantity} {order.instrument.root}"


def _code() -> str:
    return "".join(choice(_CODE_ALPHABET) for _ in range(_CODE_LENGTH))


def _kind(case: Case) -> str:
    return "SIM" if case.simulated else "LIVE"


def _question(lines: Sequence[str], phrase: str, *, simulated: bool) -> str:
    heading = "SIMULATED ACCOUNT - no real money can move" if simulated else "LIVE ACCOUNT - REAL MONEY"
    asked = ["", f"To send it, type:  {phrase}", "Anything else sends nothing."]
    return "\n".join(map(clean, [heading, "", *lines, *asked]))
