"""Processes killed in the middle of fetching, and others that go on: nothing lost, little twice.

`python -m tests.faults.kills` is a process that has imported everything and forks one that
fetches for every line it reads, so that a kill costs a fraction of a second.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from core.activity.source import Period, Usage
from core.activity.store import Store
from core.activity.timelines import MS_PER_DAY
from core.sections import PostHog
from core.sources.pace_record import Limits
from core.sources.posthog import PostHogSource
from core.sources.posthog_client import Gate, PostHogClient
from tests.faults import folders
from tests.faults.tally import Tally
from tests.posthog_standin import PostHogStandIn
from tests.posthog_standin.worlds import DAYS, EVENTS, START, write_small_world

IN_FLIGHT = 3
_ROOT = Path(__file__).resolve().parents[2]
_FROM = START.value // 1_000_000
_NOW = _FROM + DAYS * MS_PER_DAY + 12_345_678
_SLICE = "a slice of activity"
_DELAY = {"delay": 0.01, "repeat": 0, "match": "groupUniqArray"}
_KILLS_A_TRIAL = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What one process fetches, and where it writes what came.

    Attributes:
        url: The stand-in's address.
        project_id: Its project.
        api_key: Its key.
        folder: Where answers are kept.
        out: The file the digest of the result is written to.
        threads: How many fetch the same at the same time.
    """

    url: str
    project_id: int
    api_key: str
    folder: str
    out: str
    threads: int = 1


class Forks:
    """Starts processes that fetch, by a process that is ready to be forked."""

    def __enter__(self) -> Forks:
        alone = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__], cwd=_ROOT, env={**os.environ, **alone},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate()

    def start(self, job: Job) -> int:
        """Start a process, and return its number."""
        return int(self._ask({"job": asdict(job)}))

    def end(self, process: int) -> bool:
        """Wait for a process, and return whether it ended by itself, with its work done.

        Raises:
            RuntimeError: It failed.
        """
        status = int(self._ask({"wait": process}))
        if status > 0:
            raise RuntimeError(f"a process that fetched ended with status {status}")
        return status == 0

    def _ask(self, question: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


class Trials:
    """A stand-in over a small world, and what a run that nothing disturbs gives."""

    def __init__(self, home: Path, posthog: PostHogStandIn, forks: Forks) -> None:
        self._home = home
        self._posthog = posthog
        self._forks = forks
        self._number = 0
        self.true, self.n_slices = self._undisturbed()
        began = time.monotonic()  # of the second one: the first finds everything cold
        self._undisturbed()
        self.seconds = time.monotonic() - began

    def job(self, *, threads: int = 1) -> Job:
        """Return a job with a folder of its own, and let the stand-in begin anew."""
        self._number += 1
        folder = self._home / f"trial {self._number}"
        self._posthog.reset()
        self._posthog.script([_DELAY])
        return Job(
            url=self._posthog.url, project_id=self._posthog.project_id,
            api_key=self._posthog.api_key, folder=str(folder), out=str(folder) + ".out",
            threads=threads,
        )  # fmt: skip

    def asked(self) -> int:
        """Return how many slices were asked for since the last job."""
        return sum(request["name"] == _SLICE for request in self._posthog.requests())

    def killed(self, rng: random.Random, most: int) -> tuple[set[str], int, int]:
        """Return what came of a run killed some times, its kills, and the slices it asked for."""
        job = self.job()
        kills = 0
        while kills < most:
            process = self._forks.start(job)
            time.sleep(rng.uniform(0.0, 0.7 * self.seconds))
            os.kill(process, signal.SIGKILL)
            if self._forks.end(process):
                break
            kills += 1
        else:
            self._forks.end(self._forks.start(job))
        return _digests(job), kills, self.asked()

    def together(self, processes: int, threads: int) -> tuple[set[str], int]:
        """Return what several processes with several threads each get, and what they asked for."""
        job = self.job(threads=threads)
        jobs = [Job(**{**asdict(job), "out": f"{job.out} {number}"}) for number in range(processes)]
        started = [self._forks.start(one) for one in jobs]
        for process in started:
            self._forks.end(process)
        return {digest for one in jobs for digest in _digests(one)}, self.asked()

    def _undisturbed(self) -> tuple[str, int]:
        job = self.job()
        self._forks.end(self._forks.start(job))
        (digest,) = _digests(job)
        return digest, self.asked()


@contextlib.contextmanager
def trials() -> Iterator[Trials]:
    """Yield what trials need."""
    with contextlib.ExitStack() as stack:
        home = Path(stack.enter_context(folders.temporary("pushlift-kills-")))
        world = write_small_world(home / "world")
        posthog = stack.enter_context(
            PostHogStandIn(
                events=world.events_glob, persons=world.persons_glob,
                limits={"rates": ((10_000_000, 60.0),), "budget_per_hour": 0},
            )
        )  # fmt: skip
        yield Trials(home, posthog, stack.enter_context(Forks()))


def run(*, size: int, seed: int = 1) -> Tally:
    """Return how runs went that were killed, until so many kills were made."""
    tally = Tally(what="processes killed and resumed")
    rng = random.Random(seed)
    began = time.monotonic()
    n_kills = n_again = 0
    with trials() as tried:
        while n_kills < size:
            most = min(_KILLS_A_TRIAL, size - n_kills)
            digests, kills, asked = tried.killed(rng, most)
            n_kills += kills
            n_again += asked - tried.n_slices
            tally.runs += 1
            if digests != {tried.true}:
                tally.broken.append(f"trial {tally.runs}: another result after {kills} kills")
            elif not 0 <= asked - tried.n_slices <= IN_FLIGHT * kills:
                again = asked - tried.n_slices
                tally.broken.append(f"trial {tally.runs}: {again} slices again for {kills} kills")
            else:
                tally.exact += 1
        tally.figures |= {"kills": n_kills, "slices": tried.n_slices, "fetched again": n_again}
    tally.seconds = time.monotonic() - began
    return tally


def _digests(job: Job) -> set[str]:
    return set(Path(job.out).read_text().split())


def _fetch(job: Job) -> None:
    """Fetch as often as asked at the same time, and write a digest of each result."""
    with ThreadPoolExecutor(job.threads) as pool:
        digests = list(pool.map(_fetched, [job] * job.threads))
    Path(job.out).write_text("\n".join(digests))


def _fetched(job: Job) -> str:
    settings = PostHog(
        host=job.url, project_id=job.project_id, api_key=job.api_key,  # type: ignore[arg-type]
        slice_days=1, max_in_flight=IN_FLIGHT,
    )  # fmt: skip
    client = PostHogClient(settings, Usage(), gate=Gate())
    client._limits = Limits(  # as fast as it goes: how fast it may go is tried elsewhere
        per_minute=10**9, per_hour=10**9, spacing=0.0, in_flight=IN_FLIGHT
    )
    source = PostHogSource(settings, Store(Path(job.folder)), now=lambda: _NOW, client=client)
    activity = source.fetch(Period(_FROM, _NOW), EVENTS)
    source.close()
    if activity.holes:
        raise RuntimeError(activity.holes[0].why)
    lines = activity.timelines
    person = [lines.person_ids[place] for place in lines.persons.tolist()]
    events = sorted(zip(person, lines.instants.tolist(), lines.events.tolist(), strict=True))
    seen = sorted(activity.seen[["distinct_id", "person_id"]].itertuples(index=False, name=None))
    return hashlib.sha256(json.dumps([events, seen]).encode()).hexdigest()


def _forked(job: Job) -> int:
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        _fetch(job)
        status = 0
    except BaseException:  # noqa: BLE001 - whatever it was, this process must not go on below
        traceback.print_exc()
    os._exit(status)


def _main() -> None:
    for line in sys.stdin:
        question = json.loads(line)
        if "job" in question:
            answer = _forked(Job(**question["job"]))
        else:
            _, status = os.waitpid(question["wait"], 0)
            answer = os.waitstatus_to_exitcode(status)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _main()
