"""The person at the terminal: whether there is one, and what they type.

The start of the server imports this, so it imports nothing itself that drawing needs; that is in `screen`.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from threading import Thread, current_thread, main_thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop


def is_at_terminal() -> bool:
    """Say whether a person sits in front of us; a pipe is nobody."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


def lacks_terminal(name: str) -> bool:
    """Say whether no person sits in front of us, and tell on stderr that this command needs one."""
    if is_at_terminal():
        return False
    print(f"ct-mcp {name} needs a terminal that a person types at; input from a pipe is not taken", file=sys.stderr)
    return True


def replace_unprintable_letters() -> None:
    """Show a mark where the console cannot show a letter: no name may stop a command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


async def read_line(prompt: str = "> ") -> str:
    """Read one line without the blanks around it; the end of input and an interrupt count as an empty one.

    What was typed before the prompt stood there answers nothing: it was meant for what stood there then.
    The thread that waits is a daemon: a thread of a pool would keep an interrupted program alive until Enter.
    """
    import asyncio

    loop = asyncio.get_running_loop()
    answer: asyncio.Future[str] = loop.create_future()

    def arrived(line: str) -> None:
        if not answer.done():
            answer.set_result(line)

    def wait() -> None:
        line = _line(prompt)
        with suppress(RuntimeError):  # the loop has ended meanwhile, and nobody asks any more
            loop.call_soon_threadsafe(arrived, line)

    with _interrupts_reach(loop):
        Thread(target=wait, name="the person's line", daemon=True).start()
        return await answer


@contextmanager
def _interrupts_reach(loop: "AbstractEventLoop") -> Iterator[None]:
    """Wake the loop at Ctrl-C, whichever thread the system gives it to: else it would sleep on until Enter."""
    import signal

    before = signal.getsignal(signal.SIGINT)
    if sys.platform == "win32" or not callable(before) or current_thread() is not main_thread():
        yield  # the loop of Windows wakes by itself; where nobody listens to Ctrl-C, nor do we
        return
    loop.add_signal_handler(signal.SIGINT, before, signal.SIGINT, None)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, before)


def read_secret(prompt: str) -> str:
    """Read one line that is not shown while it is typed; the end of input counts as an empty one.

    It waits in the main thread and Ctrl-C ends it: whoever left it to another thread would leave the person a
    terminal that shows nothing any more.
    """
    import signal
    from getpass import getpass

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return getpass(prompt)
    except (EOFError, UnicodeDecodeError):
        return ""
    finally:
        signal.signal(signal.SIGINT, before)


def _forget_what_was_typed() -> None:
    if sys.platform == "win32":
        import msvcrt

        while msvcrt.kbhit():
            msvcrt.getwch()
        return
    import termios

    with suppress(termios.error, OSError, ValueError):  # it is no terminal
        termios.tcflush(sys.stdin, termios.TCIFLUSH)


def _line(prompt: str) -> str:
    _forget_what_was_typed()
    try:
        # What was typed in another encoding comes as halves of characters, which nothing could carry further.
        return input(prompt).encode("utf-8", "replace").decode("utf-8").strip()
    except (EOFError, KeyboardInterrupt):  # on Windows, Ctrl-C reaches the thread that reads as well
        return ""
