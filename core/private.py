"""Personal identifiers in files: keyed hashes, so that nobody without the key can reverse them.

A bare hash of an e-mail is no protection: whoever has a list of addresses hashes them all and
compares. An HMAC (RFC 2104) with a secret key prevents that, and joins stay possible, since the
same person has the same hash in every file made with the same key.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
from pathlib import Path
from typing import Literal

import pandas as pd

from core.errors import PushliftError
from core.settings import Settings

HASH_PREFIX = "h_"
KEY_FILE = "export.key"
Mode = Literal["plain", "hashed"]
_KEY_BYTES = 32
_DIGITS = 32
# An address, also percent-encoded, in full-width or small signs.
_EMAIL = re.compile(r"[@＠﹫]|%40", re.IGNORECASE)


def shareable(frame: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Return a table whose person ids may leave: no e-mail among them, or none as it was.

    Args:
        frame: Rows with a column person_id, such as frames.WINDOW_COUNTS.
        settings: Their export section says whether every id is hashed, and with what.

    Raises:
        PushliftError: A key is needed, and its file cannot be made or read.
    """
    mode, ids = settings.export.person_ids, frame["person_id"].astype("category")
    if mode == "plain" and not any(map(holds_email, ids.cat.categories)):
        return frame
    return frame.assign(person_id=exported_ids(ids, export_key(settings), mode=mode))


def exported_ids(ids: pd.Series, key: bytes, *, mode: Mode = "plain") -> pd.Series:
    """Return person ids as files may hold them, in the same order, equal where they were equal.

    Args:
        ids: Person ids, text or categories of text; none missing.
        key: What they are hashed with.
        mode: "plain" hashes only those that hold an e-mail, "hashed" every one.
    """
    as_categories = ids.astype("category")
    # each id once, however many rows it has; hashing knows no whole arrays
    names = [_exported(str(name), key, mode) for name in as_categories.cat.categories]
    return as_categories.cat.rename_categories(names)


def holds_email(text: str) -> bool:
    """Say whether text may hold an e-mail address."""
    return _EMAIL.search(text) is not None


def hashed(text: str, key: bytes) -> str:
    """Return the keyed hash of an id: "h_" and 32 hexadecimal digits of HMAC-SHA256."""
    digest = hmac.digest(key, text.encode("utf-8", "surrogatepass"), "sha256")
    return f"{HASH_PREFIX}{digest.hex()[:_DIGITS]}"


def export_key(settings: Settings) -> bytes:
    """Return the key ids are hashed with: the settings', else the cache folder's own.

    The latter is random and made once; only its owner may read it.

    Raises:
        PushliftError: The key's file cannot be made or read, or is not whole.
    """
    given = settings.export.key
    if given is not None:
        return given.get_secret_value().encode()
    path = settings.cache.dir / KEY_FILE
    try:
        return _kept_key(path)
    except OSError as error:
        raise PushliftError(
            f"The key for hashing ids, {path}, cannot be made or read ({error.strerror}). Let the "
            "cache folder be written to, or set [export] key."
        ) from error


def _exported(name: str, key: bytes, mode: Mode) -> str:
    return hashed(name, key) if mode == "hashed" or holds_email(name) else name


def _kept_key(path: Path) -> bytes:
    if not path.exists():
        _make_key(path)
    path.chmod(0o600)  # whatever a copy or a restored backup left
    key = path.read_bytes()
    if len(key) != _KEY_BYTES:
        raise PushliftError(
            f"The key for hashing ids, {path}, is damaged. Restore it from a copy; deleting it "
            "makes a new one, with which hashes no longer match those of older files."
        )
    return key


def _make_key(path: Path) -> None:
    """Write a random key so that it is there whole or not at all, and of several the first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return  # another process was first, and its key counts
    finally:
        draft.unlink(missing_ok=True)
