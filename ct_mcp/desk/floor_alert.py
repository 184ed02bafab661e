"""What an account has left above its drawdown floor, for an alert that looks at it again and again.

What is read for it is noted as every reading is, so that the record of balances has no gap while one watches.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from ct_mcp.desk.day_losses import DayLosses
from ct_mcp.desk.ports import Store, Upstream
from ct_mcp.errors import BadRequest, CtMcpError
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.drawdown import floor_of
from ct_mcp.guard.firm_policy import Drawdown
from ct_mcp.guard.floor_room import equity_of
from ct_mcp.guard.policy import Policy
from ct_mcp.text import as_argument, command, money, plain


class KnowsFloors(Protocol):
    """What of the desk it takes to reckon a room."""

    upstream: Upstream
    store: Store
    day_losses: DayLosses

    @property
    def policy(self) -> Policy: ...
    @property
    def clock(self) -> Callable[[], datetime]: ...


@dataclass(slots=True)
class Floors:
    """The same, of a process that has a desk for its watches alone."""

    upstream: Upstream
    store: Store
    policy: Policy
    clock: Callable[[], datetime]
    day_losses: DayLosses


@dataclass(frozen=True, slots=True)
class AboveFloor:
    """Money between equity and the floor; None where equity is not known. ``unknown`` says why it may be less."""

    left: Decimal | None
    unknown: str = ""

    @property
    def words(self) -> str:
        """Say it: what is not known is never a figure."""
        if self.unknown:
            return f"NOT KNOWN{'' if self.left is None else f', {money(self.left)} at most'}: {self.unknown}"
        return money(self.left)


def drawdown_of(policy: Policy, account: str) -> Drawdown:
    """Give the floor that the settings have for an account.

    Raises:
        BadRequest: They have none, so there is no room to tell of.
    """
    firm = policy.for_(account, None).firm
    if firm is None or firm.drawdown is None:
        table = f'[accounts."{plain(account)}"]'
        how = f"the operator sets one with firm or drawdown in {table} of the settings"
        raise BadRequest(
            f"{plain(account)} has no drawdown floor, so there is no room to watch; {how}; nothing was sent"
        )
    return firm.drawdown


async def _take_mark(desk: KnowsFloors, account: str) -> None:
    """Read the service's high-water mark once a day, for a floor that moves within it; without one nothing changes."""
    if not desk.day_losses.wants_mark(account):
        return
    try:
        marks = await desk.upstream.watermarks(account)
    except CtMcpError:
        return  # the next look reads them
    await desk.day_losses.note_mark(account, marks.net_liquidation_high)


async def above_floor(desk: KnowsFloors, name: str, drawdown: Drawdown) -> AboveFloor:
    """Read equity, and reckon what lies between it and the floor; a failed read is not known, and never a figure."""
    try:
        account = await desk.upstream.account(name)
        await desk.day_losses.note([account])
        await _take_mark(desk, account.name)
        record = await desk.store.balance_record(account.name)
    except CtMcpError as error:
        return AboveFloor(None, f"equity could not be read: {error.what}")
    now = desk.clock()
    equity = equity_of(RiskContext(now, account))
    if equity is None:
        return AboveFloor(None, "the service does not report what the account is worth")
    floor = floor_of(drawdown, record, equity, now)
    why = f"the floor may be higher, {floor.unknown}" if floor.unknown else ""
    how = f"; only the person can tell it: {command('floor', as_argument(name), 'AMOUNT')}" if why else ""
    return AboveFloor(equity - floor.amount, why + how)
