"""``ct-mcp plane show``: the table of a team at a terminal, and the same for scripts."""

import json
from collections import Counter
from collections.abc import Iterator

from ct_mcp.cli.plane_access import AtThePlane
from ct_mcp.cli.screen import Screen
from ct_mcp.desk.team_view import SeenAccount, SeenMachine, TeamView, halt_words, read_team, team_table
from ct_mcp.domain.team import TeamHalt
from ct_mcp.text import count, iso, local_and_utc, sanitize, signed_money


async def tell_show(at: AtThePlane) -> int:
    """Show the table, or print it as JSON; 0 shown."""
    table = team_table(await read_team(at.team))
    if at.chosen.json:
        print(json.dumps(as_json(table), indent=2))
    else:
        show_table(table, at.screen)
    return 0


def show_table(table: TeamView, screen: Screen) -> None:
    """Draw a line for each account of each machine, and below, right above the prompt, what stands out."""
    if table.everybody is not None:
        screen.say(f"EVERYBODY: {halt_words(table.everybody)}, {local_and_utc(table.everybody.halt.at)}", "bad")
    if not table.machines:
        screen.say("The team has no trader yet. An administrator of the database makes one a member.")
        return
    head = ("trader", "mode", "account", "holds", "day's P&L", "heard")
    screen.table([head, *(row for machine in table.machines for row in _rows(machine))])
    screen.say()
    _show_remarks(table, screen)
    if versions := Counter(machine.version for machine in table.machines if machine.version):
        screen.say(", ".join(f"ct-mcp {version}: {count(number, 'machine')}" for version, number in versions.items()))
    told = (f"{number} {group}" for group, number in table.summary if number)
    screen.say(f"{table.head}: {', '.join(told)}.", "bold")


def _rows(machine: SeenMachine) -> Iterator[tuple[str, ...]]:
    heard = f"SILENT, {machine.heard}" if machine.silent and machine.heard_seconds is not None else machine.heard
    mode = machine.mode.upper() if machine.mode == "live" else machine.mode
    named = (machine.name, mode)
    for account in machine.accounts:
        yield (*named, _of(account), account.stands, signed_money(account.report.day_pnl), heard)
        named, heard = ("", ""), ""
    if not machine.accounts:
        yield (*named, "", "not known", "", heard)


def _of(account: SeenAccount) -> str:
    return f"{account.kind} {account.name}"


def _show_remarks(table: TeamView, screen: Screen) -> None:
    for machine in table.machines:
        for remark in machine.remarks_besides(table.everybody):
            screen.say(remark, "bad", label=f"  {machine.name}: ")


def as_json(table: TeamView) -> dict[str, object]:
    """Make of the table what a script reads; whatever is not known is null."""
    return {
        "as_of": iso(table.read_at),
        "your_role": table.role.value,
        "everybody_halted": _halt_json(table.everybody),
        "machines": [_machine_json(machine) for machine in table.machines],
    }


def _halt_json(halt: TeamHalt | None) -> dict[str, object] | None:
    if halt is None:
        return None
    said = sanitize(halt.halt.by, longest=63), sanitize(halt.halt.reason)
    return {"by": said[0], "at": iso(halt.halt.at), "reason": said[1]}


def _machine_json(machine: SeenMachine) -> dict[str, object]:
    return {
        "trader": machine.who,
        "machine": machine.machine or None,
        "version": machine.version or None,
        "mode": machine.mode or None,
        "heard_seconds_ago": machine.heard_seconds,
        "silent": machine.silent,
        "halted_at_the_plane": list(machine.halts),
        "halted_by_its_own_word": machine.says_halted or None,
        "unknown_outcomes": machine.unknown_outcomes if machine.machine else None,
        "policies_not_arrived": list(machine.not_arrived),
        "accounts": [_account_json(account) for account in machine.accounts],
    }


def _account_json(account: SeenAccount) -> dict[str, object]:
    report = account.report
    positions = (
        None if report.positions is None else [_position(one.instrument, one.contracts) for one in report.positions]
    )
    return {
        "account": account.name,
        "kind": report.kind.value,
        "stands": account.stands,
        "positions": positions,
        "working_orders": report.working_orders,
        "day_pnl": None if report.day_pnl is None else str(report.day_pnl),
        "armed_until": iso(report.armed_until),
        "over": list(account.over),
        "read_at": iso(report.read_at),
    }


def _position(instrument: str, contracts: int) -> dict[str, object]:
    return {"instrument": sanitize(instrument, longest=40), "contracts": contracts}
