from __future__ import annotations

import pandas as pd
import pytest

from core.frames import CHECKS, LAYER_CONTRASTS
from core.publish import beside
from tests.publish import examples

NAN = float("nan")


def _both(plain=1.0):
    """Return pooled rows by the best evidence, and by plain before and after so many times it."""
    best = examples.layers(evidence="B", method="headline")
    classic = examples.layers()
    for name in ("", "_ci_low", "_ci_high"):
        classic[f"rel_effect_size{name}"] *= plain
    return pd.concat([best, classic], ignore_index=True)


@pytest.mark.parametrize(
    ("plain", "said"),
    [(1.5, ", 1.5 times as much."), (1.02, ", about the same."), (-1.0, ", the other way round.")],
)
def test_misled_says_both_numbers_and_how_far_apart(plain, said):
    text = beside.misled(_both(plain), "confirmed_trades")
    assert text.startswith("Plain before and after would have said ")
    assert "instead of +19.7 % [17.2, 22.2]" in text
    assert text.endswith(said)


def test_misled_without_both_numbers_is_nothing():
    assert beside.misled(examples.layers(), "confirmed_trades") == ""
    frame = _both()
    frame.loc[frame["method"] == "headline", "rel_effect_size"] = NAN
    assert beside.misled(frame, "confirmed_trades") == ""
    assert beside.misled(_both(), "offers") == ""


def test_difference_is_in_percentage_points():
    first, _, last = (row for _, row in examples.contrasts().iterrows())
    assert beside.difference(first) == "+5.6 pp [−2.0, 13.0]"
    assert beside.difference(last) == "— baseline too close to zero"


def test_contrasts_sentence_names_only_what_is_clear():
    frame = examples.contrasts()
    said = beside.contrasts_sentence(frame, "confirmed_trades")
    assert said == "Clearly apart: layer 1 less layer 3 −11.4 pp [−20.0, −3.0]."
    assert beside.contrasts_sentence(frame.iloc[:1], "confirmed_trades").startswith("No two layers")
    assert beside.contrasts_sentence(LAYER_CONTRASTS.empty(), "x").startswith("There are no two")


def test_checks_sentence_weighs_by_checks_and_counts_the_widened():
    assert beside.checks_sentence(examples.checks()) == (
        "Where nothing was sent, 8.0 % of 400 estimates were called an effect; 5.0 % would be "
        "right. 1 of 2 comparisons varied more than they should and were widened."
    )
    assert beside.checks_sentence(examples.checks().iloc[:1]).endswith("None had to be widened.")
    assert beside.checks_sentence(CHECKS.empty()).startswith("Nothing could be checked")
