"""Tools with strict arguments, schemas that every client can read, and the one place where errors become `ToolError`.

The SDK drops unknown keys, takes ``true`` for 1 and ``"3"`` for 3, reads the text ``"null"`` as no value at all (on a
flatten that would widen one instrument to the whole account), and hides every error that is no `ToolError`.
"""

import json
from collections.abc import Callable, Mapping
from functools import cache
from inspect import Parameter, getdoc, signature
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata
from mcp_types import CallToolResult, ToolAnnotations
from pydantic import AliasChoices, BaseModel, ConfigDict, ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails, PydanticCustomError

from ct_mcp.errors import CtMcpError
from ct_mcp.server.context import ServerContext
from ct_mcp.text import sanitize

_MOST_FAULTS = 12
MOST_COUNTED, MOST_RISKED = 10**20, 1_000_000_000
"""What is beyond is no argument: its digits would fill answers and the journal. The rules judge what is within."""
_NOTHING_SENT = "REQUEST_INVALID: {faults}. Nothing was sent to the market. Next: correct the arguments and call again."
_HIDDEN = "INTERNAL_FAULT: something in ct-mcp itself went wrong and was written to its log. "
_MAY_BE_SENT = (
    "Whether anything was sent is not known: look with get_orders and get_positions before doing anything else."
)
_NOT_BEGUN = "Nothing was sent to the market. Next: tell the person; call again with other arguments."


UNLISTED = "unlisted"
"""Marks, in the schema of a field, one that is taken and says nothing here: it is not listed."""


class StrictMetadata(FuncMetadata):
    """Takes arguments as they came: no text is parsed a second time.

    ``form`` names the parameter that takes all arguments as one model; where it is empty, each has its own parameter.
    """

    form: str = ""

    def pre_parse_json(self, data: dict[str, Any]) -> dict[str, Any]:
        """Change nothing."""
        return data

    def validate_arguments(self, arguments_to_validate: dict[str, Any]) -> dict[str, Any]:
        """Check the arguments; gives them by the names of the function's parameters."""
        try:
            return self._checked(arguments_to_validate)
        except ValidationError:
            raise
        except ArithmeticError:  # of a number that is too large to be reckoned with
            raise _refused(["arguments"], {}, "expected numbers that can be reckoned with") from None
        except Exception as surprise:
            raise _NotBegunError from surprise

    def _checked(self, arguments: dict[str, Any]) -> dict[str, Any]:
        given = self._without_nulls(arguments)
        if broken := [name for name, value in given.items() if not _is_whole_text((name, value))]:
            raise _refused(broken, given, "expected text that can be written as UTF-8")
        given = {name: whole(value) if name in self._whole_numbers else value for name, value in given.items()}
        if self.form:
            return {self.form: self.arg_model.model_validate(given)}
        return super().validate_arguments(given)

    @property
    def _whole_numbers(self) -> set[str]:
        """The arguments that take integers and no other numbers."""
        kinds = {name: _kinds(field.annotation) for name, field in self.arg_model.model_fields.items()}
        return {name for name, kind in kinds.items() if int in kind and float not in kind}

    def _without_nulls(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Leave out what is null and may be left out; a null that has to be something else stays, to be refused."""
        optional = {name: field for name, field in self.arg_model.model_fields.items() if not field.is_required()}
        may_be_left_out = {each for name, field in optional.items() for each in (name, *_other_names(field))}
        given = ((name, value) for name, value in arguments.items() if value is not None or name not in may_be_left_out)
        return {name: _without_null_members(value) for name, value in given}


class _NotBegunError(Exception):
    """A fault of ours while arguments were looked at: the tool has not begun."""


def whole(value: Any) -> Any:
    """Take 3.0 for 3, as JSON Schema does, and clients that hold all numbers as floats send it; 3.5 stays as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _kinds(annotation: Any) -> tuple[Any, ...]:
    """Give the types that an argument may be of."""
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def _other_names(field: FieldInfo) -> list[str]:
    """Give the names under which a field is taken."""
    match field.validation_alias:
        case AliasChoices(choices=choices):
            return [each for each in choices if isinstance(each, str)]
        case _:
            return []


class StrictTool(Tool):
    """A tool that refuses arguments it does not have, in words that the assistant can act on."""

    async def run(
        self,
        arguments: dict[str, Any],
        context: Context[Any, Any],
        convert_result: bool = False,  # noqa: FBT001, FBT002  # the SDK's signature
    ) -> Any:
        """Run it; our own errors keep their text, any other stays hidden from the assistant and is logged by the SDK.

        Raises:
            ToolError: Whatever failed, in words for the assistant.
        """
        shared = _shared(context)
        try:
            return await _with_notices(await super().run(arguments, context, convert_result), shared)
        except UnexpectedToolError as error:
            if isinstance(error.__cause__, CtMcpError):
                raise ToolError(str(error.__cause__)) from error.__cause__
            raise UnexpectedToolError(_HIDDEN + self._what_was_sent(error.__cause__)) from error.__cause__
        except ToolError as error:
            if isinstance(error.__cause__, ValidationError):
                raise ToolError(_NOTHING_SENT.format(faults=_faults(error.__cause__))) from error.__cause__
            raise
        finally:
            if shared is not None and not (self.annotations and self.annotations.read_only_hint):
                shared.wrote()

    def _what_was_sent(self, surprise: BaseException | None) -> str:
        """Say what is known: nothing is sent by what only reads, nor before the arguments were taken."""
        only_reads = bool(self.annotations and self.annotations.read_only_hint)
        return _NOT_BEGUN if only_reads or isinstance(surprise, _NotBegunError) else _MAY_BE_SENT


def _shared(context: Context[Any, Any]) -> ServerContext | None:
    """What the handlers of this server share; None where a tool is run by itself."""
    try:
        shared = context.request_context.lifespan_context
    except ValueError:
        return None
    return shared if isinstance(shared, ServerContext) else None


async def _with_notices(result: Any, shared: ServerContext | None) -> Any:
    """Tell with it what watches have told since the last answer. Nothing that fails there may hide an answer."""
    if not isinstance(result, CallToolResult) or shared is None:
        return result
    return await shared.told_beside(result)


class StrictArguments(ArgModelBase):
    """Takes no unknown argument, and none of another type."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        arbitrary_types_allowed=True,
        defer_build=True,  # a form that only others are made of is never built
    )


def _without_null_members(value: Any) -> Any:
    """Leave out the members of objects that are null, however deep; an item of a list cannot be left out."""
    match value:
        case dict():
            return {name: _without_null_members(member) for name, member in value.items() if member is not None}
        case list():
            return [_without_null_members(item) for item in value]
        case _:
            return value


def _is_whole_text(value: Any) -> bool:
    """Say whether all text in it can be written down: half a letter, which JSON can spell, cannot."""
    match value:
        case str():
            return not any("\ud800" <= letter <= "\udfff" for letter in value)
        case dict():
            return all(map(_is_whole_text, value.items()))
        case list() | tuple():
            return all(map(_is_whole_text, value))
        case _:
            return True


def _refused(names: list[str], given: dict[str, Any], expected: str) -> ValidationError:
    """Refuse arguments that no validator has looked at."""
    fault = PydanticCustomError("argument", "{expected}", {"expected": expected})
    faults = [InitErrorDetails(type=fault, loc=(sanitize(name),), input=given.get(name)) for name in names]
    return ValidationError.from_exception_data("arguments", faults)


def strict_tool(
    function: Callable[..., Any],
    title: str,
    annotations: ToolAnnotations,
    meta: dict[str, Any] | None = None,
    listed: Mapping[str, Any] | None = None,
) -> StrictTool:
    """Make a tool of a plain function: its docstring is what the assistant reads, ``meta`` what clients do.

    Beside ``ctx`` it takes one parameter for each argument, or one `StrictArguments` whose fields are the arguments.

    `Tool.from_function` makes models and schemas that would all be thrown away, and the same result's for each tool:
    more than half of what listing the tools costs at the start. ``listed`` are its schemas as `schemas_of` gives them,
    where they are known: then the models behind them are not even built before the first call.
    """
    declared = signature(function, eval_str=True)
    parameters = [each for each in declared.parameters.values() if each.name != "ctx"]
    form, arguments = _form(parameters) or ("", _arguments(function.__name__, parameters))
    result = _result(declared.return_annotation)
    known = schemas_of(arguments, result) if listed is None else listed
    return StrictTool(
        fn=function,
        name=function.__name__,
        title=title,
        description=getdoc(function) or "",
        parameters=known["arguments"],
        fn_metadata=StrictMetadata(
            arg_model=arguments,
            output_schema=known["result"],
            output_model=result,
            form=form,
        ),
        is_async=True,
        context_kwarg="ctx",
        annotations=annotations,
        meta=meta,
    )


def schemas_of(arguments: type[StrictArguments], result: type[BaseModel] | None) -> dict[str, Any]:
    """Give what is listed of the arguments of a tool, and of its result; None where it answers in text."""
    return {"arguments": _argument_schema(arguments), "result": None if result is None else _result_schema(result)}


def _form(parameters: list[Parameter]) -> tuple[str, type[StrictArguments]] | None:
    """The one parameter that takes all arguments, where there is one."""
    match parameters:
        case [Parameter(name=name, annotation=type() as form)] if issubclass(form, StrictArguments):
            return name, form
        case _:
            return None


def _arguments(name: str, parameters: list[Parameter]) -> type[StrictArguments]:
    fields: dict[str, Any] = {
        each.name: (each.annotation, ... if each.default is each.empty else each.default) for each in parameters
    }
    return create_model(f"{name}Arguments", __base__=StrictArguments, **fields)


def _result(returned: Any) -> type[BaseModel] | None:
    """The structured half: the model in ``Annotated[CallToolResult, Model]``; None of a tool that answers in text."""
    arms = (returned, *get_args(returned)) if get_origin(returned) in (Union, UnionType) else (returned,)
    return next((arm.__metadata__[0] for arm in arms if get_origin(arm) is Annotated), None)


@cache
def _result_schema(result: type[BaseModel]) -> dict[str, Any]:
    return plain_schema(result.model_json_schema())


def _argument_schema(arguments: type[StrictArguments]) -> dict[str, Any]:
    """The listed schema; what a form says of itself is for those who read the code."""
    schema = plain_schema(arguments.model_json_schema())
    schema.pop("description", None)
    return _without_null(schema)


def plain_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Inline references, which several clients cannot read, and drop keywords that cost tokens and say nothing."""
    plain = _plain(schema, schema.get("$defs", {}))
    assert isinstance(plain, dict)  # noqa: S101  # a mapping stays a mapping
    return plain


def _plain(node: Any, definitions: dict[str, Any]) -> Any:
    match node:
        case {"$ref": str(reference), **beside}:
            return _plain({**definitions[reference.rpartition("/")[2]], **beside}, definitions)
        case {"anyOf": [{"type": str(kind), **branch}, {"type": "null"}], **beside}:
            return _plain({"type": [kind, "null"], **branch, **beside}, definitions)
        case dict():
            return {key: _member(key, value, definitions) for key, value in node.items() if not _is_noise(key, value)}
        case list():
            return [_plain(item, definitions) for item in node]
        case _:
            return node


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """For arguments: leaving a field out says the same as null, which is taken but need not be offered."""
    properties = schema.get("properties", {}).items()
    return {**schema, "properties": {name: _argument(field) for name, field in properties if UNLISTED not in field}}


def _argument(field: dict[str, Any]) -> dict[str, Any]:
    """List an argument without what costs tokens on every turn, and is refused in words where it matters.

    That is how long a text or a list may be, that nothing is counted or risked below nothing or beyond all reason, and
    that a count begins there, as a switch is off.
    """
    shown = {name: _listed(value) for name, value in field.items() if not _goes_without_saying(name, value)}
    return {**shown, "type": _one(field["type"])}


def _listed(value: Any) -> Any:
    """The same of the items of a list."""
    if not isinstance(value, dict):
        return value
    return {name: each for name, each in value.items() if not _goes_without_saying(name, each)}


def _goes_without_saying(name: str, value: Any) -> bool:
    is_nothing = name == "default" and value in (0, False)
    is_least = name == "minimum" and value in (0, 0.01, 1)
    is_most = name == "maximum" and value in (MOST_COUNTED, MOST_RISKED)
    return is_nothing or is_least or is_most or name in ("minLength", "maxLength", "minItems", "maxItems")


def _one(kind: str | list[str]) -> str:
    return kind if isinstance(kind, str) else kind[0]


def _member(key: str, value: Any, definitions: dict[str, Any]) -> Any:
    if key == "properties":  # names of fields, which may themselves be called "title" or "default"
        return {name: _plain(field, definitions) for name, field in value.items()}
    return _plain(value, definitions)


def _is_noise(key: str, value: Any) -> bool:
    return key == "$defs" or (key == "title" and isinstance(value, str)) or (key == "default" and value is None)


def _faults(error: ValidationError) -> str:
    found = error.errors(include_url=False)
    more = [f"and {len(found) - _MOST_FAULTS} more"] if len(found) > _MOST_FAULTS else []
    return "; ".join([*(_fault(dict(fault)) for fault in found[:_MOST_FAULTS]), *more])


def _fault(fault: dict[str, Any]) -> str:
    place = sanitize(".".join(str(part) for part in fault["loc"]), longest=60) or "arguments"
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
