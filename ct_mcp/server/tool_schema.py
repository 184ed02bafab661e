"""Strict arguments, schemas that every client can read, and the one door by which errors reach the assistant.

The SDK drops unknown keys, takes ``true`` for 1 and ``"3"`` for 3, reads the text ``"null"`` as no value at all (on a
flatten that would widen one instrument to the whole account), and hides every error that is no `ToolError`.
"""

import json
from collections.abc import Callable
from functools import cache
from inspect import Signature, getdoc, signature
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata
from mcp_types import ToolAnnotations
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from ct_mcp.crosstrade.words import cleaned
from ct_mcp.errors import CtMcpError

_MOST_FAULTS = 12
_NOTHING_SENT = "REQUEST_INVALID: {faults}. Nothing was sent to the market. Next: correct the arguments and call again."
_HIDDEN = (
    "INTERNAL_FAULT: something in ct-mcp itself went wrong and was written to its log. "
    "Whether anything was sent is not known: look with get_orders and get_positions before doing anything else."
)


class StrictMetadata(FuncMetadata):
    """Takes arguments as they came: no text is parsed a second time."""

    def pre_parse_json(self, data: dict[str, Any]) -> dict[str, Any]:
        """Change nothing."""
        return data


class StrictTool(Tool):
    """A tool that refuses what it was not asked for, in words that the assistant can act on."""

    async def run(
        self,
        arguments: dict[str, Any],
        context: Context[Any, Any],
        convert_result: bool = False,  # noqa: FBT001, FBT002  # the SDK's signature
    ) -> Any:
        """Run it; the text of our own errors passes, everything else stays hidden and is logged by the SDK."""
        try:
            return await super().run(arguments, context, convert_result)
        except UnexpectedToolError as error:
            if isinstance(error.__cause__, CtMcpError):
                raise ToolError(str(error.__cause__)) from error.__cause__
            raise UnexpectedToolError(_HIDDEN) from error.__cause__
        except ToolError as error:
            if isinstance(error.__cause__, ValidationError):
                raise ToolError(_NOTHING_SENT.format(faults=_faults(error.__cause__))) from error.__cause__
            raise


class StrictArguments(ArgModelBase):
    """Takes nothing that it was not asked for, and nothing of another type."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, arbitrary_types_allowed=True)


def strict_tool(function: Callable[..., Any], title: str, annotations: ToolAnnotations) -> StrictTool:
    """Make a tool of a plain function: its docstring is what the assistant reads.

    `Tool.from_function` makes models and schemas that would all be thrown away, and the same answer's for each tool:
    more than half of what listing the tools costs at the start.
    """
    asked = signature(function, eval_str=True)
    arguments, answer = _arguments(function.__name__, asked), _answer(asked.return_annotation)
    return StrictTool(
        fn=function,
        name=function.__name__,
        title=title,
        description=getdoc(function) or "",
        parameters=_without_null(plain_schema(arguments.model_json_schema())),
        fn_metadata=StrictMetadata(arg_model=arguments, output_schema=_answer_schema(answer), output_model=answer),
        is_async=True,
        context_kwarg="ctx",
        annotations=annotations,
    )


def _arguments(name: str, asked: Signature) -> type[StrictArguments]:
    fields: dict[str, Any] = {
        each.name: (each.annotation, ... if each.default is each.empty else each.default)
        for each in asked.parameters.values()
        if each.name != "ctx"
    }
    return create_model(f"{name}Arguments", __base__=StrictArguments, **fields)


def _answer(returned: Any) -> type[BaseModel]:
    """The structured half: the model in ``Annotated[CallToolResult, Model]``, alone or beside a question."""
    arms = (returned, *get_args(returned)) if get_origin(returned) in (Union, UnionType) else (returned,)
    model: type[BaseModel] = next(arm.__metadata__[0] for arm in arms if get_origin(arm) is Annotated)
    return model


@cache
def _answer_schema(answer: type[BaseModel]) -> dict[str, Any]:
    return plain_schema(answer.model_json_schema())


def plain_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Inline references, which several clients cannot read, and drop what costs tokens and says nothing."""
    plain = _plainly(schema, schema.get("$defs", {}))
    assert isinstance(plain, dict)  # noqa: S101  # a mapping stays a mapping
    return plain


def _plainly(node: Any, definitions: dict[str, Any]) -> Any:
    match node:
        case {"$ref": str(reference), **beside}:
            return _plainly({**definitions[reference.rpartition("/")[2]], **beside}, definitions)
        case {"anyOf": [{"type": str(kind), **branch}, {"type": "null"}], **beside}:
            return _plainly({"type": [kind, "null"], **branch, **beside}, definitions)
        case dict():
            return {key: _named(key, value, definitions) for key, value in node.items() if not _is_noise(key, value)}
        case list():
            return [_plainly(item, definitions) for item in node]
        case _:
            return node


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """For arguments: leaving a field out says the same as null, which is taken but need not be offered."""
    properties = schema.get("properties", {}).items()
    return {**schema, "properties": {name: {**field, "type": _one(field["type"])} for name, field in properties}}


def _one(kind: str | list[str]) -> str:
    return kind if isinstance(kind, str) else kind[0]


def _named(key: str, value: Any, definitions: dict[str, Any]) -> Any:
    if key == "properties":  # names of fields, which may themselves be called "title" or "default"
        return {name: _plainly(field, definitions) for name, field in value.items()}
    return _plainly(value, definitions)


def _is_noise(key: str, value: Any) -> bool:
    return key == "$defs" or (key == "title" and isinstance(value, str)) or (key == "default" and value is None)


def _faults(error: ValidationError) -> str:
    found = error.errors(include_url=False)
    more = [f"and {len(found) - _MOST_FAULTS} more"] if len(found) > _MOST_FAULTS else []
    return "; ".join([*(_fault(dict(fault)) for fault in found[:_MOST_FAULTS]), *more])


def _fault(fault: dict[str, Any]) -> str:
    place = cleaned(".".join(str(part) for part in fault["loc"]), longest=60) or "arguments"
    match fault["type"]:
        case "missing":
            return f"{place} is missing"
        case "extra_forbidden":
            return f"{place} is not a parameter of this tool"
        case _:
            return f"{place}: {fault['msg']}, found {_shown(fault['input'])}"


def _shown(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=True)[:60]
    except (TypeError, ValueError):
        return type(value).__name__
