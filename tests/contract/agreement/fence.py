"""What a card may send by hand: slowly, and never to an account that nobody has named."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx

SPACING_SECONDS = 1.2
_READS_BY_POST = "/market/bars"


class Outside(Exception):
    """A card wanted to send what it must not; nothing was sent."""


@dataclass
class Fence:
    """Stands before every request of a run; `clock` tells seconds, `pause` lets them pass.

    A card that reads sends no writing call. One that trades writes to the named account
    only; to all accounts only if `everywhere` is set.
    """

    account: str | None
    clock: Callable[[], float]
    pause: Callable[[float], Awaitable[None]]
    trades: bool = False
    everywhere: bool = False
    _last: float | None = field(default=None)

    async def __call__(self, request: httpx.Request) -> None:
        """Let a request out, late enough after the one before.

        Raises:
            Outside: The request must not be sent.
        """
        self._check(request)
        if self._last is not None:
            await self.pause(max(0.0, self._last + SPACING_SECONDS - self.clock()))
        self._last = self.clock()

    def _check(self, request: httpx.Request) -> None:
        path = request.url.path
        if request.method == "GET" or path.endswith(_READS_BY_POST):
            return
        if not self.trades or self.account is None:
            raise Outside(f"{request.method} {path} from a card that only reads")
        if f"/accounts/{self.account}/" in path or self.everywhere:
            return
        if json.loads(request.content or b"{}").get("account") != self.account:
            raise Outside(f"{request.method} {path} reaches other accounts than {self.account}")
