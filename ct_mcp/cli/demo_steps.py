"""The steps of the tour, each with what makes it true."""

from collections.abc import Mapping
from typing import Any

from ct_mcp.cli.tour import CALL_SECONDS, Differs, Step, Told, Tour

_ACCOUNT = {"account": "Sim101"}
_CONTRACTS = 2
_TOO_MANY = 50
_BARS = 24
_BAR_SECONDS = 300.0

_ENTRIES = 20

# What the journal has to tell of each ticket, oldest first.
_STORIES = {
    "order": ("proposed", "approved", "intent", "accepted", "answered"),
    "flatten": ("proposed", "intent", "accepted", "answered"),
}


def _order(contracts: int) -> Mapping[str, Any]:
    return {**_ACCOUNT, "instrument": "MES", "action": "BUY", "quantity": contracts, "order_type": "MARKET"}


async def connect(tour: Tour) -> str:
    """A client of the protocol talks to the server, which lists its tools."""
    listed = [tool.name for tool in (await tour.client.list_tools()).tools]
    tour.screen.quote([", ".join(listed)], rows=len(listed) or 1)
    server = tour.client.server_info
    if not listed or server is None or server.name != "ct-mcp":
        raise Differs(f"expected ct-mcp and its tools, found {server} and {listed}.")
    return f"{server.name} {server.version} lists {len(listed)} tools; protocol {tour.client.protocol_version}"


async def account(tour: Tour) -> str:
    """The account is read, and is a simulated one."""
    told = await tour.ask("get_account", _ACCOUNT)
    told.expect(**_ACCOUNT, kind="simulated", may_trade=True)
    return "a simulated account: no real money can move"


async def quotes(tour: Tour) -> str:
    """The quote is there, and fresh."""
    told = await tour.ask("get_quotes", {"instruments": ["MES"]}, rows=3)
    rows = told.facts["quotes"]
    if len(rows) != 1 or rows[0]["stale"] or None in (rows[0]["bid"], rows[0]["ask"], rows[0]["last"]):
        raise Differs(f"expected one fresh quote, found {told.text}")
    return f"fresh: {rows[0]['instrument']} {rows[0]['last']:g}, {rows[0]['age_seconds']:g} s old"


async def bars(tour: Tour) -> str:
    """As many bars as were asked for, up to now."""
    told = await tour.ask("get_bars", {"instrument": "MES", "period": "5 minute", "count": _BARS})
    told.expect(count=_BARS)
    if told.facts["last_bar_age_seconds"] is None or told.facts["last_bar_age_seconds"] > _BAR_SECONDS:
        raise Differs(f"expected bars up to now, found the last one at {told.facts['last_bar_at']}.")
    return f"{_BARS} bars, and the figures that a model should not have to compute"


async def denied(tour: Tour) -> str:
    """Too many contracts are refused, with every reason, and nothing is sent."""
    told = await tour.ask("place_order", _order(_TOO_MANY))
    told.expect(status="denied", sent=False)
    reasons = told.facts["reasons"]
    if not any(reason.startswith("QUANTITY_EXCEEDS_MAXIMUM") for reason in reasons):
        raise Differs(f"expected a reason for the quantity, found {reasons}.")
    return f"denied, for {len(reasons)} reasons; nothing was sent"


async def approved(tour: Tour) -> str:
    """An order within the limits becomes a ticket, is sent after the person's yes, and fills."""
    told = await _proposed(tour)
    if told.facts["sent"] is False and tour.answering.person and not tour.answering.silent:
        tour.screen.bad("That was no yes: nothing was sent. The assistant proposes it once more:")
        told = await _proposed(tour)
    told.expect(status="filled", sent=True, filled_quantity=_CONTRACTS, position_after=_CONTRACTS)
    tour.tickets["order"] = told.facts["ticket_id"]
    return f"sent once, filled {_CONTRACTS} at {told.facts['average_fill_price']:g}, as read back from the account"


async def _proposed(tour: Tour) -> Told:
    person = tour.answering.person
    patience = CALL_SECONDS + (person.patience_seconds if person else 0.0)
    return await tour.ask("place_order", _order(_CONTRACTS), patience=patience)


async def held(tour: Tour) -> str:
    """The position is what was filled."""
    told = await tour.ask("get_positions", _ACCOUNT)
    found = [(row["direction"], row["quantity"], row["instrument"].split()[0]) for row in told.facts["positions"]]
    if found != [("LONG", _CONTRACTS, "MES")]:
        raise Differs(f"expected one position, LONG {_CONTRACTS} MES, found {found}.")
    return "the position agrees with the fill"


async def flat(tour: Tour) -> str:
    """Nothing is held and no order is left, which is read and not assumed."""
    told = await tour.ask("flatten", _ACCOUNT)
    told.expect(status="flat", position_after=0)
    tour.tickets["flatten"] = told.facts["ticket_id"]
    (await tour.ask("get_positions", _ACCOUNT)).expect(positions=[])
    (await tour.ask("get_orders", _ACCOUNT)).expect(orders=[])
    return "flat: no position is open, and no order works"


async def journal(tour: Tour) -> str:
    """The denial, the whole life of the order, and the way out stand there, each in its order."""
    told = await tour.ask("get_journal", {"limit": _ENTRIES}, rows=1)
    oldest_first = list(reversed(told.facts["entries"]))
    if not any(entry["kind"] == "denied" and f"BUY {_TOO_MANY} " in entry["summary"] for entry in oldest_first):
        raise Differs("expected the denial in the journal; it is not there.")
    for what, wanted in _STORIES.items():
        kinds = [entry["kind"] for entry in oldest_first if entry["ticket_id"] == tour.tickets[what]]
        if [kind for kind in kinds if kind in wanted] != list(wanted):
            raise Differs(f"expected the journal to say {', '.join(wanted)} of the {what}, found {', '.join(kinds)}.")
    return f"the denial, then of the order: {', '.join(_STORIES['order'])}; then the way out"


STEPS = (
    Step("Connect", "Any MCP client can do this: the demo uses the official one, over stdio.", connect),
    Step("An account", "Reading changes nothing, so it asks nobody.", account),
    Step("A quote", "Every number says how old it is; on a stale quote no market order is sent.", quotes),
    Step("Bars", "A compact table, since what an assistant reads costs tokens on every turn.", bars),
    Step("An order that is too big", "Hard limits stand beneath every approval: no yes can pass them.", denied),
    Step("An order, and your yes", "The assistant cannot give it: the text to type stands in the question.", approved),
    Step("What is held now", "Filled means that the account says so, not that it was sent.", held),
    Step("Flat", "No limit hinders leaving, and flat is said only when it was read.", flat),
    Step("The journal", "Asked, decided, sent, answered: each entry is chained to the one before.", journal),
)
