"""Covariate adjustment of scenario differences without leakage (CUPED).

Owns: the covariate that no trial of the model itself enters, and the adjusted contrast. Does not own: the
unadjusted contrast, which stays the declared one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from harness.statistics.contrasts import paired_differences


class Adjusted(NamedTuple):
    """An adjusted contrast. None: not enough scenarios with a covariate."""

    estimate: float | None
    low: float | None
    high: float | None
    variance_ratio: float | None
    """Variance of the estimate over that of the unadjusted one: what the covariate saves."""
    scenarios: int
    covariate: str


def other_models_baseline(frame: pd.DataFrame, model: str, reference: str, metric: str) -> dict[str, float]:
    """Scenario -> mean of the metric under the reference arm over all *other* models.

    Leave-one-model-out: the model's own trials, of any arm, never enter its covariate, so adjusting by it
    cannot leak the outcome (docs/sources S8). Empty when there is no other model."""
    others = frame.loc[(frame["model"] != model) & (frame["arm"] == reference) & frame[metric].notna()]
    per_model = others.groupby(["scenario", "model"])[metric].mean()
    return {str(scenario): float(value) for scenario, value in per_model.groupby("scenario").mean().items()}


def cuped(
    differences: dict[str, float], covariate: dict[str, float], name: str = "", confidence: float = 0.95
) -> Adjusted:
    """Mean difference at the covariate's mean:  d' = mean d - theta (mean x over S - mean x over N).

    CUPED (Deng et al. 2013, WSDM) with theta = Cov(d, x) / Var(x). The covariate's expectation is its mean over
    all N scenarios that have one, the S paired ones among them, so it is known only as well as N allows (double
    sampling; Cochran 1977, section 12.6):  Var = sum e^2 / (S - 2) / S + theta^2 Var(x) / N.  The factor
    1 - rho^2 of docs/sources S8 is reached as N grows; with N = S nothing is gained, and the ratio says so.
    Needs five scenarios that have both, and values that vary.
    """
    shared = sorted(differences.keys() & covariate.keys())
    d = np.array([differences[scenario] for scenario in shared])
    x = np.array([covariate[scenario] for scenario in shared])
    if len(d) < 5 or np.ptp(x) == 0 or np.ptp(d) == 0:
        return Adjusted(None, None, None, None, len(d), name)
    everywhere = np.array(list(covariate.values()))
    centred = x - x.mean()
    theta = float(centred @ d / (centred @ centred))
    estimate = float(d.mean() - theta * (x.mean() - everywhere.mean()))
    residual = d - d.mean() - theta * centred
    explained = theta**2 * float(everywhere.var(ddof=1)) / len(everywhere)
    variance = float(residual @ residual) / (len(d) - 2) / len(d) + explained
    reach = float(stats.t.ppf(0.5 + confidence / 2, len(d) - 2)) * float(np.sqrt(variance))
    ratio = variance / (float(d.var(ddof=1)) / len(d))
    return Adjusted(estimate, estimate - reach, estimate + reach, ratio, len(d), name)


def adjusted_contrast(
    frame: pd.DataFrame, model: str, agent: str, arm: str, reference: str, metric: str
) -> Adjusted:
    """The contrast of one system adjusted by what the scenario's reference arm achieves with other models."""
    own = frame.loc[(frame["model"] == model) & (frame["agent"] == agent)]
    differences, _ = paired_differences(own, arm, reference, metric)
    covariate = other_models_baseline(frame, model, reference, metric)
    return cuped(differences, covariate, f"{metric} of other models under {reference}")
