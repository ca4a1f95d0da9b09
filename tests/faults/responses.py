"""Spoilt answers of PostHog's, through the whole client and what reads its answers.

Each trial asks one question. What comes is spoilt once, or every time; the outcome must be the
true answer or a typed error, within a second, and the error must not repeat key or e-mail.
"""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection

from core.activity.source import Usage
from core.errors import PushliftError
from core.sections import PostHog
from core.sources.https import WatchedAdapter
from core.sources.pace import Gate
from core.sources.posthog_answers import Answer
from core.sources.posthog_client import TRIES, PostHogClient
from core.sources.posthog_queries import (
    EMAILS_QUERY,
    MERGED_QUERY,
    PERSONS_QUERY,
    SLICE_QUERY,
    read_emails,
    read_people,
    read_slice,
)
from tests.faults.raw import raw_server
from tests.faults.spoilt import WAYS, Spoil, True_, good
from tests.faults.tally import Tally

KEY = "phx_never_shown_to_anybody"
EMAIL = "ann.canary@example.com"
LONGEST_SECONDS = 1.0
N_CODES = 7 * 86_400_000
PATIENCE = 3
"""Times a trial is made before it counts as too slow."""
OVER_TCP = 20
"""One trial in so many goes over a socket of TCP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked, how its answer is read, and the truth."""

    text: str
    parse: Callable[[Answer], pa.Table]
    true: True_

    @property
    def expected(self) -> list[str]:
        """Return what must be read, whatever its order."""
        answer = Answer(columns=tuple(self.true.columns), rows=self.true.rows)
        return content(self.parse(answer))


def content(table: pa.Table) -> list[str]:
    """Return a table's rows in an order of their own."""
    return sorted(map(repr, table.to_pylist()))


def questions(chance: random.Random) -> list[Question]:
    """Return one question of every kind with true answers of a few rows."""
    n = chance.randrange(2, 9)
    people = [f"{chance.getrandbits(128):032x}" for _ in range(n)]
    ids = [[f"u_{p}_{k}" for k in range(chance.randrange(2, 4))] for p in range(n)]
    codes = [sorted(chance.choices(range(N_CODES), k=chance.randrange(1, 6))) for _ in people]
    emails = [EMAIL, *(f"user{p}@example.com" for p in range(1, n))]
    first = [owned[0] for owned in ids]
    # of nobody, always there
    rows = [["", [""], [0]], *(list(row) for row in zip(people, ids, codes, strict=True))]
    stranger = ["f" * 32, ["u_stranger"]]
    found = [["", [""]], *(list(row) for row in zip(people, ids, strict=True))]
    mailed = [["", ""], *(list(row) for row in zip(emails, people, strict=True))]
    return [
        _question(SLICE_QUERY, ("who", "distinct_ids", "codes"), rows, [*stranger, [5]],
                  lambda answer: read_slice(answer, N_CODES)),
        _question(MERGED_QUERY, ("who", "distinct_ids"), found, stranger, read_people),
        _question(PERSONS_QUERY, ("who", "distinct_ids"), found, stranger,
                  lambda answer: read_people(answer, first), is_proven=True),
        _question(EMAILS_QUERY, ("email", "who"), mailed, ["x@example.com", "f" * 32],
                  lambda answer: read_emails(answer, emails), is_proven=True),
    ]  # fmt: skip


def _question(
    text: str,
    columns: Sequence[str],
    rows: list[list[Any]],
    stranger: list[Any],
    parse: Callable[[Answer], pa.Table],
    *,
    is_proven: bool = False,
) -> Question:
    true = True_(
        columns=(*columns, "n_rows"),
        rows=[[*row, len(rows)] for row in rows],
        stranger=[*stranger, len(rows)],
        is_proven=is_proven,
    )
    return Question(text=text, parse=parse, true=true)


class Hasty:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 1000.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Script:
    """What is said to the next requests."""

    def __init__(self) -> None:
        self.left: list[bytes] = []

    def next(self) -> bytes:
        return self.left.pop(0) if self.left else b""


def _adapter(script: Script) -> WatchedAdapter:
    """Return an adapter whose connections are pairs of sockets; one end says the script."""

    class Connection(HTTPConnection):
        far: socket.socket | None = None

        def connect(self) -> None:
            self.sock, self.far = socket.socketpair()
            self.far.settimeout(0)
            for end in (self.sock, self.far):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            self.far.sendall(script.next())
            self.far.shutdown(socket.SHUT_WR)

        def close(self) -> None:
            super().close()
            if self.far is not None:
                self.far.close()

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection

    class Adapter(WatchedAdapter):
        pools = {"http": Pool, "https": Pool}  # noqa: RUF012

    return Adapter()


@contextmanager
def clients(script: Script, time_: Hasty) -> Iterator[tuple[PostHogClient, PostHogClient]]:
    """Return a client of the script by pairs of sockets, and one over TCP."""

    def say(line: socket.socket, _: bytes) -> None:
        line.sendall(script.next())

    with raw_server(say) as server:
        made = [
            PostHogClient(
                PostHog(host=host, project_id=1, api_key=KEY, timeout=20),  # type: ignore[arg-type]
                Usage(),
                clock=time_.clock,
                sleep=time_.sleep,
            )
            for host in ("http://127.0.0.1:9", server.url)
        ]
        made[0]._session.mount("http://", _adapter(script))
        with closing(made[0]), closing(made[1]):
            yield made[0], made[1]


def outcome(client: PostHogClient, question: Question) -> str:
    """Return "exact", "declared", or what is wrong."""
    try:
        read = client.read(
            question.text, {"emails": [EMAIL]}, name="a fuzzed answer", parse=question.parse
        )
    except PushliftError as error:
        return _judged(str(error))
    except Exception as error:  # noqa: BLE001 - which one is what the trial is about
        return f"{type(error).__name__}: {error!s:.200}"
    return "exact" if content(read) == question.expected else "another answer, silently"


def _judged(words: str) -> str:
    if KEY in words or EMAIL in words:
        return "the error repeats the key or an e-mail"
    return (
        "declared" if words.isprintable() and len(words) < 1000 else f"unreadable: {words[:99]!r}"
    )


def run(*, size: int, seed: int) -> Tally:
    """Ask so many questions whose answers are spoilt."""
    chance = random.Random(seed)
    script, time_ = Script(), Hasty()
    tally = Tally(what="Spoilt answers of PostHog")
    began = time.perf_counter()
    n_tcp, slowest = 0, 0.0
    with clients(script, time_) as (near, far):
        for trial in range(size):
            question = chance.choice(questions(chance))
            way: Spoil = chance.choice(WAYS)
            is_once = chance.random() < 0.5
            spoilt = [way(chance, question.true) for _ in range(1 if is_once else TRIES)]
            answers = [*spoilt, *([good(chance, question.true)] * 5 if is_once else [])]
            client = far if trial % OVER_TCP == 0 else near
            n_tcp += client is far
            for _ in range(PATIENCE):  # what is slow once may be so because the machine is busy
                script.left = list(answers)
                client._gate = Gate()
                started = time.perf_counter()
                result = outcome(client, question)
                seconds = time.perf_counter() - started
                if seconds <= LONGEST_SECONDS:
                    break
                result = f"{seconds:.1f} s ({result})"
            slowest = max(slowest, seconds)
            _add(tally, result, f"seed {seed}, trial {trial}, {way.__name__}")
    tally.seconds = time.perf_counter() - began
    tally.figures |= {"over TCP": n_tcp, "slowest, ms": round(slowest * 1000)}
    return tally


def _add(tally: Tally, result: str, where: str) -> None:
    tally.runs += 1
    if result == "exact":
        tally.exact += 1
    elif result == "declared":
        tally.declared += 1
    else:
        tally.broken.append(f"{where}: {result}")
