"""Planning: what a design can detect, and how many runs a wanted effect needs.

Owns: formulas from variance components. Does not own: where the components come from (pilot or guess).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from scipy import stats


class Spread(NamedTuple):
    """Standard deviations of one metric that a plan rests on."""

    effect: float
    """omega: between scenarios, of the true difference of two arms."""
    run: float
    """Between runs of one scenario under one arm."""


def sd_of_difference(spread: Spread, repeats: int) -> float:
    """sqrt(omega^2 + 2 s2_run / K): of a scenario's observed difference (docs/sources S4)."""
    return math.sqrt(spread.effect**2 + 2 * spread.run**2 / repeats)


def detectable(
    spread: Spread, scenarios: int, repeats: int, alpha: float = 0.05, power: float = 0.8
) -> float:
    """Least difference found with `power` by the paired test: (t(1-a/2; S-1) + t(power; S-1)) sd / sqrt(S).

    With many scenarios the factor is 2.80 (Miller 2024, arXiv 2411.00640). Infinite for one scenario."""
    if scenarios < 2:
        return math.inf
    factor = stats.t.ppf(1 - alpha / 2, scenarios - 1) + stats.t.ppf(power, scenarios - 1)
    return float(factor) * sd_of_difference(spread, repeats) / math.sqrt(scenarios)


def repeats_needed(
    effect: float, spread: Spread, scenarios: int, alpha: float = 0.05, power: float = 0.8, most: int = 1_000
) -> int | None:
    """Fewest runs per scenario and arm that find `effect`. None: no number does, because the effect itself
    varies too much between so few scenarios."""
    if detectable(spread, scenarios, most, alpha, power) > effect:
        return None
    low, high = 1, most
    while low < high:
        middle = (low + high) // 2
        if detectable(spread, scenarios, middle, alpha, power) <= effect:
            high = middle
        else:
            low = middle + 1
    return low


def scenarios_needed(
    effect: float, spread: Spread, repeats: int, alpha: float = 0.05, power: float = 0.8, most: int = 10_000
) -> int | None:
    """S = (z(a/2) + z(b))^2 (omega^2 + 2 s2_run / K) / effect^2, with t in the place of z. None: above `most`."""
    return next(
        (count for count in range(2, most) if detectable(spread, count, repeats, alpha, power) <= effect),
        None,
    )
