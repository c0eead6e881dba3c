"""Reliability over repeats: pass@k (at least one of k succeeds) and pass^k (all k succeed).

Owns: the two estimators. Does not own: what counts as a success.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from math import comb
from typing import Any, NamedTuple


class Reliability(NamedTuple):
    """Both estimators, averaged over scenarios. None when no scenario has `k` runs."""

    k: int
    pass_at_k: float | None
    pass_hat_k: float | None
    scenarios: int


def pass_at_k(runs: int, successes: int, k: int) -> float:
    """1 - C(n - c, k) / C(n, k): chance that of k runs drawn from n at least one succeeds
    (Chen et al. 2021, arXiv 2107.03374)."""
    _check(runs, successes, k)
    return 1 - comb(runs - successes, k) / comb(runs, k)


def pass_hat_k(runs: int, successes: int, k: int) -> float:
    """C(c, k) / C(n, k): chance that all of k runs drawn from n succeed (tau-bench, arXiv 2406.12045)."""
    _check(runs, successes, k)
    return comb(successes, k) / comb(runs, k)


def reliability(success: Sequence[bool], scenarios: Sequence[Any], k: int) -> Reliability:
    """pass@k and pass^k averaged over the scenarios that have at least k runs."""
    runs: dict[Any, list[bool]] = defaultdict(list)
    for scenario, passed in zip(scenarios, success, strict=True):
        runs[scenario].append(bool(passed))
    enough = [(len(results), sum(results)) for results in runs.values() if len(results) >= k]
    if not enough:
        return Reliability(k, None, None, 0)
    at = sum(pass_at_k(n, c, k) for n, c in enough) / len(enough)
    hat = sum(pass_hat_k(n, c, k) for n, c in enough) / len(enough)
    return Reliability(k, at, hat, len(enough))


def _check(runs: int, successes: int, k: int) -> None:
    if not 1 <= k <= runs:
        raise ValueError(f"k is {k}, expected 1 to {runs} (the number of runs)")
    if not 0 <= successes <= runs:
        raise ValueError(f"{successes} successes, expected 0 to {runs}")
