"""Ray against local, and two workers against one, on the same trials: ratios of trials per second after the start.

    python benchmarks/executors.py [--trials 200] [--rounds 3]

Simulated cluster and simulated model, so that every trial is computing; a run is measured from its first tenth of
finished trials to its last trial, in rounds that take turns. The second ratio needs two free processors.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from statistics import median

from harness.config import ExperimentConfig, parse_config
from harness.executors import create_executor
from harness.experiment import build_plan
from harness.finished import Finished
from harness.interrupt import Stop

SETUPS = {
    "local": {"kind": "local", "in_flight": 1},
    "ray, 1 worker": {"kind": "ray", "workers": 1, "in_flight": 1},
    "ray, 2 workers": {"kind": "ray", "workers": 2, "in_flight": 1},
}


def config_of(executor: dict[str, object], trials: int) -> ExperimentConfig:
    """One scenario and arm, as many repeats as trials."""
    return parse_config(
        {
            "name": "executors",
            "question": "What does distribution cost?",
            "scenario": [2],
            "repeats": trials,
            "arms": {"baseline": []},
            "models": {"sim": {"kind": "simulated"}},
            "agents": {"react": {"kind": "react"}},
            "executor": executor,
        }
    )


def rate(executor: dict[str, object], trials: int) -> float:
    """Trials per second between the first tenth of the trials and the last."""
    config = config_of(executor, trials)
    times: list[float] = []

    def keep(batch: Sequence[Finished]) -> None:
        times.extend([time.perf_counter()] * len(batch))

    create_executor(config.executor.kind).execute(config, build_plan(config).trials, keep, Stop())
    warm = trials // 10
    return (trials - warm - 1) / (times[-1] - times[warm])


def main() -> None:
    """Measure in turns and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    rates: dict[str, list[float]] = {name: [] for name in SETUPS}
    for number in range(given.rounds):
        for name, executor in SETUPS.items():
            rates[name].append(rate(executor, given.trials))
            sys.stderr.write(f"round {number + 1}: {name}: {rates[name][-1]:.1f} trials/s\n")
    middle = {name: median(found) for name, found in rates.items()}
    for name, found in middle.items():
        print(f"{name:16} {found:6.1f} trials/s (median of {given.rounds})")
    print(f"ray / local, one worker: {middle['ray, 1 worker'] / middle['local']:.3f} (target >= 0.95)")
    print(
        f"two workers / one:       {middle['ray, 2 workers'] / middle['ray, 1 worker']:.3f} (target >= 1.8)"
    )


if __name__ == "__main__":
    main()
