"""Files of an export from where PostHog keeps them: no key, one host list, one size limit.

A link is as good as a key for a while: it stands in no message and in no cause of an error.
"""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import requests
import urllib3

from core.activity.source import Usage
from core.errors import ExportError, PostHogDenied
from core.sections import PostHog, is_loopback
from core.sources.https import ending_after, is_distrusted, private_session
from core.sources.room import ensure_room, out_of_room

MAX_SIZE_MB: Final = 256
"""Size of a file PostHog is asked for, about; a week has as many as it needs."""
FILE_LIMIT: Final = 4 * 1024**3
"""Bytes of one file at most, whatever was asked for."""
_CHUNK: Final = 1 << 18
_CONNECT_SECONDS, _READ_SECONDS = 10.0, 60.0


class Fault(Exception):  # noqa: N818 - never leaves the modules of this API
    """Something that asking again may mend."""

    def __init__(self, words: str, *, wait: float | None = None) -> None:
        """Say what, and how long to wait where that was asked for."""
        super().__init__(words)
        self.words = words
        self.wait = wait


class FileFetcher:
    """Fetches files behind links that were checked. For one thread."""

    def __init__(self, usage: Usage, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare; nothing is sent yet."""
        self._usage = usage
        self._clock = clock
        self._session = bare_session()

    def save(self, link: str, target: Path, *, what: str, deadline: float) -> None:
        """Write the file behind a link to a path that is not there yet, whole, or leave nothing.

        Args:
            link: As `checked_link` returned it.
            target: The path.
            what: Which file, in words.
            deadline: The clock's instant by which it must be there.

        Raises:
            Fault: It did not come whole; a new link may help.
            PostHogDenied: What answers is not a place of files.
            ExportError: It is too large, or there is no room.
        """
        seconds = max(deadline - self._clock(), 1.0)
        try:
            with (
                ending_after(seconds),
                self._session.get(
                    link,
                    timeout=(_CONNECT_SECONDS, _READ_SECONDS),
                    allow_redirects=False,
                    stream=True,
                ) as response,
            ):
                _check_head(response, what)
                self._write(response, target, what, deadline)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            target.unlink(missing_ok=True)
            kind = type(error).__name__  # its text, and a cause's, would print the link
            if is_distrusted(error):
                raise PostHogDenied(
                    f"The certificate of the host of {what} is not trusted."
                ) from None
            raise Fault(f"the connection failed ({kind})") from None
        except BaseException:
            target.unlink(missing_ok=True)
            raise

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _write(self, response: requests.Response, target: Path, what: str, deadline: float) -> None:
        length = whole_number(response.headers.get("Content-Length"))
        ensure_room(target.parent, length or 0, what=what)
        digest, size = hashlib.sha256(), 0
        with out_of_room(target.parent, what=what):
            file = target.open("xb")
        with file:
            # urllib3 raises where fewer bytes come than Content-Length says
            while chunk := response.raw.read1(_CHUNK, decode_content=False):
                size += len(chunk)
                if is_too_large(size):
                    raise _too_large(what)
                if self._clock() > deadline:
                    raise Fault("a file that took too long to arrive")
                digest.update(chunk)
                with out_of_room(target.parent, what=what):
                    file.write(chunk)
            with out_of_room(target.parent, what=what):
                file.flush()
        self._usage.bytes_received += size
        if not is_as_summed(digest.digest(), response.headers.get("x-amz-checksum-sha256")):
            raise Fault("a file that is not what its checksum says")


def checked_link(location: str, settings: PostHog) -> str:
    """Return a link to a file if it is one that may be asked.

    Args:
        location: As PostHog's redirect says it.
        settings: Their `download_hosts` are the ends of names files may come from; loopback is
            another, where PostHog itself is there.

    Raises:
        PostHogDenied: It is not https, or its host is not on the list.
    """
    try:
        parts = urlsplit(location)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise PostHogDenied("PostHog's redirect to a file is not an address.") from None
    if is_loopback(host) and is_loopback(urlsplit(settings.host).hostname or ""):
        return location
    known = any(host == end or host.endswith(f".{end}") for end in settings.download_hosts)
    if (
        parts.scheme != "https"
        or port not in {None, 443}
        or parts.username is not None
        or not known
    ):
        raise PostHogDenied(
            f"PostHog's redirect leads to {parts.scheme}://{host[:100]}, where no file may come "
            "from. If that is PostHog's own storage, add its name to posthog.download_hosts."
        )
    return location


def is_as_summed(digest: bytes, said: str | None) -> bool:
    """Say whether a SHA-256 is the one a header gives in base64, where it gives one."""
    return said is None or said == base64.b64encode(digest).decode()


def is_too_large(size: int) -> bool:
    """Say whether a file has more bytes than any that was ordered."""
    return size > FILE_LIMIT


def bare_session() -> requests.Session:
    """Return a session that knows no key, no proxy, no cookie, and asks for bytes as they are."""
    session = private_session()
    session.headers["Accept-Encoding"] = "identity"
    return session


def whole_number(text: str | None) -> int | None:
    """Return a header's number, or None where it is none."""
    return int(text) if text and re.fullmatch(r"[0-9]{1,18}", text.strip()) else None


def _check_head(response: requests.Response, what: str) -> None:
    status = response.status_code
    if requests.codes.multiple_choices <= status < requests.codes.bad_request:
        raise PostHogDenied(f"The link to {what} leads on to another place; it is not followed.")
    if status != requests.codes.ok:
        raise Fault(f"a link that is not valid (status {status})")
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise PostHogDenied(f"The link to {what} answers with another encoding than asked for.")
    length = whole_number(response.headers.get("Content-Length"))
    if length is not None and is_too_large(length):
        raise _too_large(what)


def _too_large(what: str) -> ExportError:
    return ExportError(
        f"PostHog offers {what} with more than {FILE_LIMIT // 1024**2:,} MB, although files of "
        f"{MAX_SIZE_MB} MB were ordered. It was not fetched."
    )
