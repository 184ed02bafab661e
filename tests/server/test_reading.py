"""A read is bounded in time, and what may be missing is noted rather than fatal."""

import anyio
import pytest

from ct_mcp.errors import Unavailable
from ct_mcp.server.reading import Reading, in_time


async def test_a_read_that_lasts_too_long_ends_as_unknown() -> None:
    @in_time(0.0)
    async def read() -> str:
        await anyio.sleep_forever()
        return "never"

    with pytest.raises(Unavailable, match="unknown now, not empty"):
        await read()


async def test_a_bounded_read_keeps_its_name_and_its_answer() -> None:
    @in_time()
    async def read(name: str) -> str:
        """Read something."""
        return name

    assert (read.__name__, read.__doc__) == ("read", "Read something.")
    assert await read("something") == "something"


async def test_notes_are_kept_once_each_in_the_order_they_came(desk) -> None:
    reading = Reading(desk)
    for note in ("b", "a", "b"):
        reading.note(note)
    assert reading.notes == ["b", "a"]
