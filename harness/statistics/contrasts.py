"""Scenario-paired contrasts of two arms of the same model and agent.

Owns: pairing and the estimate. Does not own: the resampling procedures (`resampling.py`), or which contrasts
are declared (the plan).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pandas as pd

from harness.statistics.resampling import SEED, bca_interval, sign_flip_p


class Contrast(NamedTuple):
    """Arm minus reference. None: cannot be estimated from these data."""

    estimate: float | None
    low: float | None
    high: float | None
    p_value: float | None
    """Sign-flip test; 1 when no scenario differs."""
    scenarios: int
    """Scenarios with at least one pair."""
    pairs: int
    """Pairs of trials with the same scenario, repeat and seed, both with a value."""
    sd: float | None
    """Standard deviation of the scenario differences."""
    method: str
    """How the interval was obtained: `bca`, `t`, `degenerate` or `none`."""

    @property
    def detectable(self) -> float | None:
        """Difference found with 80 % power at alpha 0.05: 2.80 sd / sqrt(S), with 2.80 = z(.975) + z(.80)."""
        return None if self.sd is None else 2.80 * self.sd / float(np.sqrt(self.scenarios))


NO_PAIRS = Contrast(None, None, None, None, 0, 0, None, "none")


def paired_differences(
    frame: pd.DataFrame,
    arm: str,
    reference: str,
    metric: str,
    excluded_as: tuple[float | None, float | None] = (None, None),
) -> tuple[dict[str, float], int]:
    """d_s = mean over repeats r of y(arm, s, r) - y(reference, s, r), by scenario; and the number of pairs.

    A repeat counts only when both arms have a value for it, so an exclusion in one arm removes its partner,
    unless `excluded_as` gives the value that excluded trials of the arm and of the reference are to have.
    `frame` holds one model and one agent. Raises ValueError when a trial of a pair is not unique.
    """
    treated = _values(frame, arm, metric, excluded_as[0])
    control = _values(frame, reference, metric, excluded_as[1])
    by_scenario: dict[str, list[float]] = {}
    # In sorted order: rounding must not depend on the order of the records.
    for key in sorted(treated.keys() & control.keys()):
        by_scenario.setdefault(key[0], []).append(treated[key] - control[key])
    pairs = sum(map(len, by_scenario.values()))
    return {scenario: sum(d) / len(d) for scenario, d in by_scenario.items()}, pairs


def _values(
    frame: pd.DataFrame, arm: str, metric: str, excluded_as: float | None
) -> dict[tuple[str, int, int], float]:
    """The metric's value by scenario, repeat and seed. Plain Python: small joins are slow in pandas."""
    rows = np.flatnonzero(frame["arm"].to_numpy() == arm)
    names = ("scenario", "repeat", "seed", "excluded", metric)
    values: dict[tuple[str, int, int], float] = {}
    for scenario, repeat, seed, excluded, value in zip(
        *(frame[c].to_numpy()[rows].tolist() for c in names), strict=True
    ):
        if excluded and excluded_as is None:
            continue
        value = excluded_as if excluded else value
        if value is None or math.isnan(value):
            continue
        if (scenario, repeat, seed) in values:
            raise ValueError(
                f"arm {arm}: two trials of {scenario}, repeat {repeat}, seed {seed}; expected one"
            )
        values[scenario, repeat, seed] = float(value)
    return values


def scenario_contrast(
    frame: pd.DataFrame,
    arm: str,
    reference: str,
    metric: str,
    bounds: tuple[float, float] | None = None,
    seed: int = SEED,
) -> Contrast:
    """The mean of the scenario differences, its interval and its p-value (docs/sources S2).

    `bounds` is the range that the metric can take; the interval is cut to what a difference can be.
    """
    differences, pairs = paired_differences(frame, arm, reference, metric)
    d = np.array(list(differences.values()))
    if not len(d):
        return NO_PAIRS
    low, high, method = bca_interval(d, seed=seed)
    if bounds is not None and low is not None and high is not None:
        widest = bounds[1] - bounds[0]
        low, high = max(low, -widest), min(high, widest)
    return Contrast(
        estimate=float(d.mean()),
        low=low,
        high=high,
        p_value=sign_flip_p(d, seed=seed),
        scenarios=len(d),
        pairs=pairs,
        sd=float(d.std(ddof=1)) if len(d) > 1 else None,
        method=method,
    )
