"""Every way a read can go wrong: what the assistant reads, what the guard makes of it, and that exits go on."""

import pytest

from ct_mcp.simulator.faults import Fault
from tests.conftest import Person
from tests.e2e.conftest import Assistant, Wire, World

FAILS = {
    Fault.ADDON_OFFLINE: 'ADDON_OFFLINE: {rpc} was answered with HTTP 408; CrossTrade said "Client not ready"',
    Fault.TIMEOUT_AFTER_ACCEPT: 'ADDON_OFFLINE: {rpc} was answered with HTTP 408; CrossTrade said "Request timed out"',
    Fault.CONNECT_REFUSED: "UPSTREAM_UNAVAILABLE: {rpc} never left: CrossTrade could not be reached",
    Fault.REQUEST_LOST_BEFORE_ACCEPT: "UPSTREAM_UNAVAILABLE: {rpc} got no answer (RemoteProtocolError)",
    Fault.ANSWER_LOST_AFTER_ACCEPT: "UPSTREAM_UNAVAILABLE: {rpc} got no answer (RemoteProtocolError)",
    Fault.READ_TIMEOUT_AFTER_ACCEPT: "UPSTREAM_UNAVAILABLE: {rpc} got no answer (ReadTimeout)",
    Fault.ERROR_500_BEFORE_ACCEPT: "UPSTREAM_UNAVAILABLE: {rpc} was answered with HTTP 500",
    Fault.ERROR_500_AFTER_ACCEPT: "UPSTREAM_UNAVAILABLE: {rpc} was answered with HTTP 500",
    Fault.BAD_GATEWAY: "UPSTREAM_UNAVAILABLE: {rpc} was answered with HTTP 502",
    Fault.BAD_GATEWAY_AFTER_ACCEPT: "UPSTREAM_UNAVAILABLE: {rpc} was answered with HTTP 502",
    Fault.TEMPORARILY_DISABLED: "UPSTREAM_UNAVAILABLE: {rpc} was answered with HTTP 503",
    Fault.EMPTY_BODY: "UPSTREAM_BAD_REPLY: {rpc} was answered with HTTP 200 that cannot be read",
    Fault.UNREADABLE_JSON: "UPSTREAM_BAD_REPLY: {rpc} was answered with HTTP 200 that cannot be read",
    Fault.HTML_PAGE: "UPSTREAM_BAD_REPLY: {rpc} was answered with HTTP 200 that cannot be read",
    Fault.REFUSED_WITH_200: 'UPSTREAM_REJECTED: {rpc} was refused; CrossTrade said "The request was refused"',
    Fault.REFUSED_WITH_400: 'UPSTREAM_REJECTED: {rpc} was refused; CrossTrade said "Invalid request"',
    Fault.CONFLICT: "UPSTREAM_REJECTED: {rpc} was refused",
    Fault.UNAUTHORIZED: "AUTH_FAILED: {rpc} was answered with HTTP 401",
    Fault.FORBIDDEN: "AUTH_FAILED: {rpc} was answered with HTTP 403",
    Fault.RATE_LIMITED: "RATE_LIMITED: {rpc} was answered with HTTP 429",
    Fault.RATE_LIMITED_OLD_BODY: "RATE_LIMITED: {rpc} was answered with HTTP 429",
    Fault.RATE_LIMITED_IN_DETAILS: "RATE_LIMITED: {rpc} was answered with HTTP 429",
    Fault.BROKER_RATE_LIMITED: 'RATE_LIMITED: {rpc} was answered with HTTP 429; CrossTrade said "broker_rate_limited"',
}
NO_ROWS = {
    Fault.POSITIONS_WITHOUT_SUCCESS: "UPSTREAM_BAD_REPLY: {rpc} cannot be trusted: 'positions' is empty and success",
}
TRIED_AGAIN = {
    Fault.ADDON_OFFLINE, Fault.TIMEOUT_AFTER_ACCEPT, Fault.CONNECT_REFUSED, Fault.REQUEST_LOST_BEFORE_ACCEPT,
    Fault.ANSWER_LOST_AFTER_ACCEPT, Fault.READ_TIMEOUT_AFTER_ACCEPT, Fault.ERROR_500_BEFORE_ACCEPT,
    Fault.ERROR_500_AFTER_ACCEPT, Fault.BAD_GATEWAY, Fault.BAD_GATEWAY_AFTER_ACCEPT, Fault.TEMPORARILY_DISABLED,
    Fault.RATE_LIMITED, Fault.RATE_LIMITED_OLD_BODY, Fault.RATE_LIMITED_IN_DETAILS,
}  # fmt: skip


@pytest.fixture
def era() -> str:
    """One era: what goes wrong on the wire is the same in both, and writes meet every fault in the other."""
    return "legacy"


@pytest.fixture
async def holding(assistant: Assistant, world: World) -> Assistant:
    """An assistant whose account holds two contracts."""
    await assistant.buys(2)
    world.later()
    return assistant


@pytest.mark.parametrize("fault", FAILS | NO_ROWS)
async def test_a_read_that_failed_is_an_error_and_never_an_empty_answer(
    holding: Assistant, world: World, fault: Fault
) -> None:
    asked = len(world.sim.requests_of("ListPositions"))
    world.sim.faults.arm(fault, rpc="ListPositions")
    told = await holding.call("get_positions", account="Sim101")
    assert told.is_error
    assert told.structure == {}
    assert told.text.startswith((FAILS | NO_ROWS)[fault].format(rpc="ListPositions"))
    assert "Nothing was changed in the account." in told.text
    assert len(world.sim.requests_of("ListPositions")) - asked == (3 if fault in TRIED_AGAIN else 1)


@pytest.mark.parametrize("fault", sorted(TRIED_AGAIN))  # a set has another order in each process
async def test_a_read_that_fails_twice_is_tried_a_third_time(holding: Assistant, world: World, fault: Fault) -> None:
    world.sim.faults.arm(fault, rpc="ListPositions", times=2)
    told = await holding.call("get_positions", account="Sim101")
    assert not told.is_error
    assert [row["quantity"] for row in told.structure["positions"]] == [2]


UNREADABLE = (
    Fault.CONNECT_REFUSED,
    Fault.ERROR_500_BEFORE_ACCEPT,
    Fault.EMPTY_BODY,
    Fault.HTML_PAGE,
    Fault.REFUSED_WITH_200,
    Fault.RATE_LIMITED_OLD_BODY,
)


@pytest.mark.parametrize("fault", UNREADABLE)
@pytest.mark.parametrize(
    ("rpc", "code"),
    [
        ("ListPositions", "POSITION_UNKNOWN"),
        ("ListOrders", "POSITION_UNKNOWN"),
        ("GetQuote", "QUOTE_UNKNOWN"),
        ("MarketInfo", "SESSION_UNKNOWN"),
    ],
)
async def test_not_knowing_denies_an_order_and_says_what_could_not_be_read(
    assistant: Assistant, world: World, person: Person, fault: Fault, rpc: str, code: str
) -> None:
    world.sim.faults.arm(fault, rpc=rpc)
    told = await assistant.buys(1, instrument="MES 09-26")
    assert (told.status, told.sent) == ("denied", False)
    assert code in told.reasons_text
    assert "could not be read" in told.reasons_text
    assert world.states() == []
    # Without the list of positions the question is asked on the report, and nothing is sent once the list is needed.
    assert bool(person.asked) <= (rpc == "ListPositions")


@pytest.mark.parametrize("fault", UNREADABLE)
async def test_without_its_account_no_order_is_even_proposed(assistant: Assistant, world: World, fault: Fault) -> None:
    await assistant.call("get_accounts")
    world.sim.faults.arm(fault, rpc="GetAccount")
    told = await assistant.buys(1)
    assert told.is_error
    assert "GetAccount" in told.text
    assert "Nothing was changed in the account." in told.text
    assert world.writes() == 0


@pytest.mark.parametrize("place", range(len(UNREADABLE)), ids=UNREADABLE)
async def test_an_exit_goes_on_though_everything_before_it_cannot_be_read(
    holding: Assistant, world: World, place: int
) -> None:
    """Positions by instrument can be left without reading them; only the answer is poorer.

    Each fault meets every second read, and each read every second fault.
    """
    fault = UNREADABLE[place]
    reads = ("GetAccount", "ListPositions", "ListOrders", "GetQuote", "MarketInfo", "GetPosition", "GetOrder")
    for rpc in reads[place % 2 :: 2]:
        world.sim.faults.arm(fault, rpc=rpc)
        told = await holding.call("flatten", account="Sim101", instrument="MES 09-26")
        world.sim.faults.disarm()
        assert world.net() == 0, rpc
        assert told.sent is True
        assert told.status == ("flat" if rpc in ("GetAccount", "GetQuote", "MarketInfo", "GetOrder") else "accepted")
        world.later(60)
        await holding.buys(2)
        world.later(60)


@pytest.mark.parametrize("fault", [*UNREADABLE, Fault.POSITIONS_WITHOUT_SUCCESS])
@pytest.mark.parametrize("tool", ["flatten", "close_position"])
async def test_flat_is_said_only_when_it_was_read(holding: Assistant, world: World, fault: Fault, tool: str) -> None:
    world.sim.faults.arm(fault, rpc="ListPositions")
    told = await holding.call(tool, account="Sim101", instrument="MES 09-26")
    assert world.net() == 0
    assert (told.status, told.sent, told.position_after) == ("accepted", True, None)
    assert "the account could not be read" in told.reasons_text
    assert "flat" not in told.text.lower().replace("flatten", "")
    assert "do NOT send it again; look" in told.next_step


@pytest.mark.parametrize("fault", [Fault.FROZEN_ORDERS, Fault.NO_FILL])
@pytest.mark.parametrize("tool", ["flatten", "close_position"])
@pytest.mark.parametrize("answered", [True, False], ids=["answered", "answer lost"])
async def test_empty_lists_are_not_taken_for_flat(
    holding: Assistant, world: World, wire: Wire, fault: Fault, tool: str, answered: bool
) -> None:
    """The lists claim success and hold nothing, while the position stands and its exit hangs."""
    rpc = "Flatten" if tool == "flatten" else "ClosePosition"
    world.sim.faults.arm(fault, rpc=rpc)

    def lists_go_blank() -> None:
        world.sim.faults.arm(Fault.EMPTY_LISTS)
        if not answered:
            world.sim.faults.arm(Fault.ANSWER_LOST_AFTER_ACCEPT, rpc=rpc)

    wire.meanwhile["/flatten" if tool == "flatten" else "/close"] = lists_go_blank
    told = await holding.call(tool, account="Sim101", instrument="MES 09-26")
    assert world.net() == 2
    assert told.status == ("accepted" if answered else "unknown")
    assert told.position_after is None
    assert "the account could not be read" in told.reasons_text


async def test_lists_that_were_empty_all_along_are_not_taken_for_flat_either(holding: Assistant, world: World) -> None:
    world.sim.faults.arm(Fault.EMPTY_LISTS)
    world.sim.faults.arm(Fault.FROZEN_ORDERS, rpc="Flatten")
    told = await holding.call("flatten", account="Sim101")
    assert world.net() == 2
    assert (told.status, told.position_after) == ("accepted", None)


@pytest.mark.parametrize("tool", ["flatten", "close_position"])
async def test_nor_where_the_answer_that_would_have_named_the_position_was_lost(
    holding: Assistant, world: World, tool: str
) -> None:
    rpc = "Flatten" if tool == "flatten" else "ClosePosition"
    world.sim.faults.arm(Fault.EMPTY_LISTS)
    world.sim.faults.arm(Fault.FROZEN_ORDERS, rpc=rpc)
    world.sim.faults.arm(Fault.ANSWER_LOST_AFTER_ACCEPT, rpc=rpc)
    told = await holding.call(tool, account="Sim101", instrument="MES 09-26")
    assert world.net() == 2
    assert (told.status, told.position_after) == ("unknown", None)


async def test_empty_lists_are_not_taken_for_cancelled(assistant: Assistant, world: World) -> None:
    world.sim.faults.arm(Fault.FROZEN_ORDERS)
    told = await assistant.buys(1, order_type="LIMIT", limit_price=world.price(-40))
    assert told.status == "accepted"
    world.sim.faults.arm(Fault.EMPTY_LISTS)
    told = await assistant.call("cancel_orders", account="Sim101")
    assert (told.status, told.sent) == ("accepted", True)
    assert len(world.live()) == 1


async def test_a_fill_is_told_though_the_position_cannot_be_read_back(
    assistant: Assistant, world: World, wire: Wire
) -> None:
    wire.meanwhile["/place"] = lambda: world.sim.faults.arm(Fault.POSITIONS_WITHOUT_SUCCESS)
    told = await assistant.buys(2)
    assert (told.status, told.filled_quantity, told.position_after) == ("filled", 2, None)
    assert "the position afterwards could not be read" in told.warnings_text


async def test_an_empty_list_after_a_fill_is_no_flat_position(assistant: Assistant, world: World, wire: Wire) -> None:
    wire.meanwhile["/place"] = lambda: world.sim.faults.arm(Fault.EMPTY_LISTS)
    told = await assistant.buys(2)
    assert (told.status, told.filled_quantity, told.position_after) == ("filled", 2, None)
    assert "flat" not in told.text


@pytest.mark.parametrize("fault", [*UNREADABLE, Fault.BROKER_RATE_LIMITED])
async def test_an_order_that_cannot_be_read_back_is_accepted_under_its_id(
    assistant: Assistant, world: World, wire: Wire, fault: Fault
) -> None:
    """A read that fails after the send speaks of the read: never may it sound as if nothing had been sent."""

    def goes_blind() -> None:
        world.sim.faults.arm(fault, rpc="GetOrder")
        world.sim.faults.arm(Fault.EMPTY_LISTS, rpc="ListOrders")

    wire.meanwhile["/place"] = goes_blind
    told = await assistant.buys(2)
    (order,) = world.sim.exchange.orders
    assert (told.status, told.sent, told.order_id) == ("accepted", True, order.id)
    assert "it could not be seen in the account yet" in told.reasons_text
    assert "do NOT send it again; look" in told.next_step
    assert "Nothing was sent" not in told.text


async def test_the_status_says_that_the_service_is_asked_less_after_it_has_refused(
    assistant: Assistant, world: World
) -> None:
    before = await assistant.call("get_status")
    assert not any("asked less" in note for note in before.notes)
    world.sim.faults.arm(Fault.RATE_LIMITED, rpc="GetQuote")
    await assistant.call("get_quotes", instruments=["MES"])
    world.sim.faults.disarm()
    world.later(30)
    told = await assistant.call("get_status")
    assert any("CrossTrade is asked less for a while" in note and "refused" in note for note in told.notes), told.text
