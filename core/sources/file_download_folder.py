"""The folder of a download: one Parquet file a week and model, and a list of what they are.

A week's file is written aside and checked, then takes its name in one step, also over the file it
replaces: nothing half is ever under a name that ends in .parquet, and never two files of a week.
`download.json` says of each file what it holds, and which exports are under way at PostHog, so
that a process that was killed loses none of them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Annotated, Final, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from core.activity.source import Hole, Period
from core.errors import ConfigError
from core.sources.file_download_api import Model, Order
from core.sources.room import out_of_room

if sys.platform != "win32":
    import fcntl

MANIFEST: Final = "download.json"
WEEK: Final = timedelta(days=7)
_SCRATCH: Final = ".partial"
_LOCK: Final = ".lock"
_BLOCK: Final = 1 << 20
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_Id = Annotated[str, Field(pattern=r"^[0-9a-fA-F-]{36}$")]
_Count = Annotated[int, Field(ge=0)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Run(_Record):
    """An export that was ordered; its rows are as of `ordered_at`."""

    model: Model
    start: AwareDatetime
    end: AwareDatetime
    include: tuple[str, ...] = ()
    run_id: _Id
    ordered_at: AwareDatetime

    @property
    def order(self) -> Order:
        """Return what was ordered."""
        return Order(model=self.model, start=self.start, end=self.end, include=self.include)


class Week(Run):
    """An export whose rows are in a file of this folder."""

    fetched_at: AwareDatetime
    settled: bool
    n_rows: _Count
    size: _Count
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


R = TypeVar("R", bound=Run)


class _Manifest(_Record):
    schema_version: Literal[1] = 1
    host: str
    project_id: int
    weeks: tuple[Week, ...] = ()
    under_way: tuple[Run, ...] = ()


class DownloadFolder:
    """A folder that downloads go to. Hold `alone` around everything else."""

    def __init__(self, root: Path, *, host: str, project_id: int) -> None:
        """Name the folder and what is downloaded into it; `read` comes next."""
        self.root = root
        self.notices: list[str] = []
        self._manifest = _Manifest(host=host, project_id=project_id)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Make the folder where there is none, and hold it against other processes.

        Raises:
            ConfigError: Another process is at work in it.
            ExportError: It cannot be written.
        """
        with out_of_room(self.root, what="a download"):
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = (self.root / _LOCK).open("ab")
        with lock:
            if not is_held(lock):
                raise ConfigError(f"Another download is at work in {self.root}. Wait for its end.")
            yield

    def read(self) -> None:
        """Read what is there; files that are not as they were written count as missing.

        Raises:
            ConfigError: The folder is of another project.
        """
        shutil.rmtree(self.root / _SCRATCH, ignore_errors=True)
        known = read_manifest(self.root)
        if known is None:
            if (self.root / MANIFEST).exists():
                (self.root / MANIFEST).replace(self.root / f"{MANIFEST}.damaged")
                self.notices.append(
                    f"{MANIFEST} in {self.root} was damaged and was put aside: every week is "
                    "fetched once more."
                )
            return
        own = self._manifest
        if (known.host, known.project_id) != (own.host, own.project_id):
            raise ConfigError(
                f"{self.root} holds a download of project {known.project_id} at {known.host}. "
                "Choose another folder."
            )
        intact = tuple(week for week in known.weeks if is_intact(self.path_of(week), week))
        for week in sorted(set(known.weeks) - set(intact), key=lambda one: (one.model, one.start)):
            self.notices.append(
                f"The file with the {week.order.words} was missing or changed: it is fetched again."
            )
        self._manifest = known.model_copy(update={"weeks": intact})

    def path_of(self, run: Run) -> Path:
        """Return where the rows of a week stand."""
        return self.root / run.model / f"{run.start:%Y-%m-%d}.parquet"

    def week_at(self, order: Order) -> Week | None:
        """Return what is there of an order's week."""
        return _at(self._manifest.weeks, order)

    def run_at(self, order: Order) -> Run | None:
        """Return the export that is under way for an order's week."""
        return _at(self._manifest.under_way, order)

    @property
    def under_way(self) -> tuple[Run, ...]:
        """Return the exports that were ordered and not yet fetched."""
        return self._manifest.under_way

    def note(self, run: Run) -> None:
        """Remember an export that was ordered."""
        self._write(under_way=(*_without(self._manifest.under_way, run), run))

    def forget(self, run: Run) -> None:
        """Forget an export that will not be fetched."""
        self._write(under_way=_without(self._manifest.under_way, run))

    def scratch(self, run: Run) -> Path:
        """Return an empty folder beside the others for one week's work."""
        folder = self.root / _SCRATCH / f"{run.model}-{run.start:%Y-%m-%d}"
        shutil.rmtree(folder, ignore_errors=True)
        with out_of_room(self.root, what="a download"):
            folder.mkdir(parents=True)
        return folder

    def keep(
        self, run: Run, file: Path, *, n_rows: int, settled: bool, fetched_at: datetime
    ) -> None:
        """Give a checked file of this disk its name, in the place of what was there, and list it.

        Raises:
            ExportError: It cannot be written.
        """
        target = self.path_of(run)
        with out_of_room(self.root, what=f"the {run.order.words}"):
            target.parent.mkdir(mode=0o700, exist_ok=True)
            file.chmod(0o600)
            size, digest = file.stat().st_size, _digest(file)
            _flush(file)
            file.replace(target)
            _flush(target.parent)
        week = Week(
            **run.model_dump(),
            fetched_at=fetched_at,
            settled=settled,
            n_rows=n_rows,
            size=size,
            sha256=digest,
        )
        self._write(
            weeks=(*_without(self._manifest.weeks, run), week),
            under_way=_without(self._manifest.under_way, run),
        )

    def tidy(self) -> None:
        """Remove what work has left behind."""
        shutil.rmtree(self.root / _SCRATCH, ignore_errors=True)

    def _write(self, **changes: tuple[Run, ...]) -> None:
        ordered = {
            name: tuple(sorted(runs, key=lambda run: (run.model, run.start)))
            for name, runs in changes.items()
        }
        self._manifest = self._manifest.model_copy(update=ordered)
        text = json.dumps(self._manifest.model_dump(mode="json"), indent=1) + "\n"
        aside = self.root / f"{MANIFEST}.tmp"
        with out_of_room(self.root, what="the list of what was downloaded"):
            aside.write_text(text, encoding="utf-8")
            _flush(aside)
            aside.replace(self.root / MANIFEST)
            _flush(self.root)


def is_held(lock: IO[bytes]) -> bool:
    """Take a lock that a killed process frees, and say whether it is held now."""
    if sys.platform != "win32":
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def is_intact(file: Path, week: Week) -> bool:
    """Say whether a file is, byte by byte, what was written for a week."""
    try:
        return file.stat().st_size == week.size and _digest(file) == week.sha256
    except OSError:
        return False


def read_manifest(root: Path) -> _Manifest | None:
    """Return the list of a folder, or None where there is none that can be read."""
    try:
        return _Manifest.model_validate_json((root / MANIFEST).read_bytes())
    except (OSError, ValidationError, RecursionError):
        return None


def holes_in(
    path: str, period: Period, events: Sequence[str], *, persons: str | None = None
) -> tuple[Hole, ...]:
    """Return what of a period is not in the downloaded folder that a path of events names.

    A folder that was not downloaded has no list and no holes that could be known of.

    Args:
        path: The setting events.path.
        period: The time looked at.
        events: Names of events that have to be in it.
        persons: The setting events.persons.
    """
    named: list[tuple[Model, str]] = [("events", path)]
    if persons is not None:
        named.append(("persons", persons))
    return tuple(hole for model, where in named for hole in _gaps(model, where, period, events))


def _gaps(model: Model, path: str, period: Period, events: Sequence[str]) -> list[Hole]:
    root = _root_of(model, path)
    if root is None:
        return []
    known = read_manifest(root)
    weeks = [week for week in (known.weeks if known else ()) if week.model == model]
    if model == "events":
        weeks = [week for week in weeks if set(events) <= set(week.include)]
    there = [(_ms(week.start), _ms(week.end)) for week in weeks if _is_there(root, week)]
    what = "events" if model == "events" else "what changed of persons"
    why = (
        f"{what} of that time were not downloaded to {root}. Run `python -m core download --out "
        f"{root}` again, or look from the last download's end with --as-of."
    )
    holes, position, end = [], int(period.start), int(period.end)
    for first, last in [*sorted(there), (end, end)]:
        if position < min(first, end):
            holes.append(Hole(start=position, end=min(first, end), why=why))
        position = max(position, last)
    return holes


def _root_of(model: Model, path: str) -> Path | None:
    """Return the downloaded folder of a path such as DIR/events/*.parquet."""
    for folder in (Path(path), *Path(path).parents):
        if folder.name == model and (folder.parent / MANIFEST).exists():
            return folder.parent
    return None


def _is_there(root: Path, week: Week) -> bool:
    file = root / week.model / f"{week.start:%Y-%m-%d}.parquet"
    return file.exists() and file.stat().st_size == week.size


def _at(runs: Sequence[R], order: Order) -> R | None:
    found = (run for run in runs if (run.model, run.start) == (order.model, order.start))
    return next(found, None)


def _without(runs: Sequence[R], gone: Run) -> tuple[R, ...]:
    return tuple(run for run in runs if (run.model, run.start) != (gone.model, gone.start))


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while block := content.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _flush(path: Path) -> None:
    """Have the disk hold a file, or a folder's names, before what follows relies on it."""
    if path.is_dir() and sys.platform == "win32":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _ms(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(milliseconds=1)
