"""Start programs the way a person's shell does, however the tests themselves were started.

A module of its own because every room that starts a process needs it, and none of them may import another.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    import fcntl

# A process keeps ignoring SIGINT if its parent did, as a job in the background of a script does; Python then installs
# no handler for Ctrl-C. The child itself has to put that right, before the program is loaded.
_DEFAULT_SIGINT = """\
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""
# Makes the terminal on stdin the controlling one, so that Ctrl-C typed into it arrives as it does for a person.
_TAKE_TERMINAL = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
_BARE = (sys.executable, "-I", "-S", "-c")  # loads nothing of the site: it stands before everything that is measured


def interruptible(*command: str) -> list[str]:
    """Return a command that runs this one with Ctrl-C as a person has it, in the same process."""
    return [*command] if sys.platform == "win32" else [*_BARE, _DEFAULT_SIGINT, *command]


def at_terminal(*command: str) -> list[str]:
    """Return a command that runs this one as the foreground of the terminal on its stdin; POSIX only."""
    return [*_BARE, _TAKE_TERMINAL + _DEFAULT_SIGINT, *command]


@contextmanager
def one_at_a_time(file: Path) -> Iterator[None]:
    """Hold a file while the block runs; another process of this test run waits. On Windows nothing is held."""
    with file.open("rb") as held:
        if sys.platform != "win32":
            fcntl.flock(held, fcntl.LOCK_EX)
        yield
