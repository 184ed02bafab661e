"""The settings as a whole: which source wins, what the shipped files say, and that a refusal names everything."""

import re
import tomllib
from collections.abc import Callable
from datetime import time
from decimal import Decimal
from pathlib import Path

import pytest

from ct_mcp.config import schema
from ct_mcp.config.settings import Settings
from ct_mcp.domain.approval import Approval
from ct_mcp.guard.policy import FlatBy, Limits, Mode, Policy

Loader = Callable[..., Settings]
Faults = Callable[..., list[str]]
TOKEN = "ct-4f1e0c9b7a"
TABLES = {"upstream", "fresh", "approval", "limits", "accounts", "instruments"}
EXAMPLES = Path(__file__).parent.parent.parent.parent / "config"


def test_without_any_source_the_defaults_hold(read: Loader) -> None:
    settings = read()
    assert settings == Settings(state_dir=settings.state_dir)
    assert settings.policy.mode is Mode.SIM
    assert settings.state_dir.is_absolute()
    assert settings.file is None


def test_the_default_file_says_what_holds_without_it(read: Loader) -> None:
    assert read(config=str(EXAMPLES / "default.toml")) == read()


def test_the_default_file_names_every_setting() -> None:
    said = tomllib.loads((EXAMPLES / "default.toml").read_text(encoding="utf-8"))
    tables = {name: said.pop(name) for name in ("upstream", "fresh", "approval", "limits")}
    assert set(said) == set(schema.SettingsFile.model_fields) - TABLES
    assert set(tables["upstream"]) == set(schema.UpstreamTable.model_fields)
    assert set(tables["fresh"]) == set(schema.FreshTable.model_fields)
    assert set(tables["approval"]) == set(schema.ApprovalTable.model_fields)
    assert set(tables["limits"]) == set(schema.LimitsTable.model_fields)


def test_every_limit_of_the_guard_can_be_set() -> None:
    assert set(schema.LimitsTable.model_fields) == set(Limits.__dataclass_fields__)


def test_every_limit_of_the_default_file_has_a_comment_above_it() -> None:
    lines = (EXAMPLES / "default.toml").read_text(encoding="utf-8").partition("[limits]")[2].splitlines()
    keys = [number for number, line in enumerate(lines) if re.match(r"\w+ = ", line)]
    bare = [lines[number] for number in keys if not lines[number - 1].startswith("# ")]
    assert bare == ["max_orders_per_day = 100"], "it shares the comment of max_orders_per_minute"


def test_the_examples_in_the_default_file_can_be_used_as_they_stand(read: Loader) -> None:
    text = (EXAMPLES / "default.toml").read_text(encoding="utf-8")
    policy = read(re.sub(r"^#(?=\S)", "", text, flags=re.MULTILINE)).policy
    assert policy.accounts["EVAL-12345"].approval is Approval.PAGE_PIN
    assert policy.for_("EVAL-12345", "MES").limits.max_day_loss == 250
    assert policy.for_("Sim101", "CL").limits.price_band_ticks == 30


def test_the_demo_file_reaches_only_this_machine(read: Loader) -> None:
    settings = read(config=str(EXAMPLES / "demo.toml"))
    assert settings.base_url.startswith("http://127.0.0.1:")
    assert settings.policy.mode is Mode.SIM


def test_a_file_says_everything(read: Loader, tmp_path: Path) -> None:
    settings = read(
        f"""
        mode = "live"
        toolsets = ["read", "charts"]
        log_level = "debug"
        state_dir = '{tmp_path}'
        [upstream]
        base_url = "https://Example.com:8443/"
        stream = false
        connect_timeout_seconds = 1
        read_timeout_seconds = 2.5
        bars_timeout_seconds = 3
        write_timeout_seconds = 4
        [approval]
        simulated = "none"
        live = "page_pin"
        exits_simulated = "form"
        exits_live = "page"
        ticket_seconds = 60
        wait_seconds = 0
        [limits]
        max_order_notional = 1000.10
        flat_by = "15:55 America/Chicago"
        instruments = ["ES", "6E"]
        """
    )
    assert settings.policy == Policy(
        mode=Mode.LIVE,
        limits=Limits(
            max_order_notional=Decimal("1000.10"),
            flat_by=FlatBy(time(15, 55), "America/Chicago"),
            instruments=frozenset({"ES", "6E"}),
        ),
        simulated=Approval.NONE,
        live=Approval.PAGE_PIN,
        exits_simulated=Approval.FORM,
        exits_live=Approval.PAGE,
        ticket_seconds=60,
        wait_seconds=0,
    )
    assert (settings.base_url, settings.stream) == ("https://example.com:8443", False)
    assert (settings.timeouts.connect_seconds, settings.timeouts.read_seconds) == (1, 2.5)
    assert (settings.timeouts.bars_seconds, settings.timeouts.write_seconds) == (3, 4)
    assert (settings.toolsets, settings.log_level) == (frozenset({"read", "charts"}), "debug")
    assert settings.state_dir == tmp_path


def test_a_flag_beats_a_variable_and_a_variable_beats_the_file(read: Loader) -> None:
    file, variable = 'mode = "sim"\nlog_level = "error"', {"CT_MCP_MODE": "live", "CT_MCP_LOG_LEVEL": "debug"}
    assert read(file).policy.mode is Mode.SIM
    assert read(file, variable).policy.mode is Mode.LIVE
    settings = read(file, variable, mode="read_only")
    assert (settings.policy.mode, settings.log_level) == (Mode.READ_ONLY, "debug")


def test_every_variable_and_flag_is_heeded(read: Loader, tmp_path: Path) -> None:
    texts = {
        "state_dir": str(tmp_path),
        "base_url": "http://[::1]:9",
        "mode": "live",
        "toolsets": "read, trade ,charts",
    }
    texts |= {"log_level": "warning"}
    by_flag = read(**texts)
    assert by_flag == read(environ={f"CT_MCP_{name.upper()}": text for name, text in texts.items()})
    assert (by_flag.base_url, by_flag.toolsets) == ("http://[::1]:9", frozenset({"read", "trade", "charts"}))


def test_blank_variables_and_flags_count_as_not_given(read: Loader) -> None:
    assert read(environ={"CT_MCP_MODE": "", "CT_MCP_BASE_URL": " ", "CROSSTRADE_TOKEN": "\n"}, log_level="") == read()


def test_trading_live_without_anybodys_yes_is_warned_of(read: Loader) -> None:
    text = 'mode = "live"\n[approval]\nlive = "none"\n[accounts.EVAL]\napproval = "none"'
    assert [warning.partition(" is none")[0] for warning in read(text).warnings] == [
        "[approval] live",
        '[accounts."EVAL"] approval',
    ]


def test_nothing_is_written(read: Loader, tmp_path: Path) -> None:
    read(state_dir=str(tmp_path / "state"))
    assert not (tmp_path / "state").exists()


def test_all_faults_of_all_sources_are_told_at_once(faults: Faults) -> None:
    lines = faults(
        'mode = "demo"\n[limits]\nmax_day_lose = 5\nmax_order_contracts = "5"',
        {"CT_MCP_MOOD": "live", "CROSSTRADE_TOKEN": "a b", "CT_MCP_LOG_LEVEL": "loud"},
        toolsets="read,trad",
    )
    assert [line.partition(":")[0] for line in lines] == [
        "--toolsets",
        "CT_MCP_MOOD",
        "CT_MCP_LOG_LEVEL",
        "CROSSTRADE_TOKEN",
        "mode",
        "[limits] max_day_lose",
        "[limits] max_order_contracts",
    ]


@pytest.mark.parametrize("text", [f'token = "{TOKEN}"', f'[upstream]\napi_key = "{TOKEN}"', f'mode = "{TOKEN}"'])
def test_a_token_in_the_wrong_place_is_not_repeated(faults: Faults, text: str) -> None:
    assert TOKEN not in "".join(faults(text, {"CROSSTRADE_TOKEN": TOKEN}))


def test_the_token_shows_in_no_text_of_the_settings(read: Loader) -> None:
    settings = read(environ={"CROSSTRADE_TOKEN": TOKEN})
    texts = [repr(settings), str(settings), f"{settings.token}", f"{settings.token!s:>40}", str(settings.token)]
    assert not [text for text in texts if TOKEN in text]
    assert repr(settings.token) == "Secret(***)"


def test_limits_of_an_account_and_a_root_narrow_the_general_ones(read: Loader) -> None:
    policy = read(
        """
        [accounts."EVAL 1".limits]
        max_position_contracts = 3
        flat_by = "15:00 America/Chicago"
        instruments = ["ES", "CL"]
        [instruments.CL.limits]
        max_order_contracts = 1
        duplicate_window_seconds = 60
        """
    ).policy
    limits = policy.for_("EVAL 1", "CL").limits
    assert (limits.max_position_contracts, limits.max_order_contracts) == (3, 1)
    assert (limits.duplicate_window_seconds, limits.instruments) == (60, frozenset({"ES", "CL"}))
    assert policy.for_("Sim101", "ES").limits == Limits()


@pytest.mark.parametrize(
    ("general", "account", "words"),
    [
        ("", "max_position_contracts = 20", "found 20, expected nothing looser than the general limit, 10"),
        (
            "max_day_loss = 100",
            "max_day_loss = 100.5",
            "found 100.5, expected nothing looser than the general limit, 100",
        ),
        ("", "duplicate_window_seconds = 5", "found 5, expected nothing looser than the general limit, 10.0"),
        ("risk_ticks = 100", "risk_ticks = 20", "found 20, expected nothing looser than the general limit, 100"),
        ("", "require_open_session = false", "found false, expected nothing looser than the general limit, true"),
        (
            'instruments = ["ES"]',
            'instruments = ["ES", "NQ"]',
            'expected nothing looser than the general limit, ["ES"]',
        ),
        (
            'instruments = ["ES"]',
            "instruments = []",
            'found [], expected nothing looser than the general limit, ["ES"]',
        ),
        ('flat_by = "15:00 UTC"', 'flat_by = "15:01 UTC"', 'looser than the general limit, "15:00 UTC"'),
        (
            'flat_by = "15:00 UTC"',
            'flat_by = ""',
            'found "", expected nothing looser than the general limit, "15:00 UTC"',
        ),
    ],
)
def test_a_limit_that_would_widen_is_refused(faults: Faults, general: str, account: str, words: str) -> None:
    (line,) = faults(f"[limits]\n{general}\n[accounts.EVAL.limits]\n{account}")
    assert line.startswith(f"[accounts.EVAL.limits] {account.split(maxsplit=1)[0]}: ")
    assert words in line
    assert line.endswith("limits narrow and never widen")


def test_a_days_loss_belongs_to_accounts_and_not_to_an_instrument(faults: Faults) -> None:
    (line,) = faults("[instruments.CL.limits]\nmax_day_loss = 100\nmax_order_contracts = 1")
    assert line.startswith("[instruments.CL.limits] max_day_loss: found 100, expected it in [limits] or in")
    assert "belongs to accounts" in line


def test_a_limit_equal_to_the_general_one_is_accepted(read: Loader) -> None:
    text = 'max_order_contracts = 5\ninstruments = []\nflat_by = ""\nrequire_open_session = true'
    assert read(f"[instruments.ES.limits]\n{text}").policy.for_("Sim101", "ES").limits == Limits()


def test_times_of_day_in_two_zones_are_refused(faults: Faults) -> None:
    text = '[limits]\nflat_by = "15:55 America/Chicago"\n[accounts.A.limits]\nflat_by = "15:30 America/New_York"'
    (line,) = faults(text)
    assert line.startswith("flat_by: found times in the zones America/Chicago and America/New_York")
