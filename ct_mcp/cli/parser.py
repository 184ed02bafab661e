"""The command line: which commands there are, and what each accepts."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module

from ct_mcp import __version__
from ct_mcp.cli import book_flags, plane_flags
from ct_mcp.cli.flags import flags_of
from ct_mcp.cli.terminal import replace_unprintable_letters
from ct_mcp.errors import ConfigError, CtMcpError
from ct_mcp.text import command, commands_carry

_SETTINGS = (
    ("config", "FILE", "settings to read instead of the usual file"),
    ("state-dir", "DIR", "where tickets and the journal are kept"),
    ("base-url", "URL", "the service; https, or this machine"),
    ("mode", "MODE", "read_only, sim or live"),
    ("toolsets", "LIST", "comma-separated: read, trade, strategies, charts"),
    ("log-level", "LEVEL", "debug, info, warning or error; logs go to stderr"),
)


# Spelled here as well, since the start of every command would pay for the module that knows them.
CLIENT_KEYS = (
    "claude-desktop",
    "claude-code",
    "cursor",
    "vscode",
    "continue",
    "windsurf",
    "cline",
    "codex",
    "gemini",
    "opencode",
)
# Where a command stands that has no module of its own name.
_STANDS_IN = {"disarm": ("arm", "run_disarm"), "resume": ("halt", "run_resume")}
_AT_A_TERMINAL = "works only at a terminal that a person types at; exit codes"


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 cannot start, 3 drift found, 130 interrupted."""
    replace_unprintable_letters()
    try:
        return _told(arguments)
    except BrokenPipeError:  # whoever read our output has enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _told(arguments: Sequence[str]) -> int:
    """Run the command, and write out what it said: a reader who has gone is met here, and not as Python ends."""
    try:
        chosen = _parser().parse_args(arguments)
        with commands_carry(flags_of(chosen, os.environ)):
            return _run(chosen)
    finally:
        with suppress(ValueError):  # a server has closed it
            print(end="", flush=True)


def _run(chosen: argparse.Namespace) -> int:
    try:
        module, function = _STANDS_IN.get(chosen.command, (chosen.command, "run"))
        return int(getattr(import_module(f"ct_mcp.cli.{module}"), function)(chosen))
    except ConfigError as error:
        print(error.what, file=sys.stderr)
        return 2
    except CtMcpError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ct-mcp",
        usage="ct-mcp [-h] [--version] COMMAND ...",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Trade NinjaTrader 8 through an AI assistant and CrossTrade, behind limits and\n"
        "approvals that the assistant cannot pass by itself. "
        f"New here: {command('demo')}",
        epilog=_overview(),
    )
    parser.add_argument("--version", action="version", version=f"ct-mcp {__version__}")
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", prog="ct-mcp", help="one of those below"
    )
    for _, group in _GROUPS:
        for name, (meaning, describe) in group.items():
            described = f"{meaning[:1].upper()}{meaning[1:]}."
            describe(commands.add_parser(name, description=described))
    return parser


def _overview() -> str:
    """List all commands, by who needs them."""
    blocks = (
        "\n".join((f"{title}:", *(f"    {name:<9} {meaning}" for name, (meaning, _) in group.items())))
        for title, group in _GROUPS
    )
    return "\n\n".join((*blocks, f"{command('COMMAND', '--help')} tells what each of them takes, and its exit codes."))


def _serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--demo", action="store_true", help="trade the embedded simulator; needs no token")
    for name, value, meaning in _SETTINGS:
        parser.add_argument(f"--{name}", metavar=value, help=meaning)
    parser.add_argument("--http", action="store_true", help="one server for all clients of this machine, over HTTP")
    over_http = parser.add_argument_group("with --http")
    over_http.add_argument("--host", metavar="ADDRESS", help="where it listens; 127.0.0.1, this machine alone")
    over_http.add_argument("--port", type=_port, metavar="PORT", help="8421; 0 for any free one")
    over_http.add_argument("--name", action="append", default=[], metavar="NAME", help="what clients may call it too")
    over_http.add_argument("--tls-cert", metavar="FILE", help="certificate; needed to be reached from other machines")
    over_http.add_argument("--tls-key", metavar="FILE", help="the key of the certificate")


def _watch(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "exit codes: 0 ended or done, 1 failed, 2 cannot start"
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--list", action="store_true", help="only tell what is watched")
    which.add_argument("--end", metavar="ID", default=None, help="end one watch; only at a terminal")
    parser.add_argument("--demo", action="store_true", help="on the simulator of a server that runs with --demo")
    for name, value, meaning in _SETTINGS:
        parser.add_argument(f"--{name}", metavar=value, help=meaning)


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="let the demo's own client answer the approvals")


def _install(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Without CLIENT it lists them all. It never writes your token. Exit codes: 0 done or nothing to do, 1 not "
        "done, 2 cannot start or nobody to ask"
    )
    parser.add_argument("client", metavar="CLIENT", nargs="?", choices=CLIENT_KEYS, help=", ".join(CLIENT_KEYS))
    parser.add_argument("--uninstall", action="store_true", help="take it out again; what else stands there stays")
    parser.add_argument("--print", action="store_true", help="only show what belongs into the client's file")
    parser.add_argument("--dry-run", action="store_true", help="show what would be changed, and change nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask before it writes")
    parser.add_argument("--name", type=_name, default="ct-mcp", metavar="NAME", help="what the client calls it; ct-mcp")
    _places(parser, "let the client start it on the simulator; needs no token")


def _login(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"{_AT_A_TERMINAL}: 0 kept or removed, 1 not, 2 without a terminal or a keyring"
    parser.add_argument("--logout", action="store_true", help="remove the token from the keyring")
    for name, value, meaning in (_SETTINGS[0], _SETTINGS[2]):
        parser.add_argument(f"--{name}", metavar=value, help=meaning)


def _state(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "exit codes: 0 printed, 2 no name of a role"
    parser.add_argument("asked", choices=("sql",), help="print the statements that an administrator runs")
    parser.add_argument("role", metavar="ROLE", help="the role of one trader, who has all that is made to himself")


def _approve(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "exit codes: 0 all were looked at, 1 failed, 2 without a terminal"
    parser.add_argument("--watch", action="store_true", help="stay, and ask for each proposal as it comes")
    _places(parser)


def _console(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "exit codes: 0 ended, 1 failed, 2 cannot start"
    parser.add_argument(
        "--port", type=_port, default=0, metavar="PORT", help="where it listens on this machine; 0 for any free port"
    )
    parser.add_argument("--no-browser", action="store_true", help="tell the address instead of opening it")
    _places(parser, "show the simulator of a server that runs with --demo, or one of its own")


def _arm(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"{_AT_A_TERMINAL}: 0 armed, 1 not armed, 2 without a terminal or with settings that forbid it"
    parser.add_argument("account", metavar="ACCOUNT", help="its name, exactly as the settings have it")
    parser.add_argument(
        "--for",
        dest="span",
        required=True,
        metavar="TIME",
        help="how long from now on: 30m, 8h or 1d, which is the longest",
    )
    _places(parser)


def _disarm(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"{_AT_A_TERMINAL}: 0 disarmed, or not armed before, 1 failed, 2 without a terminal"
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("account", metavar="ACCOUNT", nargs="?", help="its name, exactly as it was armed")
    which.add_argument("--all", action="store_true", help="every account that is armed")
    _places(parser)


def _floor(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"{_AT_A_TERMINAL}: 0 kept, 1 not kept, 2 without a terminal or where no rule needs it"
    parser.add_argument("account", metavar="ACCOUNT", help="its name, exactly as the settings have it")
    parser.add_argument("amount", metavar="AMOUNT", help="where its floor stands, as the firm's own page shows it")
    _places(parser)


def _rules(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Without NAME it lists them all. Exit codes: 0 shown, 1 there is no such preset, 2 cannot start"
    parser.add_argument("name", metavar="NAME", nargs="?", help="one of those that are listed")
    _places(parser)


def _halt(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"{_AT_A_TERMINAL}: 0 halted, or halted before, 1 failed, 2 without a terminal"
    parser.add_argument("--reason", default="", metavar="TEXT", help="kept in the journal, and told to the assistant")
    _places(parser)


def _resume(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"{_AT_A_TERMINAL}: 0 resumed, or not halted before, 1 still halted, 2 without a terminal"
    _places(parser)


def _pin(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"{_AT_A_TERMINAL}: 0 set, 1 not set, 2 without a terminal"
    _places(parser)


def _journal(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Without ASKED it lists, newest last. Exit codes: 0 done, 1 not found, broken or failed, 2 cannot start"
    )
    _filters(parser)
    parser.add_argument("--limit", type=_count, default=20, metavar="N", help="so many of the newest; 20")
    _places(parser)
    asked = parser.add_subparsers(dest="asked", metavar="ASKED")
    for name, (meaning, describe) in _OF_THE_JOURNAL.items():
        described = f"{meaning[:1].upper()}{meaning[1:]}."
        chosen = asked.add_parser(name, help=meaning, description=described, argument_default=argparse.SUPPRESS)
        describe(chosen)
        _places(chosen)


def _book(parser: argparse.ArgumentParser) -> None:
    book_flags.describe(parser, _places)


def _plane(parser: argparse.ArgumentParser) -> None:
    plane_flags.describe(parser, _port, _count)


def _why(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "exit codes: 0 told, 1 nothing is known by this id, 2 cannot start"
    parser.add_argument("id", metavar="ID", help="of the ticket, or of the order: ours or the service's")


def _verify(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "exit codes: 0 whole, 1 broken or unreadable, 2 cannot start"


def _export(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "exit codes: 0 written, 1 the file is there already or cannot be written, 2 cannot start"
    _filters(parser)
    parser.add_argument(
        "--format", choices=("csv", "jsonl"), default="csv", help="csv for spreadsheets, which is usual"
    )
    parser.add_argument("--output", metavar="FILE", default=None, help="where to; without it to the terminal")
    parser.add_argument("--force", action="store_true", default=False, help="overwrite the file")


def _settle(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"{_AT_A_TERMINAL}: 0 settled, 1 left as it was, 2 without a terminal"
    parser.add_argument("id", metavar="TICKET_ID", help="of the ticket whose outcome is unknown; see get_status")


def _filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--account", metavar="NAME", help="of this account only")
    parser.add_argument("--kind", metavar="KIND", help="of this kind only: proposed, denied, intent, answered ...")
    parser.add_argument("--since", metavar="WHEN", help="30m, 8h or 7d ago, or a date such as 2026-11-20")


def _places(parser: argparse.ArgumentParser, of_a_demo: str = "for a server that was started with --demo") -> None:
    """Add the flags that say whose tickets and journal are meant."""
    parser.add_argument("--demo", action="store_true", help=of_a_demo)
    for name, value, meaning in _SETTINGS[:2]:
        parser.add_argument(f"--{name}", metavar=value, help=meaning)


def _check(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "exit codes: 0 all well, 1 a link is broken, 2 cannot start, 3 the service's routes have changed"
    parser.add_argument("--json", action="store_true", help="for scripts")
    parser.add_argument("--demo", action="store_true", help="check the embedded simulator; needs no token")
    for name, value, meaning in (_SETTINGS[0], _SETTINGS[2]):
        parser.add_argument(f"--{name}", metavar=value, help=meaning)


def _simulate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port", type=_port, default=8787, metavar="PORT", help="where it listens on this machine; 0 for any free port"
    )
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same prices")
    parser.add_argument("--market-hours", choices=("globex", "always"), default="globex", help="when markets are open")
    parser.add_argument("--fault", action="append", default=[], metavar="NAME", help="misbehave; 'list' names them all")


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"found {count}, expected 1 or more")
    return count


def _name(text: str) -> str:
    if not (text.isascii() and text.replace("-", "").replace("_", "").isalnum() and text[0].isalnum()):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected letters, digits, - and _")
    return text


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"found {port}, expected 0 to 65535")
    return port


_Describe = Callable[[argparse.ArgumentParser], None]
_OF_THE_JOURNAL: dict[str, tuple[str, _Describe]] = {
    "why": ("tell the whole story of one order, from proposal to fill", _why),
    "verify": ("check that nothing in it was rewritten, removed or added", _verify),
    "export": ("write it for a spreadsheet or a program", _export),
    "settle": ("say what became of an order that nobody could find out about", _settle),
}
_GROUPS: tuple[tuple[str, dict[str, tuple[str, _Describe]]], ...] = (
    (
        "what a client starts",
        {"serve": ("the MCP server over stdio", _serve)},
    ),
    (
        "what goes on without one",
        {"watch": ("run what is to be watched: trailing stops, alerts, flat by a time", _watch)},
    ),
    (
        "setting it up",
        {
            "install": ("let a client know this server, or take it out again", _install),
            "login": ("keep your CrossTrade token in the keyring of your system", _login),
            "state": ("let several machines share limits and halts, by PostgreSQL", _state),
        },
    ),
    (
        "what only you can do, at a terminal of your own",
        {
            "approve": ("answer what the assistant proposes", _approve),
            "console": ("the same on a page in your browser, with positions and journal", _console),
            "arm": ("let an account of live mode trade, for a time", _arm),
            "disarm": ("end the arming of an account before its time", _disarm),
            "floor": ("tell where the floor of a funded account stands", _floor),
            "halt": ("stop everything that opens or adds; exits go on", _halt),
            "resume": ("lift a halt", _resume),
            "pin": ("set or change the PIN that approvals may ask for", _pin),
        },
    ),
    (
        "over a team",
        {"plane": ("who of a team is live, flat, halted; halts, policies, second yes", _plane)},
    ),
    (
        "looking around",
        {
            "book": ("executions on record, and their gaps; import, export, forget", _book),
            "journal": ("what was asked, decided, sent and answered; why, verify, export", _journal),
            "rules": ("presets of funded accounts, with source and date of each figure", _rules),
            "demo": ("a tour of half a minute on the embedded simulator", _demo),
            "check": ("look at every link to the broker, and at the service's routes", _check),
            "simulate": ("run the simulator: a fake CrossTrade and NinjaTrader", _simulate),
        },
    ),
)
