"""The few fixtures everybody uses: a clock that a test moves, the simulator, our client, the desk, a connection."""

import gc
import json
import os
import sys
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib import import_module
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from jsonschema import Draft202012Validator
from mcp import Client
from mcp_types import ElicitRequestFormParams, ElicitRequestParams, ElicitResult
from starlette import routing

from ct_mcp.crosstrade.client import CrossTrade
from ct_mcp.desk.desk import Desk
from ct_mcp.files import create_private_file
from ct_mcp.guard.policy import Policy
from ct_mcp.server.app import build_server
from ct_mcp.server.context import ServerContext
from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.simulator import Simulator
from ct_mcp.store.database import Database
from ct_mcp.store.postgres_url import PostgresUrl
from ct_mcp.store.sqlite import FILE_NAME, SqliteStore
from tests.postgres import Server, Team, any_server, need_server, own_team

TOKEN = "a-token-that-must-never-be-seen"
# A Wednesday morning in Chicago: every market of the simulator is open.
A_TRADING_MORNING = datetime(2026, 9, 9, 14, 30, tzinfo=UTC)

HERE = Path(__file__).parent
# A busy machine makes no example wrong: how long one may take is said by no test of ours.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=50)
settings.register_profile("fast", settings.get_profile("unhurried"), max_examples=25)
settings.load_profile("unhurried")

# The suite starts hundreds of processes, and imports its own files in each worker: with bytecode that is kept, each
# file is compiled once. Images often switch that off for all that runs in them.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# What takes long by its nature, by folder or by what a test asks for; a single test says so itself.
SLOW_FOLDERS = ("contract/clients", "resilience")
MARKS_OF_FIXTURES = {
    "chromium": ("slow", "browser"),
    "packages": ("slow", "node"),
    "environ": ("slow",),  # whatever starts a command
}
# The older era of the protocol, where each test has both: the fast run sees it on the whole road, and over HTTP.
ERAS = ("auto", "legacy")
OLDER_ERA_IS_SLOW = ("e2e", "unit/server")
OLDER_ERA_IS_SEEN = {"test_the_road.py", "test_http.py", "test_subscriptions.py"}
# What lies behind the server does not know which era asks. Of the road's files those see both that are about what is
# asked, waited for and answered; of the others the first test does. CT_MCP_TEST_BOTH_ERAS=1 plays all.
BOTH_ERAS = "CT_MCP_TEST_BOTH_ERAS"
ERAS_ALIKE = ("e2e", "unit/server")
ERAS_DIFFER = OLDER_ERA_IS_SEEN | {
    "test_elicitation.py",
    "test_halting_tool.py",
    "test_impatience.py",
    "test_prompts.py",
    "test_resources.py",
    "test_sdk.py",
    "test_slips.py",
    "test_tool_schema.py",
    "test_under_a_plane.py",
    "test_unknown_outcomes.py",
}
# Long files that the eras share: one case is played in the newer era, the next in the older one.
ERAS_TAKE_TURNS = {
    "test_entries_with_exits.py",
    "test_what_a_trader_asks.py",
    "test_what_is_said.py",
    "test_who_may_trade.py",
}
# Where a test meets each fault with each command, and what answers knows no more of a fault than its kind: each fault
# meets so many commands, and each command so many faults. CT_MCP_TEST_WHOLE_PRODUCTS=1 plays each with each.
WHOLE_PRODUCTS = "CT_MCP_TEST_WHOLE_PRODUCTS"
PARTNERS = 2
IN_PAIRS = {"test_exit_on_its_way.py", "test_faults_while_reading.py", "test_faults_while_writing.py"}
# Rooms where a journey takes long: of a test's product of parameters the fast run takes a part that meets each value,
# and of one with a lot for each case the first lots.
LONG_JOURNEYS = ("e2e", "unit/desk")
LOTS_OF_THE_FAST_RUN = 20
# Journeys make much and leave little behind: seven hundred new objects are too few to look through all for those.
OBJECTS_BEFORE_A_COLLECTION = 50_000
# Of each file that starts commands the first test stays in the fast run, so that it sees every command.
STARTS_COMMANDS = "environ"
SLOW_TO_COLLECT = "test_schemathesis.py"  # it reads a whole description to know which tests there are

Tokens = Callable[[str], int]
Connect = Callable[..., AbstractAsyncContextManager[Client]]


@dataclass
class Person:
    """Somebody at a client that shows forms: answers with the right text, or with what a test makes of it."""

    answer: Callable[[str], ElicitResult] | None = None
    clock: ManualClock | None = None
    takes_seconds: float = 5.0
    asked: list[str] = field(default_factory=list)

    async def __call__(self, context: object, params: ElicitRequestParams) -> ElicitResult:
        """Read the question, take some time, answer."""
        assert isinstance(params, ElicitRequestFormParams)
        self.asked.append(params.message)
        if self.clock is not None:
            self.clock.advance(self.takes_seconds)
        return self.answer(params.message) if self.answer else yes(params.message)


def yes(question: str) -> ElicitResult:
    """Type what the question says is to be typed."""
    (phrase,) = (line.split("type:")[1].strip() for line in question.splitlines() if "type:" in line)
    return ElicitResult(action="accept", content={"answer": phrase})


def pytest_configure(config: pytest.Config) -> None:
    """Try fewer examples in the fast run; a test that needs more than the usual takes a multiple of it."""
    if is_the_fast_run(config):
        settings.load_profile("fast")


def is_the_fast_run(config: pytest.Config) -> bool:
    """Whether all that is slow is left out."""
    return bool(config.option.markexpr == "not slow")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """Four more than there are cores, unless the environment says: many tests wait for a program they have started."""
    return None if os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS") else (os.cpu_count() or 1) + 4


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even collect for the fast run what takes seconds to collect, and is slow."""
    return True if collection_path.name == SLOW_TO_COLLECT and is_the_fast_run(config) else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Let the garbage collector leave alone what stays until the end: a fifth of all time it looked through that."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()
        gc.set_threshold(OBJECTS_BEFORE_A_COLLECTION)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what says the same again; mark what takes long, so that ``-m "not slow"`` leaves it out."""
    again = dict.fromkeys(what_says_the_same_again(items))
    config.hook.pytest_deselected(items=list(again))
    items[:] = [item for item in items if item not in again]
    files_with_processes = set[Path]()
    for item in items:
        marks = {mark for fixture in fixtures_of(item) for mark in MARKS_OF_FIXTURES.get(fixture, ())}
        if STARTS_COMMANDS in fixtures_of(item) and item.path not in files_with_processes:
            files_with_processes.add(item.path)
            marks.discard("slow")
        folder = item.path.parent.relative_to(HERE).as_posix()
        if folder.startswith(SLOW_FOLDERS) or (folder in OLDER_ERA_IS_SLOW and is_of_the_older_era(item)):
            marks.add("slow")
        for mark in sorted(marks):
            item.add_marker(mark)
    for cases in cases_of_long_journeys(items):
        for item in beyond_the_first_of_each_value(cases):
            item.add_marker("slow")


def what_says_the_same_again(items: list[pytest.Item]) -> Iterator[pytest.Item]:
    """What is left out unless the environment asks for it."""
    if not os.environ.get(BOTH_ERAS):
        yield from in_an_era_that_changes_nothing(items)
        yield from whose_turn_it_is_not(items)
    if not os.environ.get(WHOLE_PRODUCTS):
        yield from beyond_some_pairs(items)


def cases_of_long_journeys(items: list[pytest.Item]) -> Iterator[list[pytest.Item]]:
    """The cases of each test whose journeys take long, without those that are slow already."""
    tests = dict[tuple[Path, str], list[pytest.Item]]()
    for item in items:
        folder = item.path.parent.relative_to(HERE).as_posix()
        if folder.startswith(LONG_JOURNEYS) and "slow" not in item.keywords and item.path.name not in OLDER_ERA_IS_SEEN:
            tests.setdefault((item.path, item.location[2].partition("[")[0]), []).append(item)
    return iter(tests.values())


def beyond_some_pairs(items: list[pytest.Item]) -> Iterator[pytest.Item]:
    """What each of a fault and a command has met enough of."""
    tests = dict[tuple[Path, str], list[pytest.Item]]()
    for item in items:
        if item.path.name in IN_PAIRS:
            tests.setdefault((item.path, item.location[2].partition("[")[0]), []).append(item)
    for cases in tests.values():
        yield from beyond_the_first_of_each_value(cases, PARTNERS)


def beyond_the_first_of_each_value(cases: list[pytest.Item], times: int = 1) -> list[pytest.Item]:
    """The cases that show no value of a parameter for the first times.

    Those come first of which all values are new, and no two have met.
    """
    seen, met, kept = Counter[object](), set[frozenset[object]](), dict[pytest.Item, None]()
    for new in (all, any):
        for place, item in enumerate(cases):
            values = values_of(item)
            pairs = {frozenset(pair) for pair in combinations(values, 2)}
            is_late = place >= LOTS_OF_THE_FAST_RUN and "seed" in fixtures_of(item)
            is_new = new(seen[value] < times for value in values) and not (new is all and pairs & met)
            if not values or (not is_late and item not in kept and is_new):
                seen.update(values)
                met |= pairs
                kept[item] = None
    return [item for item in cases if item not in kept]


def values_of(item: pytest.Item) -> set[object]:
    """What each parameter of a case is; what stands in one row of a table is one value."""
    parameters = getattr(item, "callspec", None)
    given = dict[str, object](parameters.params) if parameters is not None else {}
    rows = [mark.args[0] for mark in item.iter_markers("parametrize")]
    named = [tuple(row.replace(" ", "").split(",")) if isinstance(row, str) else tuple(row) for row in rows]
    alone = [(name,) for name in given if not any(name in row for row in named)]
    return {tuple((name, id(given[name])) for name in row) for row in (*named, *alone)}


def is_of_the_older_era(item: pytest.Item) -> bool:
    """Say whether this is the second of two equal tests, and its file not one that the fast run sees in both eras."""
    return era_of(item) == ERAS[1] and item.path.name not in OLDER_ERA_IS_SEEN | ERAS_TAKE_TURNS


def era_of(item: pytest.Item) -> object:
    """The era of a test that is played in both."""
    parameters = getattr(item, "callspec", None)  # pytest gives it to tests that have any
    return parameters.params.get("era") if parameters is not None else None


def whose_turn_it_is_not(items: list[pytest.Item]) -> Iterator[pytest.Item]:
    """Of each case that is played in both eras one, where they take turns."""
    cases = dict[Path, dict[object, list[pytest.Item]]]()
    for item in items:
        if item.path.name in ERAS_TAKE_TURNS:
            others = frozenset(values_of(item) - {(("era", id(era_of(item))),)})
            case = (item.location[2].partition("[")[0], others)
            cases.setdefault(item.path, {}).setdefault(case, []).append(item)
    for of_a_file in cases.values():
        for place, both in enumerate(of_a_file.values()):
            turn = ERAS[place % len(ERAS)]
            if len({era_of(item) for item in both}) > 1:
                yield from (item for item in both if era_of(item) != turn)


def in_an_era_that_changes_nothing(items: list[pytest.Item]) -> Iterator[pytest.Item]:
    """The tests in the older era but the first of each file, where the eras are alike."""
    seen = set[Path]()
    for item in items:
        folder = item.path.parent.relative_to(HERE).as_posix()
        if folder in ERAS_ALIKE and item.path.name not in ERAS_DIFFER and is_of_the_older_era(item):
            if item.path in seen:
                yield item
            seen.add(item.path)


def fixtures_of(item: pytest.Item) -> set[str]:
    """The fixtures that a test asks for, directly or not."""
    return set(item.fixturenames) if isinstance(item, pytest.Function) else set()


@pytest.fixture(scope="session", autouse=True)
def _schemas_are_checked_once() -> Iterator[None]:
    """Let a published schema be checked once, not by each client that meets it: that took a sixth of these tests."""
    sound, check = set[str](), Draft202012Validator.check_schema

    def check_once(schema: object, **more: Any) -> None:
        text = json.dumps(schema, sort_keys=True, default=repr)
        if more or text not in sound:
            check(schema, **more)
            sound.add(text)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Draft202012Validator, "check_schema", check_once)
        yield


@pytest.fixture(scope="session", autouse=True)
def _routes_are_compiled_once() -> Iterator[None]:
    """Each simulator has the same routes, and there is one for each test: to compile them took half of making it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(routing, "compile_path", cache(routing.compile_path))
        yield


@pytest.fixture(scope="session")
def tokens() -> Tokens:
    """Count the o200k tokens of a text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the tokenizer opens its table the older way
        encoding = import_module("bpe_openai").get_encoding("o200k_base")
    return lambda text: len(encoding.encode(text))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A real PostgreSQL, started with the first test of a process that asks for it."""
    need_server()
    with any_server() as server:
        yield server


@pytest.fixture(scope="session")
def only_trader(postgres: Server) -> Iterator[PostgresUrl]:
    """The tables of one trader, made once."""
    with postgres.own_trader() as trader:
        yield trader


@pytest.fixture
def trader(postgres: Server, only_trader: PostgresUrl) -> PostgresUrl:
    """Empty tables of a trader."""
    postgres.empty(only_trader)
    return only_trader


@pytest.fixture(scope="session")
def only_team(postgres: Server) -> Iterator[Team]:
    """A team, made once."""
    with own_team(postgres) as team:
        yield team


@pytest.fixture
def team(only_team: Team) -> Team:
    """A team that has done nothing yet."""
    only_team.empty()
    return only_team


@pytest.fixture
def anyio_backend() -> str:
    """Run asynchronous tests on the event loop that the product runs on."""
    return "asyncio"


@pytest.fixture
def clock() -> ManualClock:
    """The one clock of a test: of the simulator, of our client, of the desk."""
    return ManualClock(A_TRADING_MORNING)


@pytest.fixture
def pause(clock: ManualClock) -> Callable[[float], Awaitable[None]]:
    """Let time pass without waiting."""

    async def move(seconds: float) -> None:
        clock.advance(seconds)

    return move


@pytest.fixture
def sim(clock: ManualClock) -> Simulator:
    """A fake CrossTrade in front of a fake NinjaTrader 8."""
    return Simulator(seed=7, clock=clock, token=TOKEN)


@pytest.fixture
async def crosstrade(
    sim: Simulator, clock: ManualClock, pause: Callable[[float], Awaitable[None]]
) -> AsyncIterator[CrossTrade]:
    """Our client of the simulator, over HTTP as the service speaks it."""
    url, transport = "https://simulator.invalid", sim.transport()
    async with CrossTrade(url, TOKEN, transport=transport, clock=clock, sleep=pause) as client:
        yield client


@pytest.fixture
def policy() -> Policy:
    """What the operator allows; a test file overrides it where it needs another."""
    return Policy()


@pytest.fixture(scope="session")
def empty_state(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A state file of our version with nothing in it: to make its tables takes three times as long as to open it."""
    file = tmp_path_factory.mktemp("made") / FILE_NAME
    with closing(Database(file, busy_timeout_seconds=5.0)) as database:
        database.read(lambda _: None)
    return file.read_bytes()


@pytest.fixture
async def store(tmp_path: Path, empty_state: bytes) -> AsyncIterator[SqliteStore]:
    """A store of its own for each test, in a file whose tables are made. How they are made, `unit/store` tests."""
    create_private_file(tmp_path / "state" / FILE_NAME)
    (tmp_path / "state" / FILE_NAME).write_bytes(empty_state)
    store = SqliteStore(tmp_path / "state")
    yield store
    await store.close()


@pytest.fixture
def desk(
    crosstrade: CrossTrade,
    store: SqliteStore,
    policy: Policy,
    clock: ManualClock,
    pause: Callable[[float], Awaitable[None]],
) -> Desk:
    """The desk over the simulator."""
    return Desk(crosstrade, store, policy, clock=clock, pause=pause)


@pytest.fixture
def person(clock: ManualClock) -> Person:
    """Somebody who says yes to everything, five seconds after being asked."""
    return Person(clock=clock)


@pytest.fixture(params=ERAS)
def era(request: pytest.FixtureRequest) -> str:
    """Both protocol eras."""
    return str(request.param)


@pytest.fixture
def connect(desk: Desk, policy: Policy, era: str) -> Connect:
    """Connect an MCP client to our server, in process: ``connect(person)``, or ``connect()`` for one without forms."""

    @asynccontextmanager
    async def connected(person: Person | None = None) -> AsyncIterator[Client]:
        server = build_server(ServerContext(lambda: desk, policy))
        async with Client(server, mode=era, elicitation_callback=person) as client:
            yield client

    return connected
