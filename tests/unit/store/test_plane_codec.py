"""Reports at the plane: written, read again, and whatever else stands there."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from ct_mcp.domain.account import AccountKind
from ct_mcp.domain.team import HeldPosition, ReportedAccount, TraderReport
from ct_mcp.store.plane_codec import report_from_text, report_to_text

AT = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
KNOWN = ReportedAccount(
    "Sim101", AccountKind.SIMULATED, (HeldPosition("ES 12-26", -2),), 3, Decimal("-0.10"), AT, ("DAY_LOSS",), AT
)
UNKNOWN = ReportedAccount("Live1", AccountKind.UNKNOWN, None, None, None, None, (), None)
REPORT = TraderReport("desk", "1.0.0", "live", "by alice: lunch", 1, (3, 4), (KNOWN, UNKNOWN))


def test_a_report_is_read_as_it_was_written_and_unknown_stays_unknown() -> None:
    text = report_to_text(REPORT)
    assert text.isascii()
    assert report_from_text(text) == REPORT


def test_what_a_newer_version_says_beside_is_passed_over() -> None:
    stored = json.loads(report_to_text(REPORT))
    stored["more"] = stored["accounts"][0]["more"] = {"x": 1}
    assert report_from_text(json.dumps(stored)) == REPORT


def test_a_name_that_no_database_holds_is_written_as_its_escape() -> None:
    found = report_from_text(report_to_text(replace(REPORT, machine="Sim\0\ud800", accounts=())))
    assert found is not None
    assert found.machine == "Sim\\x00\\ud800"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "null",
        "[" * 60_000,
        '{"machine": 1}',
        report_to_text(REPORT).replace("+00:00", "").replace("Z", ""),
        report_to_text(REPORT).replace('"-0.10"', '"NaN"'),
        report_to_text(REPORT).replace('"-0.10"', '"Infinity"'),
        report_to_text(REPORT).replace('"simulated"', '"of a newer kind"'),
        report_to_text(REPORT).replace(":-2", ":-2.5"),
        report_to_text(REPORT).replace(":-2", f":{'9' * 5000}"),
    ],
    ids=range(11),
)
def test_what_cannot_be_read_is_none(text: str) -> None:
    assert report_from_text(text) is None
