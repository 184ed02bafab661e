"""One answer and its rows, read strictly: what is missing, contradictory or of another account is a `BadReply`.

Their shapes differ (bare, wrapped in a name, wrapped in ``data``), so both are taken; but an answer that neither claims
success nor holds the rows that were asked for proves nothing, and never counts as empty.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Never

from ct_mcp.crosstrade.wire_values import epoch_from, money_from, price_from, time_from, whole_from
from ct_mcp.crosstrade.words import cleaned, quoted
from ct_mcp.domain.instrument import Instrument, parse_dated
from ct_mcp.errors import BadReply, BadRequest


@dataclass(frozen=True, slots=True)
class Row:
    """One JSON object, with what to call it when something in it is wrong."""

    what: str
    values: Mapping[str, object]
    today: date

    def text(self, *keys: str) -> str:
        """The first of these keys that holds text; a number counts, since some ids are numeric."""
        return self.text_or_none(*keys) or self.refuse(f"{keys[0]!r} is missing")

    def text_or_none(self, *keys: str) -> str | None:
        for key in keys:
            value = self.values.get(key)
            if isinstance(value, str) and value.strip():
                return value
            if isinstance(value, int) and not isinstance(value, bool):
                return str(value)
        return None

    def label(self, key: str) -> str | None:
        """Text that is only shown, made harmless."""
        value = self.text_or_none(key)
        return None if value is None else cleaned(value, longest=80)

    def whole(self, key: str) -> int:
        """A count, which is never negative."""
        number = whole_from(self.values.get(key))
        return number if number is not None and number >= 0 else self.refuse(f"{key!r} is no count")

    def price(self, key: str, tick_size: Decimal | None = None) -> Decimal:
        number = price_from(self.values.get(key), tick_size)
        return number if number is not None else self.refuse(f"{key!r} is no price")

    def price_or_none(self, key: str, tick_size: Decimal | None = None) -> Decimal | None:
        return price_from(self.values.get(key), tick_size)

    def money(self, key: str) -> Decimal | None:
        return money_from(self.values.get(key))

    def flag(self, key: str) -> bool | None:
        value = self.values.get(key)
        return value if isinstance(value, bool) else None

    def at(self, epoch_key: str, time_key: str) -> datetime | None:
        """The epoch where there is one, since their text often lacks its zone."""
        return epoch_from(self.values.get(epoch_key)) or time_from(self.values.get(time_key))

    def utc(self, key: str) -> datetime | None:
        """A time that is UTC by its name."""
        return time_from(self.values.get(key), is_utc=True)

    def sub(self, key: str) -> "Row":
        """A nested object; an empty one where there is none."""
        value = self.values.get(key)
        return Row(f"{self.what}, {key!r}", value if isinstance(value, dict) else {}, self.today)

    def rows(self, key: str) -> tuple["Row", ...]:
        """The objects in a nested list; none where there is no list."""
        value = self.values.get(key)
        return rows_of(value, f"{self.what}, {key!r}", self.today) if isinstance(value, list) else ()

    def instrument(self) -> Instrument:
        """The dated future that the row is about.

        A row about anything else (a stock, a currency) makes the whole answer unreadable on purpose: it cannot be
        expressed here, and leaving it out would hide what the account holds.
        """
        name = self.text("instrument")
        try:
            return parse_dated(name, self.today)
        except BadRequest:
            return self.refuse(f"instrument {quoted(name[:40])} is no dated future, and leaving it out would hide it")

    def account(self, asked: str | None = None) -> str:
        """Their spelling of the account, which must be the one that was asked about."""
        named = self.text_or_none("account")
        if named is None and asked is not None:
            return asked
        if named is None:
            return self.refuse("'account' is missing")
        if asked is not None and named.casefold() != asked.casefold():
            return self.refuse(f"it is of account {quoted(named[:40])}, not of the one that was asked about")
        return named

    def refuse(self, why: str) -> Never:
        """Raise for something that cannot be trusted."""
        raise BadReply(f"{self.what} cannot be trusted: {why}")


@dataclass(frozen=True, slots=True)
class Reply:
    """The JSON of one answer that did not say no."""

    rpc: str
    value: object
    now: datetime
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def today(self) -> date:
        return self.now.astimezone(UTC).date()

    @property
    def top(self) -> Row:
        """The outermost object; an empty one where the answer is a list."""
        return Row(self.rpc, self.value if isinstance(self.value, dict) else {}, self.today)

    @property
    def succeeded(self) -> bool:
        return self.top.values.get("success") is True

    @property
    def warning(self) -> str | None:
        """Their remark beside success, made harmless."""
        said = self.top.values.get("warning")
        return cleaned(said, self.secrets) if isinstance(said, str) and said.strip() else None

    def rows(self, key: str) -> tuple[Row, ...]:
        """The rows of a list: bare, under its name, or under ``data``. None at all only where success is claimed."""
        return rows_of(self._proven(key), f"{self.rpc}, {key!r}", self.today)

    def texts(self, key: str) -> tuple[str, ...]:
        """The texts of a list, which is proven like one of rows."""
        listed = self._proven(key)
        texts = tuple(text for text in listed if isinstance(text, str) and text.strip())
        return texts if len(texts) == len(listed) else self.top.refuse(f"{key!r} holds something that is no name")

    def _proven(self, key: str) -> list[object]:
        listed = self._listed(key)
        if listed is None:
            self.top.refuse(f"it holds no {key!r}")
        if not listed and not self.succeeded:
            self.top.refuse(f"{key!r} is empty and success is not claimed, which does not mean that there are none")
        count = whole_from(self.top.values.get("count"))
        if count is not None and count > len(listed):
            self.top.refuse(f"it counts {count} {key} and holds {len(listed)}")
        return listed

    def single(self, key: str, proof: str, *or_else: str) -> Row:
        """One object: flat, under its name, or under ``data``; recognised by a key that it always has."""
        for values in (
            self.value,
            self.top.values.get(key),
            self.top.values.get("data"),
            self.top.sub("data").values.get(key),
        ):
            if isinstance(values, dict) and any(values.get(name) not in (None, "") for name in (proof, *or_else)):
                return Row(self.rpc, values, self.today)
        return self.top.refuse(f"it holds no {proof!r}")

    def _listed(self, key: str) -> list[object] | None:
        data = self.top.values.get("data")
        places = (self.value, self.top.values.get(key), data, data.get(key) if isinstance(data, dict) else None)
        return next((place for place in places if isinstance(place, list)), None)


def rows_of(values: list[object], what: str, today: date) -> tuple[Row, ...]:
    """Make rows of a list that must hold nothing but objects."""
    return tuple(_row(value, f"{what} row {number}", today) for number, value in enumerate(values, 1))


def _row(value: object, what: str, today: date) -> Row:
    if not isinstance(value, dict):
        raise BadReply(f"{what} cannot be trusted: it is no object")
    return Row(what, value, today)
