"""When the service is to be asked less: it answers far more slowly than it did, or has refused."""

from collections.abc import Callable

import anyio
import httpx
import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.crosstrade.rate_limit import HELD_UP_SECONDS, ServicePace
from ct_mcp.errors import RateLimited
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator

USUAL = (0.69, 0.62, 0.65, 0.7)


def after(*seconds: float) -> ServicePace:
    """A pace that was told these answers, one a second."""
    pace = ServicePace()
    for now, each in enumerate(seconds):
        pace.took(each, float(now))
    return pace


@pytest.mark.parametrize(
    ("last", "is_slow"),
    [
        ((), False),
        ((5.05,), False),
        ((5.05, 4.99), True),
        ((5.05, 0.7, 4.99), True),
        ((1.9, 1.9), False),
        ((5.05, 4.99, 16.26), True),
    ],
)
def test_two_of_three_answers_that_took_far_longer_are_a_service_that_is_slow(
    last: tuple[float, ...], *, is_slow: bool
) -> None:
    assert bool(after(*USUAL, *last).why(8.0)) is is_slow


def test_what_was_always_as_slow_is_usual_and_what_is_quick_is_never_slow() -> None:
    assert not after(*(1.4 for _ in range(9))).why(9.0)
    assert not after(*(0.01 for _ in range(9)), 0.9, 0.9).why(9.0)


def test_it_is_over_once_answers_are_quick_again_or_after_a_while() -> None:
    pace = after(*USUAL, 5.0, 5.0)
    assert "5.0" in pace.why(6.0)
    pace.took(0.6, 7.0)
    assert pace.why(7.0)
    pace.took(0.6, 8.0)
    assert not pace.why(8.0)
    slow = after(*USUAL, 5.0, 5.0)
    assert slow.why(5.0 + HELD_UP_SECONDS - 0.1)
    assert not slow.why(5.0 + HELD_UP_SECONDS)


def test_a_refusal_counts_for_a_while_however_quick_it_was() -> None:
    pace = after(*USUAL)
    pace.refused(4.0)
    pace.took(0.1, 5.0)
    assert "refused" in pace.why(4.0 + HELD_UP_SECONDS - 0.1)
    assert not pace.why(4.0 + HELD_UP_SECONDS)


class Watched(httpx.AsyncBaseTransport):
    """A wire on which requests wait for each other, and the most that were on their way at once."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner, self.under_way, self.most = inner, 0, 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await anyio.wait_all_tasks_blocked()
        self.under_way -= 1
        return await self.inner.handle_async_request(request)


@pytest.mark.parametrize(("refuses", "most"), [(False, 3), (True, 2)])
async def test_reads_go_one_by_one_after_a_refusal_and_no_exit_waits_for_them(
    *, sim: Simulator, clock: Callable[[], object], pause: object, refuses: bool, most: int
) -> None:
    wire = Watched(sim.transport())
    options = {"transport": wire, "clock": clock, "sleep": pause}
    async with CrossTrade("https://simulator.invalid", sim.token, **options) as client:  # type: ignore[arg-type]  # fixtures
        if refuses:
            sim.faults.arm(Fault.RATE_LIMITED, rpc="ListAccounts")
            with pytest.raises(RateLimited):
                await client.accounts()
            sim.faults.disarm()
            sim.advance(30)
        assert bool(client.held_up()) is refuses
        wire.most = 0
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.account, "Sim101")
            tasks.start_soon(client.positions, "Sim101")
            tasks.start_soon(client.urgent().positions, "Sim101")
    assert wire.most == most
