"""Tool turns per CPU second of the full default experiment, and a fingerprint of everything that it produces.

    python benchmarks/default_experiment.py                        # the verifier-gate experiment, one repeat
    python benchmarks/default_experiment.py --save before.json     # ... and keep the fingerprints
    python benchmarks/default_experiment.py --against before.json  # ... and compare trial by trial
    python benchmarks/default_experiment.py --profile 30           # ... and print where the time goes

Simulated cluster, simulated models, guards, verdict, score and detectors are in it; process start, the preparation of
each incident (once per scenario and seed), the store and the report are not. CPU time of one process is measured, so
that other work on the machine disturbs less than it would a clock. A tool turn is one recorded tool call with its
result. The exit code is 1 where a fingerprint differs.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import hashlib
import json
import pstats
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hydra import compose, initialize_config_module

from harness.config import ExperimentConfig, parse_config
from harness.experiment import build_plan
from harness.records import TrialSpec
from harness.runner import TrialRunner
from harness.trial import TrialOutput


class Measured(NamedTuple):
    """What one pass over the trials took and gave."""

    cpu: float
    """CPU seconds of this process."""
    wall: float
    turns: int
    """Recorded tool calls."""
    fingerprints: dict[str, str]
    """Trial id -> SHA-256 of its record and trace."""


def load(overrides: Sequence[str]) -> ExperimentConfig:
    """The experiment as the command line would compose it."""
    from omegaconf import OmegaConf

    with initialize_config_module("conf", version_base="1.3"):
        composed = OmegaConf.to_container(compose("config", list(overrides)), resolve=True)
    assert isinstance(composed, dict)
    return parse_config({str(key): value for key, value in composed.items()})


def fingerprint(output: TrialOutput) -> str:
    """SHA-256 over the record, but for the wall time that it took, and the trace."""
    record = output.record.model_copy(update={"wall_seconds": 0.0}).model_dump_json()
    return hashlib.sha256(record.encode() + output.trace).hexdigest()


async def play(
    runner: TrialRunner, specs: Sequence[TrialSpec], rounds: int, profiler: cProfile.Profile | None = None
) -> Measured:
    """Run trials one after another, each `rounds` times; the quickest round of each counts. Incidents are prepared
    outside of the measurement."""
    fingerprints, turns, cpu, wall = {}, 0, 0.0, 0.0
    seen: set[tuple[str, int]] = set()
    for spec in specs:
        if (spec.scenario, spec.seed) not in seen:
            seen.add((spec.scenario, spec.seed))
            setting = runner.setting(spec)
            environment = setting.environment()
            await environment.start(setting.scenario, spec.seed)
            await environment.close()
            gc.collect()
        if profiler:
            profiler.enable()
        taken = []
        for _ in range(rounds):
            cpu_before, wall_before = time.process_time(), time.perf_counter()
            output = await runner.run(spec)
            taken.append((time.process_time() - cpu_before, time.perf_counter() - wall_before))
        cpu += min(seconds for seconds, _ in taken)
        wall += min(seconds for _, seconds in taken)
        if profiler:
            profiler.disable()
        turns += output.record.tool_calls
        fingerprints[spec.trial_id] = fingerprint(output)
    return Measured(cpu, wall, turns, fingerprints)


def main() -> int:
    """Measure, print, compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("overrides", nargs="*", default=[], help="Hydra overrides")
    parser.add_argument("--save", type=Path, help="write fingerprints")
    parser.add_argument("--against", type=Path, help="compare with stored fingerprints")
    parser.add_argument(
        "--rounds", type=int, default=1, help="run each trial so often, count its quickest round"
    )
    parser.add_argument(
        "--profile", type=int, metavar="LINES", help="print the costliest functions (cProfile)"
    )
    arguments = parser.parse_args()
    config = load(["+experiment=verifier_gate", "repeats=1", "executor=local", *arguments.overrides])
    runner, specs = TrialRunner(config), build_plan(config).trials
    profiler = cProfile.Profile() if arguments.profile else None
    measured = asyncio.run(play(runner, specs, arguments.rounds, profiler))
    if profiler:
        for order in ("tottime", "cumtime"):
            pstats.Stats(profiler).sort_stats(order).print_stats(arguments.profile)
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(
        f"{len(specs)} trials, {measured.turns} tool turns: {measured.cpu:.2f} s CPU ({measured.wall:.2f} s wall), "
        f"{measured.turns / measured.cpu:.0f} tool turns per CPU second, "
        f"{1000 * measured.cpu / len(specs):.1f} ms per trial, {megabytes:.0f} MB peak\n"
    )
    if arguments.save:
        arguments.save.write_text(json.dumps(measured.fingerprints, indent=1))
    if arguments.against:
        before = json.loads(arguments.against.read_text())
        changed = [name for name, digest in measured.fingerprints.items() if before.get(name) != digest]
        same = len(measured.fingerprints) - len(changed)
        sys.stdout.write(f"{same} of {len(specs)} trials are byte-identical to {arguments.against}\n")
        sys.stdout.writelines(f"  differs: {name}\n" for name in changed[:20])
        return 1 if changed else 0
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
