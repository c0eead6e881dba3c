"""Means and shares with intervals that respect clustering by scenario.

Owns: estimates for one arm. Does not own: comparisons of arms (`contrasts.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

CONFIDENCE = 0.95
Floats = NDArray[np.float64]


class Estimate(NamedTuple):
    """A point estimate, its interval and what it rests on. None: cannot be estimated from these data."""

    mean: float | None
    low: float | None
    high: float | None
    n: int
    """Trials that had a value."""
    scenarios: int
    sd_within: float | None
    """Standard deviation between repeats of the same scenario: the noise floor of one run."""


EMPTY = Estimate(None, None, None, 0, 0, None)


def clustered_mean(
    values: Sequence[float] | Floats,
    scenarios: Sequence[Any],
    bounds: tuple[float, float] | None = None,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """Mean over scenarios of the mean over runs, with a t interval over scenarios.

    With y_s the mean of the runs of scenario s:  m = sum(y_s) / S,  SE = sd(y_s) / sqrt(S),
    m +- t(1 - a/2; S - 1) * SE. With equal runs per scenario this is the clustered standard error of
    Miller 2024 (arXiv 2411.00640), section 2.2. Missing values are left out. `bounds` is the range that a
    value can take: the interval is cut to it, and where all scenarios sit on one bound see `_at_bound`.
    One scenario gives no interval.
    """
    y, cluster, count = _clusters(values, scenarios)
    if not len(y):
        return EMPTY
    means = np.bincount(cluster, weights=y, minlength=count) / np.bincount(cluster, minlength=count)
    mean = float(means.mean())
    sd_within = _sd_within(y, means[cluster], count)
    if count < 2:
        return Estimate(mean, None, None, len(y), count, sd_within)
    error = float(means.std(ddof=1)) / np.sqrt(count)
    low, high = _t_interval(mean, error, count, confidence)
    if bounds is not None:
        low, high = _at_bound(means, bounds, confidence) or (max(low, bounds[0]), min(high, bounds[1]))
    return Estimate(mean, float(low), float(high), len(y), count, sd_within)


def clustered_share(
    values: Sequence[float] | Floats, scenarios: Sequence[Any], confidence: float = CONFIDENCE
) -> Estimate:
    """Share of trials with value 1 among those decided, each trial weighing the same.

    A ratio of cluster totals, p = sum(x_s) / sum(m_s) with x_s ones among m_s decided trials of scenario s,
    and its linearised variance  S / (S - 1) * sum((x_s - p m_s)^2) / (sum m_s)^2  (Cochran, Sampling
    Techniques, 1977, section 11.8; with equal m_s it equals `clustered_mean`). Missing values are undecided.
    """
    x, cluster, count = _clusters(values, scenarios)
    if not len(x):
        return EMPTY
    share = float(x.mean())
    ones = np.bincount(cluster, weights=x, minlength=count)
    decided = np.bincount(cluster, minlength=count)
    sd_within = _sd_within(x, (ones / decided)[cluster], count)
    if count < 2:
        return Estimate(share, None, None, len(x), count, sd_within)
    residual = ones - share * decided
    error = float(np.sqrt(count / (count - 1) * (residual**2).sum())) / len(x)
    low, high = _t_interval(share, error, count, confidence)
    at_bound = _at_bound(ones / decided, (0.0, 1.0), confidence)
    if (
        not at_bound and not error
    ):  # all scenarios alike, and not at a bound: nothing says how far others may lie
        return Estimate(share, None, None, len(x), count, sd_within)
    low, high = at_bound or (max(low, 0.0), min(high, 1.0))
    return Estimate(share, float(low), float(high), len(x), count, sd_within)


def _clusters(
    values: Sequence[float] | Floats, scenarios: Sequence[Any]
) -> tuple[Floats, NDArray[np.intp], int]:
    """Values that exist, the number of each one's scenario, and how many scenarios there are."""
    y = np.asarray(values, dtype=np.float64)
    names = np.asarray(scenarios, dtype=object).astype(str)
    if len(y) != len(names):
        raise ValueError(f"{len(y)} values but {len(names)} scenarios; expected one scenario per value")
    exists = ~np.isnan(y)
    found, cluster = np.unique(names[exists], return_inverse=True)
    # Sorted within scenarios, so that rounding does not depend on the order of the records.
    order = np.lexsort((y[exists], cluster))
    return y[exists][order], cluster[order], len(found)


def _t_interval(mean: float, error: float, count: int, confidence: float) -> tuple[float, float]:
    reach = float(stats.t.ppf(0.5 + confidence / 2, count - 1)) * error
    return mean - reach, mean + reach


def _at_bound(means: Floats, bounds: tuple[float, float], confidence: float) -> tuple[float, float] | None:
    """The interval where every scenario sits on the same bound and the t interval would have no width.

    For values in [0, 1] with mean m, P(y = 1) <= m (Markov), so P(all S scenarios at 1) <= m^S: means under
    ((1 - c) / 2)^(1/S) are refuted, the Clopper-Pearson limit with S draws. Likewise at 0.
    """
    low, high = bounds
    if not np.isfinite(high - low):
        return None
    margin = (high - low) * (1 - ((1 - confidence) / 2) ** (1 / len(means)))
    if np.all(means == high):
        return high - margin, high
    if np.all(means == low):
        return low, low + margin
    return None


def _sd_within(y: Floats, own_mean: Floats, count: int) -> float | None:
    """Pooled over scenarios: sqrt(sum (y - y_s)^2 / (n - S)). None without repeats."""
    if len(y) <= count:
        return None
    return float(np.sqrt(((y - own_mean) ** 2).sum() / (len(y) - count)))
