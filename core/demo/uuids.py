"""UUID texts in whole-array operations."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.demo.world import Ints

_DIGITS = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
_PAIRS = np.stack([_DIGITS[np.arange(256) >> 4], _DIGITS[np.arange(256) & 15]], axis=1)
_TWO_DIGITS = np.ascontiguousarray(_PAIRS).view(np.uint16).reshape(-1)
_GROUPS = ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))
_LENGTH = 36


def random_uuids(rng: np.random.Generator, n: int) -> pa.StringArray:
    """Return n random UUIDs (version 4) as text."""
    raw = rng.integers(0, 256, (n, 16), dtype=np.uint8)
    return _as_text(raw, version=4)


def ordered_uuids(hours_ms: Ints, counters: Ints, *, node: int) -> pa.StringArray:
    """Return UUIDs (version 7 layout) that sort by time and repeat most of their digits.

    The time field is cut to whole hours and the rest counts, since random digits do not compress:
    a million random UUIDs take 17 MB on disk, these take less than 1 MB.

    Args:
        hours_ms: Time fields in milliseconds, below 2**48.
        counters: Unique per node, below 2**40.
        node: Which chunk they belong to, below 2**20.
    """
    raw = np.zeros((len(hours_ms), 16), dtype=np.uint8)
    raw[:, 0:6] = _big_endian(hours_ms)[:, 2:]
    raw[:, 8:11] = np.frombuffer(node.to_bytes(3, "big"), dtype=np.uint8)
    raw[:, 11:16] = _big_endian(counters)[:, 3:]
    return _as_text(raw, version=7)


def _big_endian(numbers: Ints) -> npt.NDArray[np.uint8]:
    return numbers.astype(">u8").view(np.uint8).reshape(-1, 8)


def _as_text(raw: npt.NDArray[np.uint8], *, version: int) -> pa.StringArray:
    """Return 16-byte rows as UUID text, version and variant set (RFC 9562)."""
    raw[:, 6] = (raw[:, 6] & 0x0F) | (version << 4)
    raw[:, 8] = (raw[:, 8] & 0x3F) | 0x80
    text = np.full((len(raw), _LENGTH), ord("-"), dtype=np.uint8)
    digits = _TWO_DIGITS[raw].view(np.uint8)
    for dashes, (low, high) in enumerate(_GROUPS):
        text[:, low + dashes : high + dashes] = digits[:, low:high]
    offsets = np.arange(0, (len(raw) + 1) * _LENGTH, _LENGTH, dtype=np.int32)
    return pa.StringArray.from_buffers(len(raw), pa.py_buffer(offsets), pa.py_buffer(text))
