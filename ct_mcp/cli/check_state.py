"""The store that machines share, as ``ct-mcp check`` looks at it: reached, set up, and by the same clock.

It stands alone, since only settings that name one need it, and it loads psycopg.
"""

from ct_mcp.cli.check_report import LinkFinding
from ct_mcp.cli.runtime import utc_now
from ct_mcp.config.settings import Settings
from ct_mcp.errors import StoreFailed
from ct_mcp.live.cache import LinkState
from ct_mcp.server.links import Link
from ct_mcp.text import command

STATE = "shared store"


async def state_findings(settings: Settings) -> tuple[LinkFinding, ...]:
    """Look at it as a server does, with a write that changes nothing; nothing where there is none."""
    if settings.state is None:
        return ()
    from ct_mcp.store.postgres import PostgresStore

    store = PostgresStore(settings.state, clock=utc_now)
    try:
        await store.release_lease("check", "nobody")
    except StoreFailed as failure:
        step = f"{failure.advice}; until then only exits go on. Then run {command('check')} again"
        return (LinkFinding(Link(STATE, LinkState.BROKEN, failure.what), step),)
    finally:
        await store.close()
    proved = "" if settings.state.is_verified else "; whose it is was not verified"
    return (LinkFinding(Link(STATE, LinkState.OK, f"{settings.state}{proved}")),)
