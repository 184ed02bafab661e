"""The arguments of ``ct-mcp plane``. They stand apart from `cli/parser.py`, which would be too long with them."""

import argparse
from collections.abc import Callable

_Describe = Callable[[argparse.ArgumentParser], None]
_AT_A_TERMINAL = "works only at a terminal that a person types at; exit codes"
_CANNOT = "2 cannot start"


def describe(parser: argparse.ArgumentParser, port: Callable[[str], int], count: Callable[[str], int]) -> None:
    """Say what the command takes; ``port`` and ``count`` read a number."""
    parser.epilog = (
        "The database is the one of --database, else of CT_MCP_PLANE, else of the settings (plane, or state). Its "
        "password stands in a passfile. Exit codes: 0 done, 1 not done, 2 cannot start, or without a terminal where "
        "only a person may"
    )
    asked = parser.add_subparsers(dest="asked", metavar="ASKED", required=True)
    for name, (meaning, add) in _ASKED.items():
        chosen = _add(asked, name, meaning)
        add(chosen)
        if name == "serve":
            chosen.add_argument("--port", type=port, default=0, metavar="PORT", help="where it listens; 0 for any free")
        if name in ("journal", "acts"):
            chosen.add_argument("--limit", type=count, default=20, metavar="N", help="so many of the newest; 20")


def _add(
    asked: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, meaning: str
) -> argparse.ArgumentParser:
    return asked.add_parser(name, help=meaning, description=f"{meaning[:1].upper()}{meaning[1:]}.")


def _place(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say which database is meant, and whose PIN."""
    parser.add_argument("--database", metavar="URL", help="postgresql://ROLE@HOST/DATABASE, without a password")
    parser.add_argument("--config", metavar="FILE", help="settings to read instead of the usual file")
    parser.add_argument("--state-dir", metavar="DIR", help="the folder of this machine, which holds your PIN")


def _show(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"exit codes: 0 shown, 1 out of reach or not allowed, {_CANNOT}"
    parser.add_argument("--json", action="store_true", help="for scripts")
    _place(parser)


def _reads(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"exit codes: 0 shown, 1 out of reach or not allowed, {_CANNOT}"
    _place(parser)


def _whom(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("trader", metavar="TRADER", nargs="?", help="the role of one trader")
    which.add_argument("--all", action="store_true", help="everybody")
    _place(parser)


def _halt(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"Needs no terminal: it only narrows. Exit codes: 0 halted, or halted before, 1 not, {_CANNOT}"
    parser.add_argument("--reason", default="", metavar="TEXT", help="kept at the plane, and told to the traders")
    _whom(parser)


def _resume(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"{_AT_A_TERMINAL}: 0 resumed, or not halted before, 1 still halted, 2 without a terminal"
    _whom(parser)


def _policy(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"exit codes: 0 done, 1 not done, {_CANNOT}"
    what = parser.add_subparsers(dest="policy", metavar="WHAT", required=True)
    shown = _add(what, "show", "show what is set, for everybody or for one trader")
    shown.epilog = f"exit codes: 0 shown, 1 out of reach or not allowed, {_CANNOT}"
    shown.add_argument("trader", metavar="TRADER", nargs="?", help="of one trader; without it all that is set")
    _place(shown)
    changed = _add(what, "set", "set a policy, once it was shown what changes")
    changed.add_argument("file", metavar="FILE", help="TOML, in the form of the settings file")
    cleared = _add(what, "clear", "end a policy, once it was shown what goes")
    for chosen in (changed, cleared):
        chosen.epilog = f"{_AT_A_TERMINAL}: 0 set, 1 as it was, 2 without a terminal"
        chosen.add_argument("--trader", metavar="TRADER", help="for one trader; without it for everybody")
        _place(chosen)


def _answer(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"{_AT_A_TERMINAL}: 0 answered, 1 left as it was, 2 without a terminal"
    parser.add_argument("ticket", metavar="TICKET", help="its id, or what it begins with; see questions")
    _place(parser)


def _journal(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"exit codes: 0 whole, 1 broken, unreadable or not allowed, {_CANNOT}"
    parser.add_argument("trader", metavar="TRADER", help="whose state is in this database")
    _place(parser)


def _acts(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"exit codes: 0 whole, 1 broken, unreadable or not allowed, {_CANNOT}"
    _place(parser)


def _sql(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Without a flag it prints what makes the plane itself. Exit codes: 0 printed, 2 no name of a role"
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--trader", metavar="ROLE", help="make a role a trader of the team")
    which.add_argument("--risk-manager", metavar="ROLE", help="make a role a risk manager of the team")
    which.add_argument("--remove", metavar="ROLE", help="take a role out of the team")


def _serve(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"{_AT_A_TERMINAL}: 0 ended, 1 failed, {_CANNOT}"
    parser.add_argument("--no-browser", action="store_true", help="tell the address instead of opening it")
    _place(parser)


_ASKED: dict[str, tuple[str, _Describe]] = {
    "show": ("how each trader stands: live, flat, halted, over a rule", _show),
    "serve": ("all of it on a page in your browser", _serve),
    "halt": ("stop what opens or adds, of one trader or of everybody; exits go on", _halt),
    "resume": ("lift a halt of the plane", _resume),
    "policy": ("show, set or clear what narrows one trader, or everybody", _policy),
    "questions": ("list what waits for a second person's yes", _reads),
    "answer": ("see one of them whole, and answer it", _answer),
    "journal": ("read a trader's journal, and check its chain", _journal),
    "acts": ("what was done at the plane by whom, and whether that is whole", _acts),
    "sql": ("print the statements that an administrator runs", _sql),
}
