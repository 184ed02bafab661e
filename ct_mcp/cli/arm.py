"""``ct-mcp arm`` and ``ct-mcp disarm``: the person lets an account of live mode trade for a time, and ends it sooner.

Before an account is armed the person sees what it is, as the service reports it, and the limits that hold on it.
"""

import argparse
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta

import anyio

from ct_mcp.cli.flags import other_store, was_used_lately, whose
from ct_mcp.cli.halt import describe_halt
from ct_mcp.cli.pin import confirm_pin
from ct_mcp.cli.runtime import Runtime, settings_for, store_of, utc_now
from ct_mcp.cli.screen import Screen
from ct_mcp.cli.team import policy_in_force, say_if_team_halts
from ct_mcp.cli.terminal import lacks_terminal, read_line
from ct_mcp.config.settings import Settings
from ct_mcp.desk.controls import Actor, Controls
from ct_mcp.desk.desk import Desk
from ct_mcp.domain.account import Account, AccountKind, account_key
from ct_mcp.domain.approval import Approval
from ct_mcp.domain.market import trading_day
from ct_mcp.errors import ConfigError, NotFound
from ct_mcp.guard.policy import AccountPolicy, Mode, Policy
from ct_mcp.guard.team_policy import both_limits
from ct_mcp.server.policy_text import firm_lines_of, limit_lines, narrower_lines
from ct_mcp.store.sql_store import SqlStore
from ct_mcp.text import command, count, local_and_utc, money, parse_span, sanitize

LONGEST = timedelta(hours=24)


def run(chosen: argparse.Namespace) -> int:
    """Arm: 0 armed, 1 not armed, 2 without a terminal or with settings that forbid it."""
    if lacks_terminal("arm"):
        return 2
    span = _parse_span(chosen.span)
    settings = settings_for(chosen)
    try:
        _expect_that_it_may_be_armed(chosen.account, settings)
    except ConfigError:
        anyio.run(_tell_whose_it_is, chosen, Screen.on_stdout())
        raise
    return anyio.run(_arm, settings, chosen.account, span, chosen.demo)


def run_disarm(chosen: argparse.Namespace) -> int:
    """Disarm: 0 disarmed, or not armed before; 2 without a terminal."""
    if lacks_terminal("disarm"):
        return 2
    anyio.run(_disarm, store_of(settings_for(chosen)), Screen.on_stdout(), chosen)
    return 0


def _parse_span(text: str) -> timedelta:
    span = parse_span(text)
    if span is None or span > LONGEST:
        raise ConfigError(f"--for: found {text[:40]!a}, expected a time such as 30m or 8h, and 24h at most")
    return span


def _expect_that_it_may_be_armed(account: str, settings: Settings) -> None:
    policy, place = settings.policy, settings.file or "your settings"
    shown = _name(account)
    if policy.mode is not Mode.LIVE:
        raise ConfigError(
            f"Arming belongs to live mode, and the mode is {policy.mode}. "
            f'To trade {shown} for real, write mode = "live" into {place}, then arm it again.'
        )
    if policy.account_named(account) is None:
        named = ", ".join(map(_name, policy.accounts)) or "none"
        raise ConfigError(
            f"The settings do not name {shown}; named are: {named}. "
            f'To trade it, write [accounts."{shown}"] with its limits into {place}, then arm it again.'
        )


async def _arm(settings: Settings, name: str, span: timedelta, demo: bool) -> int:  # noqa: FBT001  # as anyio.run passes it
    screen = Screen.on_stdout()
    async with AsyncExitStack() as stack:
        if demo:
            from ct_mcp.cli.demo_endpoint import simulated

            settings = await stack.enter_async_context(simulated(settings))
        runtime = Runtime(settings)
        stack.push_async_callback(runtime.close)
        account, policy = await read_named_account(runtime.build_desk(), name), await policy_in_force(settings)
        await _show(account, policy, runtime.store, screen)
        await say_if_team_halts(settings, screen)
        if not await _is_wanted(account, policy, runtime.store, screen):
            screen.say("Not armed.")
            return 1
        until = utc_now() + span
        await Controls(runtime.store, utc_now).arm(account.name, until, Actor.TERMINAL)
        screen.say(f"Armed until {local_and_utc(until)}.", "good")
        screen.say(f"End it sooner with {command('disarm')}.")
        return 0


async def _tell_whose_it_is(chosen: argparse.Namespace, screen: Screen) -> None:
    """Say that the settings are those of one folder, where a server ran lately with the other."""
    with other_store(chosen) as store:
        if store is None:
            return
        if await was_used_lately(store, utc_now()):
            screen.say(f"{whose(chosen)} has other settings, and a folder of its own: {command('arm')}", "person")
        await store.close()


async def read_named_account(desk: Desk, name: str) -> Account:
    """Read the account as the service reports it now.

    Raises:
        NotFound: The service has none of this very name.
        UpstreamError: It could not be read, and what is not known is not armed.
    """
    accounts = await desk.upstream.accounts()
    if name not in (account.name for account in accounts):
        names = ", ".join(_name(account.name) for account in accounts) or "none"
        raise NotFound(f"the service has no account {_name(name)}", next_step=f"it has: {names}")
    return await desk.upstream.account(name)


async def _show(account: Account, policy: Policy, store: SqlStore, screen: Screen) -> None:
    screen.say()
    screen.say(f"{_name(account.name)}, as the service reports it", "bold")
    screen.table(_figures(account))
    approval = policy.approval_for(account.name, account.kind, leaves=False)
    screen.say()
    screen.say("The limits on it while it is armed", "bold")
    screen.detail(f"approval: {approval}", "bad" if approval is Approval.NONE else "")
    for line in limits_of(account, policy):
        screen.detail(line)
    for line in rules_of(account, policy):
        screen.detail(line, "person")
    await _show_obstacles(account, store, screen)


def limits_of(account: Account, policy: Policy) -> list[str]:
    """Say which limits hold on an account, and on single roots in it, by the settings and by the team."""
    both = (policy.instruments, policy.team.instruments)
    roots = {root: both_limits(*(limits.get(root, {}) for limits in both)) for root in sorted({*both[0], *both[1]})}
    narrower = narrower_lines(replace(policy, accounts={}, instruments=roots))
    return [*limit_lines(policy.for_(account.name, None).limits), *narrower]


def rules_of(account: Account, policy: Policy) -> list[str]:
    """Say whose rules hold on an account, and where nothing is sent or opened in it."""
    own = policy.for_(account.name, None)
    only = {account.name: AccountPolicy(automation=own.automation, firm=own.firm)}
    held = firm_lines_of(replace(policy, accounts=only), trading_day(utc_now()))
    may = policy.team.lets_open(account.name, account.kind)
    return held if may else [*held, "by your team's policy nothing opens or adds in it"]


def _figures(account: Account) -> Iterator[tuple[str, str]]:
    balances, currency = account.balances, sanitize(account.currency or "", longest=10)
    yield "kind", account.kind if account.kind is AccountKind.SIMULATED else account.kind.upper()
    yield "connection", sanitize(account.connection_status or "unknown", longest=40)
    yield "net liquidation", f"{money(balances.net_liquidation)} {currency}".strip()
    yield "cash", f"{money(balances.cash_value)} {currency}".strip()
    yield "day's P&L", f"{money(balances.day_pnl)} {currency}".strip()


async def _show_obstacles(account: Account, store: SqlStore, screen: Screen) -> None:
    key = account_key(account.name)
    until, halt = await store.armed_until(account.name, utc_now()), await store.halt()
    unsettled = [entry for entry in await store.unsettled() if account_key(entry.account or "") == key]
    screen.say()
    if until is not None:
        screen.say(f"It is armed already, until {local_and_utc(until)}: this sets a new end.", "person")
    if halt is not None:
        lift = command("resume")
        screen.say(f"Trading is halted {describe_halt(halt)}. Arming does not lift that; {lift} does.", "person")
    if unsettled:
        screen.say(f"Of unknown outcome: {count(len(unsettled), 'order')}; see {command('journal')}.", "person")


async def _is_wanted(account: Account, policy: Policy, store: SqlStore, screen: Screen) -> bool:
    screen.say("To let the assistant trade it, type the name of the account again, exactly:")
    if await read_line() != account.name:
        screen.say("That is not its name.")
        return False
    approval = policy.approval_for(account.name, account.kind, leaves=False)
    return await confirm_pin(store, screen, needed=approval is Approval.PAGE_PIN)


async def _disarm(store: SqlStore, screen: Screen, chosen: argparse.Namespace) -> None:
    account: str | None = chosen.account
    armed = await store.armings(utc_now())
    named = (
        [] if account is None else [name for name in armed if account_key(name) == account_key(account)] or [account]
    )
    for name in armed if account is None else named:
        if await Controls(store, utc_now).disarm(name, Actor.TERMINAL):
            screen.say(f"{_name(name)} is disarmed: nothing opens or adds there; exits still work.", "good")
        else:
            screen.say(f"{_name(name)} was not armed.")
    left = await store.armings(utc_now())
    if left:
        screen.say("Still armed:")
        for name, until in left.items():
            screen.say(f"{_name(name)} until {local_and_utc(until)}", label="  ")
    elif account is None and not armed:
        screen.say("No account is armed.")
    await store.close()
    if not left:
        await _look_elsewhere(chosen, screen)


async def _look_elsewhere(chosen: argparse.Namespace, screen: Screen) -> None:
    """Say where accounts are armed that this did not end: a demo has a folder of its own."""
    with other_store(chosen) as store:
        if store is None:
            return
        if armed := await store.armings(utc_now()):
            screen.say(f"{whose(chosen)} has armed: {', '.join(map(_name, armed))}: {command('disarm')}", "person")
        await store.close()


def _name(account: str) -> str:
    return sanitize(account, longest=80)
