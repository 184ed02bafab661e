"""The campaign lives beside the package, as scripts that find each other by their folder."""

import gc
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[3] / "benchmarks"))


@pytest.fixture(scope="module", autouse=True)
def _only_what_an_episode_leaves_is_looked_through() -> None:
    """After each play everything is collected: what stood before need not be looked through for that each time."""
    gc.collect()
    gc.freeze()
