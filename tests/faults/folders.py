"""Where trials keep what they throw away: in memory where there is plenty, as disks are slow."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")  # noqa: S108 - only as the parent of private folders
_NEEDED = 1 << 30


def temporary(prefix: str) -> tempfile.TemporaryDirectory[str]:
    """Return a folder that is removed at its end."""
    has_room = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _NEEDED
    return tempfile.TemporaryDirectory(prefix=prefix, dir=_MEMORY if has_room else None)
