"""The run by hand, over a real socket to a simulator whose clock its pauses move."""

from dataclasses import dataclass, field, replace
from itertools import pairwise

import httpx
import pytest

from ct_mcp.simulator.accounts import SIM
from ct_mcp.simulator.faults import Fault, Lag
from ct_mcp.simulator.server import served
from ct_mcp.simulator.simulator import Simulator
from tests.contract.agreement import run as by_hand
from tests.contract.agreement.deck import deck
from tests.contract.agreement.fence import SPACING_SECONDS, Fence, Outside
from tests.contract.agreement.run import Wish
from tests.contract.agreement.simulated import TOKEN, world

READING = Wish("Sim101")
TRADING = Wish("Sim101", trading=True)


@dataclass
class Told:
    """What a run wrote, and when its requests went out."""

    code: int = -1
    lines: list[str] = field(default_factory=list)

    def verdict(self, number: int) -> str:
        """What became of a card."""
        (line,) = (line for line in self.lines if line.startswith(f"{number:>4}  "))
        return line[6:20].strip()

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self.lines)


async def _run(sim: Simulator, wish: Wish, token: str = TOKEN) -> Told:
    told = Told()

    async def pause(seconds: float) -> None:
        sim.advance(seconds)

    async with served(sim) as url:
        told.code = await by_hand.run(
            wish,
            token=token,
            base_url=url,
            clock=lambda: sim.clock().timestamp(),
            pause=pause,
            out=told.lines.append,
        )
    return told


@pytest.mark.slow
async def test_cards_that_read_are_looked_at_and_nothing_is_written() -> None:
    sim = world()
    told = await _run(sim, READING)
    assert told.code == by_hand.ALL_AGREE, told.text
    assert told.verdict(1) == "agrees"
    assert told.verdict(22) == "not observable"
    assert told.verdict(113) == "not observable"
    assert not any(line.startswith(" 120") for line in told.lines)
    assert {seen.method for seen in sim.requests if seen.rpc != "GetBars"} == {"GET"}
    assert " agrees, 0 differs, " in told.lines[-1]


@pytest.mark.slow
async def test_cards_that_trade_leave_the_account_flat_and_say_so_after_reading_it() -> None:
    sim = world()
    told = await _run(sim, TRADING)
    assert told.code == by_hand.ALL_AGREE, told.text
    assert told.verdict(160) == told.verdict(22) == told.verdict(52) == "agrees"
    assert told.verdict(174) == told.verdict(148) == "not observable"
    assert told.lines[-1] == "Sim101 was read after the last card: no position and no working order.\n"
    assert [seen.rpc for seen in sim.requests][-2:] == ["ListPositions", "ListOrders"]
    assert sim.exchange.accounts["Sim101"].open_positions() == []
    assert [order for order in sim.exchange.orders if order.account != "Sim101"] == []


async def test_what_reaches_every_account_is_looked_at_where_all_is_play_money() -> None:
    sim = world()
    del sim.exchange.accounts["APEX-482910"]
    told = await _run(sim, replace(TRADING, numbers=frozenset({148, 174})))
    assert (told.code, told.verdict(148), told.verdict(174)) == (by_hand.ALL_AGREE, "agrees", "agrees"), told.text


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (Wish("APEX-482910", trading=True), "APEX-482910 is not play money: its provider is 'Rithmic'"),
        (Wish(None, trading=True), "trading cards need the name of a simulated account"),
        (Wish("Nobody", trading=True), "Account 'Nobody' not found"),
    ],
)
async def test_a_run_that_trades_does_not_start_without_a_simulated_account(wish: Wish, words: str) -> None:
    sim = world()
    told = await _run(sim, wish)
    assert told.code == by_hand.NOT_STARTED
    assert words in told.text
    assert {seen.method for seen in sim.requests} <= {"GET"}


async def test_a_run_that_trades_does_not_start_on_an_account_in_use() -> None:
    sim = world()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    body = {"instrument": "ES", "action": "BUY", "quantity": 1, "orderType": "MARKET", "timeInForce": "DAY"}
    async with httpx.AsyncClient(transport=sim.transport(), base_url="http://sim/v1/api", headers=headers) as http:
        await http.post("/accounts/Sim101/orders/place", json=body)
    told = await _run(sim, TRADING)
    assert told.code == by_hand.NOT_STARTED
    assert "the cards would disturb it" in told.text
    assert len(sim.exchange.orders) == 1


async def test_an_account_that_cannot_be_flattened_is_shouted_about() -> None:
    sim = world()
    sim.faults.arm(Lag.CLOSE_STUCK)
    told = await _run(sim, replace(TRADING, numbers=frozenset({131, 160})))
    assert told.code == by_hand.NOT_FLAT
    assert "LOOK AT Sim101: IT COULD NOT BE READ AS FLAT" in told.lines[-1]
    assert not any(line.startswith(" 160") for line in told.lines)


@pytest.mark.slow
async def test_a_difference_is_told_with_what_was_expected_and_what_came() -> None:
    sim = world()
    sim.faults.arm(Fault.STALE_QUOTE)
    account = sim.exchange.accounts["Sim101"]
    account.spec = replace(SIM, provider="Playback")
    told = await _run(sim, READING)
    assert told.code == by_hand.SOME_DIFFER
    assert told.verdict(11) == "differs"
    assert "expected provider 'Simulator'; came 'Playback'" in told.text


async def test_cards_for_an_addon_that_is_off_are_looked_at_alone() -> None:
    sim = world()
    sim.faults.arm(Fault.ADDON_OFFLINE)
    told = await _run(sim, Wish(None, offline=True))
    assert (told.code, len(told.lines)) == (by_hand.ALL_AGREE, 4), told.text
    assert (await _run(sim, READING)).code == by_hand.NOT_STARTED


async def test_requests_are_more_than_a_second_apart() -> None:
    clock, sent = [0.0], []

    async def pause(seconds: float) -> None:
        clock[0] += seconds

    fence = Fence("Sim101", lambda: clock[0], pause)
    for _ in range(5):
        await fence(httpx.Request("GET", "https://x/v1/api/accounts"))
        sent.append(clock[0])
        clock[0] += 0.3
    assert [round(after - before, 9) for before, after in pairwise(sent)] == [SPACING_SECONDS] * 4
    assert SPACING_SECONDS > 1


@pytest.mark.parametrize(
    ("method", "path", "body", "trades"),
    [
        ("POST", "/accounts/Sim101/orders/place", {}, False),
        ("POST", "/accounts/APEX-482910/orders/place", {}, True),
        ("POST", "/positions/flatten", {}, True),
        ("POST", "/positions/flatten", {"account": "APEX-482910"}, True),
        ("POST", "/orders/cancelall", {}, True),
        ("PUT", "/accounts/Sim1/orders/1/change", {}, True),
    ],
)
async def test_what_a_card_must_not_send_is_held_back(
    method: str, path: str, body: dict[str, str], trades: bool
) -> None:
    async def pause(seconds: float) -> None:
        raise AssertionError(seconds)

    fence = Fence("Sim101", lambda: 0.0, pause, trades=trades)
    with pytest.raises(Outside):
        await fence(httpx.Request(method, f"https://x/v1/api{path}", json=body))


async def test_the_token_is_never_written_and_goes_over_tls_only() -> None:
    told = await _run(world(), READING, token="wrong-token-of-mine")
    assert told.code == by_hand.NOT_STARTED
    assert "401" in told.text
    assert "wrong-token-of-mine" not in told.text
    lines: list[str] = []
    code = await by_hand.run(READING, token=TOKEN, base_url="http://app.example", out=lines.append)
    assert (code, lines) == (by_hand.NOT_STARTED, ["Not started: the token goes to https or loopback only\n"])


def test_without_a_token_nothing_is_asked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("CROSSTRADE_TOKEN", raising=False)
    monkeypatch.setattr("sys.argv", ["run"])
    assert by_hand.main() == by_hand.NOT_STARTED
    assert capsys.readouterr().err == "Not started: CROSSTRADE_TOKEN is not set\n"
    assert len(deck()) > 150
