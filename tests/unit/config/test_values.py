"""What each key takes, and what it refuses."""

import re
from collections.abc import Callable, Iterable
from decimal import Decimal

import pytest

from ct_mcp.config import schema
from ct_mcp.config.settings import Settings

Loader = Callable[..., Settings]
Faults = Callable[..., list[str]]


def test_money_is_the_decimal_that_was_written(read: Loader) -> None:
    assert read("[limits]\nmax_day_loss = 0.1").policy.limits.max_day_loss == Decimal("0.1")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("mode = 1", "mode: found 1, expected one of read_only, sim, live"),
        (
            'toolsets = "read"',
            'toolsets: found "read", expected a list of texts: any of read, trade, strategies, charts',
        ),
        ("toolsets = [1]", "toolsets: found [1], expected a list of texts"),
        ("toolsets = []", "toolsets: found [], expected at least one of read, trade, strategies, charts"),
        ("limits = 5", "limits: found 5, expected a table"),
        ("accounts = []", "accounts: found [], expected a table"),
        ("[accounts]\nA = 2020-01-01", "[accounts] A: found a date or time, expected a table"),
        ('state_dir = "state"', 'state_dir: found "state", expected the whole path of a folder'),
        ('state_dir = "${HOME}/x"', 'state_dir: found "${HOME}/x", expected a path without variables'),
        ("[upstream]\nstream = 1", "[upstream] stream: found 1, expected true or false"),
        ('[limits]\nflat_by = "15:55"', '[limits] flat_by: found "15:55", expected a time of day and its zone'),
        ('[limits]\nflat_by = "25:00 UTC"', "[limits] flat_by: "),
        ('[limits]\nflat_by = "15:55 America/Chicgo"', "[limits] flat_by: "),
        ('[limits]\nflat_by = "15:55 America"', "[limits] flat_by: "),
        ('[limits]\nflat_by = "15:55 ../UTC"', "[limits] flat_by: "),
        ("[limits]\nflat_by = 15:55:00", "[limits] flat_by: found a date or time"),
        ('[limits]\ninstruments = ["ES 12-26"]', "[limits] instruments: found "),
        ('[limits]\ninstruments = ["es"]', '[limits] instruments: found ["es"], expected the root of an instrument'),
        ('[limits]\ninstruments = "ES"', "[limits] instruments: found "),
        ('[accounts." EVAL".limits]', '[accounts] " EVAL": found a name that nothing can match'),
        ('[accounts."".limits]', '[accounts] "": found a name that nothing can match'),
        ("[instruments.ESZ6.limits]", "[instruments] ESZ6: found a name that nothing can match, expected the root"),
        ('[instruments."$".limits]', '[instruments] "$": found a name that nothing can match'),
    ],
)
def test_a_value_that_makes_no_sense_is_named_with_its_place(faults: Faults, text: str, line: str) -> None:
    (said,) = faults(text)
    assert said.startswith(line)


@pytest.mark.parametrize("table", ["limits", "approval", "upstream"])
@pytest.mark.parametrize(
    "value", ["true", '"5"', "-1", "nan", "inf", "-inf", "1e400", "1e-400", "99999999999", "[]", "{}"]
)
def test_no_figure_takes_what_is_no_figure(faults: Faults, table: str, value: str) -> None:
    figures = [key for key in _keys(table) if key.startswith(("max_", "price_")) or key.endswith("_seconds")]
    harmless = {"1e-400": {"wait_seconds", "duplicate_window_seconds"}}.get(value, set())
    lines = faults(f"[{table}]\n" + "\n".join(f"{key} = {value}" for key in figures))
    refused = {re.match(r"\[\w+\] (\w+): found .*, expected a (?:whole )?number ", line)[1] for line in lines}  # type: ignore[index]  # a line that does not match fails here
    assert refused == set(figures) - harmless


def _keys(table: str) -> Iterable[str]:
    tables: dict[str, type[schema.Table]] = {
        "limits": schema.LimitsTable,
        "approval": schema.ApprovalTable,
        "upstream": schema.UpstreamTable,
    }
    return tables[table].model_fields


def test_no_figure_takes_zero_where_it_would_stop_everything(faults: Faults) -> None:
    starts, off = ("max_", "price_", "quote_", "risk_"), {"max_account_minis"}
    figures = [key for key in schema.LimitsTable.model_fields if key.startswith(starts) and key not in off]
    assert len(faults("[limits]\n" + "\n".join(f"{key} = 0" for key in figures))) == len(figures)


def test_contracts_are_whole(faults: Faults) -> None:
    (line,) = faults("[limits]\nmax_order_contracts = 5.0")
    assert line == "[limits] max_order_contracts: found 5.0, expected a whole number from 1 to 1000000"


def test_milliseconds_are_not_taken_for_seconds(faults: Faults) -> None:
    assert len(faults("[upstream]\nread_timeout_seconds = 20000\n[limits]\nquote_max_age_seconds = 10000")) == 2


def test_a_home_that_is_not_known_is_a_fault(faults: Faults) -> None:
    (line,) = faults(state_dir="~nobody-of-this-name/state")
    assert line.endswith("expected a path; the home folder is not known")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "127.255.0.99", "[::1]", "LOCALHOST"])
def test_plain_http_is_for_this_machine(read: Loader, host: str) -> None:
    assert read(base_url=f"http://{host}:8787/").base_url == f"http://{host.lower()}:8787"


@pytest.mark.parametrize(
    "address",
    [
        "http://app.crosstrade.io",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://0.0.0.0",
        "http://127.999.1.1",
        "http://127.0.0.01",
        "http://127.0.0.1@example.com",
        "https://app.crosstrade.io/v1/api",
        "https://app.crosstrade.io?x=1",
        "https://app.crosstrade.io#x",
        "https://app.crosstrade.io:0",
        "https://app.crosstrade.io:65536",
        "https://app.crosstrade.io\\@example.com",
        "https://app.crosstrade.io\n.example.com",
        "https://...",
        "https://",
        "app.crosstrade.io",
        "ftp://app.crosstrade.io",
        "https://\u0430pp.crosstrade.io",
        "${CT_URL}",
        "https://${HOST}",
    ],
)
def test_the_token_goes_to_no_address_in_the_clear_or_in_disguise(faults: Faults, address: str) -> None:
    (line,) = faults(base_url=address)
    assert line.startswith("--base-url: found ")
