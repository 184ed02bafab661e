"""Our server as ``ct-mcp serve`` puts it together, but with no budget of requests and with limits that never bind.

CrossTrade allows three requests a second, so that the real budget would be the only thing measured. It is replaced
here, in a composition of its own, and can be switched off nowhere else.
"""

import gc
import sys
from decimal import Decimal
from typing import TYPE_CHECKING

gc.disable()

from ct_mcp.domain.approval import Approval  # noqa: E402  # as in serve: no collecting while this is imported
from ct_mcp.guard.policy import Limits, Policy  # noqa: E402
from ct_mcp.server.app import build_server  # noqa: E402
from ct_mcp.server.context import ServerContext  # noqa: E402

if TYPE_CHECKING:
    from ct_mcp.desk.desk import Desk

WIDE = Limits(
    max_position_contracts=1_000_000,
    max_day_loss=Decimal(1_000_000_000),
    max_orders_per_minute=1_000_000,
    max_orders_per_day=1_000_000,
    duplicate_window_seconds=0.0,
)


def main(url: str, token: str, state_dir: str) -> None:
    """Serve over stdio until stdin closes; the end of the process closes what was opened."""
    policy = Policy(limits=WIDE, simulated=Approval.NONE)

    def build_desk() -> "Desk":
        from wide_desk import wide_desk  # noqa: PLC0415  # late, as in serve

        return wide_desk(url, token, state_dir, policy)

    server = build_server(ServerContext(build_desk, policy))
    gc.freeze()
    gc.enable()
    server.run("stdio")


if __name__ == "__main__":
    main(*sys.argv[1:])
