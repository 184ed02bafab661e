"""Who may see what: a one-time link becomes a session in one browser, and a session is proved by its cookie.

The cookie holds for the path of its session alone. Cookies know no ports: one for the whole of loopback would be sent
to, and overwritten by, whatever else this machine serves.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import digest
from secrets import token_urlsafe

import anyio

from ct_mcp.desk.controls import Controls
from ct_mcp.desk.decisions import Decisions
from ct_mcp.desk.membership import Membership
from ct_mcp.desk.ports import Store
from ct_mcp.net.security import is_same_secret

# A page in front asks every second whether it is still true, and one behind others every five.
VISIBLE_SECONDS = 4.0
HIDDEN_SECONDS = 10.0
KEPT = timedelta(minutes=10)
"""How long what was decided stays on a page that is open."""


@dataclass
class BrowserSession:
    """One browser that came with a fresh link. ``tickets`` are those that it may see, in order; None may see all.

    ``shown_at`` says when it was first shown each ticket, ``wrong_texts`` how often it typed a wrong phrase for it.
    ``heard_at`` says when its page last asked for anything, ``hidden`` whether it lay behind others then.
    """

    tickets: dict[str, None] | None
    heard_at: datetime
    hidden: bool = False
    sid: str = field(default_factory=lambda: token_urlsafe(16))
    cookie: str = field(default_factory=lambda: token_urlsafe(32))
    csrf: str = field(default_factory=lambda: token_urlsafe(32))
    shown_at: dict[str, datetime] = field(default_factory=dict)
    wrong_texts: dict[str, int] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Everything of this session lies beneath it."""
        return f"/s/{self.sid}"

    @property
    def sees_all(self) -> bool:
        """Whether it may see the whole console, and not one ticket alone."""
        return self.tickets is None

    @property
    def patience_seconds(self) -> float:
        """How long a page like this may be silent and is open all the same."""
        return HIDDEN_SECONDS if self.hidden else VISIBLE_SECONDS

    def may_see(self, ticket_id: str) -> bool:
        """Whether this ticket may be shown to it."""
        return self.tickets is None or ticket_id in self.tickets

    def csrf_of(self, ticket_id: str) -> str:
        """Make the token of the forms that decide one ticket: it decides no other."""
        return digest(self.csrf.encode(), ticket_id.encode(), "sha256").hex()

    def path_of(self, ticket_id: str) -> str:
        """Where the page of a ticket lies."""
        return f"{self.path}/ticket/{ticket_id}"

    def is_proved_by(self, csrf: str, ticket_id: str | None = None) -> bool:
        """Say whether this text stood in a form that was made for this session, and for this ticket if it names one."""
        return is_same_secret(csrf, self.csrf if ticket_id is None else self.csrf_of(ticket_id))


@dataclass
class OneTimeLink:
    """A link that was given out: until when it opens something, and the session that it became."""

    ticket_id: str | None
    until: datetime
    session: BrowserSession | None = None
    replayed: bool = False
    has_come: anyio.Event = field(default_factory=anyio.Event)


class SessionStore:
    """The one-time links that were given out, and the sessions that came of them, in memory alone."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._links: dict[str, OneTimeLink] = {}
        self._sessions: dict[str, BrowserSession] = {}
        self._asked: dict[str, datetime] = {}
        self._seen: defaultdict[str, anyio.Event] = defaultdict(anyio.Event)

    def issue(self, ticket_id: str | None, until: datetime) -> str:
        """Make the token of a link that opens one ticket, or everything, once."""
        token = token_urlsafe(32)
        self._links[_digest(token)] = OneTimeLink(ticket_id, until)
        return token

    def enter(self, token: str) -> OneTimeLink | None:
        """Spend a token. A second use ends what the first one began: nobody can tell which of the two was the person.

        None is a token that was never given out, or came too late. ``replayed`` says that it was spent before.
        """
        link = self._links.get(_digest(token))
        if link is None or (link.session is None and self._clock() >= link.until):
            return None
        if link.session is None:
            link.session = BrowserSession(self._tickets_of(link), self._clock())
            self._sessions[link.session.sid] = link.session
            link.has_come.set()
            for ticket_id in link.session.tickets or ():
                self._seen[ticket_id].set()
        else:
            link.replayed = True
            self._sessions.pop(link.session.sid, None)
        return link

    def has_come(self, token: str) -> anyio.Event:
        """Give the event of a browser that comes with this token, which was issued here."""
        return self._links[_digest(token)].has_come

    def _tickets_of(self, link: OneTimeLink) -> dict[str, None] | None:
        """The one that the link was made for, and what else is asked by now."""
        if link.ticket_id is None:
            return None
        waiting = (asked for asked, until in self._asked.items() if self._clock() < until)
        return dict.fromkeys((*waiting, link.ticket_id))

    @property
    def asked(self) -> frozenset[str]:
        """The questions that were given to pages."""
        return frozenset(self._asked)

    def ask(self, ticket_id: str, until: datetime) -> float:
        """Give a question to the pages that are open, and to those on their way.

        Says how long to wait until the person has one of them in front; 0 where none is open.
        """
        now, patience = self._clock(), 0.0
        self._forget(now - KEPT)
        self._asked[ticket_id] = until
        for session in self._sessions.values():
            silent = (now - session.heard_at).total_seconds()
            if session.tickets is not None and silent < session.patience_seconds:
                session.tickets[ticket_id] = None
                patience = max(patience, session.patience_seconds)
        return patience

    def _forget(self, before: datetime) -> None:
        """Let go of what expired before this, so that a page does not grow for ever."""
        for ticket_id in [asked for asked, until in self._asked.items() if until < before]:
            del self._asked[ticket_id]
            self._seen.pop(ticket_id, None)
            for session in self._sessions.values():
                (session.tickets or {}).pop(ticket_id, None)
                session.shown_at.pop(ticket_id, None)

    def heard_from(self, session: BrowserSession, *, hidden: bool) -> None:
        """Note that a page asked for something; what a page in front shows, the person has before them."""
        session.heard_at, session.hidden = self._clock(), hidden
        for ticket_id in () if hidden else session.shown_at:
            self._seen[ticket_id].set()

    def seen(self, ticket_id: str) -> anyio.Event:
        """Give the event of a person who has this question before them, in whichever page."""
        return self._seen[ticket_id]

    def session(self, sid: str, cookie: str) -> BrowserSession | None:
        """Find the session, if this cookie proves it."""
        found = self._sessions.get(sid)
        return found if found is not None and is_same_secret(cookie, found.cookie) else None


def _digest(token: str) -> str:
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class AppState:
    """What every page works with."""

    store: Store
    decisions: Decisions
    controls: Controls
    sessions: SessionStore
    clock: Callable[[], datetime]
    team: Membership


@dataclass(frozen=True, slots=True)
class PageRequest:
    """One request of a known browser: what its path and query name, and the form that it posted."""

    session: BrowserSession
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
