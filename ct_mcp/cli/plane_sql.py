"""``ct-mcp plane sql``: print what an administrator of a PostgreSQL database runs for a team.

It stands alone, since it reads no settings and connects to nothing.
"""

import argparse
import sys


def run(chosen: argparse.Namespace) -> int:
    """Print the statements of the plane itself, or those that make a role a member or none any more."""
    from ct_mcp.domain.team import TeamRole
    from ct_mcp.store.plane_schema import member_script, plane_script
    from ct_mcp.store.postgres_schema import may_be_role

    named = {TeamRole.TRADER: chosen.trader, TeamRole.RISK_MANAGER: chosen.risk_manager, None: chosen.remove}
    wanted = [(name, role) for role, name in named.items() if name is not None]
    if not all(may_be_role(name) for name, _ in wanted) or len(wanted) > 1:
        print("NAME: expected the name of one role, of 63 bytes at most", file=sys.stderr)
        return 2
    print(member_script(*wanted[0]) if wanted else plane_script(), end="")
    return 0
