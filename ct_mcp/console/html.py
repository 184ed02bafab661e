"""HTML as values: every text is escaped unless it is markup already, so that no name can ever become a tag."""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Html:
    """Markup that was made here."""

    text: str


Child: TypeAlias = "Html | str | int | Iterable[Child] | None"
Value: TypeAlias = str | int | bool | None

_VOID = frozenset({"input", "link", "meta", "hr", "br"})


def tag(name: str, /, *children: Child, **attributes: Value) -> Html:
    """One element. ``class_`` is written ``class``, ``aria_label`` ``aria-label``; None and False are left out."""
    opened = f"<{name}{''.join(_attribute(key, value) for key, value in attributes.items())}>"
    return Html(opened if name in _VOID else f"{opened}{rendered(children)}</{name}>")


def rendered(child: Child) -> str:
    """The text of markup; whatever else it is becomes escaped text."""
    match child:
        case None:
            return ""
        case Html(text):
            return text
        case str() | int():
            return escape(str(child))
        case _:
            return "".join(map(rendered, child))


def _attribute(key: str, value: Value) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'
