"""``ct-mcp login``: the person's token goes into the keyring of their system, after one read has shown that it holds.

It is typed without being shown, and stands on no command line, in no file of ours and in no error.
"""

import argparse
import os
from dataclasses import replace

import anyio

from ct_mcp.cli.runtime import shared_budget, timeouts_of, utc_now
from ct_mcp.cli.screen import Screen
from ct_mcp.cli.terminal import lacks_terminal, read_secret
from ct_mcp.config.settings import Settings, load
from ct_mcp.config.sources import (
    TOKEN_VARIABLES,
    NoKeyring,
    Secret,
    keep_in_keyring,
    kept_in_keyring,
    remove_from_keyring,
    token_flaw,
)
from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.crosstrade.diagnostics import Transport
from ct_mcp.errors import CtMcpError
from ct_mcp.live.cache import LinkState
from ct_mcp.server.links import upstream_links
from ct_mcp.text import command, redact_secrets

LONGEST_SECONDS = 30.0


def run(chosen: argparse.Namespace) -> int:
    """Log in or out: 0 done, 1 not done, 2 without a terminal or a keyring."""
    screen = Screen.on_stdout()
    try:
        if chosen.logout:
            return _log_out(screen)
        if lacks_terminal(command("login")):
            return 2
        kept_in_keyring()  # there must be one before anybody is asked for a secret
        return _log_in(_settings(chosen), screen)
    except NoKeyring:
        return _no_keyring(screen)
    except OSError as error:
        screen.bad(f"The keyring of this system cannot be used ({error}).")
        screen.say(f"Nothing was kept. Unlock it and try again, or set {TOKEN_VARIABLES[0]} for your client.")
        return 2


def _settings(chosen: argparse.Namespace) -> Settings:
    """Read the settings without the token that there is, which may be the very thing to be mended."""
    environ = {name: text for name, text in os.environ.items() if name not in TOKEN_VARIABLES}
    return load({"config": chosen.config, "base_url": chosen.base_url}, environ, keyring=lambda: None)


def _log_in(settings: Settings, screen: Screen) -> int:
    screen.say(f"The token from CrossTrade's My Account page is tried with one read at {settings.base_url}, then kept")
    screen.say("in the keyring of this system. It is a password for real money; it is not shown while you type.")
    given = read_secret("Token: ").strip()
    if not given or (flaw := token_flaw(given)):
        screen.bad(f"That is no token: {flaw if given else 'nothing was typed'}. Nothing was kept.")
        return 1
    token = Secret(given)
    screen.wait("trying it")
    failure = anyio.run(try_token, replace(settings, token=token))
    if not holds(failure):
        screen.bad(f"It was not kept: {redact_secrets(failure.what if failure else '', (given,))}")
        screen.say(f"Nothing was changed. Then try again: {command('login')}")
        return 1
    keep_in_keyring(token)
    _tell_kept(screen, failure)
    return 0


async def try_token(settings: Settings, transport: Transport | None = None) -> CtMcpError | None:
    """Read the accounts once with the token of these settings; gives what kept us from it."""
    budget = shared_budget(settings, utc_now)
    token = settings.token.reveal() if settings.token else None
    try:
        with anyio.fail_after(LONGEST_SECONDS):
            async with CrossTrade(
                settings.base_url, token, timeouts_of(settings), transport=transport, budget=budget
            ) as client:
                await client.accounts()
    except CtMcpError as error:
        return error
    except TimeoutError:
        return CtMcpError(f"CrossTrade gave no answer within {LONGEST_SECONDS:.0f} s")
    finally:
        await budget.close()
    return None


def holds(failure: CtMcpError | None) -> bool:
    """Say whether the service took the token, whatever failed behind it: the plan, the add-on, NinjaTrader."""
    if type(failure) is CtMcpError:
        return False
    return any(link.name == "token" and link.state is LinkState.OK for link in upstream_links(failure))


def _tell_kept(screen: Screen, failure: CtMcpError | None) -> None:
    screen.good("The token holds, and is kept in the keyring of this system.")
    if failure is not None:
        screen.say(f"Behind it something is missing: {failure.what}. {command('check')} says what to do.")
    if named := [name for name in TOKEN_VARIABLES if os.environ.get(name)]:
        screen.say(
            f"{' and '.join(named)} is set in this environment, and is used in place of what the keyring holds.", "bad"
        )
    screen.say(f"Servers that run already must be started again. Next: {command('install')}")


def _log_out(screen: Screen) -> int:
    if remove_from_keyring():
        screen.good("The token is removed from the keyring. Servers that run already have it until they end.")
    else:
        screen.say("There was no token in the keyring.")
    return 0


def _no_keyring(screen: Screen) -> int:
    screen.bad("The package that speaks to the keyring of your system is not installed.")
    screen.say("Install it where ct-mcp is installed: pip install keyring")
    screen.say("(with uv, in ct-mcp's folder: uv tool install . --with keyring)")
    screen.say(f"Or set the environment variable {TOKEN_VARIABLES[0]} for your client. Nothing was kept.")
    return 2
