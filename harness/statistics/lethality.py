"""How much likelier a run fails when a mode is present, within the same scenario and model.

Owns: the stratified association. It is an association: the causal effect comes from forks (`harness/fork`).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from statsmodels.stats.contingency_tables import StratifiedTable

from harness.statistics.means import Floats
from harness.statistics.resampling import SEED

RESAMPLES = 1_000


class Lethality(NamedTuple):
    """One mode against failure. None: no stratum has runs with and without the mode."""

    prevalence: float
    log_odds_ratio: float | None
    """Mantel-Haenszel, with half a run added to each cell of a pooled table that has an empty one."""
    log_or_low: float | None
    log_or_high: float | None
    risk_difference: float | None
    """P(failure | mode) - P(failure | no mode), Mantel-Haenszel over strata."""
    burden: float | None
    """Prevalence x risk difference: the share of runs that would not have failed if it were all causal."""
    burden_low: float | None
    burden_high: float | None
    n: int


def lethality(
    failed: Sequence[bool], present: Sequence[float] | Floats, strata: Sequence[Hashable], seed: int = SEED
) -> Lethality:
    """Association of a mode with failure, stratified (by scenario and model).

    RD = sum_k w_k (p1_k - p0_k) / sum_k w_k with w_k = n1_k n0_k / n_k  (Greenland & Robins 1985, Biometrics
    41:55); log OR by Mantel-Haenszel with Robins-Breslow-Greenland variance (`statsmodels`). The interval of
    the burden resamples strata. Undecided runs are left out; strata without both groups carry no weight.
    """
    decided = np.asarray(present, dtype=np.float64)
    kept = ~np.isnan(decided)
    mode, lost = decided[kept] > 0.5, np.asarray(failed, dtype=bool)[kept]
    names = np.array([repr(stratum) for stratum in strata], dtype=object)[kept].astype(str)
    n = len(mode)
    prevalence = float(mode.mean()) if n else 0.0
    _, place = np.unique(names, return_inverse=True)
    cells = _cells(mode, lost, place)
    weights, difference = _weights(cells)
    if not weights.sum():
        return Lethality(prevalence, None, None, None, None, None, None, None, n)
    risk = float((weights * difference).sum() / weights.sum())
    counts = cells.sum(axis=(1, 2))
    draws = np.random.default_rng(seed).multinomial(
        len(cells), np.full(len(cells), 1 / len(cells)), RESAMPLES
    )
    shares = (draws @ cells[:, 0].sum(axis=1)) / (draws @ counts)
    totals = draws @ weights
    risks = np.divide(draws @ (weights * difference), totals, out=np.zeros(RESAMPLES), where=totals > 0)
    low, high = np.quantile(shares * risks, [0.025, 0.975])
    odds = _log_odds(cells[weights > 0])
    return Lethality(prevalence, *odds, risk, prevalence * risk, float(low), float(high), n)


def _cells(mode: NDArray[np.bool_], lost: NDArray[np.bool_], place: NDArray[np.intp]) -> Floats:
    """Per stratum [[mode & failed, mode & passed], [no mode & failed, no mode & passed]]."""
    cells = np.zeros((int(place.max()) + 1 if len(place) else 0, 2, 2))
    np.add.at(cells, (place, 1 - mode.astype(int), 1 - lost.astype(int)), 1)
    return cells


def _weights(cells: Floats) -> tuple[Floats, Floats]:
    with_mode, without = cells[:, 0].sum(axis=1), cells[:, 1].sum(axis=1)
    weights = with_mode * without / np.maximum(with_mode + without, 1)
    rates = [cells[:, row, 0] / np.maximum(cells[:, row].sum(axis=1), 1) for row in (0, 1)]
    return weights, rates[0] - rates[1]


def _log_odds(cells: Floats) -> tuple[float | None, float | None, float | None]:
    tables = list(cells)
    if (cells.sum(axis=0) == 0).any() or not (cells[:, 0, 1] * cells[:, 1, 0]).sum():
        tables = [cells.sum(axis=0) + 0.5]
    with np.errstate(divide="ignore", invalid="ignore"):
        table = StratifiedTable(tables)
        value, (low, high) = float(table.logodds_pooled), table.logodds_pooled_confint()
    found = (value, float(low), float(high))
    return found if all(np.isfinite(found)) else (None, None, None)
