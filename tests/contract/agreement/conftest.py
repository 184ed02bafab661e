"""Makes the cards importable by the name that they have by hand, ``tests.contract.agreement``."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))
