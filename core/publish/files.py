"""Files that appear whole or not at all, in a folder or in one ZIP."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath, PurePosixPath

from core.errors import PushliftError

Writer = Callable[[Path], None]
"""Writes one file at the path it is given."""
LONGEST_PART = 120
_PART = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9._-]{{0,{LONGEST_PART - 1}}}")
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_COMPRESSED = {".xlsx", ".parquet", ".zip"}


def write_all(out: Path, files: Mapping[str, Writer], *, folders: Sequence[str] = ()) -> None:
    """Write files into a folder so that either all of them are there or the folder is as before.

    They are written into a hidden folder on the same disk first, then moved in, in the order
    given; a move that fails is undone. Other files in the folder stay, but for the folders
    named: each of these is replaced as a whole, so that nothing of an earlier run stays in it.

    Args:
        out: The folder; made where it is not there.
        files: Path below the folder ("lifts.csv", "reports/layer-1/a.md") -> what writes it.
        folders: Folders right below it that hold nothing but these files.

    Raises:
        PushliftError: The folder or a file cannot be written, a name leads out of the folder,
            or is none that every file system takes.
    """
    for name in (*files, *folders):
        _check_name(name)
    _check_apart(files)
    home = out.resolve()
    try:
        _write_and_move(home, files, folders)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise PushliftError(
            f"The results could not be written into {out} ({why}); what was there is unchanged. "
            "Free space or choose another folder with --out."
        ) from error


def write_zip(path: Path, files: Mapping[str, Writer]) -> None:
    """Write files into one ZIP, whole or not at all; the same files give the same bytes.

    One file after the other is made beside the ZIP, added and removed.

    Args:
        path: The ZIP; replaced where it is there.
        files: Path within the ZIP -> what writes it.

    Raises:
        PushliftError: The ZIP cannot be written, or a name is none that every file system takes.
    """
    for name in files:
        _check_name(name)
    _check_apart(files)
    work = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        work.mkdir(parents=True)
        draft, one = work / "zip", work / "one"
        with zipfile.ZipFile(draft, "w") as archive:
            for name, write in files.items():
                write(one)
                _add(archive, name, one)
                one.unlink()
        _settle(draft)
        draft.replace(path)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise PushliftError(f"The file {path} could not be written ({why}).") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _add(archive: zipfile.ZipFile, name: str, path: Path) -> None:
    """Add a file under a name, with the time and rights that every ZIP of ours has."""
    entry = zipfile.ZipInfo(name, _ZIP_TIME)
    entry.external_attr = 0o644 << 16
    entry.file_size = path.stat().st_size
    is_packed = PurePosixPath(name).suffix in _COMPRESSED
    entry.compress_type = zipfile.ZIP_STORED if is_packed else zipfile.ZIP_DEFLATED
    with path.open("rb") as source, archive.open(entry, "w") as sink:
        shutil.copyfileobj(source, sink, 1 << 20)


def _check_name(name: str) -> None:
    path = PurePath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts:
        raise PushliftError(f"The file name {name!r} leads out of the folder; use one below it.")
    if any(not _PART.fullmatch(part) or part.endswith(".") for part in name.split("/")):
        raise PushliftError(
            f"The file name {name!r} is none that every file system takes; use letters, digits, "
            "dots, hyphens and underscores."
        )


def _check_apart(files: Mapping[str, Writer]) -> None:
    """Refuse names that some file systems take for one."""
    seen: dict[str, str] = {}
    for name in files:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise PushliftError(f"The file names {other!r} and {name!r} differ in capitals alone.")


def _write_and_move(home: Path, files: Mapping[str, Writer], folders: Sequence[str]) -> None:
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
            alone = [name for name in files if name.split("/")[0] not in folders]
            _move_in(new, home, old, names=[*folders, *alone], folders=folders)
        else:
            new.replace(home)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _settle(path: Path) -> None:
    """Wait until the file is on the disk, so that a rename never outlives its content."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _move_in(
    new: Path, home: Path, old: Path, *, names: Sequence[str], folders: Sequence[str]
) -> None:
    aside: list[str] = []
    placed: list[str] = []
    try:
        for name in names:
            if _move_aside(home / name, old / name, is_folder=name in folders):
                aside.append(name)
            if (new / name).exists():
                (home / name).parent.mkdir(parents=True, exist_ok=True)
                (new / name).replace(home / name)
                placed.append(name)
    except OSError:
        for name in reversed(placed):
            (home / name).replace(new / name)
        for name in reversed(aside):
            (old / name).replace(home / name)
        raise


def _move_aside(target: Path, kept: Path, *, is_folder: bool) -> bool:
    """Keep what stands where a file or folder shall go; say whether there was anything."""
    if not os.path.lexists(target):
        return False
    kept.parent.mkdir(parents=True, exist_ok=True)
    if is_folder:
        if not target.is_dir():
            raise NotADirectoryError(None, f"{target.name} is not a folder", str(target))
        target.replace(kept)  # a folder has no second name to keep it by
        return True
    if target.is_dir():
        raise IsADirectoryError(None, f"{target.name} is a folder", str(target))
    os.link(target, kept, follow_symlinks=False)
    return True
