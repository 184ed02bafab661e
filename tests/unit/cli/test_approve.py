"""``ct-mcp approve`` at a terminal: only the text in the question is a yes, and a pipe is nobody."""

import io
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from ct_mcp.cli.approve import show_question
from ct_mcp.cli.screen import Screen
from ct_mcp.desk.pin import set_pin, try_pin
from ct_mcp.domain.account import AccountKind
from ct_mcp.domain.approval import Approval, ApprovalItem, ApprovalRequest, Finding, FindingKind, Ticket, TicketState
from ct_mcp.domain.commands import KINDS, Flatten, PlaceOrder, describe, fingerprint, headline
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import OrderAction, OrderType, TimeInForce
from ct_mcp.store.sqlite import SqliteStore

CtMcp = Callable[..., subprocess.CompletedProcess[str]]
AtATerminal = Callable[..., Any]

BEFORE = datetime(2026, 1, 1, tzinfo=UTC)
LONG_PAST = datetime(2026, 1, 2, tzinfo=UTC)
# The command lives by the clock on the wall, which no test can move: tickets here last beyond it.
FAR_AWAY = datetime(2999, 1, 1, tzinfo=UTC)
PHRASE = "K7QM"
PIN = "pin-4711"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The state folder that the server and the person's terminal share."""
    return tmp_path / "state"


@pytest.fixture
async def store(folder: Path) -> AsyncIterator[SqliteStore]:
    """The store as the server sees it."""
    store = SqliteStore(folder)
    yield store
    await store.close()


def one_order(account: str, quantity: int = 1) -> PlaceOrder:
    """An order at the market."""
    mes, market = Instrument("MES", 2026, 12), OrderType.MARKET
    return PlaceOrder(account, mes, OrderAction.BUY, quantity, market, None, None, TimeInForce.DAY)


def asked(order: PlaceOrder) -> ApprovalItem:
    """What the person is shown of it."""
    return ApprovalItem(
        order.account,
        AccountKind.SIMULATED,
        KINDS[PlaceOrder],
        headline(order),
        instrument=order.instrument,
        sends=(order,),
        position_before=0,
        position_after=order.quantity,
        value=Decimal(30000),
        risk=Decimal(100),
        risk_basis="over 80 ticks",
        market_price=Decimal(6000),
        currency="USD",
    )


def proposal(ticket_id: str, *, approval: Approval = Approval.FORM, expires_at: datetime = FAR_AWAY) -> Ticket:
    """A ticket for an order whose size makes it its own."""
    order = one_order("Sim101", len(ticket_id))
    return Ticket(
        ticket_id=ticket_id,
        commands=(order,),
        fingerprint=fingerprint(order),
        own_id=f"own-{ticket_id}",
        summary=f"SIM  {describe(order)}",
        request=ApprovalRequest((asked(order),)),
        phrase=PHRASE,
        approval=approval,
        simulated=True,
        reason="",
        created_at=BEFORE,
        expires_at=expires_at,
    )


def drawn(ticket: Ticket) -> list[str]:
    """The lines of its question, as a screen of 80 columns without colours shows them."""
    out = io.StringIO()
    show_question(ticket, Screen(out))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_the_question_is_drawn_with_its_figures_in_columns_and_the_text_on_a_line_of_its_own() -> None:
    findings = tuple(Finding(kind, "CODE", f"this {kind}") for kind in FindingKind)
    item = replace(asked(one_order("Sim101")), findings=findings, steps=("First: this",), standing=("LONG 2",))
    assert drawn(replace(proposal("a"), request=ApprovalRequest((item,)))) == [
        "  SIMULATED ACCOUNT - no real money can move",
        "",
        "  Sim101  BUY 1 MES 12-26 MARKET",
        "    Position        flat now, +1 after",
        "    Risk            100.00              USD, over 80 ticks",
        "    Value           30,000.00           USD",
        "    Market          6000                when asked",
        "    Contract month  DEC 2026",
        "    First: this",
        "    WARNING: this warning",
        "    Assumption: this assumption",
        "    Could not verify: this could not verify",
        "    LONG 2",
        "",
        f"  To send it, type:  {PHRASE}",
        "  Anything else sends nothing.",
    ]


def test_of_several_commands_each_is_drawn_under_its_account_and_what_is_empty_says_so() -> None:
    flat = ApprovalItem("Sim101", AccountKind.SIMULATED, KINDS[Flatten], "FLATTEN everything")
    live = replace(flat, account="APEX", account_kind=AccountKind.LIVE, standing=("LONG 2",))
    commands = (Flatten("Sim101", None), Flatten("APEX", None))
    ticket = replace(proposal("a"), commands=commands, request=ApprovalRequest((flat, live)), simulated=False)
    assert drawn(ticket)[:9] == [
        "  LIVE ACCOUNT - REAL MONEY",
        "  2 commands under one yes",
        "",
        "  SIM  Sim101  FLATTEN everything",
        "    nothing held, no open orders",
        "",
        "  LIVE  APEX  FLATTEN everything",
        "    LONG 2",
        "",
    ]


def test_words_of_the_assistant_stand_on_no_row_of_their_own_and_hide_nothing() -> None:
    forged = ("SIMULATED ACCOUNT - no real money can move", "Position flat now, flat after: no order opens")
    names = tuple(f"{at:02d}{'x' * 42} = x {forged[at % 2]}" for at in range(50))
    ticket = proposal("a")
    item = replace(asked(one_order("APEX-1")), account_kind=AccountKind.LIVE, names=names)
    rows = drawn(replace(ticket, request=ApprovalRequest((item,)), simulated=False))
    assert not [row for row in rows if row.strip().startswith(forged)]
    assert all(any(name[:40] in row for row in rows) for name in names)
    last = "\n".join(rows[-20:])
    assert "REAL MONEY" in last, "a screen of 24 rows still says it"
    assert "APEX-1  BUY 1 MES" in last
    assert f"type:  {PHRASE}" in last


async def state_of(store: SqliteStore, ticket_id: str) -> TicketState:
    """What became of a ticket."""
    ticket = await store.ticket(ticket_id)
    assert ticket is not None
    return ticket.state


@pytest.mark.parametrize("given", ["", f"{PHRASE}\n", "yes\n"])
async def test_a_pipe_is_refused_and_changes_nothing(
    ct_mcp: CtMcp, folder: Path, store: SqliteStore, given: str
) -> None:
    await store.open_ticket(proposal("a"), BEFORE)
    ended = ct_mcp("approve", "--state-dir", str(folder), given=given)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "needs a terminal" in ended.stderr
    assert await state_of(store, "a") is TicketState.OPEN


@pytest.mark.parametrize(
    ("typed", "answered", "state"),
    [
        (PHRASE, "Approved.", TicketState.APPROVED),
        (f"  {PHRASE.lower()} ", "Approved.", TicketState.APPROVED),
        ("no", "Declined.", TicketState.DECLINED),
        ("", "Left open.", TicketState.OPEN),
    ],
)
async def test_what_the_person_types_decides(
    at_a_terminal: AtATerminal, folder: Path, store: SqliteStore, typed: str, answered: str, state: TicketState
) -> None:
    await store.open_ticket(proposal("a"), BEFORE)
    terminal = at_a_terminal("approve", "--state-dir", str(folder))
    terminal.until("Sim101  BUY 1 MES 12-26 MARKET")
    terminal.until("> ")
    terminal.types(typed)
    terminal.until(answered)
    assert terminal.ends() == 0
    assert await state_of(store, "a") is state


async def test_a_wrong_text_sends_nothing_and_is_asked_again(
    at_a_terminal: AtATerminal, folder: Path, store: SqliteStore
) -> None:
    await store.open_ticket(proposal("a"), BEFORE)
    terminal = at_a_terminal("approve", "--state-dir", str(folder))
    for typed, answered in (("yes", "That is not the text. Nothing is sent."), (PHRASE, "Approved.")):
        terminal.until("> ")
        terminal.types(typed)
        terminal.until(answered)
    assert terminal.ends() == 0
    assert await state_of(store, "a") is TicketState.APPROVED


async def test_every_open_ticket_is_asked_about_once(
    at_a_terminal: AtATerminal, folder: Path, store: SqliteStore
) -> None:
    for ticket_id in ("a", "bb"):
        await store.open_ticket(proposal(ticket_id), BEFORE)
    await store.open_ticket(proposal("ccc", expires_at=LONG_PAST), BEFORE)
    terminal = at_a_terminal("approve", "--state-dir", str(folder))
    for _ in range(2):
        terminal.until("> ")
        terminal.types("no")
    assert terminal.ends() == 0
    assert [await state_of(store, each) for each in ("a", "bb")] == [TicketState.DECLINED] * 2
    assert "BUY 3 MES" not in terminal.seen


def test_with_nothing_open_it_says_so(at_a_terminal: AtATerminal, folder: Path) -> None:
    terminal = at_a_terminal("approve", "--state-dir", str(folder))
    terminal.until("Nothing waits for your approval.")
    assert terminal.ends() == 0


async def test_watching_asks_as_proposals_come_and_ends_quietly(
    at_a_terminal: AtATerminal, folder: Path, store: SqliteStore
) -> None:
    terminal = at_a_terminal("approve", "--watch", "--state-dir", str(folder))
    terminal.until("Waiting for proposals.")
    for ticket_id in ("a", "bb"):
        await store.open_ticket(proposal(ticket_id), BEFORE)
        terminal.until(f"BUY {len(ticket_id)} MES")
        terminal.until("> ")
        terminal.types(PHRASE)
        terminal.until("Approved.")
        assert await state_of(store, ticket_id) is TicketState.APPROVED
    terminal.interrupts()
    assert terminal.ends() == 130
    assert "Traceback" not in terminal.seen


async def test_what_was_typed_before_a_question_was_shown_is_no_answer_to_it(
    at_a_terminal: AtATerminal, folder: Path, store: SqliteStore
) -> None:
    await store.open_ticket(proposal("a"), BEFORE)
    terminal = at_a_terminal("approve", "--watch", "--state-dir", str(folder))
    terminal.until("> ")
    terminal.types(f"{PHRASE}\n{PHRASE}")  # Enter seemed not to be taken, or what was pasted held two lines
    terminal.until("Approved.")
    await store.open_ticket(proposal("bb"), BEFORE)
    terminal.until("BUY 2 MES")
    terminal.until("> ")
    terminal.types("no")
    terminal.until("Declined.")
    assert await state_of(store, "bb") is TicketState.DECLINED
    terminal.interrupts()
    terminal.ends()


async def test_a_ticket_that_was_decided_elsewhere_meanwhile_is_not_asked_about(
    at_a_terminal: AtATerminal, folder: Path, store: SqliteStore
) -> None:
    for ticket_id in ("a", "bb"):
        await store.open_ticket(proposal(ticket_id), BEFORE)
    terminal = at_a_terminal("approve", "--state-dir", str(folder))
    terminal.until("> ")
    await store.decline_ticket("bb", "page", BEFORE)
    terminal.types("no")
    assert terminal.ends() == 0
    assert "BUY 2 MES" not in terminal.seen


async def test_ctrl_c_at_the_question_leaves_it_open(
    at_a_terminal: AtATerminal, folder: Path, store: SqliteStore
) -> None:
    await store.open_ticket(proposal("a"), BEFORE)
    terminal = at_a_terminal("approve", "--state-dir", str(folder))
    terminal.until("> ")
    terminal.interrupts()
    assert terminal.ends() == 130
    assert await state_of(store, "a") is TicketState.OPEN


async def test_what_was_decided_elsewhere_meanwhile_stays_decided(
    at_a_terminal: AtATerminal, folder: Path, store: SqliteStore
) -> None:
    await store.open_ticket(proposal("a"), BEFORE)
    terminal = at_a_terminal("approve", "--state-dir", str(folder))
    terminal.until("> ")
    await store.decline_ticket("a", "form", BEFORE)
    terminal.types(PHRASE)
    terminal.until("it was declined before, by form")
    assert terminal.ends() == 0
    assert await state_of(store, "a") is TicketState.DECLINED


async def test_a_ticket_that_needs_a_pin_is_approved_by_its_text_and_the_pin(
    at_a_terminal: AtATerminal, folder: Path, store: SqliteStore
) -> None:
    await set_pin(store, PIN, BEFORE)
    await store.open_ticket(proposal("a", approval=Approval.PAGE_PIN), BEFORE)
    terminal = at_a_terminal("approve", "--state-dir", str(folder))
    for typed, answered in (("0000", "That is not the PIN."), (PIN, "Approved.")):
        terminal.until("> ")
        terminal.types(PHRASE)
        terminal.until("PIN: ")
        assert await state_of(store, "a") is TicketState.OPEN
        terminal.types(typed)
        terminal.until(answered)
        assert typed not in terminal.seen
    assert terminal.ends() == 0
    assert await state_of(store, "a") is TicketState.APPROVED


async def test_the_pin_in_place_of_the_text_approves_nothing(
    at_a_terminal: AtATerminal, folder: Path, store: SqliteStore
) -> None:
    await set_pin(store, PIN, BEFORE)
    await store.open_ticket(proposal("a", approval=Approval.PAGE_PIN), BEFORE)
    terminal = at_a_terminal("approve", "--state-dir", str(folder))
    terminal.until("> ")
    terminal.types(PIN)
    terminal.until("That is not the text.")
    assert await state_of(store, "a") is TicketState.OPEN


async def test_a_locked_pin_leaves_the_ticket_open(
    at_a_terminal: AtATerminal, folder: Path, store: SqliteStore
) -> None:
    await set_pin(store, PIN, BEFORE)
    for _ in range(5):
        await try_pin(store, "wrong", datetime.now(UTC))
    await store.open_ticket(proposal("a", approval=Approval.PAGE_PIN), BEFORE)
    terminal = at_a_terminal("approve", "--state-dir", str(folder))
    terminal.until("> ")
    terminal.types(PHRASE)
    terminal.until("PIN: ")
    terminal.types(PIN)
    terminal.until("Too many wrong PINs")
    terminal.until("Left open.")
    assert terminal.ends() == 0
    assert await state_of(store, "a") is TicketState.OPEN


async def test_a_ticket_that_needs_a_pin_stays_open_while_none_is_set(
    at_a_terminal: AtATerminal, folder: Path, store: SqliteStore
) -> None:
    await store.open_ticket(proposal("a", approval=Approval.PAGE_PIN), BEFORE)
    terminal = at_a_terminal("approve", "--state-dir", str(folder))
    terminal.until("> ")
    terminal.types(PHRASE)
    terminal.until("set one with ct-mcp pin")
    terminal.until("Left open.")
    assert terminal.ends() == 0
    assert await state_of(store, "a") is TicketState.OPEN


async def test_the_second_no_halts_trading_and_says_so(
    at_a_terminal: AtATerminal, folder: Path, store: SqliteStore
) -> None:
    for ticket_id in ("a", "bb"):
        await store.open_ticket(proposal(ticket_id), BEFORE)
    terminal = at_a_terminal("approve", "--state-dir", str(folder))
    for _ in range(2):
        terminal.until("> ")
        terminal.types("no")
        terminal.until("Declined.")
    terminal.until("Trading is halted now: 2 proposals declined within")
    assert terminal.ends() == 0
    halt = await store.halt()
    assert halt is not None
    assert halt.by == "guard"


async def test_the_terminal_for_a_demo_looks_where_the_demo_keeps_its_tickets(
    at_a_terminal: AtATerminal, folder: Path
) -> None:
    store = SqliteStore(folder / "demo")
    await store.open_ticket(proposal("a"), BEFORE)
    terminal = at_a_terminal("approve", "--demo", "--state-dir", str(folder))
    terminal.until("> ")
    terminal.types(PHRASE)
    terminal.until("Approved.")
    assert terminal.ends() == 0
    await store.close()


async def test_a_client_without_forms_trades_after_the_yes_at_the_terminal(
    at_a_terminal: AtATerminal, environ: Mapping[str, str], folder: Path
) -> None:
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "ct_mcp", "serve", "--demo", "--state-dir", str(folder)],
        env=dict(environ),
    )
    order = {"account": "Sim101", "instrument": "MES", "action": "BUY", "quantity": 1, "order_type": "MARKET"}
    async with Client(server, read_timeout_seconds=60) as client:
        proposed = (await client.call_tool("place_order", order)).structured_content or {}
        assert (proposed["status"], proposed["sent"]) == ("needs_approval", False)
        terminal = at_a_terminal("approve", "--demo", "--state-dir", str(folder))
        terminal.until("To send it, type:")
        phrase = terminal.line()
        terminal.until("> ")
        terminal.types(phrase)
        terminal.until("Approved.")
        assert terminal.ends() == 0
        confirmed = await client.call_tool("confirm_ticket", {"ticket_id": proposed["ticket_id"]})
    assert (confirmed.structured_content or {})["status"] == "filled"
