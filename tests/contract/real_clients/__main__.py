"""Real clients before ct-mcp: ``bring`` installs them from npm, ``walk`` lets each place an order and prints the table.

They are two commands because the first needs the registry and the second needs no network but this machine's own: see
`.ci/clients`. ``walk`` ends with 1 where a client did not come the whole way. ``search`` shows what a client's own
search of tools finds, where it has one.
"""
# ruff: noqa: T201  # it prints its table

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.contract.real_clients.clients import CLIENTS, Client
from tests.contract.real_clients.journey import Seen, walk
from tests.contract.real_clients.model import TOOLS
from tests.contract.real_clients.search import searched

HEAD = ("client", "version", "tools arrive", "proposed", "approved by", "filled", "protected", "told", "seconds")
_QUIET = ("--no-audit", "--no-fund", "--loglevel=error")
_SCREEN = 1500


def main(arguments: Sequence[str]) -> int:
    """Run one of the two commands."""
    chosen = _parser().parse_args(arguments)
    clients = [client for client in CLIENTS if _is_meant(client, chosen)]
    return {"bring": _bring, "walk": _walk, "search": _search}[chosen.command](clients, chosen)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="real_clients", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    bring, walks, search = (commands.add_parser(name) for name in ("bring", "walk", "search"))
    for each in (bring, walks, search):
        each.add_argument("folder", type=Path, help="where the clients are installed")
        each.add_argument("clients", nargs="*", choices=[[], *(client.key for client in CLIENTS)], help="all, if none")
        each.add_argument("--fast", action="store_true", help="only those that are quick to install and to run")
    bring.add_argument("--npm", nargs="+", required=True, help="the command that npm is")
    bring.add_argument("--latest", action="store_true", help="the newest version of each, not the one that was tried")
    for each in (walks, search):
        each.add_argument("--ct-mcp", type=Path, required=True, help="the program that the clients start")
    return parser


def _is_meant(client: Client, chosen: argparse.Namespace) -> bool:
    return (client.key in chosen.clients or not chosen.clients) and (client.fast or not chosen.fast)


def _bring(clients: Sequence[Client], chosen: argparse.Namespace) -> int:
    for client in clients:
        wanted = f"{client.package}@{'latest' if chosen.latest else client.version}"
        scripts = () if client.scripts else ("--ignore-scripts",)
        place = chosen.folder / client.key
        place.mkdir(parents=True, exist_ok=True)
        print(wanted, flush=True)
        subprocess.run([*chosen.npm, "install", "--prefix", str(place), *scripts, *_QUIET, wanted], check=True)
    return 0


def _walk(clients: Sequence[Client], chosen: argparse.Namespace) -> int:
    print(_row(HEAD), _row("---" for _ in HEAD), sep="\n", flush=True)
    troubles = []
    for client in clients:
        place = chosen.folder / client.key
        seen = walk(client, place / "node_modules/.bin" / client.program, chosen.ct_mcp.absolute(), place / "walk")
        print(_row(_cells(client, seen)), flush=True)
        if what := seen.missing(client):
            troubles.append(f"{client.title} {seen.version}: {what}. Its screen:\n{_screen(place / 'walk')}")
    print(*troubles, sep="\n\n", file=sys.stderr)
    return 1 if troubles else 0


def _search(clients: Sequence[Client], chosen: argparse.Namespace) -> int:
    for client in clients:
        place = chosen.folder / client.key
        program = place / "node_modules/.bin" / client.program
        rows = list(searched(client, program, chosen.ct_mcp.absolute(), place / "search"))
        print(client.title, "searches no tools" if not rows else "", flush=True)
        for row in rows:
            print(_row(row), flush=True)
    return 0


def _cells(client: Client, seen: Seen) -> Iterator[str]:
    yield from (client.title, seen.version, f"{seen.tools} of {len(TOOLS)}", _yes(said=seen.proposed))
    yield from (seen.approved or "nobody", _yes(said=seen.filled), _yes(said=seen.protected), _yes(said=seen.told))
    yield f"{seen.seconds:.0f}"


def _yes(*, said: bool) -> str:
    return "yes" if said else "**no**"


def _row(cells: Iterator[str] | Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _screen(folder: Path) -> str:
    file = folder / "screen.txt"
    return repr(file.read_bytes()[-_SCREEN:]) if file.exists() else "it was not started"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
