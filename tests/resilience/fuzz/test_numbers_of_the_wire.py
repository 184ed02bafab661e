"""Answers with a number, a text or a nesting beyond all bounds: a value within bounds, or a refusal in words."""

import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from ct_mcp.crosstrade.failures import HttpAnswer, SentRequest, error_text, failure_of, retry_after_seconds
from ct_mcp.crosstrade.schemas.reply import Reply
from ct_mcp.crosstrade.schemas.values import parse_json
from ct_mcp.errors import CtMcpError, UpstreamError
from tests.unit.crosstrade.schemas.test_damage import NOW, PAYLOADS, READERS, damaged, places

MARK = "@@here@@"
DIGITS = st.integers(-(10**20), 10**20)
RAW = st.one_of(
    st.builds("{}E{}".format, DIGITS, st.integers(-(10**19), 10**19)),
    st.builds("{}.{}e{}".format, DIGITS, st.integers(0, 10**40), st.integers(-500, 500)),
    DIGITS.map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["1E-999999999999999999", "0E+999999999999", "-0E-99999", "-0.0", "1E13", "9" * 4000, "9" * 5000]),
    st.sampled_from(["NaN", "Infinity", "-Infinity", "[" * 2000 + "]" * 2000, '"' + "x" * 1_000_000 + '"']),
    st.sampled_from([r'"\ud800"', r'"\u0000"', r'"\u202e12"', r'"\uff11\uff12"', r'"\u0663"']),
    st.sampled_from(['"1_000"', '" 5 "', '"-5"', '"1e5"']),
)
COUNTS = frozenset({"quantity", "filled", "remaining", "volume"})


def holed() -> Iterator[tuple[str, str]]:
    """Every documented answer, with a hole wherever a value stands."""
    for name, payload in PAYLOADS.items():
        for path in places(payload):
            yield name, json.dumps(damaged(payload, path, MARK), default=str).replace(f'"{MARK}"', MARK)


HOLED = list(holed())


def unsound(value: object, name: str = "") -> Iterator[str]:  # noqa: C901 - one case for each kind of value
    """Everything in a value that no rule could reckon with."""
    match value:
        case Decimal() if not value.is_finite() or len(f"{value:f}") > 40:
            yield f"{name}={value!r:.60}"
        case bool():
            return
        case int() if abs(value) >= 10**15 or (name in COUNTS and value < 0):
            yield f"{name}={value!r:.60}"
        case float():
            yield f"{name} is a float"
        case datetime() if value.tzinfo is None:
            yield f"{name} knows no zone"
        case tuple() | list():
            for each in value:
                yield from unsound(each, name)
        case _ if is_dataclass(value):
            for each in fields(value):
                yield from unsound(getattr(value, each.name), each.name)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(HOLED), RAW)
def test_what_is_read_is_within_bounds_or_refused(place: tuple[str, str], raw: str) -> None:
    name, text = place
    value = parse_json(text.replace(MARK, raw))
    try:
        read = READERS[name](Reply(name, value, NOW))
    except UpstreamError as error:
        assert len(str(error)) < 2000  # noqa: PT017 - refusing is one of the two right endings
    else:
        assert not list(unsound(read))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10) | st.decimals(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=75, deadline=None)
@given(st.sampled_from(sorted(READERS)), ANYTHING)
def test_anything_at_all_is_read_or_refused(name: str, value: object) -> None:
    try:
        read = READERS[name](Reply(name, value, NOW))
    except UpstreamError as error:
        assert len(str(error)) < 2000  # noqa: PT017 - refusing is one of the two right endings
    else:
        assert not list(unsound(read))


BODIES = st.one_of(
    st.text(max_size=60),
    st.builds('{{"success":false,"error":{},"retryAfter":{}}}'.format, RAW, RAW),
    st.builds('{{"error":{{"message":{}}},"details":{{"retryAfter":{}}}}}'.format, RAW, RAW),
)


@settings(max_examples=100, deadline=None)
@given(st.integers(100, 599), BODIES, st.none() | st.text(max_size=30) | RAW, st.booleans())
def test_any_answer_has_one_error_with_words_within_bounds(
    status: int, body: str, retry_after: str | None, is_write: bool
) -> None:
    answer = HttpAnswer(status, body, retry_after)
    error = failure_of(SentRequest("PlaceOrder" if is_write else "ListOrders", writes=is_write), answer, NOW)
    assert error is None or (isinstance(error, CtMcpError) and len(str(error)) < 3000)
    assert error is not None or 200 <= status < 300
    seconds = retry_after_seconds(answer, NOW)
    assert seconds is None or 0 <= seconds <= 3600
    assert isinstance(error_text(answer), str)
