"""The plane of a team as one trader's machine has it: what it says, whom it asks, what it is told.

The word is asked at each opening and every second beside, so it is one statement, and texts of policies that are known
are not sent again. A trader who belongs to no team is not in one for the next half minute either: nothing is asked, and
no connection is held.
"""

from collections.abc import Callable
from datetime import datetime
from time import monotonic

from ct_mcp.domain.approval import Halt
from ct_mcp.domain.team import SecondAnswer, SecondQuestion, SecondState, TeamHalt, TeamPolicy, TeamWord, TraderReport
from ct_mcp.errors import NotInTeam
from ct_mcp.store.journal import storable
from ct_mcp.store.plane_codec import report_to_text
from ct_mcp.store.plane_database import PATIENCE, PlaneDatabase, Row
from ct_mcp.store.postgres import Patience
from ct_mcp.store.postgres_url import PostgresUrl

ALONE_SECONDS = 30.0

_HEAR = "SELECT kind, trader, number, by, at, words FROM word(?::bigint[])"
_ASK = "SELECT ask(?, ?, ?, ?, ?::text[], ?, ?, ?::boolean)"
_ANSWER = "SELECT fingerprint, state, by, at FROM seen_questions WHERE ticket_id = ? AND trader = session_user::text"
_REPORT = "SELECT report(?, ?)"


class TraderPlane:
    """The plane over one trader, who is the role of the URL."""

    def __init__(
        self,
        url: PostgresUrl,
        *,
        required: bool,
        clock: Callable[[], datetime] | None = None,
        patience: Patience = PATIENCE,  # frozen
        elapsed: Callable[[], float] = monotonic,
    ) -> None:
        """Touch nothing: the first call connects. ``required`` says that who is in no team may not go on."""
        self._database = PlaneDatabase(url, clock, patience, abandons=True)
        self._clock = clock
        self._required = required
        self._elapsed = elapsed
        self._alone_until: float | None = None
        self._known: dict[int, TeamPolicy] = {}

    async def word(self) -> TeamWord:
        """Ask what is halted, and which policies hold; nothing at all where this trader belongs to no team.

        Raises:
            NotInTeam: He belongs to none, and has to.
            StoreOutOfReach: Nobody knows.
        """
        if self._is_alone:
            return TeamWord()
        try:
            rows = await self._database.rows(_HEAR, list(self._known))
            if not all(map(self._has_text, rows)):
                rows = await self._database.rows(_HEAR, [])
        except NotInTeam as nobody:
            self._note_alone(nobody)
            return TeamWord()
        return self._word_of(rows)

    async def ask(self, question: SecondQuestion) -> None:
        """Put a ticket before a second person; the same one again changes nothing.

        Raises:
            BadRequest: Another one was asked under the same ticket, or it is too long.
            NeedsRoom: Too many wait already.
            NotInTeam: There is nobody to ask.
            StoreFailed: Nobody was asked, or the clocks differ.
        """
        before = self._clock() if self._clock else None
        texts = (question.ticket_id, question.fingerprint, question.heading, question.headline)
        lines = [storable(line) for line in question.lines]
        rest = (lines, question.asked_at, question.expires_at, question.simulated)
        at = await self._database.one(_ASK, *map(storable, texts), *rest)
        if self._clock and before:
            self._database.need_same_clock(before, at, self._clock())

    async def answer(self, ticket_id: str) -> SecondAnswer | None:
        """Read what a second person has said of a ticket; None where nobody was asked."""
        if self._is_alone:
            return None
        found = await self._database.rows(_ANSWER, ticket_id)
        return answer_of(found[0]) if found else None

    async def report(self, report: TraderReport) -> None:
        """Tell how this machine stands, in place of what it told before."""
        if self._is_alone:
            return
        try:
            await self._database.rows(_REPORT, storable(report.machine), report_to_text(report))
        except NotInTeam as nobody:
            self._note_alone(nobody)

    async def close(self) -> None:
        """Close the connection; a later call opens it again."""
        await self._database.close()

    @property
    def _is_alone(self) -> bool:
        return self._alone_until is not None and self._elapsed() < self._alone_until

    def _note_alone(self, nobody: NotInTeam) -> None:
        """Remember for a while that there is no team; where there has to be one, that is a failure."""
        if self._required:
            raise nobody
        self._alone_until = self._elapsed() + ALONE_SECONDS

    def _has_text(self, row: Row) -> bool:
        """Say whether the text of a policy is here: where a backup was put back, the same number may be another."""
        kind, _, number, _, at, text = row
        return kind != "policy" or text is not None or self._known[number].at == at

    def _word_of(self, rows: list[Row]) -> TeamWord:
        for _, _, version, *_ in (row for row in rows if row[0] == "version"):
            self._database.need_version(version)
        halts = tuple(_halt_of(row) for row in rows if row[0] == "halt")
        policies = tuple(self._policy_of(row) for row in rows if row[0] == "policy")
        self._known = {policy.number: policy for policy in policies}
        return TeamWord(halts, policies)

    def _policy_of(self, row: Row) -> TeamPolicy:
        _, trader, number, by, at, text = row
        return TeamPolicy(number, trader, self._known[number].text if text is None else text, by, at)


def _halt_of(row: Row) -> TeamHalt:
    _, trader, _, by, at, reason = row
    return TeamHalt(trader, Halt(by, at, reason))


def answer_of(row: Row) -> SecondAnswer:
    """Read an answer as the plane keeps it."""
    fingerprint, state, by, at = row
    return SecondAnswer(fingerprint, SecondState(state), by, at)
