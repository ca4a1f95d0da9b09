"""Tests of the gate: turns of threads and processes, rests after failures, damaged records."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from core.errors import PostHogBusy
from core.sources import pace_folder
from core.sources.pace import Gate, Limits, gate_for
from core.sources.pace_folder import PaceFolder
from core.sources.pace_record import LONGEST_CLOSED, Record, Stop, from_text, to_text

NO_LIMITS = Limits(per_minute=9999, per_hour=9999, spacing=0.0, in_flight=3)
ROOT = Path(__file__).parents[2]


class Unhurried:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + 1_700_000_000

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def pass_through(gate: Gate, passing: Unhurried, limits: Limits = NO_LIMITS) -> float:
    """Return when a request was let through."""
    with gate.passage(limits, deadline=1e9, clock=passing.clock, sleep=passing.sleep):
        return passing.now


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"per_minute": 3, "per_hour": 100}, [0, 0.5, 1, 60, 60.5, 61, 120]),
        ({"per_minute": 100, "per_hour": 2}, [0, 0.5, 3600, 3600.5]),
        ({"per_minute": 2, "per_hour": 3}, [0, 0.5, 60, 3600, 3600.5, 3660]),
    ],
)
def test_gate_keeps_to_the_limits_of_a_minute_and_an_hour(
    limits: dict[str, int], expected: list[float]
) -> None:
    gate, passing = Gate(), Unhurried()
    starts = []
    for _ in expected:
        with gate.passage(
            Limits(spacing=0.5, in_flight=3, **limits),
            deadline=1e9,
            clock=passing.clock,
            sleep=passing.sleep,
        ):
            starts.append(passing.now - 1000)
    assert starts == pytest.approx(expected)


def test_gate_counts_from_when_a_request_was_on_its_way() -> None:
    gate, passing = Gate(), Unhurried()
    limits = Limits(per_minute=99, per_hour=99, spacing=0.5, in_flight=2)

    def enter() -> Any:
        return gate.passage(limits, deadline=1e9, clock=passing.clock, sleep=passing.sleep)

    with enter() as is_sent:
        passing.now += 0.3  # a slow connection
        is_sent()
        with enter():  # others go on while the first is answered
            assert passing.now == pytest.approx(1000.8)
        passing.now += 7
        is_sent()  # once is enough
    with enter():
        assert passing.now == pytest.approx(1007.8)


def test_gate_does_not_wait_beyond_the_deadline() -> None:
    gate, passing = Gate(), Unhurried()
    limits = Limits(per_minute=9, per_hour=1, spacing=0.5, in_flight=3)

    def enter(deadline: float) -> Any:
        return gate.passage(limits, deadline=deadline, clock=passing.clock, sleep=passing.sleep)

    with enter(2000):
        pass
    with pytest.raises(PostHogBusy, match="60 minutes"), enter(2000):
        pass
    assert passing.slept == []
    with enter(5000):  # the refused one neither counted nor kept its place
        assert passing.now == 4600


def test_gate_gives_up_where_no_request_ends() -> None:
    gate = Gate()
    limits = Limits(per_minute=9, per_hour=9, spacing=0.0, in_flight=1)

    def enter(patience: float) -> Any:
        return gate.passage(
            limits, deadline=time.monotonic() + patience, clock=time.monotonic, sleep=time.sleep
        )

    with enter(5), pytest.raises(PostHogBusy, match="under way"), enter(0.05):
        pass
    with enter(5):
        pass


def test_gate_is_left_when_asking_fails() -> None:
    gate, passing = Gate(), Unhurried()
    limits = Limits(per_minute=99, per_hour=99, spacing=0.5, in_flight=1)
    for _ in range(3):
        passage = gate.passage(limits, deadline=1e9, clock=passing.clock, sleep=passing.sleep)
        with pytest.raises(KeyError), passage:
            raise KeyError


def test_gate_for_is_one_a_project() -> None:
    found: list[Gate] = []
    workers = [
        threading.Thread(target=lambda: found.append(gate_for("https://a", 1))) for _ in range(8)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(set(map(id, found))) == 1
    assert gate_for("https://a", 2) is not found[0]
    assert gate_for("https://b", 1) is not found[0]


@pytest.mark.parametrize(
    ("limits", "gaps"),
    [
        ({"per_minute": 3, "per_hour": 100}, [0.5, 0.5, 59]),
        ({"per_minute": 100, "per_hour": 2}, [0.5, 3599.5, 0.5]),
    ],
)
def test_gates_that_share_a_folder_share_one_budget(
    tmp_path: Path, limits: dict[str, int], gaps: list[float]
) -> None:
    passing = Unhurried()
    gates = [Gate(tmp_path / "pace", "a", wall=passing.wall) for _ in range(2)]
    asked = Limits(spacing=0.5, in_flight=3, **limits)
    starts = [pass_through(gates[n % 2], passing, asked) for n in range(len(gaps) + 1)]
    # Each looks by chance a little later than it might.
    assert [b - a for a, b in pairwise(starts)] == pytest.approx(gaps, abs=0.1)
    assert all(b - a >= gap - 1e-5 for (a, b), gap in zip(pairwise(starts), gaps, strict=True))


def test_gates_of_other_projects_do_not_share(tmp_path: Path) -> None:
    passing = Unhurried()
    asked = Limits(per_minute=1, per_hour=1, spacing=0.5, in_flight=3)
    for name in ("a", "b"):
        assert pass_through(Gate(tmp_path, name, wall=passing.wall), passing, asked) == 1000


def test_gate_writes_nothing_that_names_host_project_or_key(tmp_path: Path) -> None:
    folder = tmp_path / "pace"
    gate = gate_for("https://secret.example.com", 4711, folder)
    pass_through(gate, Unhurried())
    files = list(folder.iterdir())
    assert len(files) == 4  # two locks of turns, one of a place, and the record
    for file in files:
        assert file.stat().st_mode & 0o777 == 0o600
        assert "4711" not in file.name + file.read_text()
        assert "secret" not in file.name + file.read_text()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert gate_for("https://secret.example.com", 4711, folder) is gate
    assert gate_for("https://secret.example.com", 4711) is not gate


def test_places_in_flight_are_those_of_all_gates_of_a_folder(tmp_path: Path) -> None:
    gates = [Gate(tmp_path) for _ in range(3)]
    limits = Limits(per_minute=99, per_hour=99, spacing=0.0, in_flight=2)

    def enter(gate: Gate, patience: float) -> Any:
        deadline = time.monotonic() + patience
        return gate.passage(limits, deadline=deadline, clock=time.monotonic, sleep=time.sleep)

    with enter(gates[0], 5) as is_sent, enter_sent(enter(gates[1], 5), is_sent):
        began = time.monotonic()
        with pytest.raises(PostHogBusy, match="or in another process"), enter(gates[2], 0.2):
            pass
        assert time.monotonic() - began < 1
    with enter(gates[2], 5):
        pass


@contextmanager
def enter_sent(passage: Any, is_sent: Any) -> Iterator[None]:
    """Enter a passage once the one before it is on its way, and send that one too."""
    is_sent()
    with passage as also_sent:
        also_sent()
        yield


HOLD = """
import sys, time
from pathlib import Path
from core.sources.pace import Gate, Limits
limits = Limits(per_minute=99, per_hour=99, spacing=0.0, in_flight=1)
with Gate(Path(sys.argv[1])).passage(
    limits, deadline=time.monotonic() + 20, clock=time.monotonic, sleep=time.sleep
) as is_sent:
    if sys.argv[2] == "sent":
        is_sent()
    print("in", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("when", ["sent", "waiting"])
def test_place_and_turn_of_a_killed_process_are_free_at_once(tmp_path: Path, when: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path), when],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "in\n"
        limits = Limits(per_minute=99, per_hour=99, spacing=0.0, in_flight=1)

        def enter(patience: float) -> Any:
            deadline = time.monotonic() + patience
            return Gate(tmp_path).passage(
                limits, deadline=deadline, clock=time.monotonic, sleep=time.sleep
            )

        with pytest.raises(PostHogBusy, match="another process"), enter(0.2):
            pass
        other.send_signal(signal.SIGKILL)
        other.wait()
        with enter(1):
            pass


ASK = """
import sys, time
from pathlib import Path
from concurrent.futures import ThreadPoolExecutor
from core.activity.source import Usage
from core.sections import PostHog
from core.sources.pace import Limits
from core.sources.posthog_client import PostHogClient
settings = PostHog(host=sys.argv[1], project_id=1, api_key="phx_x")
usage = Usage()
client = PostHogClient(settings, usage, folder=Path(sys.argv[2]))
client._limits = Limits(per_minute=999, per_hour=999, spacing=float(sys.argv[3]), in_flight=3)
with ThreadPoolExecutor(4) as pool:
    rows = list(pool.map(lambda n: client.query("SELECT 1", {}, name="one").rows, range(20)))
assert rows == [[[1]]] * 20, rows
print(usage.requests, usage.errors, usage.notes)
"""


class Counting(ThreadingHTTPServer):
    """Answers every question after a while, and knows when each came and went."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Counted)
        self.spans: list[tuple[float, float]] = []


class _Counted(BaseHTTPRequestHandler):
    server: Counting
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def do_POST(self) -> None:
        began = time.monotonic()
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(0.2)
        body = b'{"columns": ["x"], "results": [[1]]}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.server.spans.append((began, time.monotonic()))
        self.wfile.write(body)


@contextmanager
def counting() -> Iterator[Counting]:
    server = Counting()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_three_processes_keep_their_distance_and_are_three_at_most(tmp_path: Path) -> None:
    spacing = 0.05
    with counting() as server:
        url = f"http://127.0.0.1:{server.server_port}"
        command = [sys.executable, "-c", ASK, url, str(tmp_path / "pace"), str(spacing)]
        others = [
            subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) for _ in range(3)
        ]
        said = [other.communicate(timeout=60)[0] for other in others]
    assert said == ["20 0 []\n"] * 3
    spans = sorted(server.spans)
    assert len(spans) == 60
    # Noted by the clients, at the instant of sending: exact.
    record = Record()
    (file,) = (tmp_path / "pace").glob("*.record")
    record = PaceFolder(tmp_path / "pace", file.stem).read(time.monotonic())
    assert len(record.starts) == 60
    assert min(b - a for a, b in pairwise(record.starts)) >= spacing - 1e-4
    # Seen by the server, but for how long a busy machine lets a request lie.
    assert spans[-1][0] - spans[0][0] >= 59 * spacing - 0.25
    assert max(sum(a <= start < b for a, b in spans) for start, _ in spans) <= 3


def record_of(**fields: Any) -> str:
    kept = {**json.loads(to_text(Record(), 0.0)), **fields}
    return f'["b", 1.0, 2.0]\n{json.dumps(kept)}'


@pytest.mark.parametrize(
    "content",
    [
        "",
        "nonsense",
        "[]\n{}",
        '["b", 1.0, 2.0]\n{"version": 1}',
        '["b", 1.0, NaN]\n{"version": 1, "starts": []}',
        "{}\n" + "[" * 100_000,
        "\x00" * 5000,
        '["b", 1.0, 2.0]\n{"version": 1, "starts": [' + "9" * 5000 + "]}",
        record_of(starts=[-1]),
        record_of(failures=True),
        record_of(closed=[99999999999999, "x"]),
        record_of(resting="soon"),
    ],
)
def test_damaged_record_counts_as_none_and_own_starts_are_not_forgotten(
    tmp_path: Path, content: str
) -> None:
    passing = Unhurried()
    gate = Gate(tmp_path, wall=passing.wall)
    limits = Limits(per_minute=99, per_hour=99, spacing=0.5, in_flight=3)
    assert pass_through(gate, passing, limits) == 1000
    (tmp_path / "pace.record").write_text(content)
    assert pass_through(gate, passing, limits) == pytest.approx(1000.5, abs=0.1)
    other = Gate(tmp_path, wall=passing.wall)  # what was asked since is known to others again
    assert pass_through(other, passing, limits) == pytest.approx(1001, abs=0.2)


@pytest.mark.parametrize("jump", [-1e6, -30.0, 30.0, 1e6])
def test_record_is_not_changed_by_a_clock_that_is_set_anew(tmp_path: Path, jump: float) -> None:
    passing = Unhurried()
    limits = Limits(per_minute=1, per_hour=99, spacing=0.5, in_flight=3)
    pass_through(Gate(tmp_path, wall=passing.wall), passing, limits)
    other = Gate(tmp_path, wall=lambda: passing.wall() + jump)
    assert pass_through(other, passing, limits) == pytest.approx(1060, abs=0.2)


@pytest.mark.parametrize(("away", "waits"), [(10.0, 50.0), (-1e6, 60.0), (1e6, 0.0)])
def test_record_of_before_a_restart_goes_by_the_date_and_never_waits_longer_than_the_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, away: float, waits: float
) -> None:
    passing = Unhurried()
    limits = Limits(per_minute=1, per_hour=99, spacing=0.5, in_flight=3)
    pass_through(Gate(tmp_path, wall=passing.wall), passing, limits)
    monkeypatch.setattr(pace_folder, "_boot", lambda: "another")
    began = passing.now = 3.0
    other = Gate(tmp_path, wall=lambda: 1_700_001_000 + away + passing.now - began)
    assert pass_through(other, passing, limits) - began == pytest.approx(waits, abs=0.2)


def test_record_keeps_its_times_where_another_wrote_meanwhile(tmp_path: Path) -> None:
    folder = PaceFolder(tmp_path, "pace")
    folder.change(lambda record: record.begin(100.0), 100.0)
    folder.change(lambda record: record.begin(100.7), 100.7)
    folder.change(lambda record: record.fail(100.3, "x"), 100.3)  # looked at the clock before
    assert list(folder.read(100.1).starts) == pytest.approx([100.0, 100.7], abs=1e-5)
    assert list(folder.read(101.0).starts) == pytest.approx([100.0, 100.7], abs=1e-5)


def test_full_disk_leaves_this_process_its_own_limits_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    passing = Unhurried()
    gate = Gate(tmp_path, wall=passing.wall)
    limits = Limits(per_minute=2, per_hour=99, spacing=0.5, in_flight=3)
    with monkeypatch.context() as patched:
        patched.setattr(PaceFolder, "_write", full)
        starts = [pass_through(gate, passing, limits) for _ in range(3)]
    assert starts == pytest.approx([1000, 1000.5, 1060], abs=0.1)
    assert len(gate.troubles) == 1
    assert "No space left on device" in gate.troubles[0]
    assert "by this process alone" in gate.troubles[0]
    # Space again: others know from the next start on.
    pass_through(gate, passing, limits)
    assert len(PaceFolder(tmp_path, "pace").read(passing.now).starts) == 1


def test_folder_that_cannot_be_made_leaves_this_process_its_own_limits(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    passing = Unhurried()
    gate = Gate(tmp_path / "file" / "pace", wall=passing.wall)
    limits = Limits(per_minute=1, per_hour=99, spacing=0.5, in_flight=3)
    assert [pass_through(gate, passing, limits) for _ in range(2)] == [1000, 1060]
    assert "Not a directory" in gate.troubles[0]


def test_lock_kept_by_a_halted_process_is_not_waited_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace_folder, "_LOCK_SECONDS", 0.05)
    kept = PaceFolder(tmp_path, "pace").lock("lock")
    assert kept is not None
    passing = Unhurried()
    gate = Gate(tmp_path, wall=passing.wall)
    assert pass_through(gate, passing) == 1000
    assert "timed out" in gate.troubles[0]
    os.close(kept)


def test_lock_whose_file_was_removed_meanwhile_is_not_a_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = PaceFolder(tmp_path, "pace")

    def remove_first(held: int, how: int) -> None:
        (tmp_path / "pace.turn").unlink()
        (tmp_path / "pace.turn").touch()  # what others lock from now on
        flock(held, how)

    flock = pace_folder.fcntl.flock
    with monkeypatch.context() as patched:
        patched.setattr(pace_folder.fcntl, "flock", remove_first)
        assert folder.lock("turn") is None
    held = folder.lock("turn")
    assert held is not None
    os.close(held)


def test_lock_of_a_removed_file_does_not_keep_others_away(tmp_path: Path) -> None:
    folder = PaceFolder(tmp_path, "pace")
    first = folder.lock("turn")
    assert first is not None
    assert folder.lock("turn") is None
    (tmp_path / "pace.turn").unlink()
    second = folder.lock("turn")
    assert second is not None
    assert folder.lock("turn") is None
    os.close(first)
    assert folder.lock("turn") is None
    os.close(second)


@pytest.mark.parametrize("which", ["new", "lock", "turn", "place0"])
def test_link_in_the_folder_is_never_written_through(tmp_path: Path, which: str) -> None:
    target = tmp_path / "precious"
    target.write_text("keep me")
    folder = tmp_path / "pace"
    folder.mkdir()
    (folder / f"pace.{which}").symlink_to(target)
    passing = Unhurried()
    gate = Gate(folder, wall=passing.wall)
    assert pass_through(gate, passing) == 1000
    assert gate.troubles
    assert target.read_text() == "keep me"


@pytest.mark.parametrize("is_shared", [True, False])
def test_three_failures_in_a_row_stop_all_questions_for_a_while(
    tmp_path: Path, *, is_shared: bool
) -> None:
    passing = Unhurried()
    folder = tmp_path if is_shared else None
    gates = [Gate(folder, wall=passing.wall) for _ in range(2)]
    first, other = gates if is_shared else (gates[0], gates[0])
    for _ in range(3):
        pass_through(first, passing)
        assert not other.is_failing(passing.now)
        first.failed(passing.now, "status 503")
    assert other.is_failing(passing.now)
    for gate in (first, other):
        with pytest.raises(PostHogBusy, match=r"status 503\. .*again in 15 seconds, at 22:30:15"):
            pass_through(gate, passing)
    passing.now += 14.9
    with pytest.raises(PostHogBusy, match="status 503"):
        pass_through(other, passing)
    passing.now += 0.2
    pass_through(other, passing)  # one may try, and nobody else
    with pytest.raises(PostHogBusy, match="again in 15 seconds"):
        pass_through(first, passing)
    other.answered(passing.now)
    assert not other.is_failing(passing.now)
    pass_through(other, passing)


def test_rest_is_renewed_by_a_single_failure_and_forgotten_in_an_hour(tmp_path: Path) -> None:
    passing = Unhurried()
    gate = Gate(tmp_path, wall=passing.wall)
    for _ in range(3):
        gate.failed(passing.now, "status 503")
    starts = []
    while passing.now < 1061:
        try:
            starts.append(pass_through(gate, passing))
        except PostHogBusy:
            passing.now += 0.5
        else:
            gate.failed(passing.now, "status 502")
    assert starts == [1015, 1030, 1045, 1060]
    passing.now += LONGEST_CLOSED
    assert not gate.is_failing(passing.now)
    pass_through(gate, passing)


def test_answer_between_failures_begins_the_count_anew() -> None:
    passing = Unhurried()
    gate = Gate()
    for outcome in (gate.failed, gate.failed, None, gate.failed, gate.failed):
        if outcome is None:
            gate.answered(passing.now)
        else:
            outcome(passing.now, "status 503")
        assert not gate.is_failing(passing.now)
    pass_through(gate, passing)


def test_closed_gate_lets_nobody_through_until_then_not_even_after_an_answer(
    tmp_path: Path,
) -> None:
    passing = Unhurried()
    gates = [Gate(tmp_path, wall=passing.wall) for _ in range(2)]
    told = gates[0].close(passing.now, 1e9, "PostHog's budget is used up")
    assert "used up. PostHog is asked again in 60 minutes, at 23:30:00 UTC." in str(told)
    gates[1].failed(passing.now, "x")
    gates[1].answered(passing.now)
    gates[1].close(passing.now, 5, "a shorter one does not open it earlier")
    passing.now += 3599
    for gate in gates:
        with pytest.raises(PostHogBusy, match=r"budget is used up.*again in 1 seconds"):
            pass_through(gate, passing)
    passing.now += 1
    assert [pass_through(gate, passing) for gate in gates] == [4600, pytest.approx(4600, abs=0.1)]


def test_waiting_at_the_gate_ends_at_the_deadline_although_another_thread_has_the_turn() -> None:
    gate = Gate()
    limits = Limits(per_minute=99, per_hour=99, spacing=0.0, in_flight=3)

    def enter(patience: float) -> Any:
        deadline = time.monotonic() + patience
        return gate.passage(limits, deadline=deadline, clock=time.monotonic, sleep=time.sleep)

    with enter(5):  # never says that it is sent
        began = time.monotonic()
        with pytest.raises(PostHogBusy, match="under way"), enter(0.1):
            pass
        assert time.monotonic() - began < 1


def test_threads_of_one_gate_count_every_start(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    limits = Limits(per_minute=9999, per_hour=9999, spacing=0.0, in_flight=3)

    def ask(_: int) -> None:
        deadline = time.monotonic() + 20
        with gate.passage(
            limits, deadline=deadline, clock=time.monotonic, sleep=time.sleep
        ) as is_sent:
            is_sent()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(ask, range(60)))
    assert len(gate._own.starts) == 60
    assert len(PaceFolder(tmp_path, "pace").read(time.monotonic()).starts) == 60
    assert gate.troubles == ()


def test_record_survives_being_kept() -> None:
    record = Record(
        starts=deque([10.0, 11.5]),
        failures=2,
        failed_at=11.0,
        closed=Stop(until=500.25, why="budget"),
        resting=Stop(until=20.5, why="status 503"),
    )
    kept = to_text(record, 12.0)
    assert from_text(kept, 12.0, 0.0) == record
    later = from_text(kept, 100.0, 3.0)  # another process's clock, three seconds on
    assert later.starts == deque([95.0, 96.5])
    assert later.closed == Stop(until=585.25, why="budget")
    assert json.loads(kept)["starts"] == [2_000_000, 500_000]


def test_record_shows_no_control_characters_of_a_file_somebody_wrote() -> None:
    kept = json.loads(to_text(Record(), 0.0))
    kept["closed"] = [5_000_000, "a\x1b[31m\u202eb" + "x" * 999]
    why = from_text(json.dumps(kept), 0.0, 0.0).closed.why
    assert why.startswith("a [31m b")
    assert len(why) == 300
