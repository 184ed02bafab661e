"""What a team sets for its traders: TOML in the form of a settings file, in which nothing stands but what narrows.

The plane holds a text for everybody and one for each trader. Whoever sets one is told all its faults at once; a trader
whose version cannot read one opens nothing. What names a file or a conversion on a trader's machine is the trader's,
and so is how an exit is approved: nothing of a team's stands between a trader and the way out.
"""

import tomllib
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from ct_mcp.config import values
from ct_mcp.config.contradictions import binding, contradictions
from ct_mcp.config.faults import as_key, listing
from ct_mcp.config.firm import account_policy
from ct_mcp.config.schema import (
    AccountTable,
    ApprovalWord,
    Contracts,
    InstrumentTable,
    LimitsTable,
    ModeWord,
    Switch,
    Table,
    expecting,
    read,
    seconds,
)
from ct_mcp.domain.account import account_key
from ct_mcp.domain.approval import Approval
from ct_mcp.errors import ConfigError
from ct_mcp.guard.policy import Mode, SecondYes, TeamRules

LONGEST_TEXT = 64 * 1024
_OF = "the team's policy"


class TeamApprovalTable(Table):
    """``[approval]``: the weakest channels that openings may go by, and the longest life of a ticket."""

    simulated: ApprovalWord | None = None
    live: ApprovalWord | None = None
    ticket_seconds: Annotated[float, seconds("5", "3600")] | None = None


class TeamProtectionTable(Table):
    """``[protection]``: whether openings need a stop."""

    require_stop: Switch | None = None


class TeamWishesTable(Table):
    """``[team]``: what needs a second person's yes, and how long openings go on without the plane."""

    second_yes: Annotated[SecondYes, BeforeValidator(values.word(SecondYes))] | None = None
    second_yes_contracts: Contracts | None = None
    grace_seconds: (
        Annotated[int, Field(ge=0, le=86_400), expecting("a whole number of seconds from 0 to 86400")] | None
    ) = None


class TeamPolicyFile(Table):
    """The whole text."""

    mode: ModeWord | None = None
    limits: LimitsTable = LimitsTable.model_construct()
    approval: TeamApprovalTable = TeamApprovalTable.model_construct()
    protection: TeamProtectionTable = TeamProtectionTable.model_construct()
    accounts: dict[str, AccountTable] = Field(default_factory=dict)
    instruments: dict[str, InstrumentTable] = Field(default_factory=dict)
    team: TeamWishesTable = TeamWishesTable.model_construct()


def parse_team_policy(text: str) -> TeamRules:
    """Read what a team sets for its traders.

    Raises:
        ConfigError: One line for each fault.
    """
    file, faults = _read(text)
    if faults:
        advice = "mend what is named above and set it again; the policy that was set before holds on"
        raise ConfigError(listing(faults, None, _OF), next_step=advice)
    return _rules(file)


def faults_of_team_policy(text: str) -> list[str]:
    """Find everything that is wrong with a text, a line for each; nothing where it can be set."""
    return _read(text)[1]


def _read(text: str) -> tuple[TeamPolicyFile, list[str]]:
    faults: list[str] = []
    raw = _parse(text, faults)
    file = read(TeamPolicyFile, raw, as_key, faults)
    faults.extend(contradictions(file, raw, file.limits.given().keys()))
    faults.extend(_of_the_trader(file))
    if file.team.second_yes_contracts is not None and file.team.second_yes in (None, SecondYes.NONE):
        faults.append('[team] second_yes_contracts: needs second_yes = "live" or "all" as well')
    return file, faults


def _parse(text: str, faults: list[str]) -> dict[str, Any]:
    if len(text) > LONGEST_TEXT:
        faults.append(f"is longer than {LONGEST_TEXT} characters")
        return {}
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except (ArithmeticError, RecursionError):
        faults.append("holds a number or a nesting beyond all bounds")
    except ValueError as error:
        faults.append(f"is not valid TOML: {error}")
    return {}


def _of_the_trader(file: TeamPolicyFile) -> Iterator[str]:
    """Find what only a trader's own settings can say."""
    own = "belongs to the trader's own settings: a team's policy cannot have it"
    if "rates" in file.limits.given():
        yield f"[limits] rates: {own}"
    for name, account in file.accounts.items():
        if "news_file" in account.rules.given():
            yield f"{as_key(('accounts', name, 'rules', 'news_file'))}: {own}"


def _rules(file: TeamPolicyFile) -> TeamRules:
    asked = file.approval
    return TeamRules(
        mode=file.mode or Mode.LIVE,
        limits=binding(file.limits.given()),
        simulated=asked.simulated or Approval.NONE,
        live=asked.live or Approval.NONE,
        ticket_seconds=asked.ticket_seconds,
        require_stop=bool(file.protection.require_stop),
        accounts={
            account_key(name): account_policy(one, binding(one.limits.given()), None)
            for name, one in file.accounts.items()
        },
        instruments={name: binding(one.limits.given()) for name, one in file.instruments.items()},
        second=file.team.second_yes or SecondYes.NONE,
        second_from=file.team.second_yes_contracts or 1,
        grace_seconds=file.team.grace_seconds,
    )
