"""What a success costs, and how long a correct conclusion takes.

Owns: ratio and survival estimates with cluster-bootstrap intervals. Does not own: prices or clocks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from harness.statistics.means import Floats
from harness.statistics.resampling import SEED

RESAMPLES = 2_000


class Ratio(NamedTuple):
    """An estimate with its interval. None: no success, or too few scenarios for limits."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    scenarios: int


def cost_per_success(
    cost: Sequence[float] | Floats, success: Sequence[bool], scenarios: Sequence[Any], seed: int = SEED
) -> Ratio:
    """Expected cost per success, E[cost] / P(success) = sum of costs / number of successes.

    Interval: percentile cluster bootstrap over scenarios (Field & Welsh 2007, JRSS B 69:369; docs/sources S11).
    A resample without any success has infinite cost, so the upper limit may be missing.
    """
    spent = np.asarray(cost, dtype=np.float64)
    won = np.asarray(success, dtype=np.float64)
    kept = ~np.isnan(spent)
    totals = _totals(np.column_stack([spent, won])[kept], _kept(scenarios, kept))

    def ratio(sums: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(sums[..., 1] > 0, sums[..., 0] / sums[..., 1], np.inf)

    return _bootstrapped(totals, ratio, int(kept.sum()), seed)


def kaplan_meier(times: Sequence[float] | Floats, event: Sequence[bool]) -> tuple[Floats, Floats]:
    """Times at which events happen and the survival just after each.

    S(t) = prod over t_i <= t of (1 - d_i / n_i)  (Kaplan & Meier 1958, JASA 53:457)."""
    t, happened = np.asarray(times, dtype=np.float64), np.asarray(event, dtype=bool)
    at = np.unique(t[happened])
    deaths = np.array([(t[happened] == moment).sum() for moment in at], dtype=np.float64)
    at_risk = np.array([(t >= moment).sum() for moment in at], dtype=np.float64)
    return at, np.asarray(np.cumprod(1 - deaths / at_risk), dtype=np.float64)


def restricted_mean(times: Sequence[float] | Floats, event: Sequence[bool], horizon: float) -> float:
    """Area under the Kaplan-Meier curve up to `horizon` (Royston & Parmar 2013, BMC Med Res Methodol 13:152)."""
    at, survival = kaplan_meier(times, event)
    inside = at < horizon
    edges = np.concatenate(([0.0], at[inside], [horizon]))
    heights = np.concatenate(([1.0], survival[inside]))
    return float(np.diff(edges) @ heights)


def time_to_conclusion(
    seconds: Sequence[float] | Floats,
    correct: Sequence[bool],
    scenarios: Sequence[Any],
    horizon: float,
    seed: int = SEED,
) -> Ratio:
    """Restricted mean time to a correct conclusion within the budget `horizon`, in the unit of `seconds`.

    A run that ends without a correct conclusion never reaches one within the budget: it is censored at the
    horizon, not when it gave up, or giving up early would look fast. Then the restricted mean is the mean of
    min(T, horizon) and its interval a percentile cluster bootstrap over scenarios.
    """
    t = np.asarray(seconds, dtype=np.float64)
    kept = ~np.isnan(t)
    concluded = np.asarray(correct, dtype=bool)[kept]
    capped = np.where(concluded, np.minimum(t[kept], horizon), horizon)
    totals = _totals(np.column_stack([capped, np.ones(len(capped))]), _kept(scenarios, kept))
    return _bootstrapped(totals, lambda sums: sums[..., 0] / sums[..., 1], len(capped), seed)


def _kept(scenarios: Sequence[Any], kept: Any) -> Any:
    return np.asarray(scenarios, dtype=object).astype(str)[kept]


def _totals(values: Floats, scenarios: Any) -> Floats:
    """Sums by scenario, one row each, in the scenarios' order of names."""
    found, place = np.unique(scenarios, return_inverse=True)
    columns = [np.bincount(place, weights=values[:, c], minlength=len(found)) for c in range(values.shape[1])]
    return np.column_stack(columns) if len(found) else np.zeros((0, values.shape[1]))


def _bootstrapped(totals: Floats, ratio: Callable[[Floats], Floats], n: int, seed: int) -> Ratio:
    count = len(totals)
    if not count:
        return Ratio(None, None, None, 0, 0)
    value = float(ratio(totals.sum(axis=0)))
    point = value if np.isfinite(value) else None
    if count < 2:
        return Ratio(point, None, None, n, count)
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    low, high = np.quantile(ratio(draws @ totals), [0.025, 0.975], method="closest_observation")
    limits = [float(limit) if np.isfinite(limit) else None for limit in (low, high)]
    return Ratio(point, limits[0], limits[1], n, count)
