"""Which accounts there are, and which of them may trade now: by the guard's own rules, so that both say the same."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ct_mcp.domain.account import Account, AccountKind, AccountSnapshot
from ct_mcp.domain.action import ChangeOrder
from ct_mcp.domain.market import trading_day
from ct_mcp.domain.position import Position
from ct_mcp.errors import StoreFailed
from ct_mcp.guard.policy import Denial, View
from ct_mcp.guard.rules_account import account_is_armed, account_may_trade_in_this_mode
from ct_mcp.server.reading import Reading


def is_connected(status: str) -> bool:
    """Read NinjaTrader's word for a connection."""
    return status.casefold() == "connected"


@dataclass(frozen=True, slots=True)
class Standing:
    """One account; ``positions`` is None where they were not read, ``why_not`` is empty where it may trade."""

    account: Account
    positions: tuple[Position, ...] | None
    why_not: str

    @property
    def may_trade(self) -> bool:
        """Whether an order that opens would pass the rules on the account itself."""
        return not self.why_not


async def read_accounts(reading: Reading) -> list[Standing]:
    """Read every account, with balances and positions where the summary of them can be read too.

    Raises:
        UpstreamError: The accounts could not be listed.
    """
    listed = await reading.live.accounts()
    reading.desk.names.remember(listed)
    summary = await reading.attempt("balances and positions", reading.live.snapshot()) or ()
    return [await _standing(reading, account, _of(account, summary)) for account in listed]


def _of(account: Account, summary: Sequence[AccountSnapshot]) -> AccountSnapshot | None:
    name = account.name.casefold()
    return next((seen for seen in summary if seen.account.name.casefold() == name), None)


async def _standing(reading: Reading, listed: Account, seen: AccountSnapshot | None) -> Standing:
    if seen is None:
        return Standing(listed, None, await why_not(reading, listed))
    account, contradicts_itself = _merged(listed, seen.account), seen.is_flat is False and not seen.positions
    return Standing(account, None if contradicts_itself else seen.positions, await why_not(reading, account))


def _merged(listed: Account, seen: Account) -> Account:
    """The summary's report; what it leaves out is taken from the list, whose rows may be nothing but a name."""
    return replace(
        seen,
        name=listed.name,
        kind=listed.kind if seen.kind is AccountKind.UNKNOWN else seen.kind,
        connection_status=seen.connection_status or listed.connection_status,
    )


async def why_not(reading: Reading, account: Account) -> str:
    """Why nothing can be opened in this account now; empty where the account itself stands in no way."""
    desk = reading.desk
    try:
        until = await desk.store.armed_until(account.name, desk.clock())
        lost = await desk.store.day_loss(account.name, trading_day(desk.clock()))
    except StoreFailed as error:
        return f"{error.code}: {error.what}"
    view = View(now=desk.clock(), account=account, armed_until=until)
    nothing = ChangeOrder(account.name, "")  # no exit; these two rules look at the account alone
    for rule in (account_may_trade_in_this_mode, account_is_armed):
        if isinstance(finding := rule(nothing, view, desk.policy), Denial):
            return str(finding)
    if account.connection_status and not is_connected(account.connection_status):
        return f"ACCOUNT_DISCONNECTED: connection={account.connection_status}"
    return "DAY_LOSS_REACHED: in this session only exits are left" if lost else ""
