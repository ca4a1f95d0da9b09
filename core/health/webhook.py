"""Telling a webhook what is wrong: one short text, as Slack's incoming webhooks take it.

The address is a secret: whoever has it can post. It stands in no message, log line or record.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import pandas as pd
import requests
import urllib3
from pydantic import SecretStr
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from core import logs, redaction
from core.health.frames import ALERTS
from core.sources.https import ending_after, private_session

TRIES = 3
SECONDS = 10.0
"""Seconds one try may take, its answer included."""
LONGEST_WAIT = 30.0
"""Seconds to wait at the receiver's request; one that asks for more is not told at all."""
MOST_ALERTS = 20
_LOG = logging.getLogger(__name__)
_FIRST_WAIT = 1.0
_TOO_MANY = 429
_SERVER_ERROR = 500
_LEAST_ERROR = 300
_SHORTEST_SECRET = 12
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
# Signs that would make text bold, struck through or code; an underscore stands in many an id.
_LOOKALIKES = str.maketrans({"*": "∗", "~": "∼", "`": "ˋ"})
_APART = "\N{ZERO WIDTH SPACE}"
# What clients turn into mentions and links by themselves: @name, scheme://, name.tld
_LIVE = re.compile(r"(?<=[@＠])|(?<=:)(?=//)|(?<=[^\W\d_])(?=\.[^\W\d_])", re.UNICODE)


class _Again(Exception):  # noqa: N818 - asking again may help
    def __init__(self, words: str, *, wait: float | None = None) -> None:
        super().__init__(words)
        self.wait = wait


class _Refused(Exception):  # noqa: N818 - asking again does not help
    pass


def text_of(alerts: pd.DataFrame, *, label: str) -> str:
    """Return alerts as one text, in which nothing from the data can mention, link or format.

    Args:
        alerts: ALERTS, at least one row.
        label: Which data it is about.
    """
    shown = ALERTS.checked(alerts).head(MOST_ALERTS)
    signs = {"act": "To do", "know": "To know"}
    lines = [f"Pushlift, {harmless(label)}:"]
    lines += [
        f"• {signs.get(str(row['severity']), 'To know')}: {harmless(str(row['words']))}"
        for row in shown.to_dict("records")
    ]
    if len(alerts) > len(shown):
        lines.append(
            f"• and {len(alerts) - len(shown):,} more; the page Data quality has them all."
        )
    return "\n".join(lines)


def harmless(text: str) -> str:
    """Return text for Slack's mrkdwn: escaped, one line, without mentions, links and formats."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    return _LIVE.sub(_APART, line).translate(_LOOKALIKES).translate(_ENTITIES)


def post(
    webhook: SecretStr, text: str, *, sleep: Callable[[float], None] = time.sleep
) -> str | None:
    """Send a text and return None, or a sentence on why it could not be sent.

    Faults of the connection, 429 and statuses from 500 on are tried three times, after what
    Retry-After says up to half a minute. Redirects are not followed.

    Args:
        webhook: The address, https or this machine's own.
        text: As of `text_of`.
        sleep: Waits some seconds.
    """
    address = webhook.get_secret_value()
    _hide(address)
    tries = Retrying(
        retry=retry_if_exception_type(_Again),
        stop=stop_after_attempt(TRIES),
        wait=_wait,
        sleep=sleep,
        reraise=True,
    )
    try:
        tries(_send, address, text)
    except (_Again, _Refused) as error:
        said = f"The webhook of alerts.webhook was not told: {error}."
        _LOG.warning("The webhook was not told: %s", str(error))
        return said
    logs.note(_LOG, "Webhook told", n_characters=len(text))
    return None


def _send(address: str, text: str) -> None:
    try:
        with ending_after(SECONDS), private_session() as session, session.post(
            address, json={"text": text}, timeout=SECONDS, allow_redirects=False, stream=True
        ) as response:  # fmt: skip
            status, said = response.status_code, response.headers.get("Retry-After")
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
        raise _Refused("its address cannot be asked") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        # What the exception says would repeat the address.
        raise _Again(f"the connection failed ({type(error).__name__})") from None
    if status == _TOO_MANY or status >= _SERVER_ERROR:
        wait = _seconds(said)
        if wait is not None and wait > LONGEST_WAIT:
            raise _Refused(f"it answered with status {status} and wants nothing for {wait:,.0f} s")
        raise _Again(f"it answered with status {status}", wait=wait)
    if status >= _LEAST_ERROR:
        raise _Refused(f"it answered with status {status}; check alerts.webhook")


def _wait(state: RetryCallState) -> float:
    """Return the seconds to the next try: what was asked for, else 1, 2."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, _Again) and error.wait is not None:
        return error.wait
    return _FIRST_WAIT * 2.0 ** (state.attempt_number - 1)


def _seconds(said: str | None) -> float | None:
    """Return what Retry-After says; a date, or anything else, counts as not said."""
    return float(said) if said and re.fullmatch(r"[0-9]{1,9}", said.strip()) else None


def _hide(address: str) -> None:
    """Have the log hide the parts of the address too: libraries log host and path apart."""
    parts = urlsplit(address)
    # A short part, such as "hook", is no secret and stands in many a word.
    secrets = [one for one in (*parts.path.split("/"), parts.query) if len(one) >= _SHORTEST_SECRET]
    redaction.hide([address, parts.path, f"{parts.path}?{parts.query}", *secrets])
