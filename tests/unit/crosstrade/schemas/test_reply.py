"""One answer and its rows: what counts as evidence, and what is refused."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AliasChoices, Field

from ct_mcp.crosstrade.schemas.accounts import parse_accounts, parse_positions, parse_snapshots, parse_watermarks
from ct_mcp.crosstrade.schemas.market import parse_bars, parse_quotes, parse_session
from ct_mcp.crosstrade.schemas.orders import (
    known_orders,
    parse_acknowledgement,
    parse_asked_order,
    parse_executions,
    parse_lifecycle,
)
from ct_mcp.crosstrade.schemas.reply import KnownRows, Reply, WireModel, parse_row
from ct_mcp.crosstrade.schemas.values import (
    AskedAccount,
    Count,
    DatedInstrument,
    MaybeText,
    Price,
    RowContext,
    Text,
    parse_label,
)
from ct_mcp.domain.account import Balances
from ct_mcp.errors import BadReply, UpstreamError

NOW = datetime(2026, 3, 18, 21, 0, tzinfo=UTC)
ROW = {"name": "Sim101"}


class Named(WireModel):
    """A row with nothing but a name."""

    name: Text


class Identified(WireModel):
    """A row with an id under either of two names."""

    number: MaybeText = Field(default=None, validation_alias=AliasChoices("id", "orderId"))


def replied(value: object) -> Reply:
    return Reply("ListAccounts", value, NOW)


@pytest.mark.parametrize(
    "value",
    [
        {"success": True, "accounts": [ROW]},
        {"accounts": [ROW]},
        [ROW],
        {"data": [ROW]},
        {"data": {"accounts": [ROW]}, "success": True},
    ],
)
def test_rows_are_taken_in_every_documented_shape(value: object) -> None:
    assert [row.name for row in replied(value).rows("accounts", Named)] == ["Sim101"]


def test_an_empty_list_is_empty_only_where_success_is_claimed() -> None:
    assert replied({"success": True, "accounts": []}).rows("accounts", Named) == ()
    unmarked: list[object] = [{"accounts": []}, [], {"data": []}, {"success": None, "accounts": []}]
    for value in unmarked:
        with pytest.raises(BadReply, match="does not mean that there are none"):
            replied(value).rows("accounts", Named)


@pytest.mark.parametrize(
    "value", [{}, {"success": True}, {"success": True, "accounts": {}}, {"success": True, "rows": [ROW]}]
)
def test_success_without_the_rows_is_no_empty_answer(value: object) -> None:
    with pytest.raises(BadReply, match="holds no 'accounts'"):
        replied(value).rows("accounts", Named)


def test_names_are_listed_like_rows() -> None:
    assert replied({"success": True, "templates": ["T1", "Scalp 8/12"]}).texts("templates") == ("T1", "Scalp 8/12")
    assert replied({"success": True, "templates": []}).texts("templates") == ()
    unproven: list[object] = [
        {"templates": []},
        {"success": True},
        {"success": True, "templates": ["T1", 7]},
        ["", "T1"],
    ]
    for value in unproven:
        with pytest.raises(BadReply):
            replied(value).texts("templates")


def test_one_object_is_recognised_by_either_of_its_keys() -> None:
    class Keyed(WireModel):
        number: Text = Field(validation_alias=AliasChoices("strategyId", "id"))

    for key in ("strategyId", "id"):
        assert replied({"strategy": {key: 7}}).single("strategy", Keyed, ["strategyId", "id"]).number == "7"
    with pytest.raises(BadReply, match="holds no 'strategyId'"):
        replied({"strategy": {"name": "x"}}).single("strategy", Keyed, ["strategyId", "id"])


def test_a_list_that_counts_more_than_it_holds_is_refused() -> None:
    with pytest.raises(BadReply, match="counts 2 accounts and holds 1"):
        replied({"success": True, "accounts": [ROW], "count": 2}).rows("accounts", Named)


def test_a_row_that_is_no_object_is_named() -> None:
    with pytest.raises(BadReply, match="'accounts' row 2 cannot be trusted"):
        replied({"success": True, "accounts": [ROW, "Sim102"]}).rows("accounts", Named)


@pytest.mark.parametrize(
    "value",
    [ROW, {**ROW, "success": True}, {"account": ROW}, {"data": ROW}, {"data": {"account": ROW}}],
)
def test_one_object_is_taken_in_every_documented_shape(value: object) -> None:
    assert replied(value).single("account", Named, ["name"]).name == "Sim101"


@pytest.mark.parametrize("value", [[], [ROW], {}, {"success": True}, {"name": None}, {"account": "Sim101"}])
def test_an_object_without_its_proof_is_refused(value: object) -> None:
    with pytest.raises(BadReply, match="holds no 'name'"):
        replied(value).single("account", Named, ["name"])


@pytest.mark.parametrize("said", [None, "", "  ", 5])
def test_no_warning_is_none(said: object) -> None:
    assert replied({"success": True, "warning": said}).warning is None


def test_a_warning_is_made_harmless() -> None:
    reply = Reply("Flatten", {"success": True, "warning": "nothing\nto flatten for tok-1234"}, NOW, ("tok-1234",))
    assert reply.warning == "nothing to flatten for [hidden]"


class Everything(WireModel):
    """A field of each kind that can be refused."""

    account: AskedAccount = ""
    instrument: DatedInstrument
    quantity: Count
    price: Price


WHOLE = {"account": "Sim101", "instrument": "ES 06-26", "quantity": 1, "price": 2}


def read(asked: str | None = None, /, **changes: object) -> Everything:
    return parse_row(Everything, {**WHOLE, **changes}, "ListPositions row 1", RowContext(NOW.date(), asked))


def test_the_account_of_a_row_is_the_one_that_was_asked_about_in_their_spelling() -> None:
    assert read("sim101").account == "Sim101"
    assert read("Sim101", account=None).account == "Sim101"
    with pytest.raises(BadReply, match="not of the one that was asked about"):
        read("Sim101", account="Sim102")
    with pytest.raises(BadReply, match="'account' is missing"):
        read(account=None)


def test_an_account_that_does_not_stand_in_the_row_at_all_is_like_one_without_text() -> None:
    values = {name: value for name, value in WHOLE.items() if name != "account"}
    assert parse_row(Everything, values, "row", RowContext(NOW.date(), "Sim101")).account == "Sim101"
    with pytest.raises(BadReply, match="row cannot be trusted: 'account' is missing"):
        parse_row(Everything, values, "row", RowContext(NOW.date()))


@pytest.mark.parametrize("name", ["AAPL", "EURUSD", "ES", "ES 13-26", "", None])
def test_a_row_about_anything_but_a_dated_future_is_refused_and_not_left_out(name: object) -> None:
    with pytest.raises(BadReply, match="ListPositions row 1"):
        read(instrument=name)


@pytest.mark.parametrize("value", [-1, 1.5, "many", None, True])
def test_a_count_is_a_whole_number_and_never_negative(value: object) -> None:
    with pytest.raises(BadReply, match="'quantity' is no count"):
        read(quantity=value)


def test_a_missing_number_is_named() -> None:
    with pytest.raises(BadReply, match="'price' is no price"):
        read(price=None)
    values = {name: value for name, value in WHOLE.items() if name != "price"}
    with pytest.raises(BadReply, match="row cannot be trusted: 'price' is missing"):
        parse_row(Everything, values, "row", RowContext(NOW.date()))


def test_a_fault_within_a_nested_list_names_its_row_and_its_key() -> None:
    class Nested(WireModel):
        closed_positions: tuple[Everything, ...]

    values = {"closedPositions": [WHOLE, {**WHOLE, "quantity": "x"}]}
    with pytest.raises(BadReply, match=r"Flatten, 'closedPositions' row 2 cannot be trusted: 'quantity' is no count\."):
        parse_row(Nested, values, "Flatten", RowContext(NOW.date()))
    with pytest.raises(BadReply, match=r"Flatten, 'closedPositions' row 1 cannot be trusted: it is no object\."):
        parse_row(Nested, {"closedPositions": [7]}, "Flatten", RowContext(NOW.date()))


def test_text_is_the_first_name_that_holds_any() -> None:
    def number(**values: object) -> str | None:
        return parse_row(Identified, values, "row", RowContext(NOW.date())).number

    assert number(id=None, orderId="a") == "a"
    assert number(id=" ", orderId="a") == "a"
    assert number(id={}, orderId="a") == "a"
    assert number(id=676173541025) == "676173541025"
    assert number(id=True, orderId=" ") is None


def test_a_label_is_harmless_and_short() -> None:
    assert parse_label("a\u202eb\n" + "x" * 100) == "ab " + "x" * 76 + "…"


def test_a_nested_object_that_is_missing_is_an_empty_one() -> None:
    odd: tuple[object, ...] = (3, None, [], "x")
    for item in odd:
        (account,) = parse_accounts(replied({"accounts": [{**ROW, "item": item}]}))
        assert account.balances == Balances()
    (snapshot,) = parse_snapshots(replied({"accounts": [{**ROW, "positions": 3}]}))
    assert snapshot.positions is None  # it names no list, which is not that it names none


KEYS = st.sampled_from([
    "success", "accounts", "positions", "orders", "executions", "events", "bars", "data", "account", "name",
    "item", "instrument", "quantity", "marketPosition", "averagePrice", "id", "orderId", "orderIds",
    "orderAction", "orderType", "orderState", "filled", "price", "status", "session", "tickSize",
    "pointValue", "count", "type", "epoch", "error", "closedPositions", "time", "volume", "open", "close",
    "watermarks", "stats", "userData", "expiration",
])  # fmt: skip
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(["Sim101", "ES 06-26", "Long", "Flat", "Buy", "Market", "Working", "snapshot", 0.25, 1, 10**30])
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=12), max_leaves=30
)
READERS = (
    parse_accounts,
    parse_snapshots,
    lambda reply: parse_asked_order(reply, "Sim101"),
    lambda reply: parse_watermarks(reply, "Sim101"),
    lambda reply: parse_positions(reply, None),
    lambda reply: known_orders().of(reply, "Sim101"),
    lambda reply: parse_executions(reply, "Sim101"),
    lambda reply: parse_lifecycle(reply, "Sim101"),
    lambda reply: parse_quotes(reply, ["ES"]),
    lambda reply: parse_session(reply, "ES"),
    lambda reply: parse_bars(reply, "ES", 10),
    lambda reply: parse_acknowledgement(reply, "Sim101"),
)


@pytest.mark.slow
@given(VALUES)
def test_whatever_they_answer_is_read_or_refused_and_nothing_else_breaks(value: object) -> None:
    for parse in READERS:
        try:
            parse(replied(value))
        except UpstreamError as error:
            assert str(error)  # noqa: PT017 - refusing is one of the two right endings


class Reader:
    """Knows the rows of lists, and counts those that it had to read."""

    def __init__(self, most: int = 3) -> None:
        self.read: list[str] = []
        self.known = KnownRows("rows", self._name, most)

    def _name(self, row: object, what: str, context: RowContext) -> str:
        self.read.append(what)
        return parse_row(Named, row, what, context).name

    def of(self, *rows: object, account: str | None = None, day: int = 18) -> tuple[str, ...]:
        reply = Reply("ListRows", {"success": True, "rows": list(rows)}, NOW.replace(day=day))
        return self.known.of(reply, account)


def rows_of(*names: str) -> list[dict[str, object]]:
    return [{"name": name} for name in names]


def test_of_a_list_that_was_read_before_only_the_new_row_is_read() -> None:
    reader = Reader()
    assert reader.of(*rows_of("a", "b")) == ("a", "b")
    assert reader.of(*rows_of("c", "a", "b")) == ("c", "a", "b")
    assert reader.read == ["ListRows, 'rows' row 1", "ListRows, 'rows' row 2", "ListRows, 'rows' row 1"]


@pytest.mark.parametrize("other", [{"x": 2}, {"x": True}, {"x": 1.0}, {"x": "1"}, {"x": None}, {"x": [True]}, {"y": 1}])
def test_a_row_that_says_another_thing_is_read_anew(other: dict[str, object]) -> None:
    reader = Reader()
    reader.of(ROW | {"x": 1}, ROW | {"x": [1]})
    reader.of(ROW | {"x": [1]}, ROW | {"x": 1})
    assert len(reader.read) == 2
    reader.of(ROW | other)
    assert len(reader.read) == 3


def test_a_row_is_judged_by_the_account_and_the_day_that_it_is_asked_with() -> None:
    reader = Reader(most=4)
    for account in (None, "Sim101"):
        for day in (18, 19):
            reader.of(ROW, account=account, day=day)
    assert len(reader.read) == 4


def test_what_cannot_be_trusted_is_refused_each_time_and_named_by_its_place() -> None:
    reader = Reader()
    for rows, place in (([ROW, {}], 2), ([{}], 1)):
        with pytest.raises(BadReply, match=f"'rows' row {place} cannot be trusted: 'name' is missing"):
            reader.of(*rows)


def test_so_many_rows_are_kept_the_oldest_are_forgotten_first() -> None:
    reader = Reader(most=2)
    reader.of(*rows_of("a", "b", "c"))
    reader.read.clear()
    reader.of(*rows_of("b", "c"))
    assert not reader.read
    reader.of(*rows_of("a"))
    assert len(reader.read) == 1


def test_a_row_that_is_nested_deeper_than_can_be_written_is_read_all_the_same() -> None:
    deep: object = "x"
    for _ in range(5000):
        deep = [deep]
    reader = Reader()
    assert reader.of(ROW | {"x": deep}) == reader.of(ROW | {"x": deep}) == ("Sim101",)
    assert len(reader.read) == 2
