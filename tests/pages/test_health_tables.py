"""Health as rows."""

from __future__ import annotations

import pandas as pd

from core.health.frames import RUN_CHANGES
from core.publish import formats
from pages.parts import health_tables as tables
from tests.publish import found
from tests.publish.examples import HOSTILE

NAN = float("nan")


def changes() -> pd.DataFrame:
    """Return how two runs differ: a layer's number, a campaign's verdict, new, gone, same."""
    base = {"status": "ok", "status_before": "ok", "verdict": "works", "verdict_before": "works"}
    numbers = {
        "rel_effect_size": 0.12, "rel_effect_size_ci_low": 0.04, "rel_effect_size_ci_high": 0.2,
        "rel_effect_size_before": 0.02, "rel_effect_size_before_ci_low": -0.04,
        "rel_effect_size_before_ci_high": 0.08, "difference": 0.1,
    }  # fmt: skip
    earlier = {name: value for name, value in numbers.items() if "before" in name}
    rows = [
        {"level": "layer", "of": "all", "name": "all", "change": "effect", **base, **numbers,
         "verdict": None, "verdict_before": None},
        {"level": "campaign", "of": "a", "name": "Drop A", "change": "status", **base, **numbers,
         "verdict_before": "no clear effect", "is_outside": True},
        {"level": "campaign", "of": "b", "name": "Drop B", "change": "gone", **base, **earlier,
         "status": None, "verdict": None},
        {"level": "campaign", "of": "c", "name": "Drop C", "change": "same", **base, **numbers},
    ]  # fmt: skip
    frame = found.made(RUN_CHANGES, rows)
    texts = ["status", "status_before", "verdict", "verdict_before"]
    return frame.assign(**{
        name: pd.array([row[name] for row in rows], dtype="str") for name in texts
    })  # fmt: skip


def test_run_table_begins_with_the_newest_and_says_why_one_failed() -> None:
    runs = found.runs()
    table = tables.run_table(runs, found.ZONE)
    assert table["Started"].is_monotonic_decreasing
    failed = table[table["Result"] != "done"]
    assert failed["Result"].tolist() == ["failed: PostHog could not be reached"]
    assert failed["Interval"].tolist() == ["— failed"]
    assert failed["Sends"].tolist() == [formats.MISSING]
    first = table.iloc[0]
    newest = runs.sort_values("started_at").iloc[-1]
    assert first["Lift"] == newest["primary_rel_effect_size"]
    assert (first["Received"], first["Memory"]) == ("12.4 MB", "512 MB")
    assert first["Sends"] == "2026-09-24 to 2026-11-23"


def test_run_table_without_what_a_system_does_not_tell() -> None:
    table = tables.run_table(found.runs(3).assign(peak_mb=NAN, quality=NAN), found.ZONE)
    assert set(table["Memory"]) == {formats.MISSING}
    assert table["Quality"].isna().all()


def test_run_names_tell_runs_apart() -> None:
    names = tables.run_names(found.runs(), found.ZONE)
    assert next(iter(names)) == "r023"
    assert len(set(names.values())) == 24
    assert names["r009"].endswith("watch, failed")


def test_change_table_leaves_out_what_is_the_same() -> None:
    table = tables.change_table(changes())
    assert table["Of"].tolist() == ["All layers", "Drop A", "Drop B"]
    assert table["Verdict"].tolist() == ["ok", "works", "— not in it"]
    assert table["Verdict before"].tolist() == ["ok", "no clear effect", "works"]
    assert table["Interval"].tolist() == ["[4.0, 20.0]", "[4.0, 20.0]", formats.MISSING]
    assert table["Remark"].tolist() == ["", "outside the earlier interval", ""]


def test_change_sentence_counts_campaigns() -> None:
    assert tables.change_sentence(changes()) == (
        "Of 3 campaigns: 1 gone, 1 with another verdict or status, 1 the same; "
        "1 now outside the earlier interval"
    )
    assert tables.change_sentence(changes().iloc[:0]) == "Of 0 campaigns: nothing to compare"


def test_alert_table_says_what_is_to_be_acted_on_first() -> None:
    age = {"kind": "data_age", "about": "all", "severity": "act", "value": 50.04, "threshold": 36.0,
           "words": "The newest event is 50 h old."}  # fmt: skip
    rows = pd.concat([found.alerts().iloc[::-1], pd.DataFrame([age])], ignore_index=True)
    table = tables.alert_table(rows)
    assert table["How"].tolist() == ["to act on", "to act on", "to know"]
    assert table["Measured"].tolist() == ["93.0 %", "50.0 h", formats.MISSING]
    assert table["Held against"].tolist() == ["95.0 %", "36.0 h", formats.MISSING]
    assert table["What"].tolist() == ["Quality", "Age of the data", "Window closed"]


def test_texts_from_outside_hold_no_control_characters() -> None:
    for text in [one for one in HOSTILE if any(ord(char) < 32 for char in one)]:
        alerts = tables.alert_table(found.alerts(text))
        runs = tables.run_table(found.runs(11, error=text), found.ZONE)
        said = " ".join([*alerts["About"], *alerts["In words"], *runs["Result"]])
        assert all(ord(char) >= 32 for char in said)


def test_tables_of_nothing_have_no_rows() -> None:
    assert tables.run_table(found.runs().iloc[:0], found.ZONE).empty
    assert tables.alert_table(found.alerts().iloc[:0]).empty
    assert tables.change_table(changes().iloc[:0]).empty
