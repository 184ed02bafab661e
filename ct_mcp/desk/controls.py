"""The person's controls: halt and resume, arm and disarm, the floor, settle, and the PIN.

Tools, pages and terminal call these; nothing else writes them to the store. Whoever calls says who acts: an assistant
can halt and do nothing else of it.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from ct_mcp.desk.pin import PinAnswer, set_pin, try_pin
from ct_mcp.desk.ports import ControlStore
from ct_mcp.domain.approval import Halt
from ct_mcp.domain.balances import ToldFloor
from ct_mcp.store.journal import Entry, EntryKind, NewEntry
from ct_mcp.text import one_line


class Actor(StrEnum):
    """Who acts, as the journal has it. The assistant may halt; everything else is the person's."""

    ASSISTANT = "the assistant"
    TERMINAL = "the person"
    PAGE = "person at the console"


_SAID_AT = {Actor.TERMINAL: "at a terminal", Actor.PAGE: "at the console"}


class Controls:
    """Halt, resume, arm, disarm, settle, PIN; each journalled by the store in the same transaction."""

    def __init__(self, store: ControlStore, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    async def halt(self, reason: str, actor: Actor) -> Halt:
        """Stop whatever opens or adds, until the person resumes; gives the halt that stands, which may be older.

        That of a person is for all services and tokens: who stops in a hurry need not know which of them a server has.
        """
        halt = Halt(actor.value, self._clock(), one_line(reason))
        await self._store.set_halt(halt, for_all=actor is not Actor.ASSISTANT)
        return await self._store.halt() or halt

    async def resume(self, actor: Actor, shown: Halt | None = None) -> bool:
        """Lift the halt; False where there was none, or where it is not the one that the person was shown.

        Raises:
            PermissionError: An assistant asks for it.
        """
        return await self._store.clear_halt(_person(actor), self._clock(), shown)

    async def arm(self, account: str, until: datetime, actor: Actor) -> None:
        """Let a live account open positions until then.

        Raises:
            PermissionError: An assistant asks for it.
        """
        await self._store.arm(account, until, _person(actor), self._clock())

    async def disarm(self, account: str, actor: Actor) -> bool:
        """End the arming of an account; False where no account of this very name was armed.

        Raises:
            PermissionError: An assistant asks for it.
        """
        return await self._store.disarm(account, _person(actor), self._clock())

    async def tell_floor(self, account: str, amount: Decimal, actor: Actor) -> None:
        """Keep the floor that the person read from the firm's own page.

        Raises:
            PermissionError: An assistant asks for it.
        """
        await self._store.tell_floor(account, ToldFloor(amount, self._clock(), _person(actor)))

    async def settle(self, entry: Entry, outcome: str, actor: Actor) -> Entry:
        """Write down what the person says became of a send that nobody could find out.

        It settles all that the ticket sent, so it names no order.

        Raises:
            PermissionError: An assistant asks for it.
        """
        by = _person(actor)
        what = f"said {_SAID_AT[actor]}, not read from the account: {one_line(outcome)}"
        settled = NewEntry(
            EntryKind.SETTLED,
            entry.summary,
            account=entry.account,
            ticket_id=entry.ticket_id,
            detail={"by": by, "what": what},
        )
        return await self._store.append(settled, self._clock())

    async def set_pin(self, pin: str, actor: Actor) -> None:
        """Keep a new PIN; whoever calls has asked for the old one first.

        Raises:
            BadRequest: It is too short or too long, or holds what cannot be typed again.
            PermissionError: An assistant asks for it.
        """
        _person(actor)
        await set_pin(self._store, pin, self._clock())

    async def try_pin(self, pin: str) -> PinAnswer:
        """Compare a PIN with the one that is set; too many wrong ones lock it."""
        return await try_pin(self._store, pin, self._clock())


def _person(actor: Actor) -> str:
    if actor is Actor.ASSISTANT:
        raise PermissionError("only the person does this")
    return actor.value
