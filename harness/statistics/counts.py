"""Modes per trace adjusted for the length of the trace.

Owns: the count model. Does not own: the unadjusted paired difference (`contrasts.py`).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from harness.statistics.means import Floats


class RateRatio(NamedTuple):
    """Modes per step under the arm divided by those under the reference. None: no estimate."""

    ratio: float | None
    low: float | None
    high: float | None
    p_value: float | None
    dispersion: float | None
    """Negative binomial a in Var = mu + a mu^2; 0 is Poisson."""
    n: int
    scenarios: int


def rate_ratio(
    modes: Sequence[float] | Floats,
    steps: Sequence[float] | Floats,
    in_arm: Sequence[bool],
    scenarios: Sequence[Any],
    confidence: float = 0.95,
) -> RateRatio:
    """Negative binomial regression  log E(modes) = log(steps) + b0 + b1 [arm],  ratio = exp(b1).

    NB2 with Var = mu + a mu^2 (Cameron & Trivedi 2013, ch. 3; `statsmodels` GLM). a is the moment estimate
    max(0, sum((y - mu)^2 - mu) / sum(mu^2)) from a Poisson fit; errors are sandwich errors clustered by
    scenario with a t(S - 1) reference. Trials without a count or without a step are left out. Fewer than
    three scenarios, or an arm without any mode: no estimate.
    """
    from statsmodels.genmod import families  # statsmodels.api would import all of it
    from statsmodels.genmod.generalized_linear_model import GLM

    y, exposure = np.asarray(modes, dtype=np.float64), np.asarray(steps, dtype=np.float64)
    kept = ~np.isnan(y) & (exposure > 0)
    y, exposure = y[kept], exposure[kept]
    arm = np.asarray(in_arm, dtype=np.float64)[kept]
    found, cluster = np.unique(np.asarray(scenarios, dtype=object).astype(str)[kept], return_inverse=True)
    nothing = RateRatio(None, None, None, None, None, len(y), len(found))
    if len(found) < 3 or not y[arm == 1].sum() or not y[arm == 0].sum():
        return nothing
    design = np.column_stack([np.ones(len(y)), arm])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # statsmodels warns of its default a, which is given below
        mean = GLM(y, design, family=families.Poisson(), offset=np.log(exposure)).fit().mu
        dispersion = max(0.0, float(((y - mean) ** 2 - mean).sum() / (mean**2).sum()))
        family = families.NegativeBinomial(alpha=dispersion) if dispersion > 1e-8 else families.Poisson()
        fit = GLM(y, design, family=family, offset=np.log(exposure)).fit(
            cov_type="cluster", cov_kwds={"groups": cluster}
        )
    slope, error = float(fit.params[1]), float(fit.bse[1])
    if not np.isfinite(error) or error <= 0:
        return nothing
    reach = float(stats.t.ppf(0.5 + confidence / 2, len(found) - 1)) * error
    p = 2 * float(stats.t.sf(abs(slope) / error, len(found) - 1))
    low, high = float(np.exp(slope - reach)), float(np.exp(slope + reach))
    return RateRatio(float(np.exp(slope)), low, high, p, dispersion, len(y), len(found))
