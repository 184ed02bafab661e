"""What the plants put in the place of the product's own: each as it once was, or as somebody might write it."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from ct_mcp.desk import approval, readback
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.execution import CommandExecution
from ct_mcp.desk.handlers.everywhere import ReadBackOfAll
from ct_mcp.desk.journal_writer import Step
from ct_mcp.desk.outcome import Outcome
from ct_mcp.desk.polling import AccountState
from ct_mcp.desk.recent_reviews import RecentReviews
from ct_mcp.desk.together import Part
from ct_mcp.domain.approval import Ticket
from ct_mcp.domain.commands import ClosePosition, PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Quote
from ct_mcp.errors import NotConfirmed
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.effect_model import Effect, RiskDirection
from ct_mcp.guard.figures import risk_of
from ct_mcp.guard.policy import AccountPolicy, Policy
from ct_mcp.guard.review import Review
from ct_mcp.guard.rule import Rule
from ct_mcp.web.accounts import AccountReader, AccountReads

_reads_cancels = readback.from_cancels
_opens_console = AccountReader.__init__


def by_its_verb(before: Callable[[ClosePosition, RiskContext], Effect]) -> Callable[..., Effect]:
    """A partial close only reduces, whatever stands."""

    def close(command: ClosePosition, facts: RiskContext) -> Effect:
        seen = before(command, facts)
        return replace(
            seen,
            only_reduces=True,
            is_exit=True,
            sends_orders=False,
            order=None,
            legs=(),
            direction=RiskDirection.CLOSES,
        )

    return close


def rows_added(self: RiskContext, instrument: Instrument) -> int | None:
    """Two rows of a contract add up."""
    if self.positions is None:
        return None
    return sum(row.net for row in self.positions if row.instrument == instrument)


def whoever_was_asked(self: RecentReviews, ticket: Ticket) -> tuple[Review, ...]:
    """A review from before the question sends."""
    return self.taken(ticket.ticket_id)


def nothing(*_: object) -> tuple[()]:
    """There is none."""
    return ()


async def as_listed(_: object, __: str, ___: object, read: AccountState) -> AccountState:
    """What the lists say is so."""
    return read


def sizes_alone(shown: Any, now: Any) -> Iterable[str]:
    """Of what is sent the sizes alone are compared."""
    if now.sends and approval._sizes(shown) != approval._sizes(now):
        yield "orders"


def as_it_was(outcome: Outcome, *_: object) -> Outcome:
    """An answer to which nothing is added."""
    return outcome


async def told_alone(_: CommandExecution, outcome: Outcome, *__: object) -> Outcome:
    """An answer that looks at nothing else."""
    return outcome


def cancelled(
    outcome: Outcome, book: AccountState, before: RiskContext, of: Instrument | None, named: Collection[str] = ()
) -> Outcome:
    """No order left is cancelled, whatever filled."""
    told = _reads_cancels(outcome, replace(book, ended=()), before, of, named)
    return replace(told, warnings=outcome.warnings)


def always(*_: object) -> bool:
    """Yes."""
    return True


def never(*_: object) -> bool:
    """No."""
    return False


async def refuses_the_spent(_: Desk, ticket: Ticket, __: float) -> Outcome:
    """A spent ticket is a refusal like every other."""
    raise NotConfirmed(f"ticket {ticket.ticket_id} was spent before")


async def looks_no_more(self: ReadBackOfAll) -> None:
    """Each account was read after its own exit, and is never read again."""
    for left in self.departures:
        left.is_borne_out = True


def risk_over_the_band(order: PlaceOrder, quote: Quote | None, ticks: int) -> Any:
    """The distance of the risk is that of the price band, however narrow."""
    return risk_of(order, quote, ticks // 4)


def without(rules: tuple[Rule, ...], *names: str) -> tuple[Rule, ...]:
    """All rules but some."""
    return tuple(rule for rule in rules if rule.id not in names)


async def not_listed(*_: object) -> None:
    """No list is asked which order it is."""


async def no_fills(*_: object) -> tuple[str, ...]:
    """Nothing filled a while ago."""
    return ()


def for_anybody(statement: str) -> str:
    """A ticket is found and spent by whoever names it, whosever service it was made for."""
    of_ours = "AND EXISTS (SELECT 1 FROM ticket_services WHERE ticket_id = :ticket_id AND service = our_service())"
    return statement.replace(of_ours, "").replace("visible_tickets", "tickets")


def shown_alone(self: AccountReader, reads: AccountReads, clock: Callable[[], datetime], _: object = None) -> None:
    """What is read for the console is shown, and handed on to nobody."""
    _opens_console(self, reads, clock)


def in_its_letters(self: Policy, account: str) -> AccountPolicy | None:
    """A table belongs to an account of exactly its name."""
    return self.accounts.get(account)


def one_for_one(*_: object) -> Decimal:
    """All money is one money."""
    return Decimal(1)


async def one_after_the_other(self: Desk, steps: Sequence[Step]) -> list[Part]:
    """Each account is left and read back before the next one is left."""
    return [await self._part(step, self._sent_part) for step in steps]
