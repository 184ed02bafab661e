"""Documented payloads, and the replies that carry them."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ct_mcp.crosstrade.schemas.reply import Reply
from ct_mcp.crosstrade.schemas.values import parse_json

_DATA = Path(__file__).parents[2] / "data"


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 3, 18, 21, 0, tzinfo=UTC)


@pytest.fixture
def payload() -> Callable[[str], dict[str, object]]:
    """The JSON of one documented answer, fresh for each call."""

    def load(name: str) -> dict[str, object]:
        value = parse_json((_DATA / f"{name}.json").read_text(encoding="utf-8"))
        assert isinstance(value, dict)
        return value

    return load


@pytest.fixture
def reply(now: datetime, payload: Callable[[str], dict[str, object]]) -> Callable[..., Reply]:
    """A documented answer as the readers get it, with some of its outermost fields changed; None drops one."""

    def of(name: str, **changes: object) -> Reply:
        values = {**payload(name), **changes}
        return Reply(name.partition(".")[0], {key: value for key, value in values.items() if value is not None}, now)

    return of
