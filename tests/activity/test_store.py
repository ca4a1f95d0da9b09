"""Tests of the store: what is damaged or tampered with is missing, never wrong and never run."""

from __future__ import annotations

import fcntl
import pickle
import random
import resource
import shutil
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.activity.store import Store

SMALL = b"a few bytes"
LARGE = bytes(range(256)) * 400  # beyond what diskcache keeps inside its database


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def _filled(folder: Path) -> None:
    store = Store(folder)
    store.put("small", SMALL)
    store.put("large", LARGE)
    store.close()


@contextmanager
def _database(folder: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(folder / "cache.db", isolation_level=None)
    try:
        yield connection
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()


class _Trap:
    """Makes a file when unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("value", [b"", SMALL, LARGE])
def test_get_returns_what_was_put(folder: Path, value: bytes) -> None:
    store = Store(folder)
    store.put("key", value)
    assert store.get("key") == value
    store.close()
    again = Store(folder)
    assert again.get("key") == value
    assert again.notices == ()
    again.close()


def test_get_of_a_missing_or_expired_key_is_none(folder: Path) -> None:
    store = Store(folder)
    store.put("gone", SMALL, expire_seconds=-1)
    store.put("kept", SMALL, expire_seconds=3600)
    assert store.get("never") is None
    assert store.get("gone") is None
    assert store.get("kept") == SMALL
    store.close()


def test_put_replaces(folder: Path) -> None:
    store = Store(folder)
    store.put("key", LARGE)
    store.put("key", SMALL)
    assert store.get("key") == SMALL
    assert not list(folder.rglob("*.val"))
    store.close()


def test_keys_are_those_with_the_prefix(folder: Path) -> None:
    store = Store(folder)
    for key in ("slice/2", "slice/1", "other"):
        store.put(key, SMALL)
    assert store.keys("slice/") == ["slice/1", "slice/2"]
    assert store.keys("none") == []
    store.close()


def test_folder_is_its_owners_alone(folder: Path) -> None:
    folder.mkdir(mode=0o755)
    Store(folder).close()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_size_limit_drops_what_was_read_least_recently(folder: Path) -> None:
    store = Store(folder, size_limit=1_000_000)
    for number in range(20):
        store.put(f"key {number:02}", LARGE)
        store.get("key 00")
    kept = [number for number in range(20) if store.get(f"key {number:02}") is not None]
    assert 0 in kept
    assert 19 in kept
    assert 1 not in kept
    assert sum(path.stat().st_size for path in folder.rglob("*")) < 2_000_000
    store.close()


@pytest.mark.parametrize("key", ["small", "large"])
def test_get_refuses_a_pickle(folder: Path, tmp_path: Path, key: str) -> None:
    _filled(folder)
    mark = tmp_path / "ran"
    with _database(folder) as database:
        trap = pickle.dumps(_Trap(mark))
        database.execute(
            "UPDATE Cache SET mode = 4, value = ?, filename = NULL WHERE key = ?", (trap, key)
        )
    store = Store(folder)
    assert store.get(key) is None
    assert not mark.exists()
    store.close()


def test_keys_refuses_a_pickled_key(folder: Path, tmp_path: Path) -> None:
    _filled(folder)
    mark = tmp_path / "ran"
    with _database(folder) as database:
        trap = pickle.dumps(_Trap(mark))
        database.execute("UPDATE Cache SET key = ?, raw = 0 WHERE key = 'small'", (trap,))
    store = Store(folder)
    assert store.keys("") == ["large"]
    assert not mark.exists()
    store.close()


@pytest.mark.parametrize("path", ["{outside}", "../outside", "aa/bb/../../../outside"])
def test_get_and_put_leave_files_elsewhere_alone(folder: Path, tmp_path: Path, path: str) -> None:
    _filled(folder)
    outside = tmp_path / "outside"
    shutil.copy(next(folder.rglob("*.val")), outside)  # the right bytes in the wrong place
    with _database(folder) as database:
        name = path.format(outside=outside)
        database.execute("UPDATE Cache SET filename = ? WHERE key = 'large'", (name,))
    store = Store(folder)
    assert store.get("large") is None
    store.put("large", LARGE)
    assert outside.exists()
    assert store.get("large") == LARGE
    store.close()


def test_get_refuses_the_value_of_another_key(folder: Path) -> None:
    store = Store(folder)
    store.put("one", b"1")
    store.put("two", b"2")
    store.close()
    with _database(folder) as database:
        database.execute(
            "UPDATE Cache SET value = (SELECT value FROM Cache WHERE key = 'two') WHERE key = 'one'"
        )
    again = Store(folder)
    assert again.get("one") is None
    assert again.get("two") == b"2"
    again.close()


@pytest.mark.parametrize("setting", ["_disk", "get", "disk_surprise", "sqlite_writable_schema"])
def test_store_rebuilds_a_database_with_foreign_settings(folder: Path, setting: str) -> None:
    _filled(folder)
    with _database(folder) as database:
        database.execute("INSERT INTO Settings VALUES (?, ?)", (setting, "1"))
    store = Store(folder)
    assert store.get("small") is None
    assert "damaged" in store.notices[0]
    store.put("small", SMALL)
    assert store.get("small") == SMALL
    store.close()


@pytest.mark.parametrize(
    "content", [b"no database at all" * 100, b"SQLite format 3\0" + b"x" * 999]
)
def test_store_moves_a_garbage_database_aside(folder: Path, content: bytes) -> None:
    _filled(folder)
    (folder / "cache.db").write_bytes(content)
    store = Store(folder)
    assert store.get("large") is None
    assert "everything is fetched once more" in store.notices[0]
    assert (folder / "cache.db.damaged").read_bytes() == content
    assert not list(folder.rglob("*.val"))
    store.put("large", LARGE)
    assert store.get("large") == LARGE
    store.close()


def test_store_leaves_other_files_of_its_folder_alone(folder: Path) -> None:
    folder.mkdir()
    kept = [folder / "notes.val", folder / "aa" / "bb" / "mine.val"]
    kept[1].parent.mkdir(parents=True)
    for path in kept:
        path.write_text("mine")
    (folder / "cache.db").write_bytes(b"garbage" * 1000)
    Store(folder).close()
    assert [path.read_text() for path in kept] == ["mine", "mine"]


def test_get_of_a_changed_or_cut_value_file_is_none(folder: Path) -> None:
    _filled(folder)
    path = next(folder.rglob("*.val"))
    content = path.read_bytes()
    rng = random.Random(20260901)
    store = Store(folder)
    for _ in range(150):
        damaged = bytearray(content)
        if rng.random() < 0.3:
            del damaged[rng.randrange(len(damaged)) :]
        else:
            damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        assert store.get("large") is None
        store.put("large", LARGE)  # the damaged entry was dropped
        path = next(folder.rglob("*.val"))
    assert store.get("large") == LARGE
    store.close()


def test_store_over_a_database_with_a_changed_byte_is_never_wrong(
    folder: Path, tmp_path: Path
) -> None:
    _filled(folder)
    with _database(folder):
        pass  # everything from the log into the database
    content = (folder / "cache.db").read_bytes()
    rng = random.Random(20260902)
    for number in range(150):
        copy = tmp_path / f"copy {number}"
        shutil.copytree(folder, copy)
        damaged = bytearray(content)
        for _ in range(rng.choice([1, 1, 20])):
            damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        (copy / "cache.db").write_bytes(damaged)
        store = Store(copy)
        assert store.get("small") in (SMALL, None)
        assert store.get("large") in (LARGE, None)
        store.put("new", SMALL)
        assert store.get("new") in (SMALL, None)
        store.close()
        shutil.rmtree(copy)


def test_put_on_a_full_disk_goes_on_without(folder: Path) -> None:
    store = Store(folder)
    store.put("before", LARGE)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        store.put("large", LARGE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert store.get("large") is None
    assert store.get("before") == LARGE
    assert len(store.notices) == 1
    assert "not kept" in store.notices[0]
    assert len(list(folder.rglob("*.val"))) == 1  # nothing half written stays
    store.close()


def test_store_that_cannot_be_opened_says_so_and_is_empty(tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.write_text("not a folder")
    store = Store(occupied)
    store.put("key", SMALL)
    assert store.get("key") is None
    assert store.keys("") == []
    assert "cannot be opened" in store.notices[0]
    store.close()


def test_store_that_is_locked_by_another_process_is_empty_for_now(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.activity.store._LOCK_SECONDS", 0.05)
    monkeypatch.setattr("core.activity.store._REST_SECONDS", 0.0)
    store = Store(folder)
    with _database(folder) as database:
        database.execute("BEGIN EXCLUSIVE")
        store.put("key", SMALL)
        assert store.get("key") is None
        assert "locked" in store.notices[0]
        database.execute("ROLLBACK")
    store.put("key", SMALL)
    assert store.get("key") == SMALL
    store.close()


def test_store_damaged_while_open_is_rebuilt(folder: Path) -> None:
    store = Store(folder)
    store.put("key", SMALL)
    with _database(folder):
        pass
    size = (folder / "cache.db").stat().st_size
    (folder / "cache.db").write_bytes(b"x" * size)
    found = [store.get("key") for _ in range(3)]
    assert set(found) <= {SMALL, None}
    store.put("key", LARGE)
    store.close()
    again = Store(folder)
    assert again.get("key") in (LARGE, None)
    again.put("key", SMALL)
    assert again.get("key") == SMALL
    again.close()


def test_store_is_safe_from_several_threads(folder: Path) -> None:
    store = Store(folder)

    def work(number: int) -> bool:
        key, value = f"key {number % 5}", bytes([number % 5]) * 50_000
        store.put(key, value)
        found = store.get(key)
        store._cache.close()
        return found == value

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(40)))
    assert store.notices == ()
    store.close()


def test_alone_lets_one_in_at_a_time(folder: Path) -> None:
    stores = [Store(folder) for _ in range(4)]
    inside: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        for _ in range(10):
            with stores[number].alone("name"):
                inside.append(number)
                time.sleep(0.0005)  # so that another one could come in
                most.append(len(inside))
                inside.remove(number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert most == [1] * 40
    with stores[0].alone("name"), stores[1].alone("another"):
        pass  # names do not stand in each other's way
    for store in stores:
        store.close()


def test_alone_is_free_again_once_its_holder_is_killed(folder: Path) -> None:
    Store(folder).close()
    code = (
        "import pathlib, sys, time; from core.activity.store import Store\n"
        "with Store(pathlib.Path(sys.argv[1])).alone('name'):\n"
        "    print('held', flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, folder], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        lock = next(folder.glob("*.lock")).open("ab")
        with lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        holder.kill()
        holder.communicate()
    store = Store(folder)
    with store.alone("name"):
        store.put("key", SMALL)
    assert store.get("key") == SMALL
    store.close()


def test_alone_without_a_folder_lets_everybody_in(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    store = Store(tmp_path / "file")
    with store.alone("name"), store.alone("name"):
        store.put("key", SMALL)


def test_close_leaves_an_empty_store(folder: Path) -> None:
    store = Store(folder)
    store.put("key", SMALL)
    store.close()
    store.put("key", LARGE)
    assert store.get("key") is None
    store.close()
