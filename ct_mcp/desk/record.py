"""Writes the journal. Before the wire a failure stops everything; after it the order is out, and that is told."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from ct_mcp.desk.facts import Case
from ct_mcp.desk.halting import halt_if_due, told
from ct_mcp.desk.pending import may_fill
from ct_mcp.desk.ports import Store
from ct_mcp.desk.question import clean, summary_of
from ct_mcp.domain.ticket import Approval, Ticket
from ct_mcp.errors import StoreFailed
from ct_mcp.guard.direction import only_reduces, sends_orders
from ct_mcp.guard.rules import Result
from ct_mcp.store.journal import EntryKind, NewEntry


class Record:
    """The desk's pen. What it writes never holds the token, nor the phrase that the person must type."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self.clock = clock

    async def denied(self, case: Case, reason: str, ticket: Ticket | None = None) -> Case:
        """A rule said no; all reasons with their figures. Gives the case, noting it where this no halted trading."""
        entry = NewEntry(
            EntryKind.DENIED,
            summary_of(case),
            account=case.account.name,
            ticket_id=ticket.ticket_id if ticket else None,
            reason=reason,
            detail={"denials": [str(denial) for denial in case.review.denials]},
        )
        await self._store.append(entry, self.clock())
        halt = await halt_if_due(self._store, self.clock())
        return case if halt is None else replace(case, notes=(*case.notes, told(halt)))

    async def proposed(self, ticket: Ticket, cases: Sequence[Case]) -> None:
        """It waits for a yes; with the rules that it passed, for the person who is asked."""
        asked = ticket.approval is not Approval.NONE
        rules = {"rules": [rule for case in cases for rule in _passed(case)]} if asked else {}
        await self.ticket(EntryKind.PROPOSED, ticket, {"approval": ticket.approval, **rules})

    async def ticket(self, kind: EntryKind, ticket: Ticket, detail: Mapping[str, object]) -> None:
        """A step in the life of a ticket: proposed, approved, declined, lapsed, suspicious."""
        reason = ticket.reason if kind is EntryKind.PROPOSED else ""
        await self._store.append(_entry(kind, ticket, detail, reason), self.clock())

    async def intent(self, ticket: Ticket, case: Case) -> None:
        """It is about to be sent. On disk before the wire, so that a crash between the two leaves a trace.

        Raises:
            StoreFailed: It could not be written, so nothing may be sent.
        """
        await self._store.append(_intent(ticket, case), self.clock())

    async def intent_if_still_true(self, ticket: Ticket, case: Case) -> bool:
        """Like `intent`, unless somebody, in whatever process, has moved what the review read. Then False: not written.

        Raises:
            StoreFailed: It could not be written, so nothing may be sent.
        """
        return await self._store.append_intent(_intent(ticket, case), self.clock(), case.seen) is not None

    async def after_the_wire(self, kind: EntryKind, ticket: Ticket, detail: Mapping[str, object]) -> tuple[str, ...]:
        """What came back. A journal that fails now is a warning to the person, never a changed outcome."""
        try:
            await self._store.append(_entry(kind, ticket, detail), self.clock())
        except StoreFailed as failure:
            return (f"the journal could not be written after sending: {failure.what}",)
        return ()


def _intent(ticket: Ticket, case: Case) -> NewEntry:
    return NewEntry(
        EntryKind.INTENT,
        ticket.summary,
        account=ticket.action.account,
        ticket_id=ticket.ticket_id,
        own_id=ticket.own_id,
        fingerprint=ticket.fingerprint,
        opens=sends_orders(ticket.action) and not only_reduces(case.action, case.view),
        detail={
            "may_fill": [[f.root, f.year, f.month, signed] for f, signed in may_fill(case.action, case.view)],
            "rules": _passed(case),
            "not_checked": case.review.checks_not_run,
        },
    )


def _passed(case: Case) -> list[str]:
    return [f"{one.rule}: {one.figures}" for one in case.review.verdicts if one.result is Result.PASSED]


def _entry(kind: EntryKind, ticket: Ticket, detail: Mapping[str, object], reason: str = "") -> NewEntry:
    return NewEntry(
        kind,
        ticket.summary,
        account=ticket.action.account,
        ticket_id=ticket.ticket_id,
        own_id=ticket.own_id,
        reason=clean(reason),
        detail=detail,
    )
