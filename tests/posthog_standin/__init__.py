"""A stand-in for PostHog's query API: a real HTTP server that runs HogQL on a real ClickHouse.

`PostHogStandIn` starts it as its own process over a batch export and speaks to its side door:

    with PostHogStandIn(events="exports/events/*.parquet") as posthog:
        posthog.script([{"status": 429, "headers": {"Retry-After": "1"}}])
        ...  # point the client at posthog.url, posthog.project_id, posthog.api_key
        asked = posthog.requests()

What it does not cover, and refuses: asynchronous queries, `{filters}`, cohorts, sessions,
SAMPLE, casts by `::`, `person_distinct_ids.person.*`, the network and billing side of PostHog.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final
from urllib.parse import urlsplit

from .access import API_KEY, KEY_OF_OTHER_PROJECT, KEY_WITHOUT_SCOPE, SECRET_KEY

_ROOT: Final = Path(__file__).resolve().parents[2]
_MEMORY: Final = Path("/dev/shm")  # noqa: S108  (only as the parent of a private directory)
_MEMORY_NEEDED: Final = 4 << 30

__all__ = ["PostHogStandIn", "Reply"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer of the stand-in: status, headers (names in lower case), body."""

    status: int
    headers: Mapping[str, str]
    text: bytes

    @property
    def body(self) -> Any:
        """The body, parsed."""
        return json.loads(self.text)


class PostHogStandIn:
    """The stand-in's process, from `with` to its end.

    Attributes:
        url: address without a path, as `posthog.host` takes it.
        project_id: the project's id.
        api_key: a key that may read the project; the others may not, each for its own reason.
    """

    api_key: Final = API_KEY
    secret_key: Final = SECRET_KEY
    key_without_scope: Final = KEY_WITHOUT_SCOPE
    key_of_other_project: Final = KEY_OF_OTHER_PROJECT

    def __init__(
        self,
        *,
        events: str | Path,
        persons: str | Path | None = None,
        timezone: str = "UTC",
        project_id: int = 1,
        property_types: Mapping[str, str] | None = None,
        limits: Mapping[str, Any] | None = None,
    ) -> None:
        """Describe the stand-in.

        Args:
            events: glob of the events' Parquet files.
            persons: glob of the persons' Parquet files.
            timezone: the project's zone.
            project_id: the project's id.
            property_types: property -> Numeric, Boolean or DateTime, as definitions would have it.
            limits: fields of `limits.Limits` that differ from PostHog's.
        """
        self.project_id = project_id
        self.url = ""
        self._arguments = _arguments(
            {"events": events, "persons": persons, "timezone": timezone, "project-id": project_id},
            property_types or {},
            limits or {},
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._directory: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> PostHogStandIn:
        self._directory = tempfile.TemporaryDirectory(
            prefix="posthog-standin-", dir=_scratch(), ignore_cleanup_errors=True
        )
        try:
            self._start(Path(self._directory.name))
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _start(self, directory: Path) -> None:
        log = directory / "stderr.txt"
        command = [sys.executable, "-m", __name__, *self._arguments]
        command += ["--data-dir", str(directory), "--until-stdin-closes"]
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                command,
                cwd=_ROOT,
                env={**os.environ, "TZ": "UTC", "PYTHONDONTWRITEBYTECODE": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            raise RuntimeError(f"the stand-in did not start: {self.log()[-2000:]}")
        self.url = json.loads(line)["url"]

    def close(self) -> None:
        """End the process, wait for its end, and remove its data."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = None

    def log(self) -> str:
        """Return what the process wrote to its standard error: a traceback, if it broke."""
        assert self._directory is not None
        return (Path(self._directory.name) / "stderr.txt").read_text()

    # --- the side door -----------------------------------------------------------------------

    def requests(self) -> list[dict[str, Any]]:
        """Return every request since the start or the last reset; fields as in `ledger.Entry`."""
        asked: list[dict[str, Any]] = self._control("GET", "requests")["requests"]
        return asked

    def script(self, faults: Sequence[Mapping[str, Any]]) -> None:
        """Queue faults for the next queries; keys as in `faults.Fault`."""
        self._control("POST", "faults", {"faults": list(faults)})

    def script_exports(self, *scripts: Mapping[str, Any], most: int | None = None) -> None:
        """Queue how the next exports go (keys as in `downloads.Script`), or how many may run."""
        given: dict[str, Any] = {"scripts": list(scripts)}
        self._control("POST", "exports", given if most is None else {**given, "most": most})

    def orders(self) -> list[dict[str, Any]]:
        """Return the exports that were ordered, as they were."""
        ordered: list[dict[str, Any]] = self._control("POST", "exports", {})["orders"]
        return ordered

    def reset(self) -> None:
        """Forget requests, faults, cached answers, counters and changed limits; merges stay."""
        self._control("POST", "reset", {})

    def merge(self, distinct_id: str, person_id: str) -> None:
        """Move a distinct id to another person, as a merge does while queries go on."""
        self._control("POST", "merge", {"distinct_id": distinct_id, "person_id": person_id})

    def set_limits(self, **limits: Any) -> None:
        """Replace limits until the next reset; names as in `limits.Limits`."""
        self._control("POST", "limits", limits)

    def _control(self, method: str, action: str, body: Any = None) -> dict[str, Any]:
        text = None if body is None else json.dumps(body).encode()
        reply = self.send(method, f"/__control__/{action}", text)
        if reply.status != 200:
            raise RuntimeError(f"{action}: {reply.text.decode()}")
        answer: dict[str, Any] = reply.body
        return answer

    # --- plain requests, for tests of the stand-in itself --------------------------------------

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send a request on a connection of its own."""
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Reply(status=response.status, headers=names, text=response.read())
        finally:
            connection.close()

    def query(
        self,
        text: str,
        values: Mapping[str, Any] | None = None,
        *,
        modifiers: Mapping[str, Any] | None = None,
        refresh: str = "force_blocking",
    ) -> Reply:
        """Send a HogQL query with the good key."""
        query: dict[str, Any] = {"kind": "HogQLQuery", "query": text}
        if values is not None:
            query["values"] = dict(values)
        if modifiers is not None:
            query["modifiers"] = dict(modifiers)
        return self.post({"query": query, "refresh": refresh})

    def post(self, body: Any, *, key: str | None = API_KEY, project: Any = None) -> Reply:
        """Send any body to the query endpoint."""
        project = self.project_id if project is None else project
        headers = {"Content-Type": "application/json"}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.send("POST", f"/api/projects/{project}/query/", text, headers)


def _scratch() -> Path | None:
    """Return memory for the tables where there is plenty: a busy disk triples the loading time."""
    if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _MEMORY_NEEDED:
        return _MEMORY
    return None


def _arguments(
    plain: Mapping[str, Any], property_types: Mapping[str, str], limits: Mapping[str, Any]
) -> list[str]:
    arguments = []
    for name, value in plain.items():
        if value is not None:
            arguments += [f"--{name}", str(value)]
    for name, kind in property_types.items():
        arguments += ["--property-type", f"{name}={kind}"]
    for name, value in limits.items():
        flag = "--" + name.replace("_", "-")
        if name.endswith("rates"):
            arguments += [flag, *(f"{most}/{span}" for most, span in value)]
        else:
            arguments += [flag, str(value)]
    return arguments
