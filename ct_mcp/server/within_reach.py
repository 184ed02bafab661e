"""Which accounts an exit may reach when none is named: those that mode and settings let trade, armed or not."""

from ct_mcp.domain.account import Account, AccountKind
from ct_mcp.domain.action import Flatten
from ct_mcp.errors import OrderDenied
from ct_mcp.guard.policy import Denial, View
from ct_mcp.guard.rules_account import account_may_trade_in_this_mode
from ct_mcp.server.present import theirs
from ct_mcp.server.reading import Reading


async def accounts_to_leave(reading: Reading) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of all accounts that may be flattened, always in the same order, and a warning for each that may not.

    An account where nothing is open is among them: only reading it back tells that it is flat.

    Raises:
        OrderDenied: There is none.
        UpstreamError: The accounts could not be listed.
    """
    reading.upstream = reading.upstream.urgent()
    listed = await reading.upstream.accounts()
    reading.desk.names.remember(listed)
    denials = {account.name: _denial(reading, await _known(reading, account)) for account in listed}
    allowed = tuple(sorted(name for name, denial in denials.items() if denial is None))
    refused = [f"{theirs(name)} ({denial})" for name, denial in denials.items() if denial is not None]
    if not allowed:
        raise OrderDenied(f"no account may be flattened here: {', '.join(refused) or 'there is none'}")
    return allowed, tuple(f"left alone, and may still hold something: {account}" for account in refused)


async def _known(reading: Reading, listed: Account) -> Account:
    """The account as its own report has it, where the list says nothing of its kind."""
    if listed.kind is not AccountKind.UNKNOWN:
        return listed
    return await reading.attempt(listed.name, reading.upstream.account(listed.name)) or listed


def _denial(reading: Reading, account: Account) -> Denial | None:
    view = View(now=reading.desk.clock(), account=account)
    finding = account_may_trade_in_this_mode(Flatten(account.name, None), view, reading.desk.policy)
    return finding if isinstance(finding, Denial) else None
