"""What a client's own search of tools finds for the words that traders use, where the model is shown names alone.

Each request is searched for once, as a model would, and what comes back is read for the names of tools.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.contract.real_clients.clients import Client
from tests.contract.real_clients.journey import Talk, talk
from tests.contract.real_clients.script import LAST_WORDS, PROMPT, SEARCHES, Asked, Call, Say, Step

WISHES = {
    "buy futures contract": "place_order",
    "ninjatrader": "get_status",
    "candles chart": "get_bars",
    "current price of MES": "get_quotes",
    "profit and loss today": "get_accounts",
    "stop loss": "protect_position",
    "trading status": "get_status",
    "cancel my orders": "cancel_orders",
    "close my position": "close_position",
    "how many contracts can I buy": "preview_order",
    "account balance margin": "get_account",
    "did my order fill": "get_order",
    "flatten everything": "flatten_everything",
    "is the market open": "get_session",
    "what do I lose if stopped": "get_positions",
    "reverse position long short": "reverse_position",
}
"""What a trader may say, and the tool that it is about."""
_NAMED = re.compile(r'"(?:tool_name|name)"\s*:\s*"([\w-]+)"')


def searching(asked: Asked) -> Step:
    """Search for one wish after the other."""
    search = next((tool for tool in asked.tools if tool.name in SEARCHES), None)
    if search is None:
        return Say(LAST_WORDS) if PROMPT in asked.text and asked.tools else Say("Order")
    done = sum(answer.tool == search.name for answer in asked.answers)
    return Call(search, {"query": list(WISHES)[done]}) if done < len(WISHES) else Say(LAST_WORDS)


def searched(client: Client, program: Path, ct_mcp: Path, folder: Path) -> Iterator[tuple[str, str, str, str]]:
    """Give for each wish the tool that is meant, its place among what was found, and all that was found."""
    said = talk(client, program, ct_mcp, folder, searching)
    for (wish, meant), found in zip(WISHES.items(), _found(said), strict=False):
        place = str(found.index(meant) + 1) if meant in found else "**no**"
        yield wish, meant, place, ", ".join(found) or "nothing"


def _found(said: Talk) -> Iterator[list[str]]:
    """The tools that each search gave, in its order; another server's in brackets."""
    for answer in said.heard.answers:
        if answer.tool in SEARCHES:
            names = dict.fromkeys(_NAMED.findall(answer.text.replace('\\"', '"')))
            yield [name.rpartition("__")[2] if "ct-mcp" in name else f"[{name}]" for name in names]
