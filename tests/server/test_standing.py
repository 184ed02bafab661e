"""Which account may trade now, in the words of the rules that would deny it."""

import pytest

from ct_mcp.desk.desk import Desk
from ct_mcp.domain.account import Account, AccountKind
from ct_mcp.guard.policy import Mode, Policy
from ct_mcp.server.reading import Reading
from ct_mcp.server.standing import why_not

CASES = {
    "connected": (Account("A", AccountKind.SIMULATED, connection_status="connected"), ""),
    "not said": (Account("A", AccountKind.SIMULATED), ""),
    "lost": (Account("A", AccountKind.SIMULATED, connection_status="ConnectionLost"), "ACCOUNT_DISCONNECTED"),
    "live": (Account("A", AccountKind.LIVE), "ACCOUNT_NOT_SIMULATED"),
    "unknown": (Account("A", AccountKind.UNKNOWN), "ACCOUNT_NOT_SIMULATED"),
}


@pytest.mark.parametrize(("account", "code"), CASES.values(), ids=CASES.keys())
async def test_an_account_may_trade_or_says_why_not(desk: Desk, account: Account, code: str) -> None:
    assert (await why_not(Reading(desk), account)).split(":")[0] == code


@pytest.mark.parametrize("policy", [Policy(mode=Mode.LIVE)], ids=["live"])
async def test_an_account_that_the_settings_do_not_name_may_not_trade_live(desk: Desk) -> None:
    assert (await why_not(Reading(desk), Account("A", AccountKind.LIVE))).startswith("ACCOUNT_NOT_NAMED")
