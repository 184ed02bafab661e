"""The line a person types: Ctrl-C ends the wait for it, whichever thread the system wakes."""

import os
import subprocess
import sys

import pytest

WAITS = """
import asyncio, os, signal, threading
from ct_mcp.cli.terminal import read_line

def presses():
    while not (waiting := [each for each in threading.enumerate() if each.name == "the person's line" and each.ident]):
        continue
    signal.pthread_kill(waiting[0].ident, signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
threading.Thread(target=presses).start()
try:
    asyncio.run(read_line())
except KeyboardInterrupt:
    print(f"interrupted {signal.getsignal(signal.SIGINT) is signal.default_int_handler}", end="", flush=True)
os._exit(0)  # a pipe that is still read from lets no interpreter end in peace, as a terminal does
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows gives Ctrl-C to no thread")
def test_ctrl_c_ends_the_wait_though_another_thread_gets_it() -> None:
    inner, outer = os.pipe()
    try:
        ended = subprocess.run(
            [sys.executable, "-c", WAITS], check=False, stdin=inner, capture_output=True, text=True, timeout=60
        )
    finally:
        os.close(inner)
        os.close(outer)
    assert (ended.returncode, ended.stdout.replace("> ", ""), ended.stderr) == (0, "interrupted True", "")
