"""``ct-mcp floor``: only a person at a terminal tells where a floor stands. ``ct-mcp rules``: anybody reads them."""

import subprocess
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ct_mcp.cli.floor import rules_of
from ct_mcp.cli.runtime import utc_now
from ct_mcp.cli.team import policy_in_force
from ct_mcp.config.presets import load_preset, preset_names
from ct_mcp.config.settings import Settings
from ct_mcp.domain.team import EVERYBODY, TeamPolicy, TeamWord
from ct_mcp.errors import ConfigError
from ct_mcp.guard.firm_policy import DayLossEnds, Drawdown, DrawdownKind
from ct_mcp.store.journal import EntryKind
from ct_mcp.store.postgres_url import PostgresUrl
from ct_mcp.store.sqlite import SqliteStore
from ct_mcp.store.team_file import Heard, TeamFile
from tests.postgres import free_port

CtMcp = Callable[..., subprocess.CompletedProcess[str]]
AtATerminal = Callable[..., Any]
SETTINGS = """
[accounts.Sim101]
firm = "apex-50k-eod"
[accounts.Sim102.rules]
profit_lock = 500
[accounts.Sim104.rules]
day_loss_ends = "account"
"""


@pytest.fixture
def places(tmp_path: Path) -> tuple[str, ...]:
    """The flags that lead to the embedded simulator and to settings with rules for one account."""
    file = tmp_path / "settings.toml"
    file.write_text(SETTINGS, encoding="utf-8")
    return ("--demo", "--state-dir", str(tmp_path / "state"), "--config", str(file))


OF_A_TEAM = """
[accounts.Sim101.rules]
drawdown = "end_of_day"
drawdown_amount = 2000
start_balance = 50000
day_loss_ends = "account"
"""


async def test_a_floor_that_the_team_wants_told_is_taken_also_while_its_plane_does_not_answer(tmp_path: Path) -> None:
    policy, at = TeamPolicy(1, EVERYBODY, OF_A_TEAM, "rita", utc_now()), PostgresUrl("a", "b", "127.0.0.1", free_port())
    state = tmp_path / "state"
    TeamFile(state, str(at)).keep(Heard(TeamWord(policies=(policy,)), utc_now(), utc_now()))
    wanted = rules_of("sim101", await policy_in_force(Settings(state, plane=at)))
    assert wanted.drawdown == Drawdown(DrawdownKind.END_OF_DAY, Decimal(2000), Decimal(50_000))
    assert wanted.day_loss_ends is DayLossEnds.ACCOUNT
    with pytest.raises(ConfigError, match="there is nothing to tell"):
        rules_of("sim101", await policy_in_force(Settings(state)))


@pytest.mark.parametrize(("typed", "is_kept"), [("Sim101", True), ("sim101", False), ("", False)])
async def test_the_person_sees_what_is_on_record_and_types_the_name(
    at_a_terminal: AtATerminal, tmp_path: Path, places: tuple[str, ...], typed: str, is_kept: bool
) -> None:
    terminal = at_a_terminal("floor", "Sim101", "98,000", *places)
    terminal.until("floor as you tell it")
    terminal.until("floor by our own record")
    terminal.until("type the name of the account again")
    terminal.until("> ")
    terminal.types(typed)
    terminal.until("Kept: the floor stands at 98,000.00" if is_kept else "Nothing was changed.")
    assert terminal.ends() == (0 if is_kept else 1)
    store = SqliteStore(tmp_path / "state" / "demo")
    told = (await store.balance_record("Sim101")).told
    assert (told is not None and told.amount == Decimal(98_000)) is is_kept
    assert [entry.kind for entry in await store.entries(9)] == [EntryKind.FLOOR_TOLD] * is_kept
    await store.close()


async def test_a_floor_below_the_first_one_is_of_another_plan(
    at_a_terminal: AtATerminal, places: tuple[str, ...]
) -> None:
    terminal = at_a_terminal("floor", "Sim101", "47999", *places)
    terminal.until("A floor of 47,999.00 is below 50,000.00 less 2,000.00")
    assert terminal.ends() == 1


@pytest.fixture
def ends_by_a_day_s_loss(places: tuple[str, ...]) -> tuple[str, ...]:
    """The same, of an account without a floor that a day's loss ends."""
    Path(places[-1]).write_text('[accounts.Sim101.rules]\nday_loss_ends = "account"\n', encoding="utf-8")
    return places


async def test_an_account_that_a_day_s_loss_has_ended_begins_anew_with_the_floor_that_is_told(
    at_a_terminal: AtATerminal, tmp_path: Path, ends_by_a_day_s_loss: tuple[str, ...]
) -> None:
    store = SqliteStore(tmp_path / "state" / "demo")
    await store.mark_day_loss("Sim101", date(2026, 1, 5), Decimal(-501), datetime(2026, 1, 5, 15, tzinfo=UTC))
    terminal = at_a_terminal("floor", "Sim101", "98000", *ends_by_a_day_s_loss)
    terminal.until("Ended by the loss of 2026-01-05; this begins it anew.")
    terminal.until("> ")
    terminal.types("Sim101")
    terminal.until("Kept: the floor stands at 98,000.00")
    assert terminal.ends() == 0
    assert (await store.balance_record("Sim101")).lost_since_told is None
    await store.close()


@pytest.mark.parametrize("account", ["Sim102", "Sim103"])
def test_where_no_floor_trails_there_is_nothing_to_tell(
    at_a_terminal: AtATerminal, places: tuple[str, ...], account: str
) -> None:
    terminal = at_a_terminal("floor", account, "48000", *places)
    terminal.until(f"No rule for {account} has a floor that trails")
    assert terminal.ends() == 2


@pytest.mark.parametrize("amount", ["much", "0", "NaN", "48000.001", "1e12"])
def test_an_amount_is_a_plain_figure(at_a_terminal: AtATerminal, places: tuple[str, ...], amount: str) -> None:
    terminal = at_a_terminal("floor", "Sim101", amount, *places)
    terminal.until("expected the floor in account currency")
    assert terminal.ends() == 2


async def test_a_pipe_tells_no_floor(ct_mcp: CtMcp, tmp_path: Path, places: tuple[str, ...]) -> None:
    assert ct_mcp("floor", "Sim101", "98000", *places, given="Sim101\n").returncode == 2
    store = SqliteStore(tmp_path / "state" / "demo")
    assert (await store.balance_record("Sim101")).told is None
    await store.close()


def test_the_presets_are_listed_with_their_dates(ct_mcp: CtMcp, places: tuple[str, ...]) -> None:
    shown = " ".join(ct_mcp("rules", *places).stdout.split())
    assert "Days that end early are known until 2027-12-31, by a table of 2026-11-30" in shown
    for name in preset_names():
        assert f"preset {name} of {load_preset(name).preset.checked}" in shown
    assert "Sim101 has preset apex-50k-eod" in shown
    assert "Sim102 has own figures alone." in shown
    assert "Sim104 has own figures alone; reaching its day's loss ends the account." in shown
    assert "None of this says that an account is within its firm's rules." in shown


@pytest.mark.parametrize("name", preset_names())
def test_one_preset_is_shown_with_every_figure_its_source_and_its_doubts(ct_mcp: CtMcp, name: str) -> None:
    shown = " ".join(ct_mcp("rules", name).stdout.split())
    preset = load_preset(name).preset
    for figure in preset.figures:
        assert f"{figure.name} = {figure.value}" in shown
        assert f"source: {figure.source}; looked up {figure.checked}" in shown
        assert figure.doubt in shown
    for line in (*preset.doubts, *preset.unheld):
        assert line in shown


def test_what_is_no_preset_is_told_with_those_that_are(ct_mcp: CtMcp) -> None:
    found = ct_mcp("rules", "topstep")
    assert found.returncode == 1
    assert "There is no preset 'topstep'. There are: apex-50k-eod" in found.stderr
