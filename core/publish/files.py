"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath

from core.errors import PushliftError

Writer = Callable[[Path], None]
"""Writes one file at the path it is given."""


def write_all(out: Path, files: Mapping[str, Writer]) -> None:
    """Write files into a folder so that either all of them are there or the folder is as before.

    They are written into a hidden folder on the same disk first, then moved in, in the order
    given; a move that fails is undone. Other files in the folder stay.

    Args:
        out: The folder; made where it is not there.
        files: Path below the folder ("lifts.csv", "reports/layer-1/a.md") -> what writes it.

    Raises:
        PushliftError: The folder or a file cannot be written, or a name leads out of the folder.
    """
    for name in files:
        _check_name(name)
    home = out.resolve()
    try:
        _write_and_move(home, files)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise PushliftError(
            f"The results could not be written into {out} ({why}); what was there is unchanged. "
            "Free space or choose another folder with --out."
        ) from error


def _check_name(name: str) -> None:
    path = PurePath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts:
        raise PushliftError(f"The file name {name!r} leads out of the folder; use one below it.")


def _write_and_move(home: Path, files: Mapping[str, Writer]) -> None:
    # Beside a folder that is there may be another disk (a mounted volume), inside it is not.
    near = home if home.is_dir() else home.parent
    near.mkdir(parents=True, exist_ok=True)
    work = near / f".{home.name}-{secrets.token_hex(4)}"
    new, old = work / "new", work / "old"
    try:
        new.mkdir(parents=True)
        for name, write in files.items():
            target = new / name
            target.parent.mkdir(parents=True, exist_ok=True)
            write(target)
            _settle(target)
        if home.is_dir():
            _move_in(new, home, old, names=list(files))
        else:
            new.replace(home)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _settle(path: Path) -> None:
    """Wait until the file is on the disk, so that a rename never outlives its content."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _move_in(new: Path, home: Path, old: Path, *, names: list[str]) -> None:
    moved: list[str] = []
    try:
        for name in names:
            moved.append(name)
            _move_aside(home / name, old / name)
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (new / name).replace(home / name)
    except OSError:
        for name in reversed(moved):
            _move_back(home / name, old / name, new / name)
        raise


def _move_aside(target: Path, kept: Path) -> None:
    if target.exists():
        if target.is_dir():
            raise IsADirectoryError(None, f"{target.name} is a folder", str(target))
        kept.parent.mkdir(parents=True, exist_ok=True)
        os.link(target, kept)


def _move_back(target: Path, kept: Path, unmoved: Path) -> None:
    if kept.exists():
        kept.replace(target)
    elif not unmoved.exists():
        target.unlink(missing_ok=True)
