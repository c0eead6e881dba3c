"""What a report on 10,000 trials takes: CPU seconds and memory of `python -m harness report`, in a process of
its own.

    python benchmarks/report_size.py [trials]

A small experiment is run first (3 simulated models x 4 arms x 4 incidents); its records, traces included, are
drawn from at random to fill 35 scenarios with as many repeats as the number of trials needs. Wanted: under 20 s
of CPU and 1 GB."""

from __future__ import annotations

import os
import random
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from harness.config import parse_config
from harness.experiment import run_experiment, seed_of
from harness.records import Plan, TrialRecord, TrialSpec
from harness.store import RunDirectory

SCENARIOS = 35
LIMIT_S, LIMIT_BYTES = 20.0, 1e9
SMALL = ["+experiment=verifier_gate", "scenario=[14,16,20,46]", "repeats=1", "executor=local"]


def small_run(path: Path) -> RunDirectory:
    """The experiment that is drawn from."""
    with initialize_config_module("conf", version_base="1.3"):
        composed = OmegaConf.to_container(compose("config", [*SMALL, f"run_dir={path}"]), resolve=True)
    run_experiment(parse_config(composed))  # type: ignore[arg-type]  # the configuration is a mapping
    return RunDirectory(path)


def enlarge(source: RunDirectory, path: Path, trials: int) -> int:
    """Write a run of about so many trials; how many."""
    plan, records = source.read_plan(), source.records()
    cells: dict[tuple[str, str], list[TrialRecord]] = {}
    for record in records:
        cells.setdefault((record.spec.model, record.spec.arm), []).append(record)
    rng, repeats = random.Random(1), max(1, round(trials / SCENARIOS / len(cells)))
    drawn = [
        (spec_of(cell[0].spec, scenario, repeat), rng.choice(cell))
        for scenario in range(SCENARIOS)
        for repeat in range(repeats)
        for cell in cells.values()
    ]
    larger = Plan.model_validate(plan.model_dump() | {"trials": [spec for spec, _ in drawn]})
    path.mkdir()
    (path / "plan.json").write_text(larger.model_dump_json())
    (path / "traces").symlink_to((source.path / "traces").resolve())
    with open(path / "records.jsonl", "w", encoding="utf-8") as lines:
        for spec, record in drawn:
            lines.write(record.model_copy(update={"spec": spec}).model_dump_json() + "\n")
    return len(drawn)


def spec_of(like: TrialSpec, scenario: int, repeat: int) -> TrialSpec:
    """The same cell on another scenario."""
    own = {
        "trial_id": f"{scenario}.{like.model}.{like.agent}.{like.arm}.r{repeat}",
        "scenario": f"drawn/0/{scenario}",
        "repeat": repeat,
        "seed": seed_of(0, str(scenario), repeat),
    }
    return like.model_copy(update=own)


def main(trials: int) -> int:
    """Print what one report takes; 1 when it is more than wanted."""
    with tempfile.TemporaryDirectory() as folder:
        written = enlarge(small_run(Path(folder) / "small"), Path(folder) / "large", trials)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "harness", "report", f"{folder}/large"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        page = os.path.getsize(f"{folder}/large/report.html") / 1e6
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    size = after.ru_maxrss * 1024
    print(f"{written} trials: {seconds:.1f} s CPU, {size / 1e9:.2f} GB at most, page {page:.1f} MB")
    return int(seconds > LIMIT_S or size > LIMIT_BYTES)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
