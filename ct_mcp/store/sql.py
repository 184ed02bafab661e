"""What the tables are written against: a connection that runs SQL, and an engine that gives transactions on one.

It stands alone, so that the statements of a table are written once and load no engine: SQLite runs them as they are
(`database`), PostgreSQL after its parameters were spelled anew (`postgres`). So they keep to what both know:

* ``?`` or ``:name`` for a value; text, whole numbers, reals, bytes and None alone. A bool is a whole number.
* ``ON CONFLICT`` in place of ``INSERT OR REPLACE``; a name for each query in ``FROM``; `NO_LIMIT` in place of -1.
* ``our_service()`` names the service that a process trades for, and the views ``visible_tickets``, ``others`` and
  ``journal_end`` stand in both; so does ``instr(text, part)``.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

NO_LIMIT = 2**62
"""More rows than there are."""


class Rows(Protocol):
    """What a statement gave."""

    @property
    def rowcount(self) -> int:
        """How many rows it changed."""
        ...

    def fetchone(self) -> Any:
        """Give the next row, a tuple; None at the end."""
        ...

    def fetchall(self) -> list[Any]:
        """Give all rows that are left."""
        ...

    def __iter__(self) -> Iterator[Any]: ...


class SqlConnection(Protocol):
    """One transaction on the tables."""

    def execute(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ..., /) -> Rows:
        """Run a statement."""
        ...

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> object:
        """Run a statement once for each of these."""
        ...


class Engine(Protocol):
    """Where the tables are. Every call may raise `StoreFailed`; what `write` returned for is on disk."""

    def read(self, work: Callable[[SqlConnection, *Ts], T], *arguments: *Ts) -> T:
        """Let ``work`` see one moment of the tables."""
        ...

    def write(self, work: Callable[[SqlConnection, *Ts], T], *arguments: *Ts) -> T:
        """Let ``work`` change the tables, all of it or nothing, while nobody else changes any.

        It may be run more than once, and counts once.
        """
        ...

    def aside(self) -> "Engine":
        """Give another engine on the same tables, for what takes long."""
        ...

    def close(self) -> None:
        """Close the connection; a later call opens it again."""
        ...
