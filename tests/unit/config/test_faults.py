"""Faults: their place, what was found, what was meant, and what they must not repeat."""

from collections.abc import Callable

import pytest

Faults = Callable[..., list[str]]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('mood = "sim"', "mood: unknown key; did you mean mode?"),
        ("[limit]\nmax_day_loss = 5", "limit: unknown key; did you mean limits?"),
        ("[limits]\nmax_day_lose = 5", "[limits] max_day_lose: unknown key; did you mean max_day_loss?"),
        ("[upstream]\nbaseurl = 1", "[upstream] baseurl: unknown key; did you mean base_url?"),
        ("[approval]\nsim = 1", "[approval] sim: unknown key; known here are simulated, live, exits_simulated,"),
        ('[accounts."A-1"]\naproval = 1', '[accounts."A-1"] aproval: unknown key; did you mean approval?'),
        (
            "[accounts.A.limits]\nfoo_bar = 1",
            "[accounts.A.limits] foo_bar: unknown key; known here are max_order_contracts",
        ),
        ("[instruments.ES]\napproval = 1", "[instruments.ES] approval: unknown key; known here are limits"),
        (
            '[a."\\u0007"]',
            "a: unknown key; known here are mode, toolsets, log_level, state_dir, state, plane, upstream",
        ),
    ],
)
def test_a_key_that_is_not_known_is_named_with_what_was_meant(faults: Faults, text: str, line: str) -> None:
    (said,) = faults(text)
    assert said.startswith(line)


def test_a_value_is_repeated_short_and_on_one_line(faults: Faults) -> None:
    long = "x" * 100
    lines = faults(f'mode = "a\\nb"\nlog_level = "{long}"\n[limits]\nmax_order_contracts = 0x{"f" * 5000}')
    assert lines[0] == 'mode: found "a\\nb", expected one of read_only, sim, live'
    assert all(len(line) < 160 for line in lines)


def test_a_flag_that_is_not_known_is_refused(faults: Faults) -> None:
    assert faults(state_dirs="/x") == ["--state-dirs: unknown key; did you mean --state-dir?"]


def test_a_file_is_told_where_the_token_belongs(faults: Faults) -> None:
    (line,) = faults('crosstrade_token = "x"')
    assert line == "crosstrade_token: a token never stands here; set the environment variable CROSSTRADE_TOKEN"


def test_a_login_in_an_address_is_not_repeated(faults: Faults) -> None:
    (line,) = faults(base_url="https://me:hunter2@example.com/?key=hunter3")
    assert "hunter" not in line
