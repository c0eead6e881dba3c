"""Matched comparisons beside the scenario contrast: McNemar for single runs, TOST for "does no harm".

Owns: the two tests. Does not own: pairing (`contrasts.py`) or the margin (the plan).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from harness.statistics.means import Floats


class Discordance(NamedTuple):
    """Pairs in which exactly one of the two arms succeeds, and the exact two-sided p-value."""

    gained: int
    """Success in the arm, failure in the reference."""
    lost: int
    """The other way round."""
    p_value: float


def mcnemar_exact(arm: Sequence[bool], reference: Sequence[bool]) -> Discordance:
    """McNemar's exact test for one run per scenario and arm.

    Given b + c discordant pairs, b is binomial with chance 1/2 under the null:
    p = min(1, 2 Bin(min(b, c); b + c, 1/2))  (McNemar 1947, Psychometrika 12:153; docs/sources S3). Fewer
    than six discordant pairs cannot reach 0.05. With repeats the runs of a scenario are not independent: use
    the scenario contrast there.
    """
    pairs = list(zip(arm, reference, strict=True))
    gained = sum(bool(a) and not b for a, b in pairs)
    lost = sum(bool(b) and not a for a, b in pairs)
    p = min(1.0, 2 * float(stats.binom.cdf(min(gained, lost), gained + lost, 0.5)))
    return Discordance(gained, lost, p)


class Equivalence(NamedTuple):
    """Two one-sided t tests against a margin. None: fewer than two scenarios."""

    margin: float
    p_not_worse: float | None
    """Null: the arm is worse than the reference by the margin or more."""
    p_equivalent: float | None
    """Null: the arms differ by the margin or more, in either direction (the larger of the two one-sided p)."""


def tost(differences: Sequence[float] | Floats, margin: float, better: str = "higher") -> Equivalence:
    """Equivalence and non-inferiority of an arm from its scenario differences.

    t_L = (d + m) / SE, t_U = (d - m) / SE with SE = sd(d) / sqrt(S) and S - 1 degrees of freedom;
    p = max(P(T > t_L), P(T < t_U))  (Schuirmann 1987, J Pharmacokin Biopharm 15:657; docs/sources S10).
    `better` says which direction is no harm: `higher` or `lower`. Differences without any spread (SE = 0)
    are taken as known exactly only from 10 scenarios on; with fewer they prove nothing and p is 1.
    """
    if margin <= 0:
        raise ValueError(f"the margin is {margin}, expected more than 0")
    d = np.asarray(differences, dtype=np.float64)
    if len(d) < 2:
        return Equivalence(margin, None, None)
    error = float(d.std(ddof=1)) / np.sqrt(len(d))
    above, below = (_one_sided(side, error, len(d)) for side in (d.mean() + margin, margin - d.mean()))
    return Equivalence(margin, above if better == "higher" else below, max(above, below))


EXACT_FROM = 10


def _one_sided(distance: float, error: float, count: int) -> float:
    if error <= 1e-12:
        return 0.0 if distance > 0 and count >= EXACT_FROM else 1.0
    return float(stats.t.sf(distance / error, count - 1))
