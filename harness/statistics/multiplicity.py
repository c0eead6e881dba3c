"""Correction for multiple testing: Holm for the declared primary family, Benjamini-Hochberg for the rest.

Owns: the corrections. Does not own: which tests belong to which family.
"""

from __future__ import annotations

from collections.abc import Sequence

from statsmodels.stats.multitest import multipletests


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values (Holm 1979), in the order given.

    With sorted p(1) <= ... <= p(m):  max over j <= i of (m - j + 1) p(j), at most 1. Controls the
    family-wise error rate under any dependence.
    """
    return _adjusted(p_values, "holm")


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Benjamini-Hochberg adjusted p-values (1995, JRSS B 57:289), in the order given.

    With sorted p(1) <= ... <= p(m):  min over j >= i of m p(j) / j. Rejecting where it is at most q keeps the
    expected share of false discoveries at q for independent or positively dependent tests; the exploratory
    family uses q = 0.10 (docs/sources S6).
    """
    return _adjusted(p_values, "fdr_bh")


def _adjusted(p_values: Sequence[float], method: str) -> list[float]:
    return [float(p) for p in multipletests(list(p_values), method=method)[1]] if p_values else []
