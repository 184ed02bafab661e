"""How the report of a machine is written at the plane, and read again whoever wrote it.

A newer version may say more, which is passed over. Whatever else cannot be read is None: a trader can write there what
he likes, and must not keep a risk manager from seeing the others. It stands alone, since pydantic makes its validators
with the first report.
"""

from functools import cache

from pydantic import TypeAdapter, ValidationError

from ct_mcp.domain.team import TraderReport
from ct_mcp.store.codec import canonical
from ct_mcp.store.journal import storable


def report_to_text(report: TraderReport) -> str:
    """Write a report as JSON; a NUL, or half a character, which could not be read again, as its escape."""
    return canonical(_storable(_reports().dump_python(report, mode="json")))


def report_from_text(text: str) -> TraderReport | None:
    """Read a report; None where that cannot be done."""
    try:
        report = _reports().validate_json(text)
    except (ValidationError, RecursionError):
        return None
    times = [at for each in report.accounts for at in (each.armed_until, each.read_at) if at is not None]
    return None if any(at.tzinfo is None for at in times) else report


def _storable(value: object) -> object:
    match value:
        case str():
            return storable(value)
        case list():
            return [_storable(each) for each in value]
        case dict():
            return {name: _storable(each) for name, each in value.items()}
        case _:
            return value


@cache
def _reports() -> TypeAdapter[TraderReport]:
    return TypeAdapter(TraderReport)
