"""Who may see what: a one-time address becomes a session in one browser, and a session is proved by its cookie.

The cookie holds for the path of its session alone. Cookies know no ports: one for the whole of loopback would be sent
to, and overwritten by, whatever else this machine serves.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from hmac import compare_digest
from secrets import token_urlsafe

import anyio


@dataclass
class Session:
    """One browser that came with a fresh address. ``ticket_id`` is the one ticket it may see; None may see all."""

    ticket_id: str | None
    sid: str = field(default_factory=lambda: token_urlsafe(16))
    cookie: str = field(default_factory=lambda: token_urlsafe(32))
    csrf: str = field(default_factory=lambda: token_urlsafe(32))
    shown_at: dict[str, datetime] = field(default_factory=dict)
    wrong_texts: dict[str, int] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Everything of this session lies beneath it."""
        return f"/s/{self.sid}"

    def is_proved_by(self, csrf: str) -> bool:
        """Say whether this text stood in a form that was made for this session."""
        return compare_digest(csrf.encode(), self.csrf.encode())


@dataclass
class Address:
    """A one-time address: until when it opens something, and the session that it became."""

    ticket_id: str | None
    until: datetime
    session: Session | None = None
    replayed: bool = False
    has_come: anyio.Event = field(default_factory=anyio.Event)


class Keys:
    """The one-time addresses that were given out, and the sessions that came of them. Nothing of it is stored."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._addresses: dict[str, Address] = {}
        self._sessions: dict[str, Session] = {}

    def issue(self, ticket_id: str | None, until: datetime) -> str:
        """A fresh token that opens one ticket, or everything, once."""
        token = token_urlsafe(32)
        self._addresses[_digest(token)] = Address(ticket_id, until)
        return token

    def enter(self, token: str) -> Address | None:
        """Spend a token. A second use ends what the first one began: nobody can tell which of the two was the person.

        None is a token that was never given out, or came too late. ``replayed`` says that it was spent before.
        """
        address = self._addresses.get(_digest(token))
        if address is None or (address.session is None and self._clock() >= address.until):
            return None
        if address.session is None:
            address.session = Session(address.ticket_id)
            self._sessions[address.session.sid] = address.session
            address.has_come.set()
        else:
            address.replayed = True
            self._sessions.pop(address.session.sid, None)
        return address

    def has_come(self, token: str) -> anyio.Event:
        """The moment when a browser comes with this token, which was issued here."""
        return self._addresses[_digest(token)].has_come

    def session(self, sid: str, cookie: str) -> Session | None:
        """The session, if this cookie proves it."""
        found = self._sessions.get(sid)
        return found if found is not None and compare_digest(cookie.encode(), found.cookie.encode()) else None


def _digest(token: str) -> str:
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
