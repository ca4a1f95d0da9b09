"""What was planted and what it did, stored beside the demo for tests and benchmarks only.

Events are counted in the observed part of the 48 h after each delivered push. `n_extra` are the
push's own: those it added, less those it put off. `n_base` is what would have happened without
any push at all. `n_events - n_extra` (`n_without`), drawn with the same random numbers, still
holds the next push's halved effect, which would have been whole without this one.

The planted relative effect is causal: what was expected because of a campaign's pushes over what
was expected without them. Without a push, its own events are missing, other pushes' events stay,
and the user's next push has its whole effect back (core.demo.repeats). So `expected_extra` is
`expected_own` less what the pushes took from the next ones, and `expected_without` holds that
more; `own_effect` leaves it out on both sides, as the counts do. A campaign whose own effect is
zero has a `rel_effect` below zero where other pushes follow it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.demo.activity import Happenings
from core.demo.history import NOT_REMOVED
from core.demo.people import MAPPINGS, NEVER
from core.demo.responses import N_METRICS
from core.demo.schedule import Campaign
from core.demo.simulation import Chunk
from core.demo.world import CHUNK_USERS, HOUR_MS, METRICS, WINDOW_MS, Floats, Ints, World

_COUNTS = ("n_events", "n_base", "n_extra")
_EXPECTED = ("base", "extra", "base_seen", "extra_seen", "taken", "taken_seen")
_FOUND = tuple(f"{name}_mapped" for name in _COUNTS)
_PUSHES = ("n_pushes", "n_mapped", "n_open")


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """Counts in the windows of the delivered pushes of one chunk, pushes x metrics.

    Attributes:
        row: Which of the chunk's push rows, in order of user: searching sorted keys in order is
            several times as fast.
        n_events: Events that happened, the export's.
        n_base: Events that would have happened without any push.
        n_extra: Events this push itself added; negative where it put some off. What it took from
            the next push is not in it.
    """

    row: Ints
    n_events: Ints
    n_base: Ints
    n_extra: Ints


def count_effects(world: World, chunk: Chunk) -> Effects:
    """Count what happened after each delivered push of a chunk, and why."""
    history, pushes = chunk.history, chunk.pushes
    row = np.flatnonzero(pushes.is_delivered)
    row = row[np.argsort(pushes.user[row], kind="stable")]
    start_ms = pushes.delivered_ms[row]
    end_ms = np.minimum(start_ms + WINDOW_MS, world.as_of_ms)
    windows = (pushes.user[row], start_ms - world.first_ms, end_ms - world.first_ms)
    return Effects(
        row=row,
        n_events=_count(world, history.happened(world.as_of_ms), windows),
        n_base=_count(world, history.base, windows),
        n_extra=_own(world, chunk)[row],
    )


def _count(world: World, events: Happenings, windows: tuple[Ints, Ints, Ints]) -> Ints:
    """Count events per window and metric by binary search over (metric, user, time) keys."""
    user, start, end = windows
    span = world.n_hours * HOUR_MS
    tracked = events.event < N_METRICS
    lane = events.event[tracked].astype(np.int64) * CHUNK_USERS + events.user[tracked]
    keys = np.sort(lane * span + events.at_ms[tracked] - world.first_ms)
    lanes = (np.arange(N_METRICS)[:, None] * CHUNK_USERS + user) * span
    counts = np.searchsorted(keys, lanes + end) - np.searchsorted(keys, lanes + start)
    return counts.T


def _own(world: World, chunk: Chunk) -> Ints:
    """Return events each push of the chunk added, less those it put off, pushes x metrics."""
    history, n = chunk.history, len(chunk.pushes.user)
    extra, base = history.extra, history.base
    seen = extra.at_ms < world.as_of_ms
    lost = (history.removed_by != NOT_REMOVED) & (base.at_ms < world.as_of_ms)
    cells = n * N_METRICS
    added = np.bincount(extra.push[seen] * N_METRICS + extra.event[seen], minlength=cells)
    put_off = np.bincount(history.removed_by[lost] * N_METRICS + base.event[lost], minlength=cells)
    return (added - put_off).reshape(n, N_METRICS)


class Truth:
    """The truth while it is gathered, chunk by chunk."""

    def __init__(self, folder: Path, world: World, campaigns: tuple[Campaign, ...]) -> None:
        self._folder = folder
        self._world = world
        self._campaigns = campaigns
        cells = (len(campaigns), N_METRICS)
        self._sums: dict[str, Floats] = {
            name: np.zeros(cells) for name in (*_COUNTS, *_FOUND, *_EXPECTED)
        }
        self._pushes: dict[str, Ints] = {name: np.zeros(cells[0], np.int64) for name in _PUSHES}

    def add(self, chunk: Chunk, effects: Effects, push_ids: Ints) -> None:
        """Add a chunk: its sums, its pushes and its people."""
        campaign = chunk.pushes.campaign[effects.row]
        user = chunk.pushes.user[effects.row]
        found = chunk.identities.mapping[user] != NEVER
        is_open = chunk.pushes.delivered_ms[effects.row] + WINDOW_MS > self._world.as_of_ms
        parts = {name: getattr(effects, name) for name in _COUNTS}
        parts |= {f"{name}_mapped": getattr(effects, name) * found[:, None] for name in _COUNTS}
        parts |= {name: getattr(chunk.expected, name)[effects.row] for name in _EXPECTED}
        for name, part in parts.items():
            np.add.at(self._sums[name], campaign, part)
        for name, mask in zip(_PUSHES, (np.ones_like(found), found, is_open), strict=True):
            self._pushes[name] += np.bincount(campaign[mask], minlength=len(self._campaigns))
        self._write_pushes(chunk, effects, push_ids)
        self._write_people(chunk)

    def write(self) -> None:
        """Write one row per campaign and metric."""
        sums = {name: cells.reshape(-1) for name, cells in self._sums.items()}
        counts = {name: sums[name].astype(np.int64) for name in (*_COUNTS, *_FOUND)}
        columns = self._described() | counts | _planted(sums)
        columns["n_without"] = counts["n_events"] - counts["n_extra"]
        columns["n_without_mapped"] = counts["n_events_mapped"] - counts["n_extra_mapped"]
        _write(self._folder / "campaigns.parquet", pa.table(columns))

    def _described(self) -> dict[str, pa.Array]:
        """Return what identifies each campaign and metric, and how many pushes there were."""
        sends, n = self._campaigns, len(self._campaigns)
        each = {
            "campaign_id": pa.array(campaign_keys(self._world, sends), pa.string()),
            "automation_id": pa.array([send.automation_id for send in sends], pa.string()),
            "send_date": pa.array([self._world.day(send.day) for send in sends], pa.string()),
            "layer": pa.array([send.layer for send in sends], pa.int64()),
            "content": pa.array([send.content for send in sends], pa.string()),
            "group": pa.array([send.group for send in sends], pa.string()),
            **{name: pa.array(pushes) for name, pushes in self._pushes.items()},
        }
        rows = pa.array(np.repeat(np.arange(n), N_METRICS))
        effects = np.array([send.effects for send in sends], dtype=np.float64).reshape(-1)
        return {
            **{name: values.take(rows) for name, values in each.items()},
            "metric": pa.array(list(METRICS) * n, pa.string()),
            "first_push_effect": pa.array(effects),
        }

    def _write_pushes(self, chunk: Chunk, effects: Effects, push_ids: Ints) -> None:
        pushes = chunk.pushes.take(effects.row)
        keys = pa.array(campaign_keys(self._world, self._campaigns), pa.string())
        columns = {
            "push_id": push_ids[effects.row],
            "user_id": chunk.people.user_id[pushes.user],
            "campaign_id": pa.DictionaryArray.from_arrays(
                pa.array(pushes.campaign.astype(np.int32)), keys
            ),
            "factor": pushes.factor,
        }
        for name in _COUNTS:
            counts = getattr(effects, name).astype(np.int16)
            columns |= {f"{name}_{metric}": counts[:, k] for k, metric in enumerate(METRICS)}
        _write(self._folder / "pushes" / f"part-{chunk.number:05d}.parquet", pa.table(columns))

    def _write_people(self, chunk: Chunk) -> None:
        identities = chunk.identities
        table = pa.table({
            "user_id": chunk.people.user_id,
            "person_id": identities.person_id,
            "mapping": pa.array(MAPPINGS).take(pa.array(identities.mapping)),
            "is_merged": identities.is_merged,
            "is_twin": identities.is_twin,
        })  # fmt: skip
        _write(self._folder / "people" / f"part-{chunk.number:05d}.parquet", table)


def campaign_keys(world: World, campaigns: tuple[Campaign, ...]) -> list[str]:
    """Return each campaign's id: its own, or automation id and send date where it has none."""
    return [send.campaign_id or f"{send.automation_id}:{world.day(send.day)}" for send in campaigns]


def _planted(sums: dict[str, Floats]) -> dict[str, Floats]:
    """Return expected events and relative effects, of whole windows and of what has passed.

    Other pushes' events are those that happened; in open windows they are made whole by the share
    of the base that has passed.
    """
    n_other = sums["n_events"] - sums["n_extra"] - sums["n_base"]
    own_without = sums["base"] + _ratio(n_other, _ratio(sums["base_seen"], sums["base"]))
    extra, without = sums["extra"] - sums["taken"], own_without + sums["taken"]
    extra_seen = sums["extra_seen"] - sums["taken_seen"]
    without_seen = sums["base_seen"] + n_other + sums["taken_seen"]
    return {
        "expected_without": without,
        "expected_extra": extra,
        "expected_own": sums["extra"],
        "own_effect": _ratio(sums["extra"], own_without),
        "rel_effect": _ratio(extra, without),
        "rel_effect_observed": _ratio(extra_seen, without_seen),
    }


def _ratio(above: Floats, below: Floats) -> Floats:
    nothing = np.full_like(below, np.nan)
    return np.asarray(np.divide(above, below, out=nothing, where=below > 0))


def _write(file: Path, table: pa.Table) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, file, compression="zstd", compression_level=9, store_schema=False)
