"""``ct-mcp approve``: the person answers at a terminal of their own what the assistant proposes.

Nothing here works through a pipe: an assistant that may run commands must not be able to answer.
"""

import argparse
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import anyio

from ct_mcp.cli.compose import settings_for
from ct_mcp.cli.terminal import somebody_types, typed
from ct_mcp.desk.deciding import Decisions, is_right
from ct_mcp.domain.ticket import Approval, Ticket, TicketState
from ct_mcp.store.sqlite import SqliteStore

_LOOK_EVERY_SECONDS = 0.5


def run(chosen: argparse.Namespace) -> int:
    """Ask for each open ticket; 0 when all were looked at, 2 without a terminal."""
    if not somebody_types():
        print("ct-mcp approve needs a terminal that a person types at; input from a pipe is not taken", file=sys.stderr)
        return 2
    settings = settings_for(chosen)
    anyio.run(_approve, SqliteStore(settings.state_dir), chosen.watch)
    return 0


def utc_now() -> datetime:
    """The clock of this machine."""
    return datetime.now(UTC)


async def _approve(store: SqliteStore, watch: bool) -> None:  # noqa: FBT001  # as anyio.run passes it
    decisions = Decisions(store, utc_now)
    asked = 0
    async for ticket in _tickets(store, watch=watch):
        asked += 1
        await _ask(ticket, decisions)
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


async def _ask(ticket: Ticket, decisions: Decisions) -> None:
    left = int((ticket.expires_at - utc_now()).total_seconds())
    print(
        f"\a\n{'=' * 64}\n{ticket.question}\n\nLapses in {left} s. Enter leaves it open, 'no' declines it.\n{'=' * 64}"
    )
    if ticket.approval is Approval.PAGE_PIN:
        print("This account asks for a PIN, which this version cannot take: it stays unapproved.")
        return
    while True:
        answer = await typed()
        if not answer:
            print("Left open.")
        elif answer.casefold() == "no":
            await decisions.decline(ticket, "terminal")
            print("Declined. It can never be sent.")
        elif not is_right(ticket, answer):
            print(f"That is not the text. Nothing is sent. Type {ticket.phrase}, no, or Enter.")
            continue
        else:
            await _approved(ticket, decisions)
        return


async def _approved(ticket: Ticket, decisions: Decisions) -> None:
    if await decisions.approve(ticket, "terminal"):
        print("Approved. The assistant's server sends it now, if every rule still passes.")
    elif ticket.state_at(utc_now()) is TicketState.LAPSED:
        print("Too late: it has lapsed, and nothing was sent. The assistant may propose it again.")
    else:
        print("It was decided before. Nothing was changed.")
