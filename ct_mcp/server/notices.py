"""What watches have told, put once into the next answer of any tool, whoever asked for it.

It stands alone, since it is of all tools and of none.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mcp_types import CallToolResult, TextContent

from ct_mcp.domain.watch import Notice
from ct_mcp.server.format import sanitize_name
from ct_mcp.text import iso

if TYPE_CHECKING:  # the desk is loaded by the first call, not by the start
    from ct_mcp.desk.ports import Store

_LISTS = ("notes", "warnings")
"""Where the structured half of a result has room for what is beside the question."""


class NoticeBoard:
    """Remembers what this process has told. At its beginning that is all that anybody has heard before."""

    def __init__(self, store: "Store") -> None:
        self.store = store
        self._after: int | None = None

    @property
    def heard(self) -> int | None:
        """Number of the last that stood in an answer; None before the first answer."""
        return self._after

    async def untold(self) -> tuple[Notice, ...]:
        """Give what was told since the last answer, and what nobody has heard yet."""
        after, store = self._after, self.store
        if after is None:
            newest = await store.notices(0, 1)
            after = self._after = newest[-1].number if newest else 0
            told = await store.take_notices(None)
        else:
            told = await store.take_notices(after) if await store.notices(after, 1) else ()
        self._after = max((after, *(notice.number for notice in told)))
        return told


def with_notices(result: CallToolResult, notices: Sequence[Notice]) -> CallToolResult:
    """Put them into both halves; an answer that tells one already, as that of a wait does, tells it once."""
    answer = "\n".join(part.text for part in result.content if isinstance(part, TextContent))
    lines = [_line(notice) for notice in notices if _words(notice) not in answer]
    if not lines:
        return result
    text = "\n".join(f"told by a watch: {line}" for line in lines)
    result.content.append(TextContent(type="text", text=text))
    structure = result.structured_content
    if isinstance(structure, dict):
        for name in _LISTS:
            if isinstance(structure.get(name), list):
                structure[name] = [*structure[name], *(f"told by a watch: {line}" for line in lines)]
                break
    return result


def _line(notice: Notice) -> str:
    return f"{iso(notice.at)}  {_words(notice)}"


def _words(notice: Notice) -> str:
    return sanitize_name(notice.words, 400)
