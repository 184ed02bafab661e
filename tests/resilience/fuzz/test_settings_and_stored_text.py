"""Settings, instruments and stored commands from any text: a value, or one refusal that says it all."""

import json
from contextlib import suppress
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ct_mcp.config.settings import Settings, load
from ct_mcp.domain.instrument import FrontMonth, Instrument, parse_instrument
from ct_mcp.errors import BadRequest, ConfigError, StoreFailed
from ct_mcp.store.ticket_codec import COMMAND_KINDS, commands_from_text

TOKEN = "tok-8c1f-never-to-be-seen"
EXAMPLE = (Path(__file__).parents[3] / "config" / "default.toml").read_text(encoding="utf-8")
KEYS = sorted({line.lstrip("# ").split(" ")[0] for line in EXAMPLE.splitlines() if " = " in line})
TABLES = ["", "limits", "approval", "upstream", "fresh", "accounts.Sim101", "accounts.Sim101.limits", "instruments.ES"]
LITERALS = st.one_of(
    st.sampled_from(
        ["1", "-1", "0", "nan", "inf", "-inf", "1e400", "1E+999999999999", "1e-999999999999", "true", "[]"]
    ),
    st.sampled_from(['""', '"live"', '"form"', f'"{TOKEN}"', "{}", "{a=1}", "07:32:00", "2026-01-01", "9" * 4500]),
    st.sampled_from(['"15:10 America/Chicago"', '"25:00 Mars/Base"', '"https://x.invalid"', '"http://evil"', '["ES"]']),
    st.integers().map(str),
    st.floats().map(repr),
    st.text(max_size=10).map(json.dumps),
)
LINES = st.one_of(
    st.builds("[{}]".format, st.sampled_from(TABLES[1:])),
    st.builds("{} = {}".format, st.sampled_from([*KEYS, "unknown", "token"]), LITERALS),
    st.text(max_size=20),
)


def loaded(content: bytes, environ: dict[str, str]) -> Settings | None:
    """The settings, or None where they are refused in words, a line for each fault."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "config.toml"
        file.write_bytes(content)
        try:
            return load({}, environ, default_file=lambda: file, keyring=lambda: None)
        except ConfigError as refused:
            heading, *lines = refused.what.splitlines()
            assert heading.startswith(f"{len(lines)} fault")
            assert TOKEN not in str(refused)  # noqa: PT017 - refusing is one of the two right endings
            assert len(refused.what) < 20_000  # noqa: PT017 - the same
            return None


@settings(max_examples=80, deadline=None)
@given(st.lists(LINES, max_size=6).map("\n".join))
def test_any_lines_are_settings_or_one_list_of_faults(text: str) -> None:
    found = loaded(text.encode("utf-8", "surrogatepass"), {"CROSSTRADE_TOKEN": TOKEN})
    assert found is None or TOKEN not in repr(found)


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_settings_or_one_list_of_faults(content: bytes) -> None:
    loaded(content, {})


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["MODE", "STATE_DIR", "BASE_URL", "TOOLSETS", "LOG_LEVEL", "CONFIG", "X"]),
        st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20),
    )
)
@example({"CONFIG": "x" * 5000})
@example({"CONFIG": "a\u0000b"})
def test_any_variables_are_settings_or_one_list_of_faults(given_: dict[str, str]) -> None:
    loaded(b"", {f"CT_MCP_{name}": text for name, text in given_.items()} | {"CROSSTRADE_TOKEN": TOKEN})


@settings(max_examples=150, deadline=None)
@given(
    st.text(max_size=25) | st.text("EMS0123456789 -!FGHZ1", max_size=12),
    st.dates(date(1980, 1, 1), date(2090, 12, 31)),
)
@example("E" * 1_000_000, date(2026, 9, 9))
@example(" " * 1_000_000, date(2026, 9, 9))
@example("\ud800", date(2026, 9, 9))
def test_any_name_is_an_instrument_or_refused(text: str, today: date) -> None:
    try:
        read = parse_instrument(text, today)
    except BadRequest as refused:
        assert len(str(refused)) < 1000  # noqa: PT017 - refusing is one of the two right endings
        return
    assert isinstance(read, Instrument | FrontMonth)
    assert parse_instrument(str(read), today) == read


STORED = st.one_of(
    st.text(max_size=40),
    st.builds(
        lambda kind, fields: json.dumps([{**fields, "kind": kind}], sort_keys=True, separators=(",", ":")),
        st.sampled_from([*COMMAND_KINDS, "x", 1, None]),
        st.dictionaries(
            st.sampled_from(["account", "instrument", "action", "quantity", "order", "parameters", "percent", "mode"]),
            st.none() | st.integers() | st.text(max_size=6) | st.floats() | st.just({"root": "ES", "year": 2026}),
        ),
    ),
    st.sampled_from(["[" * 100_000, '[{"account":"A","instrument":null,"kind":"flatten"}]', "[[]]", "9" * 5000]),
)


@settings(max_examples=130, deadline=None)
@given(STORED)
def test_any_stored_text_is_a_command_or_refused(text: str) -> None:
    with suppress(StoreFailed):
        assert {type(command) for command in commands_from_text(text)} <= set(COMMAND_KINDS.values())
