"""The models: each key is read or is a fault, and the faults come in the order of the source."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ct_mcp.config.faults import as_flag, as_key
from ct_mcp.config.schema import (
    AccountTable,
    ApprovalTable,
    FreshTable,
    LimitsTable,
    Overrides,
    SettingsFile,
    Table,
    UpstreamTable,
    read,
)

Faults = Callable[..., list[str]]
_FLAT = (UpstreamTable, FreshTable, ApprovalTable, LimitsTable)
_NESTED = (SettingsFile, AccountTable)

_LEAVES = st.one_of(st.booleans(), st.integers(), st.decimals(), st.text(max_size=8), st.dates(), st.times())
_NAMES = st.sampled_from(
    [*{name for table in (*_FLAT, *_NESTED) for name in table.model_fields}, "A", "ES", "limits"],
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES | st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def _drawn(table: type[Table], data: st.DataObject) -> dict[str, Any]:
    keys = st.sampled_from(list(table.model_fields)) | st.text(max_size=6)
    return data.draw(st.dictionaries(keys, _VALUES, max_size=5))


@settings(deadline=None)  # the models are made by the first example
@given(st.sampled_from(_FLAT), st.data())
def test_whatever_a_table_holds_is_read_or_is_a_fault(table: type[Table], data: st.DataObject) -> None:
    values = _drawn(table, data)
    faults: list[str] = []
    good = read(table, values, as_key, faults).given()
    assert len(good) + len(faults) == len(values)
    assert not any("\n" in fault for fault in faults)


@settings(deadline=None)
@given(st.sampled_from(_NESTED), st.data())
def test_whatever_tables_of_tables_hold_is_read_or_is_a_fault(table: type[Table], data: st.DataObject) -> None:
    values = _drawn(table, data)
    faults: list[str] = []
    good = read(table, values, as_key, faults).given()
    assert len(good) + len(faults) >= len(values)
    assert set(good) <= set(values)
    assert not any("\n" in fault for fault in faults)


def test_what_is_right_is_read_beside_what_is_not() -> None:
    faults: list[str] = []
    values = {"mode": "demo", "limits": {"max_day_loss": "5", "max_orders_per_day": 7}, "approval": 5, "mood": 1}
    good = read(SettingsFile, values, as_key, faults)
    assert good.limits.given() == {"max_orders_per_day": 7}
    assert [fault.partition(":")[0] for fault in faults] == ["mode", "[limits] max_day_loss", "approval", "mood"]


def test_a_source_that_says_nothing_gives_nothing() -> None:
    assert read(SettingsFile, {}, as_key, []).given() == {}


@pytest.mark.parametrize("table", [*_FLAT, *_NESTED, Overrides])
def test_a_key_left_out_is_none_or_an_empty_table(table: type[Table]) -> None:
    left_out = [getattr(table.model_construct(), name) for name in table.model_fields]
    assert all(value is None or value == {} or value.given() == {} for value in left_out)


def test_bytes_that_are_no_text_are_a_fault_of_their_flag() -> None:
    faults: list[str] = []
    read(Overrides, {"state_dir": "/a\udc80", "mode": "\udc80"}, as_flag, faults)
    assert [fault.partition(":")[0] for fault in faults] == ["--state-dir", "--mode"]


def test_a_date_is_no_table(faults: Faults) -> None:
    assert faults(f"limits = {date(2026, 1, 1)}") == ["limits: found a date or time, expected a table"]
