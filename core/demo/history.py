"""What really happens in a chunk: events without pushes, less and plus what pushes did."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from core.demo.activity import Happenings
from core.demo.world import Flags, Ints

NOT_REMOVED = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """Events that pushes added: whose, when, which of EVENTS, and by which push of the chunk."""

    user: Ints
    at_ms: Ints
    event: npt.NDArray[np.int8]
    push: Ints

    @classmethod
    def joined(cls, parts: list[Extra]) -> Extra:
        """Return all parts as one."""
        return cls(
            user=np.concatenate([np.empty(0, np.int64), *(part.user for part in parts)]),
            at_ms=np.concatenate([np.empty(0, np.int64), *(part.at_ms for part in parts)]),
            event=np.concatenate([np.empty(0, np.int8), *(part.event for part in parts)]),
            push=np.concatenate([np.empty(0, np.int64), *(part.push for part in parts)]),
        )


@dataclass(slots=True, kw_only=True)
class History:
    """The events of a chunk as campaigns go by; the only thing here that changes.

    Attributes:
        base: What happens without any push.
        removed_by: For each base event the push that kept it from happening, or NOT_REMOVED.
        added: What pushes added so far, one part a campaign.
    """

    base: Happenings
    removed_by: Ints
    added: list[Extra] = field(default_factory=list)

    @classmethod
    def of(cls, base: Happenings) -> History:
        """Return the history of a chunk in which no push has been sent."""
        return cls(base=base, removed_by=np.full(len(base.at_ms), NOT_REMOVED))

    @property
    def extra(self) -> Extra:
        """Return everything pushes added so far."""
        return Extra.joined(self.added)

    def seen(self, events: tuple[int, ...], start_ms: int, end_ms: int) -> tuple[Ints, Ints]:
        """Return whose and when, of the events that really happened in [start, end)."""
        part = self.base.between(start_ms, end_ms)
        kept = self.removed_by[part] == NOT_REMOVED
        kept &= np.isin(self.base.event[part], events)
        extra = self.extra
        among: Flags = np.isin(extra.event, events)
        among &= (extra.at_ms >= start_ms) & (extra.at_ms < end_ms)
        users = np.concatenate([self.base.user[part][kept], extra.user[among]])
        return users, np.concatenate([self.base.at_ms[part][kept], extra.at_ms[among]])

    def happened(self, before_ms: int) -> Happenings:
        """Return every event that really happened before an instant, in order of time."""
        kept = (self.removed_by == NOT_REMOVED) & (self.base.at_ms < before_ms)
        extra = self.extra
        among = extra.at_ms < before_ms
        return Happenings.sorted(
            np.concatenate([self.base.user[kept], extra.user[among]]),
            np.concatenate([self.base.at_ms[kept], extra.at_ms[among]]),
            np.concatenate([self.base.event[kept], extra.event[among]]),
        )
