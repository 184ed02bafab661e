"""How a trader stands with the team: its last word, what it narrows, and what holds while it is silent."""

import json
import stat
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from ct_mcp.desk.membership import Membership
from ct_mcp.domain.approval import Approval
from ct_mcp.domain.team import TeamStanding
from ct_mcp.errors import Halted, NotInTeam, OrderDenied
from ct_mcp.guard.policy import Limits, Policy
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.store.team_file import TeamFile
from tests.planes import GONE, FakePlane, member

OWN = Policy(limits=Limits(max_order_contracts=5), simulated=Approval.NONE)
GRACE = "[limits]\nmax_order_contracts = 2\n[team]\ngrace_seconds = 60"


class SetClock:
    """A clock that somebody sets, also back."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock, self.behind = clock, timedelta()

    def __call__(self) -> object:
        return self.clock() - self.behind


@pytest.fixture
def plane(clock: ManualClock) -> FakePlane:
    """A team."""
    return FakePlane(clock)


@pytest.fixture
def team(plane: FakePlane, tmp_path: Path) -> Membership:
    """A trader of it."""
    return member(OWN, plane, tmp_path)


def grace_left(standing: TeamStanding | None, now: object) -> float | None:
    """Seconds of grace; None where nothing opens, or where the plane answers."""
    assert standing is not None
    assert standing.lost is not None
    return None if standing.lost.is_over(now) else (standing.lost.grace_until - now).total_seconds()  # type: ignore[operator, arg-type]


async def test_without_a_team_the_own_policy_holds_and_nobody_is_asked(clock: ManualClock) -> None:
    alone = Membership(OWN, clock)
    assert await alone.hear() is None
    assert alone.policy is OWN
    await alone.last_look(None)
    await alone.close()


async def test_before_anything_was_heard_nothing_opens(team: Membership, clock: ManualClock) -> None:
    assert team.standing is not None
    assert team.standing.lost is not None
    assert team.standing.lost.is_over(clock())
    assert team.standing.lost.why == "it has not been asked yet"


async def test_the_last_word_narrows_and_another_takes_its_place(team: Membership, plane: FakePlane) -> None:
    plane.set(GRACE)
    plane.set("[limits]\nmax_order_contracts = 1", "alice")
    await team.hear()
    assert team.policy.limits.max_order_contracts == 1
    assert team.policy.team.numbers == (1, 2)
    plane.set("", "alice")
    await team.hear()
    assert team.policy.limits.max_order_contracts == 2


async def test_whoever_watches_hears_of_a_change_and_of_nothing_else(team: Membership, plane: FakePlane) -> None:
    heard: list[str] = []
    team.on_change.append(lambda: heard.append("change"))
    for does in (None, plane.halt, None, plane.resume, lambda: plane.set(GRACE), None):
        if does is not None:
            does()
        await team.hear()
    assert len(heard) == 4, "the first word, a halt, its end, a policy"


@pytest.mark.parametrize("how", ["fails", "hangs", "breaks"])
async def test_a_plane_that_does_not_answer_is_lost_and_grace_begins_with_its_last_word(
    team: Membership, plane: FakePlane, clock: ManualClock, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ct_mcp.desk.membership.WORD_WITHIN_SECONDS", 0.01)
    plane.set(GRACE)
    await team.hear()
    clock.advance(20)
    plane.fails = GONE if how == "fails" else None
    plane.hangs = how == "hangs"
    plane.meanwhile = [lambda: 1 // 0] if how == "breaks" else []
    assert grace_left(await team.hear(), clock()) == 40
    clock.advance(40)
    assert grace_left(team.standing, clock()) is None
    assert team.policy.limits.max_order_contracts == 2, "its last word holds"


async def test_who_is_no_member_has_no_grace(team: Membership, plane: FakePlane, clock: ManualClock) -> None:
    plane.set(GRACE)
    await team.hear()
    plane.fails = NotInTeam("alice is no member of this team")
    assert grace_left(await team.hear(), clock()) is None


async def test_a_clock_that_is_set_back_ends_the_grace(plane: FakePlane, tmp_path: Path, clock: ManualClock) -> None:
    plane.set(GRACE)
    plane.clock = SetClock(clock)  # type: ignore[assignment]  # of the same kind
    team = member(OWN, plane, tmp_path)
    await team.hear()
    plane.fails = GONE
    clock.advance(50)
    await team.hear()
    plane.clock.behind = timedelta(seconds=40)  # type: ignore[attr-defined]
    for started_anew in (team, member(OWN, plane, tmp_path)):
        assert grace_left(await started_anew.hear(), plane.clock()) is None
    plane.clock.behind = timedelta(seconds=2)  # type: ignore[attr-defined]
    assert grace_left(await team.hear(), plane.clock()) == 12, "a little is no setting back"


async def test_a_restart_forgets_neither_halt_nor_policy_and_gains_no_time(
    team: Membership, plane: FakePlane, clock: ManualClock, tmp_path: Path
) -> None:
    plane.set(GRACE)
    plane.halt("enough")
    await team.hear()
    plane.fails = GONE
    clock.advance(50)
    anew = member(OWN, plane, tmp_path)
    standing = await anew.hear()
    assert standing is not None
    assert standing.halt is not None
    assert standing.halt.reason == "enough"
    assert anew.policy.limits.max_order_contracts == 2
    assert grace_left(standing, clock()) == 10


async def test_a_process_that_is_cut_off_does_not_put_its_older_word_over_that_of_another(
    team: Membership, plane: FakePlane, clock: ManualClock, tmp_path: Path
) -> None:
    plane.set(GRACE)
    await team.hear()
    clock.advance(10)
    plane.halt("enough")
    await member(OWN, plane, tmp_path).hear()
    clock.advance(10)
    plane.fails = GONE
    await team.hear()
    kept = TeamFile(tmp_path, "the plane").read()
    assert kept is not None
    assert [each.halt.reason for each in kept.word.halts] == ["enough"]
    assert kept.seen_at == clock()


async def test_what_another_plane_said_is_no_word_of_this_one(plane: FakePlane, tmp_path: Path) -> None:
    plane.set(GRACE)
    await member(OWN, plane, tmp_path).hear()
    assert TeamFile(tmp_path, "the plane").read() is not None
    assert TeamFile(tmp_path, "another").read() is None


@pytest.mark.skipif(sys.platform == "win32", reason="the folder says whose it is")
async def test_the_file_is_for_its_owner_alone_and_believed_only_then(plane: FakePlane, tmp_path: Path) -> None:
    plane.set(GRACE)
    await member(OWN, plane, tmp_path).hear()
    file = TeamFile(tmp_path, "the plane").path
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    assert TeamFile(tmp_path, "the plane").read() is None


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"heard_at": 1}', json.dumps({"halts": 3})])
def test_a_file_that_is_not_ours_is_none(tmp_path: Path, text: str) -> None:
    file = TeamFile(tmp_path, "the plane")
    file.path.write_text(text, encoding="utf-8")
    file.path.chmod(0o600)
    assert file.read() is None


async def test_the_last_look_lets_nothing_pass_that_was_not_so_when_it_was_reviewed(
    team: Membership, plane: FakePlane
) -> None:
    seen = await team.hear()
    await team.last_look(seen)
    plane.set(GRACE)
    with pytest.raises(OrderDenied, match="another policy"):
        await team.last_look(seen)
    plane.halt()
    with pytest.raises(Halted, match="by=bob of the team"):
        await team.last_look(await team.hear())
    plane.resume()
    plane.set("[team]\ngrace_seconds = 0")
    seen = await team.hear()
    plane.fails = GONE
    with pytest.raises(OrderDenied, match="PLANE_OUT_OF_REACH"):
        await team.last_look(seen)


async def test_whoever_only_shows_something_takes_what_was_heard_a_moment_ago(
    team: Membership, plane: FakePlane, clock: ManualClock
) -> None:
    await team.hear()
    await team.hear(2.0)
    assert plane.times_asked == 1
    clock.advance(3)
    await team.hear(2.0)
    assert plane.times_asked == 2
