from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.errors import DataError
from core.frames import WINDOW_COUNTS
from core.publish.columnar import window_counts_parquet
from tests.publish import examples

TEXTS = ["campaign_id", "person_id", "metric"]


def _written(tmp_path, frame, metrics=examples.METRICS):
    path = tmp_path / "window_counts.parquet"
    window_counts_parquet(path, frame, metrics=metrics)
    return path


def _expected(frame):
    place = {name: at for at, name in enumerate(examples.METRICS)}
    keyed = frame.assign(place=frame["metric"].map(place))
    ordered = keyed.sort_values(["campaign_id", "place", "person_id"])
    return ordered[WINDOW_COUNTS.names].reset_index(drop=True)


def test_window_counts_parquet_holds_every_row_in_order(tmp_path):
    frame = examples.window_counts()
    back = pq.read_table(_written(tmp_path, frame)).to_pandas()
    back[TEXTS] = back[TEXTS].astype("str")
    pd.testing.assert_frame_equal(back, _expected(frame))


def test_window_counts_parquet_has_the_declared_types(tmp_path):
    path = _written(tmp_path, examples.window_counts())
    schema = pq.read_schema(path)
    assert schema.names == WINDOW_COUNTS.names
    for name in TEXTS:
        assert pa.types.is_dictionary(schema.field(name).type)
        assert schema.field(name).type.value_type == pa.string()
    assert schema.field("delivered_at").type == pa.timestamp("ms", tz="UTC")
    assert schema.field("n_post").type == pa.int64()
    assert schema.field("baseline_days").type == pa.float64()
    codec = pq.ParquetFile(path).metadata.row_group(0).column(0).compression
    assert codec == "ZSTD"


def test_window_counts_parquet_same_bytes_for_categories_and_any_row_order(tmp_path):
    frame = examples.window_counts()
    plain = _written(tmp_path, frame).read_bytes()
    spare = pd.Index([*sorted(set(frame["person_id"]), reverse=True), "never used"], dtype="str")
    coded = frame.assign(
        person_id=pd.Categorical(frame["person_id"], categories=spare),
        campaign_id=frame["campaign_id"].astype("category"),
        metric=pd.Categorical(frame["metric"], categories=examples.METRICS),
    )
    assert _written(tmp_path, coded).read_bytes() == plain
    assert _written(tmp_path, _expected(frame)).read_bytes() == plain
    shuffled = frame.sample(frac=1, random_state=9).reset_index(drop=True)
    assert _written(tmp_path, shuffled).read_bytes() == plain


def test_window_counts_parquet_empty_keeps_its_types(tmp_path):
    back = pq.read_table(_written(tmp_path, WINDOW_COUNTS.empty()))
    assert back.num_rows == 0
    assert back.schema.names == WINDOW_COUNTS.names


def test_window_counts_parquet_keeps_text_as_it_came(tmp_path):
    frame = examples.window_counts(len(examples.HOSTILE), n_campaigns=1)
    texts = dict(zip(sorted(set(frame["person_id"])), examples.HOSTILE, strict=True))
    frame["person_id"] = frame["person_id"].map(texts).astype("str")
    back = pq.read_table(_written(tmp_path, frame)).to_pandas()
    assert set(back["person_id"]) == set(examples.HOSTILE)


def test_window_counts_parquet_repeated_key_raises(tmp_path):
    frame = examples.window_counts()
    twice = pd.concat([frame, frame.head(1)], ignore_index=True)
    with pytest.raises(DataError, match="repeats a key"):
        _written(tmp_path, twice)


def test_window_counts_parquet_unknown_metric_raises(tmp_path):
    with pytest.raises(DataError, match="'wishlist_adds'"):
        _written(tmp_path, examples.window_counts(), metrics=examples.METRICS[:2])


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("n_post", np.float64),
        ("delivered_at", "datetime64[ns, UTC]"),
        ("person_id", object),
    ],
)
def test_window_counts_parquet_wrong_type_raises(tmp_path, column, values):
    frame = examples.window_counts().astype({column: values})
    with pytest.raises(DataError, match=column):
        _written(tmp_path, frame)


def test_window_counts_parquet_missing_text_raises(tmp_path):
    frame = examples.window_counts()
    codes = np.arange(len(frame)) % 3 - 1
    frame["person_id"] = pd.Categorical.from_codes(codes, categories=["a", "b"])
    with pytest.raises(DataError, match="person_id"):
        _written(tmp_path, frame)


def test_window_counts_parquet_missing_column_raises(tmp_path):
    with pytest.raises(DataError, match="lacks the column metric"):
        _written(tmp_path, examples.window_counts().drop(columns="metric"))
