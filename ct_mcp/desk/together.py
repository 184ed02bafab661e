"""Puts the answers of several commands of one ticket together."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from ct_mcp.desk import remedies
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.readback import LOOK_AGAIN
from ct_mcp.domain.approval import Ticket
from ct_mcp.domain.commands import Flatten, headline

_NOT_FLAT = (
    f"NOT FLAT everywhere: {remedies.TELL_NOW}; look with get_positions and get_orders, "
    "then flatten by itself each account that still holds something and has no exit on its way"
)
_FROM_THE_WORST = (
    Status.UNKNOWN,
    Status.ACCEPTED,
    Status.REJECTED,
    Status.CANCELLED,
    Status.WORKING,
    Status.CHANGED,
    Status.FILLED,
    Status.FLAT,
)
"""What several commands have come to is what the worst of them has come to."""


@dataclass(frozen=True, slots=True)
class Part:
    """What became of one command of several; without an outcome nothing was sent of it, and ``why`` says why."""

    account: str
    outcome: Outcome | None
    why: str = ""

    def line_under(self, name: str) -> str:
        """This part in one line, under the name that tells it from the others."""
        if self.outcome is None:
            return f"{name}: NOT SENT: {self.why}"
        return ": ".join(filter(None, (name, self.outcome.head, "; ".join(self.outcome.reasons))))

    @property
    def was_sent(self) -> bool:
        """Say whether anything may have reached the service."""
        return self.outcome is not None and self.outcome.status.sent is not False


def together(ticket: Ticket, parts: Sequence[Part]) -> Outcome:
    """One answer for all: flat only where every part was read flat, and unknown where any is unknown."""
    outcomes = [(part.account, part.outcome) for part in parts if part.outcome is not None]
    status, in_one = _worst(parts), len({part.account for part in parts}) == 1
    outcome = Outcome(
        status,
        ticket.summary,
        ticket.simulated,
        ticket.ticket_id,
        warnings=_by_account(outcomes, lambda told: told.warnings, in_one=in_one),
        reasons=tuple(
            part.line_under(headline(command) if in_one else remedies.named(part.account))
            for part, command in zip(parts, ticket.commands, strict=True)
        ),
        findings=tuple(dict.fromkeys(finding for _, told in outcomes for finding in told.findings)),
        # Of several commands in one account the last that was read back was read after all of them.
        stands_now=_by_account(
            [one for one in outcomes if one[1].stands_now][-1:] if in_one else outcomes,
            lambda told: told.stands_now,
            in_one=in_one,
        ),
        asked=next((told.asked for _, told in outcomes if told.asked), ""),
        alarm="; ".join(f"{told.alarm} [{remedies.named(name)}]" for name, told in outcomes if told.alarm),
    )
    if status is Status.FLAT and all(told.position_after == 0 for _, told in outcomes):
        return replace(outcome, position_after=0)
    return replace(outcome, next_step="; ".join(_steps(ticket, parts, status)))


def with_left_alone(told: Outcome, ticket: Ticket) -> Outcome:
    """Tell with an answer which accounts its ticket leaves alone, where all were meant."""
    alone = () if ticket.request is None else (finding.text for finding in ticket.request.left_alone)
    return replace(told, warnings=tuple(dict.fromkeys((*told.warnings, *alone))))


def _by_account(
    outcomes: Sequence[tuple[str, Outcome]], lines: Callable[[Outcome], Sequence[str]], *, in_one: bool
) -> tuple[str, ...]:
    said = (line if in_one else f"{remedies.named(name)}: {line}" for name, told in outcomes for line in lines(told))
    return tuple(dict.fromkeys(said))


def _steps(ticket: Ticket, parts: Sequence[Part], status: Status) -> Iterator[str]:
    """What to do about what is not as it was to be."""
    if status is not Status.FLAT and any(isinstance(command, Flatten) for command in ticket.commands):
        yield _NOT_FLAT
    else:
        yield from dict.fromkeys(part.outcome.next_step for part in parts if part.outcome and part.outcome.next_step)
    if status is Status.UNKNOWN:
        yield LOOK_AGAIN


def _worst(parts: Sequence[Part]) -> Status:
    """Nothing sent of any is a denial; where some was done and some was not, nothing better is said than accepted."""
    statuses = {part.outcome.status for part in parts if part.outcome is not None and part.was_sent}
    if not statuses:
        return Status.DENIED
    worst = next(status for status in _FROM_THE_WORST if status in statuses)
    if worst is Status.REJECTED:
        # An account that was left takes nothing back of their no to another; an order that stands does.
        return worst if statuses <= {Status.REJECTED, Status.FLAT} else Status.ACCEPTED
    return worst if worst is Status.UNKNOWN or all(part.was_sent for part in parts) else Status.ACCEPTED
