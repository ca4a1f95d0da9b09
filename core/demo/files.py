"""Writing a demo marketplace to a folder and finding it again."""

from __future__ import annotations

import glob
import json
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import TypeAdapter

from core.demo.database import push_database
from core.demo.exports import write_events, write_persons
from core.demo.messages import write_automation
from core.demo.schedule import Campaign, describe_automations, plan_campaigns
from core.demo.simulation import Chunk, simulate_chunk
from core.demo.truth import Effects, Truth, count_effects
from core.demo.world import CHUNK_USERS, TIMEZONE, World
from core.errors import ConfigError

DEMO_VERSION = 2
"""Raised whenever the same parameters would give other files."""
WORKERS = 2
ABANDONED_SECONDS = 24 * 3600
OnProgress = Callable[[str, float], None]
_NOTE = "demo.json"
_PARTS = ("pushes.sqlite", "persons", ".automations", "truth/campaigns.parquet")
_PARAMETERS = TypeAdapter(World)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoFiles:
    """Where the parts of a written demo are.

    Attributes:
        root: The folder.
        database_url: SQLAlchemy URL of the push database.
        events: Glob of the exported events.
        persons: Glob of the exported persons.
        automations: Folder of automation files.
        truth: Folder of the planted truth; tests and benchmarks only.
        as_of: The demo's now, UTC.
        timezone: The business time zone.
        parameters: The world that was asked for.
    """

    root: Path
    database_url: str
    events: str
    persons: str
    automations: Path
    truth: Path
    as_of: datetime
    timezone: str
    parameters: World


def write_demo(
    out: Path, world: World | None = None, *, on_progress: OnProgress | None = None
) -> DemoFiles:
    """Write a demo marketplace into a folder, all of it or nothing.

    It is built in a temporary folder beside `out` and moved there at the end; an older demo there
    is replaced.

    Args:
        out: The folder, which must be new, empty or an older demo.
        world: The parameters; the default marketplace where left out.
        on_progress: Called with the step in words and the fraction done, 0 to 1.

    Raises:
        ConfigError: The folder holds something else, or the parameters contradict each other.
    """
    world = world or World()
    out = out.resolve()
    _refuse_foreign(out)
    report = on_progress or _silent
    with _building(out) as folder:
        _build(folder, world, report)
        _install(folder, out)
    report("Demo marketplace ready", 1.0)
    return _files(out, world)


def read_demo(out: Path, *, world: World | None = None) -> DemoFiles | None:
    """Return the demo in a folder, or None where there is no complete one of this version.

    Args:
        out: The folder.
        world: Where given, a demo of other parameters counts as none.
    """
    out = out.resolve()
    try:
        note = json.loads((out / _NOTE).read_text(encoding="utf-8"))
        if note["version"] != DEMO_VERSION:
            return None
        found = _PARAMETERS.validate_python(note["parameters"])
    except (OSError, ValueError, KeyError, TypeError, ConfigError):
        return None
    is_whole = all((out / part).exists() for part in _PARTS)
    if not is_whole or world not in {None, found}:
        return None
    return _files(out, found)


def _build(folder: Path, world: World, report: OnProgress) -> None:
    report("Planning campaigns", 0.0)
    campaigns = plan_campaigns(world)
    (folder / ".automations").mkdir()
    for index, automation in enumerate(describe_automations(campaigns)):
        write_automation(folder / ".automations", automation, index=index)
    truth = Truth(folder / "truth", world, campaigns)
    report(f"Simulating users: 0 of {world.n_users:,}", 0.01)
    with push_database(folder / "pushes.sqlite", campaigns) as database:
        for chunk, effects in _chunks(folder, world, campaigns):
            truth.add(chunk, effects, database.add(world, chunk))
            done = (chunk.number + 1) / world.n_chunks
            n_users = min((chunk.number + 1) * CHUNK_USERS, world.n_users)
            report(f"Simulating users: {n_users:,} of {world.n_users:,}", 0.95 * done)
        report("Indexing pushes", 0.96)
    truth.write()
    parameters = _PARAMETERS.dump_python(world, mode="json")
    note = {"version": DEMO_VERSION, "as_of": world.as_of.isoformat(), "parameters": parameters}
    (folder / _NOTE).write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")


def _chunks(
    folder: Path, world: World, campaigns: tuple[Campaign, ...]
) -> Iterator[tuple[Chunk, Effects]]:
    """Yield the chunks in order, with a few simulated ahead so that memory stays bounded."""
    with ThreadPoolExecutor(WORKERS) as pool:
        ahead: deque[Future[tuple[Chunk, Effects]]] = deque()
        for number in range(world.n_chunks):
            ahead.append(pool.submit(_simulate, folder, world, campaigns, number))
            if len(ahead) > WORKERS:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _simulate(
    folder: Path, world: World, campaigns: tuple[Campaign, ...], number: int
) -> tuple[Chunk, Effects]:
    chunk = simulate_chunk(world, number, campaigns=campaigns)
    write_events(folder / "events", world, chunk)
    write_persons(folder / "persons" / f"part-{number:05d}.parquet", chunk)
    return chunk, count_effects(world, chunk)


@contextmanager
def _building(out: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `out`; remove it afterwards, and what killed builds left."""
    out.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{out.name}.building-"
    for left in out.parent.glob(f"{glob.escape(prefix)}*"):
        if time.time() - left.stat().st_mtime > ABANDONED_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=out.parent))
    try:
        (folder / "demo").mkdir()
        yield folder / "demo"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _install(folder: Path, out: Path) -> None:
    """Put the finished folder in place; the older demo leaves only when the new one is whole."""
    if out.exists():
        out.rename(folder.parent / "old")
    folder.rename(out)


def _refuse_foreign(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is a file; name a folder for the demo.")
    if out.exists() and any(out.iterdir()) and not (out / _NOTE).exists():
        raise ConfigError(
            f"{out} holds something that is not a demo; name a new or empty folder for the demo."
        )


def _files(root: Path, world: World) -> DemoFiles:
    return DemoFiles(
        root=root,
        database_url=f"sqlite:///{(root / 'pushes.sqlite').as_posix()}",
        events=f"{glob.escape(str(root))}/events/**/*.parquet",
        persons=f"{glob.escape(str(root))}/persons/*.parquet",
        automations=root / ".automations",
        truth=root / "truth",
        as_of=world.as_of,
        timezone=TIMEZONE,
        parameters=world,
    )


def _silent(_step: str, _fraction: float) -> None:
    """Report to nobody."""
