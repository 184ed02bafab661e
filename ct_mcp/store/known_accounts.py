"""What accounts there are, kept over restarts, so that a first exit need not wait for a list of them.

Only what does not change from day to day: name, kind, how it is shown, its currency. Neither figures nor a connection
are kept, and what was not read for days is not believed. It stands alone, since nobody is told of it and nothing is
journalled.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from ct_mcp.domain.account import Account, AccountKind
from ct_mcp.store.codec import time_to_text
from ct_mcp.store.sql import SqlConnection

BELIEVED_FOR = timedelta(days=4)
"""Over a long weekend."""

_KEEP = """
INSERT INTO known_accounts VALUES (our_service(), ?, ?, ?, ?, ?, ?) ON CONFLICT (service, account) DO UPDATE SET
kind = excluded.kind, provider = excluded.provider, display_name = excluded.display_name, currency = excluded.currency,
read_at = excluded.read_at
"""
_KNOWN = """
SELECT account, kind, provider, display_name, currency FROM known_accounts
WHERE service = our_service() AND read_at BETWEEN ? AND ? ORDER BY account
"""


def keep_accounts(connection: SqlConnection, accounts: Iterable[Account], now: datetime) -> None:
    """Keep these as they were just read."""
    rows = ((a.name, a.kind, a.provider, a.display_name, a.currency, time_to_text(now)) for a in accounts)
    connection.executemany(_KEEP, rows)


def known_accounts(connection: SqlConnection, now: datetime) -> tuple[Account, ...]:
    """Give those that were read within the last days; what was read in the future is not believed either."""
    rows = connection.execute(_KNOWN, (time_to_text(now - BELIEVED_FOR), time_to_text(now)))
    return tuple(
        Account(name, AccountKind(kind), provider=provider, display_name=shown, currency=currency)
        for name, kind, provider, shown, currency in rows
    )
