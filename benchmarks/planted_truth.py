"""Do the intervals of a small experiment hold the effect that 50 times as many trials show?

    python benchmarks/planted_truth.py [repeats of the large experiment]

A simulated model with known propensities, 12 incidents, a guard and its twin against the baseline. The small
experiment has one repeat, the large one 50 with other seeds; both are ordinary runs. The propensities plant the
modes, so the effect on them is known to exist; its size comes out of the mechanism, which is why it is
measured. Exits with 1 when more than one of the six intervals misses."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from harness.config import ExperimentConfig
from harness.experiment import run_experiment
from harness.report.metrics import METRICS
from harness.statistics import paired_differences, scenario_contrast, trials_frame
from harness.store import RunDirectory

PROPENSITIES = {"stop_early": 0.2, "skip_evidence": 0.5, "step_repetition": 0.3, "fake_verification": 0.5}
SCENARIOS = [3, 5, 10, 12, 14, 16, 20, 24, 30, 46, 105, 114]
ARMS: dict[str, Sequence[str]] = {"gate": ["verifier_gate"], "text": ["verifier_gate_prompt"]}
COLUMNS = ("recall", "remediated", "modes")
ALLOWED_MISSES = 1


def run(path: Path, repeats: int, seed: int) -> pd.DataFrame:
    """The trials table of one experiment."""
    fields: dict[str, Any] = {
        "name": "planted",
        "question": "?",
        "scenario": SCENARIOS,
        "agents": {"react": {"kind": "react"}},
        "models": {"planted": {"kind": "simulated", "propensities": PROPENSITIES}},
        "arms": {"baseline": [], **ARMS},
        "repeats": repeats,
        "seed": seed,
        "executor": {"kind": "local"},
        "run_dir": str(path),
    }
    run_experiment(ExperimentConfig.model_validate(fields))
    return trials_frame(RunDirectory(path).records())


def main(repeats: int) -> int:
    """Print one line per arm and metric."""
    with tempfile.TemporaryDirectory() as folder:
        small, large = run(Path(folder, "small"), 1, 1), run(Path(folder, "large"), repeats, 2)
    missed = 0
    print(f"Simulated model. {len(small)} trials against {len(large)}")
    for arm in ARMS:
        for column in COLUMNS:
            found = scenario_contrast(small, arm, "baseline", column, METRICS[column].bounds)
            known = paired_differences(large, arm, "baseline", column)[0]
            truth = sum(known.values()) / len(known)
            held = found.low is not None and found.high is not None and found.low <= truth <= found.high
            missed += not held
            limits = "no interval" if found.low is None else f"[{found.low:+.2f}, {found.high:+.2f}]"
            says = "held" if held else "MISSED"
            print(f"{arm:<5} {column:<11} {found.estimate:+.2f} {limits:<16} truth {truth:+.3f} {says}")
    return int(missed > ALLOWED_MISSES)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 50))
