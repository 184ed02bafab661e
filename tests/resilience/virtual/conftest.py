"""The campaign lives beside the package, as scripts that find each other by their folder."""

import gc
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[3] / "benchmarks"))


@pytest.fixture(scope="module", autouse=True)
def _only_what_an_episode_leaves_is_looked_through() -> None:
    """After each play everything is collected: what stood before need not be looked through for that each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _others_hear_the_log_all_the_same() -> Iterator[None]:
    """A command of the campaign says less of what it makes go wrong, and ends with its process."""
    log = logging.getLogger("ct_mcp")
    before = log.level
    yield
    log.setLevel(before)
