"""Secrets and personal data in every field, every fault that raises: none of it comes out again."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pytest

from tests.worlds import AS_OF, random_world

PASSWORD = "canary-password-81hd"
KEY = "phx_canarykey5521"
TITLE = "Canary Title of a push"
PERSON = "canary-distinct-id"
MAIL = "canary.person@mail.example"
SECRET = (PASSWORD, KEY, MAIL, "canary.person", "mail.example")
PRIVATE = (*SECRET, TITLE, PERSON)
ANALYZE = ("analyze", "--as-of", AS_OF.isoformat(), "--since", "2026-08-20")


@pytest.fixture(scope="module")
def world():
    """A world whose people, titles and automations all carry canaries."""
    made = random_world(4)
    for at, user in enumerate(made.users):
        user["email"] = f"{at}.{MAIL}"
        if user["posthog_distinct_id"] and at % 3 == 0:
            # somebody who was identified by an address, and nobody merged
            user["posthog_distinct_id"] = f"{at}.{MAIL}"
        elif user["posthog_distinct_id"] and at % 3 == 1:
            user["posthog_distinct_id"] = f"{PERSON}-{at}"
    for push in made.pushes:
        push["title"] = push["body"] = f"{TITLE} {push['campaign_id']}"
    return made


class _Echo(BaseHTTPRequestHandler):
    """Answers everything with an error that repeats what was asked, the key included."""

    status = 401

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        said = {"detail": f"key {KEY}: {self.headers.get('Authorization')} {body} {MAIL} {TITLE}"}
        content = json.dumps(said).encode()
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST  # noqa: N815

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def posthog(request: pytest.FixtureRequest) -> Iterator[str]:
    handler = type("Handler", (_Echo,), {"status": request.param})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield (
        f'[posthog]\nhost = "http://127.0.0.1:{server.server_address[1]}"\nproject_id = 1\n'
        f'api_key = "{KEY}"\ntimeout = 2\n'
    )
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def analyze(world, tmp_path):
    """Run the command line on the world, with parts replaced, and return what it said and left."""

    def go(*, status: int | set[int], log: str = "debug", **parts: str) -> dict[str, str]:
        settings = world.write(tmp_path, **parts)
        settings.write_text(f'{settings.read_text()}[log]\nlevel = "{log}"\n')
        command = [sys.executable, "-m", "core", *ANALYZE, "--settings", settings]
        done = subprocess.run(
            [*command, "--out", tmp_path / "out"],
            capture_output=True, text=True, check=False, timeout=200,
        )  # fmt: skip
        allowed = status if isinstance(status, set) else {status}
        assert done.returncode in allowed, done.stderr
        return {"output": done.stdout + done.stderr, **_left(tmp_path)}

    return go


def _left(root: Path) -> dict[str, str]:
    """Return what lies below the folders a run writes into, by name; Parquet as text."""
    files = [path for part in ("out", "cache") for path in (root / part).rglob("*")]
    return {path.name: _text(path) for path in files if path.is_file()}


def _text(path: Path) -> str:
    raw = path.read_bytes().decode("latin-1")
    return raw + (pd.read_parquet(path).to_csv() if path.suffix == ".parquet" else "")


def _hits(said: dict[str, str], canaries: tuple[str, ...]) -> list[str]:
    return [f"{one} in {name}" for name, text in said.items() for one in canaries if one in text]


def test_whole_run_leaves_no_address_anywhere(analyze, world):
    said = analyze(status=0, log="debug")
    assert _hits(said, SECRET) == []
    assert _hits({"output": said["output"]}, PRIVATE) == []
    assert TITLE in said["campaigns.csv"]
    assert PERSON in said["window_counts.parquet"]
    assert ",h_" in said["window_counts.parquet"]


@pytest.mark.parametrize(
    "url",
    ["postgresql+psycopg2://canary.person:{password}@127.0.0.1:{port}/app",
     "postgresql+psycopg2://u@127.0.0.1:{port}/app?password={password}&connect_timeout=2",
    ],
    ids=["dead", "password as option"],
)  # fmt: skip
def test_dead_database(analyze, url):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = url.format(password=PASSWORD, port=port)
    said = analyze(status=2, database_url=address)
    assert _hits(said, PRIVATE) == []


def test_wrong_password(analyze, postgres_url):
    address = postgres_url.partition("@")[2]
    said = analyze(status=2, database_url=f"postgresql+psycopg2://pushlift:{PASSWORD}@{address}")
    assert "password" in said["output"]
    assert _hits(said, PRIVATE) == []


@pytest.mark.parametrize("posthog", [401, 500], indirect=True)
def test_posthog_that_echoes_the_key(analyze, posthog):
    said = analyze(status={1, 2}, activity=posthog)
    assert _hits(said, SECRET) == []
    assert _hits({"output": said["output"]}, PRIVATE) == []


def test_broken_automation_file(analyze, tmp_path):
    folder = tmp_path / "automations"
    folder.mkdir()
    (folder / "a.yaml").write_text(f"id: {TITLE}\nname: [{MAIL}\n")
    (folder / "b.yaml").write_text(f"id: x\nlayer: {MAIL}\n{PASSWORD}: 1\nschedule: {TITLE}\n")
    (folder / "c.json").write_text(f'{{"id": "{PASSWORD}", "name": "{MAIL}" "{TITLE}"}}')
    said = analyze(status={0, 1})
    assert "a.yaml" in said["output"]
    assert _hits({"output": said["output"]}, PRIVATE) == []
    assert _hits(said, SECRET) == []


@pytest.mark.parametrize("crash", ["job", "thread", "script", "warning"])
def test_crash_inside(crash, tmp_path):
    settings = tmp_path / "settings.toml"
    settings.write_text(
        f'[database]\nurl = "postgresql://u:{PASSWORD}@127.0.0.1/x"\n'
        f'[posthog]\nhost = "http://127.0.0.1:1"\nproject_id = 1\napi_key = "{KEY}"\n'
    )
    code = f"""
import sys, threading, warnings
from pathlib import Path
import pandas as pd
from core import logs
from core.settings import read_settings
from pages.parts.jobs import Jobs
logs.configure(read_settings(Path(sys.argv[1])))
def work(report=None):
    frame = pd.DataFrame({{"title": [{TITLE!r}], "email": [{MAIL!r}]}})
    try:
        frame.set_index("title").loc[{PERSON!r} + {MAIL!r}]
    except KeyError as error:
        raise RuntimeError(f"{KEY} {PASSWORD} {TITLE} {MAIL}") from error
crash = sys.argv[2]
if crash == "job":
    jobs = Jobs()
    jobs.view("one", work)
    jobs.wait("one", timeout=20)
    print(jobs.look("one").failure.sentence)
elif crash == "thread":
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
elif crash == "warning":
    warnings.warn("{KEY} {MAIL}", stacklevel=1)
else:
    work()
"""
    done = subprocess.run(
        [sys.executable, "-c", code, settings, crash],
        capture_output=True, text=True, check=False, timeout=60,
        cwd=Path(__file__).resolve().parents[1],
    )  # fmt: skip
    assert _hits({"output": done.stdout + done.stderr}, PRIVATE) == []
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert len(lines) == 1
    if crash != "warning":
        assert "Incident" in lines[0]["message"]
        assert "RuntimeError" in lines[0]["exception"]
        assert "KeyError" in lines[0]["exception"]
