"""The command line: which commands there are, and what each accepts."""

from collections.abc import Sequence


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    return 0 if not arguments else 2
