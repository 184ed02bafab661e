"""``ct-mcp floor``: the person tells where the floor of a funded account stands, as the firm's own page shows it.

Only they can know it: a floor trails by what an account was worth while ct-mcp did not run, too. The assistant has no
way to tell it. Before it is kept the person sees what is on record, and types the name of the account again.
"""

import argparse
from contextlib import AsyncExitStack
from decimal import Decimal, InvalidOperation
from pathlib import Path

import anyio

from ct_mcp.cli.arm import read_named_account
from ct_mcp.cli.runtime import Runtime, settings_for, utc_now
from ct_mcp.cli.screen import Screen
from ct_mcp.cli.team import policy_in_force
from ct_mcp.cli.terminal import lacks_terminal, read_line
from ct_mcp.config.settings import Settings
from ct_mcp.desk.controls import Actor, Controls
from ct_mcp.domain.account import Account
from ct_mcp.domain.balances import BalanceRecord
from ct_mcp.domain.market import trading_day
from ct_mcp.errors import ConfigError
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.drawdown import floor_of, floor_words
from ct_mcp.guard.firm_policy import DayLossEnds, Drawdown, DrawdownKind, FirmRules
from ct_mcp.guard.floor_room import equity_of
from ct_mcp.guard.policy import Policy
from ct_mcp.text import local_and_utc, money, sanitize


def run(chosen: argparse.Namespace) -> int:
    """Tell the floor: 0 kept, 1 not kept, 2 without a terminal, or where no rule of the settings needs it."""
    if lacks_terminal("floor"):
        return 2
    settings = settings_for(chosen)
    amount = _parse_amount(chosen.amount)
    policy = anyio.run(policy_in_force, settings)
    firm = rules_of(chosen.account, policy, settings.file)
    return anyio.run(_tell, settings, chosen.account, amount, firm, chosen.demo)


def _parse_amount(text: str) -> Decimal:
    try:
        amount = Decimal(text.replace(",", ""))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or not 0 < amount <= 10**9 or amount != round(amount, 2):
        raise ConfigError(f"AMOUNT: found {text[:40]!a}, expected the floor in account currency, such as 48250")
    return amount


def rules_of(account: str, policy: Policy, file: Path | None = None) -> FirmRules:
    """Give the rules of the account, by the settings and by the team, where they hold a floor that has to be told.

    Raises:
        ConfigError: They hold none.
    """
    firm = policy.for_(account, None).firm
    if firm is None or not _has_to_be_told(firm):
        shown, place = sanitize(account, longest=80), file or "your settings"
        raise ConfigError(
            f"No rule for {shown} has a floor that trails, so there is nothing to tell. A preset (ct-mcp rules) or "
            f'drawdown in [accounts."{shown}".rules] of {place} sets one.'
        )
    return firm


def _has_to_be_told(firm: FirmRules) -> bool:
    """Say whether a floor trails, or a day's loss ends the account, which begins anew with what is told."""
    trails = firm.drawdown is not None and firm.drawdown.kind is not DrawdownKind.STATIC
    return trails or firm.day_loss_ends is DayLossEnds.ACCOUNT


async def _tell(settings: Settings, name: str, amount: Decimal, firm: FirmRules, demo: bool) -> int:  # noqa: FBT001  # as anyio.run passes it
    screen = Screen.on_stdout()
    async with AsyncExitStack() as stack:
        if demo:
            from ct_mcp.cli.demo_endpoint import simulated

            settings = await stack.enter_async_context(simulated(settings))
        runtime = Runtime(settings)
        stack.push_async_callback(runtime.close)
        desk = runtime.build_desk()
        account = await read_named_account(desk, name)
        await desk.day_losses.note([account])
        record = await runtime.store.balance_record(account.name)
        if firm.drawdown is not None and not _is_possible(amount, firm.drawdown, screen):
            return 1
        _show(account, amount, firm, record, screen)
        screen.say("To keep it, type the name of the account again, exactly:")
        if await read_line() != account.name:
            screen.say("That is not its name. Nothing was changed.")
            return 1
        await Controls(runtime.store, utc_now).tell_floor(account.name, amount, Actor.TERMINAL)
        screen.say(f"Kept: the floor stands at {money(amount)}, and moves on from here as balances are read.", "good")
        return 0


def _is_possible(amount: Decimal, drawdown: Drawdown, screen: Screen) -> bool:
    if amount >= drawdown.lowest_floor:
        return True
    lowest = f"{money(drawdown.start_balance)} less {money(drawdown.amount)}"
    screen.say(
        f"A floor of {money(amount)} is below {lowest}, where it stands at the beginning. If that is where the firm "
        "shows it, the figures in the settings are of another plan: mend those. Nothing was changed.",
        "bad",
    )
    return False


def _show(account: Account, amount: Decimal, firm: FirmRules, record: BalanceRecord, screen: Screen) -> None:
    now, drawdown = utc_now(), firm.drawdown
    equity = equity_of(RiskContext(now, account))
    screen.say()
    screen.say(f"{sanitize(account.name, longest=80)}, as the service reports it", "bold")
    currency = sanitize(account.currency or "", longest=10)
    screen.table([("equity", f"{money(equity)} {currency}".strip()), ("floor as you tell it", money(amount))])
    if drawdown is not None and equity is not None:
        found = floor_of(drawdown, record, equity, now)
        screen.detail(f"floor by our own record: {floor_words(found)}{firm.by(trading_day(now))}")
    if ended_on := firm.ended_on(record):
        then = "this begins it anew" if trading_day(now) > ended_on else "tell it once the session has rolled"
        screen.say(f"Ended by the loss of {ended_on}; {then}.", "bad")
    if record.told is not None:
        screen.detail(f"told before: {money(record.told.amount)}, {local_and_utc(record.told.at)}")
    if equity is not None and amount >= equity:
        screen.say("That is not below its equity: nothing will open in it.", "bad")
