"""What the model is given, counted in o200k tokens: the list of tools, and 120 five-minute bars."""

import json
from pathlib import Path
from typing import Any

from bpe_openai import get_encoding
from calls import unmetered
from figures import Figure
from upstream import Upstream

_O200K = get_encoding("o200k_base")
_BARS = {"instrument": "MES", "period": "5 minute", "count": 120}


def tokens(text: str) -> int:
    """How many tokens a text costs."""
    return len(_O200K.encode_ordinary(text))


def of_tools(tools: list[dict[str, Any]]) -> list[Figure]:
    """All tools together, and each by itself: name, description and input schema as compact JSON."""
    each = {tool["name"]: tokens(_compact(_visible(tool))) for tool in tools}
    total = sum(each.values())
    name = f"visible tokens of the {len(tools)} default tools"
    rows = [
        Figure(name, total, "tokens", 4500.0, f"{total / len(tools):.0f} a tool, 150 at most; the target is for 30")
    ]
    return rows + [Figure(f"  {name}", cost, "tokens") for name, cost in sorted(each.items(), key=lambda one: -one[1])]


def of_bars(tools: list[dict[str, Any]], home: Path) -> list[Figure]:
    """120 five-minute bars, which come in text alone."""
    name = "tokens of 120 five-minute bars"
    if "get_bars" not in {tool["name"] for tool in tools}:
        return [Figure(name, None, "tokens", 2700.0, "get_bars is not there yet")]
    with Upstream(home) as upstream, unmetered(upstream, home) as server:
        server.initialize()
        answer, seconds = server.call("get_bars", **_BARS)
    text = "".join(block["text"] for block in answer["content"])
    detail = f"{seconds * 1000:.0f} ms for the first call"
    return [Figure(name, tokens(text), "tokens", 2700.0, detail)]


def _visible(tool: dict[str, Any]) -> dict[str, Any]:
    return {key: tool[key] for key in ("name", "description", "inputSchema")}


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
