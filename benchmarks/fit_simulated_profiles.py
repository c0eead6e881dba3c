"""Compares the simulated profiles with the published signatures that they are fitted to, on the baseline arm only.

    python benchmarks/fit_simulated_profiles.py --repeats 5 --seed 1 sim_isolated

The profiles in conf/model/sim_*.yaml were set by hand, reading such a comparison after each change; see
harness/models/simulated/__init__.py. Check with a seed that the fitting did not see. Owns: the targets and the
comparison. No number here is evidence about any LLM.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

sys.path.insert(0, str(Path(__file__).parents[1]))

from harness.config import ExperimentConfig, parse_config
from harness.experiment import expand
from harness.records import TrialRecord
from harness.runner import TrialRunner
from scenarios.loader import catalogue


class Target(NamedTuple):
    """A published signature (docs/sources M4): recall, modes per failed trace, share of failed traces."""

    recall: float
    modes_per_failed: float
    shares: dict[str, float]
    """Verification counts as one family: the published 3.3 may hold 3.2 (docs/sources M2)."""


ORDER = (
    "disobey_task",
    "step_repetition",
    "history_loss",
    "unaware_termination",
    "conversation_reset",
    "no_clarification",
    "derailment",
    "reasoning_action",
    "premature_termination",
    "verification",
)
TARGETS = {
    "sim_isolated": Target(0.75, 2.6, dict(zip(ORDER, (27, 59, 0, 16, 0, 9, 2, 36, 41, 66), strict=True))),
    "sim_early_stop": Target(
        0.29, 4.7, dict(zip(ORDER, (50, 91, 8, 43, 0, 21, 26, 92, 46, 83), strict=True))
    ),
    "sim_cascading": Target(
        0.12, 5.3, dict(zip(ORDER, (70, 97, 25, 49, 14, 19, 13, 96, 42, 94), strict=True))
    ),
}
VERIFICATION = {"no_or_incomplete_verification", "incorrect_verification"}


def main(argv: Sequence[str] | None = None) -> int:
    """Print measured against published, one block per profile."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("profiles", nargs="*", metavar="PROFILE", help="default: all three")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    for profile in options.profiles or TARGETS:
        config = configuration(profile, options.repeats, options.seed)
        began = time.perf_counter()
        records = asyncio.run(measured(config))
        show(profile, records, time.perf_counter() - began)
    return 0


def configuration(profile: str, repeats: int, seed: int) -> ExperimentConfig:
    """The default experiment with one model and the baseline arm."""
    overrides = ["+experiment=verifier_gate", f"model=[{profile}]", f"repeats={repeats}", f"seed={seed}"]
    with initialize_config_module("conf", version_base="1.3"):
        composed = OmegaConf.to_container(compose("config", overrides), resolve=True)
    assert isinstance(composed, dict)
    fields = {str(key): value for key, value in composed.items()}
    return parse_config({**fields, "arms": {"baseline": []}, "contrasts": []})


async def measured(config: ExperimentConfig) -> list[TrialRecord]:
    """Records of all trials, one after the other."""
    runner = TrialRunner(config)
    specs = expand(config, catalogue().select(config.scenario))
    return [(await runner.run(spec)).record for spec in specs]


def show(profile: str, records: Sequence[TrialRecord], seconds: float) -> None:
    """One profile's table."""
    target = TARGETS[profile]
    recalls = [record.score.recall if record.score else 0.0 for record in records]
    failed = [modes(record) for record, recall in zip(records, recalls, strict=True) if recall < 1]
    shares = Counter(mode for found in failed for mode in family(found))
    per_failed = sum(map(len, failed)) / max(1, len(failed))
    turns = sum(record.turns for record in records) / len(records)
    cleared = sum(bool(record.verdict and record.verdict.all_clear) for record in records) / len(records)
    print(f"{profile}: {len(records)} trials, {len(failed)} failed, {turns:.1f} turns, {seconds:.0f} s")
    print(f"  recall            {sum(recalls) / len(recalls):5.2f}   published {target.recall:.2f}")
    print(f"  modes per failed  {per_failed:5.2f}   published {target.modes_per_failed:.1f}")
    print(f"  remediated        {cleared:5.2f}")
    print(f"  ended by          {dict(Counter(record.reason or 'submission' for record in records))}")
    for mode in ORDER:
        share = 100 * shares[mode] / max(1, len(failed))
        print(f"  {mode:<22} {share:3.0f} %   published {target.shares[mode]:.0f} %")


def modes(record: TrialRecord) -> set[str]:
    """The distinct modes that were planted in a trial."""
    return {failure.slug for failure in record.planted}


def family(found: set[str]) -> set[str]:
    """The same with verification as one mode."""
    return {"verification" if mode in VERIFICATION else mode for mode in found}


if __name__ == "__main__":
    sys.exit(main())
