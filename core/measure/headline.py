"""Which method a campaign is judged by: the best evidence that could be had."""

from __future__ import annotations

from collections.abc import Mapping

from core.measure.contrasts import EVIDENCE, VERDICT_EVIDENCE, Contrast
from core.measure.estimates import ORDER, WIDEN_FROM

UNIDENTIFIED = "not_identified"
_GRADES = "ABCDE"


def choose(contrasts: Mapping[str, Contrast], *, is_triggered: bool) -> tuple[str, bool]:
    """Return the headline's method, and whether it identifies an effect.

    Where what people did decides when they are sent to, neither their own averages nor windows of
    other weeks can stand for what they would have done (they show +33 % without any effect): if
    nothing better is there, nothing is identified and the comparison's row says why.
    """
    for method in ORDER:
        is_descriptive = EVIDENCE[method] not in VERDICT_EVIDENCE
        if is_triggered and is_descriptive:
            break
        if contrasts[method].is_known:
            return method, True
    return ("comparison" if is_triggered else "classic"), False


def evidence(method: str, se_scale: float) -> str:
    """Return a method's grade, a letter lower where its self-checks made it wider."""
    place = _GRADES.index(EVIDENCE[method]) + (se_scale > WIDEN_FROM)
    return _GRADES[min(place, len(_GRADES) - 1)]
