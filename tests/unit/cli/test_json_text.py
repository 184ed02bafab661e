"""Editing JSON that a person keeps: whatever was there is there still, and our entry can be read."""

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.cli.json_text import UnreadableText, entries, parse, put, take

ENTRY = {"command": r"C:\Users\Zoë\ct-mcp.exe", "args": ["serve", "--demo"]}
BOX, NAME = "mcpServers", "ct-mcp"

TRIVIA = ["", " ", "\t", "\n", "\r\n", "/* { , } */", '// "mcpServers": {}\n', "// a\r\n", "/**/", "/* x\n y */"]
scalars = st.one_of(st.none(), st.integers(), st.sampled_from(["", "ü", '"', "//", "/*", "}", ",", "\\", "\n"]))
data = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.sampled_from("ab"), inner, max_size=2)),
    max_leaves=3,
)
servers = st.dictionaries(st.sampled_from(["a", "b", "ct-mcp-demo", "ü"]), data, max_size=3)
documents = st.builds(
    lambda before, box, behind: {**before, **({} if box is None else {BOX: box}), **behind},
    st.dictionaries(st.sampled_from(["x", "//"]), data, max_size=1),
    st.one_of(st.none(), servers),
    st.dictionaries(st.sampled_from(["y", "z"]), data, max_size=1),
)


def written(value: Any, hand: Random) -> str:
    """Write a value with blanks, comments and trailing commas wherever a person may have put them."""

    def blank() -> str:
        return "".join(hand.choices(TRIVIA, k=hand.randrange(3)))

    if isinstance(value, dict):
        items = [f"{json.dumps(key)}{blank()}:{blank()}{written(inner, hand)}" for key, inner in value.items()]
    elif isinstance(value, list):
        items = [written(inner, hand) for inner in value]
    else:
        return json.dumps(value, ensure_ascii=hand.random() < 0.5)
    comma = hand.choice(["", ","]) if items else ""
    joined = ",".join(f"{blank()}{item}{blank()}" for item in items)
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}{joined}{comma}{blank()}{closing}"


texts = st.builds(lambda value, seed: (value, written(value, Random(seed)) + "\n"), documents, st.integers(0, 2**32))


def is_kept(before: str, after: str) -> bool:
    """Whether every letter of a text stands in another, in the same order."""
    rest = iter(after)
    return all(letter in rest for letter in before)


@given(texts)
def test_whatever_was_there_is_there_still_and_our_entry_joins_it(given: tuple[dict[str, Any], str]) -> None:
    data, before = given
    after = put(before, BOX, NAME, ENTRY)
    assert parse(after).data == {**data, BOX: {**data.get(BOX, {}), NAME: ENTRY}}
    assert is_kept(before, after)


@given(texts)
def test_to_put_it_there_again_changes_nothing(given: tuple[dict[str, Any], str]) -> None:
    after = put(given[1], BOX, NAME, ENTRY)
    assert put(after, BOX, NAME, ENTRY) == after


@given(texts)
def test_to_take_it_out_gives_back_the_text_where_servers_stood_before(given: tuple[dict[str, Any], str]) -> None:
    data, before = given
    after = take(put(before, BOX, NAME, ENTRY), BOX, NAME)
    assert parse(after).data == {**data, BOX: data.get(BOX, {})}
    if data.get(BOX):
        assert after == before


@given(texts, st.integers(0, 3))
def test_an_entry_among_others_is_taken_out_with_its_comma_alone(given: tuple[dict[str, Any], str], which: int) -> None:
    data, before = given
    names = list(data.get(BOX, {}))
    for name in names[which : which + 1]:
        after = take(before, BOX, name)
        assert parse(after).data == {**data, BOX: {key: value for key, value in data[BOX].items() if key != name}}
        assert is_kept(after, before)


@given(texts, data)
def test_of_an_entry_that_is_there_only_what_differs_is_written_anew(
    given: tuple[dict[str, Any], str], old: Any
) -> None:
    _, before = given
    theirs = {"env": {"TOKEN": "${input:x}"}, "command": old, "timeout": 60}
    after = put(put(before, BOX, NAME, theirs), BOX, NAME, ENTRY)
    assert entries(after, BOX)[NAME] == {**theirs, **ENTRY}


@given(st.one_of(st.text(), st.text(alphabet='{}[]",:/* \n1a')))
def test_what_cannot_be_read_is_refused_and_nothing_else_happens(text: str) -> None:
    try:
        after = put(text, BOX, NAME, ENTRY)
    except UnreadableText:
        return
    assert entries(after, BOX)[NAME] == ENTRY


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{\n  // servers\n  'a': 1\n}", "expected a name in double quotes in line 3"),
        ('{"mcpServers": []}', '"mcpServers" is no object'),
        ('{"mcpServers": null}', '"mcpServers" is no object'),
        ("[]", "its outermost value is no object"),
        ('{"a": 1} {', "found something behind the end in line 1"),
        ('{"a": /* ', "found a comment that does not end in line 1"),
        ('{"a": 1 "b": 2}', "expected , or } in line 1"),
        ("// nothing but this", "expected a value in line 1"),
        ("[" * 100_000, "nested beyond all bounds"),
    ],
)
def test_what_is_wrong_with_a_text_is_told(text: str, told: str) -> None:
    with pytest.raises(UnreadableText) as refused:
        put(text, BOX, NAME, ENTRY)
    assert told in str(refused.value)


def test_an_entry_is_written_in_the_layout_of_those_beside_it() -> None:
    before = '{\n    "x": 1, // mine\n    "mcpServers": { // all\n        "a": {"command": "a"},\n    }\n}\n'
    assert put(before, BOX, NAME, {"command": "c", "args": []}) == (
        '{\n    "x": 1, // mine\n    "mcpServers": { // all\n'
        '        "ct-mcp": {\n            "command": "c",\n            "args": []\n        },\n'
        '        "a": {"command": "a"},\n    }\n}\n'
    )


def test_a_text_in_one_line_stays_in_one_line() -> None:
    assert put('{"mcpServers":{"a":{}}}', BOX, NAME, {"command": "c"}) == (
        '{"mcpServers":{"ct-mcp": {"command": "c"},"a":{}}}'
    )


def test_lines_end_as_those_of_the_file_do() -> None:
    after = put('{\r\n  "a": 1\r\n}\r\n', BOX, NAME, ENTRY)
    assert after.count("\r\n") == after.count("\n")


def test_of_a_name_that_stands_there_twice_the_last_counts_and_both_are_taken() -> None:
    twice = '{"mcpServers": {"ct-mcp": {"command": "old"}, "x": {}, "ct-mcp": {"command": "older"}}}'
    assert entries(put(twice, BOX, NAME, ENTRY), BOX)[NAME]["command"] == ENTRY["command"]
    assert take(twice, BOX, NAME) == '{"mcpServers": { "x": {} }}'
