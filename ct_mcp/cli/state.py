"""``ct-mcp state sql ROLE``: print what an administrator of a PostgreSQL database runs for one trader.

It stands alone, since it reads no settings and connects to nothing.
"""

import argparse
import sys


def run(chosen: argparse.Namespace) -> int:
    """Print the statements; they can be run again, and bring older tables to this version."""
    from ct_mcp.store.postgres_schema import may_be_role, script

    if not may_be_role(chosen.role):
        print("ROLE: expected the name of a role, of 63 bytes at most", file=sys.stderr)
        return 2
    print(script(chosen.role), end="")
    return 0
