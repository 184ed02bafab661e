"""A file that a disk tore, lost a page of, or cut says what is so, or that it is damaged; never what was so once."""

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from ct_mcp.domain.approval import Approval, Halt
from ct_mcp.errors import StoreDamaged, StoreFailed
from ct_mcp.store import soundness
from ct_mcp.store.journal import EntryKind, NewEntry
from ct_mcp.store.sqlite import FILE_NAME, SqliteStore
from tests import factories
from tests.factories import APEX, NOW, SIM101

PAGE = 4096
SERVICE = "a service and its token"
Facts = tuple[object, ...]
Tears = Callable[[bytes, bytes], bytes]


def opened(folder: Path) -> SqliteStore:
    """The store as a server opens it."""
    return SqliteStore(folder, service=SERVICE, busy_timeout_seconds=0.1)


def intent(ticket_id: str) -> NewEntry:
    return NewEntry(EntryKind.INTENT, "BUY", SIM101, ticket_id, f"own-{ticket_id}", f"wish of {ticket_id}", opens=True)


def on_disk(folder: Path) -> bytes:
    return (folder / FILE_NAME).read_bytes()


def put(folder: Path, content: bytes, log: bytes | None = None) -> None:
    """Write the file anew, with nothing beside it but a log."""
    for beside in ("-wal", "-shm"):
        (folder / (FILE_NAME + beside)).unlink(missing_ok=True)
    for name, holds in ((FILE_NAME, content), (FILE_NAME + "-wal", log)):
        if holds is not None:
            (folder / name).touch(mode=0o600)
            (folder / name).write_bytes(holds)


async def before_it_happened(store: SqliteStore) -> None:
    """Two tickets that may be spent, an account that is armed, and a page of journal or two."""
    for number in range(8):
        await store.append(NewEntry(EntryKind.ASKED, f"question {number}", detail={"said": "x" * 700}), NOW)
    await store.open_ticket(factories.ticket("t-asked"), NOW)
    assert await store.approve_ticket("t-asked", "form", NOW)
    unasked = factories.ticket("t-unasked", fingerprint="another", approval=Approval.NONE)
    await store.open_ticket(unasked, NOW)
    await store.arm(APEX, NOW + timedelta(hours=8), "the person", NOW)


async def what_happened(store: SqliteStore) -> None:
    """Both are spent and sent, nobody knows what became of them, and the person ends the day."""
    for ticket_id in ("t-asked", "t-unasked"):
        assert await store.spend_ticket(ticket_id, NOW)
        await store.append(intent(ticket_id), NOW)
    await store.mark_day_loss(SIM101, NOW.date(), Decimal(-600), NOW)
    assert await store.disarm(APEX, "the person", NOW)
    assert await store.set_halt(Halt("the person", NOW, "enough for today"))


async def facts_of(store: SqliteStore) -> Facts:
    """All that keeps money safe: nothing of it may read as it was before."""
    state = await store.recall(SIM101, "wish of t-asked", NOW)
    spent = [await store.spend_ticket(ticket_id, NOW) for ticket_id in ("t-asked", "t-unasked")]
    unsettled = [entry.own_id for entry in await store.unsettled()]
    armed = await store.armed_until(APEX, NOW)
    return (
        bool(await store.halt()),
        bool(state.halt),
        state.day_loss_reached,
        state.orders_today,
        spent,
        unsettled,
        armed,
    )


SO_IT_IS: Facts = (True, True, True, 2, [False, False], ["own-t-asked", "own-t-unasked"], None)


@pytest.fixture
async def moments(tmp_path: Path) -> tuple[Path, bytes, bytes]:
    """The folder, the file before all that happened, and the file now."""
    folder = tmp_path / "torn"
    contents = []
    for step in (before_it_happened, what_happened):
        store = opened(folder)
        await step(store)
        await store.close()
        contents.append(on_disk(folder))
    return folder, contents[0], contents[1]


async def told_or_true(folder: Path) -> bool:
    """Say whether it was told that the file is damaged; where it was not, all of it is so."""
    store = opened(folder)
    try:
        assert await facts_of(store) == SO_IT_IS
        await store.append(NewEntry(EntryKind.ASKED, "and it goes on"), NOW)
    except StoreFailed as failure:
        said = str(failure)
    else:
        return False
    finally:
        await store.close()
    assert ": it is damaged" in said, said
    assert (
        "Nothing was sent to the market. Next: the person must end every ct-mcp that uses the file, move the file aside"
        in said
    )
    return True


TEARS: dict[str, Tears] = {
    "zeros": lambda now, _: bytes(len(now)),
    "nonsense": lambda now, _: random.Random(7).randbytes(len(now)),
    "its second half zeros": lambda now, _: now[: PAGE // 2] + bytes(PAGE // 2),
    "an older page": lambda _, then: then,
    "its first half older": lambda now, then: then[: PAGE // 2] + now[PAGE // 2 :],
    "its second half older": lambda now, then: now[: PAGE // 2] + then[PAGE // 2 :],
    "bits that flipped": lambda now, _: bytes(byte ^ 0x10 if at % 97 == 0 else byte for at, byte in enumerate(now)),
}


ONE_OF_THEM = "an older page"


@pytest.mark.parametrize(
    "tear",
    [pytest.param(tear, id=name, marks=[pytest.mark.slow] * (name != ONE_OF_THEM)) for name, tear in TEARS.items()],
)
async def test_of_a_file_with_one_page_that_is_not_as_it_was_written_nothing_is_misread(
    moments: tuple[Path, bytes, bytes], tear: Tears
) -> None:
    folder, then, now = moments
    told = 0
    for at in range(0, len(now), PAGE):
        torn = tear(now[at : at + PAGE], then[at : at + PAGE].ljust(PAGE, b"\0"))
        put(folder, now[:at] + torn + now[at + PAGE :])
        told += await told_or_true(folder)
    assert told, "a file without these pages is damaged"


async def test_a_file_that_is_cut_at_any_page_or_within_one_says_so(moments: tuple[Path, bytes, bytes]) -> None:
    folder, _, now = moments
    for length in [*range(PAGE, len(now), PAGE), *range(PAGE // 2, len(now), PAGE)]:
        put(folder, now[:length])
        assert await told_or_true(folder), length


@pytest.mark.slow
async def test_a_log_that_was_cut_anywhere_tells_a_whole_moment(moments: tuple[Path, bytes, bytes]) -> None:
    """Whole steps of it may be missing, and never a part of one: what is spent is in the journal as well."""
    folder, then, _ = moments
    put(folder, then)
    store = opened(folder)
    await what_happened(store)
    base, log = on_disk(folder), (folder / (FILE_NAME + "-wal")).read_bytes()
    await store.close()
    put(folder, base, log)
    assert not await told_or_true(folder), "all of it is there"
    frame = 24 + PAGE
    for length in [*range(0, len(log), 2 * frame), *range(frame // 2, len(log), 5 * frame)]:
        put(folder, base, log[:length])
        store = opened(folder)
        known = {entry.ticket_id for entry in await store.entries(50) if entry.kind is EntryKind.INTENT}
        assert {entry.ticket_id for entry in await store.unsettled()} == known
        assert (await store.verify()).ok
        for ticket_id in known:
            assert not await store.spend_ticket(str(ticket_id), NOW)
        await store.close()


@pytest.mark.slow
async def test_a_log_whose_bits_flipped_is_as_one_that_was_cut_there(moments: tuple[Path, bytes, bytes]) -> None:
    folder, then, _ = moments
    put(folder, then)
    store = opened(folder)
    await what_happened(store)
    base, log = on_disk(folder), (folder / (FILE_NAME + "-wal")).read_bytes()
    await store.close()
    for at in range(40, len(log), len(log) // 40):
        put(folder, base, log[:at] + bytes([log[at] ^ 0xFF]) + log[at + 1 :])
        store = opened(folder)
        assert (await store.verify()).ok
        await store.close()


async def test_a_ticket_that_the_journal_knows_as_sent_is_not_spent_whatever_its_row_says(tmp_path: Path) -> None:
    """While the file is open nobody looks through it: the row of a ticket alone is no leave to send."""
    store = opened(tmp_path / "state")
    await before_it_happened(store)
    for ticket_id in ("t-asked", "t-unasked"):
        await store.append(intent(ticket_id), NOW)
        assert not await store.spend_ticket(ticket_id, NOW)
    await store.close()


async def test_a_long_file_is_looked_through_where_it_matters(
    moments: tuple[Path, bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages of the journal are too many to look at before an exit; its end and the short tables are not."""
    monkeypatch.setattr(soundness, "CHECKED_WHOLE_BYTES", 0)
    folder, then, now = moments
    put(folder, now)
    assert not await told_or_true(folder)
    told = 0
    for at in range(0, len(then), PAGE):
        if then[at : at + PAGE] != now[at : at + PAGE]:
            put(folder, now[:at] + then[at : at + PAGE] + now[at + PAGE :])
            told += await told_or_true(folder)
    assert told > 10


@pytest.mark.parametrize(
    ("table", "fault"),
    {
        "halt": "the journal says that trading is halted, and no halt is kept",
        "tickets": "the journal says that a ticket was sent, and it is kept as one that was not",
        "outstanding": "the journal says that an outcome is not known, and it is not kept so, or the other way round",
        "day_losses": "the journal says that a day's loss was reached, and it is not kept",
        "armings": "the journal says that an account was disarmed, and it is kept as armed",
        "journal": "the journal ends with entry 10, and entry 15 was written",
    }.items(),
)
async def test_a_table_that_is_as_it_was_is_told_by_what_the_journal_says(
    moments: tuple[Path, bytes, bytes], table: str, fault: str
) -> None:
    """All of its pages are whole, and older than the others: by themselves they contradict nothing."""
    folder, then, now = moments
    put(folder, older_by(table, folder, then, now))
    with pytest.raises(StoreDamaged) as damage:
        await opened(folder).halt()
    assert damage.value.what == f"state file {folder / FILE_NAME}: it is damaged ({fault})"


def older_by(table: str, folder: Path, then: bytes, now: bytes) -> bytes:
    """The file as it is now, but for the pages of one table and of its indexes; the journal alone has several."""
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        roots = connection.execute("SELECT tbl_name, rootpage FROM sqlite_master WHERE rootpage > 0").fetchall()
    others = {page for name, page in roots if name != table}
    mine = set(range(2, len(now) // PAGE + 1)) - others if table == "journal" else {p for _, p in roots} - others
    for at in (PAGE * (number - 1) for number in mine):
        now = now[:at] + then[at : at + PAGE].ljust(PAGE, b"\0") + now[at + PAGE :]
    return now


async def test_the_persons_terminal_still_reads_a_file_that_no_server_uses(moments: tuple[Path, bytes, bytes]) -> None:
    folder, then, now = moments
    put(folder, older_by("halt", folder, then, now))
    terminal = SqliteStore(folder)
    assert (await terminal.verify()).ok
    assert EntryKind.HALTED in [entry.kind for entry in await terminal.entries(9)]
    await terminal.close()


VERSION_3 = (Path(__file__).parents[2] / "data" / "state-v3.sqlite3").read_bytes()


async def taken_over(folder: Path) -> bool:
    """Say whether a file of an older version was refused; where it was not, its halt and its unknown outcomes stand."""
    store = opened(folder)
    try:
        facts = bool(await store.halt()), await store.day_loss("Sim102", NOW.date()), len(await store.unsettled())
        spent = [await store.spend_ticket(ticket_id, NOW) for ticket_id in ("t-place", "t-change", "t-cancel")]
    except StoreFailed as failure:
        said = str(failure)
    else:
        assert (facts, any(spent)) == ((True, True, 3), False)
        return False
    finally:
        await store.close()
    assert "Nothing was sent to the market" in said
    return True


async def test_a_file_of_an_older_version_contradicts_nothing(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir(mode=0o700)
    put(tmp_path / "old", VERSION_3)
    assert not await taken_over(tmp_path / "old")
    assert not await taken_over(tmp_path / "old"), "nor once it is ours"


@pytest.mark.slow
@pytest.mark.parametrize("tear", ["zeros", "nonsense", "its second half zeros", "bits that flipped"])
async def test_a_torn_file_of_an_older_version_is_taken_over_whole_or_refused(tmp_path: Path, tear: str) -> None:
    folder = tmp_path / "old"
    folder.mkdir(mode=0o700)
    for at in range(0, len(VERSION_3), PAGE):
        page = VERSION_3[at : at + PAGE]
        put(folder, VERSION_3[:at] + TEARS[tear](page, page) + VERSION_3[at + PAGE :])
        await taken_over(folder)
    for length in range(PAGE, len(VERSION_3), PAGE):
        put(folder, VERSION_3[:length])
        assert await taken_over(folder), length


async def test_two_services_of_one_folder_contradict_nothing(tmp_path: Path) -> None:
    """Each arms, disarms, halts and resumes for itself, in one journal."""
    one, other = (SqliteStore(tmp_path / "state", service=name) for name in ("one", "other"))
    for number, store in enumerate((one, other)):
        await store.open_ticket(factories.ticket(f"t{number}", fingerprint=str(number)), NOW)
        await store.arm(APEX, NOW + timedelta(hours=8), "the person", NOW)
        await store.set_halt(Halt("the person", NOW, "enough"))
    await other.disarm(APEX, "the person", NOW)
    await other.clear_halt("the person", NOW)
    await one.close()
    await other.close()
    again = SqliteStore(tmp_path / "state", service="one")
    assert await again.halt() is not None
    assert await again.armed_until(APEX, NOW) is not None
    await again.clear_halt("the person", NOW)
    await again.close()
    assert await again.halt() is None
    await again.close()
