"""Which failure modes cost most: prevalence times lethality, with intervals, on the traces of the present stack.

Owns: the ranking. Does not own: the association behind it (`statistics/lethality.py`); that a mode goes with failure
is not proof that it causes it, which is why the screening forks trials at the mode's step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from harness.mast.taxonomy import MODES
from harness.report.metrics import interval, number
from harness.statistics.frames import MODE, mode_slugs
from harness.statistics.lethality import lethality

SUCCESS = 1.0
"""Value of an outcome from which a trial counts as a success."""
OUTCOMES = ("recall", "remediated")
"""What a trial is for; what no intervention may harm."""


def rank_modes(rows: pd.DataFrame, column: str) -> list[dict[str, Any]]:
    """Modes by burden, the greatest first, from counted trials of one arm of one system; behind them, by prevalence,
    modes whose lethality these trials cannot tell, because no scenario has both outcomes with and without them.

    `column` is that of the primary metric; see `failures`. Strata are scenarios."""
    failed = failures(rows, column)
    scenarios = rows["scenario"].tolist()
    found = []
    for slug in mode_slugs(rows):
        entry = lethality(failed, rows[MODE + slug].to_numpy(), scenarios)
        if slug in MODES and entry.prevalence:
            found.append({"slug": slug, **entry._asdict()})
    return sorted(found, key=rank)


def rank(mode: Mapping[str, Any]) -> tuple[bool, float, str]:
    """Known burdens first."""
    known = mode["burden"] is not None
    return not known, -(mode["burden"] if known else mode["prevalence"]), mode["slug"]


def failures(rows: pd.DataFrame, column: str) -> list[bool]:
    """Which trials failed: below full value on a primary metric that is an outcome, else below full recall."""
    return (rows[column if column in OUTCOMES else "recall"] < SUCCESS).tolist()


def worth_trying(ranked: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """The leading modes that may cost success: those whose burden is not, with its whole interval, at or below
    zero."""
    return [one for one in ranked if one["burden"] is None or one["burden_high"] > 0][:most]


def burden_told(worth: list[dict[str, Any]]) -> str:
    """The leading modes in a sentence."""
    if not worth:
        return "No mode goes with failure."
    return f"Prevalence x lethality: {', '.join(map(mode_told, worth))}."


def mode_told(mode: Mapping[str, Any]) -> str:
    """One mode with its burden, or why that is not known."""
    if mode["burden"] is None:
        return f"{mode['slug']} (in {mode['prevalence']:.0%}; lethality cannot be told)"
    return f"{mode['slug']} {number(mode['burden'])} {interval(mode['burden_low'], mode['burden_high'])}"
