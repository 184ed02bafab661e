"""What the desk needs of the plane over a team: its word, a second person's answer, and somewhere to report to.

It stands alone, since the desk knows no database, and the store no desk.
"""

from typing import Protocol

from ct_mcp.domain.team import SecondAnswer, SecondQuestion, TeamWord, TraderReport


class Plane(Protocol):
    """The plane as one trader has it; every call raises `StoreFailed` where it is out of reach."""

    async def word(self) -> TeamWord:
        """Ask what is halted, and which policies hold; nothing at all where this trader belongs to no team."""
        ...

    async def ask(self, question: SecondQuestion) -> None:
        """Put a ticket before a second person; the same one again changes nothing."""
        ...

    async def answer(self, ticket_id: str) -> SecondAnswer | None:
        """Read what a second person has said of a ticket; None where nobody was asked."""
        ...

    async def report(self, report: TraderReport) -> None:
        """Tell how this machine stands, in place of what it told before."""
        ...

    async def close(self) -> None:
        """Close the connection; a later call opens it again."""
        ...
