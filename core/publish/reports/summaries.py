"""Markdown: one summary a campaign, an index a layer, and the strategic reports."""

from __future__ import annotations

import pandas as pd

from core.measure.multiplicity import FALSE_DISCOVERY_RATE
from core.publish import beside, figures_pages, formats, words
from core.publish.reports import sentences, views
from core.publish.reports.markdown import Grid, listed, rendered
from core.publish.reports.material import Material, about
from core.publish.users import excluded_table
from core.quality.ledger import mapped_share

SUMMARIES = "markdown-summaries"
STRATEGIC = "strategic-reports"
_ALL = "all"
_SHARED = (
    "People are shared between layers and between campaigns; intervals of pools and differences "
    "allow for it."
)
_OUTLIERS = {
    "keep": "everybody counts as they are",
    "winsorize": "windows are capped at one common value, before and after alike",
    "iqr": "users far from the quartiles are left out of plain before and after, which then only "
    "describes",
    "zscore": "users far from the mean are left out of plain before and after, which then only "
    "describes",
}


def campaign_summary(material: Material, campaign_id: str) -> bytes:
    """Return the Markdown of one campaign."""
    campaign = views.campaign_row(material, campaign_id)
    lifts = material.lifts_of(campaign_id)
    setting, metric, zone = material.setting, material.setting.primary, material.setting.zone
    heads = lifts[lifts["headline"] & (lifts["metric"] == metric)]
    row = heads.iloc[0]
    judged = words.verdict(
        row, campaign, as_of=setting.as_of, min_recipients=setting.rules.min_recipients
    )
    status = "" if campaign["status"] == "ok" else formats.reason(str(campaign["status"]))
    decided = material.rows("decisions", campaign_id=campaign_id, metric=metric)
    return rendered(
        "campaign.md.j2",
        {
            **_common(material),
            "name": campaign["name"],
            "layer": words.layer(str(campaign["layer"])),
            "content": formats.MISSING if pd.isna(campaign["content"]) else campaign["content"],
            "campaign_id": campaign_id,
            "first": formats.instant(campaign["first_delivered_at"], zone),
            "last": formats.instant(campaign["last_delivered_at"], zone),
            "title": None if pd.isna(campaign["title"]) else campaign["title"],
            "body": None if pd.isna(campaign["body"]) else campaign["body"],
            "verdict": judged,
            "decision": [_decided(one) for _, one in decided.iterrows()],
            "metric": _upper(words.label(metric)),
            "effect": words.effect(row),
            "rates": rates(row),
            "strip": views.strip_grid(campaign),
            "status": status,
            "n_measured": formats.count(campaign["n_measured"]),
            "min_recipients": formats.count(setting.rules.min_recipients),
            "metrics": views.metrics_grid(material, lifts),
            "methods": views.methods_grid(lifts, metric),
            "limits": _campaign_limits(material, row),
            "scores": views.scores_grid(material, level="campaign", of=campaign_id),
            "advice": sentences.advice(material, level="campaign", of=campaign_id),
        },
    )


def layer_index(material: Material, layer: str) -> bytes:
    """Return the Markdown that lists the campaigns of a layer."""
    rows = _of_layer(material, layer)
    n = len(material.campaigns[material.campaigns["layer"] == layer])
    return rendered(
        "index.md.j2",
        {
            **_common(material),
            "layer": words.layer(layer),
            "said": f"{formats.count(n)} campaigns, by their effect on "
            f"{words.label(material.setting.primary)}.",
            "campaigns": views.campaigns_grid(material, rows, base=".."),
        },
    )


def executive_summary(material: Material) -> bytes:
    """Return the Markdown for whoever decides: what was found and what to do."""
    return rendered("executive-summary.md.j2", executive(material))


def executive(material: Material) -> dict[str, object]:
    """Return what the executive summary says, in Markdown or HTML."""
    metric = material.setting.primary
    return {
        **_common(material),
        "finding": _finding(material),
        "beside": listed([beside.misled(material.layers, metric)]),
        "figures": figures_grid(material),
        "layers": views.layers_grid(material, metric),
        "contrasts": beside.contrasts_sentence(material.contrasts, metric),
        "contrasts_table": views.contrasts_grid(material.contrasts, metric),
        "decided": decided_grid(material),
        "decisions": sentences.shortened(
            sentences.decisions(material, metric, "repeat", "stop"), "decisions"
        ),
        "what_if": sentences.what_if(material)
        or ["No recommendation has enough evidence to say what it would bring: 0 estimates."],
        "patterns": sentences.patterns(material),
        "history": sentences.history(material),
        "scores": views.scores_grid(material, level=_ALL, of=_ALL),
        "advice": sentences.shortened(sentences.advice(material, level=_ALL, of=_ALL), "notes"),
        "checks": beside.checks_sentence(material.checks),
        "mapped": f"Recipients mapped: {formats.share(mapped_share(material.campaigns))}.",
        "notices": material.setting.notices,
    }


def top_performers(material: Material) -> bytes:
    """Return the Markdown of the ten best of each layer and metric."""
    layers = [_ALL, *material.shown_layers]
    places = [(one, material.setting.primary) for one in layers]
    places += [(_ALL, one) for one in material.setting.metrics if one != material.setting.primary]
    parts = [
        {
            "title": f"{words.layer(layer)}: {words.label(metric)}",
            "table": views.rankings_grid(material, layer, metric, base=f"../{SUMMARIES}"),
            "sentences": [clear_of(material, layer, metric)],
        }
        for layer, metric in places
    ]
    return rendered("top-performers.md.j2", {**_common(material), "parts": parts})


def recommendations(material: Material) -> bytes:
    """Return the Markdown of what to do, campaign by campaign and overall."""
    metric = material.setting.primary
    counts = sentences.decision_counts(material, metric)
    parts = [
        {
            "title": _upper(kind),
            "n": formats.count(n),
            "sentences": sentences.decisions(material, metric, kind),
        }
        for kind, n in counts.items()
    ]
    return rendered(
        "recommendations.md.j2",
        {
            **_common(material),
            "metric": words.label(metric),
            "decided": decided_grid(material),
            "parts": parts,
            "what_if": sentences.what_if(material),
            "cadence_counts": sentences.cadence_counts(material),
            "cadence": sentences.cadence(material),
            "advice": sentences.advice(material),
            "no_advice": f"Nothing: the combined score is {sentences.combined(material)}."
            if material.quality is not None
            else "Quality was not scored here: 0 parts.",
        },
    )


def methodology(material: Material) -> bytes:
    """Return the Markdown of how the numbers come about."""
    setting, rules = material.setting, material.setting.rules
    return rendered(
        "methodology.md.j2",
        {
            **_common(material),
            "post_hours": formats.count(rules.lengths.post_hours),
            "baseline_days": formats.count(rules.lengths.baseline_days),
            "as_of": formats.instant(setting.as_of, setting.zone),
            "level": formats.confidence(rules.confidence_level),
            "metrics": Grid(
                head=("metric", "events", "role"),
                rows=tuple(
                    (words.label(name), ", ".join(events),
                     "primary" if name == setting.primary else "")
                    for name, events in setting.metrics.items()
                ),
            ),
            "grades": grades_grid(),
            "checks_said": beside.checks_sentence(material.checks),
            "checks": views.checks_grid(material.checks),
            "fdr": formats.share(FALSE_DISCOVERY_RATE),
            "min_recipients": formats.count(rules.min_recipients),
            "outliers": f"{rules.outliers}, {_OUTLIERS.get(rules.outliers, 'see settings')}",
            "ledger": views.ledger_grid(material.campaigns),
            "excluded": excluded_grid(material),
            "shared": _SHARED,
        },
    )  # fmt: skip


def deep_dive(material: Material, layer: str) -> bytes:
    """Return the Markdown of one layer."""
    metric = material.setting.primary
    rows = _of_layer(material, layer)
    own = material.campaigns[material.campaigns["layer"] == layer]
    checks = material.checks[material.checks["layer"] == layer]
    pooled = views.layer_rows(material, metric)
    pooled = pooled[pooled["layer"] == layer]
    contrasts = material.contrasts
    with_it = contrasts[(contrasts["layer"] == layer) | (contrasts["other_layer"] == layer)]
    return rendered(
        "deep-dive.md.j2",
        {
            **_common(material),
            "layer": words.layer(layer),
            "finding": _layer_finding(material, pooled, layer),
            "beside": listed([beside.misled(material.layers, metric, layer=layer)]),
            "metric": words.label(metric),
            "metrics": views.metrics_of_layer_grid(material, layer),
            "spread": _spread(pooled),
            "campaigns_said": f"{figures_pages.takeaway(rows, 'campaigns')}.",
            "campaigns": views.campaigns_grid(material, rows, base=f"../../{SUMMARIES}"),
            "ranking": views.rankings_grid(material, layer, metric, base=f"../../{SUMMARIES}"),
            "patterns": sentences.patterns(material, layer),
            "groups": views.groups_grid(material, [layer], metric),
            "correlations": sentences.correlations(material, layer),
            "history": sentences.history(material, layer),
            "trends": sentences.trends(material, layer),
            "cadence_counts": sentences.cadence_counts(material, layer),
            "cadence": sentences.cadence(material, layer),
            "contrasts": views.contrasts_grid(with_it, metric),
            "ledger": views.ledger_grid(own),
            "scores": views.scores_grid(material, level="layer", of=layer),
            "advice": sentences.advice(material, level="layer", of=layer),
            "limits": [
                *[f"{_upper(words.limits(row))}." for _, row in pooled.iterrows()],
                beside.checks_sentence(checks),
            ],
        },
    )


def rates(row: pd.Series) -> str:
    """Return before, after and expected in a sentence, or why there is none."""
    if formats.is_missing(row["post_rate"]):
        return f"There is no rate: {formats.reason(words_status(row))}."
    said = [f"{formats.rate(row['post_rate'])} events per user per day after"]
    if not formats.is_missing(row["baseline_rate"]):
        said.append(f"{formats.rate(row['baseline_rate'])} before")
    if not formats.is_missing(row["expected_rate"]):
        said.append(f"{formats.rate(row['expected_rate'])} expected without the push")
    users = f"{formats.count(row['n_users'])} users"
    return f"{', '.join(said)}, over {users} ({words.basis(row)})."


def words_status(row: pd.Series) -> str:
    """Return why a number is missing, unless the status says ok all the same."""
    return "no_data" if row["status"] == "ok" else str(row["status"])


def figures_grid(material: Material) -> Grid:
    """Return the handful of figures at the top."""
    campaigns, metric = material.campaigns, material.setting.primary
    pooled = views.layer_rows(material, metric)
    whole = pooled[pooled["layer"] == _ALL]
    row = whole.iloc[0] if len(whole) else None
    status = campaigns["status"].value_counts()
    left = ", ".join(
        f"{formats.count(n)} {formats.reason(str(name))}" for name, n in status.items()
        if name != "ok"
    )  # fmt: skip
    pairs = [
        ("campaigns", formats.count(len(campaigns))),
        ("of these without a verdict", left or formats.count(0)),
        ("pushes delivered", formats.count(campaigns["n_delivered"].sum())),
        ("people in the pooled number", formats.count(row["n_users"]) if row is not None else ""),
        (
            f"incremental {words.label(metric)}",
            views.incremental(row) if row is not None else formats.missing("no_campaigns"),
        ),
        (
            "campaigns clearly higher / lower",
            f"{formats.count(row['n_above'])} / {formats.count(row['n_below'])} of "
            f"{formats.count(row['n_campaigns'])}"
            if row is not None
            else formats.missing("no_campaigns"),
        ),
        ("quality of the data", sentences.combined(material)),
    ]
    return Grid(head=("figure", "value"), rows=tuple(pairs))


def decided_grid(material: Material) -> Grid:
    """Return how many campaigns are to be repeated, stopped, retested or waited for."""
    counts = sentences.decision_counts(material, material.setting.primary)
    return Grid(
        head=tuple(counts),
        rows=(tuple(formats.count(n) for n in counts.values()),) if sum(counts.values()) else (),
        empty="No decision was made: 0 campaigns.",
    )


def grades_grid() -> Grid:
    """Return the evidence grades: what each rests on, and what it cannot say."""
    return Grid(
        head=("grade", "rests on", "what it says"),
        rows=tuple((one, words.evidence(one), words.caveat(one)) for one in "ABCDE"),
    )


def excluded_grid(material: Material) -> Grid:
    """Return who was left out, added up over campaigns, with why."""
    rows = excluded_table(material.campaigns, material.lifts)
    rows = rows[rows["metric"].isna() | (rows["metric"] == material.setting.primary)]
    by = rows.groupby(["what", "step", "why"], sort=False)["n"]
    sums = by.agg(["sum", "size"]).reset_index()
    return Grid(
        head=("what", "step", "n", "campaigns", "why"),
        rows=tuple(
            (
                str(row["what"]),
                formats.reason(str(row["step"])),
                formats.count(row["sum"]),
                formats.count(row["size"]),
                str(row["why"]),
            )
            for _, row in sums.iterrows()
        ),
        empty="Nobody was left out: 0.",
    )


def clear_of(material: Material, layer: str, metric: str) -> str:
    """Return how many of a ranking are clear."""
    rows = material.rows("rankings", layer=layer, metric=metric)
    clear = int(rows["is_clear"].sum())
    return f"{formats.count(clear)} of these {formats.count(len(rows))} are clearly above zero."


def _common(material: Material) -> dict[str, object]:
    said = about(material.setting)
    return {
        "missing_parts": material.setting.missing,
        "about": Grid(head=("setting", "value"), rows=tuple(said.items())),
    }


def _decided(row: pd.Series) -> str:
    return f"Decision: {row['decision']}. {row['why']}"


def _finding(material: Material) -> str:
    setting = material.setting
    return words.finding(
        material.layers, setting.primary, post_hours=setting.rules.lengths.post_hours
    )


def _layer_finding(material: Material, pooled: pd.DataFrame, layer: str) -> str:
    """Return what one layer's pooled number says, as if it were all there is."""
    if pooled.empty:
        return f"{words.layer(layer)}: no finding yet (0 campaigns qualify)."
    alone = pooled.assign(layer=_ALL)
    setting = material.setting
    return words.finding(alone, setting.primary, post_hours=setting.rules.lengths.post_hours)


def _spread(pooled: pd.DataFrame) -> str:
    if pooled.empty or formats.is_missing(pooled["heterogeneity"].iloc[0]):
        return "Fewer than 2 campaigns: how far campaigns differ cannot be told."
    row = pooled.iloc[0]
    typical = formats.percent(
        row["typical_rel_effect_size"], views.ends(row, "typical_rel_effect_size")
    )
    return (
        f"A typical campaign: {typical}. True effects of campaigns vary with a standard deviation "
        f"of {formats.points(row['heterogeneity']).removeprefix('+')}; the next may land in "
        f"{views.next_one(row)}."
    )


def _campaign_limits(material: Material, row: pd.Series) -> list[str]:
    grade = str(row["evidence"])
    said = [f"Grade {grade}: {words.caveat(grade)}."]
    if not formats.is_missing(row["detectable_effect_size"]):
        least = formats.rate(row["detectable_effect_size"])
        said.append(
            f"An effect smaller than {least} events per user per day would be missed more often "
            "than one time in five at this size."
        )
    if not formats.is_missing(row["support"]) and row["support"] < 1:
        said.append(
            f"Somebody comparable was there for {formats.share(row['support'])} of its users."
        )
    if not formats.is_missing(row["n_dropped"]) and row["n_dropped"] > 0:
        said.append(f"The rule for extreme users touched {formats.count(row['n_dropped'])} users.")
    hours = material.setting.rules.lengths.post_hours
    said.append(f"What people did later than {formats.count(hours)} h after the push.")
    return said


def _of_layer(material: Material, layer: str) -> pd.DataFrame:
    rows = views.headlines(material, material.setting.primary)
    return rows[rows["layer"] == layer]


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
