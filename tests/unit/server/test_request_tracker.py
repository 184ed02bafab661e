"""What becomes of the HTTP requests under way when a server ends, by how far their answers have come."""

from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from ct_mcp.server.request_tracker import RequestTracker

START = {"type": "http.response.start", "status": 200, "headers": []}
PART = {"type": "http.response.body", "body": b"part", "more_body": True}
WHOLE = {"type": "http.response.body", "body": b"whole"}
SCOPE = {"type": "http", "method": "POST", "path": "/mcp", "headers": []}


async def ended_after(*sent: dict[str, Any]) -> Sequence[dict[str, Any]]:
    """Everything that reached the wire, where the server ended when so much of the answer had been sent."""
    tracker, wire = RequestTracker(), list[dict[str, Any]]()
    stands = anyio.Event()

    async def app(_: object, __: object, send: Any) -> None:
        for message in sent:
            await send(message)
        stands.set()
        await anyio.sleep_forever()

    async def send(message: Any) -> None:
        wire.append(message)

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tracker.request, app, SCOPE, receive, send)
            await stands.wait()
            await tracker.drain(0.0)
    return wire


async def test_one_that_was_not_answered_is_told_that_the_server_ends() -> None:
    start, body = await ended_after()
    assert (start["status"], body["body"]) == (503, b"The server is ending.")


@pytest.mark.parametrize("sent", [(START,), (START, PART)], ids=["begun", "half sent"])
async def test_an_answer_that_has_begun_is_ended_in_good_form(sent: tuple[dict[str, Any], ...]) -> None:
    *before, last = await ended_after(*sent)
    assert before == list(sent)
    assert (last["body"], last["more_body"]) == (b"", False)


async def test_nothing_follows_an_answer_that_is_whole_though_its_application_goes_on() -> None:
    assert await ended_after(START, WHOLE) == [START, WHOLE]
    assert await ended_after(START, PART, WHOLE) == [START, PART, WHOLE]


async def test_an_answer_whose_start_never_left_is_not_taken_for_begun() -> None:
    tracker, wire, held = RequestTracker(), list[str](), anyio.Event()

    async def app(_: object, __: object, send: Any) -> None:
        await send(START)

    async def send(message: Any) -> None:
        if not held.is_set():  # the other side reads nothing for now
            held.set()
            await anyio.sleep_forever()
        wire.append(message["type"])

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tracker.request, app, SCOPE, receive, send)
            await held.wait()
            await tracker.drain(0.0)
    assert wire == ["http.response.start", "http.response.body"]
