"""What every source of activity offers, whatever lies behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pandas as pd

from core.activity.timelines import Timelines

Progress = Callable[[str, int, int], None]
"""Called with the step in words, how much of it is done, and how much there is."""


def silent(step: str, done: int, total: int) -> None:
    """Report nothing."""


@dataclass(frozen=True, slots=True)
class Period:
    """A half-open stretch of time [start, end), milliseconds since 1970 UTC."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """A stretch of time whose activity could not be had: what happened in it is not known.

    Attributes:
        start: Its beginning, milliseconds since 1970 UTC.
        end: Its end, no longer in it.
        why: What went wrong and what to do about it, in a sentence or two.
    """

    start: int
    end: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What people did in a period.

    Attributes:
        timelines: The tracked events, by person as the source knew them when they were read.
        seen: One row per distinct id met: `distinct_id`, `person_id`, `is_current` (whether the
            answer is fresh enough to stand without another lookup).
        notices: What the reader of the numbers should know, in sentences.
        holes: What of the period is missing, in order of time; events in it are not in the
            timelines.
    """

    timelines: Timelines
    seen: pd.DataFrame
    notices: tuple[str, ...] = ()
    holes: tuple[Hole, ...] = ()


@dataclass(slots=True, kw_only=True)
class Usage:
    """What reading cost so far."""

    requests: int = 0
    retries: int = 0
    errors: int = 0
    bytes_received: int = 0
    bytes_read: int = 0
    """As PostHog counts them against its hourly budget."""
    cache_hits: int = 0
    budget_remaining_bytes: int | None = None
    notes: list[str] = field(default_factory=list)


class ActivitySource(Protocol):
    """Where activity and identities come from."""

    usage: Usage

    @property
    def label(self) -> str:
        """Return what it is in a few words, without secrets."""
        ...

    @property
    def kind(self) -> str:
        """Return "posthog" or "export"."""
        ...

    def fetch(
        self, period: Period, events: Sequence[str], *, refresh: bool, on_progress: Progress
    ) -> Activity:
        """Return everybody's tracked events of a period, each event once.

        What could not be had is named in `holes`; where nothing could be, that is an error.
        """
        ...

    def persons_of(self, distinct_ids: Sequence[str]) -> pd.DataFrame:
        """Return `distinct_id`, `person_id` for up to 1,000 distinct ids.

        Every distinct id of the persons found is in it, so that merges show; ids without a
        person are not.
        """
        ...

    def persons_with(self, emails: Sequence[str]) -> pd.DataFrame:
        """Return `email`, `person_id` for up to 1,000 trimmed, case-folded e-mails."""
        ...

    def close(self) -> None:
        """Free what is held."""
        ...
