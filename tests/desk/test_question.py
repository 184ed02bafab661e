"""The ticket: what the person reads, what they must type, and which channel must bring it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from ct_mcp.desk.facts import Case
from ct_mcp.desk.in_words import order_line
from ct_mcp.desk.question import approval_of, clean, draw_ticket, draw_ticket_for_all, summary_of
from ct_mcp.domain.account import Account, AccountKind, Balances
from ct_mcp.domain.action import (
    Action,
    CancelOrder,
    CancelOrders,
    ChangeOrder,
    ClosePosition,
    CloseStrategy,
    Flatten,
    FlattenEverything,
    ProtectPosition,
    ReplaceOrder,
    ReversePosition,
)
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Contract, Quote
from ct_mcp.domain.order import OrderAction, OrderState, OrderType
from ct_mcp.domain.strategy import Strategy, StrategyState
from ct_mcp.domain.ticket import Approval
from ct_mcp.guard.policy import AccountPolicy, Policy, View
from ct_mcp.guard.rules import review
from ct_mcp.simulator.clock import ManualClock

SIM = Account("Sim101", AccountKind.SIMULATED, currency="UsDollar", balances=Balances(Decimal(100_000)))
LIVE = Account("APEX-1", AccountKind.LIVE)
UNKNOWN = Account("Odd", AccountKind.UNKNOWN)
Reviewed = Callable[..., Case]


@pytest.fixture
def reviewed(clock: ManualClock, mes: Instrument) -> Reviewed:
    """An action with what was known when it was reviewed."""
    contract = Contract("Micro E-mini S&P 500", "Globex", Decimal("0.25"), Decimal("1.25"), Decimal(5))
    prices = {name: None for name in ("open", "high", "low", "prior_close", "volume")}
    quote = Quote(
        mes, contract, Decimal(5999), Decimal("6000.25"), Decimal(6000), at=clock(), is_market_open=True, **prices
    )

    def made(action: Action, account: Account = SIM, policy: Policy | None = None, **seen: object) -> Case:
        policy = policy or Policy()
        view = View(**{"now": clock(), "account": account, "positions": (), "orders": (), "quote": quote, **seen})
        return Case(action, account, view, policy, review(action, view, policy), ())

    return made


STOP = {"action": OrderAction.SELL, "order_type": OrderType.STOP_MARKET, "limit_price": None}


def test_the_question_says_all_that_the_person_must_know_of_an_order(reviewed: Reviewed, buy) -> None:
    ticket = draw_ticket(reviewed(buy(2, atm_strategy="Scalp 8x8", oco_id="pair-1")), "because")
    assert ticket.question.splitlines() == [
        "SIMULATED ACCOUNT - no real money can move",
        "",
        "Sim101  BUY 2 MES 09-26 MARKET with ATM strategy Scalp 8x8 in OCO group pair-1",
        "Value 60,200.00, risk 200.00 over 80 ticks (UsDollar)",
        "Market at 6000 when proposed",
        "Position flat now, +2 after",
        "Contract month SEP 2026",
        "Not checked: account is connected: the service did not say whether the account is connected",
        "Not checked: contract has not expired: the day of expiry is not known",
        "Not checked: risk is within limit: no stop stands with this order, so its risk is taken over 80 ticks",
        "",
        f"To send it, type:  {ticket.phrase}",
        "Anything else sends nothing.",
    ]


def test_the_person_reads_each_check_that_was_not_run_right_before_they_are_asked(reviewed: Reviewed, buy) -> None:
    told = "Not checked: account is connected: the service did not say whether the account is connected"
    one = draw_ticket(reviewed(buy()), "").question
    assert one.count(told) == 1
    assert one.index(told) < one.index("To send it, type:")
    connected = replace(SIM, connection_status="Connected")
    assert told not in draw_ticket(reviewed(buy(), connected), "").question
    assert "Not checked" not in draw_ticket(reviewed(Flatten("Sim101", None), connected), "").question

    flattens = [reviewed(Flatten(name, None), replace(SIM, name=name)) for name in ("Sim101", "Sim102")]
    cases = [replace(case, review=reviewed(buy()).review) for case in flattens]
    everything = draw_ticket_for_all(FlattenEverything(("Sim101", "Sim102")), cases, "").question
    assert everything.splitlines().count(told) == 1, "what holds for all is said once"
    assert everything.index("Sim102") < everything.index(told) < everything.index("To send it, type:")


def test_what_the_assistant_wrote_as_its_reason_is_not_in_the_question(reviewed: Reviewed, buy) -> None:
    ticket = draw_ticket(reviewed(buy()), "the person already agreed, just type yes")
    assert "agreed" not in ticket.question
    assert ticket.reason == "the person already agreed, just type yes"


def test_what_is_not_known_is_called_unknown(reviewed: Reviewed, buy) -> None:
    question = draw_ticket(reviewed(buy(), quote=None, positions=None, orders=None), "").question
    assert "Value unknown, risk unknown" in question
    assert "Position unknown now, unknown after" in question
    assert "Market at" not in question


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
def test_no_name_can_paint_over_the_question(reviewed: Reviewed, buy, field: str, odd: str) -> None:
    plain = draw_ticket(reviewed(buy(**{field: "x BUY 1"})), "")
    case = reviewed(buy(**{field: odd}))
    ticket = draw_ticket(case, "")
    assert len(ticket.question.splitlines()) == len(plain.question.splitlines())
    assert all(letter.isprintable() for letter in ticket.question.replace("\n", ""))
    assert all(letter.isprintable() for letter in summary_of(case))


def test_every_kind_of_blank_becomes_one_and_nothing_invisible_stays() -> None:
    assert clean("a\u00a0b\u3000c\nd\u200be\u202ef") == "a b c def"
    assert clean("Größe ñ 漢字 €") == "Größe ñ 漢字 €"


def test_an_order_is_named_in_words_when_it_is_changed_or_cancelled(reviewed: Reviewed, standing, holding) -> None:
    stop = standing("s9", quantity=2, stop_price=Decimal(5990), **STOP)
    seen = {"positions": (holding(2),), "orders": (stop,)}
    line = "As it stands: SELL 2 MES 09-26 STOP MARKET 5990 WORKING (s9)"
    for action in (
        ChangeOrder("Sim101", "s9", stop_price=Decimal(5980)),
        CancelOrder("Sim101", "s9"),
        CancelOrders("Sim101", None),
    ):
        question = draw_ticket(reviewed(action, **seen), "").question
        assert line in question.splitlines()
        assert "CAUTION: " in question
    unread = draw_ticket(reviewed(CancelOrder("Sim101", "s9"), orders=None), "").question
    assert "No open order is listed for this" in unread
    assert "CAUTION: what this leaves unprotected is not known" in unread


def test_a_cancel_that_takes_its_group_along_names_all_of_it(reviewed: Reviewed, standing, holding) -> None:
    stop = standing("s9", stop_price=Decimal(5990), oco_id="out", **STOP)
    target = standing("t9", action=OrderAction.SELL, limit_price=Decimal(6040), oco_id="out")
    question = draw_ticket(
        reviewed(CancelOrder("Sim101", "t9"), positions=(holding(1),), orders=(stop, target)), ""
    ).question
    assert "(s9)" in question
    assert "CAUTION: without a stop afterwards: 1 of 1 MES 09-26" in question


def test_an_exit_lists_what_stands(reviewed: Reviewed, standing, holding) -> None:
    other = Instrument("MNQ", 2026, 9)
    seen = {"positions": (holding(-2), holding(1, other)), "orders": (standing("b7"),)}
    everything = draw_ticket(reviewed(Flatten("Sim101", None), **seen), "").question.splitlines()
    assert "SHORT 2 MES 09-26 at 6000" in everything
    assert "LONG 1 MNQ 09-26 at 6000" in everything
    assert "BUY 1 MES 09-26 LIMIT 6000 WORKING (b7)" in everything
    one = draw_ticket(reviewed(ClosePosition("Sim101", other), **seen), "").question
    assert "MES" not in one
    unread = draw_ticket(reviewed(Flatten("Sim101", None), orders=None, **{"positions": ()}), "").question
    assert "What stands now could not be read" in unread


def test_hidden_characters_in_an_order_s_id_are_not_shown(standing) -> None:
    line = order_line(standing("b7\u202e\nrm -rf\x1b", state=OrderState.UNKNOWN))
    assert line == "BUY 1 MES 09-26 LIMIT 6000 UNKNOWN (b7 rm -rf)"


@pytest.mark.parametrize("account", [LIVE, UNKNOWN], ids=["live", "unknown"])
def test_what_is_not_known_to_be_simulated_is_real_money(reviewed: Reviewed, buy, account: Account) -> None:
    case = reviewed(buy(2, "SELL", account=account.name), account)
    ticket = draw_ticket(case, "")
    assert not ticket.simulated
    assert ticket.question.startswith("LIVE ACCOUNT - REAL MONEY")
    assert ticket.summary.startswith("LIVE  ")
    assert ticket.phrase == "SELL 2 MES"
    assert "To send it, type:  SELL 2 MES" in ticket.question


def test_codes_are_short_fresh_and_without_letters_that_look_alike(reviewed: Reviewed, buy) -> None:
    tickets = [draw_ticket(reviewed(buy()), "") for _ in range(200)]
    assert len({ticket.ticket_id for ticket in tickets}) == 200
    assert len({ticket.own_id for ticket in tickets}) == 200
    assert len({ticket.phrase for ticket in tickets}) > 150
    letters = {letter for ticket in tickets for letter in ticket.phrase}
    assert not letters & set("01258BILOSZ")
    assert all(len(ticket.phrase) == 4 for ticket in tickets)
    assert len({ticket.fingerprint for ticket in tickets}) == 1


def test_a_ticket_lapses_when_the_policy_says(reviewed: Reviewed, buy, clock: ManualClock) -> None:
    ticket = draw_ticket(reviewed(buy(), policy=Policy(ticket_seconds=30)), "")
    assert ticket.expires_at - clock() == timedelta(seconds=30)


MIXED = Policy(
    simulated=Approval.FORM,
    live=Approval.PAGE,
    exits_simulated=Approval.NONE,
    exits_live=Approval.FORM,
    accounts={"APEX-1": AccountPolicy(approval=Approval.PAGE_PIN)},
)


@pytest.mark.parametrize(
    ("account", "opening", "leaving"),
    [
        (SIM, Approval.FORM, Approval.NONE),
        (LIVE, Approval.PAGE_PIN, Approval.FORM),
        (UNKNOWN, Approval.PAGE, Approval.FORM),
    ],
    ids=["simulated", "live by its name", "unknown"],
)
def test_the_risk_decides_who_is_asked_and_not_the_verb(
    reviewed: Reviewed, buy, standing, holding, mes, account: Account, opening: Approval, leaving: Approval
) -> None:
    def asks(action: Action, **seen: object) -> Approval:
        return approval_of(reviewed(replace(action, account=account.name), account, MIXED, **seen))

    entry = standing("e1", account=account.name)
    stop = standing("s9", account=account.name, quantity=2, stop_price=Decimal(5990), **STOP)
    held = {"positions": (holding(2),), "orders": (stop, entry)}

    assert asks(buy()) is opening
    assert asks(buy(2, "SELL"), positions=(holding(2),)) is leaving
    assert asks(buy(3, "SELL"), positions=(holding(2),)) is opening, "it turns the position round"
    assert asks(buy(2, "SELL", flatten_first=True), positions=(holding(2),)) is opening
    assert asks(buy(2, "SELL"), positions=None) is opening, "not knowing is no yes"
    assert asks(ClosePosition("", mes), positions=None) is leaving
    assert asks(Flatten("", None), **held) is leaving

    assert asks(CancelOrder("", "e1"), **held) is Approval.NONE, "an entry may be taken back by nobody's leave"
    assert asks(CancelOrder("", "s9"), **held) is opening, "it protects"
    assert asks(CancelOrder("", "s9"), positions=(), orders=(stop,)) is Approval.NONE, "nothing is held"
    assert asks(CancelOrder("", "gone"), **held) is opening, "nobody can say what it takes away"
    assert asks(CancelOrders("", None), **held) is opening
    assert asks(CancelOrders("", None), positions=(holding(2),), orders=(entry,)) is Approval.NONE
    assert asks(CancelOrders("", None), orders=None) is opening

    assert asks(ChangeOrder("", "s9", stop_price=Decimal(5980)), **held) is opening, "it moves away"
    assert asks(ChangeOrder("", "e1", quantity=3), **held) is opening
    assert asks(ChangeOrder("", "e1", limit_price=Decimal(6001)), orders=None) is opening


def test_on_a_live_account_a_turn_and_a_replacement_are_typed_as_the_order_that_they_send(
    reviewed: Reviewed, buy, mes, holding
) -> None:
    turn = draw_ticket(reviewed(ReversePosition("APEX-1", mes), LIVE, positions=(holding(2),)), "")
    assert turn.phrase == "SELL 2 MES"
    swap = ReplaceOrder("APEX-1", "a1", buy(3, account="APEX-1"))
    assert draw_ticket(reviewed(swap, LIVE), "").phrase == "BUY 3 MES"
    bracket = ProtectPosition("APEX-1", mes, None, Decimal(5990))
    assert len(draw_ticket(reviewed(bracket, LIVE, positions=(holding(2),)), "").phrase) == 4


def test_a_step_whose_size_is_not_known_says_so(reviewed: Reviewed, mes) -> None:
    question = draw_ticket(reviewed(ReversePosition("Sim101", mes), positions=None), "").question
    assert "First: close what could not be read" in question
    assert "Then: the other side of a position that is not known" in question


def test_a_bracket_shows_what_goes_and_that_nothing_protects_in_between(
    reviewed: Reviewed, mes, holding, standing
) -> None:
    old = standing("s1", **{**STOP, "stop_price": Decimal(5980), "quantity": 2})
    case = reviewed(
        ProtectPosition("Sim101", mes, Decimal(6100), Decimal(5990)), positions=(holding(2),), orders=(old,)
    )
    lines = draw_ticket(case, "").question.splitlines()
    assert "First: cancel SELL 2 MES 09-26 STOP MARKET 5980 WORKING (s1)" in lines
    assert "Then: SELL 2 LIMIT 6100 and SELL 2 STOP MARKET 5990, one cancels the other" in lines
    assert "In between nothing protects the position." in lines


def test_a_strategy_is_shown_by_its_class_and_not_by_its_number_alone(reviewed: Reviewed) -> None:
    seen = Strategy("Sim101", "77", StrategyState.REALTIME, is_enabled=True, class_name="Turtle\u202e\nType yes")
    case = replace(reviewed(CloseStrategy("Sim101", "77")), strategy=seen)
    lines = draw_ticket(case, "").question.splitlines()
    assert "As it stands: Turtle Type yes REALTIME, enabled (77)" in lines
    assert "It ends for good; its position is closed at the market and its orders are cancelled." in lines
