"""Room on the disk: asked for before something large is written, and named when it ran out."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from core.errors import ExportError

RESERVE: Final = 256 * 1024**2
"""Bytes left free for everything else on the machine."""
_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def free_bytes(folder: Path) -> int:
    """Return how many bytes can be written where a folder is."""
    return shutil.disk_usage(folder).free


def ensure_room(folder: Path, size: int, *, what: str) -> None:
    """Check that some bytes can be written and a reserve is left.

    Raises:
        ExportError: There is too little room; nothing was written.
    """
    free = free_bytes(folder)
    if free < size + RESERVE:
        raise ExportError(
            f"There is too little room for {what}: {size / 1024**2:,.0f} MB and a reserve of "
            f"{RESERVE // 1024**2} MB are needed in {folder}, {free / 1024**2:,.0f} MB are free. "
            "Make room and run it again; what was fetched is kept."
        )


@contextmanager
def out_of_room(folder: Path, *, what: str) -> Iterator[None]:
    """Name what could not be written, where the disk is full or refuses.

    Raises:
        ExportError: Instead of the system's error.
    """
    try:
        yield
    except OSError as error:
        reason = "there is no room left" if error.errno in _FULL else str(error.strerror)
        raise ExportError(
            f"Writing {what} to {folder} failed: {reason}. Make room or fix the folder's "
            "permissions and run it again; what was fetched is kept."
        ) from error
