"""What one run leaves behind for later ones: a small record, kept as one JSON file a run.

No personal data, no secret: campaigns' names and ids, counts, numbers with intervals, sentences
that may be shown. What is found in the folder is read as strictly as an answer from outside.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from core import redaction
from core.errors import DataError
from core.health.frames import RUNS

What = Literal["analyze", "page", "watch"]
Status = Literal["done", "partial", "failed"]
MOST_KEPT = 500
"""Records kept; the oldest go first."""
_MOST_BYTES = 16 << 20
_OLD_SECONDS = 3600.0
_NAME = re.compile(r"[0-9]{8}T[0-9]{12}Z-[0-9a-f]{8}")
_DRAFT = re.compile(rf"\.{_NAME.pattern}\.draft")
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)
_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
_LONGEST_TEXT = 1000
Count = Annotated[int, Field(ge=0, le=2**53)]
Signed = Annotated[int, Field(ge=-(2**53), le=2**53)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a run, as its progress named it.

    Attributes:
        name: In words.
        seconds: Time it took.
        peak_mb: Most memory the process had held by its end, MB; None where not told.
    """

    __pydantic_config__ = _STRICT
    name: str
    seconds: float
    peak_mb: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What reading cost; see core.activity.source.Usage."""

    __pydantic_config__ = _STRICT
    requests: Count = 0
    retries: Count = 0
    errors: Count = 0
    bytes_received: Count = 0
    bytes_read: Count = 0
    cache_hits: Count = 0
    budget_remaining_bytes: Signed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HowMeasured:
    """The settings that the numbers depend on; none of them is a secret."""

    __pydantic_config__ = _STRICT
    timezone: str
    baseline_days: int
    post_hours: int
    confidence_level: float
    min_recipients: int
    outliers: str
    negative_control: str | None
    primary_metric: str
    metrics: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A total of quality: 0 to 1, None where it cannot be told."""

    __pydantic_config__ = _STRICT
    level: str
    of: str
    side: str
    score: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """The primary metric's headline of a layer or campaign, with its interval.

    Attributes:
        level: "layer" or "campaign".
        of: The layer, or the campaign_id.
        name: The campaign's name, or the layer.
        layer: The layer.
        status: Of the campaign, or of the pooled number.
        verdict: In a word or two; None for layers.
        evidence: A to E.
        n: Users the number rests on; campaigns, of a layer.
        effect_size: Events per user per day.
        rel_effect_size: A fraction.
    """

    __pydantic_config__ = _STRICT
    level: Literal["layer", "campaign"]
    of: str
    name: str
    layer: str
    status: str
    verdict: str | None
    evidence: str
    n: Count
    effect_size: float | None
    effect_size_ci_low: float | None
    effect_size_ci_high: float | None
    rel_effect_size: float | None
    rel_effect_size_ci_low: float | None
    rel_effect_size_ci_high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One alert of a run, and whether the webhook has been told.

    Attributes:
        kind: As in ALERTS.
        about: As in ALERTS.
        severity: "act" or "know".
        state: What must change for it to be told again.
        words: As in ALERTS.
        is_told: By this run or an earlier one.
    """

    __pydantic_config__ = _STRICT
    kind: str
    about: str
    severity: str
    state: str
    words: str
    is_told: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One run. What a run that failed never came to is empty or None.

    Attributes:
        run_id: Instant of its beginning and a random end; also the name of its file.
        started_at: When it began, UTC.
        what: Who ran it.
        status: How it ended.
        version: Of Pushlift.
        source: Where activity came from, without secrets.
        database: The push database, without secrets.
        as_of: What counted as now.
        since: First send looked at.
        until: First send no longer looked at.
        settings: How it was measured.
        cost: What reading cost.
        steps: Time and memory by step, in the order they began.
        reading_seconds: Time of each part of reading.
        seconds: Of the whole run.
        peak_mb: Most memory the process has held, MB; None where the system does not tell.
        n_campaigns: Campaigns measured.
        campaigns_by_status: How many campaigns have each status.
        mapped_share: Share of recipients mapped.
        newest_event_at: The latest event read.
        scores: Quality totals.
        headlines: Of the primary metric, layers first.
        notices: What readers were told.
        alerts: What was wrong or has just come about.
        error: What stopped it; None where nothing did.
    """

    __pydantic_config__ = _STRICT
    schema_version: Literal[1] = 1
    run_id: str
    started_at: datetime
    what: What
    status: Status
    version: str
    source: str
    database: str
    as_of: datetime | None
    since: datetime | None
    until: datetime | None
    settings: HowMeasured | None
    cost: Cost
    steps: tuple[Step, ...]
    reading_seconds: dict[str, float]
    seconds: float
    peak_mb: float | None
    n_campaigns: Count
    campaigns_by_status: dict[str, Count]
    mapped_share: float | None
    newest_event_at: datetime | None
    scores: tuple[Score, ...]
    headlines: tuple[Headline, ...]
    notices: tuple[str, ...]
    alerts: tuple[Told, ...]
    error: str | None

    @property
    def quality(self) -> float | None:
        """Return the combined quality score of everything, None where it is not known."""
        found = [one.score for one in self.scores if (one.level, one.side) == ("all", "combined")]
        return found[0] if found else None

    @property
    def overall(self) -> Headline | None:
        """Return the headline of all layers, None where nothing was pooled."""
        found = [one for one in self.headlines if (one.level, one.of) == ("layer", "all")]
        return found[0] if found else None


_RECORD = TypeAdapter(Record)


def plain(text: str) -> str:
    """Return text as a record may hold it: one line, printable, without e-mails and secrets."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    return redaction.redacted(" ".join(line.split()))[:_LONGEST_TEXT]


def run_id_of(started_at: datetime, *, random: Callable[[], str] | None = None) -> str:
    """Return a name for a run that sorts by its beginning.

    Args:
        started_at: With a zone.
        random: Returns eight hexadecimal digits, so that two that begin at once differ.
    """
    end = random() if random else secrets.token_hex(4)
    return f"{started_at.astimezone(UTC):%Y%m%dT%H%M%S%f}Z-{end}"


def write_record(folder: Path, record: Record) -> tuple[str, ...]:
    """Keep a record, whole or not at all, and let the oldest go; return what went wrong.

    A folder that cannot be written is a notice, never an error: the run itself is done.

    Args:
        folder: Made where it is not there, for its owner alone.
        record: Of one run.
    """
    name = _checked_id(record.run_id)
    draft = folder / f".{name}.draft"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            _write(draft, _RECORD.dump_json(record, indent=1))
            draft.replace(folder / f"{name}.json")
        finally:
            draft.unlink(missing_ok=True)
        _prune(folder, folder / f"{name}.json")
    except OSError as error:
        why = error.strerror or type(error).__name__
        said = (
            f"The record of this run could not be kept in {folder} ({why}), so it is missing from "
            "the history. Make room or fix the folder's permissions."
        )
        return (said,)
    return ()


def read_run(folder: Path, run_id: str) -> Record:
    """Return one record.

    Raises:
        DataError: There is none of that name, or it cannot be read.
    """
    record = _read(folder / f"{_checked_id(run_id)}.json")
    if record is None:
        raise DataError(
            f"The run {run_id} has no record in {folder} that can be read. Choose another run."
        )
    return record


def read_records(folder: Path, *, most: int = MOST_KEPT) -> tuple[list[Record], tuple[str, ...]]:
    """Return the newest records, oldest first, and a notice where files were skipped.

    Args:
        folder: The records' folder; none there means none kept.
        most: How many files are read at most.
    """
    try:
        names = _names(folder)[-most:]
    except OSError as error:
        why = error.strerror or type(error).__name__
        return [], (f"The records of runs in {folder} cannot be listed ({why}).",)
    read = [_read(folder / f"{name}.json") for name in names]
    found = [one for one in read if one is not None]
    n_skipped = len(read) - len(found)
    if not n_skipped:
        return found, ()
    files = "file is" if n_skipped == 1 else "files are"
    return found, (
        f"{n_skipped:,} {files} skipped in {folder}: damaged, or no record of this version.",
    )


def read_runs(folder: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return RUNS, oldest first, and a notice where files were skipped.

    Args:
        folder: The records' folder; none there means none kept.
    """
    records, notices = read_records(folder)
    return runs_table(records), notices


def runs_table(records: Sequence[Record]) -> pd.DataFrame:
    """Return RUNS, one row per record, in the order given."""
    if not records:
        return RUNS.empty()
    frame = pd.DataFrame([_row(one) for one in records], columns=RUNS.names)
    for column in RUNS.columns:
        values = frame[column.name]
        if column.kind == "instant":
            frame[column.name] = pd.to_datetime(values, utc=True).dt.as_unit("ms")
        elif column.kind == "text":
            frame[column.name] = values.astype("str")
        elif column.kind == "integer":
            frame[column.name] = values.astype("int64")
        else:
            frame[column.name] = values.astype("float64")
    return RUNS.checked(frame)


def _row(record: Record) -> dict[str, object]:
    head, cost = record.overall, record.cost
    return {
        "run_id": record.run_id,
        "started_at": record.started_at,
        "what": record.what,
        "status": record.status,
        "source": record.source,
        "since": record.since,
        "until": record.until,
        "n_campaigns": record.n_campaigns,
        "n_requests": cost.requests,
        "n_retries": cost.retries,
        "n_errors": cost.errors,
        "n_cache_hits": cost.cache_hits,
        "bytes_received": cost.bytes_received,
        "bytes_read": cost.bytes_read,
        "seconds": record.seconds,
        "peak_mb": record.peak_mb,
        "mapped_share": record.mapped_share,
        "quality": record.quality,
        "newest_event_at": record.newest_event_at,
        "primary_rel_effect_size": head.rel_effect_size if head else None,
        "primary_rel_effect_size_ci_low": head.rel_effect_size_ci_low if head else None,
        "primary_rel_effect_size_ci_high": head.rel_effect_size_ci_high if head else None,
        "error": record.error,
    }


def _checked_id(run_id: str) -> str:
    """Return the name of a run's file, once it can lead nowhere else."""
    if not _NAME.fullmatch(run_id):
        raise DataError(f"{run_id!r} is not the name of a run.")
    return run_id


def _names(folder: Path) -> list[str]:
    """Return the names of the runs in a folder, oldest first."""
    if not folder.is_dir():
        return []
    stems = (path.stem for path in folder.iterdir() if path.suffix == ".json")
    return sorted(stem for stem in stems if _NAME.fullmatch(stem))


def _read(path: Path) -> Record | None:
    """Return a record, or None where the file holds anything else."""
    try:
        held = os.open(path, os.O_RDONLY | _NO_LINKS)
        with os.fdopen(held, "rb") as file:
            content = file.read(_MOST_BYTES + 1)
        record = _RECORD.validate_json(content, strict=True)
    except (OSError, ValidationError, RecursionError):
        return None
    is_whole = len(content) <= _MOST_BYTES and record.run_id == path.stem
    is_aware = all(
        one is None or one.tzinfo is not None
        for one in (
            record.started_at, record.as_of, record.since, record.until, record.newest_event_at,
        )
    )  # fmt: skip
    return record if is_whole and is_aware else None


def _write(path: Path, content: bytes) -> None:
    held = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINKS, 0o600)
    with os.fdopen(held, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _prune(folder: Path, newest: Path) -> None:
    """Remove records beyond the number kept, and drafts that killed processes left.

    Others may do so at the same time; what stays for now goes the next time.
    """
    with suppress(OSError):
        for name in _names(folder)[:-MOST_KEPT]:
            (folder / f"{name}.json").unlink(missing_ok=True)
    drafts = [path for path in folder.glob(".*.draft") if _DRAFT.fullmatch(path.name)]
    for path in drafts:
        with suppress(OSError):
            if path.lstat().st_mtime < newest.stat().st_mtime - _OLD_SECONDS:
                path.unlink(missing_ok=True)
