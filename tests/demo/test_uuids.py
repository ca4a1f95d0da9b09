from __future__ import annotations

from uuid import UUID

import numpy as np

from core.demo.uuids import ordered_uuids, random_uuids


def test_random_uuids_are_valid_version_4_and_distinct() -> None:
    texts = random_uuids(np.random.default_rng(1), 500).to_pylist()
    assert len(set(texts)) == 500
    assert all(str(UUID(text)) == text and UUID(text).version == 4 for text in texts)
    assert {UUID(text).variant for text in texts} == {"specified in RFC 4122"}


def test_ordered_uuids_are_valid_and_sort_by_time_then_counter() -> None:
    hours = np.array([1_788_235_200_000, 1_788_235_200_000, 1_788_238_800_000])
    texts = ordered_uuids(hours, np.array([0, 300, 1]), node=5).to_pylist()
    assert texts == sorted(texts)
    assert all(UUID(text).version == 7 for text in texts)
    assert UUID(texts[2]).int >> 80 == 1_788_238_800_000


def test_ordered_uuids_differ_between_nodes() -> None:
    hour, counter = np.array([1_788_235_200_000]), np.array([9])
    texts = {ordered_uuids(hour, counter, node=node)[0].as_py() for node in range(300)}
    assert len(texts) == 300
