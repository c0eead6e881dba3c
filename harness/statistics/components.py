"""Where the variance of a mean comes from: scenario, run, judge.

Owns: the estimators. Does not own: how many runs to plan (`power.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from harness.statistics.means import Floats


class Components(NamedTuple):
    """Variances of one value of a metric, by source. None: cannot be told apart with these data."""

    scenario: float | None
    """Between scenarios."""
    run: float | None
    """Between runs of a scenario; holds the judge's too where `judge` is None."""
    judge: float | None
    """Between judgements of one run."""
    scenarios: int
    runs: float
    """Runs per scenario that the scenario variance was corrected for."""

    def variance_of_mean(self, scenarios: int, runs: int, judgements: int = 1) -> float | None:
        """s2_s / S + s2_r / (S K) + s2_j / (S K J)  (docs/sources S4)."""
        if self.scenario is None or self.run is None:
            return None
        inner = self.run + (self.judge or 0.0) / judgements
        return (self.scenario + inner / runs) / scenarios


def variance_components(
    values: Sequence[float] | Floats, scenarios: Sequence[Any], runs: Sequence[Any] | None = None
) -> Components:
    """Nested one-way random effects by the method of moments (ANOVA; Searle, Casella & McCulloch 1992, ch. 3).

    With S scenarios, n_s runs each and n in all: MS_run = sum (y - y_s)^2 / (n - S) estimates s2_r, and
    s2_s = (MS_scenario - MS_run) / n0 with n0 = (n - sum n_s^2 / n) / (S - 1), never below 0. Given `runs`
    (which run each value judges), values are judgements: their spread within a run is s2_j, and the run
    means are analysed as above with s2_j / J taken off. Missing values are left out.
    """
    y = np.asarray(values, dtype=np.float64)
    kept = ~np.isnan(y)
    names = np.asarray(scenarios, dtype=object).astype(str)[kept]
    y = y[kept]
    if runs is None:
        return _one_way(y, names)
    run_names = np.asarray(runs, dtype=object).astype(str)[kept]
    judged = np.char.add(np.char.add(names.astype(str), "\x00"), run_names.astype(str))
    found, first, place = np.unique(judged, return_index=True, return_inverse=True)
    counts = np.bincount(place)
    means = np.bincount(place, weights=y) / counts
    if len(y) == len(found):
        return _one_way(means, names[first])
    judge = float(((y - means[place]) ** 2).sum() / (len(y) - len(found)))
    whole = _one_way(means, names[first])
    per_run = judge * float((1 / counts).mean())
    run = None if whole.run is None else max(0.0, whole.run - per_run)
    return whole._replace(run=run, judge=judge)


def _one_way(y: Floats, names: Any) -> Components:
    found, place = np.unique(names, return_inverse=True)
    count = len(found)
    if not count:
        return Components(None, None, None, 0, 0.0)
    sizes = np.bincount(place)
    means = np.bincount(place, weights=y) / sizes
    average = float(sizes.mean())
    within = float(((y - means[place]) ** 2).sum() / (len(y) - count)) if len(y) > count else None
    if count < 2 or within is None:
        return Components(None, within, None, count, average)
    between = float((sizes * (means - y.mean()) ** 2).sum() / (count - 1))
    weight = (len(y) - float((sizes**2).sum()) / len(y)) / (count - 1)
    return Components(max(0.0, (between - within) / weight), within, None, count, average)
