"""MCP over stdin: a line that cannot be read is answered, since its client would wait for ever."""

import json

import anyio
import pytest
from mcp.shared.message import SessionMessage
from mcp_types import PARSE_ERROR, JSONRPCError, JSONRPCRequest, jsonrpc_message_adapter

from ct_mcp.server.stdio import InflightLimiter, Reader

MANY_DIGITS = "1" + "0" * 5000
PING = '{"jsonrpc":"2.0","id":99,"method":"ping"}'


def call(arguments: str, number: str = "7") -> str:
    """A call of a tool as it stands on the wire."""
    name = '"params":{"name":"halt_trading","arguments":'
    return f'{{"jsonrpc":"2.0","id":{number},"method":"tools/call",{name}{arguments}}}}}'


def as_the_sdk_reads(line: str) -> SessionMessage | Exception:
    """What the SDK makes of a line."""
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError as error:
        return error


async def passed(*lines: str) -> tuple[list[JSONRPCRequest], list[JSONRPCError]]:
    """Give the requests that are begun, and the answers to what is not."""
    limiter, begun = InflightLimiter(), list[JSONRPCRequest]()
    sends, reads = anyio.create_memory_object_stream[SessionMessage | Exception](len(lines))
    answers, told = anyio.create_memory_object_stream[SessionMessage](len(lines))
    async with sends, reads, answers, told, anyio.create_task_group() as tasks:
        tasks.start_soon(limiter.send_refusals, answers)
        for line in lines:
            await sends.send(as_the_sdk_reads(line))
        await sends.aclose()
        async for item in Reader(reads, limiter):
            assert isinstance(item, SessionMessage)
            assert isinstance(item.message, JSONRPCRequest)
            begun.append(item.message)
        await anyio.wait_all_tasks_blocked()
        refused = [told.receive_nowait().message for _ in range(told.statistics().current_buffer_used)]
        tasks.cancel_scope.cancel()
    assert all(isinstance(refusal, JSONRPCError) for refusal in refused)
    return begun, [refusal for refusal in refused if isinstance(refusal, JSONRPCError)]


@pytest.mark.parametrize("half", [r"\ud83d", r"\uDE31"], ids=["first", "second"])
async def test_half_a_letter_is_replaced_and_the_request_is_begun(half: str) -> None:
    (request,), refused = await passed(call(rf'{{"reason":"panic {half}, \ud83d\ude31, \\ud83d"}}'))
    assert request.id == 7
    assert request.params is not None
    assert request.params["arguments"] == {"reason": "panic \ufffd, \U0001f631, \\ud83d"}
    assert refused == []


@pytest.mark.parametrize(
    ("line", "number"),
    [
        (call(f'{{"quantity":{MANY_DIGITS}}}'), 7),
        (call(f'{{"reason":"\\ud83d","quantity":{MANY_DIGITS}}}', '"a"'), "a"),
        (call("{}", MANY_DIGITS), None),
        ('{"jsonrpc":"2.0","id":7,"method":5}', 7),
        ('{"jsonrpc":"2.0","id":7,"method":"tools/call","params":[1]}', 7),
        (call("{}")[:-1], None),
        ("this is not JSON", None),
        ("[]", None),
        ("[" * 100_000, None),
    ],
    ids=lambda given: str(given)[:60],
)
async def test_a_line_that_cannot_be_read_is_answered_and_the_next_is_begun(line: str, number: object) -> None:
    begun, (refusal,) = await passed(line, PING)
    assert [request.id for request in begun] == [99]
    assert (refusal.id, refusal.error.code) == (number, PARSE_ERROR)
    assert "nothing of it was begun, and nothing was sent" in refusal.error.message
    assert "id" in json.loads(refusal.model_dump_json(by_alias=True, exclude_unset=True))


async def test_an_unreadable_answer_is_not_answered_under_its_number_which_is_ours() -> None:
    _, (refusal,) = await passed(f'{{"jsonrpc":"2.0","id":7,"result":{{"content":{MANY_DIGITS}}}}}')
    assert refusal.id is None


async def test_an_empty_line_is_no_message() -> None:
    begun, refused = await passed("\n", PING)
    assert ([request.id for request in begun], refused) == ([99], [])
