"""The steps of the demo, each with what makes it true: whatever is shown was read back from the server."""

from collections.abc import Mapping, Sequence
from typing import Any

from ct_mcp.cli.demo_tour import CALL_SECONDS, ToolAnswer, Tour, TourMismatch, TourStep

_ACCOUNT = {"account": "Sim101"}
_CONTRACTS = 2
_EXITS = {"stop_loss": "10 points", "take_profit": "20 points"}
_TOO_MANY = 50
_BARS = 24
_ENTRIES = 40

# What the journal has to tell of each ticket, oldest first. A flatten may cancel what it left, with another intent.
_STORIES: Mapping[str, Sequence[tuple[str, ...]]] = {
    "order": [("proposed", "approved", "intent", "accepted", "answered")],
    "flatten": [
        ("proposed", "intent", "accepted", "answered"),
        ("proposed", "intent", "accepted", "intent", "accepted", "answered"),
    ],
}


def _order(contracts: int) -> Mapping[str, Any]:
    return {**_ACCOUNT, "instrument": "MES", "action": "BUY", "quantity": contracts, "order_type": "MARKET"}


async def connect(tour: Tour) -> str:
    """Talk to the server, which lists its tools."""
    listed = [tool.name for tool in (await tour.client.list_tools()).tools]
    tour.screen.quote([", ".join(listed)], rows=len(listed) or 1)
    server = tour.client.server_info
    if not listed or server is None or server.name != "ct-mcp":
        raise TourMismatch(f"expected ct-mcp and its tools, found {server} and {listed}.")
    return f"{server.name} {server.version} lists {len(listed)} tools; protocol {tour.client.protocol_version}"


async def account(tour: Tour) -> str:
    """Read the account, which must be a simulated one."""
    answer = await tour.ask("get_account", _ACCOUNT)
    answer.expect(**_ACCOUNT, kind="simulated", may_trade=True)
    return "a simulated account: no real money can move"


async def quotes(tour: Tour) -> str:
    """Read a quote, which must be fresh."""
    answer = await tour.ask("get_quotes", {"instruments": ["MES"]}, rows=3)
    rows = answer.facts["quotes"]
    if len(rows) != 1 or rows[0]["stale"] or None in (rows[0]["bid"], rows[0]["ask"], rows[0]["last"]):
        raise TourMismatch(f"expected one fresh quote, found {answer.text}")
    return f"fresh: {rows[0]['instrument']} {rows[0]['last']:g}, {rows[0]['age_seconds']:g} s old"


async def bars(tour: Tour) -> str:
    """Read as many bars as were asked for, up to now."""
    answer = await tour.ask("get_bars", {"instrument": "MES", "period": "5 minute", "count": _BARS})
    if f"{_BARS} bars of 5 minute" not in answer.text:
        raise TourMismatch(f"expected {_BARS} bars, found {answer.text}")
    return f"{_BARS} bars, and the figures that a model should not have to compute"


async def denied(tour: Tour) -> str:
    """Ask for too many contracts, which must be denied with every reason, nothing being sent."""
    answer = await tour.ask("place_order", _order(_TOO_MANY))
    answer.expect(status="denied", sent=False)
    reasons = answer.facts["reasons"]
    if not any(reason.startswith("QUANTITY_EXCEEDS_MAXIMUM") for reason in reasons):
        raise TourMismatch(f"expected a reason for the quantity, found {reasons}.")
    return f"denied, for {len(reasons)} reasons; nothing was sent"


async def approved(tour: Tour) -> str:
    """Propose an order within the limits, which must be sent after the person's yes, and fill."""
    answer = await _proposed(tour)
    if answer.facts["sent"] is False and tour.answerer.person and not tour.answerer.silent:
        tour.screen.bad("That was no yes: nothing was sent. The assistant proposes it once more:")
        answer = await _proposed(tour)
    answer.expect(status="filled", sent=True, filled_quantity=_CONTRACTS, position_after=_CONTRACTS)
    tour.tickets["order"] = answer.facts["ticket_id"]
    legs = [line for line in answer.facts["reasons"] if line.startswith("protected ")]
    if not legs:
        raise TourMismatch(f"expected a stop and a target behind the fill, found {answer.text}")
    return f"sent once, filled {_CONTRACTS} at {answer.facts['average_fill_price']:g}, as read back; {legs[0]}"


async def _proposed(tour: Tour) -> ToolAnswer:
    person = tour.answerer.person
    patience = CALL_SECONDS + (person.patience_seconds if person else 0.0)
    return await tour.ask("place_order", {**_order(_CONTRACTS), **_EXITS}, patience=patience)


async def held(tour: Tour) -> str:
    """Read the position, which must be what was filled."""
    answer = await tour.ask("get_positions", _ACCOUNT)
    found = [(row["direction"], row["quantity"], row["instrument"].split()[0]) for row in answer.facts["positions"]]
    if found != [("LONG", _CONTRACTS, "MES")]:
        raise TourMismatch(f"expected one position, LONG {_CONTRACTS} MES, found {found}.")
    (row,) = answer.facts["positions"]
    if row["contracts_without_stop"]:
        raise TourMismatch(f"expected a stop behind every contract, found {answer.text}")
    return "the position agrees with the fill, and its stop and target stand"


async def flat(tour: Tour) -> str:
    """Flatten, after which nothing may be held and no order be left, as read and not assumed."""
    answer = await tour.ask("flatten", _ACCOUNT)
    answer.expect(status="flat", position_after=0)
    tour.tickets["flatten"] = answer.facts["ticket_id"]
    (await tour.ask("get_positions", _ACCOUNT)).expect(positions=[])
    (await tour.ask("get_orders", _ACCOUNT)).expect(orders=[])
    return "flat: no position is open, and no order works"


async def journal(tour: Tour) -> str:
    """Read the journal, which must tell of the denial, the whole life of the order and the exit."""
    answer = await tour.ask("get_journal", {"limit": _ENTRIES}, rows=1)
    oldest_first = list(reversed(answer.facts["entries"]))
    if not any(entry["kind"] == "denied" and f"BUY {_TOO_MANY} " in entry["summary"] for entry in oldest_first):
        raise TourMismatch("expected the denial in the journal; it is not there.")
    for what, stories in _STORIES.items():
        kinds = [entry["kind"] for entry in oldest_first if entry["ticket_id"] == tour.tickets[what]]
        if tuple(kind for kind in kinds if kind in stories[0]) not in stories:
            expected = f"expected the journal to say {', '.join(stories[0])} of the {what}"
            raise TourMismatch(f"{expected}, found {', '.join(kinds)}.")
    return f"the denial, then of the order: {', '.join(_STORIES['order'][0])}; then the way out"


STEPS = (
    TourStep("Connect", "Any MCP client can do this: the demo uses the official one, over stdio.", connect),
    TourStep("An account", "Reading changes nothing, so it asks nobody.", account),
    TourStep("A quote", "Every number says how old it is; on a stale quote no market order is sent.", quotes),
    TourStep("Bars", "A compact table, since what an assistant reads costs tokens on every turn.", bars),
    TourStep("An order that is too big", "Hard limits stand beneath every approval: no yes can pass them.", denied),
    TourStep(
        "An order with its stop and target, and your yes",
        "The assistant cannot give it: the text to type stands in the question.",
        approved,
    ),
    TourStep("What is held now", "Filled means that the account says so, not that it was sent.", held),
    TourStep("Flat", "No limit hinders leaving, and flat is said only when it was read.", flat),
    TourStep("The journal", "Asked, decided, sent, answered: each entry is chained to the one before.", journal),
)
