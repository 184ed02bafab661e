"""The modules beside the test of this folder are found by their name, as the test of it is."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))
