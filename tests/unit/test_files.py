"""Files for their owner alone: made so from the first moment, never through a link, refused where others may look."""

import os
import stat
import sys
from pathlib import Path

import pytest

from ct_mcp.files import (
    OpenToOthers,
    create_private_file,
    is_changeable_by_others,
    is_open_to_others,
    make_private_folder,
    read_private_file,
    replace_private_file,
)

on_posix = pytest.mark.skipif(sys.platform == "win32", reason="rights of files are others there: by hand")


def mode_of(path: Path) -> int:
    """The rights of a file."""
    return stat.S_IMODE(path.stat().st_mode)


@on_posix
def test_a_new_file_and_its_folder_are_for_their_owner_alone_whatever_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        create_private_file(tmp_path / "state" / "token", "secret")
    finally:
        os.umask(before)
    assert (mode_of(tmp_path / "state"), mode_of(tmp_path / "state" / "token")) == (0o700, 0o600)


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    create_private_file(tmp_path / "file", "Zürich\n")
    assert read_private_file(tmp_path / "file") == "Zürich\n"


def test_a_file_without_text_is_empty(tmp_path: Path) -> None:
    create_private_file(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b""


def test_a_file_that_exists_is_not_created_again(tmp_path: Path) -> None:
    create_private_file(tmp_path / "file", "first")
    with pytest.raises(FileExistsError):
        create_private_file(tmp_path / "file", "second")
    assert read_private_file(tmp_path / "file") == "first"


@on_posix
def test_nothing_is_created_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        create_private_file(tmp_path / "link", "secret")
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept", encoding="utf-8")
    before = mode_of(tmp_path)
    make_private_folder(tmp_path)
    assert mode_of(tmp_path) == before
    assert (tmp_path / "file").exists()


@on_posix
def test_a_replaced_file_is_for_its_owner_alone_even_where_the_old_one_was_not(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old", encoding="utf-8")
    file.chmod(0o666)
    replace_private_file(file, "new")
    assert (mode_of(file), read_private_file(file)) == (0o600, "new")
    assert list(tmp_path.iterdir()) == [file], "nothing is left beside it"


def test_where_there_was_no_file_one_is_made(tmp_path: Path) -> None:
    replace_private_file(tmp_path / "state" / "file", "new")
    assert read_private_file(tmp_path / "state" / "file") == "new"


@on_posix
def test_a_link_is_replaced_and_what_it_led_to_stays(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("theirs", encoding="utf-8")
    (tmp_path / "link").symlink_to(target)
    replace_private_file(tmp_path / "link", "ours")
    assert target.read_text(encoding="utf-8") == "theirs"
    assert not (tmp_path / "link").is_symlink()


def test_what_cannot_be_replaced_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "folder" / "full").mkdir(parents=True)
    with pytest.raises(OSError, match="folder"):
        replace_private_file(tmp_path / "folder", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@on_posix
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610])
def test_a_file_that_others_may_use_is_not_read(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "file"
    create_private_file(file, "secret")
    file.chmod(mode)
    assert is_open_to_others(file)
    with pytest.raises(OpenToOthers) as refused:
        read_private_file(file)
    assert "secret" not in str(refused.value)


@on_posix
def test_nothing_is_read_through_a_link(tmp_path: Path) -> None:
    create_private_file(tmp_path / "file", "secret")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with pytest.raises(OSError, match="link"):
        read_private_file(tmp_path / "link")


def test_no_more_is_read_than_was_asked_for(tmp_path: Path) -> None:
    create_private_file(tmp_path / "file", "x" * 100)
    assert read_private_file(tmp_path / "file", longest=10) == "x" * 10


def test_bytes_that_are_no_text_stop_nothing(tmp_path: Path) -> None:
    create_private_file(tmp_path / "file")
    (tmp_path / "file").write_bytes(b"a\xffb")
    assert read_private_file(tmp_path / "file") == "a\ufffdb"


@on_posix
@pytest.mark.parametrize(
    ("mode", "changeable", "open_to_others"),
    [(0o700, False, False), (0o755, False, True), (0o775, True, True), (0o757, True, True), (0o711, False, True)],
)
def test_a_folder_is_open_to_others_or_changeable_by_them_as_its_mode_says(
    tmp_path: Path, mode: int, changeable: bool, open_to_others: bool
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(mode)
    assert (is_changeable_by_others(folder), is_open_to_others(folder)) == (changeable, open_to_others)


@on_posix
def test_what_the_administrator_owns_and_nobody_else_may_change_is_not_doubted() -> None:
    assert not is_changeable_by_others(Path("/usr"))


def test_what_is_not_there_is_no_answer(tmp_path: Path) -> None:
    for check in (is_open_to_others, is_changeable_by_others) if sys.platform != "win32" else (is_open_to_others,):
        with pytest.raises(FileNotFoundError):
            check(tmp_path / "none")
