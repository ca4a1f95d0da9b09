"""What speaks for and against a number reads as what core found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core import diagnosis, robustness
from core.diagnosis import Trust
from core.measure.event_study import EventStudy, event_study
from core.measure.panel import Rules
from core.publish import figures_pages, formats, words
from core.publish.theme import ThemeName
from pages.parts import calibration, measured, method, robust_tables, tables, trust_tables
from pages.parts.choices import choices_of
from tests.pages.conftest import Expected
from tests.pages.test_tables import METRIC, judged


@pytest.fixture(scope="module")
def trust(expected: Expected) -> Trust:
    read = expected.read
    return diagnosis.trust(read.loaded, read.estimates, Rules(), "drop-08", METRIC)


@pytest.fixture(scope="module")
def study(expected: Expected) -> EventStudy:
    inside = expected.read.estimates.study
    return event_study(inside, inside.campaign_ids.index("drop-08"), 0)


def test_answers_say_the_numbers_and_what_follows(trust: Trust) -> None:
    said = {
        question: (answer, follows) for question, answer, follows in trust_tables.answers(trust)
    }
    assert {follows for _, follows in said.values()} <= set(trust_tables.ICONS)
    assert said["Do other pushes overlap it?"][0].startswith(formats.share(trust.overlap.share))
    power = said["What could this send have seen?"][0]
    assert formats.percent(trust.power.rel_effect) in power
    assert formats.count(trust.power.recipients_needed) in power


def test_answers_without_numbers_say_so(trust: Trust) -> None:
    nan = float("nan")
    bare = replace(
        trust,
        power=replace(trust.power, rel_effect=nan),
        baseline=replace(trust.baseline, slope=nan),
        placebos=trust.placebos.iloc[:0],
    )
    said = {question: answer for question, answer, _ in trust_tables.answers(bare)}
    assert said["What could this send have seen?"] == "it cannot be told"
    assert "cannot be told" in said["Was the time before steady?"]
    assert "no earlier date" in said["Does it find effects where nothing was sent?"]


def test_outlier_table_gives_no_interval_to_what_only_describes(trust: Trust) -> None:
    table = trust_tables.outlier_table(trust.outliers, 0.95)
    assert table["Lift"].tolist() == [view.rel_effect_size for view in trust.outliers]
    describes = table["95 % interval"].eq("none: it only describes").tolist()
    assert describes == [not view.is_verdict_safe for view in trust.outliers]


def test_individual_is_the_mean_of_percentages_and_says_it_only_describes(
    expected: Expected,
) -> None:
    own = measured.individual(expected.read, "drop-08", METRIC)
    panel = expected.read.estimates.study.panel
    rows = panel.segments[expected.read.estimates.study.campaign_ids.index("drop-08")]
    counts, active = panel.counts, panel.counts.n_aligned[rows, 0] > 0
    assert own.n_users == active.sum()
    days = counts.aligned_ms[rows][active] / counts.post_ms[rows][active]
    ratios = counts.n_post[rows, 0][active] * days / counts.n_aligned[rows, 0][active] - 1
    assert (own.mean, own.median) == pytest.approx((ratios.mean(), np.median(ratios)))
    assert trust_tables.individual_sentence(own).startswith("Description only")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_event_study_draws_every_day_that_is_observed(study: EventStudy, theme: ThemeName) -> None:
    frame = study.frame()
    figure = figures_pages.event_study(frame, theme=theme, title="x")
    known = frame["effect_size"].notna()
    assert figure.data[1].y.tolist() == frame.loc[known, "effect_size"].tolist()
    assert len(figure.data[0].x) == 2 * known.sum()
    alt = figures_pages.event_study_alt(frame, title="x")
    assert alt.count("; ") == (known & (frame["day"] >= 0)).sum() - 1


def test_event_words_say_trend_and_days(study: EventStudy) -> None:
    said = trust_tables.trend_sentence(study)
    assert formats.pvalue(study.pre_trend.pvalue) in said
    assert ("those held out" in said) == (study.source == "holdout")
    assert len(trust_tables.event_table(study)) == len(study.days)
    alone = replace(study, is_compared=False, status="no_comparison")
    assert "nobody to compare with" in trust_tables.trend_sentence(alone)
    blank = replace(study, effect_size=np.full(len(study.days), np.nan))
    assert trust_tables.event_takeaway(blank) == "No day after the push is wholly observed yet"


def test_robust_table_has_every_choice_and_marks_the_headline(expected: Expected) -> None:
    read = expected.read
    found = robustness.robustness(read.loaded, read.estimates, Rules(), "drop-08", METRIC)
    table = robust_tables.table(found, 0.95)
    assert len(table) == len(found)
    assert table["Remark"].eq("the headline").sum() == found["is_chosen"].sum() == 1
    turned = found.assign(flips=~found["is_chosen"])
    assert "do not lean on this number" in robust_tables.takeaway(turned)
    assert "✗ the sign turns" in set(robust_tables.table(turned, 0.95)["Remark"])
    assert "no number" in robust_tables.takeaway(found.assign(is_chosen=False))


def test_quality_table_is_one_row_a_campaign_in_their_order(expected: Expected) -> None:
    rows = judged(expected)
    found = diagnosis.trust_table(expected.loaded, expected.read.estimates, Rules())
    table = trust_tables.quality_table(found, rows, METRIC)
    assert table["Campaign"].tolist() == rows["label"].tolist()
    own = found[found["metric"] == METRIC].set_index("campaign_id").loc[rows["campaign_id"]]
    assert table["Also pushed within 48 h"].tolist() == own["overlap_share"].tolist()
    said = trust_tables.quality_sentence(found, rows, METRIC)
    assert said.startswith(f"{own['grade'].eq('green').sum()} of {len(rows)} campaigns")


def test_calibration_is_read_from_its_file_and_only_from_it(tmp_path: Path) -> None:
    path = tmp_path / "calibration.csv"
    assert calibration.calibration(path) is None
    path.write_text("world,method\nquiet,classic\n")
    assert calibration.calibration(path) is None
    path.write_text(
        "world,method,effect,replications,false_positive_rate,false_positive_se,coverage,"
        "coverage_se,not_identified\n"
        "layer_3_trigger,classic,0,400,0.998,0.002,,,0\n"
        "layer_3_trigger,comparison,0.2,400,,,0.965,0.009,0.01\n"
    )
    found = calibration.calibration(path)
    assert found is not None
    table = calibration.calibration_table(found)
    assert table["Called an effect"].tolist() == ["99.8 ± 0.2 %", "—"]
    assert table["Intervals that hold the truth"].tolist() == ["—", "96.5 ± 0.9 %"]
    assert table["World"].tolist() == ["layer 3 trigger"] * 2


def test_worked_example_says_its_own_numbers_and_plain_before_and_after(
    expected: Expected,
) -> None:
    row = tables.example(judged(expected))
    assert row is not None
    before = tables.plain_row(expected.results.lifts, row)
    said = method.worked(row, before, Rules())
    shown = said.replace("\\", "")
    assert words.effect(expected.lift(row["campaign_id"], METRIC)) in shown
    assert words.effect(expected.lift(row["campaign_id"], METRIC, "classic")) in shown
    assert f"grade {row['evidence']}" in shown


def test_method_texts_hold_the_settings_in_force(expected: Expected) -> None:
    settings = expected.loaded.wiring.settings
    said = method.steps(settings, choices_of({"confidence": 0.9, "min": 77}, settings))
    assert "A 90 % interval" in said
    assert "below 77 measured users" in said
    assert method.grades()["Grade"].tolist() == list("ABCDE")
    assert isinstance(method.grades(), pd.DataFrame)
