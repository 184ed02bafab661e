"""A model on loopback that follows the script, over every wire at once; keeps what each request brought."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar
from urllib.parse import urlsplit

from tests.contract.real_clients.script import LAST_WORDS, Answer, Asked, Say, Step, next_step, offered
from tests.contract.real_clients.wires import CHAT, CONTENTS, MESSAGES, RESPONSES, Wire

_CONTRACT = (Path(__file__).parents[1] / "snapshots").glob("*.json")
_OF_OTHER_TOOLSETS = ("strateg", "atm", "chart")
TOOLS = frozenset(file.stem for file in _CONTRACT if not any(word in file.stem for word in _OF_OTHER_TOOLSETS))
"""The tools that this server has by default: its contract has a file for each, and for those that are off as well."""
_ENDS = {"/messages": MESSAGES, "/chat/completions": CHAT, "/responses": RESPONSES}
_LOOKS_SECONDS = 0.05
_LISTED = {"object": "list", "data": [{"id": "scripted", "object": "model", "created": 1, "owned_by": "us"}]}


Script = Callable[[Asked], Step]


@dataclass
class Heard:
    """What one client has shown the model, which follows ``script``; ``folder`` gets its requests as they came."""

    folder: Path
    script: Script = next_step
    requests: int = 0
    tools: set[str] = field(default_factory=set)
    answers: tuple[Answer, ...] = ()
    last_words: str = ""

    def note(self, asked: Asked, body: bytes) -> None:
        """Keep what a request brought."""
        self.requests += 1
        (self.folder / f"request-{self.requests:03d}.json").write_bytes(body)
        self.tools |= offered(asked, TOOLS)
        if len(asked.answers) >= len(self.answers):
            self.answers = asked.answers


@contextmanager
def scripted_model(folder: Path, script: Script = next_step) -> Iterator[tuple[str, Heard]]:
    """Serve the model on a port of its own while the block runs; gives its address and what it hears."""
    heard = Heard(folder, script)

    class Requests(_Requests):
        keeps = heard

    with ThreadingHTTPServer(("127.0.0.1", 0), Requests) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, args=(_LOOKS_SECONDS,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", heard
        finally:
            server.shutdown()


class _Requests(BaseHTTPRequestHandler):
    keeps: ClassVar[Heard]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(_LISTED if self.path.endswith("/models") else {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urlsplit(self.path).path
        if path.endswith("/count_tokens") or ":countTokens" in path:
            self._answer({"input_tokens": 100, "totalTokens": 100})
        elif wire := _wire_of(path):
            self._follow(wire, body)
        else:
            self._answer({})

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing: the terminal belongs to the table."""

    def _follow(self, wire: Wire, body: bytes) -> None:
        request: dict[str, Any] = json.loads(body)
        asked = wire.read(request)
        self.keeps.note(asked, body)
        step, model = self.keeps.script(asked), str(request.get("model") or "scripted")
        if request.get("stream") or ":streamGenerateContent" in self.path:
            self._send("text/event-stream", "".join(map(_event, wire.write(step, model))).encode())
        else:
            self._answer(wire.whole(step, model))
        if isinstance(step, Say) and step.text.startswith(LAST_WORDS):
            self.keeps.last_words = step.text

    def _answer(self, content: object) -> None:
        self._send("application/json", json.dumps(content).encode())

    def _send(self, kind: str, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _wire_of(path: str) -> Wire | None:
    if "enerateContent" in path:
        return CONTENTS
    return next((wire for end, wire in _ENDS.items() if path.endswith(end)), None)


def _event(event: tuple[str, Any]) -> str:
    kind, data = event
    head = f"event: {kind}\n" if kind else ""
    return f"{head}data: {data if isinstance(data, str) else json.dumps(data)}\n\n"
