"""The window counts as Parquet: millions of rows, typed, ordered, without loops over them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from core.errors import DataError
from core.frames import WINDOW_COUNTS, Column, Table

_ROW_ORDER = ("campaign_id", "metric", "person_id")
_INSTANT = pa.timestamp("ms", tz="UTC")


class _Coded:
    """A text column as positions in a list of distinct texts, in the order rows shall have."""

    def __init__(self, codes: NDArray[np.int32], texts: list[str]) -> None:
        self.codes = codes
        self.texts = texts

    def ordered(self, order: Sequence[str] | None) -> _Coded:
        """Return it over the texts that occur, sorted, or in the order given."""
        used = np.bincount(self.codes, minlength=len(self.texts)) > 0
        present = [text for text, is_used in zip(self.texts, used, strict=True) if is_used]
        strange = set(present) - set(present if order is None else order)
        if strange:
            raise DataError(
                f"The window counts hold the metric {min(strange)!r}, which is not among those "
                "measured; give every metric in the order of the settings."
            )
        wanted = sorted(present) if order is None else [t for t in order if t in set(present)]
        place = {text: at for at, text in enumerate(wanted)}
        moves = np.array([place.get(text, -1) for text in self.texts], dtype=np.int32)
        return _Coded(moves[self.codes], wanted)


def window_counts_parquet(path: Path, frame: pd.DataFrame, *, metrics: Sequence[str]) -> None:
    """Write window_counts.parquet: zstd, text as dictionaries, instants in UTC milliseconds.

    Rows come by campaign id, then in the order of the metrics, then by person id.

    Args:
        path: The file.
        frame: One row per measured push and metric, as WINDOW_COUNTS; text columns may be
            categorical, which spares encoding them.
        metrics: The metrics in the order of the settings.

    Raises:
        DataError: The frame is not what is declared, repeats a key, or holds another metric.
    """
    coded = _coded(frame)
    coded = {n: c.ordered(metrics if n == "metric" else None) for n, c in coded.items()}
    order = _order([coded[name] for name in _ROW_ORDER])
    arrays = [_arrow(column, frame, coded, order=order) for column in WINDOW_COUNTS.columns]
    table = pa.table(arrays, names=WINDOW_COUNTS.names)
    # On 1.8 million rows dictionaries of numbers, and statistics of columns nobody looks rows up
    # by, took longer than the writing itself and saved nothing.
    pq.write_table(
        table,
        path,
        compression="zstd",
        compression_level=1,
        use_dictionary=[*coded],
        write_statistics=["campaign_id", "delivered_at"],
    )


def _coded(frame: pd.DataFrame) -> dict[str, _Coded]:
    """Return the text columns as codes, once every column is there and of its declared type."""
    kinds = {name: frame[name].dtype for name in WINDOW_COUNTS.names if name in frame}
    loose = {name for name, kind in kinds.items() if isinstance(kind, pd.CategoricalDtype)}
    rest = tuple(c for c in WINDOW_COUNTS.columns if c.name not in loose or c.kind != "text")
    Table(WINDOW_COUNTS.name, (), rest).checked(frame)
    texts = [column.name for column in WINDOW_COUNTS.columns if column.kind == "text"]
    return {name: _codes(frame[name], name=name) for name in texts}


def _codes(values: pd.Series, *, name: str) -> _Coded:
    if isinstance(values.dtype, pd.CategoricalDtype):
        codes = values.cat.codes.to_numpy().astype(np.int32)
        texts = values.cat.categories.tolist()
    else:
        encoded = pa.chunked_array(pa.array(values)).combine_chunks().dictionary_encode()
        codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int32)
        texts = encoded.dictionary.to_pylist()
    if (codes < 0).any() or not all(isinstance(text, str) for text in texts):
        raise DataError(f"window_counts.{name} holds what is not text, or is missing in places.")
    return _Coded(codes, texts)


def _order(keys: Sequence[_Coded]) -> NDArray[np.int64] | None:
    """Return the positions of the rows in key order; None where they are in it already."""
    key = np.zeros(len(keys[0].codes), dtype=np.int64)
    for part in keys:
        key = key * max(1, len(part.texts)) + part.codes
    if (key[1:] > key[:-1]).all():
        return None
    order = np.argsort(key)
    key = key[order]
    if (key[1:] == key[:-1]).any():
        raise DataError(f"The table window_counts repeats a key ({', '.join(WINDOW_COUNTS.key)}).")
    return order


def _arrow(
    column: Column,
    frame: pd.DataFrame,
    coded: dict[str, _Coded],
    *,
    order: NDArray[np.int64] | None,
) -> pa.Array:
    rows = slice(None) if order is None else order
    if column.kind == "text":
        held = coded[column.name]
        codes = pa.array(held.codes[rows])
        return pa.DictionaryArray.from_arrays(codes, pa.array(held.texts, type=pa.string()))
    if column.kind == "instant":
        instants = frame[column.name].dt.tz_convert(None).to_numpy()
        return pa.array(instants[rows], type=_INSTANT)
    return pa.array(frame[column.name].to_numpy()[rows])
