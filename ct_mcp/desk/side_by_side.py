"""Reads that are made side by side, a few at a time; each may fail by itself.

async with SideBySide(failures) as ask:
    orders = ask.read("orders", upstream.orders(account, active_only=True))
    positions = ask.read("positions", upstream.positions(account))
orders.value   # None where it could not be read, and then ``failures`` says so
"""

from collections.abc import Awaitable, Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import anyio

from ct_mcp.errors import UpstreamError

T = TypeVar("T")

# The service slows down, or refuses, whoever asks for more at once.
MOST_AT_ONCE = 3


@dataclass(slots=True)
class Reading(Generic[T]):
    """One read: its value, or why there is none.

    ``is_borne_out`` says whether a second source was read that could have said otherwise; None where none was asked.
    """

    value: T | None = None
    error: UpstreamError | None = None
    is_borne_out: bool | None = None

    def required(self) -> T:
        """Give the value of a read that must not fail.

        Raises:
            UpstreamError: It has failed.
        """
        if self.error is not None:
            raise self.error
        assert self.value is not None  # noqa: S101  # a read gives something, or raises
        return self.value


class SideBySide:
    """Collects reads and makes them all when its block ends well; ``failures`` is told what could not be read."""

    def __init__(self, failures: list[str]) -> None:
        self._failures = failures
        self._asked: list[tuple[str, Awaitable[Any], Reading[Any]]] = []
        self._limit = anyio.Semaphore(MOST_AT_ONCE)
        self._surprises: list[Exception] = []

    def read(self, what: str, asked: Awaitable[T]) -> Reading[T]:
        """Add one read; what it gave stands in the answer once the block has ended."""
        reading = Reading[T]()
        self._asked.append((what, asked, reading))
        return reading

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is not None:
                return
            async with anyio.create_task_group() as tasks:
                for _, asked, reading in self._asked:
                    tasks.start_soon(self._make, asked, reading)
        finally:
            for _, asked, _ in self._asked:
                if isinstance(asked, Coroutine):
                    asked.close()  # what was never made, also where this was cancelled, is said so to nobody
        self._failures += [
            f"{what} could not be read: {reading.error.code}: {reading.error.what}"
            for what, _, reading in self._asked
            if reading.error is not None
        ]
        # A group would wrap it, and whoever asked handles it by its kind.
        if self._surprises:
            raise self._surprises[0]

    async def _make(self, asked: Awaitable[Any], reading: Reading[Any]) -> None:
        async with self._limit:
            try:
                reading.value = await asked
            except UpstreamError as error:
                reading.error = error
            except Exception as surprise:  # noqa: BLE001 - raised again when all have ended
                self._surprises.append(surprise)
