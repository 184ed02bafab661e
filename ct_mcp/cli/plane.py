"""``ct-mcp plane``: a team's traders as its risk manager sees them, halts, policies, second questions and records.

Whatever decides in favour of trading (a halt lifted, a policy, an answer) is taken only at a terminal that a person
types at. A halt is taken from a script as well, since it only narrows.
"""

import argparse
from collections.abc import Awaitable, Callable
from importlib import import_module

import anyio

from ct_mcp.cli.pin import confirm_pin
from ct_mcp.cli.plane_access import AtThePlane, in_words, need_member, reached, whom
from ct_mcp.cli.runtime import settings_for
from ct_mcp.cli.terminal import lacks_terminal
from ct_mcp.config.settings import Settings
from ct_mcp.desk.team import LONGEST_REASON
from ct_mcp.domain.team import EVERYBODY, TeamHalt
from ct_mcp.text import local_and_utc, sanitize

_WORD = "resume"
_Work = Callable[[AtThePlane], Awaitable[int]]
_NEEDS_A_PERSON = frozenset({"answer", "resume", "serve"})
_WITHOUT_THE_PLANE = frozenset({"serve", "sql"})
"""What opens it later, or never."""
_STANDS_IN = {
    "show": "plane_show",
    "journal": "plane_records",
    "acts": "plane_records",
    "questions": "plane_questions",
    "answer": "plane_questions",
}


def run(chosen: argparse.Namespace) -> int:
    """Do what was asked; the codes stand in each help."""
    if _needs_a_person(chosen) and lacks_terminal(f"plane {chosen.asked}"):
        return 2
    if chosen.asked in _WITHOUT_THE_PLANE:
        return int(import_module(f"ct_mcp.cli.plane_{chosen.asked}").run(chosen))
    return anyio.run(_do, _work(chosen), chosen, settings_for(chosen))


def _needs_a_person(chosen: argparse.Namespace) -> bool:
    return chosen.asked in _NEEDS_A_PERSON or getattr(chosen, "policy", "show") != "show"


def _work(chosen: argparse.Namespace) -> _Work:
    match chosen.asked:
        case "halt":
            return halt
        case "resume":
            return resume
        case "policy":
            module, function = "plane_policy", f"{chosen.policy}_policy"
        case asked:
            module, function = _STANDS_IN[asked], f"tell_{asked}"
    work: _Work = getattr(import_module(f"ct_mcp.cli.{module}"), function)
    return work


async def _do(work: _Work, chosen: argparse.Namespace, settings: Settings) -> int:
    async with reached(chosen, settings) as at:
        return await work(at)


async def halt(at: AtThePlane) -> int:
    """Halt one, or everybody: 0 halted now or before."""
    trader = whom(at.chosen)
    await at.need_risk_manager("halts others")
    await need_member(at, trader)
    reason = sanitize(at.chosen.reason.strip(), longest=LONGEST_REASON) or "no reason given"
    earlier = await halt_of(at, trader)
    stands = await at.team.halt(trader, reason)
    if earlier is not None:
        at.screen.say(f"{in_words(trader)} was halted before, {_by(stands)}. That halt stands.", "person")
    else:
        at.screen.say(f"Halted: {in_words(trader)}. Nothing opens or adds there any more.", "good")
    at.screen.say("Closing, flattening and cancelling still work. A machine that is out of reach denies openings by")
    at.screen.say(f"itself, after the grace time of its policy. Lift it with {at.typed('resume', *_named(trader))}.")
    return 0


async def resume(at: AtThePlane) -> int:
    """Lift a halt of the plane: 0 lifted or none there, 1 still halted."""
    trader = whom(at.chosen)
    await at.need_risk_manager("resumes what the plane has halted")
    stands = await halt_of(at, trader)
    if stands is None:
        at.screen.say(f"The plane has not halted {in_words(trader)}.")
        await _tell_others(at, trader)
        return 0
    at.screen.say(f"The plane has halted {in_words(trader)}.", "person")
    _show(at, stands)
    at.screen.say(f"To let {in_words(trader)} open positions again, type:  {_WORD}")
    at.screen.say("Anything else leaves it halted.")
    if await at.ask() != _WORD or not await confirm_pin(at.pins, at.screen) or not await _lifted(at, trader, stands):
        at.screen.say("Still halted.")
        return 1
    at.screen.say(f"Resumed: {in_words(trader)}, within limits and policies as before.", "good")
    await _tell_others(at, trader)
    return 0


async def halt_of(at: AtThePlane, trader: str) -> TeamHalt | None:
    """Find the halt of one, or that of everybody, as it stands."""
    return next((halt for halt in await at.team.halts() if halt.trader == trader), None)


async def _lifted(at: AtThePlane, trader: str, shown: TeamHalt) -> bool:
    """Lift the halt that was shown, and no other that came in its place meanwhile."""
    if await halt_of(at, trader) != shown:
        at.screen.say("It is no longer the halt that you were shown. Look again.", "bad")
        return False
    return await at.team.resume(trader)


async def _tell_others(at: AtThePlane, trader: str) -> None:
    """Say which other halts of the plane stand: each is lifted by itself."""
    for other in await at.team.halts():
        if other.trader != trader:
            lift = at.typed("resume", *_named(other.trader))
            at.screen.say(f"Halted still: {in_words(other.trader)}, {_by(other)}. Lift it with {lift}.", "person")


def _show(at: AtThePlane, halt: TeamHalt) -> None:
    why = sanitize(halt.halt.reason, longest=2 * LONGEST_REASON)
    rows = (("by", sanitize(halt.halt.by, longest=63)), ("since", local_and_utc(halt.halt.at)), ("why", why))
    at.screen.table(rows)
    at.screen.say()


def _by(halt: TeamHalt) -> str:
    why = sanitize(halt.halt.reason, longest=2 * LONGEST_REASON)
    return f"by {sanitize(halt.halt.by, longest=63)}, {local_and_utc(halt.halt.at)}: {why}"


def _named(trader: str) -> tuple[str, ...]:
    return ("--all",) if trader == EVERYBODY else (in_words(trader),)
