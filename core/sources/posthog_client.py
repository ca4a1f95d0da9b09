"""PostHog's query API over HTTP: one question, one whole and checked answer, or a typed error.

What asking again can mend is asked again, a few times and within a deadline; sending, reading,
parsing and checking are one attempt, because a fault may come as late as the last byte. An answer
with as many rows as PostHog ever gives is cut, and is never believed.
"""

from __future__ import annotations

import json
import random
import re
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any, NoReturn, TypeVar

import requests
import urllib3

from core.activity.source import Usage
from core.errors import DataError, PostHogBusy, PostHogDenied, QueryTooBig
from core.settings import PostHog

T = TypeVar("T")
Value = str | int | list[str] | list[int]
"""What may stand for a {placeholder}."""

ROW_LIMIT = 50_000
"""Rows PostHog gives at most, whatever LIMIT a query has."""
TRIES = 5
TOTAL_SECONDS = 300.0
"""Seconds one question may take, waiting and every try included."""
LONGEST_WAIT = 60.0
"""Seconds to wait at PostHog's request; a longer wait is an error that names it."""
BODY_LIMIT = 512 * 1024**2
"""Bytes of one answer, decompressed, at most."""
_CHUNK = 1 << 16
_CONNECT_SECONDS = 10.0
_SHORTEST_BACKOFF, _LONGEST_BACKOFF = 0.5, 30.0
_JITTER_SECONDS = 0.1  # so that two requests do not come too close on their way
_MODIFIERS = {
    "convertToProjectTimezone": False,
    "personsOnEventsMode": "person_id_override_properties_on_events",
}
_TOO_BIG_STATUSES = {504, 512}
_TOO_BIG_CODES = {"too_many_bytes"}
_DENIED = {
    400: "PostHog did not accept the question",
    401: "PostHog does not know this key. Create a personal API key with the scope query:read "
    "and set posthog.api_key",
    402: "PostHog's quota for API queries is used up. Raise it in PostHog's billing settings, or "
    "read a batch export instead (events.path)",
    403: "This key may not read the project. Give it the scope query:read and access to the "
    "project of posthog.project_id",
    404: "There is no such project at this address. Check posthog.project_id, and that "
    "posthog.host is your region (https://us.posthog.com or https://eu.posthog.com, without '.i')",
}
_EMAIL = re.compile(r"[^\s'\"<>(),;]+@[^\s'\"<>(),;]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The rows PostHog gave, each as long as there are columns."""

    columns: tuple[str, ...]
    rows: list[list[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How fast may be asked: starts a minute and an hour, seconds between them, at once."""

    per_minute: int
    per_hour: int
    spacing: float
    in_flight: int


class Gate:
    """Lets requests of all threads through no faster and no more at once than the limits say."""

    def __init__(self) -> None:
        self._slots = threading.Condition()
        self._pace = threading.Lock()
        self._in_flight = 0
        self._starts: deque[float] = deque()

    @contextmanager
    def passage(
        self,
        limits: Limits,
        *,
        deadline: float,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> Iterator[Callable[[], None]]:
        """Hold one of the places in flight, from the instant a request may start.

        Yields:
            What to call once the request is on its way; the next turn is counted from then.

        Raises:
            PostHogBusy: The turn would come after the deadline.
        """
        self._enter(limits, deadline - clock())
        try:
            with ExitStack() as turn:
                turn.enter_context(self._pace)  # held while waiting, so that turns come in order
                wait = self._due(limits, clock()) - clock()
                if clock() + wait > deadline:
                    raise PostHogBusy(
                        "The hourly or minutely limit of requests to PostHog is used up; it takes "
                        f"{_in_words(wait)} until the next one. What was fetched so far is kept."
                    )
                if wait > 0:
                    sleep(wait)
                turn.callback(lambda: self._starts.append(clock()))
                yield turn.close
        finally:
            with self._slots:
                self._in_flight -= 1
                self._slots.notify()

    def _enter(self, limits: Limits, patience: float) -> None:
        with self._slots:
            if not self._slots.wait_for(lambda: self._in_flight < limits.in_flight, patience):
                raise PostHogBusy(
                    f"{limits.in_flight} requests to PostHog were under way for {patience:.0f} "
                    "seconds and none ended. Try again."
                )
            self._in_flight += 1

    def _due(self, limits: Limits, now: float) -> float:
        """Return when the next request may start."""
        while len(self._starts) > limits.per_hour:
            self._starts.popleft()
        waits = [now]
        if self._starts:
            waits.append(self._starts[-1] + limits.spacing)
        for count, seconds in ((limits.per_minute, 60.0), (limits.per_hour, 3600.0)):
            if len(self._starts) >= count:
                waits.append(self._starts[-count] + seconds)
        return max(waits)


_GATES: dict[tuple[str, int], Gate] = {}
_GATES_LOCK = threading.Lock()


def gate_for(host: str, project_id: int) -> Gate:
    """Return the one gate of this process for a project."""
    with _GATES_LOCK:
        return _GATES.setdefault((host, project_id), Gate())


class _Fault(Exception):  # noqa: N818 - never leaves this module
    """Something that asking again may mend."""

    def __init__(self, words: str, *, wait: float | None = None) -> None:
        super().__init__(words)
        self.words = words
        self.wait = wait


class _Body:
    """A request's body that tells when it is read, which is after the head was sent."""

    def __init__(self, content: bytes, is_sent: Callable[[], None]) -> None:
        self._content = content
        self._is_sent = is_sent

    def __len__(self) -> int:
        return len(self._content)

    def __iter__(self) -> Iterator[bytes]:
        self._is_sent()
        yield self._content


class PostHogClient:
    """Asks one project's query API. Safe to use from several threads."""

    def __init__(
        self,
        settings: PostHog,
        usage: Usage,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        gate: Gate | None = None,
    ) -> None:
        """Prepare to ask; nothing is sent yet.

        Args:
            settings: Host, project, key and limits.
            usage: Counted up with every request.
            clock: Seconds that only ever grow.
            sleep: Waits some seconds.
            gate: Who else shares the limits; by default everyone in this process who asks the
                same project.
        """
        self._settings = settings
        self._usage = usage
        self._clock = clock
        self._sleep = sleep
        self._jitter = random.SystemRandom()
        self._gate = gate or gate_for(settings.host, settings.project_id)
        self._limits = Limits(
            per_minute=settings.requests_per_minute,
            per_hour=settings.requests_per_hour,
            spacing=settings.min_spacing_ms / 1000 + _JITTER_SECONDS,
            in_flight=settings.max_in_flight,
        )
        self._counting = threading.Lock()
        self._session = _session(settings)

    def query(self, text: str, values: Mapping[str, Value], *, name: str) -> Answer:
        """Return the whole answer to a query.

        Args:
            text: HogQL, a constant with {placeholders} and LIMIT 50000.
            values: What stands for the placeholders.
            name: What is asked for, in a few words; PostHog's query log shows it.

        Raises:
            PostHogDenied: Asking again does not help; the sentence says what does.
            PostHogBusy: Limits or faults outlasted every retry.
            QueryTooBig: The answer is cut or too costly.
        """
        return self.read(text, values, name=name, parse=_unchanged)

    def read(
        self,
        text: str,
        values: Mapping[str, Value],
        *,
        name: str,
        parse: Callable[[Answer], T],
    ) -> T:
        """Return what parse makes of the answer; where it raises DataError, ask again.

        Raises:
            PostHogDenied: Asking again does not help; the sentence says what does.
            PostHogBusy: Limits or faults outlasted every retry.
            QueryTooBig: The answer is cut or too costly.
        """
        body = self._request(text, values, name)
        deadline = self._clock() + TOTAL_SECONDS
        for attempt in range(1, TRIES + 1):
            try:
                return self._attempt(body, parse, name=name, deadline=deadline)
            except _Fault as fault:
                self._wait_after(fault, attempt, name=name, deadline=deadline)
        raise AssertionError("unreachable: the last fault is raised")  # pragma: no cover

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _request(self, text: str, values: Mapping[str, Value], name: str) -> bytes:
        query = {
            "kind": "HogQLQuery",
            "query": text,
            "values": dict(values),
            "modifiers": _MODIFIERS,
            "name": name,
        }
        asked = {"query": query, "refresh": "force_blocking", "name": name}
        return json.dumps({**asked, "client_query_id": str(uuid.uuid4())}).encode()

    def _attempt(
        self, body: bytes, parse: Callable[[Answer], T], *, name: str, deadline: float
    ) -> T:
        with self._gate.passage(
            self._limits, deadline=deadline, clock=self._clock, sleep=self._sleep
        ) as is_sent:
            self._count(requests=1)
            response, content = self._exchange(_Body(body, is_sent), deadline)
        self._note_costs(response)
        if response.status_code != requests.codes.ok:
            self._refuse(response, content, name)
        answer = _answer(content)
        if len(answer.rows) >= ROW_LIMIT:
            raise QueryTooBig(
                f"Asking PostHog for {name}: the answer has {len(answer.rows):,} rows, as many as "
                "it ever gives, so some are missing. Ask for a shorter time."
            )
        try:
            return parse(answer)
        except DataError as error:
            raise _Fault(f"an answer to another question ({error})") from error

    def _exchange(self, body: _Body, deadline: float) -> tuple[requests.Response, bytes]:
        """Send and read one request, within the seconds one may take."""
        seconds = max(min(self._settings.timeout, deadline - self._clock()), 1.0)
        until = self._clock() + seconds
        host, project = self._settings.host, self._settings.project_id
        try:
            with self._session.post(
                f"{host}/api/projects/{project}/query/",
                data=body,
                timeout=(min(_CONNECT_SECONDS, seconds), seconds),
                allow_redirects=False,
                stream=True,
            ) as response:
                return response, self._content(response, until)
        except requests.exceptions.SSLError as error:
            self._count(errors=1)
            raise PostHogDenied(
                f"The certificate of {host} is not trusted. Check posthog.host, and that no proxy "
                "stands in between."
            ) from error
        except (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError) as error:
            raise _Fault(f"the connection failed ({type(error).__name__})") from error
        except requests.RequestException as error:
            self._count(errors=1)
            raise PostHogDenied(
                f"{host} cannot be asked ({type(error).__name__}). Check posthog.host."
            ) from error

    def _content(self, response: requests.Response, until: float) -> bytes:
        """Read a body, decompressed, chunk by chunk: a drip or a bomb ends it early."""
        content = bytearray()
        try:
            # read1 returns what has arrived; read would wait for a whole chunk of a drip.
            while chunk := response.raw.read1(_CHUNK, decode_content=True):
                content += chunk
                if len(content) > BODY_LIMIT:
                    raise QueryTooBig(
                        f"PostHog's answer is larger than {BODY_LIMIT // 1024**2} MB. Ask for a "
                        "shorter time."
                    )
                if self._clock() > until:
                    raise _Fault("an answer that took too long to arrive")
        finally:
            self._count(bytes_received=response.raw.tell())
        return bytes(content)

    def _refuse(self, response: requests.Response, content: bytes, name: str) -> NoReturn:
        """Raise what a status other than 200 means."""
        status = response.status_code
        detail, code = _error_body(content)
        said = f" (PostHog says: {self._harmless(detail)})" if detail else ""
        if status in _TOO_BIG_STATUSES or code in _TOO_BIG_CODES:
            raise QueryTooBig(
                f"Asking PostHog for {name} is too costly at once{said}. Ask for a shorter time."
            )
        if status == requests.codes.too_many_requests:
            self._refuse_for_now(response, said, code)
        if status >= requests.codes.server_error or status in {
            requests.codes.accepted,
            requests.codes.request_timeout,
        }:
            raise _Fault(f"status {status}{said}")
        self._count(errors=1)
        if requests.codes.ok < status < requests.codes.bad_request:
            raise PostHogDenied(
                f"{self._settings.host} answered with status {status}, not as PostHog's API does. "
                "Check posthog.host."
            )
        sentence = _DENIED.get(status, f"PostHog refused with status {status}")
        raise PostHogDenied(f"Asking PostHog for {name} failed: {sentence}{said}.")

    def _refuse_for_now(self, response: requests.Response, said: str, code: str) -> NoReturn:
        wait = _retry_after(response)
        if wait is not None and wait > LONGEST_WAIT:
            self._count(errors=1)
            what = (
                "The hourly read budget of the project's API queries is used up"
                if code == "api_queries_budget_exceeded"
                else "PostHog's limit of requests is used up"
            )
            raise PostHogBusy(
                f"{what}; it takes {_in_words(wait)} until the next one{said}. What was fetched so "
                "far is kept: run it again then."
            )
        raise _Fault(f"limits of requests{said}", wait=wait)

    def _wait_after(self, fault: _Fault, attempt: int, *, name: str, deadline: float) -> None:
        """Wait before the next try, or raise where there is none."""
        self._count(errors=1)
        backoff = self._jitter.uniform(0, min(_LONGEST_BACKOFF, 2.0**attempt))
        wait = fault.wait if fault.wait is not None else max(_SHORTEST_BACKOFF, backoff)
        if attempt == TRIES or self._clock() + wait > deadline:
            tries = "once" if attempt == 1 else f"{attempt} times"
            raise PostHogBusy(
                f"Asking PostHog for {name} failed {tries}, at last because of {fault.words}. Try "
                "again later; what was fetched so far is kept."
            ) from fault
        self._count(retries=1)
        self._sleep(wait)

    def _note_costs(self, response: requests.Response) -> None:
        read = _whole_number(response.headers.get("X-PostHog-Query-Bytes-Read"))
        remaining = response.headers.get("X-PostHog-Query-Budget-Remaining-Bytes", "").strip()
        with self._counting:
            self._usage.bytes_read += read or 0
            if re.fullmatch(r"-?[0-9]{1,18}", remaining):  # it may be overdrawn
                self._usage.budget_remaining_bytes = int(remaining)

    def _count(
        self, *, requests: int = 0, retries: int = 0, errors: int = 0, bytes_received: int = 0
    ) -> None:
        with self._counting:
            self._usage.requests += requests
            self._usage.retries += retries
            self._usage.errors += errors
            self._usage.bytes_received += bytes_received

    def _harmless(self, detail: str) -> str:
        """Return the first line of PostHog's words, short, without the key and e-mails."""
        line = (detail.strip().splitlines() or [""])[0]
        line = line.replace(self._settings.api_key.get_secret_value(), "***")
        return _EMAIL.sub("***", line)[:200].rstrip(". ")


def _session(settings: PostHog) -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # proxies and .netrc of the environment would see the key
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers["Authorization"] = f"Bearer {settings.api_key.get_secret_value()}"
    session.headers["Content-Type"] = "application/json"
    session.headers["User-Agent"] = "pushlift"
    return session


def _unchanged(answer: Answer) -> Answer:
    return answer


def _answer(content: bytes) -> Answer:
    """Return the columns and rows of a body, or a fault where it is anything else."""
    try:
        body = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise _Fault("an answer that is cut or not JSON") from error
    if not isinstance(body, dict) or body.get("error"):
        raise _Fault("an answer that reports an error")
    columns, rows = body.get("columns"), body.get("results")
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise _Fault("an answer without columns")
    if not isinstance(rows, list) or not all(
        isinstance(row, list) and len(row) == len(columns) for row in rows
    ):
        raise _Fault("an answer without rows")
    return Answer(columns=tuple(columns), rows=rows)


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _error_body(content: bytes) -> tuple[str, str]:
    """Return detail and code of PostHog's error body, empty where there is none."""
    try:
        body = json.loads(content[:_CHUNK])
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(body, dict):
        return "", ""
    return str(body.get("detail") or ""), str(body.get("code") or "")


def _retry_after(response: requests.Response) -> float | None:
    """Return the seconds PostHog asks to wait; dates and anything else count as not said."""
    seconds = _whole_number(response.headers.get("Retry-After"))
    return None if seconds is None else max(float(seconds), _SHORTEST_BACKOFF)


def _whole_number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"[0-9]{1,18}", text.strip()) else None


def _in_words(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"
