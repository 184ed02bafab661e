"""The settings: what is read from where, and what refuses to start."""

import re
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from datetime import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.config import readers
from ct_mcp.config.settings import Settings, load
from ct_mcp.config.sources import usual_file
from ct_mcp.config.table import Reader, Table
from ct_mcp.config.token import Secret, token_from_keyring
from ct_mcp.domain.ticket import Approval
from ct_mcp.errors import ConfigError
from ct_mcp.guard.policy import FlatBy, Limits, Mode, Policy

EXAMPLES = Path(__file__).parent.parent / "config"
TOKEN = "ct-4f1e0c9b7a"

Loader = Callable[..., Settings]


@pytest.fixture
def read(tmp_path: Path) -> Loader:
    """Load settings as a person would give them: the text of a file, variables, flags."""

    def read(text: str | None = None, environ: Mapping[str, str] | None = None, **flags: str) -> Settings:
        file = tmp_path / "config.toml"
        if text is not None:
            file.write_text(text, encoding="utf-8")
        return load(flags, environ or {}, default_file=lambda: file, keyring=lambda: None)

    return read


@pytest.fixture
def faults(read: Loader) -> Callable[..., list[str]]:
    """What a refused start says, a line for each fault."""

    def faults(text: str | None = None, environ: Mapping[str, str] | None = None, **flags: str) -> list[str]:
        with pytest.raises(ConfigError) as refused:
            read(text, environ, **flags)
        heading, *lines = refused.value.what.splitlines()
        assert heading.startswith(f"{len(lines)} fault")
        return lines

    return faults


Faults = Callable[..., list[str]]


# What holds when


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
    tables = {name: said.pop(name) for name in ("upstream", "approval", "limits")}
    assert set(said) == set(readers.TOP)
    assert set(tables["upstream"]) == set(readers.UPSTREAM)
    assert set(tables["approval"]) == set(readers.APPROVAL)
    assert set(tables["limits"]) == set(readers.LIMITS)


def test_every_limit_of_the_guard_can_be_set() -> None:
    assert set(readers.LIMITS) == set(Limits.__dataclass_fields__)


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


def test_money_is_the_decimal_that_was_written(read: Loader) -> None:
    assert read("[limits]\nmax_day_loss = 0.1").policy.limits.max_day_loss == Decimal("0.1")


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


def test_a_file_can_be_named_by_a_variable(read: Loader, tmp_path: Path) -> None:
    named = tmp_path / "mine.toml"
    named.write_text('mode = "read_only"', encoding="utf-8")
    settings = read('mode = "live"', {"CT_MCP_CONFIG": str(named)})
    assert (settings.policy.mode, settings.file) == (Mode.READ_ONLY, named)


def test_a_mode_variable_that_cannot_be_read_means_read_only_and_a_warning(read: Loader) -> None:
    settings = read('mode = "live"', {"CT_MCP_MODE": "Live"})
    assert settings.policy.mode is Mode.READ_ONLY
    assert settings.warnings == ('CT_MCP_MODE: found "Live", which is no mode; taken as read_only',)


def test_trading_live_without_anybodys_yes_is_warned_of(read: Loader) -> None:
    text = 'mode = "live"\n[approval]\nlive = "none"\n[accounts.EVAL]\napproval = "none"'
    assert [warning.partition(" is none")[0] for warning in read(text).warnings] == [
        "[approval] live",
        '[accounts."EVAL"] approval',
    ]


def test_nothing_is_written(read: Loader, tmp_path: Path) -> None:
    read(state_dir=str(tmp_path / "state"))
    assert not (tmp_path / "state").exists()


# Limits of one account or root


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


def test_a_limit_equal_to_the_general_one_is_accepted(read: Loader) -> None:
    text = 'max_order_contracts = 5\ninstruments = []\nflat_by = ""\nrequire_open_session = true'
    assert read(f"[instruments.ES.limits]\n{text}").policy.for_("Sim101", "ES").limits == Limits()


def test_times_of_day_in_two_zones_are_refused(faults: Faults) -> None:
    text = '[limits]\nflat_by = "15:55 America/Chicago"\n[accounts.A.limits]\nflat_by = "15:30 America/New_York"'
    (line,) = faults(text)
    assert line.startswith("flat_by: found times in the zones America/Chicago and America/New_York")


# Faults


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
        ('[a."\\u0007"]', "a: unknown key; known here are mode, toolsets, log_level, state_dir, upstream"),
    ],
)
def test_a_key_that_is_not_known_is_named_with_what_was_meant(faults: Faults, text: str, line: str) -> None:
    (said,) = faults(text)
    assert said.startswith(line)


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


def _keys(table: str) -> Mapping[str, object]:
    return {"limits": readers.LIMITS, "approval": readers.APPROVAL, "upstream": readers.UPSTREAM}[table]


def test_no_figure_takes_zero_where_it_would_stop_everything(faults: Faults) -> None:
    figures = [key for key in readers.LIMITS if key.startswith(("max_", "price_", "quote_"))]
    assert len(faults("[limits]\n" + "\n".join(f"{key} = 0" for key in figures))) == len(figures)


def test_contracts_are_whole(faults: Faults) -> None:
    (line,) = faults("[limits]\nmax_order_contracts = 5.0")
    assert line == "[limits] max_order_contracts: found 5.0, expected a whole number from 1 to 1000000"


def test_milliseconds_are_not_taken_for_seconds(faults: Faults) -> None:
    assert len(faults("[upstream]\nread_timeout_seconds = 20000\n[limits]\nquote_max_age_seconds = 10000")) == 2


def test_a_value_is_repeated_short_and_on_one_line(faults: Faults) -> None:
    long = "x" * 100
    lines = faults(f'mode = "a\\nb"\nlog_level = "{long}"\n[limits]\nmax_order_contracts = 0x{"f" * 5000}')
    assert lines[0] == 'mode: found "a\\nb", expected one of read_only, sim, live'
    assert all(len(line) < 160 for line in lines)


def test_a_flag_that_is_not_known_is_refused(faults: Faults) -> None:
    assert faults(state_dirs="/x") == ["--state-dirs: unknown key; did you mean --state-dir?"]


def test_a_home_that_is_not_known_is_a_fault(faults: Faults) -> None:
    (line,) = faults(state_dir="~nobody-of-this-name/state")
    assert line.endswith("expected a path; the home folder is not known")


# The file


def test_the_usual_file_lies_in_a_folder_of_our_name() -> None:
    assert usual_file().is_absolute()
    assert usual_file().parts[-2:] == ("ct-mcp", "config.toml")


def test_a_named_file_must_exist(faults: Faults, tmp_path: Path) -> None:
    missing = tmp_path / "none.toml"
    assert faults(config=str(missing)) == [f"{missing}: there is no such file"]


def test_a_folder_is_no_file(faults: Faults, tmp_path: Path) -> None:
    (line,) = faults(config=str(tmp_path))
    assert line.startswith(f"{tmp_path}: cannot be read: ")


def test_a_byte_order_mark_is_accepted(read: Loader, tmp_path: Path) -> None:
    (tmp_path / "notepad.toml").write_bytes(b'\xef\xbb\xbfmode = "read_only"\r\n')
    assert read(config=str(tmp_path / "notepad.toml")).policy.mode is Mode.READ_ONLY


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\nmode = sim\n", "is not valid TOML: Invalid value (at line 2"),
        (b'mode = "sim"\nmode = "live"', "is not valid TOML: "),
        (b"a = " + b"[" * 5000, "a number or a nesting beyond all bounds"),
        (b"a = 1e99999999999999999999999", "a number or a nesting beyond all bounds"),
        (b"a = " + b"9" * 5000, "is not valid TOML: "),
        ('mode = "sim"'.encode("utf-16"), "is not UTF-8 text"),
    ],
)
def test_a_file_that_cannot_be_parsed_is_named_with_the_reason(
    faults: Faults, tmp_path: Path, content: bytes, words: str
) -> None:
    (tmp_path / "broken.toml").write_bytes(content)
    (line,) = faults(config=str(tmp_path / "broken.toml"))
    assert words in line


# The address


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "[::1]", "LOCALHOST"])
def test_plain_http_is_for_this_machine(read: Loader, host: str) -> None:
    assert read(base_url=f"http://{host}:8787/").base_url == f"http://{host.lower()}:8787"


@pytest.mark.parametrize(
    "address",
    [
        "http://app.crosstrade.io",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://0.0.0.0",
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


def test_a_login_in_an_address_is_not_repeated(faults: Faults) -> None:
    (line,) = faults(base_url="https://me:hunter2@example.com/?key=hunter3")
    assert "hunter" not in line


# The token


@pytest.mark.parametrize("name", ["CROSSTRADE_TOKEN", "XTRADE_TOKEN"])
def test_the_token_comes_from_the_environment(read: Loader, name: str) -> None:
    token = read(environ={name: f"  {TOKEN}\r\n"}).token
    assert token is not None
    assert token.reveal() == TOKEN


def test_two_variables_may_hold_the_same_token(read: Loader) -> None:
    assert read(environ={"CROSSTRADE_TOKEN": TOKEN, "XTRADE_TOKEN": f"{TOKEN} "}).token == Secret(TOKEN)


def test_two_different_tokens_are_refused(faults: Faults) -> None:
    (line,) = faults(environ={"CROSSTRADE_TOKEN": TOKEN, "XTRADE_TOKEN": "another"})
    assert line.startswith("CROSSTRADE_TOKEN and XTRADE_TOKEN: found two different tokens")


@pytest.mark.parametrize(
    "text", ["${CROSSTRADE_TOKEN}", "${{ secrets.CROSSTRADE_TOKEN }}", "$TOKEN", "%TOKEN%", "${input:ct-key}", "a${B}c"]
)
def test_a_token_that_is_still_a_variable_is_refused_in_words(faults: Faults, text: str) -> None:
    (line,) = faults(environ={"CROSSTRADE_TOKEN": text})
    assert line.startswith("CROSSTRADE_TOKEN: found a variable, expected the token")


@pytest.mark.parametrize("text", ["Bearer {}", "{}\n{}", '"{}"', "'{}'", "{}\x00", "{}\u200b", "{}\u00e9", "{}\x7f"])
def test_a_token_with_foreign_characters_is_refused_and_not_repeated(faults: Faults, text: str) -> None:
    (line,) = faults(environ={"CROSSTRADE_TOKEN": text.replace("{}", TOKEN)})
    assert line.startswith("CROSSTRADE_TOKEN: found blanks")
    assert TOKEN not in line


@pytest.mark.parametrize("text", [f'token = "{TOKEN}"', f'[upstream]\napi_key = "{TOKEN}"', f'mode = "{TOKEN}"'])
def test_a_token_in_the_wrong_place_is_not_repeated(faults: Faults, text: str) -> None:
    assert TOKEN not in "".join(faults(text, {"CROSSTRADE_TOKEN": TOKEN}))


def test_a_file_is_told_where_the_token_belongs(faults: Faults) -> None:
    (line,) = faults('crosstrade_token = "x"')
    assert line == "crosstrade_token: a token never stands here; set the environment variable CROSSTRADE_TOKEN"


def test_the_keyring_is_asked_only_where_the_environment_says_nothing(tmp_path: Path) -> None:
    def settings(environ: Mapping[str, str]) -> Settings:
        return load({}, environ, default_file=lambda: tmp_path / "none", keyring=lambda: "kept\n")

    assert settings({}).token == Secret("kept")
    assert settings({"XTRADE_TOKEN": TOKEN}).token == Secret(TOKEN)


def test_a_locked_keyring_is_a_warning_and_no_token(tmp_path: Path) -> None:
    def locked() -> str:
        raise OSError("KeyringLocked")

    settings = load({}, {}, default_file=lambda: tmp_path / "none", keyring=locked)
    assert settings.token is None
    assert settings.warnings == ("the keyring cannot be read (KeyringLocked); there is no token",)


@pytest.fixture
def keyring_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Put a keyring package where Python finds it first, whose one function has this body."""

    def keyring_that(body: str) -> None:
        (tmp_path / "keyring").mkdir()
        code = f"from keyring import errors\ndef get_password(service, user):\n    {body}\n"
        (tmp_path / "keyring" / "__init__.py").write_text(code, encoding="utf-8")
        code = "class KeyringError(Exception): ...\nclass KeyringLocked(KeyringError): ...\n"
        (tmp_path / "keyring" / "errors.py").write_text(code, encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path)

    def forget() -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == "keyring"]:
            del sys.modules[name]

    forget()
    yield keyring_that
    forget()


def test_the_operating_systems_keyring_is_asked_by_service_and_user(keyring_that: Callable[[str], None]) -> None:
    keyring_that("return f'{service}/{user}'")
    assert token_from_keyring() == "ct-mcp/crosstrade"


def test_an_error_of_the_keyring_says_its_kind_only(keyring_that: Callable[[str], None]) -> None:
    keyring_that("raise errors.KeyringLocked('the login keyring of somebody')")
    with pytest.raises(OSError, match=r"^KeyringLocked$"):
        token_from_keyring()


def test_without_a_keyring_package_there_is_no_token_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert token_from_keyring() is None


def test_the_token_shows_in_no_text_of_the_settings(read: Loader) -> None:
    settings = read(environ={"CROSSTRADE_TOKEN": TOKEN})
    texts = [repr(settings), str(settings), f"{settings.token}", f"{settings.token!s:>40}", str(settings.token)]
    assert not [text for text in texts if TOKEN in text]
    assert repr(settings.token) == "Secret(***)"


# Whatever stands in a file

_LEAVES = st.one_of(st.booleans(), st.integers(), st.decimals(), st.text(max_size=8), st.dates(), st.times())
_NAMES = st.sampled_from(
    [
        *readers.TOP,
        *readers.TABLES,
        *readers.UPSTREAM,
        *readers.APPROVAL,
        *readers.LIMITS,
        *readers.ACCOUNT,
        "A",
        "ES",
        "limits",
    ]
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES | st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(st.sampled_from([readers.TOP, readers.UPSTREAM, readers.APPROVAL, readers.LIMITS, readers.ACCOUNT]), st.data())
def test_whatever_a_table_holds_is_read_or_is_a_fault(table: Mapping[str, Reader], data: st.DataObject) -> None:
    values = data.draw(st.dictionaries(st.sampled_from(list(table)) | st.text(max_size=6), _VALUES, max_size=5))
    faults: list[str] = []
    good: dict[str, Any] = Table("t", values, faults).read(table)
    assert len(good) + len(faults) == len(values)
    assert not any("\n" in fault for fault in faults)
