"""Start ct-mcp: the console script ``ct-mcp``, and ``python -P -m ct_mcp``.

A client starts servers in the folder that its assistant works in, and there an ``anyio.py`` would be imported in place
of the real one, with the token in its reach. So nothing that a file could stand in for is imported before `_look`.

It stands alone, since Python runs it by its name.
"""

import os
import sys


def _look() -> None:
    """Refuse to go on where modules would be imported from the working folder, unless ct-mcp itself stands there."""
    try:
        here = _real(os.getcwd())  # noqa: PTH109  # pathlib could be theirs
    except OSError:  # it is gone, and nothing is imported from it
        return
    script = os.path.dirname(sys.argv[0])  # noqa: PTH120  # empty where there is none, as with -c
    ours = {_real(folder) for folder in (os.path.dirname(os.path.dirname(__file__)), script) if folder}  # noqa: PTH120
    if here not in ours and here in map(_real, sys.path):
        sys.stderr.write(
            f"ct-mcp does not start: Python would import modules from the working folder {here}, so that any file "
            "there could take the token. Nothing was sent to the market. Next: start it as ct-mcp, or as "
            "python -P -m ct_mcp, without this folder in PYTHONPATH.\n"
        )
        sys.exit(2)


def _real(path: str) -> str:
    return os.path.normcase(os.path.realpath(path))


_look()

from ct_mcp.cli.parser import run  # noqa: E402


def main() -> None:
    """Run the command line; its exit code is the process's."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
