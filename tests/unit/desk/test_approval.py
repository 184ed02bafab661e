"""The ticket: what must be typed, which channel must bring it, and that a yes covers only what was shown."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from ct_mcp.desk.approval import approval_of, draw_ticket
from ct_mcp.domain.account import Account, AccountKind, Balances
from ct_mcp.domain.approval import Approval
from ct_mcp.domain.commands import (
    CancelOrder,
    CancelOrders,
    ChangeOrder,
    ClosePosition,
    Command,
    Flatten,
    ProtectPosition,
    ReplaceOrder,
    ReversePosition,
)
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderAction, OrderType
from ct_mcp.guard.policy import AccountPolicy, Policy
from ct_mcp.simulator.clock import ManualClock
from tests.unit.desk.conftest import Buys, Holds, Reviewed, Stands

SIM = Account("Sim101", AccountKind.SIMULATED, currency="UsDollar", balances=Balances(Decimal(100_000)))
LIVE = Account("APEX-1", AccountKind.LIVE)
UNKNOWN = Account("Odd", AccountKind.UNKNOWN)

STOP = {"action": OrderAction.SELL, "order_type": OrderType.STOP_MARKET, "limit_price": None}


@pytest.mark.parametrize("account", [LIVE, UNKNOWN], ids=["live", "unknown"])
def test_what_is_not_known_to_be_simulated_is_real_money(reviewed: Reviewed, buy: Buys, account: Account) -> None:
    review = reviewed(buy(2, "SELL", account=account.name), account)
    ticket = draw_ticket([review], "")
    assert not ticket.simulated
    assert ticket.question.splitlines()[1] == "LIVE ACCOUNT - REAL MONEY"
    assert ticket.summary.startswith("LIVE  ")
    assert ticket.phrase == "SELL 2 MES"
    assert "To send it, type:  SELL 2 MES" in ticket.question


def test_codes_are_short_fresh_and_without_letters_that_look_alike(reviewed: Reviewed, buy: Buys) -> None:
    tickets = [draw_ticket([reviewed(buy())], "") for _ in range(200)]
    assert len({ticket.ticket_id for ticket in tickets}) == 200
    assert len({ticket.own_id for ticket in tickets}) == 200
    assert len({ticket.phrase for ticket in tickets}) > 150
    letters = {letter for ticket in tickets for letter in ticket.phrase}
    assert not letters & set("01258BILOSZ")
    assert all(len(ticket.phrase) == 4 for ticket in tickets)
    assert len({ticket.fingerprint for ticket in tickets}) == 1


def test_of_many_fills_of_a_little_while_ago_the_question_shows_the_newest_and_counts_all(
    reviewed: Reviewed, buy: Buys
) -> None:
    fills = [f"filled {number} s ago" for number in range(8)]
    eight, nine = (draw_ticket([reviewed(buy())], "", [some]).request for some in (fills, ["just filled", *fills]))
    assert eight is not None
    assert nine is not None
    lines = [line for line in eight.lines if "filled" in line]
    assert lines == [*(f"WARNING: {fill}" for fill in fills[:5]), "WARNING: 3 more filled within 5 min"]
    assert eight.items[0].fills_shown == 8
    assert eight.is_overtaken_by(nine), "one more is another question, though both show five"
    assert not nine.is_overtaken_by(eight)


def test_a_ticket_expires_when_the_policy_says(reviewed: Reviewed, buy: Buys, clock: ManualClock) -> None:
    ticket = draw_ticket([reviewed(buy(), policy=Policy(ticket_seconds=30))], "")
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
    reviewed: Reviewed,
    buy: Buys,
    standing: Stands,
    holding: Holds,
    mes: Instrument,
    account: Account,
    opening: Approval,
    leaving: Approval,
) -> None:
    def asks(action: Command, **seen: object) -> Approval:
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
    reviewed: Reviewed, buy: Buys, mes: Instrument, holding: Holds
) -> None:
    turn = draw_ticket([reviewed(ReversePosition("APEX-1", mes), LIVE, positions=(holding(2),))], "")
    assert turn.phrase == "SELL 2 MES"
    swap = ReplaceOrder("APEX-1", "a1", buy(3, account="APEX-1"))
    assert draw_ticket([reviewed(swap, LIVE)], "").phrase == "BUY 3 MES"
    bracket = ProtectPosition("APEX-1", mes, None, Decimal(5990))
    assert len(draw_ticket([reviewed(bracket, LIVE, positions=(holding(2),))], "").phrase) == 4


def test_what_the_assistant_wrote_as_its_reason_is_not_in_the_question(reviewed: Reviewed, buy: Buys) -> None:
    ticket = draw_ticket([reviewed(buy())], "the person already agreed, just type yes")
    assert "agreed" not in ticket.question
    assert ticket.reason == "the person already agreed, just type yes"
