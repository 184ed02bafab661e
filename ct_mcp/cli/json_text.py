"""Edit one entry of a JSON text that a person keeps: comments, trailing commas and layout stay as they are.

Nothing is written anew but what changes: the text is read with the place of every member, and then cut or extended
there. An insertion stands right behind the opening brace, where neither a comma nor a comment of others is touched.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_BLANKS = " \t\r\n"
_SCALARS = json.JSONDecoder()


class UnreadableText(ValueError):
    """The text is not what the client reads, or holds something else where the servers belong; says what and where."""


@dataclass(frozen=True, slots=True)
class JsonNode:
    """One value with its place in the text; ``members`` are those of an object, in their order."""

    start: int
    end: int
    data: Any
    members: tuple["JsonMember", ...] = ()

    def find(self, name: str) -> "JsonMember | None":
        """Give the member that counts: of several with one name, the last."""
        return next((member for member in reversed(self.members) if member.name == name), None)


@dataclass(frozen=True, slots=True)
class JsonMember:
    """One member of an object; it starts with its name."""

    start: int
    name: str
    node: JsonNode


def parse(text: str) -> JsonNode:
    """Read a whole text whose outermost value is an object.

    Raises:
        UnreadableText: It is none.
    """
    reader = _Reader(text)
    try:
        reader.skip()
        root = reader.node()
        reader.skip()
    except RecursionError:
        raise UnreadableText("it is nested beyond all bounds") from None
    if reader.at < len(text):
        raise reader.unreadable("found something behind the end")
    if not isinstance(root.data, dict):
        raise UnreadableText("its outermost value is no object")
    return root


class _Reader:
    """Reads JSON that may hold comments and trailing commas, from one place onwards."""

    def __init__(self, text: str, at: int = 0) -> None:
        self.text = text
        self.at = at

    def unreadable(self, what: str) -> UnreadableText:
        return UnreadableText(f"{what} in line {self.text.count(chr(10), 0, self.at) + 1}")

    def skip(self) -> None:
        """Go on to what is neither blank nor comment."""
        while self.at < len(self.text):
            if self.text[self.at] in _BLANKS:
                self.at += 1
            elif not self.skip_comment():
                return

    def skip_comment(self) -> bool:
        """Go behind a comment that starts here; says whether one does. That of a line ends before its newline."""
        if self.text.startswith("//", self.at):
            ends = [place for sign in "\r\n" if (place := self.text.find(sign, self.at)) >= 0]
            self.at = min(ends, default=len(self.text))
            return True
        if not self.text.startswith("/*", self.at):
            return False
        end = self.text.find("*/", self.at + 2)
        if end < 0:
            raise self.unreadable("found a comment that does not end")
        self.at = end + 2
        return True

    def node(self) -> JsonNode:
        start, sign = self.at, self.text[self.at : self.at + 1]
        if sign == "{":
            members = tuple(self._items("}", self._member))
            return JsonNode(start, self.at, {member.name: member.node.data for member in members}, members)
        if sign == "[":
            return JsonNode(start, *self._ended([node.data for node in self._items("]", self.node)]))
        return JsonNode(start, *self._ended(self._scalar()))

    def _ended(self, data: Any) -> tuple[int, Any]:
        return self.at, data

    def _items(self, closing: str, read: Any) -> Iterator[Any]:
        self.at += 1
        self.skip()
        while not self._takes(closing):
            yield read()
            self.skip()
            if not self._takes(",") and self.text[self.at : self.at + 1] != closing:
                raise self.unreadable(f"expected , or {closing}")
            self.skip()

    def _takes(self, sign: str) -> bool:
        found = self.text.startswith(sign, self.at)
        self.at += len(sign) if found else 0
        return found

    def _member(self) -> JsonMember:
        start = self.at
        if not self.text.startswith('"', start):
            raise self.unreadable("expected a name in double quotes")
        name = self._scalar()
        self.skip()
        if not self._takes(":"):
            raise self.unreadable("expected :")
        self.skip()
        return JsonMember(start, name, self.node())

    def _scalar(self) -> Any:
        try:
            value, self.at = _SCALARS.raw_decode(self.text, self.at)
        except ValueError:
            raise self.unreadable("expected a value") from None
        return value


def entries(text: str, box: str) -> dict[str, Any]:
    """Give the servers that a text names, under the key that its client reads; empty where there are none."""
    if not text.strip():
        return {}
    found = parse(text).find(box)
    if found is None:
        return {}
    if not isinstance(found.node.data, dict):
        raise UnreadableText(f'"{box}" is no object')
    return dict(found.node.data)


def put(text: str, box: str, name: str, entry: Mapping[str, Any]) -> str:
    """Write an entry into a text; of one that is there only the members that differ are changed."""
    if not text.strip():
        return _in_lines({box: {name: dict(entry)}}, "  ") + "\n"
    named, servers = entries(text, box), parse(text).find(box)
    if servers is None:
        return _insert(text, parse(text), box, {name: entry})
    if name not in named:
        return _insert(text, servers.node, name, entry)
    for key, value in entry.items():
        text = _put_member(text, (box, name), key, value)
    return text


def _put_member(text: str, path: tuple[str, str], key: str, value: Any) -> str:
    node = parse(text)
    for step in path:
        member = node.find(step)
        if member is None or not isinstance(member.node.data, dict):
            raise UnreadableText(f'"{step}" is no object')
        node = member.node
    found = node.find(key)
    if found is None:
        return _insert(text, node, key, value)
    if found.node.data == value:
        return text
    return text[: found.node.start] + _inline(value) + text[found.node.end :]


def take(text: str, box: str, name: str) -> str:
    """Take an entry out, however often it stands there, with the comma that belongs to it."""
    while (servers := parse(text).find(box)) and (found := servers.node.find(name)):
        text = _without(text, servers.node, found)
    if servers and not servers.node.members and not text[servers.node.start + 1 : servers.node.end - 1].strip():
        text = text[: servers.node.start + 1] + text[servers.node.end - 1 :]
    return text


def _without(text: str, servers: JsonNode, member: JsonMember) -> str:
    """Take one member out, with the beginning of its line unless that ends a comment."""
    whole, alone = (_cut(text, servers, member, at) for at in (_line_of(text, member.start), member.start))
    kept = [other.name for other in servers.members if other is not member]
    try:
        found = next(one for one in _nodes(parse(whole)) if one.start == servers.start)
    except (UnreadableText, StopIteration):
        return alone
    return whole if [other.name for other in found.members] == kept else alone


def _nodes(node: JsonNode) -> Iterator[JsonNode]:
    yield node
    for member in node.members:
        yield member.node


def _cut(text: str, servers: JsonNode, member: JsonMember, start: int) -> str:
    end = member.node.end
    if (comma := _comma_behind(text, end)) is not None:
        return text[:start] + text[end:comma] + text[comma + 1 :]
    before = [other for other in servers.members if other.start < member.start]
    comma = _comma_behind(text, before[-1].node.end) if before else None
    kept = text[:start] if comma is None else text[:comma] + text[comma + 1 : start]
    return kept + text[end:]


def _comma_behind(text: str, at: int) -> int | None:
    reader = _Reader(text, at)
    reader.skip()
    return reader.at if text.startswith(",", reader.at) else None


def _line_of(text: str, at: int) -> int:
    """Give the end of the line before, where nothing but blanks stands between it and a place; else the place."""
    blanks = text[:at].rstrip(" \t")
    return at if not blanks.endswith("\n") else len(blanks) - (2 if blanks.endswith("\r\n") else 1)


def _insert(text: str, into: JsonNode, name: str, value: Any) -> str:
    """Write a member right behind the opening brace, in the layout of the members that are there."""
    first = next(iter(into.members), None)
    if first is not None and "\n" not in text[into.start : first.start]:
        return f"{text[: into.start + 1]}{_inline(name)}: {_inline(value)},{text[into.start + 1 :]}"
    newline, at = "\r\n" if "\r\n" in text else "\n", _behind_the_brace(text, into.start + 1)
    outer, step = _indent_of_line(text, into.start), _step(text)
    indent = _indent_of_line(text, first.start) if first else outer + step
    written = f"{_inline(name)}: {_in_lines(value, step)}".replace("\n", newline + indent)
    ending = "," if first else "" if "\n" in text[at : into.end] else newline + outer
    return f"{text[:at]}{newline}{indent}{written}{ending}{text[at:]}"


def _in_lines(value: Any, step: str) -> str:
    """Write an object with a line for each member, anything else in one."""
    if not isinstance(value, dict) or not value:
        return _inline(value)
    members = (f"{_inline(name)}: {_in_lines(inner, step)}" for name, inner in value.items())
    return "{" + f",\n{step}".join(["", *(member.replace("\n", f"\n{step}") for member in members)])[1:] + "\n}"


def _inline(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _behind_the_brace(text: str, at: int) -> int:
    """Give the end of a comment that stands behind the brace in its line, else the place right behind the brace."""
    reader = _Reader(text, at)
    while reader.at < len(text) and (text[reader.at] in " \t" or reader.skip_comment()):
        reader.at += text[reader.at : reader.at + 1] in (" ", "\t")
    ends_the_line = text[reader.at : reader.at + 1] in ("\r", "\n") and "\n" not in text[at : reader.at]
    return reader.at if ends_the_line else at


def _indent_of_line(text: str, at: int) -> str:
    """Give the blanks that the line of a place begins with."""
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _step(text: str) -> str:
    """Give what one level is indented by, as the outermost members have it."""
    first = next(iter(parse(text).members), None)
    return (_indent_of_line(text, first.start) if first else "") or "  "
