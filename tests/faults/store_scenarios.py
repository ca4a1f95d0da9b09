"""What goes wrong with the cache, the clock, the process, and with several things at once."""

from __future__ import annotations

import random
import resource
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

from core.errors import PushliftError
from core.loading import Loaded
from tests.faults.oracle import DECLARED, EITHER, EXACT
from tests.faults.posthog_scenarios import IDS, SLICE, somewhere
from tests.faults.proxy import Trouble
from tests.faults.rig import Killed, Rig
from tests.faults.scenario import Wanted, scenario
from tests.faults.world import AS_OF

CACHE = "anything"
FETCHING = "Fetching activity from PostHog"


# --- merges ----------------------------------------------------------------------------------


def _move(rng: random.Random, rig: Rig, n: int) -> list[tuple[str, str]]:
    """Return so many distinct ids, each with the person of somebody else; undone afterwards."""
    distinct = rng.sample(rig.world.movable(), 2 * n)
    owner = rig.world.persons.set_index("distinct_id")["person_id"]
    pairs = [(old, str(owner[new])) for old, new in zip(distinct[:n], distinct[n:], strict=True)]
    for old, person in pairs:
        rig.plan.moved[old] = person
        rig.undo_merge(old, str(owner[old]))
    return pairs


@scenario(CACHE, EXACT)
def persons_merge_between_two_slices(rng: random.Random, rig: Rig) -> None:
    for old, person in _move(rng, rig, rng.randint(1, 2)):
        merge = {"merge": {"distinct_id": old, "person_id": person}}
        rig.script(merge, skip=rng.randrange(rig.n_requests))


@scenario(CACHE, EXACT)
def persons_merge_while_slices_overtake_each_other(rng: random.Random, rig: Rig) -> None:
    """Of slices asked for together, the first is answered after a merge and the next before."""
    faults: list[dict[str, Any]] = [{"hold": rng.uniform(0, 0.2)} for _ in range(rig.count(SLICE))]
    for old, person in _move(rng, rig, rng.randint(1, 2)):
        rng.choice(faults)["merge"] = {"distinct_id": old, "person_id": person}
    rig.posthog.script([{**fault, "match": SLICE} for fault in faults])


@scenario(CACHE, EXACT)
def persons_merge_between_slices_asked_one_by_one(rng: random.Random, rig: Rig) -> None:
    rig.plan.posthog = {"max_in_flight": 1}
    for old, person in _move(rng, rig, 1):
        merge = {"merge": {"distinct_id": old, "person_id": person}}
        rig.script(merge, skip=rng.randrange(rig.n_requests))


@scenario(CACHE, EXACT)
def persons_merged_since_the_last_run(rng: random.Random, rig: Rig) -> None:
    rig.load()
    for old, person in _move(rng, rig, rng.randint(1, 2)):
        rig.posthog.merge(old, person)
    rig.plan.is_moved = True
    rig.plan.now = AS_OF + timedelta(days=rng.uniform(1.5, 9))


# --- runs that end, and runs side by side ------------------------------------------------------


@scenario(CACHE, EXACT)
def run_is_killed_between_slices(rng: random.Random, rig: Rig) -> None:
    def kill() -> None:
        raise Killed

    rig.plan.posthog = {"max_in_flight": rng.randint(1, 3)}
    rig.once_at(FETCHING, kill, done=rng.randint(1, rig.count(SLICE)))
    try:
        rig.load()
    except Killed:
        rig.rest()


@scenario(CACHE, EXACT)
def two_runs_at_once_on_one_cache(rng: random.Random, rig: Rig) -> None:
    rig.posthog.script([{"hold": rng.uniform(0, 0.05), "repeat": 4}])

    def attempt() -> list[Loaded]:
        with ThreadPoolExecutor(2) as pool:
            runs = [pool.submit(rig.load) for _ in range(2)]
            return [run.result() for run in runs]

    rig.plan.attempt = attempt
    rig.plan.afterwards = lambda: _asked_twice(rig)


def _asked_twice(rig: Rig) -> str:
    slices = sum(SLICE in (asked["query"] or "") for asked in rig.posthog.requests())
    return f"doubled: {slices} slices asked for" if slices > rig.count(SLICE) else ""


# --- the folder ------------------------------------------------------------------------------


@scenario(CACHE, EXACT)
def disk_is_full(rng: random.Random, rig: Rig) -> None:
    """No file may grow beyond some bytes: the system refuses every further write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    most = rng.choice([0, 1, 4_096, 30_000, 60_000, rng.randrange(200_000)])

    def attempt() -> list[Loaded]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
        try:
            return [rig.load()]
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    rig.plan.attempt = attempt


@scenario(CACHE, EXACT)
def cache_is_damaged(rng: random.Random, rig: Rig) -> None:
    rig.load()
    rig.rest()
    files = sorted(path for path in rig.folder.rglob("*") if path.is_file())
    for path in rng.sample(files, min(len(files), rng.randint(1, 4))):
        _damage(rng, path)


def _damage(rng: random.Random, path: Path) -> None:
    content = bytearray(path.read_bytes())
    how = rng.choice(["flip", "flips", "cut", "empty", "garbage", "longer"])
    if how in {"flip", "flips"} and content:
        for _ in range(1 if how == "flip" else 200):
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    elif how == "cut":
        del content[rng.randrange(len(content) + 1) :]
    elif how == "empty":
        content.clear()
    elif how == "garbage":
        content = bytearray(rng.randbytes(max(len(content), 1)))
    else:
        content += rng.randbytes(100)
    path.write_bytes(content)


@scenario(CACHE, EXACT)
def cache_folder_is_a_file(rng: random.Random, rig: Rig) -> None:
    (rig.folder / "activity").write_bytes(rng.randbytes(100))


@scenario(CACHE, EXACT)
def clock_jumps_back(rng: random.Random, rig: Rig) -> None:
    """Slices were read by a clock that was ahead, before their last events had come."""
    rig.plan.now = AS_OF + timedelta(days=rng.uniform(0.1, 12))
    rig.plan.posthog = {"max_in_flight": 1}
    place = rig.count(SLICE) - 1  # the youngest slice
    body = rig.true_answer(rig.asked[place])
    kept = body["results"][: len(body["results"]) // 2]
    body["results"] = [[*row[:-1], len(kept)] for row in kept]
    rig.script({"status": 200, "body": body}, skip=place)
    try:
        rig.load()
    except PushliftError:
        rig.rest()
    rig.calm()


# --- together ----------------------------------------------------------------------------------


@scenario(CACHE, EXACT)
def both_connections_are_cut(rng: random.Random, rig: Rig) -> None:
    kinds = ["cut", "reset"]
    rig.pg.set(Trouble(kind=rng.choice(kinds), after=rng.randrange(4_000, rig.pg_bytes)))
    rig.api.set(Trouble(kind=rng.choice(kinds), after=rng.randrange(rig.api_bytes)))


@scenario(CACHE, EITHER)
def many_things_go_wrong(rng: random.Random, rig: Rig) -> Wanted:
    rig.pg.set(Trouble(kind="cut", times=rng.randint(0, 2), after=rng.randrange(rig.pg_bytes)))
    for _ in range(rng.randint(1, 6)):
        fault = rng.choice(
            [
                {"status": 503, "body": ""},
                {"status": 429, "body": "", "headers": {"Retry-After": "3"}},
                {"truncate": rng.randrange(3_000)},
                {"disconnect": True},
                {"status": 504, "body": ""},
                {"drop_rows": 1},
                {"rows_clamp": rng.randint(1, 50)},
                {"delay": 0.02},
            ]
        )
        somewhere(rng, rig, {**fault, "repeat": rng.randint(1, 4)})
    return EITHER


@scenario(CACHE, DECLARED)
def cache_is_damaged_while_posthog_is_down(rng: random.Random, rig: Rig) -> None:
    rig.load()
    rig.rest()
    for path in sorted(path for path in rig.folder.rglob("*") if path.is_file()):
        path.write_bytes(b"")
    rig.posthog.script([{"status": 503, "body": "", "repeat": 0}])


@scenario(CACHE, EXACT)
def posthog_is_down_and_everything_is_kept(rng: random.Random, rig: Rig) -> None:
    rig.load()
    rig.rest()
    rig.api.set(Trouble(kind=rng.choice(["refuse", "cut"]), times=0))


@scenario(CACHE, DECLARED)
def new_users_while_posthog_is_down(rng: random.Random, rig: Rig) -> None:
    """Everything but the lookup of people is kept."""
    rig.script({"status": 500, "body": "", "repeat": 0}, match=IDS)
    rig.plan.posthog = {"max_in_flight": rng.randint(1, 3)}
