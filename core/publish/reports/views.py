"""Tables of reports in words: numbers as on the pages, by the same functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from core.publish import beside, formats, keys, words
from core.publish.reports.markdown import Cell, Grid, Link
from core.publish.reports.material import Material, folder_of, stems
from core.quality.ledger import mapping_ledger

_STRIP = (
    ("sent", "n_sent"),
    ("failed", "n_failed"),
    ("delivered", "n_delivered"),
    ("duplicates", "n_duplicates"),
    ("held out", "n_holdout"),
    ("mapped directly", "n_direct"),
    ("mapped by e-mail", "n_email"),
    ("not mapped", "n_unmapped"),
    ("measured", "n_measured"),
    ("never seen", "n_never_seen"),
)


def headlines(material: Material, metric: str) -> pd.DataFrame:
    """Return the headline rows of a metric with what is said of their campaigns.

    Returns:
        frames.LIFTS with `name`, `window_complete`, `qualifies`, `n_delivered`, `n_measured`,
        `window_closes_at` and `first_delivered_at` of the campaign; largest effect first, those
        without a number last.
    """
    of_campaign = [
        "campaign_id", "name", "window_complete", "qualifies", "n_delivered", "n_measured",
        "window_closes_at", "first_delivered_at",
    ]  # fmt: skip
    lifts = material.lifts
    rows = lifts[lifts["headline"] & (lifts["metric"] == metric)]
    joined = rows.merge(material.campaigns[of_campaign], on="campaign_id")
    return joined.sort_values("rel_effect_size", ascending=False, na_position="last", kind="stable")


def verdict(material: Material, row: pd.Series) -> words.Verdict:
    """Return the verdict on a row of `headlines`, as the pages give it."""
    return words.verdict(
        row, row, as_of=material.setting.as_of, min_recipients=material.setting.rules.min_recipients
    )


def layer_rows(material: Material, metric: str, method: str = "headline") -> pd.DataFrame:
    """Return the pooled rows of a metric and method, all layers last."""
    rows = material.layers
    rows = rows[(rows["metric"] == metric) & (rows["method"] == method)]
    return rows.sort_values("layer", kind="stable")


def layers_grid(material: Material, metric: str) -> Grid:
    """Return the layers side by side: pooled effect, where the next may land, plain beside it."""
    plain = layer_rows(material, metric, "classic").set_index("layer")
    rows = [
        (
            words.layer(str(row["layer"])),
            formats.count(row["n_campaigns"]),
            formats.count(row["n_pushes"]),
            formats.count(row["n_users"]),
            words.effect(row),
            str(row["evidence"]) if row["n_campaigns"] else formats.MISSING,
            next_one(row),
            incremental(row),
            f"{formats.count(row['n_above'])} / {formats.count(row['n_below'])}",
            words.effect(plain.loc[row["layer"]])
            if row["layer"] in plain.index
            else formats.MISSING,
        )
        for _, row in layer_rows(material, metric).iterrows()
    ]
    return Grid(
        head=(
            "layer", "campaigns", "pushes", "people", "effect", "weakest grade",
            "next campaign may land", "incremental events", "clearly higher / lower",
            "plain before and after",
        ),
        rows=tuple(rows),
        empty="No campaign qualifies: 0 layers have a pooled number.",
    )  # fmt: skip


def metrics_of_layer_grid(material: Material, layer: str) -> Grid:
    """Return every metric of a layer, pooled: headline, plain before and after, next campaign."""
    rows: list[tuple[Cell, ...]] = []
    for metric in material.setting.metrics:
        best = layer_rows(material, metric)
        plain = layer_rows(material, metric, "classic")
        for _, row in best[best["layer"] == layer].iterrows():
            beside_it = [words.effect(one) for _, one in plain[plain["layer"] == layer].iterrows()]
            rows.append(
                (
                    words.label(metric),
                    words.effect(row),
                    formats.pvalue(row["pvalue"]),
                    next_one(row),
                    incremental(row),
                    formats.count(row["n_campaigns"]),
                    f"{formats.count(row['n_above'])} / {formats.count(row['n_below'])}",
                    beside_it[0] if beside_it else formats.MISSING,
                )
            )
    return Grid(
        head=(
            "metric", "effect", "p", "next campaign may land", "incremental events", "campaigns",
            "clearly higher / lower", "plain before and after",
        ),
        rows=tuple(rows),
        empty="No campaign of this layer qualifies: 0 pooled numbers.",
    )  # fmt: skip


def campaigns_grid(material: Material, rows: pd.DataFrame, *, base: str) -> Grid:
    """Return campaigns with effect, verdict and decision; names lead to their summaries.

    Args:
        material: Where they come from.
        rows: Rows of `headlines`.
        base: The way from the file to the folder of the summaries, "../../markdown-summaries".
    """
    said = decisions(material)
    names = stems(list(material.campaigns["campaign_id"]))
    zone = material.setting.zone
    return Grid(
        head=("campaign", "sent", "measured", "effect", "grade", "q", "verdict", "decision"),
        rows=tuple(
            (
                Link(
                    str(row["name"]),
                    f"{base}/{folder_of(str(row['layer']))}/{names[row['campaign_id']]}.md",
                ),
                formats.instant(row["first_delivered_at"], zone),
                formats.count(row["n_measured"]),
                words.effect(row),
                str(row["evidence"]),
                formats.pvalue(row["qvalue"]),
                verdict(material, row).word,
                said.get((str(row["campaign_id"]), str(row["metric"])), formats.MISSING),
            )
            for _, row in rows.iterrows()
        ),
        empty="0 campaigns.",
    )


def decisions(material: Material) -> Mapping[tuple[str, str], str]:
    """Return the decision of each campaign and metric."""

    def made() -> dict[tuple[str, str], str]:
        frame = material.rows("decisions")
        pairs = zip(frame["campaign_id"], frame["metric"], strict=True)
        return dict(zip(pairs, frame["decision"], strict=True))

    return material.kept("decisions", made)


def rankings_grid(material: Material, layer: str, metric: str, *, base: str) -> Grid:
    """Return the ten best campaigns of a layer: shrunk effect, rank, business impact."""
    rows = material.rows("rankings", layer=layer, metric=metric).sort_values("place")
    of = material.campaigns.set_index("campaign_id")
    rows = rows[rows["campaign_id"].isin(of.index)]
    names = stems(list(of.index))
    currency = material.setting.currency
    return Grid(
        head=(
            "place", "campaign", "effect, drawn towards its layer", "rank", "incremental events",
            f"value, {currency}", "clear",
        ),
        rows=tuple(
            (
                formats.count(row["place"]),
                Link(
                    str(of.loc[row["campaign_id"], "name"]),
                    f"{base}/{folder_of(str(of.loc[row['campaign_id'], 'layer']))}/"
                    f"{names[row['campaign_id']]}.md",
                ),
                formats.percent(
                    row["shrunk_rel_effect_size"], ends(row, "shrunk_rel_effect_size")
                ),
                _rank(row),
                money(row, "incremental_events"),
                money(row, "value"),
                "yes" if row["is_clear"] else "no clear effect",
            )
            for _, row in rows.iterrows()
        ),
        empty="No campaign is ranked: 0 have an effect that could be pooled with others.",
    )  # fmt: skip


def metrics_grid(material: Material, lifts: pd.DataFrame) -> Grid:
    """Return all metrics of one campaign by their headline."""
    by_metric = {str(row["metric"]): row for _, row in lifts[lifts["headline"]].iterrows()}
    campaign = campaign_row(material, str(lifts["campaign_id"].iloc[0])) if len(lifts) else None
    said = decisions(material)
    rows = []
    for metric in material.setting.metrics:
        row = by_metric.get(metric)
        if row is None or campaign is None:
            continue
        judged = words.verdict(
            row, campaign, as_of=material.setting.as_of,
            min_recipients=material.setting.rules.min_recipients,
        )  # fmt: skip
        rows.append(
            (
                words.label(metric),
                words.effect(row),
                formats.signed(row["effect_size"], ends(row, "effect_size")),
                formats.rate(row["baseline_rate"]),
                formats.rate(row["post_rate"]),
                formats.rate(row["expected_rate"]),
                incremental(row),
                formats.pvalue(row["qvalue"]),
                words.basis(row),
                judged.word,
                said.get((str(row["campaign_id"]), metric), formats.MISSING),
            )
        )
    return Grid(
        head=(
            "metric", "effect", "absolute, events per user per day", "before", "after",
            "expected", "incremental events", "q", "evidence", "verdict", "decision",
        ),
        rows=tuple(rows),
        empty="0 metrics have a row.",
    )  # fmt: skip


def methods_grid(lifts: pd.DataFrame, metric: str) -> Grid:
    """Return every method of one campaign and metric side by side, the best evidence first."""
    rows = lifts[lifts["metric"] == metric].sort_values(["evidence", "method"], kind="stable")
    return Grid(
        head=("method", "grade", "effect", "users", "compared with", "p", "headline"),
        rows=tuple(
            (
                words.method(str(row["method"])),
                str(row["evidence"]),
                words.effect(row),
                formats.count(row["n_users"]),
                formats.count(row["n_comparison"]),
                formats.pvalue(row["pvalue"]),
                "yes" if row["headline"] else "",
            )
            for _, row in rows.iterrows()
        ),
        empty="0 methods have a row.",
    )


def strip_grid(campaign: pd.Series) -> Grid:
    """Return the counts of one campaign from sent to measured."""
    return Grid(
        head=tuple(name for name, _ in _STRIP),
        rows=(tuple(formats.count(campaign[column]) for _, column in _STRIP),),
    )


def ledger_grid(campaigns: pd.DataFrame) -> Grid:
    """Return the ledger of some campaigns: number, share and reason at each step."""
    return Grid(
        head=("step", "n", "share", "of", "what it is"),
        rows=tuple(
            (
                str(row["label"]),
                formats.count(row["n"]),
                formats.share(row["share"]),
                str(row["share_of"]) or formats.MISSING,
                str(row["reason"]),
            )
            for _, row in mapping_ledger(campaigns).iterrows()
        ),
    )


def scores_grid(material: Material, *, level: str, of: str) -> Grid:
    """Return the quality scores of one level with their inputs."""
    rows = material.rows("quality_scores", level=level, of=of)
    return Grid(
        head=("side", "part", "weight", "score", "threshold", "inputs"),
        rows=tuple(
            (
                keys.said(str(row["side"])),
                keys.said(str(row["part"])),
                formats.share(row["weight"]),
                formats.share(row["score"])
                if row["status"] == "ok"
                else formats.missing(str(row["status"])),
                formats.share(row["threshold"]),
                str(row["inputs"]),
            )
            for _, row in rows.iterrows()
        ),
        empty="Quality was not scored here: 0 parts.",
    )


def checks_grid(checks: pd.DataFrame) -> Grid:
    """Return what the self-checks found, layer by layer and method by method."""
    return Grid(
        head=(
            "layer", "method", "estimates", "campaigns", "called an effect", "its 95 % interval",
            "spread", "standard errors times",
        ),
        rows=tuple(
            (
                words.layer(str(row["layer"])),
                words.method(str(row["method"])),
                formats.count(row["n_checks"]),
                formats.count(row["n_campaigns"]),
                formats.share(row["false_positive_share"]),
                _share_interval(row),
                formats.rate(row["spread"]),
                formats.rate(row["se_scale"]),
            )
            for _, row in checks.iterrows()
        ),
        empty="Nothing could be checked: 0 estimates where nothing was sent.",
    )  # fmt: skip


def contrasts_grid(contrasts: pd.DataFrame, metric: str) -> Grid:
    """Return how far each two layers differ in one metric."""
    rows = contrasts[contrasts["metric"] == metric]
    return Grid(
        head=("layer", "less layer", "difference", "p"),
        rows=tuple(
            (
                str(row["layer"]),
                str(row["other_layer"]),
                beside.difference(row),
                formats.pvalue(row["pvalue"]),
            )
            for _, row in rows.iterrows()
        ),
        empty="There are no two layers to compare: 0 differences.",
    )


def groups_grid(material: Material, layers: Sequence[str], metric: str) -> Grid:
    """Return the effect of each kind of send that patterns compare."""
    rows = material.rows("pattern_groups", metric=metric)
    rows = rows[rows["layer"].isin(list(layers))]
    return Grid(
        head=("pattern", "layer", "kind of send", "campaigns", "pushes", "effect", "grade"),
        rows=tuple(
            (
                keys.titled(str(row["pattern"])),
                str(row["layer"]),
                keys.said(str(row["group"])),
                formats.count(row["n_campaigns"]),
                formats.count(row["n_pushes"]),
                formats.percent(row["rel_effect_size"], ends(row, "rel_effect_size"))
                if row["status"] == "ok"
                else formats.missing(str(row["status"])),
                str(row["evidence"]),
            )
            for _, row in rows.iterrows()
        ),
        empty="0 kinds of sends could be told apart.",
    )


def campaign_row(material: Material, campaign_id: str) -> pd.Series:
    """Return one campaign's row."""
    rows = material.campaigns
    return rows[rows["campaign_id"] == campaign_id].iloc[0]


def next_one(row: pd.Series) -> str:
    """Return where the next campaign of a layer may land, in percent."""
    bounds = 100 * float(row["prediction_low"]), 100 * float(row["prediction_high"])
    if all(map(formats.is_missing, bounds)):
        return formats.MISSING
    return f"{formats.interval(bounds, decimals=0)} %"


def incremental(row: pd.Series) -> str:
    """Return incremental events with their interval, whole numbers, or why there are none."""
    value = row["incremental_events"]
    if formats.is_missing(value):
        return formats.missing(row["status"] if row["status"] != "ok" else "no_data")
    sign = "+" if value >= 0.5 else ""
    return f"{sign}{formats.count(value)} {events_interval(row)}"


def events_interval(row: pd.Series) -> str:
    """Return the interval of incremental events, whole numbers."""
    return formats.interval(ends(row, "incremental_events"), decimals=0)


def money(row: pd.Series, name: str) -> str:
    """Return an amount with its interval, whole units of the currency."""
    if formats.is_missing(row[name]):
        return formats.MISSING
    sign = "+" if row[name] >= 0.5 else ""
    return f"{sign}{formats.count(row[name])} {formats.interval(ends(row, name), decimals=0)}"


def ends(row: pd.Series, name: str) -> tuple[float, float]:
    """Return an estimate's interval."""
    return float(row[f"{name}_ci_low"]), float(row[f"{name}_ci_high"])


def _share_interval(row: pd.Series) -> str:
    low, high = (row[f"false_positive_share_ci_{end}"] for end in ("low", "high"))
    return f"{formats.share(low)} to {formats.share(high)}"


def _rank(row: pd.Series) -> str:
    if formats.is_missing(row["rank"]):
        return formats.MISSING
    low, high = formats.count(row["rank_low"]), formats.count(row["rank_high"])
    return f"{formats.count(row['rank'])} [{low}, {high}]"
