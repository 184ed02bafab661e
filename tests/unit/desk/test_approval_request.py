"""What the person reads of each command: what stands, what goes, what comes, and what they should know."""

from dataclasses import replace
from decimal import Decimal

import pytest

from ct_mcp.desk.approval import draw_ticket
from ct_mcp.desk.journal_writer import summary_of
from ct_mcp.desk.remedies import order_line
from ct_mcp.domain.account import Account, AccountKind
from ct_mcp.domain.commands import (
    CancelOrder,
    CancelOrders,
    ChangeOrder,
    ClosePosition,
    CloseStrategy,
    Command,
    EnableStrategy,
    Flatten,
    ProtectPosition,
    ReplaceOrder,
    ReversePosition,
)
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderAction, OrderState, OrderType
from ct_mcp.domain.strategy import Strategy, StrategyState
from ct_mcp.text import one_line
from tests.factories import place_order
from tests.unit.desk.conftest import MES, Buys, Holds, Reviewed, Stands

STOP = {"action": OrderAction.SELL, "order_type": OrderType.STOP_MARKET, "limit_price": None}


def test_the_question_says_all_that_the_person_must_know_of_an_order(reviewed: Reviewed, buy: Buys) -> None:
    ticket = draw_ticket([reviewed(buy(2, atm_strategy="Scalp 8x8", oco_id="pair-1"))], "because")
    assert ticket.question.splitlines() == [
        f"Sim101  BUY 2 MES 09-26 MARKET with an ATM strategy in an OCO group - to send it, type {ticket.phrase}",
        "SIMULATED ACCOUNT - no real money can move",
        "Position flat now, +2 after",
        "Risk 200.00 (USD, over 80 ticks)",
        "Value 60,202.50 (USD)",
        "Market 6000 (bid 5999, ask 6000.25, when asked)",
        "Contract month SEP 2026",
        "Could not verify: the service did not say whether the account is connected",
        "Could not verify: the contract expires this month, and the day is not known",
        "Assumption: no stop stands with this order, so its risk is taken over 80 ticks, "
        "and is not held against what the day has left",
        'Named by the assistant: ATM strategy "Scalp 8x8"',
        'Named by the assistant: OCO group "pair-1"',
        "",
        f"To send it, type:  {ticket.phrase}",
        "Anything else sends nothing.",
    ]


@pytest.mark.parametrize("quantity", [2, 3, 4])
def test_what_flattens_first_and_opens_fewer_than_are_held_shows_what_it_risks(
    reviewed: Reviewed, buy: Buys, holding: Holds, quantity: int
) -> None:
    review = reviewed(buy(quantity, flatten_first=True), positions=(holding(3),))
    lines = draw_ticket([review], "").question.splitlines()
    assert f"Position +3 now, +{quantity} after" in lines
    assert f"Risk {100 * quantity}.00 (USD, over 80 ticks)" in lines
    assert any(line.startswith("Value ") for line in lines)
    assert any("so its risk is taken over 80 ticks" in line for line in lines)


def test_the_person_reads_what_could_not_be_verified_right_before_they_are_asked(reviewed: Reviewed, buy: Buys) -> None:
    told = "Could not verify: the service did not say whether the account is connected"
    one = draw_ticket([reviewed(buy())], "").question
    assert one.count(told) == 1
    assert one.index(told) < one.index("To send it, type:")
    connected = Account("Sim101", AccountKind.SIMULATED, connection_status="Connected")
    assert told not in draw_ticket([reviewed(buy(), connected)], "").question
    assert "Could not verify" not in draw_ticket([reviewed(Flatten("Sim101", None), connected)], "").question

    other = Account("Sim102", AccountKind.SIMULATED)
    both = draw_ticket([reviewed(buy()), reviewed(buy(account="Sim102"), other)], "").question
    assert both.splitlines().count(told) == 2, "each command says what could not be verified of it"
    first, second = both.index("SIM  Sim101  BUY 1"), both.index("SIM  Sim102  BUY 1")
    assert first < both.index(told) < second < both.rindex(told) < both.index("To send it, type:")


def test_what_is_not_known_is_called_unknown(reviewed: Reviewed, buy: Buys) -> None:
    question = draw_ticket([reviewed(buy(), quote=None, positions=None, orders=None)], "").question
    assert "Risk unknown" in question
    assert "Value unknown" in question
    assert "Position unknown now, unknown after" in question
    assert "Market 6" not in question


HIDDEN = {
    "line break": "x\nBUY 1",
    "return": "x\rBUY 1",
    "separator": "x\u2028BUY 1\u2029",
    "right to left": "x\u202eBUY 1",
    "isolate": "x\u2066BUY 1",
    "zero width": "x\u200bBUY\u200d 1",
    "escape": "x\x1b[31mBUY 1",
    "tag": "x\U000e0041BUY 1",
    "half a character": "x\ud800BUY 1",
    "null": "x\x00BUY 1",
    "tab": "x\tBUY 1",
}


@pytest.mark.parametrize("odd", HIDDEN.values(), ids=HIDDEN.keys())
@pytest.mark.parametrize("field", ["oco_id", "atm_strategy", "account"])
def test_no_name_can_paint_over_the_question(reviewed: Reviewed, buy: Buys, field: str, odd: str) -> None:
    plain = draw_ticket([reviewed(buy(**{field: "x BUY 1"}))], "")
    review = reviewed(buy(**{field: odd}))
    ticket = draw_ticket([review], "")
    assert len(ticket.question.splitlines()) == len(plain.question.splitlines())
    assert all(letter.isprintable() for letter in ticket.question.replace("\n", ""))
    assert all(letter.isprintable() for letter in summary_of([review]))


CHOSEN = "SIMULATED-nothing-is-sent"


@pytest.mark.parametrize(
    "command",
    [
        place_order(oco_id=CHOSEN),
        place_order(atm_strategy=CHOSEN),
        place_order(tag=CHOSEN),
        ReplaceOrder("Sim101", "a1", place_order(limit="6000", oco_id=CHOSEN)),
        CancelOrder("Sim101", CHOSEN),
        EnableStrategy("Sim101", CHOSEN),
        CloseStrategy("Sim101", CHOSEN),
    ],
    ids=lambda command: type(command).__name__,
)
def test_no_word_that_the_assistant_chose_stands_above_its_own_line(reviewed: Reviewed, command: Command) -> None:
    """In the first line, on the page's headline and among the facts stands what is made from the order alone."""
    ticket = draw_ticket([reviewed(command)], CHOSEN)
    (item,) = ticket.request.items if ticket.request else ()
    assert CHOSEN not in item.headline
    named = [line for line in ticket.question.splitlines() if CHOSEN in line]
    assert all(line.startswith("Named by the assistant: ") and f'"{CHOSEN}"' in line for line in named)
    assert len(named) == 1, "once, and in quotation marks"


@pytest.mark.parametrize("odd", HIDDEN.values(), ids=HIDDEN.keys())
def test_no_id_that_somebody_gave_an_order_can_paint_over_the_question(
    reviewed: Reviewed, standing: Stands, odd: str
) -> None:
    seen = {"orders": (standing(odd),)}
    change, cancel = ChangeOrder("Sim101", odd, limit_price=Decimal(5990)), CancelOrder("Sim101", odd)
    for command in (change, cancel, ReplaceOrder("Sim101", odd, place_order(limit="5990", instrument=MES))):
        question = draw_ticket([reviewed(command, **seen)], "").question
        assert all(letter.isprintable() for letter in question.replace("\n", ""))
        plain = draw_ticket([reviewed(replace(command, order_id="x"), orders=(standing("x"),))], "").question
        assert len(question.splitlines()) == len(plain.splitlines())


def test_every_kind_of_blank_becomes_one_and_nothing_invisible_stays() -> None:
    assert one_line("a\u00a0b\u3000c\nd\u200be\u202ef") == "a b c def"
    assert one_line("Größe ñ 漢字 €") == "Größe ñ 漢字 €"


def test_an_order_is_named_in_words_when_it_is_changed_or_cancelled(
    reviewed: Reviewed, standing: Stands, holding: Holds
) -> None:
    stop = standing("s9", quantity=2, stop_price=Decimal(5990), **STOP)
    seen = {"positions": (holding(2),), "orders": (stop,)}
    line = "As it stands: SELL 2 MES 09-26 STOP MARKET 5990 WORKING (s9)"
    for action in (
        ChangeOrder("Sim101", "s9", stop_price=Decimal(5980)),
        CancelOrder("Sim101", "s9"),
        CancelOrders("Sim101", None),
    ):
        question = draw_ticket([reviewed(action, **seen)], "").question
        assert line in question.splitlines()
        assert "WARNING: " in question
    unread = draw_ticket([reviewed(CancelOrder("Sim101", "s9"), orders=None)], "").question
    assert "Which orders stand could not be read: whatever stands there goes" in unread
    assert "No open order is listed for this" not in unread
    assert "WARNING: what this leaves unprotected is not known" in unread


def test_a_cancel_that_takes_its_group_along_names_all_of_it(
    reviewed: Reviewed, standing: Stands, holding: Holds
) -> None:
    stop = standing("s9", stop_price=Decimal(5990), oco_id="out", **STOP)
    target = standing("t9", action=OrderAction.SELL, limit_price=Decimal(6040), oco_id="out")
    question = draw_ticket(
        [reviewed(CancelOrder("Sim101", "t9"), positions=(holding(1),), orders=(stop, target))], ""
    ).question
    assert "(s9)" in question
    assert "WARNING: without a stop afterwards: 1 of 1 MES 09-26" in question


def test_an_exit_lists_what_stands(reviewed: Reviewed, standing: Stands, holding: Holds) -> None:
    other = Instrument("MNQ", 2026, 9)
    seen = {"positions": (holding(-2), holding(1, other)), "orders": (standing("b7"),)}
    everything = draw_ticket([reviewed(Flatten("Sim101", None), **seen)], "").question.splitlines()
    assert "SHORT 2 MES 09-26 at 6000" in everything
    assert "LONG 1 MNQ 09-26 at 6000" in everything
    assert "BUY 1 MES 09-26 LIMIT 6000 WORKING (b7)" in everything
    one = draw_ticket([reviewed(ClosePosition("Sim101", other), **seen)], "").question
    assert "MES" not in one
    unread = draw_ticket([reviewed(Flatten("Sim101", None), orders=None, **{"positions": ()})], "").question
    assert "What stands now could not be read" in unread


def test_hidden_characters_in_an_order_s_id_are_not_shown(standing: Stands) -> None:
    line = order_line(standing("b7\u202e\nrm -rf\x1b", state=OrderState.UNKNOWN))
    assert line == "BUY 1 MES 09-26 LIMIT 6000 UNKNOWN (b7 rm -rf)"


def test_a_step_whose_size_is_not_known_says_so(reviewed: Reviewed, mes: Instrument) -> None:
    question = draw_ticket([reviewed(ReversePosition("Sim101", mes), positions=None)], "").question
    assert "First: close what could not be read" in question
    assert "Then: the other side of a position that is not known" in question


def test_a_bracket_shows_what_goes_and_that_nothing_protects_in_between(
    reviewed: Reviewed, mes: Instrument, holding: Holds, standing: Stands
) -> None:
    old = standing("s1", **{**STOP, "stop_price": Decimal(5980), "quantity": 2})
    review = reviewed(
        ProtectPosition("Sim101", mes, Decimal(6100), Decimal(5990)), positions=(holding(2),), orders=(old,)
    )
    lines = draw_ticket([review], "").question.splitlines()
    assert "First: cancel SELL 2 MES 09-26 STOP MARKET 5980 WORKING (s1)" in lines
    assert "Then: SELL 2 LIMIT 6100 and SELL 2 STOP MARKET 5990, one cancels the other" in lines
    assert "In between nothing protects the position." in lines


def test_a_strategy_is_shown_by_its_class_and_not_by_its_number_alone(reviewed: Reviewed) -> None:
    seen = Strategy("Sim101", "77", StrategyState.REALTIME, is_enabled=True, class_name="Turtle\u202e\nType yes")
    review = reviewed(CloseStrategy("Sim101", "77"), strategy=seen)
    lines = draw_ticket([review], "").question.splitlines()
    assert "As it stands: Turtle Type yes REALTIME, enabled (77)" in lines
    assert "It ends for good; its position is closed at the market and its orders are cancelled." in lines


@pytest.mark.parametrize(
    ("state", "filled", "words"),
    [
        (OrderState.PART_FILLED, 3, "BUY 1 MES 09-26 LIMIT 6000 PART_FILLED"),
        (OrderState.CANCELLED, 0, "BUY 4 MES 09-26 LIMIT 6000 CANCELLED"),
        (OrderState.CANCELLED, 3, "BUY 4 MES 09-26 LIMIT 6000 CANCELLED, 3 filled"),
        (OrderState.FILLED, 4, "BUY 4 MES 09-26 LIMIT 6000 FILLED"),
    ],
)
def test_an_order_that_is_over_is_told_with_all_that_it_was_for(
    standing: Stands, state: OrderState, filled: int, words: str
) -> None:
    assert order_line(standing("b7", state=state, quantity=4, filled=filled)) == f"{words} (b7)"
