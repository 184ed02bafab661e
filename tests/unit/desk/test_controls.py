"""The controls: the assistant can halt and do nothing else of it, and whatever is done stands in the journal."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from ct_mcp.desk.controls import Actor, Controls
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.pin import PinAnswer
from ct_mcp.errors import BadRequest
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.store.journal import Entry, EntryKind, NewEntry
from ct_mcp.store.sqlite import SqliteStore
from tests.unit.desk.conftest import Buys

PERSON = [Actor.TERMINAL, Actor.PAGE]
Does = Callable[[Actor], Awaitable[object]]


@pytest.fixture
def controls(desk: Desk) -> Controls:
    """The controls of the desk."""
    return desk.controls


@pytest.fixture
async def sent(store: SqliteStore, clock: ManualClock) -> Entry:
    """An intent whose fate nobody knows."""
    entry = NewEntry(EntryKind.INTENT, "SIM  Sim101  BUY 1", "Sim101", "t1", own_id="own-1", opens=True)
    return await store.append(entry, clock())


@pytest.fixture
def only_the_person(controls: Controls, sent: Entry, clock: ManualClock) -> dict[str, Does]:
    """Whatever is not for an assistant."""
    until = clock() + timedelta(hours=1)
    return {
        "resume": controls.resume,
        "arm": lambda actor: controls.arm("Sim101", until, actor),
        "disarm": lambda actor: controls.disarm("Sim101", actor),
        "tell_floor": lambda actor: controls.tell_floor("Sim101", Decimal(48_250), actor),
        "settle": lambda actor: controls.settle(sent, "it never filled", actor),
        "set_pin": lambda actor: controls.set_pin("4711", actor),
    }


async def newest(store: SqliteStore) -> Entry:
    """What was written last."""
    return (await store.entries(1))[0]


@pytest.mark.parametrize("actor", Actor)
async def test_everybody_may_halt_and_it_is_written_down_who_did(
    controls: Controls, store: SqliteStore, clock: ManualClock, actor: Actor
) -> None:
    halt = await controls.halt("too fast", actor)
    assert (halt.by, halt.at, halt.reason) == (actor.value, clock(), "too fast")
    assert await store.halt() == halt
    entry = await newest(store)
    assert (entry.kind, entry.detail["by"]) == (EntryKind.HALTED, actor.value)


@pytest.mark.parametrize("actor", Actor)
async def test_the_halt_of_a_person_holds_whatever_token_a_server_has(
    tmp_path: Path, clock: ManualClock, actor: Actor
) -> None:
    server, other = SqliteStore(tmp_path, service="new"), SqliteStore(tmp_path, service="old")
    assert await server.halt() is None
    await Controls(other, clock).halt("stop", actor)
    assert (await server.halt() is not None) is (actor is not Actor.ASSISTANT)
    await server.close()
    await other.close()


async def test_the_first_halt_stands_and_is_given_back(
    desk: Desk, controls: Controls, buy: Buys, store: SqliteStore
) -> None:
    first = await controls.halt("too many\nlosses\u202e", Actor.ASSISTANT)
    second = await controls.halt("another reason", Actor.TERMINAL)
    assert first == second
    assert (first.by, first.reason) == ("the assistant", "too many losses")
    review = await desk.preview(buy())
    assert any(denial.code == "TRADING_HALTED" for denial in review.denials)
    halted = [entry for entry in await store.entries(9) if entry.kind is EntryKind.HALTED]
    assert len(halted) == 1


@pytest.mark.parametrize("what", ["resume", "arm", "disarm", "settle", "set_pin"])
async def test_an_assistant_does_nothing_else_of_it(
    controls: Controls, only_the_person: dict[str, Does], sent: Entry, store: SqliteStore, clock: ManualClock, what: str
) -> None:
    await controls.halt("lunch", Actor.TERMINAL)
    before = await newest(store)
    with pytest.raises(PermissionError):
        await only_the_person[what](Actor.ASSISTANT)
    assert await newest(store) == before
    assert await store.halt() is not None
    assert await store.armed_until("Sim101", clock()) is None
    assert await store.unsettled() == (sent,)
    assert await store.pin() is None


async def test_every_control_says_who_acts_but_the_try_of_a_pin(only_the_person: dict[str, Does]) -> None:
    """A control that is new is the person's until this list is asked about it."""
    public = {name for name in vars(Controls) if not name.startswith("_")}
    assert public == {*only_the_person, "halt", "try_pin"}


@pytest.mark.parametrize("actor", PERSON)
async def test_the_person_resumes_once(controls: Controls, store: SqliteStore, actor: Actor) -> None:
    await controls.halt("lunch", Actor.ASSISTANT)
    assert await controls.resume(actor)
    entry = await newest(store)
    assert (entry.kind, entry.detail["by"]) == (EntryKind.RESUMED, actor.value)
    assert await store.halt() is None
    assert not await controls.resume(actor), "there was none"
    assert await newest(store) == entry


@pytest.mark.parametrize("actor", PERSON)
async def test_the_person_arms_and_disarms_an_account(
    controls: Controls, store: SqliteStore, clock: ManualClock, actor: Actor
) -> None:
    until = clock() + timedelta(hours=1)
    await controls.arm("APEX-1", until, actor)
    assert await store.armed_until("APEX-1", clock()) == until
    armed = await newest(store)
    assert (armed.kind, armed.account, armed.detail["by"]) == (EntryKind.ARMED, "APEX-1", actor.value)
    assert await controls.disarm("APEX-1", actor)
    assert await store.armed_until("APEX-1", clock()) is None
    disarmed = await newest(store)
    assert (disarmed.kind, disarmed.account) == (EntryKind.DISARMED, "APEX-1")
    assert disarmed.summary == f"APEX-1 disarmed by {actor.value}"
    assert not await controls.disarm("APEX-1", actor)


@pytest.mark.parametrize("actor", PERSON)
async def test_the_person_settles_what_nobody_could_find_out(
    controls: Controls, sent: Entry, store: SqliteStore, actor: Actor
) -> None:
    settled = await controls.settle(sent, "it never\nfilled\u202e", actor)
    assert await store.unsettled() == ()
    assert settled == await newest(store)
    assert (settled.kind, settled.account, settled.ticket_id) == (EntryKind.SETTLED, "Sim101", sent.ticket_id)
    assert settled.detail["by"] == actor.value
    assert str(settled.detail["what"]).endswith("not read from the account: it never filled")


@pytest.mark.parametrize("actor", PERSON)
async def test_a_pin_is_set_and_tried_and_stands_in_no_entry(
    controls: Controls, store: SqliteStore, actor: Actor
) -> None:
    assert await controls.try_pin("4711") is PinAnswer.NOT_SET
    await controls.set_pin("4711", actor)
    assert await controls.try_pin("4711") is PinAnswer.RIGHT
    assert await controls.try_pin("4712") is PinAnswer.WRONG
    wrong, was_set = await store.entries(2)
    assert (wrong.kind, was_set.kind) == (EntryKind.PIN_WRONG, EntryKind.PIN_SET)
    assert "471" not in f"{wrong.summary}{wrong.detail}{was_set.summary}{was_set.detail}"
    with pytest.raises(BadRequest):
        await controls.set_pin("1", actor)
