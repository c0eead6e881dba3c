"""Whether exclusions fall on the arms alike.

Owns: the test. Does not own: which causes exclude (`harness/errors.py`) or the bounds (`denominators.py`).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from harness.statistics.resampling import SEED

DRAWS = 9_999


class Balance(NamedTuple):
    """Exclusions per arm and the p-value of "every arm loses trials alike"."""

    excluded: dict[str, int]
    p_value: float | None
    """None without any exclusion."""


def exclusion_balance(
    excluded: Sequence[bool], arms: Sequence[str], blocks: Sequence[Hashable], seed: int = SEED
) -> Balance:
    """Cochran's Q (1950, Biometrika 37:256) by permutation of exclusions among the arms of a block.

    A block is what the arms share: model, scenario and repeat. Statistic: sum over arms of (c_a - e_a)^2 with
    c_a its exclusions and e_a those expected if each block's exclusions fell on its arms at random. Sampled
    with p = (1 + hits) / (1 + draws), because exclusions are few and the chi-square limit would not hold.
    """
    names = sorted(set(arms))
    members: dict[Hashable, list[int]] = {}
    for place, block in enumerate(blocks):
        members.setdefault(block, []).append(place)
    flags, arm = np.asarray(excluded, dtype=bool), np.searchsorted(names, list(arms))
    counts = np.bincount(arm[flags], minlength=len(names))
    found = {name: int(count) for name, count in zip(names, counts, strict=True)}
    if not flags.any():
        return Balance(found, None)
    hit = [(arm[rows], int(flags[rows].sum())) for rows in members.values() if flags[rows].any()]
    expected = np.zeros(len(names))
    for rows, lost in hit:
        expected += lost * np.bincount(rows, minlength=len(names)) / len(rows)
    rng = np.random.default_rng(seed)
    drawn = np.zeros((DRAWS, len(names)))
    for rows, lost in hit:
        order = rng.random((DRAWS, len(rows))).argsort(axis=1)[:, :lost]
        for column in range(lost):
            drawn[np.arange(DRAWS), rows[order[:, column]]] += 1
    reached = ((counts - expected) ** 2).sum() - 1e-9
    hits = int((((drawn - expected) ** 2).sum(axis=1) >= reached).sum())
    return Balance(found, (1 + hits) / (1 + DRAWS))
