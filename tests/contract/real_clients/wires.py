"""How clients speak with models: reads requests of four wires for the script, and streams what it says in each."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from tests.contract.real_clients.script import BY_NAME, Answer, Asked, Call, Offered, Say, Step, as_text

Json = dict[str, Any]
_ids = count(1)


@dataclass(frozen=True, slots=True)
class Wire:
    """One way to ask a model: ``write`` gives the events of a stream, ``whole`` the same in one piece."""

    read: Callable[[Json], Asked]
    write: Callable[[Step, str], Iterator[tuple[str, Any]]]
    whole: Callable[[Step, str], Json]


def _id(kind: str) -> str:
    return f"{kind}_{next(_ids):08d}"


# Messages, as Anthropic has them.


def _read_messages(body: Json) -> Asked:
    names: dict[str, str] = {}
    answers: list[Answer] = []
    texts = [as_text(body.get("system"))]
    for message in body.get("messages", ()):
        for block in _blocks(message.get("content")):
            match block:
                case {"type": "tool_use", "id": str(call), "name": str(name)}:
                    names[call] = name
                case {"type": "tool_result", "tool_use_id": str(call)}:
                    answers.append(Answer(names.get(call, ""), as_text(block.get("content"))))
                case {"type": "text", "text": str(text)}:
                    texts.append(text)
    tools = tuple(Offered(tool["name"]) for tool in body.get("tools", ()))
    return Asked("\n".join(texts), tools, tuple(answers))


def _blocks(content: object) -> list[Any]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())  # type: ignore[call-overload]


def _message(step: Step, model: str) -> Json:
    match step:
        case Say(text):
            content: Json = {"type": "text", "text": text}
            reason = "end_turn"
        case Call(tool, arguments):
            content = {"type": "tool_use", "id": _id("toolu"), "name": tool.name, "input": dict(arguments)}
            reason = "tool_use"
    usage = {"input_tokens": 10, "output_tokens": 10}
    head = {"id": _id("msg"), "type": "message", "role": "assistant", "model": model}
    return {**head, "content": [content], "stop_reason": reason, "stop_sequence": None, "usage": usage}


def _message_events(step: Step, model: str) -> Iterator[tuple[str, Any]]:
    whole = _message(step, model)
    (block,) = whole["content"]
    usage = {"input_tokens": 10, "output_tokens": 1}
    yield "message_start", {"message": {**whole, "content": [], "stop_reason": None, "usage": usage}}
    if block["type"] == "text":
        empty, delta = {**block, "text": ""}, {"type": "text_delta", "text": block["text"]}
    else:
        empty = {**block, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
    yield "content_block_start", {"index": 0, "content_block": empty}
    yield "content_block_delta", {"index": 0, "delta": delta}
    yield "content_block_stop", {"index": 0}
    end = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield "message_delta", {"delta": end, "usage": {"output_tokens": 10}}
    yield "message_stop", {}


def _named(events: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Say the kind of an event within it as well."""
    for kind, event in events:
        yield kind, {"type": kind, **event}


# Chat completions, as OpenAI and all that imitate it have them.


def _read_chat(body: Json) -> Asked:
    names: dict[str, str] = {}
    answers: list[Answer] = []
    texts: list[str] = []
    for message in body.get("messages", ()):
        for call in message.get("tool_calls") or ():
            names[call["id"]] = _called(call["function"])
        content = as_text(message.get("content"))
        if message["role"] == "tool":
            answers.append(Answer(names.get(message["tool_call_id"], ""), content))
        else:
            texts.append(content)
    tools = tuple(Offered(tool["function"]["name"]) for tool in body.get("tools") or () if "function" in tool)
    return Asked("\n".join(texts), tools, tuple(answers))


def _called(function: Json) -> str:
    """Name what was called, also by the tool that calls others."""
    name: str = function["name"]
    return str(json.loads(function["arguments"]).get("name", "")) if name == BY_NAME else name


def _chat_message(step: Step) -> tuple[Json, str]:
    match step:
        case Say(text):
            return {"role": "assistant", "content": text}, "stop"
        case Call(tool, arguments):
            function = {"name": tool.name, "arguments": json.dumps(arguments)}
            call = {"index": 0, "id": _id("call"), "type": "function", "function": function}
            return {"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls"


def _chat(step: Step, model: str) -> Json:
    message, reason = _chat_message(step)
    choice = {"index": 0, "message": message, "finish_reason": reason}
    return {**_completion(model, "chat.completion"), "choices": [choice], "usage": _USAGE}


def _chat_events(step: Step, model: str) -> Iterator[tuple[str, Any]]:
    delta, reason = _chat_message(step)
    head = _completion(model, "chat.completion.chunk")
    yield "", {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield "", {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}
    yield "", {**head, "choices": [], "usage": _USAGE}
    yield "", "[DONE]"


_USAGE = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}


def _completion(model: str, kind: str) -> Json:
    return {"id": _id("chatcmpl"), "object": kind, "created": 1, "model": model}


# Responses, the newer wire of OpenAI; tools may stand in namespaces.


def _read_responses(body: Json) -> Asked:
    names: dict[str, str] = {}
    answers: list[Answer] = []
    texts = [as_text(body.get("instructions"))]
    given = body.get("input", ())
    for item in [{"content": given}] if isinstance(given, str) else given:
        match item:
            case {"type": "function_call", "call_id": str(call), "name": str(name)}:
                names[call] = name
            case {"type": "function_call_output", "call_id": str(call)}:
                answers.append(Answer(names.get(call, ""), as_text(item.get("output"))))
            case {"content": content}:
                texts.append(as_text(content))
    return Asked("\n".join(texts), tuple(_offered(body.get("tools", ()))), tuple(answers))


def _offered(tools: Iterator[Json] | list[Json], space: str = "") -> Iterator[Offered]:
    for tool in tools:
        if tool.get("type") == "namespace":
            yield from _offered(tool["tools"], tool["name"])
        elif "name" in tool:
            yield Offered(tool["name"], space)


def _response(step: Step, model: str) -> Json:
    match step:
        case Say(text):
            part = {"type": "output_text", "text": text, "annotations": []}
            item: Json = {"type": "message", "id": _id("msg"), "role": "assistant", "content": [part]}
        case Call(tool, arguments):
            space = {"namespace": tool.space} if tool.space else {}
            called = {"name": tool.name, **space, "arguments": json.dumps(arguments)}
            item = {"type": "function_call", "id": _id("fc"), "call_id": _id("call"), **called}
    usage = {"input_tokens": 10, "output_tokens": 10, "total_tokens": 20}
    head = {"id": _id("resp"), "object": "response", "created_at": 1, "model": model, "status": "completed"}
    return {**head, "output": [{**item, "status": "completed"}], "usage": usage}


def _response_events(step: Step, model: str) -> Iterator[tuple[str, Any]]:
    whole = _response(step, model)
    (item,) = whole["output"]
    yield "response.created", {"response": {**whole, "status": "in_progress", "output": [], "usage": None}}
    yield "response.output_item.added", {"output_index": 0, "item": {**item, "status": "in_progress"}}
    yield "response.output_item.done", {"output_index": 0, "item": item}
    yield "response.completed", {"response": whole}


# Contents, as Gemini has them.


def _read_contents(body: Json) -> Asked:
    answers: list[Answer] = []
    texts = [as_text(body.get("systemInstruction", {}).get("parts"))]
    for content in body.get("contents", ()):
        for part in content.get("parts", ()):
            match part:
                case {"functionResponse": {"name": str(name), "response": response}}:
                    answers.append(Answer(name, json.dumps(response)))
                case {"text": str(text)}:
                    texts.append(text)
    declared = [each for tool in body.get("tools", ()) for each in tool.get("functionDeclarations", ())]
    return Asked("\n".join(texts), tuple(Offered(each["name"]) for each in declared), tuple(answers))


def _content(step: Step, model: str) -> Json:
    match step:
        case Say(text):
            part: Mapping[str, Any] = {"text": text}
        case Call(tool, arguments):
            part = {"functionCall": {"id": _id("call"), "name": tool.name, "args": dict(arguments)}}
    candidate = {"index": 0, "content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 10, "totalTokenCount": 20}
    return {"candidates": [candidate], "modelVersion": model, "usageMetadata": usage}


def _content_events(step: Step, model: str) -> Iterator[tuple[str, Any]]:
    yield "", _content(step, model)


MESSAGES = Wire(_read_messages, lambda step, model: _named(_message_events(step, model)), _message)
CHAT = Wire(_read_chat, _chat_events, _chat)
RESPONSES = Wire(_read_responses, lambda step, model: _named(_response_events(step, model)), _response)
CONTENTS = Wire(_read_contents, _content_events, _content)
