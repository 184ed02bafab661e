"""``ct-mcp plane policy``: what is set for everybody and for each trader; changed once it was shown what changes.

A policy that is faulty is never set: all that is wrong with it is told at once.
"""

from collections.abc import Sequence
from pathlib import Path

from ct_mcp.cli.pin import confirm_pin
from ct_mcp.cli.plane_access import AtThePlane, checked, in_words, need_member
from ct_mcp.cli.screen import Screen
from ct_mcp.desk.team import LONGEST_POLICY, Faults, in_force
from ct_mcp.desk.team_view import changes
from ct_mcp.domain.team import EVERYBODY, TeamPolicy
from ct_mcp.errors import ConfigError
from ct_mcp.text import local_and_utc, one_line, sanitize

_STYLES = {"+": "good", "-": "bad"}


async def show_policy(at: AtThePlane) -> int:
    """Show what is set: 0 shown, also where nothing is."""
    held = in_force(await at.team.policies())
    wanted = [EVERYBODY, at.chosen.trader] if at.chosen.trader else sorted(held)
    shown = [held[trader] for trader in wanted if trader in held]
    for policy in shown:
        at.screen.say(f"For {in_words(policy.trader)}: policy #{policy.number}, {_by(policy)}", "bold")
        for line in policy.text.splitlines():
            at.screen.verbatim(f"    {one_line(line)}")
        at.screen.say()
    if not shown:
        whom = f"For {in_words(at.chosen.trader)} nothing" if at.chosen.trader else "Nothing"
        at.screen.say(f"{whom} is set: what each trader's own settings say holds alone.")
    return 0


async def set_policy(at: AtThePlane, faults_of: Faults = checked) -> int:
    """Set the policy of a file: 0 set, 1 as it was."""
    text = _read(at.chosen.file)
    if faults := faults_of(text):
        at.screen.say("Nothing was set: the policy cannot be read.", "bad")
        for fault in faults:
            at.screen.bad(one_line(fault))
        return 1
    if not text.strip():
        raise ConfigError(f"{at.chosen.file}: says nothing; to end a policy: {at.typed('policy', 'clear')}")
    return await _change(at, text, "set")


async def clear_policy(at: AtThePlane) -> int:
    """End a policy: 0 ended, or none there, 1 as it was."""
    if _trader(at) not in in_force(await at.team.policies()):
        at.screen.say(f"For {in_words(_trader(at))} nothing is set.")
        return 0
    return await _change(at, "", "clear")


def _trader(at: AtThePlane) -> str:
    return at.chosen.trader or EVERYBODY


def _read(name: str) -> str:
    """Read the file of a policy.

    Raises:
        ConfigError: It is not there, no text, or longer than a policy may be.
    """
    try:
        with Path(name).open("rb") as file:
            content = file.read(LONGEST_POLICY + 1)
    except OSError as error:
        raise ConfigError(f"{name}: cannot be read: {error.strerror}") from error
    if len(content) > LONGEST_POLICY:
        raise ConfigError(f"{name}: is longer than {LONGEST_POLICY} bytes, which no policy is")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise ConfigError(f"{name}: is not UTF-8 text; save it as UTF-8") from None


async def _change(at: AtThePlane, text: str, word: str) -> int:
    """Show what changes, and set it where the person types the word."""
    trader = _trader(at)
    await at.need_risk_manager("sets policies")
    await need_member(at, trader)
    before = in_force(await at.team.policies()).get(trader)
    lines = changes(before.text if before else "", text)
    if not any(line.startswith(("+", "-")) for line in lines):
        at.screen.say(f"For {in_words(trader)} this very policy is set already.")
        return 0
    _show_changes(at.screen, trader, before, lines)
    at.screen.say(f"To {word} it for {in_words(trader)}, type:  {word}")
    at.screen.say("Anything else leaves it as it is.")
    if await at.ask() != word or not await confirm_pin(at.pins, at.screen):
        at.screen.say("It is as it was.")
        return 1
    if in_force(await at.team.policies()).get(trader) != before:
        at.screen.say("Somebody has set another one meanwhile. It is as they set it. Look again.", "bad")
        return 1
    done = await at.team.set_policy(trader, text)
    said = "holds" if text else "ends what was set"
    at.screen.say(f"Policy #{done.number} {said}, for {in_words(trader)}, from each machine's next word on.", "good")
    return 0


def _show_changes(screen: Screen, trader: str, before: TeamPolicy | None, lines: Sequence[str]) -> None:
    was = f"policy #{before.number}, {_by(before)}" if before else "nothing"
    screen.say(f"For {in_words(trader)} {was} is set. What changes:", "bold")
    screen.say()
    for line in lines:
        screen.verbatim(f"    {one_line(line)}", _STYLES.get(line[:1], ""))
    screen.say()
    if trader == EVERYBODY:
        screen.say("It narrows every trader of the team; what narrows one trader alone stays beside it.")
    screen.say("A trader's own settings stay as they are: of both, the stricter counts.")


def _by(policy: TeamPolicy) -> str:
    return f"set by {sanitize(policy.by, longest=63)}, {local_and_utc(policy.at)}"
