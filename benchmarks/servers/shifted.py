"""A clock that stands elsewhere than the machine's: a file says how far, so that several processes agree, and jump."""

from datetime import UTC, datetime, timedelta
from pathlib import Path


class Shifted:
    """Tells the real time plus the seconds that stand in a file, which may change at any moment."""

    def __init__(self, path: Path) -> None:
        """Take the file; it must be there."""
        self._path = path

    def __call__(self) -> datetime:
        """Tell the time."""
        return datetime.now(UTC) + timedelta(seconds=float(self._path.read_text(encoding="utf-8")))
