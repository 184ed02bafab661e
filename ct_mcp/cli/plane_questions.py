"""``ct-mcp plane questions`` and ``answer``: what waits for a second person, shown whole, and their yes or no.

A yes of a second person is one yes of two: it sends nothing by itself, and only together with the trader's own does
the ticket count. It is taken as ``ct-mcp approve`` takes one.
"""

from collections.abc import Sequence
from datetime import datetime

from ct_mcp.cli.pin import confirm_pin
from ct_mcp.cli.plane_access import AtThePlane, in_words
from ct_mcp.cli.screen import Screen
from ct_mcp.desk.team import is_phrase, phrase_of, waiting
from ct_mcp.domain.team import AskedOfTeam, SecondState
from ct_mcp.text import sanitize, span

_MARGIN = "  "
LONGEST_LINE = 500


async def tell_questions(at: AtThePlane) -> int:
    """List what waits, the oldest first; 0 listed."""
    now = await at.team.now()
    open_ones = waiting(await at.team.questions(), now)
    for asked in open_ones:
        heading = f"{in_words(asked.trader)}  {_left(asked, now)}"
        at.screen.say(heading, "person")
        at.screen.say(sanitize(asked.question.headline, longest=LONGEST_LINE), "bold", label=_MARGIN)
        at.screen.verbatim(f"{_MARGIN}{at.typed('answer', asked.question.ticket_id)}")
    if not open_ones:
        at.screen.say("Nothing waits for a second person.")
    return 0


async def tell_answer(at: AtThePlane) -> int:
    """Show one question whole, and take the answer: 0 answered, 1 left as it was."""
    await at.need_risk_manager("answers for a ticket of another")
    now = await at.team.now()
    asked = _found(at.chosen.ticket, waiting(await at.team.questions(), now))
    if asked is None:
        begins = sanitize(at.chosen.ticket, longest=40)
        at.screen.say(f"Nothing that waits has an id that is, or alone begins with, {begins}: it may be over.")
        at.screen.say(f"What waits is told by {at.typed('questions')}.")
        return 1
    foot = f"Expires in {_left(asked, now)}. Enter leaves it open, 'no' declines it."
    style = _style(asked)
    with at.screen.panel(title=f"{in_words(asked.trader)} needs a second person's yes", foot=foot, style=style):
        show_asked(asked, at.screen)
    return await _taken(at, asked)


def _found(given: str, among: Sequence[AskedOfTeam]) -> AskedOfTeam | None:
    """Find the one whose id this is, or alone begins with this."""
    exact = [asked for asked in among if asked.question.ticket_id == given]
    begun = exact or [asked for asked in among if given and asked.question.ticket_id.startswith(given)]
    return begun[0] if len(begun) == 1 else None


def show_asked(asked: AskedOfTeam, screen: Screen) -> None:
    """Draw all that the trader is shown, and what to type."""
    question = asked.question
    screen.say(sanitize(question.heading, longest=LONGEST_LINE), _style(asked), label=_MARGIN)
    screen.say()
    screen.say(sanitize(question.headline, longest=LONGEST_LINE), "bold", label=_MARGIN)
    for line in question.lines:
        screen.detail(sanitize(line, longest=LONGEST_LINE))
    screen.say()
    screen.verbatim(f"{_MARGIN}To say yes to it, type:  {phrase_of(asked)}")
    screen.say("Anything else is no yes. Yours alone sends nothing: the trader's own is needed as well.", label=_MARGIN)


async def _taken(at: AtThePlane, asked: AskedOfTeam) -> int:
    typed = await at.ask()
    while typed and typed.casefold() != "no" and not is_phrase(asked, typed):
        at.screen.say(f"That is not the text. Type {phrase_of(asked)}, no, or Enter.", "bad")
        typed = await at.ask()
    says_yes = is_phrase(asked, typed)
    if not typed or (says_yes and not await confirm_pin(at.pins, at.screen)):
        at.screen.say("Left open.")
        return 1
    question = asked.question
    answer = await at.team.decide(question.ticket_id, question.fingerprint, says_yes)
    if answer.state is SecondState.APPROVED:
        at.screen.say("Your yes is kept. The order is sent once the trader's own is there, if every rule still", "good")
        at.screen.say("passes; if neither comes in time it expires, and nothing is sent.", "good")
    else:
        at.screen.say("Declined. It can never be sent.")
    return 0


def _left(asked: AskedOfTeam, now: datetime) -> str:
    return span(max(0, int((asked.question.expires_at - now).total_seconds())))


def _style(asked: AskedOfTeam) -> str:
    return "person" if asked.question.simulated else "bad"
