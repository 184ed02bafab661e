"""The campaign lives beside the package, as scripts that find each other by their folder."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[3] / "benchmarks"))
