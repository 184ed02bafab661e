"""Ten minutes of conversation in one process, on a clock that is moved by hand, with the stream and without it."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from anyio.lowlevel import checkpoint
from figures import Figure
from mcp import Client

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.crosstrade.stream.socket import LiveStream
from ct_mcp.desk.desk import Desk
from ct_mcp.domain.approval import Approval
from ct_mcp.guard.policy import Policy
from ct_mcp.live.cache import LiveCache
from ct_mcp.live.feed import Feed
from ct_mcp.server.app import build_server
from ct_mcp.server.context import ServerContext
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.sqlite import SqliteStore

ACCOUNT = {"account": "Sim101"}
A_TRADING_MORNING = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)
LASTS_SECONDS = 600
_STEP_SECONDS = 0.1
_TURNS_OF_THE_LOOP = 25


class OursAlone:
    """A lease that nobody else wants, so that no thread decides when anything happens."""

    async def take_lease(self, name: str, holder: str, now: datetime, ttl: timedelta) -> bool:
        """Have it."""
        return True

    async def renew_lease(self, name: str, holder: str, now: datetime, ttl: timedelta) -> bool:
        """Keep it."""
        return True

    async def release_lease(self, name: str, holder: str) -> bool:
        """Let it go."""
        return True


@dataclass(frozen=True, slots=True)
class Talk:
    """One conversation: the simulator behind it, its time, and its client."""

    simulator: Simulator
    client: Client

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool; an error ends the run."""
        result = await self.client.call_tool(tool, arguments)
        if result.is_error:
            raise RuntimeError(f"{tool} was answered with {result.content}")
        return dict(result.structured_content or {})

    def price(self, ticks_away: int) -> float:
        """A price so far from the last trade of MES."""
        market, now = self.simulator.market, self.simulator.clock()
        contract = market.front("MES", now)
        return float((market.top(contract, now).last + ticks_away) * contract.product.tick_size)


def measure(home: Path) -> list[Figure]:
    """The same words twice."""
    live = anyio.run(partial(_held, home / "talk-live", is_live=True))
    asked = anyio.run(partial(_held, home / "talk-asked", is_live=False))
    told = ", ".join(f"{rpc} {asked[rpc]} -> {live[rpc]}" for rpc, _ in asked.most_common(6))
    share = live.total() / asked.total()
    return [
        Figure(f"upstream requests of {LASTS_SECONDS // 60} minutes of conversation, live", live.total(), ""),
        Figure("  the same words without the stream", asked.total(), "", detail=f"live is {share:.2f} of it: {told}"),
    ]


async def _held(state_dir: Path, *, is_live: bool) -> Counter[str]:
    async with _talk(state_dir, is_live=is_live) as talk:
        clock = talk.simulator.clock
        began = clock()
        while (passed := int((clock() - began).total_seconds())) < LASTS_SECONDS:
            await _say(talk, passed)
            await _passes(talk.simulator, passed + 1 - (clock() - began).total_seconds())
        return Counter(seen.rpc or seen.path for seen in talk.simulator.requests if seen.method != "WS")


async def _say(talk: Talk, second: int) -> None:
    """What is asked every few seconds, and what is said once."""
    if second % 5 == 0:
        await talk.call("get_quotes", instruments=["MES", "ES"])
    if second % 10 == 0:
        await talk.call("get_positions", **ACCOUNT)
    if second in _SAID_ONCE:
        await _SAID_ONCE[second](talk)


async def _look_round(talk: Talk) -> None:
    await talk.call("get_status")
    await talk.call("get_accounts")


async def _buy_at_once(talk: Talk) -> None:
    await _buy(talk, order_type="MARKET")


async def _protect(talk: Talk) -> None:
    prices = {"stop_loss": talk.price(-400), "take_profit": talk.price(400)}
    await talk.call("protect_position", **ACCOUNT, instrument="MES", **prices)


async def _buy_lower(talk: Talk) -> None:
    resting = await _buy(talk, order_type="LIMIT", limit_price=talk.price(-6))
    await talk.call("get_order", **ACCOUNT, order_id=resting, wait_seconds=25)


async def _get_flat(talk: Talk) -> None:
    await talk.call("flatten", **ACCOUNT)


async def _end_the_day(talk: Talk) -> None:
    for tool in ("get_account", "get_executions", "get_orders"):
        await talk.call(tool, **ACCOUNT)
    await talk.call("get_journal")


_SAID_ONCE: dict[int, Callable[[Talk], Awaitable[None]]] = {
    1: _look_round,
    31: _buy_at_once,
    62: _protect,
    121: _buy_lower,
    481: _get_flat,
    591: _end_the_day,
}


async def _buy(talk: Talk, **kind: Any) -> str:
    order = {"instrument": "MES", "action": "BUY", "quantity": 1}
    answer = await talk.call("place_order", **ACCOUNT, **order, **kind)
    if answer["status"] not in {"filled", "working"}:
        raise RuntimeError(f"the order came to nothing: {answer}")
    return str(answer["order_id"])


async def _passes(simulator: Simulator, seconds: float) -> None:
    """Let time pass in small steps, and what is told in each arrive."""
    while seconds > 0:
        simulator.advance(min(_STEP_SECONDS, seconds))
        seconds -= _STEP_SECONDS
        for _ in range(_TURNS_OF_THE_LOOP):
            await checkpoint()


@asynccontextmanager
async def _talk(state_dir: Path, *, is_live: bool) -> AsyncIterator[Talk]:
    clock = ManualClock(A_TRADING_MORNING)
    simulator = Simulator(seed=7, clock=clock)
    view, policy = LiveCache(clock), Policy(simulated=Approval.NONE)

    async def passes(seconds: float) -> None:
        await _passes(simulator, seconds)

    async def pause(seconds: float) -> bool:
        return await view.pause(seconds, passes)

    async with AsyncExitStack() as stack:
        service = CrossTrade(
            "https://simulator.invalid", simulator.token, transport=simulator.transport(), clock=clock, sleep=passes
        )
        client = await stack.enter_async_context(service)
        store = SqliteStore(state_dir)
        stack.push_async_callback(store.close)
        desk = Desk(client, store, policy, clock=clock, pause=pause)
        tasks = await stack.enter_async_context(anyio.create_task_group())
        stack.callback(tasks.cancel_scope.cancel)
        if is_live:
            stream = LiveStream(simulator.connect, clock=clock, pause=_until(clock), look_every_seconds=0.002)
            tasks.start_soon(Feed(stream, view, OursAlone(), clock).run)
        server = build_server(ServerContext(lambda: desk, policy).fed_by(lambda: view))
        yield Talk(simulator, await stack.enter_async_context(Client(server)))


def _until(clock: ManualClock) -> Callable[[float], Awaitable[None]]:
    """A pause that ends when the conversation has let so much time pass."""

    async def pause(seconds: float) -> None:
        end = clock() + timedelta(seconds=seconds)
        reached = anyio.Event()

        def look() -> None:
            if clock() >= end:
                reached.set()

        clock.watch(look)
        await reached.wait()
        clock.unwatch(look)

    return pause
