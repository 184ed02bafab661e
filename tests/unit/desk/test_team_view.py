"""The table of a team: what is told of each machine, and that nothing is told as what is which was only heard once."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from ct_mcp.desk.team import in_force, is_phrase, phrase_of, waiting
from ct_mcp.desk.team_view import SeenMachine, TeamGroup, TeamView, act_words, changes, read_team, team_table
from ct_mcp.domain.account import AccountKind
from ct_mcp.domain.approval import Halt
from ct_mcp.domain.team import (
    EVERYBODY,
    Member,
    PlaneEntry,
    SecondState,
    SeenTrader,
    TeamHalt,
    TeamPolicy,
    TeamRole,
    TraderReport,
)
from tests.team import NOW, RISK, FakeTeam, account, asked, report, seen

HIDDEN = "\x1b[31mred\u202e"


async def table_of(*heard: SeenTrader, team: FakeTeam | None = None) -> TeamView:
    """The table of a team of whom these were heard."""
    team = team or FakeTeam()
    team.heard = list(heard)
    return team_table(await read_team(team))


async def one(told: SeenTrader, team: FakeTeam | None = None) -> SeenMachine:
    """The one line of it."""
    (machine,) = (await table_of(told, team=team)).machines
    return machine


async def stands(**how: object) -> str:
    """What is said of an account that was heard of a moment ago."""
    return (await one(seen("alice", report(account(**how))))).accounts[0].stands  # type: ignore[arg-type]


async def test_what_is_held_is_told_signed_and_flat_only_where_it_was_read_so() -> None:
    assert await stands(held=[("MES 12-26", 2), ("NQ 12-26", -1)]) == "+2 MES 12-26, -1 NQ 12-26"
    assert await stands(held=()) == "flat"
    assert await stands(held=None) == "not known"
    assert await stands(held=(), working=2) == "flat, 2 orders working"
    assert await stands(held=(), working=None) == "flat, orders not known"


async def test_what_was_read_long_ago_is_told_as_old_and_counts_as_not_known() -> None:
    old = account(read_at=NOW - timedelta(minutes=12))
    machine = await one(seen("alice", report(old)))
    assert machine.accounts[0].stands == "flat when read 12 min ago"
    assert machine.held is None
    never = await one(seen("alice", report(account(read_at=None))))
    assert (never.accounts[0].stands, never.held) == ("flat when read last", None)


@pytest.mark.parametrize(("ago", "is_silent"), [(0, False), (30, False), (31, True), (90000, True), (-5, False)])
async def test_who_was_not_heard_for_half_a_minute_is_silent(ago: float, is_silent: bool) -> None:
    machine = await one(seen("alice", ago=ago))
    assert machine.silent is is_silent
    assert machine.held is (None if is_silent else False)
    assert any("silent" in remark for remark in machine.remarks) is is_silent


async def test_a_trader_who_was_never_heard_has_a_line_that_says_so() -> None:
    (alice,) = (await table_of()).machines
    assert (alice.trader, alice.heard, alice.silent, alice.held) == ("alice", "never heard", True, None)
    assert alice.remarks == ("never heard",)


async def test_a_report_that_cannot_be_read_hides_neither_the_machine_nor_the_others() -> None:
    table = await table_of(SeenTrader("alice", "laptop", None, NOW), seen("alice", machine="desk"))
    assert [machine.machine for machine in table.machines] == ["desk", "laptop"]
    assert "cannot be read here" in table.machines[1].remarks[0]
    assert table.machines[1].held is None


async def test_each_halt_is_told_with_who_set_it_and_that_of_everybody_once() -> None:
    team = FakeTeam(standing=[TeamHalt(EVERYBODY, Halt(RISK, NOW, "fomc")), TeamHalt("alice", Halt(RISK, NOW, "tilt"))])
    table = await table_of(seen("alice", report(halted="by the person: lunch")), team=team)
    (alice,) = table.machines
    assert alice.is_halted
    assert alice.remarks_besides(table.everybody) == (
        "halted at the plane (alice) by risk: tilt",
        "its machine says: halted by the person: lunch",
    )
    assert "halted at the plane (everybody) by risk: fomc" in alice.remarks


async def test_a_halt_of_everybody_alone_makes_nobody_stand_out() -> None:
    team = FakeTeam(standing=[TeamHalt(EVERYBODY, Halt(RISK, NOW, "fomc"))])
    table = await table_of(seen("alice"), team=team)
    assert table.machines[0].is_halted
    assert not table.machines[0].stands_out(table.everybody)


async def test_rules_that_stand_in_the_way_and_unknown_outcomes_are_told_first() -> None:
    told = report(account(over=("DAY_LOSS_REACHED",)), unknown=2)
    assert (await one(seen("alice", told))).remarks == (
        "unknown outcome: 2 orders",
        "over DAY_LOSS_REACHED (Sim101)",
    )


async def test_a_policy_that_a_machine_does_not_go_by_yet_is_named() -> None:
    set_so_far = [
        TeamPolicy(number, whose, "mode = 'sim'", RISK, NOW) for number, whose in [(1, ""), (2, "alice"), (3, "")]
    ]
    team = FakeTeam(set_so_far=set_so_far)
    machine = await one(seen("alice", replace(report(), policies=(2,))), team)
    assert machine.not_arrived == (3,)
    assert machine.remarks == ("does not go by policy #3 yet",)
    assert (await one(seen("alice", replace(report(), policies=(2, 3))), team)).not_arrived == ()


async def test_each_group_counts_and_picks_its_machines() -> None:
    team = FakeTeam(people=[Member(name, TeamRole.TRADER) for name in ("a", "b", "c")])
    table = await table_of(seen("a", report(account(held=[("MES 12-26", 1)]))), seen("b", ago=100), team=team)
    counted = dict(table.summary)
    assert counted[TeamGroup.HOLD] == 1
    assert counted[TeamGroup.FLAT] == 0
    assert counted[TeamGroup.NOT_KNOWN] == counted[TeamGroup.SILENT] == 2
    assert [machine.trader for machine in table.of(TeamGroup.SILENT)] == ["b", "c"]
    assert table.head == "3 traders"


async def test_nothing_that_others_named_repaints_what_is_read() -> None:
    told = TraderReport(f"desk{HIDDEN}", HIDDEN, HIDDEN, HIDDEN, 0, (), (account(HIDDEN, over=(HIDDEN,)),))
    machine = await one(SeenTrader(f"alice{HIDDEN}", f"desk{HIDDEN}", told, NOW), FakeTeam(people=[]))
    shown = (
        machine.name,
        machine.mode,
        machine.version,
        machine.says_halted,
        *machine.remarks,
        machine.accounts[0].name,
    )
    assert all(text.isprintable() for text in shown)
    assert machine.trader == f"alice{HIDDEN}"


async def test_day_and_kind_of_each_account_are_told_and_never_added_up() -> None:
    live = account("APEX", kind=AccountKind.LIVE, pnl=Decimal("-5"))
    replay = account("Playback101", kind=AccountKind.REPLAY, pnl=None)
    machine = await one(seen("alice", report(live, replay)))
    assert [(each.kind, each.report.day_pnl) for each in machine.accounts] == [("LIVE", Decimal("-5")), ("SIM", None)]


def test_the_newest_policy_counts_and_one_that_was_cleared_is_none() -> None:
    policies = [
        TeamPolicy(number, whose, text, RISK, NOW)
        for number, whose, text in [(3, "a", " \n"), (2, "", "x"), (1, "a", "y")]
    ]
    assert in_force(policies) == {"": policies[1]}


def test_what_changes_is_told_line_by_line() -> None:
    assert changes("a\n\nb\n", "a\n\nc\n") == ("  a", "", "- b", "+ c")
    assert changes("", "x") == ("+ x",)
    assert changes("x", "") == ("- x",)
    assert changes("x\n\ny", "x\n\ny") == ("  x", "", "  y")


def test_only_what_is_neither_answered_nor_over_waits_the_oldest_first() -> None:
    first, later = asked(ticket_id="t-1"), asked(ticket_id="t-2")
    later = replace(later, question=replace(later.question, asked_at=NOW))
    over = replace(first, question=replace(first.question, expires_at=NOW))
    said = replace(first, answer=replace(first.answer, state=SecondState.DECLINED))
    assert waiting([later, over, said, first], NOW) == (first, later)


@pytest.mark.parametrize("typed", ["alice AB12", "  ALICE   ab12 "])
def test_the_phrase_of_a_second_yes_names_whose_order_and_which(typed: str) -> None:
    assert phrase_of(asked()) == "alice AB12"
    assert is_phrase(asked(), typed)


@pytest.mark.parametrize("typed", ["", None, "yes", "alice", "AB12", "alice AB13", "bob AB12"])
def test_anything_else_is_no_second_yes(typed: str | None) -> None:
    assert not is_phrase(asked(), typed)


@pytest.mark.parametrize(
    ("act", "trader", "detail", "words"),
    [
        ("halted", "", '{"reason": "fomc"}', "risk halted everybody: fomc"),
        (
            "second_yes",
            "alice",
            '{"lines": ["Risk 100"], "headline": "BUY 2 MES", "ticket_id": "t-1", "fingerprint": "ab"}',
            "risk said the second yes for alice: BUY 2 MES; ticket t-1",
        ),
        ("policy_set", "alice", '{"number": 3, "sha256": "ab"}', "risk set the policy of alice: #3"),
        ("member_added", "alice", '{"role": "trader"}', "risk made a member of alice: as trader"),
        ("something_newer", "alice", '{"what": 1}', "risk something_newer alice: what: 1"),
        ("something_new", "", "no JSON", "risk something_new: no JSON"),
        ("resumed", "alice", "", "risk resumed alice"),
    ],
)
def test_an_act_is_told_in_words(act: str, trader: str, detail: str, words: str) -> None:
    assert act_words(PlaneEntry(1, NOW, RISK, act, trader, detail, "", "")) == words
