"""Labels of sends."""

import numpy as np

from core.activity.timelines import MS_PER_DAY, MS_PER_HOUR
from core.insight.labels import NO_LABEL, of_bins, of_flags, of_hours, of_texts, of_weekdays

# 1 September 2026 is a Tuesday
TUESDAY = 20_697 * MS_PER_DAY


def test_of_texts_numbers_kinds_by_name():
    found = of_texts(["feature", None, "drop", "feature"])
    assert found.names == ("drop", "feature")
    assert found.codes.tolist() == [1, NO_LABEL, 0, 1]


def test_of_weekdays_is_the_local_day():
    instants = np.array([TUESDAY, TUESDAY + 2 * MS_PER_HOUR, TUESDAY])
    offsets = np.array([0, -4, 24]) * MS_PER_HOUR
    found = of_weekdays(instants, offsets)
    assert [found.names[code] for code in found.codes] == ["Tuesday", "Monday", "Wednesday"]
    assert found.positions == (1, 2, 3, 4, 5, 6, 7)


def test_of_hours_is_the_local_block():
    instants = TUESDAY + np.array([0, 6, 13, 23]) * MS_PER_HOUR
    found = of_hours(instants, np.zeros(4, dtype=np.int64))
    assert [found.names[code] for code in found.codes] == [
        "00:00 to 06:00", "06:00 to 12:00", "12:00 to 18:00", "18:00 to 24:00",
    ]  # fmt: skip
    assert of_hours(instants[:1], np.array([-4 * MS_PER_HOUR])).codes.tolist() == [3]


def test_of_bins_hold_their_lower_edge():
    found = of_bins(np.array([0.0, 1.99, 2.0, 50.0, -1.0, np.nan, np.inf]), (0, 2, 6), unit="h")
    assert found.names == ("0 to 2 h", "2 to 6 h", "6 h or more")
    assert found.codes.tolist() == [0, 0, 1, 2, NO_LABEL, NO_LABEL, NO_LABEL]


def test_of_flags_has_the_yes_first():
    found = of_flags(np.array([True, False]), yes="a", no="b")
    assert [found.names[code] for code in found.codes] == ["a", "b"]
