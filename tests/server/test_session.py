"""Trading sessions: open or closed, and for how long still."""

import pytest

from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.world import Simulator


async def test_an_open_session_says_when_it_closes(ask) -> None:
    told = await ask("get_session", instrument="ES")
    data = told.data
    assert (data["instrument"], data["is_open"], data["closes_at"]) == ("ES 09-26", True, "2026-09-09T21:00:00Z")
    assert (data["seconds_to_close"], data["seconds_to_open"]) == (23_400, None)
    assert data["trading_day"] == "2026-09-09"
    assert "session OPEN, closes in 6 h 30 min" in told.text
    assert "2026-09-09T21:00:00Z (Wed 16:00 Chicago)" in told.text
    assert "report 0 s old" in told.text


async def test_a_closed_session_says_when_it_opens(ask, sim: Simulator) -> None:
    sim.advance(7 * 3600)
    told = await ask("get_session", instrument="MNQ")
    assert (told.data["is_open"], told.data["opens_at"]) == (False, "2026-09-09T22:00:00Z")
    assert (told.data["seconds_to_open"], told.data["seconds_to_close"]) == (1800, None)
    assert "session CLOSED, opens in 30 min" in told.text


@pytest.mark.parametrize("fault", [Fault.EMPTY_BODY, Fault.HTML_PAGE, Fault.ADDON_OFFLINE])
async def test_a_session_that_cannot_be_read_is_an_error_and_not_closed(ask, sim: Simulator, fault: Fault) -> None:
    sim.faults.arm(fault)
    told = await ask("get_session", instrument="ES")
    assert told.is_error
    assert "CLOSED" not in told.text


async def test_an_instrument_that_is_none_is_refused(ask) -> None:
    assert "none of the known spellings" in (await ask("get_session", instrument="?")).text
