"""Their words, made harmless."""

import subprocess
import sys
import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.text import LONGEST, as_argument, as_of, normalize, one_line, quoted, redact_secrets, sanitize


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("plain words", "plain words"),
        ("two\r\nlines\tand\u2028more", "two lines and more"),
        ("\x1b[31mred\x07", "[31mred"),
        ("in\u200bvis\u2066ib\ufeffle\u3164", "invisible"),
        ("z\u0336a\u0336", "za"),
        ('a "quote" and “another” and \uff02wide\uff02', "a 'quote' and 'another' and 'wide'"),
        ("tag \U000e0041\U000e0042", "tag"),
    ],
)
def test_what_cannot_be_seen_is_gone_and_quotation_marks_are_tamed(text: str, told: str) -> None:
    assert sanitize(text) == told


def test_a_word_is_the_same_in_every_spelling() -> None:
    assert {normalize(word) for word in ("StopMarket", "STOP_MARKET", "stop market", "stop-market")} == {"stopmarket"}


def test_long_words_are_cut() -> None:
    assert sanitize("x" * 1000) == "x" * (LONGEST - 1) + "…"
    assert sanitize("x" * 50, longest=10) == "x" * 9 + "…"


@pytest.mark.parametrize(
    "text",
    [
        "Bearer abc123",
        "authorization: bearer abc123",
        "Authorization=abc123",
        '{"key":"abc123"}',
        "api_key = abc123, please",
        "https://app.crosstrade.io/v1/send/w1/abc123",
        "X-Secret:abc123;",
    ],
)
def test_what_stands_where_a_secret_would_stand_is_hidden(text: str) -> None:
    assert "abc123" not in sanitize(text)
    assert "[hidden]" in sanitize(text)


def test_no_secret_means_nothing_to_hide() -> None:
    assert redact_secrets("some words", ("",)) == "some words"


@given(st.text())
def test_whatever_they_say_stays_between_our_quotation_marks_on_one_line(text: str) -> None:
    told = quoted(text)
    assert told[0] == told[-1] == '"'
    assert '"' not in told[1:-1]
    assert len(told) <= LONGEST + 2
    assert told.isprintable()
    assert not any(unicodedata.category(character) in ("Cf", "Cc", "Mn") for character in told)


@given(st.text(max_size=40), st.text(max_size=40), st.text("abcXYZ019-_", min_size=8, max_size=40))
def test_a_secret_never_survives(before: str, after: str, secret: str) -> None:
    assert secret not in sanitize(before + secret + after, (secret,))


@given(st.one_of(st.text(max_size=60), st.text(" abcXYZ019-_\"'`.:", max_size=60)))
def test_a_mark_that_nobody_sees_changes_nothing_of_what_is_read(text: str) -> None:
    """Plain text takes a shorter way, which no such mark lets it take."""
    assert sanitize(f"\u200b{text}") == sanitize(text)
    assert one_line(f"\u200b{text}") == one_line(text)


@pytest.mark.parametrize("hidden", ["\u3164", "\u2800", "\u115f", "\uffa0", "\u0338", "\u20e3", "\u202e"])
def test_a_line_holds_no_blank_letter_and_no_mark_over_another(hidden: str) -> None:
    assert one_line(f"Sim{hidden}101{hidden}\nof Jos\u00e9, Jose\u0301") == "Sim101 of Jos\u00e9, Jos\u00e9"


NAMES = [
    "APEX-482910",
    "two words",
    "it's",
    "APEX$(echo ran)",
    "a`echo ran`b",
    "50% & more; echo ran",
    "a\\b",
    "yes!",
    "",
]


@pytest.mark.skipif(sys.platform == "win32", reason="asks a POSIX shell")
@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_a_command_is_one_word_of_it_and_runs_nothing(name: str) -> None:
    command = f"printf %s {as_argument(name)}"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout == name


@pytest.mark.parametrize("name", NAMES)
def test_where_two_shells_quote_differently_nothing_is_left_that_either_acts_on(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert not set("$`\\!") & set(as_argument(name))


def test_what_was_so_carries_its_time_and_of_another_day_its_date() -> None:
    at = datetime(2026, 9, 9, 14, 30, 5, tzinfo=UTC)
    assert as_of(at, at + timedelta(minutes=11)) == "as of 14:30:05 UTC, 11 min ago"
    assert as_of(at, at + timedelta(days=1)) == "as of 2026-09-09 14:30:05 UTC, 24 h 0 min ago"
    assert as_of(at, at - timedelta(seconds=3)) == "as of 14:30:05 UTC, 0 s ago", "a clock that was set back"
