"""A service that takes connections and answers nothing: a call that reads in several rounds waits for one of them."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import anyio
import httpx
import pytest

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.errors import AddonOffline, OutcomeUnknown, Unavailable

ACCOUNTS = {"success": True, "accounts": []}
ORDERS = {"success": True, "orders": []}


class Line(httpx.AsyncBaseTransport):
    """Each request takes as long as is said of its route, and is given up then, or answered."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.takes: dict[str, tuple[float, httpx.Response | Exception]] = {}
        self.asked: list[str] = []
        self.meanwhile: Callable[[], Awaitable[object]] | None = None

    def time(self) -> float:
        return self.seconds

    def clock(self) -> datetime:
        return datetime(2026, 12, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        route = request.url.path.rpartition("/")[2]
        self.asked.append(route)
        seconds, said = self.takes[route]
        self.seconds += seconds
        if self.meanwhile is not None:
            do, self.meanwhile = self.meanwhile, None
            await do()
        if isinstance(said, Exception):
            raise said
        return httpx.Response(said.status_code, content=said.content)


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    """Nobody answers."""
    line = Line()
    monkeypatch.setattr(anyio, "current_time", line.time)
    nothing = (20.0, httpx.ReadTimeout(""))
    line.takes = dict.fromkeys(("accounts", "orders", "flatten"), nothing)
    return line


@pytest.fixture
def client(line: Line) -> CrossTrade:
    return CrossTrade(
        "https://crosstrade.invalid",
        "t",
        transport=line,
        clock=line.clock,
        sleep=line.sleep,
    )


async def orders(client: CrossTrade) -> object:
    return await client.orders("Sim101", active_only=True)


async def test_what_is_asked_right_after_one_that_was_given_up_is_told_so_at_once(
    line: Line, client: CrossTrade
) -> None:
    with pytest.raises(Unavailable, match="ListAccounts got no answer"):
        await client.accounts()
    with pytest.raises(
        Unavailable, match="ListOrders was not asked: ListAccounts got no answer in 20 s, and nothing else did"
    ):
        await orders(client)
    assert (line.asked, line.seconds) == (["accounts"], 1020.0)


async def test_a_while_later_it_is_asked_again(line: Line, client: CrossTrade) -> None:
    with pytest.raises(Unavailable):
        await client.accounts()
    line.seconds += 3
    line.takes["orders"] = (0.5, httpx.Response(200, json=ORDERS))
    assert await orders(client) == ()


async def test_nothing_is_silent_that_answers_something_else_meanwhile(line: Line, client: CrossTrade) -> None:
    line.takes["orders"] = (0.5, httpx.Response(200, json=ORDERS))
    line.meanwhile = lambda: orders(client)
    with pytest.raises(Unavailable):
        await client.accounts()
    assert await orders(client) == ()


@pytest.mark.parametrize(
    ("seconds", "said", "kind"),
    [
        (0.1, httpx.ReadTimeout(""), Unavailable),
        (20.0, httpx.ConnectError(""), Unavailable),
        (20.0, httpx.Response(408, json={"success": False, "error": "Client not ready"}), AddonOffline),
    ],
    ids=["at once", "no connection", "an answer"],
)
async def test_another_failure_keeps_nobody_from_asking(
    line: Line, client: CrossTrade, seconds: float, said: httpx.Response | Exception, kind: type[Exception]
) -> None:
    line.takes = {"accounts": (seconds, said), "orders": (0.5, httpx.Response(200, json=ORDERS))}
    with pytest.raises(kind):
        await client.accounts()
    assert await orders(client) == ()


async def test_a_silence_of_long_ago_takes_no_other_read_its_second_try(line: Line, client: CrossTrade) -> None:
    with pytest.raises(Unavailable):
        await client.accounts()
    line.seconds += 600
    line.takes["orders"] = (0.1, httpx.ConnectError(""))
    with pytest.raises(Unavailable, match="could not be reached"):
        await orders(client)
    assert line.asked == ["accounts", "orders", "orders", "orders"]


async def test_an_exit_is_sent_into_the_silence_all_the_same(line: Line, client: CrossTrade) -> None:
    with pytest.raises(Unavailable):
        await client.accounts()
    with pytest.raises(OutcomeUnknown):
        await client.urgent().flatten("Sim101", None)
    assert line.asked == ["accounts", "flatten"]


async def test_who_waits_for_a_turn_behind_it_does_not_wait_as_long_again(line: Line, client: CrossTrade) -> None:
    for seconds in (0.5, 0.5, 10.0, 10.0):  # it has become slow, so that one read goes after the other
        line.takes["accounts"] = (seconds, httpx.Response(200, json=ACCOUNTS))
        await client.accounts()
    line.takes["orders"] = (20.0, httpx.ReadTimeout(""))
    failures = list[str]()

    async def fails(read: Callable[[CrossTrade], Awaitable[object]]) -> None:
        with pytest.raises(Unavailable) as error:
            await read(client)
        failures.append(error.value.what)

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(fails, orders)
    assert line.asked.count("orders") == 1
    assert sum("was not asked" in failure for failure in failures) == 2
