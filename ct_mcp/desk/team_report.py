"""What a machine tells the team's plane of its trader: what is known here, with its age, and nothing that is asked for.

It takes the store, what was read last, and the word of the plane itself; no request leaves for it. What is not known is
None, and whoever reads it sees when the rest was read.
"""

from collections.abc import AsyncIterator, Callable
from datetime import datetime

import anyio

from ct_mcp import __version__
from ct_mcp.desk.last_seen import NOTHING, LastSeen, Seen
from ct_mcp.desk.membership import WORD_WITHIN_SECONDS, Membership
from ct_mcp.desk.ports import Store
from ct_mcp.domain.account import Account, account_key
from ct_mcp.domain.commands import ChangeOrder
from ct_mcp.domain.market import trading_day
from ct_mcp.domain.team import HeldPosition, ReportedAccount, TraderReport
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.denial import DenialCode
from ct_mcp.guard.drawdown import floor_of
from ct_mcp.guard.effect import effect_of
from ct_mcp.guard.floor_room import equity_of
from ct_mcp.guard.policy import Policy
from ct_mcp.guard.review import RULES_OF_THE_ACCOUNT
from ct_mcp.guard.rule import Denial
from ct_mcp.guard.rules.account import day_loss_is_within_limit
from ct_mcp.text import sanitize

MOST_ACCOUNTS = 50
_HEARD_SECONDS = 5.0
_RULES = (*RULES_OF_THE_ACCOUNT, day_loss_is_within_limit)
# Of the moment or of the team, and told elsewhere; and what only says that nothing was read.
_NOT_TOLD = frozenset({DenialCode.DAY_PNL_UNKNOWN, DenialCode.PLANE_OUT_OF_REACH})


class TeamReporter:
    """Tells the plane how this machine stands, each time that it is asked to."""

    def __init__(
        self, team: Membership, store: Callable[[], Store | None], clock: Callable[[], datetime], machine: str
    ) -> None:
        """Ask for the store each time: without one nothing is known here but what the plane says."""
        self._team, self._store, self._clock = team, store, clock
        self._machine = sanitize(machine, longest=60) or "unknown"

    async def report(self, seen: LastSeen | None) -> None:
        """Tell it once; whatever fails, the next report tells it again.

        Raises:
            StoreFailed: It could not be told, or what is kept here cannot be read.
        """
        if self._team.link is None:
            return
        await self._team.hear(_HEARD_SECONDS)  # also where nobody has used this server yet
        told = await self.made(seen)
        with anyio.move_on_after(WORD_WITHIN_SECONDS):
            await self._team.link.plane.report(told)

    async def made(self, seen: LastSeen | None) -> TraderReport:
        """Make the report of this moment."""
        standing, store = self._team.standing, self._store()
        own = None if store is None else await store.halt()
        by_team = None if standing is None else standing.halt
        halts = [f"by {halt.by}: {halt.reason}" for halt in (own, by_team) if halt is not None]
        return TraderReport(
            machine=self._machine,
            version=__version__,
            mode=self._team.policy.mode.value,
            halted=sanitize("; ".join(halts), longest=300),
            unknown_outcomes=0 if store is None else len(await store.unsettled()),
            policies=() if standing is None else standing.numbers,
            accounts=() if store is None else tuple([each async for each in self._accounts(store, seen)]),
        )

    async def _accounts(self, store: Store, seen: LastSeen | None) -> AsyncIterator[ReportedAccount]:
        now = self._clock()
        known = {account_key(each.name): each for each in await store.known_accounts(now)}
        known |= {account_key(each.name): each for each in (seen.accounts if seen else ())}
        armings = {account_key(name): until for name, until in (await store.armings(now)).items()}
        for key, account in sorted(known.items())[:MOST_ACCOUNTS]:
            last = seen.of(account.name) if seen else NOTHING
            context = await self._context(store, account, last, armings.get(key))
            yield ReportedAccount(
                account=sanitize(account.name, longest=60),
                kind=account.kind,
                positions=_held(last),
                working_orders=None if last.orders is None else len(last.orders),
                day_pnl=last.day_pnl,
                armed_until=context.armed_until,
                over=_over(account.name, context, self._team.policy.for_(account.name, None)),
                read_at=last.read_at,
            )

    async def _context(self, store: Store, account: Account, last: Seen, until: datetime | None) -> RiskContext:
        """Gather what is known here of an account: no position and no order, since no rule that is asked needs them."""
        now, firm = self._clock(), self._team.policy.for_(account.name, None).firm
        return RiskContext(
            now,
            last.account or account,
            armed_until=until,
            day_loss_reached=await store.day_loss(account.name, trading_day(now)),
            record=None if firm is None else await store.balance_record(account.name),
            team=self._team.standing,
        )


def _over(account: str, context: RiskContext, policy: Policy) -> tuple[str, ...]:
    """Name what stands in the way of opening, by the rules that look at the account alone, and at its floor."""
    effect = effect_of(ChangeOrder(account, ""), context)  # it is no exit
    denials = [answer for rule in _RULES if isinstance(answer := rule(effect, context, policy), Denial)]
    codes = [denial.code for denial in denials if denial.code not in _NOT_TOLD]
    return tuple(dict.fromkeys((*codes, *_floor(context, policy))))


def _held(seen: Seen) -> tuple[HeldPosition, ...] | None:
    if seen.held is None:
        return None
    return tuple(HeldPosition(row.instrument.label, row.net) for row in seen.held if row.quantity)


def _floor(context: RiskContext, policy: Policy) -> list[str]:
    """Say that equity has come to the floor, as far as both are known."""
    drawdown, equity = policy.firm and policy.firm.drawdown, equity_of(context)
    if not drawdown or equity is None or context.record is None:
        return []
    floor = floor_of(drawdown, context.record, equity, context.now)
    return [DenialCode.DRAWDOWN_FLOOR_REACHED] if equity <= floor.amount else []
