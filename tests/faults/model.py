"""A source of activity over a store, driven at random against a ledger of true events.

Hypothesis draws sequences of fetches, failures, kills, waits, late events, merges, evictions,
damage and clocks set back. After each fetch what came is held against the ledger: every event
that had arrived when the store may last have been believed is there once, none that had not
arrived is, each under a person it belonged to recently enough, and what is missing lies in a
declared hole.
"""

from __future__ import annotations

import itertools
import sqlite3
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from core.activity.plan import CLOCK_SLACK, YOUNG_TTL_SECONDS
from core.activity.source import Activity, Period
from core.activity.store import Store
from core.activity.timelines import MS_PER_DAY, MS_PER_HOUR
from core.errors import PostHogBusy, PostHogError, QueryTooBig
from core.sections import PostHog
from core.sources.posthog import IDENTITY_TTL_SECONDS, PostHogSource
from core.sources.posthog_client import Answer
from core.sources.posthog_queries import MERGED_QUERY, PERSONS_QUERY, SLICE_QUERY
from tests.faults import folders
from tests.faults.tally import Tally

T = TypeVar("T")

EVENTS = ("Trade Confirmed", "$pageview", "PDP add to closet")
FIRST = 20_600 * MS_PER_DAY
BEGIN = FIRST + 12 * MS_PER_DAY + 37_800_123
SETTLE_HOURS = 24
SETTLE = SETTLE_HOURS * MS_PER_HOUR
N_PERSONS = 6
N_STEPS = 25
_LATENESS = st.sampled_from([0, 0, 1000, MS_PER_HOUR, SETTLE // 2, SETTLE])
_TTL = YOUNG_TTL_SECONDS * 1000 + CLOCK_SLACK


class KilledError(BaseException):
    """The process is no more; nothing may catch this."""


class Event(NamedTuple):
    """One event: when it happened, when PostHog had it, whose, and the position of its name."""

    instant: int
    arrival: int
    distinct_id: str
    name: int


@dataclass(slots=True)
class Ledger:
    """What is true: every event, and to whom each distinct id belonged since when."""

    events: dict[int, Event] = field(default_factory=dict)
    owners: dict[str, list[tuple[int, str]]] = field(default_factory=dict)

    def add(self, instant: int, arrival: int, who: int, name: int) -> None:
        """Enter an event at the first free millisecond from an instant on."""
        while instant in self.events:
            instant += 1
        ids = sorted(self.owners)
        one = Event(instant, max(arrival, instant), ids[who % len(ids)], name)
        self.events[instant] = one

    def owner(self, distinct_id: str, at: int) -> str:
        """Return whose a distinct id was at an instant."""
        return [person for since, person in self.owners[distinct_id] if since <= at][-1]

    def owners_since(self, distinct_id: str, at: int) -> set[str]:
        """Return whose a distinct id was at an instant or later."""
        later = {person for since, person in self.owners[distinct_id] if since > at}
        return later | {self.owner(distinct_id, at)}


class MortalStore(Store):
    """A store whose process can be killed before, in the middle of, or after a put."""

    dies_in: int | None = None
    how: str = "before"

    def put(self, key: str, value: bytes, *, expire_seconds: float | None = None) -> None:
        """Keep a value, unless this is where the process ends."""
        self.dies_in = None if self.dies_in is None else self.dies_in - 1
        if self.dies_in != 0:
            super().put(key, value, expire_seconds=expire_seconds)
            return
        if self.how == "after":
            super().put(key, value, expire_seconds=expire_seconds)
        elif self.how == "half":  # a file that was begun, and whose row never came
            half = Path(self._directory, "ab", "cd", f"{'e' * 28}.val")
            half.parent.mkdir(parents=True, exist_ok=True)
            half.write_bytes(value[: len(value) // 2])
        elif self.how == "torn" and self._cache is not None:
            self._cache.set(key, value[: len(value) // 2])
        raise KilledError


class FakeClient:
    """Answers the source's questions from the ledger, or fails as told."""

    ms_ahead = 0

    def __init__(self, ledger: Ledger, now: Callable[[], int], offset: int) -> None:
        self._ledger = ledger
        self._now = now
        self._offset = offset
        self.failures: list[type[PostHogError] | None] = []
        self.n_failed = 0

    def read(
        self, text: str, values: Mapping[str, Any], *, name: str, parse: Callable[[Answer], T]
    ) -> T:
        """Return what parse makes of the true answer."""
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            self.n_failed += 1
            raise failure("The fault of this trial.")
        answers = {
            SLICE_QUERY: self._slice, MERGED_QUERY: self._merged, PERSONS_QUERY: self._persons,
        }  # fmt: skip
        shards, shard = values.get("shards", 1), values.get("shard", 0)
        rows = answers[text](values)
        part = [row for row in rows if zlib.crc32(row[0].encode()) % shards == shard]
        columns = (
            ("who", "distinct_ids", "codes") if text == SLICE_QUERY else ("who", "distinct_ids")
        )
        part.append(["", [""], [0]] if text == SLICE_QUERY else ["", [""]])  # always there
        counted = [[*row, len(part)] for row in sorted(part)]
        return parse(Answer(columns=(*columns, "n_rows"), rows=counted))

    def close(self) -> None:
        """Close nothing."""

    def _slice(self, values: Mapping[str, Any]) -> list[list[Any]]:
        found: dict[str, tuple[set[str], list[int]]] = {}
        names: Sequence[str] = values["events"]
        for event in self._ledger.events.values():
            instant = event.instant + self._offset
            is_inside = values["t_from"] * 1000 <= instant < values["t_to"] * 1000
            if not is_inside or event.arrival > self._now() or EVENTS[event.name] not in names:
                continue
            person = self._ledger.owner(event.distinct_id, self._now())
            ids, codes = found.setdefault(person, (set(), []))
            ids.add(event.distinct_id)
            place = names.index(EVENTS[event.name])
            codes.append((instant - values["origin_ms"]) * values["n_events"] + place)
        return [[who, sorted(ids), sorted(codes)] for who, (ids, codes) in found.items()]

    def _merged(self, _values: Mapping[str, Any]) -> list[list[Any]]:
        return [[who, sorted(ids)] for who, ids in self._persons_now().items() if len(ids) > 1]

    def _persons(self, values: Mapping[str, Any]) -> list[list[Any]]:
        asked = set(values["ids"])
        return [[who, sorted(ids)] for who, ids in self._persons_now().items() if asked & set(ids)]

    def _persons_now(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for distinct in self._ledger.owners:
            found.setdefault(self._ledger.owner(distinct, self._now()), []).append(distinct)
        return found


class Machine(RuleBasedStateMachine):
    """The sequences: two projects over one store, and everything that may happen to them."""

    counts: ClassVar[dict[str, int]]

    def __init__(self) -> None:
        super().__init__()
        self.counts["sequences"] += 1
        self.folder = folders.temporary("pushlift-model-")
        self.now = BEGIN
        self.skew = 0
        self.set_back = 0
        self.ledger = Ledger()
        self.open()

    def open(self) -> None:
        """Begin a process."""
        self.store = MortalStore(Path(self.folder.name) / "cache")
        self.clients = [FakeClient(self.ledger, lambda: self.now, offset) for offset in (0, 1)]
        self.sources = [
            PostHogSource(
                PostHog(
                    host="http://localhost:1", project_id=number, api_key="phx_model",
                    slice_days=3, settle_hours=SETTLE_HOURS, max_in_flight=1,
                ),
                self.store,
                now=lambda: self.now + self.skew,
                client=client,  # type: ignore[arg-type]  # all it is asked for is there
            )
            for number, client in enumerate(self.clients, start=1)
        ]  # fmt: skip

    def teardown(self) -> None:
        """End the process, and remove what it kept."""
        self.store.close()
        self.folder.cleanup()

    @initialize(numbers=st.lists(st.integers(0, 2**40), min_size=20, max_size=40))
    def fill(self, numbers: list[int]) -> None:
        """Fill the twelve days before."""
        for number in range(N_PERSONS):
            self.ledger.owners[f"u_{number}"] = [(0, f"person {number}")]
            self.ledger.owners[f"anon_{number}"] = [(0, f"visitor {number}")]
        for number in numbers:
            instant = FIRST + number % (BEGIN - FIRST)
            self.ledger.add(instant, instant + number % (SETTLE + 1), number >> 5, number % 3)

    @rule(
        hours=st.sampled_from([0.1, 0.9, 1.1, 5, 26, 80]),
        late=st.lists(st.tuples(st.integers(0, 2**20), _LATENESS), max_size=4),
    )
    def time_passes(self, hours: float, late: list[tuple[int, int]]) -> None:
        """Let time go on, and things happen in it."""
        length = int(hours * MS_PER_HOUR)
        for number, lateness in late:
            instant = self.now + number % length
            self.ledger.add(instant, instant + lateness, number >> 3, number % 3)
        self.now += length

    @rule(age=st.integers(0, SETTLE - 1), who=st.integers(0, 99), name=st.integers(0, 2))
    def event_arrives_late(self, age: int, who: int, name: int) -> None:
        """Let an event arrive now that happened in unsettled time."""
        self.now += 1
        self.ledger.add(self.now - age, self.now, who, name)

    @rule(number=st.integers(0, N_PERSONS - 1))
    def person_is_merged(self, number: int) -> None:
        """Merge a visitor into the person they turned out to be."""
        self.now += 1  # nothing happens at the very instant of a question
        owners = self.ledger.owners[f"anon_{number}"]
        if owners[-1][1] != f"person {number}":
            owners.append((self.now, f"person {number}"))

    @rule(minutes=st.sampled_from([1, 4, 45, 30 * 60]))
    def clock_is_set_back(self, minutes: int) -> None:
        """Set this machine's clock back; PostHog's goes on."""
        self.skew -= minutes * 60_000
        self.set_back += minutes * 60_000

    @precondition(lambda self: self.skew < 0)
    @rule()
    def clock_is_set_right(self) -> None:
        """Set this machine's clock right again."""
        self.skew = 0

    @rule(
        at=st.sampled_from([0, 0, 1, 2, 5]),
        kinds=st.lists(st.sampled_from([PostHogBusy, QueryTooBig]), min_size=1, max_size=3),
        times=st.sampled_from([1, 1, 30]),
        project=st.integers(0, 1),
    )
    def questions_will_fail(
        self, at: int, kinds: list[type[PostHogError]], times: int, project: int
    ) -> None:
        """Let some of the next questions fail, after some that do not."""
        self.clients[project].failures = [None] * at + kinds * times

    @rule(
        dies_in=st.integers(1, 5), how=st.sampled_from(["before", "half", "torn", "after"]),
        project=st.integers(0, 1),
    )  # fmt: skip
    def process_is_killed(self, dies_in: int, how: str, project: int) -> None:
        """Kill the process while it keeps an answer, or where it keeps none, and begin another."""
        self.store.dies_in, self.store.how = dies_in, how
        try:
            self.fetch(20, 20 * 24, project=project, refresh=False)
        except KilledError:
            self.counts["kills"] += 1
        self.store.close()
        self.open()

    @rule(number=st.integers(0, 10**6), how=st.sampled_from(["evict", "flip", "cut", "swap"]))
    def entry_is_lost(self, number: int, how: str) -> None:
        """Evict or damage an entry."""
        keys = self.store.keys("")
        if not keys:
            return
        key, other = keys[number % len(keys)], keys[number // 7 % len(keys)]
        with sqlite3.connect(Path(self.folder.name) / "cache" / "cache.db") as database:
            _harm(database, how, key, other, number)
        database.close()
        self.counts["harmed"] += 1

    @rule(
        days_ago=st.integers(0, 14), hours=st.integers(1, 14 * 24), shift=st.integers(0, 5000),
        project=st.integers(0, 1), refresh=st.sampled_from([False, False, False, True]),
    )  # fmt: skip
    def fetch_some(
        self, days_ago: int, hours: int, shift: int, project: int, *, refresh: bool
    ) -> None:
        """Fetch a period, and hold what comes against the ledger."""
        self.fetch(days_ago, hours, shift=shift, project=project, refresh=refresh)

    @rule(
        days_ago=st.integers(3, 12), n_good=st.integers(0, 2), project=st.integers(0, 1),
        refresh=st.booleans(),
    )  # fmt: skip
    def fetch_while_posthog_goes_down(
        self, days_ago: int, n_good: int, project: int, *, refresh: bool
    ) -> None:
        """Fetch some days while PostHog answers a few questions, and then none."""
        self.clients[project].failures = [None] * n_good + [PostHogBusy] * 100
        self.fetch(days_ago, days_ago * 24, project=project, refresh=refresh)
        self.clients[project].failures = []

    def fetch(
        self, days_ago: int, hours: int, *, project: int, refresh: bool, shift: int = 0
    ) -> None:
        """Fetch a period, and hold what comes against the ledger."""
        start = self.now - days_ago * MS_PER_DAY - shift
        period = Period(start, start + hours * MS_PER_HOUR)
        client = self.clients[project]
        n_failed = client.n_failed
        self.counts["fetches"] += 1
        try:
            activity = self.sources[project].fetch(period, EVENTS, refresh=refresh)
        except PostHogError:
            assert client.n_failed > n_failed, "an error although every question was answered"
            self.counts["refused"] += 1
            return
        if activity.holes:
            assert client.n_failed > n_failed, "a hole although every question was answered"
            self.counts["partial"] += 1
        else:
            self.counts["exact"] += 1
        self.hold(activity, period, project=project, refresh=refresh)

    def hold(self, activity: Activity, period: Period, *, project: int, refresh: bool) -> None:
        """Hold an activity against the ledger."""
        offset = project  # the second project's events happen a millisecond later
        lines = activity.timelines
        got = list(zip(lines.instants.tolist(), lines.events.tolist(), strict=True))
        persons = [lines.person_ids[place] for place in lines.persons.tolist()]
        assert len(set(got)) == len(got), "an event came twice"
        is_current = bool(activity.seen["is_current"].all())
        known_since = self.known_since(is_current=is_current, refresh=refresh)
        for (instant, name), person in zip(got, persons, strict=True):
            event = self.ledger.events.get(instant - offset)
            assert event is not None, "an event came that never happened"
            assert event.name == name, "an event came under another name"
            assert event.arrival <= self.now, "an event came before it arrived"
            assert period.start <= instant < period.end, "an event came from outside the period"
            assert not any(h.start <= instant < h.end for h in activity.holes), "a hole has events"
            owners = self.ledger.owners_since(event.distinct_id, known_since)
            assert person in owners, "an event came under a person whose it was not"
        missing = self.must(period, offset, refresh=refresh) - {instant for instant, _ in got}
        unsaid = [
            instant
            for instant in missing
            if not any(hole.start <= instant < hole.end for hole in activity.holes)
        ]
        assert not unsaid, f"{len(unsaid)} events are missing, and no hole says so"

    def known_since(self, *, is_current: bool, refresh: bool) -> int:
        """Return from when on a person's name may be the one that is given."""
        if not is_current:
            return 0  # the caller looks each user up
        if refresh:
            return self.now
        return self.now - IDENTITY_TTL_SECONDS * 1000 - CLOCK_SLACK - self.set_back

    def must(self, period: Period, offset: int, *, refresh: bool) -> set[int]:
        """Return the instants that must be there, or in a hole."""
        arrived_by = self.now if refresh else self.now - _TTL - self.set_back
        end = min(period.end, self.now + self.skew)
        return {
            event.instant + offset
            for event in self.ledger.events.values()
            if period.start <= event.instant + offset < end and (event.arrival <= arrived_by)
        }


def _harm(database: sqlite3.Connection, how: str, key: str, other: str, number: int) -> None:
    found = dict(database.execute("SELECT key, value FROM Cache WHERE value IS NOT NULL"))
    if how == "evict" or key not in found or other not in found:
        database.execute("DELETE FROM Cache WHERE key = ?", (key,))
        return
    value = bytearray(found[key])
    if how == "flip":
        value[number % len(value)] ^= 1 << number % 8
    elif how == "cut":
        del value[number % len(value) :]
    else:
        database.execute("UPDATE Cache SET value = ? WHERE key = ?", (found[key], other))
        value = bytearray(found[other])
    database.execute("UPDATE Cache SET value = ? WHERE key = ?", (bytes(value), key))


def run(*, size: int, seed: int = 1) -> Tally:
    """Return how a number of sequences went."""
    tally = Tally(what="stateful model of source and store")
    began = time.monotonic()
    counts = dict.fromkeys(
        ("sequences", "fetches", "exact", "partial", "refused", "kills", "harmed"), 0
    )
    machine = _seeded(type("SeededMachine", (Machine,), {"counts": counts}), seed)
    chosen = settings(
        max_examples=size, stateful_step_count=N_STEPS, deadline=None, database=None,
        suppress_health_check=list(HealthCheck), phases=(Phase.generate,),
        print_blob=False, report_multiple_bugs=False,
    )  # fmt: skip
    try:
        run_state_machine_as_test(machine, settings=chosen)
    except AssertionError as error:
        tally.broken.append(str(error).splitlines()[0])
    tally.runs = counts["sequences"]
    tally.exact = tally.runs - len(tally.broken)
    tally.figures.update(itertools.islice(counts.items(), 1, None))
    tally.seconds = time.monotonic() - began
    return tally


def _seeded(machine: type[Machine], number: int) -> type[Machine]:
    return seed(number)(machine)
