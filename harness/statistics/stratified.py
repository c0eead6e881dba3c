"""Association of a yes/no property with failure over strata: Cochran-Mantel-Haenszel, and Fisher within a stratum.

Owns: these estimates, as pure functions of counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats
from statsmodels.stats.contingency_tables import StratifiedTable

HALDANE = 0.5
"""Added to every cell of an odds ratio, so that empty cells give a finite estimate."""


class Fourfold(NamedTuple):
    """Traces of one stratum, by the property and by failure."""

    with_failed: int
    with_success: int
    without_failed: int
    without_success: int

    @property
    def table(self) -> np.ndarray:
        """Rows: with and without; columns: failed and success."""
        return np.array([self[:2], self[2:]], dtype=float)


class Association(NamedTuple):
    """Pooled over strata."""

    p_value: float
    """Cochran-Mantel-Haenszel with continuity correction."""
    odds_ratio: float
    """Mantel-Haenszel, with 0.5 added to every cell."""


def pooled_association(strata: Sequence[Fourfold]) -> Association | None:
    """Over the strata in which the property both occurs and is absent; None when there is none."""
    informative = [s.table for s in strata if s.table.sum(axis=1).min() > 0]
    if not informative:
        return None
    p_value = float(StratifiedTable(informative).test_null_odds(correction=True).pvalue)
    ratio = float(StratifiedTable([table + HALDANE for table in informative]).oddsratio_pooled)
    return Association(p_value, ratio)


def fisher_p(stratum: Fourfold) -> float:
    """Two-sided exact test within one stratum."""
    return float(stats.fisher_exact(stratum.table).pvalue)
