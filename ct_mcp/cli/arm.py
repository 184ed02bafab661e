"""``ct-mcp arm``: the person lets an account of live mode trade, for a time, after seeing what that account is."""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import timedelta

import anyio

from ct_mcp.cli.compose import Furnishing, settings_for
from ct_mcp.cli.halt import BY, told
from ct_mcp.cli.moments import here_and_utc, span_of, utc_now
from ct_mcp.cli.pin import passes_pin
from ct_mcp.cli.screen import Screen
from ct_mcp.cli.terminal import nobody_types, typed
from ct_mcp.config.settings import Settings
from ct_mcp.crosstrade.words import cleaned
from ct_mcp.desk.desk import Desk
from ct_mcp.domain.account import Account
from ct_mcp.domain.ticket import Approval
from ct_mcp.errors import ConfigError, NotFound
from ct_mcp.guard.policy import Mode, Policy
from ct_mcp.server.answers.policy import limit_lines, narrower_lines
from ct_mcp.server.present import counted, money
from ct_mcp.store.sqlite import SqliteStore

LONGEST = timedelta(hours=24)


def run(chosen: argparse.Namespace) -> int:
    """Arm: 0 armed, 1 not armed, 2 without a terminal or with settings that forbid it."""
    if nobody_types("arm"):
        return 2
    span = _span(chosen.span)
    settings = settings_for(chosen)
    _expect_that_it_may_be_armed(chosen.account, settings)
    return anyio.run(_armed, settings, chosen.account, span, chosen.demo)


def _span(text: str) -> timedelta:
    span = span_of(text)
    if span is None or span > LONGEST:
        raise ConfigError(f"--for: found {text[:40]!a}, expected a time such as 30m or 8h, and 24h at most")
    return span


def _expect_that_it_may_be_armed(account: str, settings: Settings) -> None:
    policy, place = settings.policy, settings.file or "your settings"
    shown = cleaned(account, longest=80)
    if policy.mode is not Mode.LIVE:
        raise ConfigError(
            f"Arming belongs to live mode, and the mode is {policy.mode}. "
            f'To trade {shown} for real, write mode = "live" into {place}, then arm it again.'
        )
    if account not in policy.accounts:
        named = ", ".join(cleaned(name, longest=80) for name in policy.accounts) or "none"
        raise ConfigError(
            f"The settings do not name {shown}; named are: {named}. "
            f'To trade it, write [accounts."{shown}"] with its limits into {place}, then arm it again.'
        )


async def _armed(settings: Settings, name: str, span: timedelta, demo: bool) -> int:  # noqa: FBT001  # as anyio.run passes it
    async with AsyncExitStack() as stack:
        if demo:
            from ct_mcp.cli.embedded import simulated

            settings = await stack.enter_async_context(simulated(settings))
        furnishing = Furnishing(settings)
        stack.push_async_callback(furnishing.close)
        store = SqliteStore(settings.state_dir)
        stack.push_async_callback(store.close)
        account = await _read(furnishing.desk(), name)
        await _show(account, settings.policy, store)
        if not await _wanted(account, settings.policy, store):
            print("Not armed.")
            return 1
        now = utc_now()
        await store.arm(account.name, now + span, BY, now)
        print(f"Armed until {here_and_utc(now + span)}.\nEnd it sooner with ct-mcp disarm.")
        return 0


async def _read(desk: Desk, name: str) -> Account:
    """The account as the service reports it now.

    Raises:
        NotFound: The service has none of this very name.
        UpstreamError: It could not be read, and what is not known is not armed.
    """
    accounts = await desk.upstream.accounts()
    if name not in (account.name for account in accounts):
        names = ", ".join(cleaned(account.name, longest=80) for account in accounts) or "none"
        raise NotFound(f"the service has no account {cleaned(name, longest=80)}", next_step=f"it has: {names}")
    return await desk.upstream.account(name)


async def _show(account: Account, policy: Policy, store: SqliteStore) -> None:
    screen = Screen.on(sys.stdout, os.environ)
    screen.say()
    screen.say(f"{cleaned(account.name, longest=80)}, as the service reports it", "bold")
    for what, value in _figures(account):
        screen.verbatim(f"    {what:<16} {value}")
    approval = policy.approval_for(account.name, account.kind, leaves=False)
    screen.say()
    screen.say("The limits on it while it is armed", "bold")
    screen.verbatim(f"    {'approval':<28} {approval}", "bad" if approval is Approval.NONE else "")
    for line in limit_lines(policy.for_(account.name, None).limits):
        what, _, value = line.partition(": ")
        screen.verbatim(f"    {what:<28} {value}")
    for line in narrower_lines(policy):
        if line.startswith("instrument "):
            screen.detail(line)
    await _show_what_stands(account, store, screen)


def _figures(account: Account) -> Iterator[tuple[str, str]]:
    balances, currency = account.balances, cleaned(account.currency or "", longest=10)
    yield "kind", account.kind.upper() if account.kind != "simulated" else "simulated"
    yield "connection", cleaned(account.connection_status or "unknown", longest=40)
    yield "net liquidation", f"{money(balances.net_liquidation)} {currency}".strip()
    yield "cash", f"{money(balances.cash_value)} {currency}".strip()
    yield "day's P&L", f"{money(balances.day_pnl)} {currency}".strip()


async def _show_what_stands(account: Account, store: SqliteStore, screen: Screen) -> None:
    until, halt = await store.armed_until(account.name, utc_now()), await store.halt()
    unsettled = [entry for entry in await store.unsettled() if entry.account == account.name]
    screen.say()
    if until is not None:
        screen.say(f"It is armed already, until {here_and_utc(until)}: this sets a new end.", "person")
    if halt is not None:
        screen.say(f"Trading is halted {told(halt)}. Arming does not lift that; ct-mcp resume does.", "person")
    if unsettled:
        screen.say(f"Of unknown outcome: {counted(len(unsettled), 'order')}; see ct-mcp journal.", "person")


async def _wanted(account: Account, policy: Policy, store: SqliteStore) -> bool:
    print("To let the assistant trade it, type the name of the account again, exactly:")
    if await typed() != account.name:
        print("That is not its name.")
        return False
    approval = policy.approval_for(account.name, account.kind, leaves=False)
    return await passes_pin(store, needed=approval is Approval.PAGE_PIN)
