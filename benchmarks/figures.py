"""What was measured, against what was aimed at, as a table and as JSON."""

import os
import platform
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles

_VERSIONED = ("ct-mcp", "mcp", "httpx", "pydantic", "starlette", "uvicorn", "bpe-openai")


@dataclass(frozen=True, slots=True)
class Figure:
    """One row. A row without a target explains another; ``measured`` is None where it could not be measured."""

    name: str
    measured: float | None
    unit: str = "ms"
    target: float | None = None
    detail: str = ""

    @property
    def verdict(self) -> str:
        """Whether the target, which is always a most, is met."""
        if self.measured is None:
            return "not measured"
        if self.target is None:
            return ""
        return "met" if self.measured <= self.target else "MISSED"


def in_ms(seconds: Sequence[float]) -> float:
    """The median, in milliseconds."""
    return median(seconds) * 1000


def spread(seconds: Sequence[float]) -> str:
    """The middle half, in milliseconds, as words: how noisy it was."""
    low, _, high = quantiles(seconds, n=4)
    digits = 0 if high > 0.1 else 2
    return f"{low * 1000:.{digits}f}-{high * 1000:.{digits}f}"


def table(figures: Iterable[Figure]) -> str:
    """All rows, aligned."""
    rows = [("what", "target", "measured", "verdict", "detail")]
    rows += [(each.name, _amount(each.target, each), _amount(each.measured, each), each.verdict, each.detail)
             for each in figures]  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        "  ".join((*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4])) for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)


def _amount(value: float | None, figure: Figure) -> str:
    if value is None:
        return "-"
    digits = 0 if figure.unit in ("tokens", "") or value >= 1000 else 2
    return f"{'<= ' if value is figure.target else ''}{value:,.{digits}f} {figure.unit}".rstrip()


def machine() -> dict[str, str]:
    """What it ran on."""
    return {
        "measured": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "cpu": f"{_cpu()}, {os.cpu_count()} cores",
        "os": platform.platform(terse=True),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "versions": ", ".join(f"{name} {version(name)}" for name in _VERSIONED),
        "load": load(),
    }


def load() -> str:
    """How busy the machine is with everything that runs on it, over the last minute."""
    return "unknown" if sys.platform == "win32" else f"{os.getloadavg()[0]:.2f}"


def _cpu() -> str:
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text(encoding="utf-8").splitlines() if listed.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or "unknown")
