"""PostHog's query API over HTTP: one question, one whole and checked answer, or a typed error.

What asking again can mend is asked again, a few times and within a deadline; sending, reading,
parsing and checking are one attempt, because a fault may come as late as the last byte.
"""

from __future__ import annotations

import json
import logging
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import NoReturn, TypeVar

import requests
import urllib3

from core import logs
from core.activity.source import Usage
from core.errors import DataError, PostHogBusy, PostHogDenied, QueryTooBig
from core.sections import PostHog
from core.sources.https import ending_after, is_distrusted, private_session
from core.sources.pace import Gate, Limits, gate_for
from core.sources.posthog_answers import (
    SHORTEST_WAIT,
    Answer,
    Asked,
    Closed,
    Fault,
    Reply,
    costs,
    read_answer,
    read_content,
    seconds_ahead,
)

T = TypeVar("T")
Value = str | int | list[str] | list[int]
"""What may stand for a {placeholder}."""

TRIES = 5
TOTAL_SECONDS = 300.0
"""Seconds one question may take, waiting and every try included."""
_LOG = logging.getLogger(__name__)
_CONNECT_SECONDS = 10.0
_LONGEST_BACKOFF = 30.0
_MOST_AHEAD_SECONDS = 300.0  # what clocks nobody looks after differ by all the same
_JITTER_SECONDS = 0.1  # so that two requests do not come too close on their way
_MODIFIERS = {
    "convertToProjectTimezone": False,
    "personsOnEventsMode": "person_id_override_properties_on_events",
}


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
        folder: Path | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Prepare to ask.

        Args:
            settings: Host, project, key and limits.
            usage: Counted up with every request.
            clock: Seconds that only ever grow, the same for all processes of a machine.
            sleep: Waits some seconds.
            gate: Who else shares the limits; by default all who ask the project from here.
            folder: Where processes that share them too keep count.
            wall: What this machine takes for the seconds since 1970 UTC.
        """
        key = settings.api_key.get_secret_value()
        self._settings = settings
        self._usage = usage
        self._clock = clock
        self._sleep = sleep
        self._wall = wall
        self._ms_ahead = 0
        self._jitter = random.SystemRandom()
        self._gate = gate or gate_for(settings.host, settings.project_id, folder)
        self._limits = Limits(
            per_minute=settings.requests_per_minute,
            per_hour=settings.requests_per_hour,
            spacing=settings.min_spacing_ms / 1000 + _JITTER_SECONDS,
            in_flight=settings.max_in_flight,
        )
        self._counting = threading.Lock()
        self._session = private_session()
        self._session.headers["Authorization"] = f"Bearer {key}"
        self._session.headers["Content-Type"] = "application/json"

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
        body = _request(text, values, name)
        deadline = self._clock() + TOTAL_SECONDS
        try:
            for attempt in range(1, TRIES + 1):
                try:
                    found = self._attempt(body, parse, name=name, deadline=deadline)
                except Fault as fault:
                    self._wait_after(fault, attempt, name=name, deadline=deadline)
                else:
                    self._gate.answered(self._clock())
                    return found
        finally:
            self._tell_troubles()
        raise AssertionError("unreachable: the last fault is raised")  # pragma: no cover

    @property
    def ms_ahead(self) -> int:
        """Return how far this machine's clock is ahead of PostHog's, 0 where hardly so."""
        return self._ms_ahead

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _attempt(
        self, body: bytes, parse: Callable[[Answer], T], *, name: str, deadline: float
    ) -> T:
        with self._gate.passage(
            self._limits, deadline=deadline, clock=self._clock, sleep=self._sleep
        ) as is_sent:
            self._count(requests=1)
            started = self._clock()
            reply = self._exchange(_Body(body, is_sent), deadline)
        self._note_costs(reply)
        self._note_clock(reply)
        logs.note(
            _LOG, "PostHog answered", request=name, status=reply.status,
            seconds=round(self._clock() - started, 3), n_bytes=len(reply.content),
        )  # fmt: skip
        try:
            answer = read_answer(reply, self._asked(name))
        except (PostHogDenied, QueryTooBig) as error:
            self._count(errors=isinstance(error, PostHogDenied))
            self._gate.answered(self._clock())
            raise
        except Closed as closed:
            self._count(errors=1)
            raise self._gate.close(self._clock(), closed.seconds, closed.words) from closed
        try:
            return parse(answer)
        except DataError as error:
            raise Fault(f"an answer to another question ({error})") from error

    def _exchange(self, body: _Body, deadline: float) -> Reply:
        """Send and read one request, within the seconds one may take."""
        seconds = max(min(self._settings.timeout, deadline - self._clock()), 1.0)
        with ending_after(seconds) as line:
            try:
                reply = self._sent(body, seconds)
            except Fault:
                if not line.is_over:
                    raise
            else:
                if not line.is_over:
                    return reply
        raise Fault("an answer that took too long to arrive")

    def _sent(self, body: _Body, seconds: float) -> Reply:
        host, project = self._settings.host, self._settings.project_id
        try:
            with self._session.post(
                f"{host}/api/projects/{project}/query/",
                data=body,
                timeout=(min(_CONNECT_SECONDS, seconds), seconds),
                allow_redirects=False,
                stream=True,
            ) as response:
                return self._reply(response)
        except requests.exceptions.SSLError as error:
            if not is_distrusted(error):
                raise Fault("the secure connection failed") from error
            self._count(errors=1)
            raise PostHogDenied(
                f"The certificate of {host} is not trusted. Check posthog.host, and that no proxy "
                "stands in between."
            ) from error
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
            self._count(errors=1)
            raise PostHogDenied(
                f"{host} cannot be asked ({type(error).__name__}). Check posthog.host."
            ) from error
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise Fault(f"the connection failed ({type(error).__name__})") from error

    def _reply(self, response: requests.Response) -> Reply:
        if not _is_final(response.status_code):
            # What it announces may still come, and must not be taken for the next answer.
            raise Fault(f"status {response.status_code}")
        try:
            content = read_content(response)
        finally:
            self._count(bytes_received=response.raw.tell())
        return Reply(status=response.status_code, headers=response.headers, content=content)

    def _wait_after(self, fault: Fault, attempt: int, *, name: str, deadline: float) -> None:
        """Wait before the next try, or raise where there is none."""
        self._count(errors=1)
        backoff = self._jitter.uniform(0, min(_LONGEST_BACKOFF, 2.0**attempt))
        wait = fault.wait if fault.wait is not None else max(SHORTEST_WAIT, backoff)
        now = self._clock()
        if attempt == TRIES or now + wait > deadline or self._gate.is_failing(now):
            self._give_up(fault, attempt, name)
        self._count(retries=1)
        self._sleep(wait)

    def _give_up(self, fault: Fault, attempt: int, name: str) -> NoReturn:
        self._gate.failed(self._clock(), fault.words)
        tries = "once" if attempt == 1 else f"{attempt} times"
        raise PostHogBusy(
            f"Asking PostHog for {name} failed {tries}, at last because of {fault.words}. Try "
            "again later; what was fetched so far is kept."
        ) from fault

    def _note_costs(self, reply: Reply) -> None:
        read, left = costs(reply.headers)
        with self._counting:
            self._usage.bytes_read += read
            if left is not None:
                self._usage.budget_remaining_bytes = left

    def _note_clock(self, reply: Reply) -> None:
        ahead = seconds_ahead(reply.headers, self._wall())
        if reply.status == HTTPStatus.OK:
            self._ms_ahead = round(ahead * 1000) if ahead > _MOST_AHEAD_SECONDS else 0

    def _tell_troubles(self) -> None:
        with self._counting:
            notes = self._usage.notes
            notes += [words for words in self._gate.troubles if words not in notes]

    def _asked(self, name: str) -> Asked:
        secret = self._settings.api_key.get_secret_value()
        return Asked(name=name, host=self._settings.host, secret=secret)

    def _count(
        self, *, requests: int = 0, retries: int = 0, errors: int = 0, bytes_received: int = 0
    ) -> None:
        with self._counting:
            self._usage.requests += requests
            self._usage.retries += retries
            self._usage.errors += errors
            self._usage.bytes_received += bytes_received


def _request(text: str, values: Mapping[str, Value], name: str) -> bytes:
    query = {
        "kind": "HogQLQuery",
        "query": text,
        "values": dict(values),
        "modifiers": _MODIFIERS,
        "name": name,
    }
    asked = {"query": query, "refresh": "force_blocking", "name": name}
    return json.dumps({**asked, "client_query_id": str(uuid.uuid4())}).encode()


def _is_final(status: int) -> bool:
    return status >= HTTPStatus.OK


def _unchanged(answer: Answer) -> Answer:
    return answer


__all__ = ["TOTAL_SECONDS", "TRIES", "Answer", "Gate", "Limits", "PostHogClient", "gate_for"]
