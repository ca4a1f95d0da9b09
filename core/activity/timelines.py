"""Who did what when: each person's sorted instants, held as flat arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Int64 = NDArray[np.int64]
MS_PER_HOUR = 3_600_000
MS_PER_DAY = 24 * MS_PER_HOUR


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Timelines:
    """The tracked events of every person, sorted by person, then instant, then event.

    Attributes:
        person_ids: Distinct person ids, sorted; position is the person's code.
        offsets: Int64[persons + 1]; person i owns rows offsets[i] to offsets[i + 1].
        instants: Int64[events], milliseconds since 1970 UTC.
        events: Int16[events], position in event_names.
        event_names: The tracked events.
    """

    person_ids: pd.Index
    offsets: Int64
    instants: Int64
    events: NDArray[np.int16]
    event_names: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.instants)

    @property
    def persons(self) -> Int64:
        """Return the person code of every event."""
        return np.repeat(np.arange(len(self.person_ids), dtype=np.int64), np.diff(self.offsets))

    def renamed(self, names: Mapping[str, str]) -> Timelines:
        """Return the timelines with persons renamed and those of one new name made one.

        Args:
            names: Old person id -> new person id; ids not in it keep their name.
        """
        changed = {old: new for old, new in names.items() if old != new and old in self.person_ids}
        if not changed:
            return self
        touched = pd.Index([*changed, *changed.values()], dtype="str").unique()
        is_touched = self.person_ids.isin(touched)
        few, rest = self._of(is_touched), self._of(~is_touched)
        ids = few.person_ids.to_series().replace(changed).to_numpy()
        moved = from_rows(ids, few.persons, few.instants, few.events, event_names=self.event_names)
        return _interleaved(rest, moved)

    def _of(self, is_wanted: NDArray[np.bool_]) -> Timelines:
        """Return the timelines of some persons."""
        lengths = np.diff(self.offsets)
        rows = np.repeat(is_wanted, lengths)
        return Timelines(
            person_ids=self.person_ids[is_wanted],
            offsets=_offsets(lengths[is_wanted]),
            instants=self.instants[rows],
            events=self.events[rows],
            event_names=self.event_names,
        )


def from_rows(
    person_ids: Sequence[str] | NDArray[np.object_],
    persons: NDArray[np.integer],
    instants: NDArray[np.integer],
    events: NDArray[np.integer],
    *,
    event_names: Sequence[str],
) -> Timelines:
    """Return timelines from unsorted event rows.

    Args:
        person_ids: Person ids, possibly repeated; `persons` points into it.
        persons: Position in person_ids of each event.
        instants: Milliseconds since 1970 UTC of each event.
        events: Position in event_names of each event.
        event_names: The tracked events.
    """
    codes, uniques = pd.factorize(np.asarray(person_ids, dtype=object), sort=True)
    person, instant, event = _sorted_rows(
        codes.astype(np.int64)[persons],
        instants.astype(np.int64, copy=False),
        events.astype(np.int64, copy=False),
        n_persons=len(uniques),
        n_events=len(event_names),
    )
    counts = np.bincount(person, minlength=len(uniques))
    return Timelines(
        person_ids=pd.Index(uniques, dtype="str"),
        offsets=_offsets(counts),
        instants=instant,
        events=event.astype(np.int16),
        event_names=tuple(event_names),
    )


def _offsets(counts: NDArray[np.integer]) -> Int64:
    return np.concatenate(([0], np.cumsum(counts))).astype(np.int64)


def _interleaved(many: Timelines, few: Timelines) -> Timelines:
    """Return the timelines of two disjoint sets of persons as one, without sorting the many."""
    places = many.person_ids.searchsorted(few.person_ids)
    counts = np.diff(few.offsets)
    rows = np.repeat(many.offsets[places], counts)
    return Timelines(
        person_ids=pd.Index(
            np.insert(many.person_ids.to_numpy(dtype=object), places, few.person_ids), dtype="str"
        ),
        offsets=_offsets(np.insert(np.diff(many.offsets), places, counts)),
        instants=np.insert(many.instants, rows, few.instants),
        events=np.insert(many.events, rows, few.events),
        event_names=many.event_names,
    )


def _sorted_rows(
    person: Int64, instant: Int64, event: Int64, *, n_persons: int, n_events: int
) -> tuple[Int64, Int64, Int64]:
    """Sort rows by person, instant, event: packed into one integer each, which sorts fastest."""
    if not len(instant):
        return person, instant, event
    origin = int(instant.min())
    span = int(instant.max()) - origin + 1
    if n_persons * span * n_events >= np.iinfo(np.int64).max:
        order = np.lexsort((event, instant, person))
        return person[order], instant[order], event[order]
    packed = person * (span * n_events)
    packed += (instant - origin) * n_events
    packed += event
    packed.sort()
    rest, event = np.divmod(packed, n_events)
    person, instant = np.divmod(rest, span)
    return person, instant + origin, event


def merged(parts: Sequence[Timelines]) -> Timelines:
    """Return one timelines out of parts over the same event names, such as time slices.

    Raises:
        ValueError: There are no parts, or they track different events.
    """
    names = {part.event_names for part in parts}
    if len(names) != 1:
        raise ValueError(f"Timelines of {len(names)} different event lists cannot be merged.")
    starts = np.cumsum([0] + [len(part.person_ids) for part in parts[:-1]])
    return from_rows(
        np.concatenate([part.person_ids.to_numpy(dtype=object) for part in parts]),
        np.concatenate([p.persons + start for p, start in zip(parts, starts, strict=True)]),
        np.concatenate([part.instants for part in parts]),
        np.concatenate([part.events for part in parts]),
        event_names=parts[0].event_names,
    )
