"""Leaves several accounts under one ticket: each is reviewed, journalled, sent and read back by itself."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ct_mcp.desk import mending
from ct_mcp.desk.facts import Case, Facts
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.question import summary_of
from ct_mcp.desk.read_back import LOOK_AGAIN
from ct_mcp.desk.record import Record
from ct_mcp.desk.sending import Sender
from ct_mcp.desk.waiting import denied
from ct_mcp.domain.action import Flatten, FlattenEverything, fingerprint
from ct_mcp.domain.ticket import Ticket
from ct_mcp.errors import CtMcpError
from ct_mcp.store.journal import EntryKind

_NOT_FLAT = (
    f"NOT FLAT everywhere: {mending.TELL_NOW}; look with get_positions and get_orders, "
    "then flatten by itself each account that still holds something"
)


@dataclass(frozen=True, slots=True)
class Part:
    """What became of one account; without an outcome nothing was sent to it, and ``why`` says why."""

    account: str
    outcome: Outcome | None
    why: str = ""

    @property
    def line(self) -> str:
        """This account in one line."""
        name = mending.named(self.account)
        if self.outcome is None:
            return f"{name}: NOT SENT: {self.why}"
        return ": ".join(filter(None, (name, self.outcome.status.upper(), "; ".join(self.outcome.reasons))))

    @property
    def was_sent(self) -> bool:
        """Say whether anything may have reached the service."""
        return self.outcome is not None and self.outcome.status.sent is not False


@dataclass(frozen=True, slots=True)
class Everything:
    """Never by the call that leaves the account out: that one reaches accounts which nobody named."""

    facts: Facts
    record: Record
    sender: Sender

    async def cases(self, action: FlattenEverything) -> tuple[Case, ...]:
        """Review each account as a flatten of its own."""
        return tuple([await self.facts.case(Flatten(account, None)) for account in action.accounts])

    async def send(self, ticket: Ticket, action: FlattenEverything) -> Outcome:
        """Flatten account by account; what fails in one does not keep the next from being left."""
        parts = []
        for place, account in enumerate(action.accounts, start=1):
            flatten = Flatten(account, None)
            own = replace(
                ticket,
                action=flatten,
                fingerprint=fingerprint(flatten),
                own_id=f"{ticket.own_id}-{place}",
            )
            parts.append(await self._part(own, flatten))
        return together(ticket, parts)

    async def _part(self, own: Ticket, flatten: Flatten) -> Part:
        try:
            return Part(flatten.account, await self._flattened(own, flatten))
        except CtMcpError as error:
            await self.record.after_the_wire(EntryKind.ERROR, own, {"not_sent": error.what})
            return Part(flatten.account, None, error.what)
        except Exception as surprise:  # noqa: BLE001  # a fault of ours must not keep the next account from being left
            what = f"an internal fault ({type(surprise).__name__}) hid what became of it"
            return Part(flatten.account, Outcome(Status.UNKNOWN, own.summary, own.simulated, reasons=(what,)))

    async def _flattened(self, own: Ticket, flatten: Flatten) -> Outcome:
        case = await self.facts.case(flatten)
        own = replace(own, summary=summary_of(case), simulated=case.simulated)
        if not case.review.passes:
            return denied(await self.record.denied(case, "", own))
        await self.record.intent(own, case)
        return await self.sender.send(own, case)


def together_denied(action: FlattenEverything, cases: Sequence[Case]) -> Case:
    """One case for the whole proposal, with the denials of every account; one no is journalled once."""
    worst = next((case for case in cases if not case.simulated), cases[0])
    denials = tuple(
        replace(denial, figures=f"{denial.figures}, in account {mending.named(case.account.name)}")
        for case in cases
        for denial in case.review.denials
    )
    notes = tuple(note for case in cases for note in case.notes)
    return replace(worst, action=action, review=replace(worst.review, denials=denials), notes=notes)


def together(ticket: Ticket, parts: Sequence[Part]) -> Outcome:
    """One answer for all: flat only where every account was read flat, and unknown where any is unknown."""
    outcomes = [(part.account, part.outcome) for part in parts if part.outcome is not None]
    status = _worst(parts)
    outcome = Outcome(
        status,
        ticket.summary,
        ticket.simulated,
        ticket.ticket_id,
        warnings=tuple(f"{mending.named(name)}: {warning}" for name, told in outcomes for warning in told.warnings),
        reasons=tuple(part.line for part in parts),
        checks_not_run=tuple(dict.fromkeys(check for _, told in outcomes for check in told.checks_not_run)),
    )
    if status is Status.FLAT:
        return replace(outcome, position_after=0)
    step = f"{_NOT_FLAT}; {LOOK_AGAIN}" if status is Status.UNKNOWN else _NOT_FLAT
    return replace(outcome, next_step=step)


def _worst(parts: Sequence[Part]) -> Status:
    statuses = {part.outcome.status for part in parts if part.outcome is not None and part.was_sent}
    if not statuses:
        return Status.DENIED
    for status in (Status.UNKNOWN, Status.ACCEPTED, Status.REJECTED):
        if status in statuses:
            return status
    return Status.FLAT if all(part.was_sent for part in parts) else Status.ACCEPTED
