"""A database that the machines of an episode share, each by a cable of its own that can be cut.

It stands alone, since it borrows the server and the cable of the tests: nothing else of the benchmarks needs those.
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

sys.path.append(str(Path(__file__).parents[1]))

from ct_mcp.store.postgres import PostgresDatabase
from ct_mcp.store.postgres_url import parse_postgres_url
from tests.postgres import Server, as_text, running_server
from tests.tcp_proxy import Cable, cable_to

FILE_NAME = "database"
"""Where a machine finds its URL: a command line can be read by everybody."""
_WORDS = ("COMMIT", "COMMIT", "COMMIT", "take_turn", "INSERT INTO journal", "UPDATE tickets", "INSERT INTO outstanding")
_AFTER_UP_TO = 12


@contextmanager
def database_server() -> Iterator[str]:
    """Start a server of our own; gives the URL of its administrator."""
    with running_server() as server:
        yield as_text(server.administrator)


class SharedState:
    """The tables of one trader, for an episode."""

    def __init__(self, administrator: str, stack: ExitStack) -> None:
        self._trader = stack.enter_context(Server(parse_postgres_url(administrator)).own_trader())
        self._stack = stack
        self._cables: dict[Path, Cable] = {}

    def reached_from(self, folder: Path) -> None:
        """Lay a cable for the machine of a folder."""
        assert self._trader.port is not None
        cable = self._cables[folder] = self._stack.enter_context(cable_to(self._trader.host, self._trader.port))
        file = folder / FILE_NAME
        file.touch(mode=0o600)
        file.write_text(as_text(replace(self._trader, port=cable.port)), encoding="utf-8")

    def opened(self) -> PostgresDatabase:
        """Reach it by no cable; the time of the episode is believed."""
        return PostgresDatabase(self._trader)

    def arm(self, folder: Path, fault: str, rng: Random) -> None:
        """Let something happen to a cable, once."""
        cable, word = self._cables[folder], rng.choice(_WORDS).encode()
        cable.lets_through = rng.randint(0, _AFTER_UP_TO)
        match fault:
            case "database-cut":
                cable.cut()
            case "database-cut-before":
                cable.cuts_before = word
            case "database-answer-lost":
                cable.loses_answer_to = word

    def let_go(self, folder: Path) -> int:
        """Let nothing happen any more; gives how many times something has."""
        cable = self._cables[folder]
        is_armed = bool(cable.cuts_before or cable.loses_answer_to)
        cable.cuts_before = cable.loses_answer_to = b""
        return 0 if is_armed else 1
