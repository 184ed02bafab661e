"""The resources that change, and which word of the live view concerns which of them."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from mcp.shared.uri_template import UriTemplate

from ct_mcp.crosstrade.protocol import Doubt, Event
from ct_mcp.crosstrade.wire_stream import AccountNews, PnlNews, Tick
from ct_mcp.domain.instrument import Instrument


class Kind(StrEnum):
    """What can be watched, each with its address."""

    ACCOUNTS = "crosstrade://accounts"
    SNAPSHOT = "crosstrade://accounts/{account}/snapshot"
    QUOTE = "crosstrade://quotes/{instrument}"
    JOURNAL = "crosstrade://journal"


@dataclass(frozen=True, slots=True)
class Topic:
    """One thing that is watched; the name of an account in small letters, that of an instrument as it was asked for."""

    kind: Kind
    name: str = ""


JOURNAL = Topic(Kind.JOURNAL)
_TEMPLATES = {kind: UriTemplate.parse(kind) for kind in Kind}


def snapshot_of(account: str) -> Topic:
    """The snapshot of this account, whatever the case of its letters."""
    return Topic(Kind.SNAPSHOT, account.casefold())


def topic_of(uri: str) -> Topic | None:
    """What stands behind this address, if it is one of those that change; names are still as they were written."""
    for kind, template in _TEMPLATES.items():
        if (found := template.match(uri)) is not None:
            return Topic(kind, "".join(map(str, found.values())))
    return None


def concerns(event: Event, topic: Topic, stands_for: Callable[[str], Instrument | None]) -> bool:
    """Whether what happened may have changed this; ``stands_for`` tells the contract behind a name."""
    match event:
        case AccountNews(account=str(name)):
            return topic.kind is Kind.ACCOUNTS or topic == snapshot_of(name)
        case AccountNews() | Doubt():
            return topic.kind in (Kind.ACCOUNTS, Kind.SNAPSHOT)
        case PnlNews():
            return topic == snapshot_of(event.account)
        case Tick():  # pragma: no branch  # the set is closed
            return topic.kind is Kind.QUOTE and stands_for(topic.name) == event.instrument
