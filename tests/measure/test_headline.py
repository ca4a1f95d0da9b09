"""Which method a campaign is judged by."""

import itertools

import numpy as np
import pytest

from core.measure.contrasts import EVIDENCE, Contrast, missing
from core.measure.estimates import ORDER, WIDEN_FROM
from core.measure.headline import choose, evidence


def contrasts_of(known):
    one, none = np.ones(1), np.zeros((0, 1), dtype=np.float32)
    return {
        method: Contrast(
            method=method, post=one, expected=one, df=one, persons=np.empty(0, dtype=np.int64),
            psi_post=none, psi_expected=none, n_users=1, n_comparison=1,
        )
        if method in known
        else missing(method, "no_holdout", n_metrics=1)
        for method in ORDER
    }  # fmt: skip


SUBSETS = [some for n in range(7) for some in itertools.combinations(ORDER, n)]


@pytest.mark.parametrize("known", SUBSETS)
def test_choose_takes_the_best_evidence_that_is_there(known):
    grades = "ABCDE"
    method, is_identified = choose(contrasts_of(known), is_triggered=False)
    assert is_identified == bool(known)
    assert method == (known[0] if known else "classic")
    assert all(grades.index(EVIDENCE[method]) <= grades.index(EVIDENCE[k]) for k in known)


@pytest.mark.parametrize("known", SUBSETS)
def test_choose_never_judges_a_triggered_campaign_by_a_description(known):
    method, is_identified = choose(contrasts_of(known), is_triggered=True)
    worthy = [k for k in known if EVIDENCE[k] in "ABC"]
    assert is_identified == bool(worthy)
    assert method == (worthy[0] if worthy else "comparison")


def test_evidence_is_a_letter_lower_where_self_checks_widened():
    assert [evidence(method, 1.0) for method in ORDER] == ["A", "B", "C", "C", "D", "E"]
    assert [evidence(method, WIDEN_FROM) for method in ORDER] == ["A", "B", "C", "C", "D", "E"]
    assert [evidence(method, 1.21) for method in ORDER] == ["B", "C", "D", "D", "E", "E"]
