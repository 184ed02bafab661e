"""The arguments of ``ct-mcp book``. They stand apart from `cli/parser.py`, which would be too long with them."""

import argparse
from collections.abc import Callable

_CANNOT = "2 cannot start"


def describe(parser: argparse.ArgumentParser, places: Callable[[argparse.ArgumentParser], None]) -> None:
    """Say what the command takes; ``places`` adds the flags that say whose record is meant."""
    parser.epilog = f"Without ASKED it tells what is on record, and its gaps. Exit codes: 0 done, 1 not done, {_CANNOT}"
    places(parser)
    asked = parser.add_subparsers(dest="asked", metavar="ASKED")
    for name, (meaning, add) in _ASKED.items():
        described = f"{meaning[:1].upper()}{meaning[1:]}."
        chosen = asked.add_parser(name, help=meaning, description=described, argument_default=argparse.SUPPRESS)
        add(chosen)
        places(chosen)


def _import(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "In NinjaTrader: Trade Performance, Executions (better) or Trades, right click, Export, CSV. It is told first "
        f"what is read and what is left out. Exit codes: 0 told or kept, 1 nothing can be read, {_CANNOT}"
    )
    parser.add_argument("file", metavar="FILE", nargs="?", default=None, help="the CSV that NinjaTrader has exported")
    parser.add_argument("--journal", action="store_true", default=False, help="ct-mcp's own journal in place of FILE")
    parser.add_argument("--account", metavar="NAME", default=None, help="only its rows, or whose all rows are")
    parser.add_argument("--zone", metavar="ZONE", default=None, help="where the file was made: America/New_York")
    parser.add_argument("--dates", choices=("day", "month"), default=None, help="which comes first, if no date tells")
    parser.add_argument("--keep", action="store_true", default=False, help="keep what is new; without it nothing is")


def _export(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"exit codes: 0 written, 1 the file is there already or cannot be written, {_CANNOT}"
    parser.add_argument(
        "--what", dest="rows", choices=("trades", "executions"), default="trades", help="trades, which is usual"
    )
    parser.add_argument("--account", metavar="NAME", default=None, help="of this account only")
    parser.add_argument("--since", metavar="DAY", default=None, help="a trading day such as 2026-11-20")
    parser.add_argument("--until", metavar="DAY", default=None, help="the last trading day that is meant")
    parser.add_argument("--format", choices=("csv", "jsonl"), default="csv", help="csv, for spreadsheets, is usual")
    parser.add_argument("--output", metavar="FILE", default=None, help="where to; without it to the terminal")
    parser.add_argument("--force", action="store_true", default=False, help="overwrite the file")


def _forget(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"What was recorded stays. Exit codes: 0 forgotten, 1 failed, {_CANNOT}"
    parser.add_argument("account", metavar="ACCOUNT", help="whose imported executions are forgotten")


_ASKED: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "import": ("put in what NinjaTrader has exported", _import),
    "export": ("write trades or executions for a spreadsheet or a program", _export),
    "forget": ("take out what was imported of an account", _forget),
}
