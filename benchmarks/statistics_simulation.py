"""Do intervals cover and do tests hold their level? 1,000 simulated experiments of 35 scenarios x 3 runs.

    python benchmarks/statistics_simulation.py [repetitions]

Prints the share of intervals that hold the truth (wanted: 93-97 % of nominal 95 %), of null experiments that a
test rejects (wanted: 4-6 % at 5 %), and of planted shifts that are found beside the power that `plan` states.
Exits with 1 when a figure is outside. Recall of a run is 0 or 1 with a chance that varies between scenarios. The
sign-flip test is exact: its level is never above 5 %. Where differences are multiples of 1/3 many sign patterns tie
with the observed one and all of them count, so there it rejects less often than 5 %.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np

from harness.statistics import bca_interval, clustered_mean, sign_flip_p
from harness.statistics.means import Floats
from harness.statistics.misclassification import Calibration, rogan_gladen
from harness.statistics.power import Spread, detectable

SCENARIOS, RUNS = 35, 3
MEAN, SPREAD = 0.35, 0.25
"""Of the chance of full recall between scenarios."""
SHIFT = 0.2
LEVELS = 5
"""Times as many experiments for a level: 1,000 would know 5 % only to +-1.4 %, which is wider than the band."""


def experiment(rng: np.random.Generator, shift: float, heterogeneity: float) -> tuple[Floats, Floats, float]:
    """Runs of both arms (scenario x run) and the true mean shift over the population of scenarios."""
    size = MEAN * (1 - MEAN) / SPREAD**2 - 1
    ease = 0.8 * rng.beta(MEAN * size, (1 - MEAN) * size, SCENARIOS)
    moved = np.clip(ease + shift + heterogeneity * rng.choice([-1.0, 1.0], SCENARIOS), 0, 1)
    draws = [(rng.random((RUNS, SCENARIOS)) < chance).T.astype(float) for chance in (ease, moved)]
    return draws[0], draws[1], float((moved - ease).mean())


def population_shift(shift: float, heterogeneity: float) -> float:
    """The mean shift over very many scenarios; cutting chances at 1 makes it less than `shift`."""
    rng = np.random.default_rng(99)
    return float(np.mean([experiment(rng, shift, heterogeneity)[2] for _ in range(4000)]))


def differences(rng: np.random.Generator, shift: float, heterogeneity: float = 0.0) -> Floats:
    """Scenario differences of one simulated experiment."""
    reference, arm, _ = experiment(rng, shift, heterogeneity)
    return arm.mean(axis=1) - reference.mean(axis=1)


def coverage_of_contrast(shift: float, heterogeneity: float) -> Callable[[np.random.Generator], bool]:
    truth = population_shift(shift, heterogeneity)

    def covered(rng: np.random.Generator) -> bool:
        low, high, _ = bca_interval(differences(rng, shift, heterogeneity), resamples=1999)
        return low is not None and high is not None and low <= truth <= high

    return covered


def coverage_of_mean(rng: np.random.Generator) -> bool:
    reference, _, _ = experiment(rng, 0, 0)
    found = clustered_mean(reference.ravel(), np.repeat(np.arange(SCENARIOS), RUNS).tolist(), bounds=(0, 1))
    return found.low is not None and found.high is not None and found.low <= 0.8 * MEAN <= found.high


def coverage_of_correction(rng: np.random.Generator) -> bool:
    hits, clear = rng.binomial(80, 0.9), rng.binomial(80, 0.92)
    share = rng.binomial(105, 0.3 * 0.9 + 0.7 * 0.08) / 105
    found = rogan_gladen(share, 105, Calibration(hits, 80 - hits, 80 - clear, clear))
    return found.low is not None and found.high is not None and found.low <= 0.3 <= found.high


def rejects(shift: float, heterogeneity: float) -> Callable[[np.random.Generator], bool]:
    return lambda rng: sign_flip_p(differences(rng, shift, heterogeneity), draws=4999) < 0.05


def rejects_cost(rng: np.random.Generator) -> bool:
    """A metric without ties: lognormal cost that depends on the scenario."""
    base = rng.normal(0, 0.5, (SCENARIOS, 1))
    costs = np.exp(base + rng.normal(0, 0.4, (2, SCENARIOS, RUNS)))
    d: Floats = costs[0].mean(axis=1) - costs[1].mean(axis=1)
    return sign_flip_p(d, draws=4999) < 0.05


def main(repetitions: int) -> int:
    """Run every simulation and print one line each."""
    observed = np.concatenate([differences(np.random.default_rng(i), SHIFT) for i in range(200)])
    stated = detectable(Spread(float(observed.std()), 0.0), SCENARIOS, 1)
    levels = LEVELS * repetitions
    rows: list[tuple[str, int, Callable[[np.random.Generator], bool], float, float]] = [
        ("BCa interval of a contrast, no effect", repetitions, coverage_of_contrast(0, 0), 0.93, 0.97),
        ("BCa interval of a contrast, shift 0.2", repetitions, coverage_of_contrast(SHIFT, 0), 0.93, 0.97),
        (
            "BCa interval, shift 0.2 that varies by 0.15",
            repetitions,
            coverage_of_contrast(SHIFT, 0.15),
            0.93,
            0.97,
        ),
        ("t interval of an arm's mean", repetitions, coverage_of_mean, 0.93, 0.97),
        ("Rogan-Gladen interval, 80 + 80 labelled", repetitions, coverage_of_correction, 0.93, 0.97),
        ("sign-flip test, no effect, cost (continuous)", levels, rejects_cost, 0.04, 0.06),
        ("sign-flip test, no effect, recall of 0/1 runs", levels, rejects(0, 0), 0.0, 0.06),
        (
            f"sign-flip test, shift {stated:.2f} (stated power 80 %)",
            repetitions,
            rejects(stated, 0),
            0.70,
            0.90,
        ),
        (f"sign-flip test, shift {SHIFT}", repetitions, rejects(SHIFT, 0), 0.80, 1.0),
    ]
    wrong = 0
    print(f"{repetitions} experiments of {SCENARIOS} scenarios x {RUNS} runs")
    for number, (name, count, simulate, low, high) in enumerate(rows):
        rng = np.random.default_rng(1000 + number)
        share = float(np.mean([simulate(rng) for _ in range(count)]))
        good = low <= share <= high
        wrong += not good
        print(f"{name:<55} {share:6.1%}   wanted {low:.0%} to {high:.0%}   {'ok' if good else 'OUTSIDE'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
