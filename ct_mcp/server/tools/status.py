"""The tool that looks at every link and never fails because one is broken."""

from typing import Annotated

import anyio
from mcp_types import CallToolResult

from ct_mcp.errors import CtMcpError, Unavailable
from ct_mcp.server.answers.status import Link, Memory, StatusAnswer, StatusReport, status_answer
from ct_mcp.server.links import broker_links, next_step, upstream_links
from ct_mcp.server.reading import Reading, in_time
from ct_mcp.server.standing import Standing, read_accounts
from ct_mcp.server.toolsets import toolsets_off
from ct_mcp.server.wiring import ToolContext, desk_of, wiring_of

LONGEST_LOOK_SECONDS = 20.0


@in_time()
async def get_status(ctx: ToolContext) -> Annotated[CallToolResult, StatusAnswer]:
    """Call first: every link to the broker, accounts that may trade, limits, halt, what waits, what to mend."""
    wiring, reading = wiring_of(ctx), Reading(desk_of(ctx))
    standings, failure = await look(reading)
    memory, broken_store = await _remembered(reading)
    journal = Link("journal", "broken", str(broken_store.what)) if broken_store else Link("journal", "ok")
    report = StatusReport(
        policy=wiring.policy,
        links=(
            *upstream_links(failure),
            *broker_links(standings or ()),
            journal,
            Link("stream", *wiring.live.condition()),
        ),
        next_step=next_step(failure or broken_store, standings or ()),
        standings=standings,
        memory=memory,
        allowance=await reading.attempt("the request budget", reading.upstream.allowance()),
        toolsets_off=toolsets_off(wiring.toolsets, wiring.policy.mode),
        notes=reading.notes,
    )
    return status_answer(report, reading.desk.clock())


async def look(
    reading: Reading, longest_seconds: float = LONGEST_LOOK_SECONDS
) -> tuple[list[Standing] | None, CtMcpError | None]:
    """Read the accounts, or say what kept us from it; a service that does not answer is no reason to wait on."""
    try:
        with anyio.move_on_after(longest_seconds):
            return await read_accounts(reading), None
    except CtMcpError as error:
        return None, error
    return None, Unavailable(f"no answer within {longest_seconds:.0f} s")


async def _remembered(reading: Reading) -> tuple[Memory | None, CtMcpError | None]:
    store, now = reading.desk.store, reading.desk.clock()
    try:
        tickets, armings = await store.open_tickets(now), await store.armings(now)
        return Memory(await store.halt(), tickets, armings, await store.unsettled()), None
    except CtMcpError as error:
        return None, error
