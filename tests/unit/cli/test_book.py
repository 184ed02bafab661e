"""``ct-mcp book``: what is on record, what an import would add, and trades for a spreadsheet."""

import csv
import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ct_mcp.store.sqlite import SqliteStore
from tests.unit.domain.test_grid_import import EXECUTIONS
from tests.unit.store.test_book import executed, heard

CtMcp = Callable[..., subprocess.CompletedProcess[str]]
ZONE = ("--zone", "America/Chicago")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The state folder."""
    return tmp_path / "state"


@pytest.fixture
def file(tmp_path: Path) -> str:
    """An export of NinjaTrader."""
    file = tmp_path / "executions.csv"
    file.write_text(EXECUTIONS, encoding="utf-16")
    return str(file)


def test_an_import_is_told_first_and_kept_when_that_is_said(ct_mcp: CtMcp, folder: Path, file: str) -> None:
    where = ("--state-dir", str(folder))
    told = ct_mcp("book", "import", file, *ZONE, *where)
    assert told.returncode == 0, told.stderr
    assert "Executions grid: 3 rows, times of America/Chicago" in told.stdout
    assert "3 new." in told.stdout
    assert "Nothing was kept" in told.stdout
    assert "Nothing is on record yet" in ct_mcp("book", *where).stdout
    assert "Kept: 3." in ct_mcp("book", "import", file, *ZONE, "--keep", *where).stdout
    assert "0 new, 3 known already." in ct_mcp("book", "import", file, *ZONE, "--keep", *where).stdout
    shown = ct_mcp("book", *where).stdout
    assert "Sim101  since 2026-11-23 15:31 UTC, 1 trade, 0 open" in shown
    assert "gap: nobody listened" in shown.replace("\n", " ")
    assert "Forgotten: 3 imported executions of Sim101." in ct_mcp("book", "forget", "Sim101", *where).stdout


def test_trades_and_executions_are_written_for_a_spreadsheet_and_a_program(
    ct_mcp: CtMcp, folder: Path, file: str, tmp_path: Path
) -> None:
    where = ("--state-dir", str(folder))
    ct_mcp("book", "import", file, *ZONE, "--keep", *where)
    written = ct_mcp("book", "export", *where)
    (trade,) = csv.DictReader(io.StringIO(written.stdout))
    assert (trade["side"], trade["gross"], trade["net"], trade["currency"]) == ("LONG", "125", "116.4", "USD")
    assert "1 trade written" in written.stderr
    lines = ct_mcp("book", "export", "--what", "executions", "--format", "jsonl", *where).stdout.splitlines()
    assert [json.loads(line)["price"] for line in lines] == ["6400.25", "6405", "6398"]
    nothing = ct_mcp("book", "export", "--since", "2026-11-24", *where)
    assert "no trades written" in nothing.stderr
    output = str(tmp_path / "out.csv")
    assert ct_mcp("book", "export", "--output", output, *where).returncode == 0
    assert ct_mcp("book", "export", "--output", output, *where).returncode == 1, "it is there already"


async def test_a_hostile_name_is_no_formula(ct_mcp: CtMcp, folder: Path) -> None:
    store = SqliteStore(folder)
    await store.keep_heard("=cmd()", [executed(0, account="=cmd()", name="+1")], heard(5))
    await store.close()
    written = ct_mcp("book", "export", "--what", "executions", "--state-dir", str(folder)).stdout
    (row,) = csv.DictReader(io.StringIO(written))
    assert (row["account"], row["price"]) == ("'=cmd()", "6400.25")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("import",), "name the FILE"),
        (("import", "there-is-none.csv"), "cannot be read"),
        (("import", "FILE", "--zone", "Chicago"), "--zone: found 'Chicago'"),
        (("import", "FILE", "--dates", "day"), "cannot be day-first"),
        (("export", "--since", "monday"), "--since: found 'monday'"),
    ],
)
def test_what_cannot_be_done_is_said_in_words(
    ct_mcp: CtMcp, folder: Path, file: str, asked: tuple[str, ...], said: str
) -> None:
    words = [file if word == "FILE" else word for word in asked]
    told = ct_mcp("book", *words, "--state-dir", str(folder))
    assert told.returncode in (1, 2)
    assert said in told.stderr.replace("\n", " ")


async def test_without_a_token_it_must_be_clear_whose_book_is_meant(ct_mcp: CtMcp, folder: Path) -> None:
    for service in ("ours", "theirs"):
        store = SqliteStore(folder, service=service)
        await store.keep_heard("Sim101", [executed(0)], heard(5))
        await store.close()
    told = ct_mcp("book", "--state-dir", str(folder))
    assert told.returncode == 1
    assert "several services" in told.stderr
