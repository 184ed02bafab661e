"""Start ct-mcp: ``python -m ct_mcp`` and the console script ``ct-mcp``."""

import sys

from ct_mcp.cli.arguments import run


def main() -> None:
    """Run the command line; its exit code is the process's."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
