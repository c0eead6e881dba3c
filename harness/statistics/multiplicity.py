"""Correction for multiple testing of the declared primary family.

Owns: the correction. Does not own: which tests belong to the family.
"""

from __future__ import annotations

from collections.abc import Sequence

from statsmodels.stats.multitest import multipletests


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values (Holm 1979), in the order given.

    With sorted p(1) <= ... <= p(m):  max over j <= i of (m - j + 1) p(j), at most 1. Controls the
    family-wise error rate under any dependence.
    """
    if not p_values:
        return []
    return [float(p) for p in multipletests(list(p_values), method="holm")[1]]
