"""Only the person's own answer is a yes, in every client and in both protocol eras."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import (
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitRequestParams,
    ElicitResult,
    InputRequiredResult,
    InputResponse,
)

from ct_mcp.desk.context import ContextBuilder
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.membership import Membership
from ct_mcp.domain.approval import Approval, Ticket
from ct_mcp.guard.policy import Policy
from ct_mcp.server.app import build_server
from ct_mcp.server.context import ServerContext
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.journal import EntryKind
from ct_mcp.store.sqlite import SqliteStore
from tests.conftest import Connect, Person
from tests.unit.server.conftest import text_of

ORDER = {"account": "Sim101", "instrument": "MES", "action": "BUY", "quantity": 1, "order_type": "MARKET"}


@pytest.fixture
def policy() -> Policy:
    return Policy(wait_seconds=0.5, form_seconds=0.5)


def says(action: str, content: dict[str, object] | None = None) -> Callable[[str], ElicitResult]:
    """A client that answers every form alike, whatever stands in it."""
    return lambda _question: ElicitResult.model_construct(action=action, content=content)


NOT_A_YES = {
    "empty accept": says("accept"),
    "accept with an empty form": says("accept", {}),
    "accept with an empty text": says("accept", {"answer": ""}),
    "accept with a wrong code": says("accept", {"answer": "AAAA"}),
    "accept with yes": says("accept", {"answer": "yes"}),
    "accept with true": says("accept", {"answer": True}),
    "accept with another field": says("accept", {"approve": "true"}),
    "accept with a list": says("accept", {"answer": ["A"]}),
    "decline": says("decline"),
    "cancel": says("cancel"),
}


@pytest.mark.parametrize("answer", NOT_A_YES.values(), ids=NOT_A_YES.keys())
async def test_nothing_is_sent_without_the_right_text(
    connect: Connect, person: Person, sim: Simulator, answer: Callable[[str], ElicitResult]
) -> None:
    person.answer = answer
    async with connect(person) as client:
        result = await client.call_tool("place_order", ORDER)
    assert result.structured_content is None or result.structured_content["sent"] is False
    assert not sim.exchange.orders
    assert len(person.asked) == 1


async def test_a_no_spends_the_ticket_so_that_it_cannot_be_pressed_again(
    connect: Connect, person: Person, sim: Simulator
) -> None:
    person.answer = says("decline")
    async with connect(person) as client:
        declined = await client.call_tool("place_order", ORDER)
        ticket = declined.structured_content["ticket_id"]
        again = await client.call_tool("confirm_ticket", {"ticket_id": ticket})
    assert declined.structured_content["status"] == "declined"
    assert again.structured_content["status"] == "declined"
    assert len(person.asked) == 1
    assert not sim.exchange.orders


async def test_an_accept_without_the_right_text_is_journalled_as_suspicious(
    connect: Connect, person: Person, store: SqliteStore
) -> None:
    person.answer = says("accept", {"answer": "AAAA"})
    async with connect(person) as client:
        await client.call_tool("place_order", ORDER)
    kinds = [entry.kind for entry in await store.entries(10)]
    assert kinds[:2] == [EntryKind.DECLINED, EntryKind.SUSPICIOUS]


async def test_blanks_and_the_case_of_letters_do_not_matter(connect: Connect, person: Person, sim: Simulator) -> None:
    def typed(question: str) -> ElicitResult:
        (phrase,) = (line.split("type:")[1] for line in question.splitlines() if "type:" in line)
        return ElicitResult(action="accept", content={"answer": f"  {phrase.lower()} "})

    person.answer = typed
    async with connect(person) as client:
        result = await client.call_tool("place_order", ORDER)
    assert result.structured_content["status"] == "filled"
    assert len(sim.exchange.orders) == 1


async def test_a_decline_faster_than_a_person_leaves_the_ticket_for_the_terminal(
    connect: Connect, person: Person, sim: Simulator
) -> None:
    person.answer, person.takes_seconds = says("decline"), 0.01
    async with connect(person) as client:
        first = await client.call_tool("place_order", ORDER)
        second = await client.call_tool("place_order", {**ORDER, "quantity": 2})
    for result in (first, second):
        assert result.structured_content["status"] == "needs_approval"
        assert "ct-mcp approve" in result.structured_content["next_step"]
    assert len(person.asked) == 1, "a client that shows nothing is not asked a second time"
    assert not sim.exchange.orders


async def test_a_client_that_stays_silent_is_left_for_the_terminal(desk: Desk, policy: Policy, sim: Simulator) -> None:
    """On older connections the question waits inside the call, so the wait must end by itself."""
    asked: list[str] = []

    async def silent(context: object, params: ElicitRequestParams) -> ElicitResult:
        asked.append(params.message)
        await anyio.sleep_forever()
        raise AssertionError("never reached")

    async with Client(
        build_server(ServerContext(lambda: desk, policy)), mode="legacy", elicitation_callback=silent
    ) as client:
        result = await client.call_tool("place_order", ORDER)
    assert result.structured_content["status"] == "needs_approval"
    assert asked
    assert not sim.exchange.orders


async def test_a_client_without_forms_is_told_how_the_person_approves(connect: Connect, sim: Simulator) -> None:
    async with connect() as client:
        result = await client.call_tool("place_order", ORDER)
        waited = await client.call_tool("confirm_ticket", {"ticket_id": result.structured_content["ticket_id"]})
    assert result.structured_content["status"] == waited.structured_content["status"] == "needs_approval"
    assert 0 < waited.structured_content["expires_in_seconds"] <= 90
    assert "ct-mcp approve" in text_of(result)
    assert not sim.exchange.orders


async def test_a_yes_at_the_terminal_is_sent_by_confirm_ticket_and_only_once(
    connect: Connect, desk: Desk, sim: Simulator
) -> None:
    async with connect() as client:
        proposed = await client.call_tool("place_order", ORDER)
        ticket_id = proposed.structured_content["ticket_id"]
        assert await desk.decisions.approve(await desk.ticket(ticket_id), "terminal")
        assert not sim.exchange.orders, "a yes alone sends nothing"
        sent = await client.call_tool("confirm_ticket", {"ticket_id": ticket_id})
        again = await client.call_tool("confirm_ticket", {"ticket_id": ticket_id})
    assert sent.structured_content["status"] == "filled"
    assert (again.is_error, again.structured_content["status"]) == (False, "filled")
    assert again.structured_content["order_id"] == sent.structured_content["order_id"]
    assert "spent before" in text_of(again)
    assert len(sim.exchange.orders) == 1


async def test_a_ticket_that_expired_at_the_terminal_is_never_sent(
    connect: Connect, desk: Desk, sim: Simulator, clock: ManualClock
) -> None:
    async with connect() as client:
        proposed = await client.call_tool("place_order", ORDER)
        ticket_id = proposed.structured_content["ticket_id"]
        await desk.decisions.approve(await desk.ticket(ticket_id), "terminal")
        clock.advance(91)
        late = await client.call_tool("confirm_ticket", {"ticket_id": ticket_id})
    assert late.structured_content["status"] == "expired"
    assert not sim.exchange.orders


async def test_the_question_never_reaches_the_assistant(connect: Connect, store: SqliteStore) -> None:
    async with connect() as client:
        result = await client.call_tool("place_order", ORDER)
    ticket = await store.ticket(result.structured_content["ticket_id"])
    assert ticket is not None
    told = result.model_dump_json()
    assert ticket.phrase not in told
    assert "To send it" not in told
    assert all(ticket.phrase not in repr(entry) for entry in await store.entries(10))


async def test_an_unknown_ticket_is_refused(connect: Connect) -> None:
    async with connect() as client:
        result = await client.call_tool("confirm_ticket", {"ticket_id": "0123456789abcdef"})
    assert result.is_error
    assert "there is no ticket" in text_of(result)


@pytest.fixture
async def by_hand(desk: Desk, policy: Policy) -> AsyncIterator[Client]:
    """A client of the newer protocol whose rounds a test plays by hand."""
    server = build_server(ServerContext(lambda: desk, policy))

    async def never(context: object, params: ElicitRequestParams) -> ElicitResult:
        raise AssertionError("played by hand")

    async with Client(server, elicitation_callback=never) as client:
        yield client


async def first_round(client: Client, arguments: dict[str, object]) -> InputRequiredResult:
    """Call and get the question back."""
    asked = await client.session.call_tool("place_order", arguments, allow_input_required=True)
    assert isinstance(asked, InputRequiredResult)
    return asked


def answer_to(asked: InputRequiredResult) -> dict[str, InputResponse]:
    """Type the right text into every question."""
    answers: dict[str, InputResponse] = {}
    for key, request in (asked.input_requests or {}).items():
        assert isinstance(request, ElicitRequest)
        phrase = request.params.message.split("type:")[1].split()[0]
        answers[key] = ElicitResult(action="accept", content={"answer": phrase})
    return answers


async def test_arguments_swapped_after_the_approval_send_nothing(by_hand: Client, sim: Simulator) -> None:
    asked = await first_round(by_hand, ORDER)
    swapped = {**ORDER, "quantity": 5}
    with pytest.raises(MCPError, match="requestState"):
        await by_hand.session.call_tool(
            "place_order", swapped, input_responses=answer_to(asked), request_state=asked.request_state
        )
    assert not sim.exchange.orders


async def test_a_root_that_means_another_month_by_the_time_of_the_yes_sends_nothing(
    by_hand: Client, sim: Simulator, clock: ManualClock
) -> None:
    asked = await first_round(by_hand, ORDER)
    clock.advance(timedelta(days=14).total_seconds())
    result = await by_hand.session.call_tool(
        "place_order", ORDER, input_responses=answer_to(asked), request_state=asked.request_state
    )
    assert result.is_error
    assert "not what the person was asked about" in text_of(result)
    assert not sim.exchange.orders


async def test_an_answer_without_our_sealed_state_sends_nothing(by_hand: Client, sim: Simulator) -> None:
    asked = await first_round(by_hand, ORDER)
    unsealed = await by_hand.session.call_tool(
        "place_order", ORDER, input_responses=answer_to(asked), allow_input_required=True
    )
    assert isinstance(unsealed, InputRequiredResult), "it is asked again"
    assert not sim.exchange.orders


async def test_an_answer_played_twice_sends_once(by_hand: Client, sim: Simulator) -> None:
    asked = await first_round(by_hand, ORDER)
    rounds: dict[str, Any] = {"input_responses": answer_to(asked), "request_state": asked.request_state}
    first = await by_hand.session.call_tool("place_order", ORDER, **rounds)
    second = await by_hand.session.call_tool("place_order", ORDER, **rounds)
    assert first.structured_content["status"] == "filled"
    assert (second.is_error, second.structured_content["status"]) == (False, "filled")
    assert "spent before" in text_of(second)
    assert len(sim.exchange.orders) == 1


async def test_two_impatient_calls_are_one_proposal(by_hand: Client, store: SqliteStore, clock: ManualClock) -> None:
    first, second = await first_round(by_hand, ORDER), await first_round(by_hand, ORDER)
    assert answer_to(first) == answer_to(second)
    assert len(await store.open_tickets(clock())) == 1


@dataclass
class Page:
    """A page that opens in the person's browser, or does not; what the person does there is the test's."""

    opens: bool = True
    answer: Callable[[Ticket], Awaitable[bool]] | None = None
    meanwhile: Callable[[Ticket], Awaitable[bool]] | None = None
    opened: list[str] = field(default_factory=list)
    had_seconds: list[float] = field(default_factory=list)

    async def __call__(self, ticket: Ticket, within_seconds: float) -> bool:
        """Open it, and let the person answer."""
        self.opened.append(ticket.ticket_id)
        self.had_seconds.append(within_seconds)
        if self.meanwhile is not None:
            await self.meanwhile(ticket)
        if self.opens and self.answer is not None:
            await self.answer(ticket)
        return self.opens


@pytest.fixture
def page(desk: Desk) -> Page:
    return Page(answer=lambda ticket: desk.decisions.approve(ticket, "page"))


AtAPage = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture
def at_a_page(desk: Desk, policy: Policy, era: str, page: Page) -> AtAPage:
    """Connect a client to a server that opens pages; all approvals are of the kind that is asked for."""

    @asynccontextmanager
    async def connected(approval: Approval, person: Person | None = None) -> AsyncIterator[Client]:
        asking = replace(policy, simulated=approval)
        desk.contexts = ContextBuilder(desk.upstream, desk.store, Membership(asking, desk.clock), desk.clock)
        server = build_server(ServerContext(lambda: desk, policy, open_page=page))
        async with Client(server, mode=era, elicitation_callback=person) as client:
            yield client

    return connected


@pytest.mark.parametrize("approval", [Approval.FORM, Approval.PAGE, Approval.PAGE_PIN])
async def test_a_client_without_forms_has_its_order_approved_on_the_page_and_sent(
    at_a_page: AtAPage, page: Page, sim: Simulator, approval: Approval
) -> None:
    async with at_a_page(approval) as client:
        result = await client.call_tool("place_order", ORDER)
    assert result.structured_content["status"] == "filled"
    assert len(page.opened) == len(sim.exchange.orders) == 1


@pytest.mark.parametrize("approval", [Approval.PAGE, Approval.PAGE_PIN])
async def test_where_a_page_is_asked_for_no_form_is_shown_and_none_would_count(
    at_a_page: AtAPage, page: Page, person: Person, sim: Simulator, approval: Approval
) -> None:
    page.answer = None
    async with at_a_page(approval, person) as client:
        result = await client.call_tool("place_order", ORDER)
    assert result.structured_content["status"] == "needs_approval"
    assert person.asked == []
    assert not sim.exchange.orders


async def test_a_client_that_only_pretends_to_show_forms_gets_the_page(
    at_a_page: AtAPage, page: Page, person: Person, sim: Simulator
) -> None:
    person.answer, person.takes_seconds = says("decline"), 0.01
    async with at_a_page(Approval.FORM, person) as client:
        first = await client.call_tool("place_order", ORDER)
        second = await client.call_tool("place_order", {**ORDER, "quantity": 2})
    assert [first.structured_content["status"], second.structured_content["status"]] == ["filled", "filled"]
    assert len(person.asked) == 1
    assert len(page.opened) == len(sim.exchange.orders) == 2


async def test_a_client_that_shows_forms_opens_no_page(at_a_page: AtAPage, page: Page, person: Person) -> None:
    async with at_a_page(Approval.FORM, person) as client:
        result = await client.call_tool("place_order", ORDER)
    assert result.structured_content["status"] == "filled"
    assert page.opened == []


async def test_an_open_page_is_waited_for_and_then_told_of_without_its_address(
    at_a_page: AtAPage, page: Page, sim: Simulator
) -> None:
    page.answer = None
    async with at_a_page(Approval.PAGE) as client:
        placed = await client.call_tool("place_order", ORDER)
        waited = await client.call_tool("confirm_ticket", {"ticket_id": placed.structured_content["ticket_id"]})
    for result in (placed, waited):
        assert result.structured_content["status"] == "needs_approval"
        assert "in the person's browser" in result.structured_content["next_step"]
        assert "ct-mcp approve" in result.structured_content["next_step"]
        assert "http" not in result.model_dump_json()
    assert not sim.exchange.orders


async def test_where_no_page_opens_the_terminal_is_the_way_at_once(
    at_a_page: AtAPage, page: Page, clock: ManualClock
) -> None:
    page.opens = False
    began = clock()
    async with at_a_page(Approval.PAGE) as client:
        result = await client.call_tool("place_order", ORDER)
    assert result.structured_content["status"] == "needs_approval"
    assert "in the person's browser" not in result.structured_content["next_step"]
    assert "ct-mcp approve" in result.structured_content["next_step"]
    assert (clock() - began).total_seconds() < 0.5


async def test_a_yes_at_the_terminal_while_a_page_fails_to_open_is_sent_by_the_same_call(
    at_a_page: AtAPage, page: Page, desk: Desk, sim: Simulator
) -> None:
    page.opens, page.meanwhile = False, lambda ticket: desk.decisions.approve(ticket, "terminal")
    async with at_a_page(Approval.PAGE) as client:
        result = await client.call_tool("place_order", ORDER)
    assert result.structured_content["status"] == "filled"
    assert len(sim.exchange.orders) == 1


async def test_a_no_on_the_page_ends_the_ticket(at_a_page: AtAPage, page: Page, desk: Desk, sim: Simulator) -> None:
    page.answer = lambda ticket: desk.decisions.decline(ticket, "page")
    async with at_a_page(Approval.PAGE) as client:
        result = await client.call_tool("place_order", ORDER)
    assert result.structured_content["status"] == "declined"
    assert not sim.exchange.orders


async def test_a_page_has_what_the_call_has_left(at_a_page: AtAPage, page: Page, policy: Policy) -> None:
    page.answer = None
    async with at_a_page(Approval.PAGE) as client:
        await client.call_tool("place_order", ORDER)
    assert 0 < page.had_seconds[0] <= policy.wait_seconds


async def test_what_is_to_be_typed_stands_in_the_first_line_and_in_the_title_of_the_field(by_hand: Client) -> None:
    """One client draws three rows of a question, and no key shows the rest."""
    (request,) = ((await first_round(by_hand, ORDER)).input_requests or {}).values()
    assert isinstance(request, ElicitRequest)
    assert isinstance(request.params, ElicitRequestFormParams)
    head, kind, *_ = request.params.message.splitlines()
    code = head.rpartition("to send it, type ")[2]
    assert head == f"Sim101  BUY 1 MES 09-26 MARKET - to send it, type {code}"
    assert kind == "SIMULATED ACCOUNT - no real money can move"
    field = request.params.requested_schema["properties"]["answer"]
    assert field["title"] == f"Type {code} to send this order"
    assert request.params.requested_schema["required"] == ["answer"]
