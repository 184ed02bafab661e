"""``ct-mcp check``: which link is broken, whether the service has drifted, and what scripts and persons are told."""

import json
import subprocess
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from email.utils import format_datetime
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest

from ct_mcp.cli.check import CheckEnvironment, check_links
from ct_mcp.cli.check_report import CheckReport, as_json, show_report, stream_finding
from ct_mcp.cli.runtime import store_of
from ct_mcp.cli.screen import Screen
from ct_mcp.config.settings import Settings
from ct_mcp.config.sources import Secret
from ct_mcp.desk.request_budget import SharedBudget
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.rate_limit_file import FILE_NAME, RateLimitFile

TOKEN = "a-token-that-must-never-be-seen"
ACCOUNT = "/v1/api/accounts/{account}"
UPSTREAM = ["CrossTrade", "token", "plan", "add-on", "NinjaTrader"]

Json = Any
CtMcp = Callable[..., subprocess.CompletedProcess[str]]
Check = Callable[..., Awaitable[CheckReport]]


class Altered(httpx.AsyncBaseTransport):
    """The simulator with some of its answers altered, by the end of their path, and with headers of ours."""

    def __init__(
        self, sim: Simulator, headers: Callable[[], dict[str, str]] = dict, /, **edits: Callable[[Json], Json]
    ):
        self._inner = sim.transport()
        self._headers = headers
        self._edits = edits

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass the request on, and edit the answer."""
        response = await self._inner.handle_async_request(request)
        body = await response.aread()
        name = request.url.path.rpartition("/")[2].replace(".", "_")
        if response.status_code == 200 and name in self._edits:
            body = json.dumps(self._edits[name](json.loads(body))).encode()
        return httpx.Response(response.status_code, content=body, headers=self._headers())


@pytest.fixture
def check(sim: Simulator, clock: ManualClock, pause: Callable[[float], Awaitable[None]], tmp_path: Path) -> Check:
    """Walk the links to the simulator, or over an altered transport, or by another clock of ours."""

    async def walk(
        transport: httpx.AsyncBaseTransport | None = None, ours: Callable[[], datetime] = clock, token: str = TOKEN
    ) -> CheckReport:
        settings = Settings(tmp_path, base_url="https://simulator.invalid", token=Secret(token) if token else None)
        return await check_links(settings, CheckEnvironment(transport or sim.transport(), ours, pause))

    return walk


def states(report: CheckReport) -> dict[str, str]:
    return {finding.link.name: finding.link.state for finding in report.findings}


def of(report: CheckReport, name: str) -> tuple[str, str, str]:
    """State, reason and next step of one link."""
    (found,) = (finding for finding in report.findings if finding.link.name == name)
    return found.link.state, found.link.why, found.next_step


def shown(report: CheckReport) -> str:
    out = StringIO()
    show_report(report, Screen(out, width=80))
    return out.getvalue()


# All well


async def test_against_the_simulator_every_link_holds_and_nothing_has_drifted(check: Check) -> None:
    report = await check()
    links = [*UPSTREAM, "broker of Sim101", "broker of APEX-482910", "market data", "clock", "request budget"]
    assert states(report) == {**dict.fromkeys([*links, "_endpoints", "openapi.json"], "ok"), "stream": "unknown"}
    assert report.drift is not None
    assert (report.drift.differences, report.exit_code) == ((), 0)


async def test_a_check_only_reads_and_opens_no_stream(check: Check, sim: Simulator) -> None:
    assert of(await check(), "stream")[1:] == (
        "on; not tried here, since it would end the stream of another program",
        "",
    )
    assert {request.method for request in sim.requests} == {"GET"}


# Drift


def without(rpc: str, listed: Json) -> Json:
    return {"success": True, "endpoints": [row for row in listed["endpoints"] if row["rpc"] != rpc]}


def three_planted(listed: Json) -> Json:
    """Flatten is gone, ClosePosition has moved, Hedge is there."""
    rows = without("Flatten", listed)["endpoints"]
    for row in rows:
        if row["rpc"] == "ClosePosition":
            row["path"] = f"{ACCOUNT}/position/close"
    return {"success": True, "endpoints": [*rows, {"rpc": "Hedge", "method": "POST", "path": f"{ACCOUNT}/hedge"}]}


def three_described(document: Json) -> Json:
    """The same three in the other document."""
    paths = document["paths"]
    del paths[f"{ACCOUNT}/positions/flatten"]
    paths[f"{ACCOUNT}/position/close"] = paths.pop(f"{ACCOUNT}/positions/close")
    paths[f"{ACCOUNT}/hedge"] = {"post": {"operationId": "Hedge"}}
    return document


PLANTED = [
    ("missing", "Flatten", f"POST {ACCOUNT}/positions/flatten", ""),
    ("changed", "ClosePosition", f"POST {ACCOUNT}/positions/close", f"POST {ACCOUNT}/position/close"),
    ("new", "Hedge", "", f"POST {ACCOUNT}/hedge"),
]


def differences(report: CheckReport) -> list[tuple[str, str, str, str]]:
    assert report.drift is not None
    return [(each.kind, each.name, each.ours, each.theirs) for each in report.drift.differences]


async def test_three_planted_differences_are_found_and_no_more(check: Check, sim: Simulator) -> None:
    report = await check(Altered(sim, _endpoints=three_planted, openapi_json=three_described))
    assert differences(report) == PLANTED
    assert report.drift is not None
    assert {each.seen_in for each in report.drift.differences} == {("_endpoints", "openapi.json")}
    assert report.exit_code == 3


@pytest.mark.parametrize(
    ("document", "edit"), [("_endpoints", three_planted), ("openapi.json", three_described)], ids=["list", "openapi"]
)
async def test_what_only_one_document_says_is_found_too(
    check: Check, sim: Simulator, document: str, edit: Callable[[Json], Json]
) -> None:
    report = await check(Altered(sim, **{document.replace(".", "_"): edit}))
    assert differences(report) == PLANTED
    assert report.drift is not None
    assert {each.seen_in for each in report.drift.differences} == {(document,)}


async def test_routes_of_other_products_are_counted_and_are_no_drift(check: Check, sim: Simulator) -> None:
    def with_others(listed: Json) -> Json:
        others = [("GET", "/v1/api/tv/accounts"), ("POST", "/v1/api/mcp")]
        rows = [{"rpc": "ListAccounts", "method": method, "path": path} for method, path in others]
        return {"success": True, "endpoints": [*listed["endpoints"], *rows]}

    report = await check(Altered(sim, _endpoints=with_others))
    assert report.drift is not None
    assert (report.drift.differences, report.drift.elsewhere, report.exit_code) == ((), 2, 0)
    assert "2 routes of other products" in shown(report)


# Links


@pytest.mark.parametrize(
    ("fault", "broken", "step"),
    [
        (Fault.CONNECT_REFUSED, "CrossTrade", "see that this computer reaches the address"),
        (Fault.HTML_PAGE, "CrossTrade", "look for a newer version"),
        (Fault.UNAUTHORIZED, "token", "set CROSSTRADE_TOKEN"),
        (Fault.FORBIDDEN, "plan", "choose a plan"),
        (Fault.ADDON_OFFLINE, "add-on", "start NinjaTrader 8"),
    ],
)
async def test_the_first_broken_link_is_found_with_what_to_do(
    check: Check, sim: Simulator, fault: Fault, broken: str, step: str
) -> None:
    sim.faults.arm(fault, rpc="ListAccounts")
    report = await check()
    place = UPSTREAM.index(broken)
    found = states(report)
    assert [found[name] for name in UPSTREAM] == ["ok"] * place + ["broken"] + ["unknown"] * (4 - place)
    assert [finding.link.name for finding in report.broken] == [broken]
    assert step in of(report, broken)[2]
    assert report.exit_code == 1


async def test_a_refused_token_is_not_shown_to_the_service_again(check: Check, sim: Simulator) -> None:
    report = await check(token="another-token-that-is-wrong")
    assert [request.path for request in sim.requests] == ["/v1/api/accounts"]
    assert (states(report)["token"], states(report)["market data"], report.drift) == ("broken", "unknown", None)
    assert "not compared" in shown(report)


async def test_without_a_token_nothing_is_asked_and_the_token_is_what_is_missing(check: Check, sim: Simulator) -> None:
    report = await check(token="")
    assert (list(sim.requests), report.exit_code) == ([], 1)
    assert [finding.link.name for finding in report.broken] == ["token"]
    assert "there is no token" in of(report, "token")[1]


async def test_a_broken_link_comes_before_drift_and_the_drift_is_told_all_the_same(
    check: Check, sim: Simulator
) -> None:
    sim.faults.arm(Fault.ADDON_OFFLINE)
    report = await check(Altered(sim, _endpoints=three_planted, openapi_json=three_described))
    assert (differences(report), report.exit_code) == (PLANTED, 1)
    assert "1 link to mend; 3 routes differ." in " ".join(shown(report).split())


async def test_being_slowed_down_from_the_start_says_to_wait(check: Check, sim: Simulator) -> None:
    sim.faults.arm(Fault.RATE_LIMITED)
    report = await check()
    assert (of(report, "token")[0], report.exit_code) == ("unknown", 1)
    assert "wait a minute" in of(report, "token")[2]


def accounts_where(**values: object) -> Callable[[Json], Json]:
    """The list of accounts with the first of them changed."""

    def edit(answer: Json) -> Json:
        answer["accounts"][0] |= values
        return answer

    return edit


async def test_an_account_that_is_not_connected_is_named_with_what_to_do(check: Check, sim: Simulator) -> None:
    report = await check(Altered(sim, accounts=accounts_where(connectionStatus="Disconnected")))
    assert of(report, "broker of Sim101") == (
        "broken",
        "NinjaTrader says Disconnected",
        "connect Sim101 in NinjaTrader's Control Center, then run ct-mcp check again",
    )
    assert (states(report)["broker of APEX-482910"], report.exit_code) == ("ok", 1)


async def test_the_account_of_the_replay_need_not_be_connected(check: Check, sim: Simulator) -> None:
    report = await check(Altered(sim, accounts=accounts_where(name="Playback101", connectionStatus="Disconnected")))
    assert (states(report)["broker of Playback101"], report.broken) == ("off", ())


async def test_a_connection_that_the_list_does_not_tell_is_taken_from_the_summary(check: Check, sim: Simulator) -> None:
    report = await check(Altered(sim, accounts=accounts_where(connectionStatus=None)))
    assert states(report)["broker of Sim101"] == "ok"
    assert [request.rpc for request in sim.requests].count("GetAccountSummary") == 1


async def test_a_connection_that_nobody_tells_is_unknown_and_nothing_to_mend(check: Check, sim: Simulator) -> None:
    sim.faults.arm(Fault.BAD_GATEWAY, rpc="GetAccountSummary")
    report = await check(Altered(sim, accounts=accounts_where(connectionStatus=None)))
    assert (states(report)["broker of Sim101"], report.broken) == ("unknown", ())


# Market data


async def test_an_old_quote_of_an_open_market_is_a_broken_link(
    check: Check, sim: Simulator, clock: ManualClock
) -> None:
    sim.faults.arm(Fault.STALE_QUOTE)
    await check()
    clock.advance(60)
    state, why, step = of(await check(), "market data")
    assert (state, "60 s old" in why, "10 s at most" in why) == ("broken", True, True)
    assert "feed" in step


async def test_an_old_quote_of_a_closed_market_is_as_it_should_be(check: Check, sim: Simulator) -> None:
    sim.faults.arm(Fault.SESSION_CLOSED)
    state, why, _ = of(await check(), "market data")
    assert (state, "the market is closed" in why) == ("ok", True)


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ({"bid": None, "ask": None, "last": None}, "ES 12-26 has no price"),
        ({"epoch": None, "quoteTimeUtc": None}, "of unknown age"),
    ],
)
async def test_a_quote_that_lacks_what_matters_is_a_broken_link(
    check: Check, sim: Simulator, gone: dict[str, object], said: str
) -> None:
    report = await check(Altered(sim, quote=lambda answer: {**answer, **gone}))
    state, why, _ = of(report, "market data")
    assert (state, said in why.replace("ES 09-26", "ES 12-26")) == ("broken", True)


async def test_a_quote_that_cannot_be_read_is_a_broken_link(check: Check, sim: Simulator) -> None:
    sim.faults.arm(Fault.BAD_GATEWAY, rpc="GetQuote")
    report = await check()
    assert of(report, "market data")[0] == "broken"
    assert of(report, "market data")[1].startswith("UPSTREAM_UNAVAILABLE")


# Clock


@pytest.mark.parametrize(
    ("theirs_ahead", "state", "said"),
    [
        (0.0, "ok", "agrees"),
        (0.9, "ok", "agrees"),
        (-3.0, "ok", "at least 2.0 s ahead of theirs"),
        (60.0, "broken", "at least 60.0 s behind theirs"),
        (-60.0, "broken", "ahead of theirs"),
    ],
)
async def test_our_clock_is_compared_with_the_date_of_their_answers(
    check: Check, sim: Simulator, clock: ManualClock, theirs_ahead: float, state: str, said: str
) -> None:
    def dated() -> dict[str, str]:
        return {"Date": format_datetime(clock() + timedelta(seconds=theirs_ahead), usegmt=True)}

    found = of(await check(Altered(sim, dated)), "clock")
    assert (found[0], said in found[1], bool(found[2])) == (state, True, state == "broken")


@pytest.mark.parametrize(("seconds", "said"), [(30, "30 s ahead"), (-120, "120 s behind")])
async def test_the_clock_of_ninjatraders_computer_is_named_and_not_the_quote(
    check: Check, sim: Simulator, seconds: int, said: str
) -> None:
    """CrossTrade's own clock agrees with ours; the stamps of the quotes, which NinjaTrader sets, do not."""

    def shifted(answer: Any) -> Any:
        if isinstance(answer, list):
            return [shifted(one) for one in answer]
        return {**answer, "epoch": answer["epoch"] + seconds, "quoteTimeUtc": None, "quoteTime": None}

    state, why, step = of(await check(Altered(sim, quote=shifted)), "clock")
    assert state == "broken"
    assert said in why
    assert "NinjaTrader" in why
    assert "set their clocks" in step


@pytest.mark.parametrize("date", ["", "yesterday", "Wed, 99 Sep 2026 14:30:00 GMT"])
@pytest.mark.parametrize(("ahead", "state"), [(0.0, "ok"), (30.0, "broken"), (-30.0, "broken")])
async def test_where_there_is_no_date_the_stamp_of_the_session_tells(
    check: Check, sim: Simulator, clock: ManualClock, date: str, ahead: float, state: str
) -> None:
    report = await check(Altered(sim, lambda: {"Date": date}), lambda: clock() + timedelta(seconds=ahead))
    found = of(report, "clock")
    assert (found[0], bool(found[2])) == (state, state == "broken")


async def test_a_clock_that_cannot_be_compared_is_unknown_and_nothing_to_mend(check: Check, sim: Simulator) -> None:
    sim.faults.arm(Fault.BAD_GATEWAY, rpc="MarketInfo")
    assert of(await check(), "clock") == ("unknown", "their answers do not say what time it is there", "")


# Budget and lists


async def test_a_service_that_slows_us_down_although_we_keep_to_it_serves_somebody_else_too(
    check: Check, sim: Simulator
) -> None:
    sim.faults.arm(Fault.RATE_LIMITED, rpc="GetQuote", times=1)
    report = await check()
    assert (states(report)["market data"], states(report)["request budget"]) == ("ok", "broken")
    assert "stop what else uses this token" in of(report, "request budget")[2]


async def test_a_check_asks_within_the_budget_that_all_processes_share(
    check: Check, sim: Simulator, clock: ManualClock, tmp_path: Path
) -> None:
    other = SharedBudget(RateLimitFile(tmp_path), TOKEN, clock)
    before = await other.snapshot(clock())
    await check()
    after = await other.snapshot(clock())
    await other.close()
    assert before.requests_left_for_exits - after.requests_left_for_exits == len(sim.requests)


async def test_a_state_folder_that_cannot_be_used_is_a_broken_link(check: Check, tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    state, why, step = of(await check(), "request budget")
    assert (state, "not shared with other processes" in why) == ("broken", True)
    assert "state folder" in step


def test_a_stream_that_is_left_to_another_program_is_off_and_nothing_to_mend() -> None:
    found = stream_finding(is_on=False)
    assert (found.link.state, found.next_step) == ("off", "")


@pytest.mark.parametrize(
    ("name", "edit"), [("_endpoints", lambda _: {"endpoints": []}), ("openapi.json", lambda _: {"paths": {}})]
)
async def test_a_list_without_routes_is_a_broken_link_and_no_drift(
    check: Check, sim: Simulator, name: str, edit: Callable[[Json], Json]
) -> None:
    report = await check(Altered(sim, **{name.replace(".", "_"): edit}))
    assert [finding.link.name for finding in report.broken] == [name]
    assert differences(report) == []


# What is told


async def test_the_token_is_never_told_whoever_says_it(check: Check, sim: Simulator) -> None:
    def spoken(listed: Json) -> Json:
        rows = [*listed["endpoints"], {"rpc": TOKEN, "method": "GET", "path": f"/v1/api/{TOKEN.upper()}"}]
        return {"success": True, "endpoints": rows}

    report = await check(Altered(sim, _endpoints=spoken, accounts=accounts_where(name=f"Sim{TOKEN}")))
    assert [name for _, name, *_ in differences(report)][-1] == "[hidden]"
    assert TOKEN not in (shown(report) + json.dumps(as_json(report)) + repr(report)).casefold()


@pytest.mark.parametrize("fault", [None, Fault.ADDON_OFFLINE, Fault.UNAUTHORIZED, Fault.HOSTILE_TEXT])
async def test_every_line_fits_into_eighty_columns_and_each_broken_link_says_what_next(
    check: Check, sim: Simulator, fault: Fault | None
) -> None:
    if fault:
        sim.faults.arm(fault)
    report = await check(Altered(sim, _endpoints=three_planted, openapi_json=three_described))
    told = shown(report).splitlines()
    assert max(map(len, told)) <= 79
    assert sum(line.strip().startswith("Next: ") for line in told) == len(report.broken)
    assert bool(report.broken) is (fault in (Fault.ADDON_OFFLINE, Fault.UNAUTHORIZED))


async def test_a_person_reads_what_differs_and_where_it_is_now(check: Check, sim: Simulator) -> None:
    told = shown(await check(Altered(sim, _endpoints=three_planted)))
    assert "no: missing, by _endpoints: Flatten\n" in told
    assert f"ours    POST {ACCOUNT}/positions/close\n        theirs  POST {ACCOUNT}/position/close\n" in told
    assert "no: new, by _endpoints: Hedge\n" in told


async def test_scripts_get_the_same(check: Check, sim: Simulator) -> None:
    report = await check(Altered(sim, _endpoints=three_planted))
    told = json.loads(json.dumps(as_json(report)))
    assert (told["exit_code"], told["base_url"], told["notes"]) == (3, "https://simulator.invalid", [])
    assert told["links"][0] == {"link": "CrossTrade", "state": "ok", "why": "", "next_step": ""}
    assert told["drift"]["differences"][1] == {
        "kind": "changed",
        "name": "ClosePosition",
        "ours": f"POST {ACCOUNT}/positions/close",
        "theirs": f"POST {ACCOUNT}/position/close",
        "assumed": "",
        "seen_in": ["_endpoints"],
    }
    assert set(told["drift"]["compared"]) == {"_endpoints", "openapi.json"}


async def test_a_warning_beside_success_is_told(check: Check, sim: Simulator) -> None:
    sim.faults.arm(Fault.WARNING, rpc="ListAccounts")
    report = await check()
    assert any(note.startswith("ListAccounts: CrossTrade warned") for note in report.notes)
    assert "note: ListAccounts" in shown(report)


# As a process


def test_the_embedded_simulator_is_checked_without_a_token(ct_mcp: CtMcp) -> None:
    ended = ct_mcp("check", "--demo", COLUMNS="80", CROSSTRADE_TOKEN=TOKEN)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "All well" in ended.stdout
    assert TOKEN not in ended.stdout


def test_the_check_of_the_demo_is_there_for_scripts(ct_mcp: CtMcp) -> None:
    ended = ct_mcp("check", "--demo", "--json")
    told = json.loads(ended.stdout)
    assert (ended.returncode, told["exit_code"]) == (0, 0)
    assert {link["link"] for link in told["links"] if link["state"] != "ok"} == {"stream", "clients"}


def test_a_person_without_a_token_is_told_to_set_one(ct_mcp: CtMcp) -> None:
    ended = ct_mcp("check")
    assert (ended.returncode, ended.stderr) == (1, "")
    assert "Next: set CROSSTRADE_TOKEN" in ended.stdout


@pytest.mark.parametrize("arguments", [("--base-url", "http://example.invalid"), ("--config", "nowhere.toml")])
def test_settings_that_cannot_be_used_end_with_2_and_an_empty_output(ct_mcp: CtMcp, arguments: tuple[str, str]) -> None:
    ended = ct_mcp("check", "--json", *arguments, CROSSTRADE_TOKEN=TOKEN)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr
    assert TOKEN not in ended.stderr


def test_a_service_that_nobody_runs_is_a_broken_link(ct_mcp: CtMcp) -> None:
    ended = ct_mcp("check", "--json", "--base-url", "http://127.0.0.1:9", CROSSTRADE_TOKEN=TOKEN)
    told = json.loads(ended.stdout)
    assert (ended.returncode, told["links"][0]["state"], told["drift"]) == (1, "broken", None)


async def test_a_server_of_ours_that_has_the_stream_is_told(check: Check, clock: ManualClock, tmp_path: Path) -> None:
    settings = Settings(tmp_path, base_url="https://simulator.invalid", token=Secret(TOKEN))
    ours = store_of(settings)
    await ours.take_lease("stream", "a server", clock(), timedelta(seconds=15))
    await ours.close()
    assert of(await check(), "stream") == ("ok", "a ct-mcp server of yours has it; others read by request", "")
