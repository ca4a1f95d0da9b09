"""PostHog's file download API over HTTP: order an export, watch it, ask where its files are.

These requests carry the key and go to `posthog.host` alone; what fetches the files is another
session that does not know it. No redirect is ever followed by itself.

Source of paths, statuses and bodies: PostHog, products/batch_exports/backend/presentation/views/
file_download.py, and its documentation "File download exports".
"""

from __future__ import annotations

import json
import random
import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, NoReturn

import requests
import urllib3

from core.activity.source import Usage
from core.errors import PostHogBusy, PostHogDenied, PostHogError
from core.sections import PostHog
from core.sources.file_download_files import (
    MAX_SIZE_MB,
    Fault,
    FileFetcher,
    bare_session,
    checked_link,
    whole_number,
)
from core.sources.https import ending_after, is_distrusted

Model = Literal["events", "persons"]
Progress = Literal["working", "done", "again", "failed"]

TRIES: Final = 6
ASK_SECONDS: Final = 300.0
"""Seconds one request may take, waiting and every try included."""
FILE_SECONDS: Final = 1800.0
"""Seconds one file may take to arrive."""
LONGEST_WAIT: Final = 60.0
"""Seconds to wait at PostHog's request; a longer wait is an error that names it."""
LIMITS: Final = ((480, 60.0), (4_800, 3_600.0))
"""Requests and seconds: PostHog's limits for other endpoints than the query one."""
_BODY_LIMIT: Final = 1 << 20
_CHUNK: Final = 1 << 16
_CONNECT_SECONDS, _READ_SECONDS = 10.0, 60.0
_SHORTEST_BACKOFF, _LONGEST_BACKOFF = 0.5, 30.0
_OCCUPIED: Final = "too_many_concurrent_file_downloads"
_PASSING: Final = {requests.codes.request_timeout, requests.codes.conflict}
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_EMAIL: Final = re.compile(r"[^\s'\"<>(),;]+@[^\s'\"<>(),;]+")
_PROGRESS: Final[Mapping[str, Progress]] = {
    "Starting": "working",
    "Running": "working",
    "ContinuedAsNew": "working",
    "Completed": "done",
    "FailedRetryable": "again",
    "Failed": "failed",
    "FailedBilling": "failed",
    "Terminated": "failed",
    "TimedOut": "failed",
    "Cancelled": "failed",
}
_DENIED: Final = {
    400: "PostHog did not accept the order",
    401: "PostHog does not know this key. Create a personal API key with the scopes query:read and "
    "batch_export:write and set posthog.api_key",
    402: "PostHog's quota is used up. Raise it in PostHog's billing settings",
    403: "This key may not export. Give it the scope batch_export:write (batch_export:read to "
    "fetch) and access to the project of posthog.project_id",
    404: "There is no such project or export at this address. Check posthog.project_id, and that "
    "posthog.host is your region (https://us.posthog.com or https://eu.posthog.com, without '.i')",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is exported: rows of a model that PostHog received in [start, end), UTC.

    Attributes:
        model: events, or persons (those last changed in the interval).
        start: Its beginning.
        end: Its end, at most a week later and not in the future.
        include: Names of the events; not for persons.
    """

    model: Model
    start: datetime
    end: datetime
    include: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """Return the model and the days it is about."""
        return f"{self.model} of {self.start:%Y-%m-%d} to {self.end:%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """How far an export is.

    Attributes:
        progress: Whether to wait, to fetch, to order again, or to give up.
        status: PostHog's own word.
        n_files: Files to fetch, once done.
        n_rows: Rows PostHog says it wrote, where it says so.
        error: What PostHog says went wrong, harmless.
    """

    progress: Progress
    status: str
    n_files: int = 0
    n_rows: int | None = None
    error: str = ""


class ExportGone(PostHogError):  # noqa: N818 - reads as the state it is
    """PostHog no longer has the files of an export: it has to be ordered again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes


class FileDownloadApi:
    """Orders exports of one project and fetches their files. For one thread."""

    def __init__(
        self,
        settings: PostHog,
        usage: Usage,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Prepare to ask; nothing is sent yet.

        Args:
            settings: Host, project, key, and the hosts files may come from.
            usage: Counted up with every request.
            clock: Seconds that only ever grow.
            sleep: Waits some seconds.
        """
        self._settings = settings
        self._usage = usage
        self._clock = clock
        self._sleep = sleep
        self._jitter = random.SystemRandom()
        self._starts: deque[float] = deque(maxlen=max(count for count, _ in LIMITS))
        self._session = bare_session()
        self._session.headers["Authorization"] = f"Bearer {settings.api_key.get_secret_value()}"
        self._session.headers["Content-Type"] = "application/json"
        self._files = FileFetcher(usage, clock=clock)

    def order(self, order: Order) -> str | None:
        """Order an export and return its id, or None while PostHog has too many under way.

        Raises:
            PostHogDenied: Asking again does not help; the sentence says what does.
            PostHogBusy: Limits or faults outlasted every retry.
        """
        file = {"format": "Parquet", "compression": "zstd", "max_size_mb": MAX_SIZE_MB}
        body: dict[str, object] = {
            "model": order.model,
            "file": file,
            "data_interval_start": _iso(order.start),
            "data_interval_end": _iso(order.end),
        }
        if order.model == "events":
            body["include"] = list(order.include)
        what = f"an export of the {order.words}"
        reply = self._ask("POST", "", what, ok={202}, body=json.dumps(body).encode())
        if reply is None:
            return None
        run_id = str(_fields(reply).get("id"))
        if not _UUID.fullmatch(run_id):
            raise PostHogDenied(f"PostHog took the order for {what} but named no export.")
        return run_id

    def state(self, run_id: str, *, what: str) -> RunState | None:
        """Return how far an export is, or None where PostHog knows none of that id.

        Args:
            run_id: As `order` returned it.
            what: What it exports, in words.

        Raises:
            PostHogDenied: Asking again does not help; the sentence says what does.
            PostHogBusy: Limits or faults outlasted every retry.
        """
        reply = self._ask("GET", f"{run_id}/", f"the export of the {what}", ok={200, 404})
        if reply is None or reply.status == requests.codes.not_found:
            return None
        fields = _fields(reply)
        status, files = str(fields.get("status")), fields.get("files", [])
        progress, n_rows = _PROGRESS.get(status), fields.get("records_completed")
        if progress is None or not isinstance(files, list):
            raise PostHogError(f"PostHog's answer about the export of the {what} is not known.")
        if not (n_rows is None or (isinstance(n_rows, int) and n_rows >= 0)):
            raise PostHogError(f"PostHog's count of the {what} is not a number of rows.")
        error = self._harmless(str(fields.get("error") or ""))
        return RunState(
            progress=progress, status=status, n_files=len(files), n_rows=n_rows, error=error
        )

    def fetch(self, run_id: str, part: int, target: Path, *, what: str) -> None:
        """Fetch one file of a done export, whole, to a path that is not there yet.

        Every try asks for a new link, since an old one may have expired.

        Raises:
            ExportGone: PostHog no longer has the file.
            PostHogDenied: The link leads where no file may come from, or PostHog refuses.
            PostHogBusy: Limits or faults outlasted every retry.
            ExportError: The file is too large, or there is no room for it.
        """
        name = f"file {part + 1} of the {what}"
        deadline = self._clock() + FILE_SECONDS
        for attempt in range(1, TRIES + 1):
            try:
                self._files.save(
                    self._link(run_id, part, name), target, what=name, deadline=deadline
                )
            except Fault as fault:
                self._wait_after(fault, attempt, name=name, deadline=deadline)
            else:
                return

    def close(self) -> None:
        """Close the connections."""
        self._session.close()
        self._files.close()

    # --- PostHog itself ----------------------------------------------------------------------

    def _ask(
        self, method: str, path: str, what: str, *, ok: set[int], body: bytes | None = None
    ) -> _Reply | None:
        """Return an answer of an expected status, or None where too many are under way."""
        deadline = self._clock() + ASK_SECONDS
        for attempt in range(1, TRIES + 1):
            try:
                reply = self._exchange(method, path, body, deadline)
                if reply.status in ok:
                    return reply
                if _code(reply) == _OCCUPIED:
                    return None
                self._refuse(reply, what)
            except Fault as fault:
                self._wait_after(fault, attempt, name=what, deadline=deadline)
        raise AssertionError("unreachable: the last fault is raised")  # pragma: no cover

    def _exchange(self, method: str, path: str, body: bytes | None, deadline: float) -> _Reply:
        self._pace()
        self._usage.requests += 1
        host, project = self._settings.host, self._settings.project_id
        url = f"{host}/api/projects/{project}/file_download_batch_exports/{path}"
        seconds = max(min(_READ_SECONDS, deadline - self._clock()), 1.0)
        try:
            with (
                ending_after(seconds),
                self._session.request(
                    method,
                    url,
                    data=body,
                    timeout=(_CONNECT_SECONDS, seconds),
                    allow_redirects=False,
                    stream=True,
                ) as response,
            ):
                content = self._content(response)
                return _Reply(status=response.status_code, headers=response.headers, body=content)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            # in no case as a cause: its text may print the key
            kind = type(error).__name__
            if is_distrusted(error):
                raise PostHogDenied(
                    f"The certificate of {host} is not trusted. Check posthog.host, and that no "
                    "proxy stands in between."
                ) from None
            if isinstance(
                error, (requests.exceptions.InvalidHeader, requests.exceptions.InvalidURL)
            ):
                raise PostHogDenied(
                    f"{host} cannot be asked ({kind}). Check posthog.host."
                ) from None
            raise Fault(f"the connection failed ({kind})") from None

    def _content(self, response: requests.Response) -> bytes:
        content = bytearray()
        while chunk := response.raw.read1(_CHUNK, decode_content=True):
            content += chunk
            if len(content) > _BODY_LIMIT:
                raise Fault("an answer that is too long")
        self._usage.bytes_received += len(content)
        return bytes(content)

    def _refuse(self, reply: _Reply, what: str) -> NoReturn:
        """Raise what a status that was not expected means."""
        detail = self._harmless(str(_fields(reply, or_nothing=True).get("detail") or ""))
        said = f" (PostHog says: {detail})" if detail else ""
        status = reply.status
        if status == requests.codes.too_many_requests:
            wait = _retry_after(reply.headers)
            if wait is not None and wait > LONGEST_WAIT:
                raise PostHogBusy(
                    f"PostHog's limit of requests is used up; it takes {wait:.0f} seconds until "
                    f"the next one{said}. What was fetched is kept: run it again then."
                )
            raise Fault(f"limits of requests{said}", wait=wait)
        if status >= requests.codes.server_error or status in _PASSING:
            raise Fault(f"status {status}{said}")
        sentence = _DENIED.get(status, f"PostHog answered with status {status}")
        raise PostHogDenied(f"Asking PostHog for {what} failed: {sentence}{said}.")

    def _pace(self) -> None:
        """Wait until another request keeps to PostHog's limits."""
        now = self._clock()
        due = [
            self._starts[-count] + seconds
            for count, seconds in LIMITS
            if len(self._starts) >= count
        ]
        wait = max(due, default=now) - now
        if wait > 0:
            self._sleep(wait)
        self._starts.append(self._clock())

    def _link(self, run_id: str, part: int, what: str) -> str:
        reply = self._ask("GET", f"{run_id}/download/{part}/", what, ok={302, 400, 404})
        if reply is None:
            raise Fault("limits of requests")
        if reply.status != requests.codes.found:
            raise ExportGone(f"PostHog no longer has {what}.")
        return checked_link(reply.headers.get("Location", ""), self._settings)

    def _wait_after(self, fault: Fault, attempt: int, *, name: str, deadline: float) -> None:
        """Wait before the next try, or raise where there is none."""
        self._usage.errors += 1
        backoff = self._jitter.uniform(0, min(_LONGEST_BACKOFF, 2.0**attempt))
        wait = fault.wait if fault.wait is not None else max(_SHORTEST_BACKOFF, backoff)
        if attempt == TRIES or self._clock() + wait > deadline:
            tries = "once" if attempt == 1 else f"{attempt} times"
            raise PostHogBusy(
                f"Asking PostHog for {name} failed {tries}, at last because of "
                f"{fault.words}. What was fetched is kept: run it again later."
            ) from None
        self._usage.retries += 1
        self._sleep(wait)

    def _harmless(self, detail: str) -> str:
        """Return the first line of PostHog's words, short, without the key and e-mails."""
        line = (detail.strip().splitlines() or [""])[0]
        line = line.replace(self._settings.api_key.get_secret_value(), "***")
        return _EMAIL.sub("***", line)[:200].rstrip(". ")


def _fields(reply: _Reply, *, or_nothing: bool = False) -> dict[str, Any]:
    """Return the fields of a JSON body."""
    try:
        fields = json.loads(reply.body)
    except (ValueError, RecursionError):
        fields = None
    if isinstance(fields, dict):
        return fields
    if or_nothing:
        return {}
    raise PostHogError("PostHog's answer about an export is not JSON as its API gives.")


def _code(reply: _Reply) -> str:
    return str(_fields(reply, or_nothing=True).get("code") or "")


def _retry_after(headers: Mapping[str, str]) -> float | None:
    seconds = whole_number(headers.get("Retry-After"))
    return None if seconds is None else max(float(seconds), _SHORTEST_BACKOFF)


def _iso(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"
