"""``ct-mcp approve``: the person answers at a terminal of their own what the assistant proposes.

Nothing here works through a pipe: an assistant that may run commands must not be able to answer.
"""

import argparse
from collections.abc import AsyncIterator
from dataclasses import dataclass

import anyio

from ct_mcp.cli.compose import settings_for
from ct_mcp.cli.moments import utc_now
from ct_mcp.cli.pin import asked_for_pin
from ct_mcp.cli.terminal import nobody_types, typed
from ct_mcp.desk.deciding import Decisions, is_right
from ct_mcp.desk.pin import PinAnswer
from ct_mcp.domain.ticket import Approval, Ticket, TicketState
from ct_mcp.store.sqlite import SqliteStore

_LOOK_EVERY_SECONDS = 0.5
_LINE = "=" * 64


def run(chosen: argparse.Namespace) -> int:
    """Ask for each open ticket; 0 when all were looked at, 2 without a terminal."""
    if nobody_types("approve"):
        return 2
    settings = settings_for(chosen)
    anyio.run(_approve, SqliteStore(settings.state_dir), chosen.watch)
    return 0


async def _approve(store: SqliteStore, watch: bool) -> None:  # noqa: FBT001  # as anyio.run passes it
    asking, asked = _Asking(store, Decisions(store, utc_now)), 0
    async for ticket in _tickets(store, watch=watch):
        asked += 1
        await asking.ask(ticket)
    if not asked:
        print("Nothing waits for your approval. ct-mcp approve --watch stays and asks as proposals come.")
    await store.close()


async def _tickets(store: SqliteStore, *, watch: bool) -> AsyncIterator[Ticket]:
    """Each open ticket once; with ``watch`` those that come later as well, until interrupted."""
    if watch:
        print("Waiting for proposals. Stop with Ctrl-C.")
    seen: set[str] = set()
    while True:
        for ticket in await store.open_tickets(utc_now()):
            if ticket.ticket_id not in seen:
                seen.add(ticket.ticket_id)
                yield ticket
        if not watch:
            return
        await anyio.sleep(_LOOK_EVERY_SECONDS)


@dataclass(frozen=True, slots=True)
class _Asking:
    store: SqliteStore
    decisions: Decisions

    async def ask(self, ticket: Ticket) -> None:
        """Show one ticket until it is answered or left open."""
        left = int((ticket.expires_at - utc_now()).total_seconds())
        print(f"\a\n{_LINE}\n{ticket.question}\n\nLapses in {left} s. Enter leaves it open, 'no' declines it.\n{_LINE}")
        while await self._goes_on(ticket, await typed()):
            pass

    async def _goes_on(self, ticket: Ticket, answer: str) -> bool:
        """Take one answer; says whether to ask again."""
        if not answer:
            print("Left open.")
        elif answer.casefold() == "no":
            await self._decline(ticket)
        elif not is_right(ticket, answer):
            print(f"That is not the text. Nothing is sent. Type {ticket.phrase}, no, or Enter.")
            return True
        elif ticket.approval is Approval.PAGE_PIN:
            return await self._with_pin(ticket)
        else:
            await self._approve(ticket)
        return False

    async def _with_pin(self, ticket: Ticket) -> bool:
        match await asked_for_pin(self.store):
            case PinAnswer.RIGHT:
                await self._approve(ticket)
            case PinAnswer.WRONG:
                print(f"Nothing is sent. Type {ticket.phrase}, no, or Enter.")
                return True
            case PinAnswer.LOCKED | PinAnswer.NOT_SET:  # pragma: no branch  # the set is closed
                print("Left open.")
        return False

    async def _approve(self, ticket: Ticket) -> None:
        if await self.decisions.approve(ticket, "terminal"):
            print("Approved. The assistant's server sends it now, if every rule still passes.")
        elif ticket.state_at(utc_now()) is TicketState.LAPSED:
            print("Too late: it has lapsed, and nothing was sent. The assistant may propose it again.")
        else:
            print("It was decided before. Nothing was changed.")

    async def _decline(self, ticket: Ticket) -> None:
        halted_before = await self.store.halt() is not None
        await self.decisions.decline(ticket, "terminal")
        print("Declined. It can never be sent.")
        if not halted_before and (halt := await self.store.halt()):
            print(f"Trading is halted now: {halt.reason}. Exits still work. Lift it with ct-mcp resume.")
