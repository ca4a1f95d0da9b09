"""Damaged cache folders: what is read is what was put, or nothing; never wrong, never untyped.

A folder with small and large values is damaged at random: bytes flipped, files cut, emptied or
swapped, pages zeroed, the log and its index harmed, rows put in that no store writes. Then a
store is opened over it, read, written and opened again.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from core.activity.store import Store
from tests.faults import folders
from tests.faults.tally import Tally

LARGE = 40_000
_PAGE = 4096
_AT_ONCE = 10
_OF_VALUES = "value files"
_FOREIGN = (
    (None, 1, 1, "file", None, None),
    (b"key", 1, 1, None, b"value", None),
    ("new", 1, 2, "../../outside.val", None, None),
    ("new", 1, 2, "/etc/hostname", None, None),
    ("new", 1, 2, b"ab/cd", None, None),
    ("new", 1, 4, None, b"\x80\x04N.", None),
    ("new", 0, 1, None, b"\x80\x04N.", None),
    ("new", 1, 1, None, "text", None),
    ("new", 1, 1, None, 5, None),
    ("new", 1, 1, None, b"pushlift-store-0\n" + b"0" * 60, None),
    ("new", 1, 1, None, b"pushlift-store-1\n" + b"0" * 60, None),
    ("new", 1, "mode", None, b"", "when"),
    ("slice/\ud7ff\x00\n", 1, 1, None, b"", 1e308),
)
"""Rows of another project, another version or another hand: key, raw, mode, file, value, expiry."""


def values() -> dict[str, bytes]:
    """Return what the folder holds before it is damaged."""
    rng = random.Random(7)
    small = {f"slice/{n}": rng.randbytes(rng.randrange(2000)) for n in range(8)}
    large = {f"large/{n}": rng.randbytes(LARGE + n) for n in range(3)}
    return {**small, **large, "empty": b""}


class _Folder:
    """A folder that is damaged over and over, and made whole again in between."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.path = home / "cache"
        self.values = values()
        self.whole = self._prepared("whole", is_open=False)
        self.logged = self._prepared("logged", is_open=True)

    def again(self, *, is_logged: bool) -> None:
        """Make the folder whole, with or without a log that is still to be read back."""
        shutil.rmtree(self.path, ignore_errors=True)
        shutil.copytree(self.logged if is_logged else self.whole, self.path)

    def _prepared(self, name: str, *, is_open: bool) -> Path:
        folder = self._home / name
        store = Store(folder)
        for key, value in self.values.items():
            store.put(key, value)
        if is_open:  # as a killed process leaves it
            copy = self._home / f"{name} copy"
            shutil.copytree(folder, copy)
            store.close()
            return copy
        store.close()
        return folder


def run(*, size: int, seed: int = 1) -> Tally:
    """Return how a number of damaged folders and files were read."""
    tally = Tally(what="damaged cache folders")
    began = time.monotonic()
    rng = random.Random(seed)
    with folders.temporary("pushlift-damage-") as home:
        folder = _Folder(Path(home))
        while tally.runs < size:
            how = rng.choice([*_DAMAGES, _OF_VALUES])
            before = tally.runs
            try:
                if how == _OF_VALUES:
                    _try_values(tally, folder, rng, min(_AT_ONCE, size - tally.runs))
                else:
                    _try_folder(tally, folder, rng, how)
            except Exception as error:  # noqa: BLE001 - that nothing escapes is what is tried
                tally.runs = max(tally.runs, before + 1)
                tally.broken.append(f"{how}, {tally.runs}: {type(error).__name__}: {error}")
    tally.seconds = time.monotonic() - began
    return tally


def _enter(tally: Tally, what: str, found: dict[str, bytes | None], true: dict[str, bytes]) -> None:
    """Count one trial by what was found in it."""
    tally.runs += 1
    wrong = [key for key, value in found.items() if value not in (None, true.get(key))]
    n_missing = sum(found[key] is None for key in true if key in found)
    if wrong:
        tally.broken.append(f"{what}, {tally.runs}: wrong data under {wrong[0]!r}")
    elif n_missing:
        tally.declared += 1
    else:
        tally.exact += 1
    tally.figures["values missed"] = int(tally.figures.get("values missed", 0)) + n_missing


def _try_folder(tally: Tally, folder: _Folder, rng: random.Random, how: str) -> None:
    """Damage the folder before a store is opened over it."""
    folder.again(is_logged=rng.random() < 0.5)
    _DAMAGES[how](folder.path, rng)
    with contextlib.closing(Store(folder.path)) as store:
        found = {key: store.get(key) for key in [*folder.values, *store.keys("")]}
        store.put("after", b"kept")
        after = store.get("after")
        said = " ".join(store.notices)
    if rng.random() < _SHARE_OPENED_AGAIN:
        with contextlib.closing(Store(folder.path)) as again:
            after = again.get("after") or after
            found |= {key: again.get(key) for key in folder.values}
    if after not in (b"kept", None):
        raise AssertionError("what was put afterwards came back changed")
    if "not kept" in said and "damaged" not in said:
        raise AssertionError(f"damage was taken for circumstances: {said}")
    tally.figures["rebuilt"] = int(tally.figures.get("rebuilt", 0)) + ("damaged" in said)
    _enter(tally, how, found, folder.values)


def _try_values(tally: Tally, folder: _Folder, rng: random.Random, times: int) -> None:
    """Damage value files under a store that is open, one after the other."""
    folder.again(is_logged=False)
    with contextlib.closing(Store(folder.path)) as store:
        for _ in range(times):
            how = rng.choice([_flip, _cut, _zero, _swap, _remove, _grow])
            how(_value_files(folder.path), rng)
            large = {key: store.get(key) for key in folder.values if key.startswith("large")}
            _enter(tally, _OF_VALUES, large, folder.values)
            for key in [key for key, value in large.items() if value is None]:
                store.put(key, folder.values[key])


def _database_files(path: Path) -> list[Path]:
    return [one for one in sorted(path.glob("cache.db*")) if one.stat().st_size]


def _value_files(path: Path) -> list[Path]:
    return sorted(path.rglob("*.val"))


def _flip(files: list[Path], rng: random.Random) -> None:
    file = rng.choice(files)
    content = bytearray(file.read_bytes())
    for _ in range(rng.choice([1, 1, 1, 20, 200])):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    file.write_bytes(content)


def _cut(files: list[Path], rng: random.Random) -> None:
    file = rng.choice(files)
    content = file.read_bytes()
    file.write_bytes(content[: rng.randrange(len(content))])


def _zero(files: list[Path], rng: random.Random) -> None:
    file = rng.choice(files)
    content = bytearray(file.read_bytes())
    start = rng.randrange(len(content)) // _PAGE * _PAGE
    content[start : start + _PAGE] = bytes(len(content[start : start + _PAGE]))
    file.write_bytes(content)


def _swap(files: list[Path], rng: random.Random) -> None:
    one, other = rng.choice(files), rng.choice(files)
    contents = one.read_bytes(), other.read_bytes()
    other.write_bytes(contents[0])
    one.write_bytes(contents[1])


def _remove(files: list[Path], rng: random.Random) -> None:
    rng.choice(files).unlink()


def _grow(files: list[Path], rng: random.Random) -> None:
    with rng.choice(files).open("ab") as file:
        file.write(rng.randbytes(rng.choice([1, 100, _PAGE])))


def _to_database(
    damage: Callable[[list[Path], random.Random], None],
) -> Callable[[Path, random.Random], None]:
    return lambda path, rng: damage(_database_files(path), rng)


def _shuffle_pages(path: Path, rng: random.Random) -> None:
    file = path / "cache.db"
    content = file.read_bytes()
    pages = [content[at : at + _PAGE] for at in range(0, len(content), _PAGE)]
    one, other = rng.randrange(len(pages)), rng.randrange(len(pages))
    pages[one], pages[other] = pages[other], pages[one]
    file.write_bytes(b"".join(pages))


def _swap_rows(path: Path, rng: random.Random) -> None:
    with _database(path) as database:
        one, other = rng.sample(sorted(values()), 2)
        fetch = "SELECT mode, filename, value FROM Cache WHERE key = ?"
        change = "UPDATE Cache SET mode = ?, filename = ?, value = ? WHERE key = ?"
        rows = [database.execute(fetch, (key,)).fetchone() for key in (one, other)]
        database.execute(change, (*rows[0], other))
        database.execute(change, (*rows[1], one))


def _enter_foreign(path: Path, rng: random.Random) -> None:
    with _database(path) as database:
        key, raw, mode, file, value, expiry = rng.choice(_FOREIGN)
        key = rng.choice(sorted(values())) if key == "new" and rng.random() < 0.7 else key
        database.execute("DELETE FROM Cache WHERE key = ?", (key,))
        database.execute(
            "INSERT INTO Cache (key, raw, mode, filename, value, expire_time, access_time, size) "
            "VALUES (?, ?, ?, ?, ?, ?, 'never', -5)",
            (key, raw, mode, file, value, expiry),
        )


def _change_schema(path: Path, rng: random.Random) -> None:
    with _database(path) as database:
        database.execute(
            rng.choice(
                [
                    "DROP TABLE Cache",
                    "DROP TABLE Settings",
                    "DROP INDEX Cache_key_raw",
                    "ALTER TABLE Cache RENAME COLUMN value TO worth",
                    "UPDATE Settings SET value = 'text'",
                    "UPDATE Settings SET value = NULL",
                    "DELETE FROM Settings",
                    "INSERT INTO Settings VALUES ('disk_surprise', 1)",
                    "CREATE TRIGGER t BEFORE UPDATE ON Cache BEGIN SELECT raise(FAIL, 'no'); END",
                    "PRAGMA user_version = 9",
                ]
            )
        )


@contextlib.contextmanager
def _database(path: Path) -> Iterator[sqlite3.Connection]:
    opened = sqlite3.connect(path / "cache.db", isolation_level=None)
    with contextlib.closing(opened) as database:
        yield database


_SHARE_OPENED_AGAIN = 0.3
_DAMAGES: dict[str, Callable[[Path, random.Random], None]] = {
    "database bytes flipped": _to_database(_flip),
    "a database file cut": _to_database(_cut),
    "a database page zeroed": _to_database(_zero),
    "database files swapped": _to_database(_swap),
    "a database file removed": _to_database(_remove),
    "a database file grown": _to_database(_grow),
    "pages swapped": _shuffle_pages,
    "rows swapped": _swap_rows,
    "a foreign row": _enter_foreign,
    "the schema changed": _change_schema,
}
