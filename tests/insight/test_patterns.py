"""The tables of patterns and correlations: families, what counts as found, what is missing."""

import numpy as np
import pandas as pd
import pytest

from core.insight.correlation import Correlation
from core.insight.frames import CORRELATIONS, PATTERN_GROUPS, PATTERNS
from core.insight.groups import Compared, Difference, Group
from core.insight.patterns import (
    FAMILY_OF_OTHERS,
    FAMILY_OF_PRIMARY,
    Answer,
    Pair,
    clear,
    correlations_table,
    groups_table,
    patterns_table,
    unanswered,
)
from core.measure.multiplicity import bh_qvalues
from core.measure.regression import Combination, Conditional


def combination(estimate, pvalue, *, half=0.1, in_sends=0.9):
    conditional = Conditional(
        standard_error=half / 4, ci_low=estimate - half / 2, ci_high=estimate + half / 2,
        pvalue=in_sends,
    )  # fmt: skip
    return Combination(
        estimate=estimate, standard_error=half / 2, ci_low=estimate - half,
        ci_high=estimate + half, statistic=estimate / (half / 2), df=9, pvalue=pvalue,
        conditional=conditional,
    )  # fmt: skip


def answer(metric, *tests, pattern="content"):
    differences = tuple(
        Difference(group=f"g{i}", other="all others", n_campaigns=3, n_other=4, test=test, base=0.1)
        for i, test in enumerate(tests)
    )
    group = Group(name="g0", position=2.0, n_campaigns=3, n_pushes=30, effect=tests[0])
    return Answer(
        pattern=pattern, layer="1", metric=metric, evidence="B",
        compared=Compared(groups=(group,), differences=differences),
    )  # fmt: skip


def table(*answers):
    return patterns_table(answers, primary="trades", confidence_level=0.95)


def test_patterns_table_corrects_within_the_primary_metric_and_the_others():
    clear, not_clear = combination(0.3, 0.001), combination(0.05, 0.3)
    found = table(answer("trades", clear, not_clear), answer("visits", clear, clear))
    primary = found[found["metric"] == "trades"]
    assert primary["qvalue"].to_numpy() == pytest.approx(bh_qvalues(np.array([0.001, 0.3])))
    assert set(primary["family"]) == {FAMILY_OF_PRIMARY}
    assert set(found.loc[found["metric"] == "visits", "family"]) == {FAMILY_OF_OTHERS}
    assert found["is_found"].tolist() == [True, False, True, True]


def test_patterns_table_finds_nothing_that_is_clear_only_by_itself():
    rest = [combination(0.01, 0.5)] * 9
    found = table(answer("trades", combination(0.3, 0.01), *rest))
    assert found["pvalue"].min() == 0.01
    assert not found["is_found"].any()


def test_patterns_table_asks_of_these_sends_within_the_same_questions():
    here, not_here = combination(0.3, 0.2, in_sends=0.004), combination(0.05, 0.3)
    found = table(answer("trades", here, not_here))
    assert not found["is_found"].any()
    assert found["is_found_in_sends"].tolist() == [True, False]
    expected = bh_qvalues(np.array([0.004, 0.9]))
    assert found["in_sends_qvalue"].to_numpy() == pytest.approx(expected)
    assert found["in_sends_ci_low"][0] == pytest.approx(np.exp(0.35) - np.exp(0.1))
    assert clear(found).index.tolist() == [0]


def test_clear_puts_what_holds_for_sends_like_these_first():
    here, there = combination(0.3, 0.2, in_sends=0.0001), combination(0.3, 0.001, in_sends=0.01)
    found = table(answer("trades", here, combination(0.05, 0.3), there))
    assert clear(found).index.tolist() == [2, 0]


def test_patterns_table_shows_differences_of_relative_effects():
    found = table(answer("trades", combination(0.3, 0.001)))
    row = found.iloc[0]
    assert row["difference"] == pytest.approx(np.exp(0.4) - np.exp(0.1))
    assert row["difference_ci_low"] == pytest.approx(np.exp(0.3) - np.exp(0.1))
    assert row["difference_ci_high"] == pytest.approx(np.exp(0.5) - np.exp(0.1))


def test_patterns_table_lists_what_could_not_be_looked_at():
    bare = Answer(
        pattern="weekday", layer="2", metric="trades", evidence="E",
        compared=unanswered(n_campaigns=1),
    )  # fmt: skip
    found = table(bare, answer("trades", combination(0.3, 0.04)))
    assert found["status"].tolist() == ["too_few_campaigns", "ok"]
    assert found["qvalue"].tolist()[1] == 0.04
    assert pd.isna(found["family"][0])
    assert pd.isna(found["difference"][0])
    assert not found["is_found"][0]


def test_groups_table_has_the_pooled_effect_of_each_kind():
    found = groups_table([answer("trades", combination(0.3, 0.001))], confidence_level=0.95)
    row = found.iloc[0]
    assert row["rel_effect_size"] == pytest.approx(np.expm1(0.3))
    assert (row["position"], row["n_campaigns"], row["n_pushes"]) == (2.0, 3, 30)
    nothing = groups_table([answer("trades", None)], confidence_level=0.95)
    assert nothing["status"].tolist() == ["too_few_campaigns"]


def pair(layer, metric, pvalue, *, low=0.1):
    told = Correlation(
        estimate=0.6, ci_low=low, ci_high=0.9, pvalue=pvalue, observed=0.4, n=12, status="ok"
    )
    return Pair(layer=layer, metric="trades", other_metric=metric, correlation=told)


def test_correlations_table_corrects_within_each_layer():
    pairs = [
        pair("1", "offers", 0.03), pair("1", "visits", 0.9, low=-0.5), pair("all", "offers", 0.03)
    ]  # fmt: skip
    found = correlations_table(pairs, confidence_level=0.95)
    assert found["qvalue"].tolist() == pytest.approx([0.06, 0.9, 0.03])
    assert found["is_found"].tolist() == [False, False, True]


def test_tables_of_nothing_are_empty_and_declared():
    for found, declared in (
        (table(), PATTERNS), (groups_table([], confidence_level=0.95), PATTERN_GROUPS),
        (correlations_table([], confidence_level=0.95), CORRELATIONS),
    ):  # fmt: skip
        assert len(found) == 0
        assert declared.checked(found) is not None
