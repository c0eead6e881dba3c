"""Whether an effect differs between models, and contrasts pooled over pairs of arms and models.

Owns: both procedures on scenario differences. Does not own: which pairs are pooled (the plan declares them).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from harness.statistics.contrasts import NO_PAIRS, Contrast, paired_differences
from harness.statistics.means import Floats
from harness.statistics.resampling import SEED, bca_interval, sign_flip_p

DRAWS = 9_999


class Interaction(NamedTuple):
    """Arm x model interaction of one contrast. None: fewer than two models or scenarios in common."""

    effects: dict[str, float]
    """Model -> mean difference over the shared scenarios."""
    spread: float | None
    """Standard deviation of the models' effects."""
    p_value: float | None
    scenarios: int


def arm_by_model(differences: Mapping[str, Mapping[str, float]], seed: int = SEED) -> Interaction:
    """Test "the arm changes every model alike" from each model's scenario differences.

    Permutation of the models' labels within each scenario: under the null a scenario's differences are
    exchangeable among models. Statistic: variance of the models' mean differences, the numerator of the
    repeated-measures F (Pesarin & Salmaso 2010, ch. 4). p = (1 + hits) / (1 + draws).
    """
    models = sorted(differences)
    shared = sorted(set.intersection(*(set(differences[m]) for m in models))) if models else []
    table = np.array([[differences[m][s] for m in models] for s in shared], dtype=np.float64)
    if len(models) < 2 or len(shared) < 2:
        return Interaction({}, None, None, len(shared))
    means = table.mean(axis=0)
    effects = {model: float(mean) for model, mean in zip(models, means, strict=True)}
    rng = np.random.default_rng(seed)
    hits = 0
    reached = float(means.var()) - 1e-12
    for start in range(0, DRAWS, 1_000):
        size = min(1_000, DRAWS - start)
        order = rng.random((size, *table.shape)).argsort(axis=2)
        mixed = np.take_along_axis(np.broadcast_to(table, order.shape), order, axis=2)
        hits += int((mixed.mean(axis=1).var(axis=1) >= reached).sum())
    return Interaction(effects, float(means.std(ddof=1)), (1 + hits) / (1 + DRAWS), len(shared))


def pooled_contrast(
    frame: pd.DataFrame, pairs: Sequence[tuple[str, str]], metric: str, seed: int = SEED
) -> Contrast:
    """One contrast over several (arm, reference) pairs and all systems, e.g. structural minus prompt.

    Within a scenario the differences of all pairs and systems are averaged, so that the scenario stays the
    unit; then as any contrast (BCa interval, sign-flip test). A scenario counts when every pair of every
    system that has data anywhere has a difference there, or the mix of pairs would change between scenarios.
    """
    found: list[dict[str, float]] = []
    count = 0
    for _, system in frame.groupby(["model", "agent"]):
        for arm, reference in pairs:
            differences, matched = paired_differences(system, arm, reference, metric)
            if differences:
                found.append(differences)
                count += matched
    if not found:
        return NO_PAIRS
    shared = sorted(set.intersection(*map(set, found)))
    d: Floats = np.array([np.mean([one[scenario] for one in found]) for scenario in shared])
    if not len(d):
        return NO_PAIRS
    low, high, method = bca_interval(d, seed=seed)
    spread = float(d.std(ddof=1)) if len(d) > 1 else None
    return Contrast(float(d.mean()), low, high, sign_flip_p(d, seed=seed), len(d), count, spread, method)
