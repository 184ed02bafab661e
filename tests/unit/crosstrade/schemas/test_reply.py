"""One answer and its rows: what counts as evidence, and what is refused."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.crosstrade.wire import acknowledged_in
from ct_mcp.crosstrade.wire_accounts import accounts_in, positions_in, snapshots_in, watermarks_in
from ct_mcp.crosstrade.wire_market import bars_in, quotes_in, session_in
from ct_mcp.crosstrade.wire_orders import executions_in, lifecycle_in, orders_in, status_in
from ct_mcp.crosstrade.wire_row import Reply, Row
from ct_mcp.errors import BadReply, UpstreamError

NOW = datetime(2026, 3, 18, 21, 0, tzinfo=UTC)
ROW = {"name": "Sim101"}


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
    assert [row.text("name") for row in replied(value).rows("accounts")] == ["Sim101"]


def test_an_empty_list_is_empty_only_where_success_is_claimed() -> None:
    assert replied({"success": True, "accounts": []}).rows("accounts") == ()
    unmarked: list[object] = [{"accounts": []}, [], {"data": []}, {"success": None, "accounts": []}]
    for value in unmarked:
        with pytest.raises(BadReply, match="does not mean that there are none"):
            replied(value).rows("accounts")


@pytest.mark.parametrize(
    "value", [{}, {"success": True}, {"success": True, "accounts": {}}, {"success": True, "rows": [ROW]}]
)
def test_success_without_the_rows_is_no_empty_answer(value: object) -> None:
    with pytest.raises(BadReply, match="holds no 'accounts'"):
        replied(value).rows("accounts")


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
    for key in ("strategyId", "id"):
        assert replied({"strategy": {key: 7}}).single("strategy", "strategyId", "id").text(key) == "7"
    with pytest.raises(BadReply, match="holds no 'strategyId'"):
        replied({"strategy": {"name": "x"}}).single("strategy", "strategyId", "id")


def test_a_list_that_counts_more_than_it_holds_is_refused() -> None:
    with pytest.raises(BadReply, match="counts 2 accounts and holds 1"):
        replied({"success": True, "accounts": [ROW], "count": 2}).rows("accounts")


def test_a_row_that_is_no_object_is_named() -> None:
    with pytest.raises(BadReply, match="'accounts' row 2 cannot be trusted"):
        replied({"success": True, "accounts": [ROW, "Sim102"]}).rows("accounts")


@pytest.mark.parametrize(
    "value",
    [ROW, {**ROW, "success": True}, {"account": ROW}, {"data": ROW}, {"data": {"account": ROW}}],
)
def test_one_object_is_taken_in_every_documented_shape(value: object) -> None:
    assert replied(value).single("account", proof="name").text("name") == "Sim101"


@pytest.mark.parametrize("value", [[], [ROW], {}, {"success": True}, {"name": None}, {"account": "Sim101"}])
def test_an_object_without_its_proof_is_refused(value: object) -> None:
    with pytest.raises(BadReply, match="holds no 'name'"):
        replied(value).single("account", proof="name")


@pytest.mark.parametrize("said", [None, "", "  ", 5])
def test_no_warning_is_none(said: object) -> None:
    assert replied({"success": True, "warning": said}).warning is None


def test_a_warning_is_made_harmless() -> None:
    reply = Reply("Flatten", {"success": True, "warning": "nothing\nto flatten for tok-1234"}, NOW, ("tok-1234",))
    assert reply.warning == "nothing to flatten for [hidden]"


def row(**values: object) -> Row:
    return Row("ListPositions row 1", values, date(2026, 3, 18))


def test_the_account_of_a_row_is_the_one_that_was_asked_about_in_their_spelling() -> None:
    assert row(account="Sim101").account("sim101") == "Sim101"
    assert row().account("Sim101") == "Sim101"
    with pytest.raises(BadReply, match="not of the one that was asked about"):
        row(account="Sim102").account("Sim101")
    with pytest.raises(BadReply, match="'account' is missing"):
        row().account()


@pytest.mark.parametrize("name", ["AAPL", "EURUSD", "ES", "ES 13-26", "", None])
def test_a_row_about_anything_but_a_dated_future_is_refused_and_not_left_out(name: object) -> None:
    with pytest.raises(BadReply, match="ListPositions row 1"):
        row(instrument=name).instrument()


@pytest.mark.parametrize("value", [-1, 1.5, "many", None, True])
def test_a_count_is_a_whole_number_and_never_negative(value: object) -> None:
    with pytest.raises(BadReply, match="'quantity' is no count"):
        row(quantity=value).whole("quantity")


def test_a_missing_number_is_named() -> None:
    with pytest.raises(BadReply, match="'price' is no price"):
        row().price("price")


def test_text_is_the_first_key_that_holds_any() -> None:
    assert row(id=None, orderId="a").text("id", "orderId") == "a"
    assert row(id=676173541025).text("id", "orderId") == "676173541025"
    assert row(id=True, orderId=" ").text_or_none("id", "orderId") is None


def test_a_label_is_harmless_and_short() -> None:
    assert row(name="a\u202eb\n" + "x" * 100).label("name") == "ab " + "x" * 76 + "…"


def test_a_nested_object_that_is_missing_is_an_empty_one() -> None:
    assert row(item=3).sub("item").values == {}
    assert row(item=3).rows("item") == ()


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
    accounts_in,
    snapshots_in,
    status_in,
    lambda reply: watermarks_in(reply, "Sim101"),
    lambda reply: positions_in(reply, None),
    lambda reply: orders_in(reply, "Sim101"),
    lambda reply: executions_in(reply, "Sim101"),
    lambda reply: lifecycle_in(reply, "Sim101"),
    lambda reply: quotes_in(reply, ["ES"]),
    lambda reply: session_in(reply, "ES"),
    lambda reply: bars_in(reply, "ES", 10),
    lambda reply: acknowledged_in(reply, "Sim101"),
)


@given(VALUES)
def test_whatever_they_answer_is_read_or_refused_and_nothing_else_breaks(value: object) -> None:
    for read in READERS:
        try:
            read(replied(value))
        except UpstreamError as error:
            assert str(error)  # noqa: PT017 - refusing is one of the two right endings
