"""``ct-mcp simulate``: the simulator as a server of its own, for a try-out or for tests of other programs.

It stands alone, short as it is, because it is the one command that needs nothing but the simulator.
"""

import argparse
import sys

import anyio

from ct_mcp.simulator.faults import Fault, StreamFault
from ct_mcp.simulator.server import serve
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.text import command

_OFFERED: tuple[Fault | StreamFault, ...] = (*Fault, *StreamFault)


def run(chosen: argparse.Namespace) -> int:
    """Serve until interrupted."""
    if "list" in chosen.fault:
        return _list_faults()
    faults = {fault.value: fault for fault in _OFFERED}
    unknown = [name for name in chosen.fault if name not in faults]
    if unknown:
        print(
            f"no such fault: {', '.join(unknown)}; {command('simulate', '--fault', 'list')} names them all",
            file=sys.stderr,
        )
        return 2
    simulator = Simulator(seed=chosen.seed, market_hours=chosen.market_hours)
    for name in chosen.fault:
        simulator.faults.arm(faults[name])

    async def main() -> None:
        await serve(simulator, "127.0.0.1", chosen.port, ready=lambda url: _tell(url, simulator, chosen.fault))

    try:
        anyio.run(main)
    except OSError as error:
        print(f"cannot listen on port {chosen.port}: {error.strerror}; choose another with --port", file=sys.stderr)
        return 1
    return 0


def _list_faults() -> int:
    width = max(len(fault.value) for fault in _OFFERED)
    for fault in _OFFERED:
        print(f"{fault.value:<{width}}  {fault.description}")
    return 0


def _tell(url: str, simulator: Simulator, faults: list[str]) -> None:
    token, windows = simulator.token, sys.platform == "win32"
    given = f'$env:CROSSTRADE_TOKEN="{token}";' if windows else f"CROSSTRADE_TOKEN={token}"  # PowerShell, or a shell
    print(f"a simulated CrossTrade and NinjaTrader 8 at {url}")
    print(f"token     {token}   (opens nothing but this simulator)")
    print(f'try       {"curl.exe" if windows else "curl"} -H "Authorization: Bearer {token}" {url}/v1/api/accounts')
    print(f"ct-mcp    {given} {command('serve', '--base-url', url)}")
    if faults:
        print(f"faults    {', '.join(faults)}")
    print("stop with Ctrl-C", flush=True)
