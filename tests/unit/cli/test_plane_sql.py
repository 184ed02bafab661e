"""``ct-mcp plane sql``: what an administrator of a team's database runs."""

from argparse import Namespace

import pytest

from ct_mcp.cli.plane_sql import run
from ct_mcp.domain.team import TeamRole
from ct_mcp.store.plane_schema import member_script, plane_script


def chosen(**named: str) -> Namespace:
    return Namespace(**{"trader": None, "risk_manager": None, "remove": None, **named})


@pytest.mark.parametrize(
    ("named", "written"),
    [
        ({}, plane_script()),
        ({"trader": "alice"}, member_script("alice", TeamRole.TRADER)),
        ({"risk_manager": "rita"}, member_script("rita", TeamRole.RISK_MANAGER)),
        ({"remove": "alice"}, member_script("alice", None)),
    ],
    ids=["plane", "trader", "risk manager", "nobody any more"],
)
def test_what_an_administrator_runs_is_printed(
    capsys: pytest.CaptureFixture[str], named: dict[str, str], written: str
) -> None:
    assert run(chosen(**named)) == 0
    assert capsys.readouterr() == (written, "")
    assert "PASSWORD" not in written.replace("gets no password here", "").upper().replace(r"\PASSWORD", "")


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 64, "ct_mcp_plane"])
@pytest.mark.parametrize("kind", ["trader", "risk_manager", "remove"])
def test_what_can_be_no_role_is_refused(capsys: pytest.CaptureFixture[str], kind: str, name: str) -> None:
    assert run(chosen(**{kind: name})) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "expected the name of one role" in printed.err


def test_one_role_is_made_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(chosen(trader="alice", risk_manager="rita")) == 2
    assert capsys.readouterr().out == ""
