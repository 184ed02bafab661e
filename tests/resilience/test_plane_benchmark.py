"""The benchmark of the plane, with next to nothing of everything: it measures what it names, and ends what it began.

No figure is looked at: on a busy machine none says anything.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.postgres import need_server

PLANE = Path(__file__).parents[2] / "benchmarks" / "plane.py"
MEASURED = [
    "one page written through to the disk",
    "orders of 1 trader",
    "orders of 2 machines of 1 trader",
    "words that 2 processes get as fast as they can",
    "a trader's day: rows",
    "… on disk, with indexes",
    "… written to the server's log of changes",
    "agents",
    "statements of all agents",
    "halt of everybody: the last agent notices after",
    "… openings let through after its commit",
    "halt of one: that agent notices after, at most",
]
"""Besides these, what the server's processes took, where they can be looked at."""


def test_each_figure_of_the_plane_is_measured_and_no_process_is_left() -> None:
    need_server()
    run = subprocess.Popen(
        [sys.executable, str(PLANE), "--tiny"],
        stdout=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
        env=os.environ | {"PYTHONUTF8": "1"},
    )
    told, _ = run.communicate(timeout=500)
    assert run.returncode == 0
    head, rows, end = told.split("\n\n")
    assert {"measured", "cpu", "load"} <= {line.split()[0] for line in head.splitlines()}
    assert end.startswith("load at the end")
    titles, *measured = [re.split(r" {2,}", row) for row in rows.splitlines()]
    assert titles == ["what", "target", "measured", "verdict", "detail"]
    figures = {name: figure for name, _, figure, *_ in measured}
    assert set(MEASURED) <= figures.keys()
    assert all(re.match(r"[\d,.]+\b", figures[name]) for name in MEASURED), figures
    if sys.platform != "win32":
        with pytest.raises(ProcessLookupError):
            os.killpg(run.pid, 0)
