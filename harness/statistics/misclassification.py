"""Prevalence of a mode corrected for the classifier's errors, per arm.

Owns: the correction and the check whether errors differ between arms. Does not own: the calibration itself
(`calibration.json`, made from labelled traces).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

LEAST_YOUDEN = 0.4
"""A mode whose J = se + sp - 1 may be below this is not published (docs/sources S7)."""


class Calibration(NamedTuple):
    """How a classifier did on labelled traces of one mode."""

    tp: int
    fn: int
    fp: int
    tn: int

    @property
    def positives(self) -> int:
        """Traces that have the mode."""
        return self.tp + self.fn

    @property
    def negatives(self) -> int:
        """Traces that do not."""
        return self.fp + self.tn


class Corrected(NamedTuple):
    """A corrected prevalence. None with a reason in `problem` where it may not be published."""

    prevalence: float | None
    low: float | None
    high: float | None
    observed: float
    n: int
    sensitivity: float | None
    specificity: float | None
    problem: str


def rogan_gladen(
    observed: float,
    n: int,
    calibration: Calibration,
    confidence: float = 0.95,
    effective: float | None = None,
) -> Corrected:
    """True prevalence from the observed share of positives.

    pi = (p + sp - 1) / (se + sp - 1), cut to [0, 1]  (Rogan & Gladen 1978, Am J Epidemiol 107:71), with
    Var = [p(1-p)/n + pi^2 se(1-se)/m1 + (1-pi)^2 sp(1-sp)/m0] / (se+sp-1)^2
    (Lee et al. 2025, arXiv 2511.21140; docs/sources S7). se and sp use Agresti-Coull's two added successes
    and failures in the variance, so that 10 of 10 is not taken as certainty. `effective` replaces n where
    trials are clustered. Refused when the lower limit of J reaches below LEAST_YOUDEN.
    """
    if not calibration.positives or not calibration.negatives:
        lacking = "positive" if not calibration.positives else "negative"
        return Corrected(None, None, None, observed, n, None, None, f"no {lacking} trace to calibrate on")
    se, sp = calibration.tp / calibration.positives, calibration.tn / calibration.negatives
    youden = se + sp - 1
    z = float(stats.norm.ppf(0.5 + confidence / 2))
    spread = (
        _variance(calibration.tp, calibration.positives),
        _variance(calibration.tn, calibration.negatives),
    )
    if youden - z * np.sqrt(sum(spread)) < LEAST_YOUDEN:
        problem = f"J = {youden:.2f}, and its interval reaches below {LEAST_YOUDEN}"
        return Corrected(None, None, None, observed, n, se, sp, problem)
    raw = (observed + sp - 1) / youden
    pi = min(max(raw, 0.0), 1.0)
    size = max(effective or n, 1)
    variance = (observed * (1 - observed) / size + pi**2 * spread[0] + (1 - pi) ** 2 * spread[1]) / youden**2
    reach = z * float(np.sqrt(variance))
    return Corrected(pi, max(0.0, raw - reach), min(1.0, raw + reach), observed, n, se, sp, "")


def _variance(hits: int, total: int) -> float:
    share = (hits + 2) / (total + 4)
    return share * (1 - share) / (total + 4)


class Differential(NamedTuple):
    """Fisher's exact p-values for "the classifier errs alike in both arms"."""

    p_sensitivity: float
    p_specificity: float

    def differs(self, alpha: float = 0.05) -> bool:
        """Errors differ: one correction for both arms could create or hide an effect."""
        return min(self.p_sensitivity, self.p_specificity) < alpha


def differential_error(arm: Calibration, reference: Calibration) -> Differential:
    """Compare sensitivity and specificity of the two arms (Fisher's exact test on each 2x2 table).

    Not rejecting is no proof that they are equal: with few labelled traces they can differ a lot."""
    positives = np.array([[arm.tp, arm.fn], [reference.tp, reference.fn]])
    negatives = np.array([[arm.tn, arm.fp], [reference.tn, reference.fp]])
    return Differential(float(stats.fisher_exact(positives)[1]), float(stats.fisher_exact(negatives)[1]))
