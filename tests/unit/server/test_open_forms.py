"""A form of the older protocols belongs to its ticket: a person may need longer than a client's call lasts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import pytest
from mcp import Client
from mcp_types import ElicitRequestParams, ElicitResult

from ct_mcp.desk.context import ContextBuilder
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.membership import Membership
from ct_mcp.domain.approval import Approval, Ticket
from ct_mcp.guard.policy import Policy
from ct_mcp.server.app import build_server
from ct_mcp.server.context import ServerContext
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.simulator import Simulator
from tests.conftest import yes

ORDER = {"account": "Sim101", "instrument": "MES", "action": "BUY", "quantity": 1, "order_type": "MARKET"}


@pytest.fixture
def policy() -> Policy:
    return Policy(wait_seconds=0.5, form_seconds=0.5)


@dataclass
class SlowPerson:
    """Somebody who reads the form for as long as a test wants, and is never called back by a client that gave up."""

    asked: list[str] = field(default_factory=list)
    shown: anyio.Event = field(default_factory=anyio.Event)
    answers: anyio.Event = field(default_factory=anyio.Event)
    answered: anyio.Event = field(default_factory=anyio.Event)
    withdrawn: bool = False

    async def __call__(self, context: object, params: ElicitRequestParams) -> ElicitResult:
        """Show the form until it is time to answer; then type what it says."""
        self.asked.append(params.message)
        self.shown.set()
        try:
            await self.answers.wait()
        except anyio.get_cancelled_exc_class():
            self.withdrawn = True
            raise
        self.answered.set()
        return yes(params.message)


@pytest.fixture
def slow() -> SlowPerson:
    return SlowPerson()


@pytest.fixture
def opened() -> list[str]:
    return []


@pytest.fixture
async def client(desk: Desk, policy: Policy, slow: SlowPerson, opened: list[str]) -> AsyncIterator[Client]:
    """A client of the older protocol whose person takes their time, on a server that opens pages."""

    async def open_page(ticket: Ticket, within_seconds: float) -> bool:
        opened.append(ticket.ticket_id)
        return False

    async with connected(desk, policy, slow, open_page) as client:
        yield client


@asynccontextmanager
async def connected(desk: Desk, policy: Policy, slow: SlowPerson, open_page: object = None) -> AsyncIterator[Client]:
    context = ServerContext(lambda: desk, policy, open_page=open_page)  # type: ignore[arg-type]  # a page of the test's
    async with Client(build_server(context), mode="legacy", elicitation_callback=slow) as client:
        yield client


async def until_approved(desk: Desk, ticket_id: str) -> None:
    with anyio.fail_after(60):
        while (await desk.ticket(ticket_id)).state == "open":
            await anyio.lowlevel.checkpoint()


async def test_the_right_text_that_comes_after_the_call_has_ended_is_a_yes(
    client: Client, desk: Desk, slow: SlowPerson, sim: Simulator
) -> None:
    placed = await client.call_tool("place_order", ORDER)
    ticket_id = placed.structured_content["ticket_id"]
    assert (placed.structured_content["status"], slow.withdrawn) == ("needs_approval", False)
    slow.answers.set()
    await until_approved(desk, ticket_id)
    assert not sim.exchange.orders, "a yes alone sends nothing"
    sent = await client.call_tool("confirm_ticket", {"ticket_id": ticket_id})
    assert sent.structured_content["status"] == "filled"
    assert len(slow.asked) == len(sim.exchange.orders) == 1


async def test_who_asks_again_waits_for_the_same_form(client: Client, slow: SlowPerson, sim: Simulator) -> None:
    placed = await client.call_tool("place_order", ORDER)
    told = []

    async def confirm() -> None:
        told.append(await client.call_tool("confirm_ticket", {"ticket_id": placed.structured_content["ticket_id"]}))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(confirm)
        slow.answers.set()
    assert told[0].structured_content["status"] == "filled"
    assert len(slow.asked) == 1


async def test_silence_does_not_mean_that_the_client_shows_no_forms(
    client: Client, slow: SlowPerson, opened: list[str]
) -> None:
    first = await client.call_tool("place_order", ORDER)
    await client.call_tool("place_order", {**ORDER, "quantity": 2})
    assert len(slow.asked) == 2, "the next order is asked about in a form again"
    assert opened[0] == first.structured_content["ticket_id"], "and the page is the next place to answer"


async def test_a_client_that_gave_up_its_call_finds_the_yes_of_its_form(
    client: Client, desk: Desk, slow: SlowPerson, sim: Simulator, clock: ManualClock
) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.call_tool, "place_order", ORDER)
        with anyio.fail_after(60):
            await slow.shown.wait()
        tasks.cancel_scope.cancel()
    (ticket,) = await desk.store.open_tickets(clock())
    slow.answers.set()
    await until_approved(desk, ticket.ticket_id)
    again = await client.call_tool("place_order", ORDER)
    assert again.structured_content["status"] == "filled"
    assert len(slow.asked) == len(sim.exchange.orders) == 1


async def test_a_yes_at_the_terminal_ends_the_wait_for_the_form(
    desk: Desk, slow: SlowPerson, sim: Simulator, clock: ManualClock
) -> None:
    told = []

    async def place(client: Client) -> None:
        told.append(await client.call_tool("place_order", ORDER))

    async with (
        connected(desk, Policy(form_seconds=60), slow) as client,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(place, client)
        with anyio.fail_after(60):
            await slow.shown.wait()
        (ticket,) = await desk.store.open_tickets(clock())
        assert await desk.decisions.approve(ticket, "terminal")
    assert told[0].structured_content["status"] == "filled"
    assert not slow.answered.is_set()


async def test_a_yes_after_the_ticket_has_expired_is_told_as_too_late(
    client: Client, slow: SlowPerson, sim: Simulator, clock: ManualClock
) -> None:
    placed = await client.call_tool("place_order", ORDER)
    clock.advance(91)
    slow.answers.set()
    with anyio.fail_after(60):
        await slow.answered.wait()
    told = await client.call_tool("confirm_ticket", {"ticket_id": placed.structured_content["ticket_id"]})
    assert told.structured_content["status"] == "expired"
    assert "too late" in "".join(told.structured_content["reasons"])
    assert not sim.exchange.orders


async def test_progress_comes_in_whole_seconds_and_once_a_second(desk: Desk, slow: SlowPerson) -> None:
    heard: list[tuple[float, float | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, total))

    patient = Policy(wait_seconds=3.5, simulated=Approval.PAGE)
    desk.team = Membership(patient, desk.clock)
    desk.contexts = ContextBuilder(desk.upstream, desk.store, desk.team, desk.clock)
    async with connected(desk, patient, slow) as client:
        placed = await client.call_tool("place_order", ORDER)
        named = {"ticket_id": placed.structured_content["ticket_id"]}
        await client.call_tool("confirm_ticket", named, progress_callback=hear)
    assert heard == [(0, 4), (1, 4), (2, 4), (3, 4)]
