"""The calendar of news: every line that cannot be read is a fault that names it, however odd it is."""

from pathlib import Path

import pytest

from ct_mcp.config.news import read_calendar

HEAD = "# covers until 2026-12-31\ntime,zone,name,roots\n"
NFP = "2026-12-04 08:30,America/New_York,NFP,ES NQ"


def faults_of(folder: Path, *lines: str) -> list[str]:
    """Read a calendar of these lines; it has to be refused."""
    file, faults = folder / "news.csv", list[str]()
    file.write_text(HEAD + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    file.chmod(0o600)
    assert read_calendar(file, faults) is None
    return faults


@pytest.mark.parametrize(
    "line",
    [
        "0001-01-01 00:00,Asia/Tokyo,FOMC,",
        "9999-12-31 23:59,America/New_York,FOMC,",
        "9999-12-31 23:59,UTC,FOMC,",
        f"2026-12-09 14:00,America/New_York,{'F' * 140_000},",
        '2026-12-09 14:00,America/New_York,"FOMC,',
        "",
    ],
    ids=["first day", "last day", "last minute", "long name", "open quotation mark", "empty"],
)
def test_an_odd_line_is_a_fault_that_names_it_alone(tmp_path: Path, line: str) -> None:
    (fault,) = faults_of(tmp_path, line, NFP)
    assert "line 3: found" in fault
    assert len(fault) < 500


def test_every_faulty_line_is_named(tmp_path: Path) -> None:
    assert [fault.split(":")[1] for fault in faults_of(tmp_path, '"', NFP, "0001-01-01 00:00,Asia/Tokyo,FOMC,")] == [
        " line 3",
        " line 5",
    ]
