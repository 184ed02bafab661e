"""Answers of the service, changed on their way."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

Change = Callable[[httpx.Request, Any], Any]
"""Gives the body to answer instead; an int refuses with that status."""


@dataclass
class Altered(httpx.AsyncBaseTransport):
    """Hands on each answer as the ``changes`` make it; what ends as ``instead`` says never arrives, and is answered."""

    inner: httpx.AsyncBaseTransport
    changes: list[Change] = field(default_factory=list)
    instead: dict[str, Any] = field(default_factory=dict)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass a request on and change what comes back, if it is JSON."""
        for ending, said in self.instead.items():
            if request.url.path.endswith(ending):
                return httpx.Response(200, json=said)
        answer = await self.inner.handle_async_request(request)
        await answer.aread()
        try:
            body = json.loads(answer.content)
        except ValueError:
            return answer
        for change in self.changes:
            body = change(request, body)
        if isinstance(body, int):
            return httpx.Response(body, json={"success": False, "error": "not here"})
        return httpx.Response(answer.status_code, json=body)

    def empties(self, *lists: str, times: int = 1) -> None:
        """Let each of these lists, by the end of its path, come back empty so many times."""
        left = dict.fromkeys(lists, times)

        def change(request: httpx.Request, body: Any) -> Any:
            path = request.url.path
            ending = next((each for each in left if path.endswith(each) and left[each] > 0), None)
            if ending is None or request.method != "GET":
                return body
            left[ending] -= 1
            return {ending.rsplit("/", 1)[-1]: [], "success": True}

        self.changes.append(change)

    def refuses(self, ending: str) -> None:
        """Let what ends so be no route of this service."""
        self.changes.append(lambda request, body: 404 if request.url.path.endswith(ending) else body)
