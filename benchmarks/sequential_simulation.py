"""What sequential stopping costs in level and power, and what it saves. 1,000 simulated experiments per row.

    python benchmarks/sequential_simulation.py [repetitions]

Each experiment has up to S scenarios x 3 runs of two arms; recall of a run is 0 or 1. The rule looks after every
scenario (the hardest case for the level). The e-process runs on scenario differences; the fixed design tests all S
with the sign-flip test's normal counterpart, a paired t test. "Equal power" compares with the smallest fixed design
that reaches the power of the sequential one. Exits with 1 when a level is above 5 %.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

import numpy as np
from scipy import stats

from harness.statistics.means import Floats
from harness.statistics.sequential import log_e_process

RUNS = 3
MEAN, SPREAD = 0.35, 0.25
CEILING = 0.75
"""Chances stay below this, so that a shift of 0.2 is not cut off."""
LIMIT = np.log(20.0)


class Row(NamedTuple):
    shift: float
    heterogeneity: float
    rejected: float
    used: float
    """Mean share of the fixed design's trials."""
    fixed_power: float
    equal: float
    """Mean trials over those of the fixed design of equal power."""


def differences(
    rng: np.random.Generator, repetitions: int, scenarios: int, shift: float, vary: float
) -> Floats:
    """Scenario differences, one row per experiment."""
    size = MEAN * (1 - MEAN) / SPREAD**2 - 1
    ease = CEILING * rng.beta(MEAN * size, (1 - MEAN) * size, (repetitions, scenarios))
    # A scenario's own effect is cut symmetrically, or the mean shift would move with it.
    own = np.minimum(vary, np.minimum(ease, 1 - shift - ease)) * rng.choice([-1.0, 1.0], ease.shape)
    moved = ease + shift + own
    runs = [(rng.random((RUNS, *ease.shape)) < chance).mean(axis=0) for chance in (ease, moved)]
    return np.asarray(runs[1] - runs[0], dtype=np.float64)


def fixed_power(d: Floats, scenarios: int) -> float:
    """Share of experiments in which a paired t test of the first `scenarios` is significant at 5 %."""
    part = d[:, :scenarios]
    error = part.std(axis=1, ddof=1) / np.sqrt(scenarios)
    t = np.divide(part.mean(axis=1), error, out=np.zeros(len(d)), where=error > 0)
    return float(np.mean(2 * stats.t.sf(np.abs(t), scenarios - 1) < 0.05))


def simulate(repetitions: int, scenarios: int, shift: float, vary: float, seed: int) -> Row:
    """One row: the sequential design against the fixed one."""
    rng = np.random.default_rng(seed)
    d = differences(rng, repetitions, scenarios, shift, vary)
    crossed = log_e_process(d) >= LIMIT
    found = crossed.any(axis=1)
    stopped = np.where(found, crossed.argmax(axis=1) + 1, scenarios)
    power, used = float(found.mean()), float(stopped.mean())
    equal = next((s for s in range(4, scenarios) if fixed_power(d, s) >= power), scenarios)
    return Row(shift, vary, power, used / scenarios, fixed_power(d, scenarios), used / equal)


def main(repetitions: int) -> int:
    """Print levels, then savings."""
    wrong = 0
    for scenarios in (35, 70, 105):
        print(f"up to {scenarios} scenarios x {RUNS} runs, {repetitions} experiments")
        for number, (shift, vary) in enumerate(((0.0, 0.0), (0.0, 0.2), (0.1, 0.0), (0.2, 0.0), (0.2, 0.15))):
            row = simulate(repetitions, scenarios, shift, vary, 100 + number)
            null = shift == 0
            wrong += null and row.rejected > 0.05
            kind = "level under peeking" if null else "power"
            equal = "" if null else f", {row.equal:4.0%} of the fixed design of equal power"
            print(
                f"  shift {shift:.1f}, varying by {vary:.2f}: {kind} {row.rejected:6.1%} (fixed "
                f"{row.fixed_power:6.1%}), trials used {row.used:4.0%} of the fixed design{equal}"
            )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
