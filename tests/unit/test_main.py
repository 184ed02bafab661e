"""How it is started: nothing of the folder that a client works in is imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import ct_mcp

INSTALLED = Path(ct_mcp.__file__).parents[1]
AS_SCRIPT = ("-c", "from ct_mcp.__main__ import main; main()")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A folder in which somebody left modules that take the token."""
    for name in ("anyio", "argparse", "pydantic"):
        (tmp_path / f"{name}.py").write_text("print('TAKEN')\n", encoding="utf-8")
    return tmp_path


def start(folder: Path, *words: str, path: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Start Python in a folder, as a client does, where ct-mcp is found."""
    return subprocess.run(
        [sys.executable, *words, "--version"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((*path, str(INSTALLED)))},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "path"),
    [(("-m", "ct_mcp"), ()), (AS_SCRIPT, ()), (("-P", "-m", "ct_mcp"), (".",)), (("-P", *AS_SCRIPT), ("",))],
    ids=["module", "code", "path", "empty path"],
)
def test_what_would_import_from_the_working_folder_does_not_start(
    workspace: Path, words: tuple[str, ...], path: tuple[str, ...]
) -> None:
    told = start(workspace, *words, path=path)
    assert (told.returncode, told.stdout) == (2, "")
    assert str(workspace) in told.stderr
    assert "Nothing was sent to the market. Next: start it as ct-mcp, or as python -P -m ct_mcp" in told.stderr
    assert "Traceback" not in told.stderr


def test_it_starts_in_any_folder_where_nothing_is_imported_from_it(workspace: Path) -> None:
    told = start(workspace, "-P", "-m", "ct_mcp")
    assert (told.returncode, told.stdout, told.stderr) == (0, f"ct-mcp {ct_mcp.__version__}\n", "")


def test_where_ct_mcp_itself_stands_it_may_be_imported_from() -> None:
    assert start(INSTALLED, "-m", "ct_mcp").returncode == 0
