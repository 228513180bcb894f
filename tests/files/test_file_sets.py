"""Sets of files: whole or not at all, on a full disk, beside other processes, and after a kill."""

from __future__ import annotations

import json
import os
import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from invert.errors import InvertError
from invert.files.atomic_files import write_atomically, write_set
from invert.files.leftovers import (
    HOST,
    Move,
    identity,
    locked,
    new_token,
    recover,
    temporary_name,
    write_journal,
)

DEAD = 2**22 + 1  # above the largest process number


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def finished(folder: Path, *files: str, host: str = HOST) -> tuple[Path, list[Move]]:
    """The journal of a set of new files that a killed process wrote, none of them in place."""
    token = new_token().replace(f"{HOST}-{os.getpid()}", f"{host}-{DEAD}")
    moves = [
        Move(temporary_name(token, k), name, identity(folder / name))
        for k, name in enumerate(files)
    ]
    for move in moves:
        (folder / move.temporary).write_text(f"new {move.name}")
    write_journal(folder / f"{token}.journal", moves)
    return folder / f"{token}.journal", moves


@contextmanager
def full_disk(size: int = 1000) -> Iterator[None]:
    """No file may grow beyond `size` bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_leaves_the_old_set_and_nothing_else(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    write_set({a: b"old", b: b"old"})
    with (
        full_disk(),
        pytest.raises(
            InvertError, match=r"a: cannot be written .*; the old file, if any, is intact"
        ),
    ):
        write_set({a: b"new", b: b"x" * 5000})
    assert (a.read_bytes(), b.read_bytes(), names(tmp_path)) == (b"old", b"old", ["a", "b"])


def test_a_folder_in_the_place_of_one_file_stops_the_whole_set(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_text("old")
    b.mkdir()
    with pytest.raises(InvertError, match="Is a directory"):
        write_set({a: b"new", b: b"new"})
    assert (a.read_text(), names(tmp_path)) == ("old", ["a", "b"])


def test_what_a_set_replaces_by_other_names_goes_with_it(tmp_path: Path) -> None:
    a, stale = tmp_path / "a", tmp_path / "stale"
    stale.write_text("old")
    write_set({a: b"new"}, remove=[stale, tmp_path / "never"])
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("function", ["replace", "unlink", "fsync"])
@pytest.mark.parametrize("before", [True, False])
def test_an_interrupt_at_every_call_goes_on_after_the_set_is_written(
    function: str, before: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    write_set({a: b"old", b: b"old"})
    real: Callable[..., None] = getattr(os, function)
    calls: set[tuple[object, ...]] = set()

    def interrupted(*arguments: object, **options: object) -> None:
        first = (arguments if function != "fsync" else (len(calls),)) not in calls and len(
            calls
        ) < 9
        calls.add(arguments if function != "fsync" else (len(calls),))
        if before and first:
            raise KeyboardInterrupt
        real(*arguments, **options)
        if first:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, function, interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_set({a: b"new", b: b"new"})
    monkeypatch.undo()
    assert calls
    assert (a.read_bytes(), b.read_bytes(), names(tmp_path)) == (b"new", b"new", ["a", "b"])


def test_what_interrupts_without_end_leaves_the_old_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    write_set({a: b"old", b: b"old"})

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_set({a: b"new", b: b"new"})
    assert (a.read_bytes(), b.read_bytes(), names(tmp_path)) == (b"old", b"old", ["a", "b"])


def test_a_finished_set_comes_into_place_and_the_rest_is_swept(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    (tmp_path / "mine").write_text("mine")
    finished(tmp_path, "a", "b")
    (tmp_path / temporary_name(new_token(), 0)).write_text("half")
    recover(tmp_path)
    assert names(tmp_path) == ["a", "b", "mine"]
    assert ((tmp_path / "a").read_text(), (tmp_path / "b").read_text()) == ("new a", "new b")
    recover(tmp_path / "none")
    recover(tmp_path / "a")


def test_a_file_that_came_meanwhile_stays(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    finished(tmp_path, "a", "b")
    (tmp_path / "b").write_text("somebody's")
    with pytest.warns(UserWarning, match="another file came in its place"):
        recover(tmp_path)
    assert names(tmp_path) == ["a", "b", "recovered-1-a", "recovered-1-b"]
    assert ((tmp_path / "a").read_text(), (tmp_path / "b").read_text()) == ("old", "somebody's")
    assert (tmp_path / "recovered-1-b").read_text() == "new b"


def test_a_living_process_and_another_machine_are_left_alone(tmp_path: Path) -> None:
    half = tmp_path / temporary_name(new_token(), 0)
    half.write_text("half")
    with locked(tmp_path) as alone:
        assert alone
        recover(tmp_path, seconds=0.1)  # in vain
        assert half.exists()
    half.unlink()
    journal, _ = finished(tmp_path, "a", host="0badcafe")
    recover(tmp_path)
    assert journal.exists()
    for path in tmp_path.iterdir():
        os.utime(path, (0, time.time() - 100))
    recover(tmp_path)
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[1]",
        '[["", "../victim", null]]',
        '[["../victim", "a", null]]',
        '[["victim", "a", null]]',
        '[["", "/etc/passwd", [1, 2, 3, 4]]]',
        "[" * 100_000,
    ],
)
def test_a_journal_of_somebody_else_moves_nothing(content: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for path in (tmp_path / "victim", folder / "victim"):
        path.write_text("mine")
    (folder / f"{new_token()}.journal").write_text(content)
    recover(folder)
    assert (tmp_path / "victim").read_text() == "mine"
    assert (folder / "victim").read_text() == "mine"
    assert not (folder / "a").exists()


def test_writers_in_one_folder_do_not_mix_their_sets(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    write_set({a: b"0", b: b"0"})

    def write(mark: bytes) -> None:
        for _ in range(10):
            write_set({a: mark, b: mark})
            recover(tmp_path)

    writers = [threading.Thread(target=write, args=(mark,)) for mark in (b"1", b"2", b"3")]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        with locked(tmp_path):
            assert a.read_bytes() == b.read_bytes()
    assert names(tmp_path) == ["a", "b"]


def test_a_file_alone_is_swept_too(tmp_path: Path) -> None:
    child = os.fork()
    if not child:
        write_atomically(tmp_path / "a", lambda file: os._exit(1))
    os.waitpid(child, 0)
    assert len(names(tmp_path)) == 1
    recover(tmp_path)
    assert names(tmp_path) == []


def test_journals_hold_names_of_their_folder(tmp_path: Path) -> None:
    journal, moves = finished(tmp_path, "a")
    assert json.loads(journal.read_text()) == [[moves[0].temporary, "a", None]]
