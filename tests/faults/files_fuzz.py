"""Automation files nobody meant to write, and titles and ids nobody meant to send.

A trial is exact where the file loads or the texts arrive, declared where it is refused by name with
a typed error; broken where anything else is raised, where it takes more than a second, or where a
sound file beside it is lost.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import yaml
from pydantic import SecretStr

from core.errors import PushliftError
from core.publish import tables
from core.sections import Database
from core.sources.automations import Automation, read_automations
from core.sources.campaigns import assign_campaigns
from core.sources.database import open_engine
from core.sources.pushes import read_push_rows
from tests.faults import injection
from tests.faults.tally import Tally

SLOWEST = 1.0
_TEXTS_A_DATABASE = 60
_SOUND = {
    "id": "sound", "name": "Sound", "layer": 2, "content": "hot_inventory", "audience": "all",
    "schedule": {"weekday": "tuesday", "time": "09:00", "timezone": "America/New_York"},
    "trigger": {"event": "Offer Created", "delay_hours": [2, 6]}, "status": "active",
}  # fmt: skip
_BITS = (
    "&a ", "*a", "!!python/object/apply:os.system ['id']", "!!int ", "<<: *a", "? ", "- ", "{",
    "}", "[", "]", ": ", "#", "|\n", ">\n", "%YAML 9.9\n", "---\n", "...\n", "\t", "\x00",
    "\ufeff", "\r", "\r\n", "\x85", "\u2028", "'", '"', '"\\ud800"', '"\\x00"', "0x1F", "1e999",
    "-.inf", ".nan", "9" * 400, "9" * 5_000, "no", "012", "12:30:45", "2026-09-01", "null", "~",
    "true", "id: again\n", "\ud7ff", "\U0010ffff", "\u202e", "../../etc/passwd", "NaN", "Infinity",
    "-0", "[[[[[[", "{{{{{{", "null\n", "id: {}\n", "layer: 4\n", "layer: true\n", "trigger: []\n",
    "name: ''\n", "@", "`",
)  # fmt: skip
_SUFFIXES = (".yaml", ".yml", ".json", ".YAML")


def run(*, size: int, seed: int) -> Tally:
    """Fuzz automation files, and titles and ids from the database to every file that holds them.

    Args:
        size: How many files; a third as many texts.
        seed: Of what is done to them.
    """
    started, chance = time.perf_counter(), random.Random(seed)
    tally = Tally(what="broken automation files, hostile titles and ids")
    with tempfile.TemporaryDirectory() as folder:
        slowest = _files(tally, chance, Path(folder), size)
        slowest = max(slowest, _texts(tally, chance, Path(folder), size // 3))
    tally.figures = {"files": size, "texts": size // 3, "slowest, s": round(slowest, 3)}
    tally.seconds = time.perf_counter() - started
    return tally


def _files(tally: Tally, chance: random.Random, root: Path, size: int) -> float:
    folder = root / "automations"
    folder.mkdir()
    (folder / "a-sound.json").write_text(json.dumps(_SOUND), encoding="utf-8")
    slowest = 0.0
    for _ in range(size):
        path = folder / f"broken{chance.choice(_SUFFIXES)}"
        content = _mutated(chance, path.suffix.lower() == ".json")
        path.write_bytes(content)
        began = time.perf_counter()
        verdict = read_verdict(folder, path.name)
        seconds = time.perf_counter() - began
        slowest = max(slowest, seconds)
        _note(tally, verdict, seconds, repr(content[:80]))
        path.unlink()
    return slowest


def read_verdict(folder: Path, name: str) -> str:
    """Say how reading a folder with a sound file and one of that name went."""
    try:
        found, problems = read_automations(folder)
    except Exception as error:  # noqa: BLE001 - what it is, is what is asked
        return f"raised {type(error).__name__}"
    if not any(one.name == _SOUND["name"] for one in found):
        return "lost the sound file"
    mine = [problem for problem in problems if problem.file == name]
    if len(found) - 1 + len(mine) < 1:
        return "was passed over in silence"
    if any(not problem.what or len(str(problem)) > 400 for problem in mine):
        return "is not said in words"
    return "declared" if mine else "exact"


def _mutated(chance: random.Random, is_json: bool) -> bytes:  # noqa: FBT001
    """Return a sound file with something done to it."""
    automation = {**_SOUND, "id": f"id{chance.randrange(10**6)}"}
    if chance.random() < 0.3:
        key = chance.choice(list(automation))
        automation[key] = _value(chance, 3)
    text = json.dumps(automation) if is_json else yaml.safe_dump(automation, allow_unicode=True)
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(text) + 1)
        end = min(len(text), at + chance.choice((0, 0, 1, 5, 40)))
        text = text[:at] + chance.choice(_BITS) + text[end:]
    content = text.encode(chance.choice(("utf-8",) * 8 + ("latin-1", "utf-16")), "replace")
    if chance.random() < 0.2:
        at = chance.randrange(len(content) + 1)
        content = content[:at] + chance.randbytes(chance.randrange(1, 9)) + content[at + 1 :]
    return content[: chance.randrange(len(content) + 1)] if chance.random() < 0.1 else content


def _value(chance: random.Random, depth: int) -> object:
    kind = chance.randrange(9 if depth else 7)
    if kind == 7:
        return [_value(chance, depth - 1) for _ in range(chance.randrange(4))]
    if kind == 8:
        return {str(at): _value(chance, depth - 1) for at in range(chance.randrange(4))}
    number = chance.choice((0, -1, 4, 2**53, 10**17, 1e300))
    text = chance.choice(injection.payloads()).encode("utf-8", "replace").decode()
    return (None, True, number, text, "", 0.1, "x" * 300)[kind]


def _texts(tally: Tally, chance: random.Random, root: Path, size: int) -> float:
    """Send texts as ids, titles and names through reading, assigning and every kind of file."""
    slowest, every = 0.0, injection.payloads()
    for at in range(0, size, _TEXTS_A_DATABASE):
        texts = [_text(chance, every) for _ in range(min(_TEXTS_A_DATABASE, size - at))]
        path = root / f"pushes{at}.sqlite"
        _write(path, texts)
        began = time.perf_counter()
        verdict = _published(path, texts)
        seconds = time.perf_counter() - began
        slowest = max(slowest, seconds / len(texts))
        for text in texts:
            _note(tally, verdict, seconds / len(texts), repr(text[:60]))
        path.unlink()
    return slowest


def _text(chance: random.Random, every: list[str]) -> str:
    """Return a text a database can hold."""
    pick = "".join(chance.choice(every) for _ in range(chance.choice((1, 1, 2))))
    if chance.random() < 0.3:
        pick = "".join(chr(chance.randrange(1, 0x3000)) for _ in range(chance.randrange(1, 40)))
    return pick.encode("utf-8", "replace").decode()[:5_000] or "x"


def _write(path: Path, texts: list[str]) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "CREATE TABLE users (id TEXT, email TEXT, posthog_distinct_id TEXT, created_at TEXT)"
        )
        connection.execute(
            "CREATE TABLE push_notifications (id INTEGER, user_id TEXT, automation_id TEXT,"
            " campaign_id TEXT, title TEXT, body TEXT, status TEXT, sent_at TEXT,"
            " delivered_at TEXT, trigger_at TEXT)"
        )
        for at, text in enumerate(texts):
            connection.execute(
                "INSERT INTO users VALUES (?, ?, ?, ?)",
                (f"{at} {text}", text, f"{at} {text}", "2026-01-01T00:00:00Z"),
            )
            connection.execute(
                "INSERT INTO push_notifications VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (at, f"{at} {text}", text, f"{at} {text}", text, text, "delivered",
                 "2026-09-08T13:00:00Z", "2026-09-08T13:01:00Z", None),
            )  # fmt: skip


def _published(path: Path, texts: list[str]) -> str:
    """Say whether every text came through, or was refused by name."""
    database = Database(url=SecretStr(f"sqlite:///{path}"))
    try:
        engine = open_engine(database)
        try:
            raw = read_push_rows(
                engine,
                database,
                datetime(2026, 9, 1, tzinfo=UTC),
                datetime(2026, 9, 30, tzinfo=UTC),
            )
        finally:
            engine.dispose()
        names = [Automation(id=text[:200].strip() or "x", name="n") for text in texts]
        assigned = assign_campaigns(raw, names, "UTC")
        tables.campaigns_csv(_judged(assigned.campaigns))
        tables.json_bytes({"campaigns": tables.records(tables.CAMPAIGNS, assigned.campaigns)})
    except PushliftError as error:
        return "declared" if str(error) else "is refused without words"
    except Exception as error:  # noqa: BLE001 - what it is, is what is asked
        return f"raised {type(error).__name__}"
    kept = len(assigned.campaigns)
    return "exact" if kept == len(texts) else f"left {kept} of {len(texts)} campaigns"


def _judged(campaigns: pd.DataFrame) -> pd.DataFrame:
    return tables.CAMPAIGNS.checked(campaigns)


def _note(tally: Tally, verdict: str, seconds: float, what: str) -> None:
    tally.runs += 1
    if seconds > SLOWEST:
        verdict = f"took {seconds:.1f} s"
    if verdict == "exact":
        tally.exact += 1
    elif verdict == "declared":
        tally.declared += 1
    else:
        tally.broken.append(f"{what} {verdict}")


def unusual(folder: Path) -> list[str]:
    """Put into a folder what is no plain file, or no small one, and return the names."""
    names = ["loop.yaml", "dangling.yaml", "pipe.yaml", "folder.yaml", "big.yaml", "bomb.yaml"]
    (folder / "loop.yaml").symlink_to(folder / "loop.yaml")
    (folder / "dangling.yaml").symlink_to(folder / "nowhere")
    os.mkfifo(folder / "pipe.yaml")
    (folder / "folder.yaml").mkdir()
    (folder / "up").symlink_to(folder, target_is_directory=True)
    (folder / "big.yaml").write_bytes(b"id: x\nname: " + b"a" * 10_000_000)
    laughs = "".join(f"l{n}: &l{n} [{','.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 9))
    (folder / "bomb.yaml").write_text(f"l0: &l0 lol\n{laughs}", encoding="utf-8")
    return names
