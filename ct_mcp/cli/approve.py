"""``ct-mcp approve``: the person answers at a terminal of their own what the assistant proposes.

Nothing here works through a pipe: an assistant that may run commands must not be able to answer.
"""

import argparse
from collections.abc import AsyncIterator
from dataclasses import dataclass

import anyio

from ct_mcp.cli.flags import other_store, whose
from ct_mcp.cli.pin import ask_pin
from ct_mcp.cli.runtime import settings_for, store_of, utc_now
from ct_mcp.cli.screen import Screen
from ct_mcp.cli.team import say_second
from ct_mcp.cli.terminal import lacks_terminal, read_line
from ct_mcp.config.settings import Settings
from ct_mcp.desk.decisions import Decisions, is_right
from ct_mcp.desk.pin import PinAnswer
from ct_mcp.domain.approval import Approval, ApprovalItem, FindingKind, Ticket, TicketState
from ct_mcp.store.sql_store import SqlStore
from ct_mcp.text import command, sanitize, span

_LOOK_EVERY_SECONDS = 0.5
_MARGIN = "  "
_MOST_AT_A_GLANCE = 12
_MOST_ROWS_OF_A_NAME = 8
_FINDINGS = {FindingKind.WARNING: "bad", FindingKind.COULD_NOT_VERIFY: "person", FindingKind.ASSUMPTION: "quiet"}
"""How each kind of finding is coloured."""


def run(chosen: argparse.Namespace) -> int:
    """Ask for each open ticket; 0 when all were looked at, 2 without a terminal."""
    if lacks_terminal("approve"):
        return 2
    settings = settings_for(chosen)
    anyio.run(_approve, store_of(settings), Screen.on_stdout(), chosen, settings)
    return 0


async def _approve(store: SqlStore, screen: Screen, chosen: argparse.Namespace, settings: Settings) -> None:
    prompt, asked = _TicketPrompt(store, Decisions(store, utc_now), screen, settings), 0
    if chosen.watch:
        screen.say("Waiting for proposals. Stop with Ctrl-C.", "quiet")
    async for ticket in _tickets(store, watch=chosen.watch):
        asked += 1
        await prompt.ask(ticket)
    if not asked:
        stay = command("approve", "--watch")
        screen.say(f"Nothing waits for your approval. {stay} stays and asks as proposals come.")
        await _look_elsewhere(chosen, screen)
    await store.close()


async def _look_elsewhere(chosen: argparse.Namespace, screen: Screen) -> None:
    """Say where something waits that was not asked about: a demo has a folder of its own."""
    with other_store(chosen) as store:
        if store is None:
            return
        if waiting := len(await store.open_tickets(utc_now())):
            tickets = "a ticket" if waiting == 1 else f"{waiting} tickets"
            screen.say(f"{whose(chosen)} has {tickets} waiting: {command('approve')}", "person")
        await store.close()


async def _tickets(store: SqlStore, *, watch: bool) -> AsyncIterator[Ticket]:
    """Yield each open ticket once; with ``watch`` those that come later as well, until interrupted.

    While the person answers one, another may be decided elsewhere or expire: each is read anew.
    """
    seen: set[str] = set()
    while True:
        for listed in await store.open_tickets(utc_now()):
            if listed.ticket_id in seen:
                continue
            seen.add(listed.ticket_id)
            ticket = await store.ticket(listed.ticket_id)
            if ticket is not None and ticket.state_at(utc_now()) is TicketState.OPEN:
                yield ticket
        if not watch:
            return
        await anyio.sleep(_LOOK_EVERY_SECONDS)


def show_question(ticket: Ticket, screen: Screen) -> None:
    """Draw what is asked: the kind of account, each command with all that the person should know, the text to type.

    Where that may fill a screen, what is asked stands once more right above the text.
    """
    request = ticket.request
    if request is not None:
        screen.say(request.heading, _style(ticket), label=_MARGIN)
        several = len(request.items) > 1
        if several:
            screen.say(f"{len(request.items)} commands under one yes", label=_MARGIN)
        for item in request.items:
            screen.say()
            _show_item(item, screen, several=several)
        if sum(len(item.lines) for item in request.items) > _MOST_AT_A_GLANCE:
            screen.say()
            screen.say(request.heading, _style(ticket), label=_MARGIN)
            for item in request.items[:_MOST_AT_A_GLANCE]:
                screen.say(f"{item.account}  {item.headline}", "bold", label=_MARGIN)
        screen.say()
    screen.verbatim(f"{_MARGIN}To send it, type:  {ticket.phrase}")
    screen.say("Anything else sends nothing.", label=_MARGIN)


def _show_item(item: ApprovalItem, screen: Screen, *, several: bool) -> None:
    kind = f"{'SIM' if item.simulated else 'LIVE'}  " if several else ""
    screen.say(f"{kind}{item.account}  {item.headline}", "bold", label=_MARGIN)
    if item.facts:
        screen.table((fact.name, fact.figure, fact.aside) for fact in item.facts)
    for step in item.steps:
        screen.detail(step)
    for finding in item.findings:
        screen.detail(str(finding), _FINDINGS[finding.kind])
    for line in item.standing:
        screen.detail(line)
    screen.quote(item.named_lines, rows=_MOST_ROWS_OF_A_NAME)
    if several and not item.lines:
        screen.detail("nothing held, no open orders", "quiet")


def _style(ticket: Ticket) -> str:
    return "person" if ticket.simulated else "bad"


@dataclass(frozen=True, slots=True)
class _TicketPrompt:
    """Shows a ticket and takes the person's answer to it."""

    store: SqlStore
    decisions: Decisions
    screen: Screen
    settings: Settings

    async def ask(self, ticket: Ticket) -> None:
        """Show one ticket until it is answered or left open."""
        left = span(int((ticket.expires_at - utc_now()).total_seconds()))
        self.screen.ring()
        title = "The assistant proposes, in simulation" if ticket.simulated else "The assistant proposes, LIVE"
        foot, style = f"Expires in {left}. Enter leaves it open, 'no' declines it.", _style(ticket)
        with self.screen.panel(title=title, foot=foot, style=style):
            show_question(ticket, self.screen)
        while await self._goes_on(ticket, await read_line()):
            pass

    async def _goes_on(self, ticket: Ticket, answer: str) -> bool:
        """Take one answer; says whether to ask again."""
        if not answer:
            self.screen.say("Left open.")
        elif answer.casefold() == "no":
            await self._decline(ticket)
        elif not is_right(ticket, answer):
            self.screen.say(f"That is not the text. Nothing is sent. Type {ticket.phrase}, no, or Enter.", "bad")
            return True
        elif ticket.approval is Approval.PAGE_PIN:
            return await self._with_pin(ticket)
        else:
            await self._approve(ticket)
        return False

    async def _with_pin(self, ticket: Ticket) -> bool:
        match await ask_pin(self.store, self.screen):
            case PinAnswer.RIGHT:
                await self._approve(ticket)
            case PinAnswer.WRONG:
                self.screen.say(f"Nothing is sent. Type {ticket.phrase}, no, or Enter.")
                return True
            case PinAnswer.LOCKED | PinAnswer.NOT_SET:  # pragma: no branch  # the set is closed
                self.screen.say("Left open.")
        return False

    async def _approve(self, ticket: Ticket) -> None:
        if await self.decisions.approve(ticket, "terminal"):
            left = span(max(0, int((ticket.expires_at - utc_now()).total_seconds())))
            self.screen.say(
                "Approved. It is not sent yet: the assistant's waiting call sends it, or its next confirm_ticket does, "
                f"if every rule still passes; if neither comes within {left} it expires, and nothing is sent.",
                "good",
            )
            await say_second(ticket, self.settings, self.store, self.screen)
        else:
            self.screen.say(await self.decisions.too_late(ticket), "bad")

    async def _decline(self, ticket: Ticket) -> None:
        halted_before = await self.store.halt() is not None
        if not await self.decisions.decline(ticket, "terminal"):
            self.screen.say(await self.decisions.too_late(ticket), "bad")
            return
        self.screen.say("Declined. It can never be sent.")
        if not halted_before and (halt := await self.store.halt()):
            lift = command("resume")
            self.screen.say(
                f"Trading is halted now: {sanitize(halt.reason)}. Exits still work. Lift it with {lift}.", "bad"
            )
