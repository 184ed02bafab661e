"""The command line: which commands there are, and what each accepts."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from ct_mcp import __version__
from ct_mcp.cli.terminal import never_crash_on_letters
from ct_mcp.errors import ConfigError, CtMcpError

_SETTINGS = (
    ("config", "FILE", "settings to read instead of the usual file"),
    ("state-dir", "DIR", "where tickets and the journal are kept"),
    ("base-url", "URL", "the service; https, or this machine"),
    ("mode", "MODE", "read_only, sim or live"),
    ("toolsets", "LIST", "comma-separated: read, trade"),
    ("log-level", "LEVEL", "debug, info, warning or error; logs go to stderr"),
)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 cannot start, 3 drift found, 130 interrupted."""
    never_crash_on_letters()
    chosen = _parser().parse_args(arguments)
    try:
        return int(import_module(f"ct_mcp.cli.{chosen.command}").run(chosen))
    except ConfigError as error:
        print(error.what, file=sys.stderr)
        return 2
    except CtMcpError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read our output has enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ct-mcp",
        description="Trade NinjaTrader 8 through an AI assistant and CrossTrade, behind limits and approvals "
        "that the assistant cannot pass by itself. New here: ct-mcp demo",
    )
    parser.add_argument("--version", action="version", version=f"ct-mcp {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _serve(commands.add_parser("serve", help="the MCP server over stdio; what a client starts"))
    _demo(commands.add_parser("demo", help="a tour of half a minute on the embedded simulator"))
    _approve(commands.add_parser("approve", help="answer what the assistant proposes, at a terminal"))
    _check(commands.add_parser("check", help="look at every link to the broker, and at the service's routes"))
    _simulate(commands.add_parser("simulate", help="run the simulator: a fake CrossTrade and NinjaTrader"))
    return parser


def _serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--demo", action="store_true", help="trade the embedded simulator; needs no token")
    for name, value, meaning in _SETTINGS:
        parser.add_argument(f"--{name}", metavar=value, help=meaning)


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="let the demo's own client answer the approvals")


def _approve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--watch", action="store_true", help="stay, and ask for each proposal as it comes")
    parser.add_argument("--demo", action="store_true", help="for a server that was started with --demo")
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


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"found {port}, expected 0 to 65535")
    return port
