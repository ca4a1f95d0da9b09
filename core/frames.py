"""The declared tables: columns, types, units, keys and what a missing value means, once.

What enters core is checked against these and trusted afterwards. Instants are
``datetime64[ms, UTC]``; rates are events per user per day; relative effects are fractions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from core.errors import DataError

Kind = Literal["text", "instant", "integer", "number", "flag"]

INSTANT = "datetime64[ms, UTC]"
_DTYPES: dict[Kind, str] = {
    "text": "str",
    "instant": INSTANT,
    "integer": "int64",
    "number": "float64",
    "flag": "bool",
}
LAYERS = ("1", "2", "3", "unclassified")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its kind, what it holds (with unit), and what missing means ("" = never)."""

    name: str
    kind: Kind
    meaning: str
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """One declared table."""

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def names(self) -> list[str]:
        """Return the column names in their declared order."""
        return [column.name for column in self.columns]

    def empty(self) -> pd.DataFrame:
        """Return the table without rows, with declared types."""
        return pd.DataFrame({c.name: pd.Series(dtype=_DTYPES[c.kind]) for c in self.columns})

    def checked(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the frame's declared columns in order, once types, nulls and key hold.

        Raises:
            DataError: A column is missing, has another type, or holds what it must not.
        """
        absent = [name for name in self.names if name not in frame.columns]
        if absent:
            raise DataError(f"The table {self.name} lacks the column {', '.join(absent)}.")
        for column in self.columns:
            self._check_column(column, frame[column.name])
        if self.key and frame.duplicated(list(self.key)).any():
            raise DataError(f"The table {self.name} repeats a key ({', '.join(self.key)}).")
        return frame[self.names]

    def _check_column(self, column: Column, values: pd.Series) -> None:
        wanted = _DTYPES[column.kind]
        if str(values.dtype) != wanted:
            raise DataError(f"{self.name}.{column.name} has the type {values.dtype}, not {wanted}.")
        if not column.missing and values.isna().any():
            raise DataError(f"{self.name}.{column.name} holds missing values, which it must not.")


PUSHES = Table(
    "pushes",
    ("campaign_id", "user_id"),
    (
        Column("campaign_id", "text", "the send it belongs to"),
        Column("user_id", "text", "users.id of the recipient"),
        Column("delivered_at", "instant", "instant of delivery"),
        Column("trigger_at", "instant", "what set it off, layer 3", "not recorded"),
        Column("signed_up_at", "instant", "users.created_at", "not known: no cut of the baseline"),
        Column("distinct_id", "text", "users.posthog_distinct_id", "none recorded"),
        Column("email", "text", "trimmed and case-folded; never leaves memory", "none recorded"),
    ),
)
"""One row per delivered push: the first per campaign and user."""

CAMPAIGNS = Table(
    "campaigns",
    ("campaign_id",),
    (
        Column("campaign_id", "text", "campaign_id where set, else automation id : send date"),
        Column("automation_id", "text", "the automation behind it", "a one-off"),
        Column("name", "text", "automation's name, else the title"),
        Column("layer", "text", "1, 2, 3 or unclassified"),
        Column("content", "text", "drop, feature, hot_inventory or a trigger", "not said"),
        Column("first_delivered_at", "instant", "first delivery", "nothing was delivered"),
        Column("last_delivered_at", "instant", "last delivery", "nothing was delivered"),
        Column("n_sent", "integer", "rows that were sent: delivered, sent and failed"),
        Column("n_delivered", "integer", "delivered rows, duplicates included"),
        Column("n_failed", "integer", "failed rows"),
        Column("n_holdout", "integer", "users held out at random"),
        Column("n_duplicates", "integer", "delivered rows beyond the first per user"),
        Column("n_mapped", "integer", "recipients found in PostHog's identities"),
        Column("n_measured", "integer", "distinct persons measured"),
        Column("window_complete", "flag", "every measured post window has closed"),
        Column("qualifies", "flag", "n_measured reaches min_recipients"),
        Column("status", "text", "ok, incomplete, window_open, too_few_users, no_recipients"),
        Column("n_direct", "integer", "mapped by posthog_distinct_id"),
        Column("n_email", "integer", "mapped by e-mail"),
        Column("n_unmapped", "integer", "recipients not found"),
        Column("n_same_person", "integer", "recipients beyond the first user of one person"),
        Column("n_never_seen", "integer", "measured persons without any tracked event"),
        Column("n_other_status", "integer", "rows with a status that is not known"),
        Column("n_unresolved", "integer", "people, held out ones too, who could not be looked up"),
        Column("n_incomplete", "integer", "measured persons whose windows were not wholly read"),
        Column("window_closes_at", "instant", "when the last post window closes", "no delivery"),
        Column("title", "text", "the message as most recipients saw it", "none"),
        Column("body", "text", "the message as most recipients saw it", "none"),
        Column("n_sent_at_used", "integer", "recipients without delivered_at: sent_at stands in"),
        Column("n_early", "integer", "of the others, delivered before sent or before the trigger"),
        Column("n_before_sign_up", "integer", "of the others, delivered before their sign-up"),
        Column("n_no_sign_up", "integer", "recipients whose sign-up is not known"),
        Column("n_no_trigger", "integer", "recipients without trigger_at where layer 3 needs it"),
        Column("n_no_id", "integer", "recipients with neither distinct id nor e-mail"),
        Column("n_odd_id", "integer", "recipients whose identifier can be nobody's"),
        Column("n_shared_id", "integer", "of the others, with a distinct id of several users"),
    ),
)
"""One row per campaign that sent, failed or held back anything in the period."""

WINDOW_COUNTS = Table(
    "window_counts",
    ("campaign_id", "person_id", "metric"),
    (
        Column("campaign_id", "text", "the campaign"),
        Column("person_id", "text", "PostHog's person, or the distinct id where there is none"),
        Column("metric", "text", "the metric"),
        Column("delivered_at", "instant", "t, the instant of delivery"),
        Column("n_baseline", "integer", "events in the baseline window [t - 30 d, t)"),
        Column("baseline_days", "number", "days of it that were there (cut at sign-up)"),
        Column("n_post", "integer", "events in the observed part of [t, t + 48 h)"),
        Column("post_hours", "number", "hours of the post window observed"),
        Column("n_baseline_aligned", "integer", "baseline events in the compared hours"),
        Column("baseline_aligned_days", "number", "days those compared hours add up to"),
    ),
)
"""One row per measured push and metric. Where the post window is open, the aligned columns hold
the same hours of each earlier block of the window's length; elsewhere they equal the baseline."""

LIFTS = Table(
    "lifts",
    ("campaign_id", "metric", "method"),
    (
        Column("campaign_id", "text", "the campaign"),
        Column("layer", "text", "1, 2, 3 or unclassified"),
        Column("metric", "text", "the metric"),
        Column("method", "text", "the estimator"),
        Column("evidence", "text", "A (randomised) to E (plain before and after)"),
        Column("headline", "flag", "the row the pages show for this campaign and metric"),
        Column("n_users", "integer", "users the estimate rests on"),
        Column("n_comparison", "integer", "users compared with; 0 where users are their own"),
        Column("baseline_rate", "number", "events per user per day before", "see status"),
        Column("post_rate", "number", "events per user per day after", "see status"),
        Column("expected_rate", "number", "post rate expected without the push", "see status"),
        Column("effect_size", "number", "post less expected, events per user per day", "status"),
        Column("effect_size_ci_low", "number", "its interval", "see status"),
        Column("effect_size_ci_high", "number", "its interval", "see status"),
        Column("rel_effect_size", "number", "post over expected less 1", "baseline too small"),
        Column("rel_effect_size_ci_low", "number", "its Fieller interval", "no lower bound"),
        Column("rel_effect_size_ci_high", "number", "its Fieller interval", "no upper bound"),
        Column("statistic", "number", "t", "see status"),
        Column("df", "number", "its degrees of freedom", "see status"),
        Column("pvalue", "number", "two-sided", "see status"),
        Column("qvalue", "number", "Benjamini-Hochberg within `family`", "not in a family"),
        Column("effect_size_std", "number", "Cohen's d_z for classic", "no variation"),
        Column("mean_user_effect", "number", "mean of the users' differences", "see status"),
        Column("median_user_effect", "number", "median of the users' differences", "see status"),
        Column("sd_user_effect", "number", "their standard deviation (n - 1)", "see status"),
        Column("confidence_level", "number", "of every interval in the row"),
        Column("status", "text", "ok, or why a number is missing"),
        Column("standard_error", "number", "of effect_size", "see status"),
        Column("family", "text", "what qvalue was corrected within", "not in a family"),
        Column("n_dropped", "integer", "users left out or capped by the outlier rule"),
        Column("n_events_baseline", "integer", "events behind baseline_rate"),
        Column("n_events_post", "integer", "events behind post_rate"),
        Column("support", "number", "share of pushed users with anybody comparable", "see status"),
        Column("se_scale", "number", "what the self-checks multiplied standard_error by"),
        Column("incremental_events", "number", "effect x users x window days", "see status"),
        Column("incremental_events_ci_low", "number", "its interval", "see status"),
        Column("incremental_events_ci_high", "number", "its interval", "see status"),
        Column("detectable_effect_size", "number", "found 80 % of the time", "see status"),
        Column("is_selected", "flag", "stands out in the drill-down"),
        Column("selected_ci_low", "number", "interval allowing for selection", "not selected"),
        Column("selected_ci_high", "number", "interval allowing for selection", "not selected"),
        Column("shrunk_rel_effect_size", "number", "drawn towards its layer", "not pooled"),
        Column("shrunk_rel_effect_size_ci_low", "number", "its interval", "not pooled"),
        Column("shrunk_rel_effect_size_ci_high", "number", "its interval", "not pooled"),
        Column("rank", "number", "median rank of the shrunk effect, 1 is best", "not ranked"),
        Column("rank_low", "number", "best rank of its interval", "not ranked"),
        Column("rank_high", "number", "worst rank of its interval", "not ranked"),
        Column("p_best", "number", "probability of being the best", "not ranked"),
        Column("p_top10", "number", "probability of being in the top ten", "not ranked"),
    ),
)
"""One row per campaign, metric and method: what every page, ranking, report and export reads."""

LAYER_LIFTS = Table(
    "layers",
    ("layer", "metric", "method"),
    (
        Column("layer", "text", "1, 2, 3, unclassified, or all"),
        Column("metric", "text", "the metric"),
        Column("method", "text", "the estimator"),
        Column("evidence", "text", "A to E"),
        Column("n_campaigns", "integer", "campaigns pooled"),
        Column("n_pushes", "integer", "pushes pooled"),
        Column("n_users", "integer", "distinct persons"),
        Column("baseline_rate", "number", "events per user per day before", "see status"),
        Column("post_rate", "number", "events per user per day after", "see status"),
        Column("expected_rate", "number", "post rate expected without the push", "see status"),
        Column("effect_size", "number", "mean over pushes", "see status"),
        Column("effect_size_ci_low", "number", "clustered by person", "see status"),
        Column("effect_size_ci_high", "number", "clustered by person", "see status"),
        Column("rel_effect_size", "number", "ratio of means less 1", "baseline too small"),
        Column("rel_effect_size_ci_low", "number", "Fieller, clustered", "no lower bound"),
        Column("rel_effect_size_ci_high", "number", "Fieller, clustered", "no upper bound"),
        Column("statistic", "number", "t", "see status"),
        Column("df", "number", "persons less one", "see status"),
        Column("pvalue", "number", "two-sided", "see status"),
        Column("incremental_events", "number", "effect x pushes x window days", "see status"),
        Column("incremental_events_ci_low", "number", "its interval", "see status"),
        Column("incremental_events_ci_high", "number", "its interval", "see status"),
        Column("n_above", "integer", "campaigns clear above zero (q within family)"),
        Column("n_below", "integer", "campaigns clear below zero"),
        Column("confidence_level", "number", "of every interval in the row"),
        Column("status", "text", "ok, or why a number is missing"),
        Column("standard_error", "number", "of effect_size", "see status"),
        Column("typical_rel_effect_size", "number", "of a typical campaign", "fewer than two"),
        Column("typical_rel_effect_size_ci_low", "number", "its interval", "fewer than two"),
        Column("typical_rel_effect_size_ci_high", "number", "its interval", "fewer than two"),
        Column("prediction_low", "number", "where the next campaign may land", "fewer than two"),
        Column("prediction_high", "number", "where the next campaign may land", "fewer than two"),
        Column("heterogeneity", "number", "sd of true effects over campaigns", "fewer than two"),
    ),
)
"""One row per layer (and all of them), metric and method."""

LAYER_CONTRASTS = Table(
    "layer_contrasts",
    ("layer", "other_layer", "metric"),
    (
        Column("layer", "text", "one layer"),
        Column("other_layer", "text", "the layer compared with"),
        Column("metric", "text", "the metric"),
        Column("difference", "number", "of the relative effects", "baseline too small"),
        Column("difference_ci_low", "number", "its interval, shared people counted", "see above"),
        Column("difference_ci_high", "number", "its interval, shared people counted", "see above"),
        Column("pvalue", "number", "two-sided", "see above"),
        Column("confidence_level", "number", "of the interval"),
    ),
)
"""One row per two layers and metric; headline methods."""

CHECKS = Table(
    "checks",
    ("layer", "method"),
    (
        Column("layer", "text", "the layer"),
        Column("method", "text", "the method that was checked"),
        Column("n_checks", "integer", "estimates at earlier dates, metrics counted singly"),
        Column("n_campaigns", "integer", "campaigns behind them"),
        Column("false_positive_share", "number", "share called an effect at p < 0.05"),
        Column("false_positive_share_ci_low", "number", "its 95 % interval, by campaign"),
        Column("false_positive_share_ci_high", "number", "its 95 % interval, by campaign"),
        Column("spread", "number", "root mean square of z; 1 where standard errors are right"),
        Column("se_scale", "number", "what standard errors are multiplied by because of it"),
    ),
)
"""One row per layer and method whose estimates could be repeated where nothing was sent."""
