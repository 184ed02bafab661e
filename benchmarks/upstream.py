"""The simulator in a process of its own, and the requests of a call sent to it again without ct-mcp."""

import asyncio
import json
import time
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from child import Child, script

Requests = list[dict[str, str]]


class Upstream(Child):
    """The simulator: no rate limit, orders that fill at once."""

    def __init__(self, home: Path) -> None:
        """Start it and read where it listens."""
        super().__init__(script("simulated.py"), home)
        told = json.loads(self.hear())
        self.url, self.token = str(told["url"]), str(told["token"])

    def requests(self) -> Requests:
        """The requests since this was last asked."""
        self.say(b"")
        requests: Requests = json.loads(self.hear())
        return requests


class Replay:
    """The requests of one call, sent raw: an order to buy two becomes one to sell one, under ids of its own.

    Twice over: with httpx's blocking client, the least there is, and with its asynchronous one, the least that a
    server on an event loop can do.
    """

    _own_ids = count(1)

    def __init__(self, upstream: Upstream, requests: Requests) -> None:
        self.requests = len(requests)
        self._with_holes = [(each["method"], *_with_holes(each, requests)) for each in requests]
        manner: dict[str, Any] = {
            "base_url": upstream.url,
            "headers": {"Authorization": f"Bearer {upstream.token}"},
            "trust_env": False,
        }
        self._blocking = httpx.Client(**manner)
        self._loop = asyncio.Runner()
        self._waiting = httpx.AsyncClient(**manner)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._blocking.close()
        self._loop.run(self._waiting.aclose())
        self._loop.close()

    def blocking(self) -> float:
        """Send all of them; the seconds from each request to its parsed answer, added up."""
        total, ids = 0.0, self._new_ids()
        for method, path, body in self._with_holes:
            began = time.perf_counter()
            answer = self._blocking.request(method, _filled(path, ids), content=_filled(body, ids).encode() or None)
            said = answer.raise_for_status().json()
            total += time.perf_counter() - began
            ids["ORDER_ID"] = said["orderId"] if body else ids["ORDER_ID"]
        return total

    def waiting(self) -> float:
        """The same over the asynchronous client."""
        return self._loop.run(self._waited())

    async def _waited(self) -> float:
        total, ids = 0.0, self._new_ids()
        for method, path, body in self._with_holes:
            began = time.perf_counter()
            content = _filled(body, ids).encode() or None
            answer = await self._waiting.request(method, _filled(path, ids), content=content)
            said = answer.raise_for_status().json()
            total += time.perf_counter() - began
            ids["ORDER_ID"] = said["orderId"] if body else ids["ORDER_ID"]
        return total

    def _new_ids(self) -> dict[str, str]:
        return {"OWN_ID": f"raw-{next(self._own_ids)}", "ORDER_ID": ""}


def _with_holes(request: dict[str, str], requests: Requests) -> tuple[str, str]:
    """The path and the body; where the ids of the recorded order stood are the names of those to come."""
    path, body = request["path"], request["body"]
    head, orders, rest = path.partition("/orders/")
    if any(each["body"] for each in requests) and not body and rest:
        path = f"{head}{orders}ORDER_ID"
    if body:
        body = json.dumps({**json.loads(body), "action": "SELL", "quantity": 1, "orderId": "OWN_ID"})
    return path, body


def _filled(text: str, ids: dict[str, str]) -> str:
    for hole, value in ids.items():
        text = text.replace(hole, value)
    return text
