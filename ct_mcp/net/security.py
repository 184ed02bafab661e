"""The gate before an application on HTTP: whom a request is meant for, who sends it, whether it may in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hmac import compare_digest

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Check = Callable[[Scope, Headers], Response | None]
"""Judges a request by its scope and its headers; gives the refusal, or None where it may go on."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What every request has to be, asked in this order; the first refusal is the answer.

    1. ``offers``: there is such a thing here. Whatever is no HTTP request is for ``offers`` to refuse.
    2. Its ``Host`` is one of ``authorities``, each as ``127.0.0.1:8421``.
    3. Its ``Origin``, if it names one, is ours; a browser names one with every POST, so for ``browsers`` it must.
    4. Its ``Sec-Fetch-Site``, if it has one, says that a page of ours or the person sends it. Only a GET beneath
       ``entrance`` may come from elsewhere, by a link, but never ahead of the person's wish.
    5. ``admits``: it proves what it has to prove, by a token or a cookie.

    No answer ever invites a page of another origin.
    """

    authorities: frozenset[str]
    offers: Check
    admits: Check | None = None
    scheme: str = "http"
    browsers: bool = False
    entrance: str = ""

    @property
    def origins(self) -> frozenset[str]:
        """The origins of our own pages."""
        return frozenset(f"{self.scheme}://{authority}" for authority in self.authorities)

    def refusal(self, scope: Scope) -> Response | None:
        """Why a request is not let through; None where it is."""
        headers = Headers(scope=scope)
        if refused := self.offers(scope, headers):
            return refused
        if not self._is_meant_for_us(headers):
            return PlainTextResponse("This is not the address of this server.", 421)
        if not self._is_sent_by_no_other_page(scope, headers):
            return PlainTextResponse("Pages of other origins have no business here.", 403)
        return self.admits(scope, headers) if self.admits else None

    def _is_meant_for_us(self, headers: Headers) -> bool:
        # A name that somebody made point at this machine must not reach what is served here (DNS rebinding).
        given = [host.lower() for host in headers.getlist("host")]
        return len(given) == 1 and given[0] in self.authorities

    def _is_sent_by_no_other_page(self, scope: Scope, headers: Headers) -> bool:
        origins = [origin.lower() for origin in headers.getlist("origin")]
        if len(origins) > 1 or not self.origins.issuperset(origins):
            return False
        if self.browsers and scope["method"] == "POST" and not origins:
            return False
        if self.entrance and scope["method"] == "GET" and scope["path"].startswith(self.entrance):
            return not any("prefetch" in headers.get(name, "") for name in ("sec-purpose", "purpose"))
        return all(site in ("same-origin", "none") for site in headers.getlist("sec-fetch-site"))


def guarded(app: ASGIApp, gate: Gate, answer_headers: Mapping[str, str]) -> ASGIApp:
    """Let nothing through to ``app`` that the gate refuses, and nothing out without ``answer_headers``."""

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in answer_headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await (gate.refusal(scope) or app)(scope, receive, send_sealed)

    return guard


def holds_token(headers: Headers, token: str) -> bool:
    """Say whether a request shows this token as its bearer's, once, in a time that tells nothing of it."""
    given = headers.getlist("authorization")
    if len(given) != 1:
        return False
    scheme, _, shown = given[0].partition(" ")
    return scheme.lower() == "bearer" and is_same_secret(shown.strip(), token)


def is_same_secret(given: str, secret: str) -> bool:
    """Compare in a time that tells nothing of the secret; any text may be given, half a character included."""
    return compare_digest(given.encode("utf-8", "surrogatepass"), secret.encode())
