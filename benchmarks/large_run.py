"""What a run of many trials costs its driver: memory, files, bookkeeping, and the resume after a kill.

    python benchmarks/large_run.py [--trials 100000] [--report]

Workers are left out: sealed trials, each with a real record and trace, are handed to the run directory in
batches, as they would come. A child process is killed (SIGKILL) after nine tenths, another one resumes and does
the rest.
`--report` also writes the report as a driver does: of a large run in a process of its own. Nothing here says
anything about agents.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

import msgspec

from harness.config import ExperimentConfig, parse_config
from harness.experiment import build_plan
from harness.finished import Finished, seal
from harness.records import Plan, TrialSpec
from harness.runner import TrialRunner
from harness.store import RunDirectory

BATCH = 100
T = TypeVar("T")


def batches(items: Sequence[T]) -> Iterator[list[T]]:
    """Consecutive pieces."""
    rest = iter(items)
    while piece := list(islice(rest, BATCH)):
        yield piece


def planned(count: int) -> tuple[ExperimentConfig, Plan]:
    """An experiment of so many trials of one scenario."""
    config = parse_config(
        {
            "name": "large",
            "question": "What does bookkeeping cost?",
            "scenario": [2],
            "repeats": count,
            "arms": {"baseline": []},
            "models": {"sim": {"kind": "simulated"}},
            "agents": {"react": {"kind": "react"}},
        }
    )
    return config, build_plan(config)


def played(config: ExperimentConfig, spec: TrialSpec) -> Finished:
    """What one trial leaves."""

    async def run() -> Finished:
        runner = TrialRunner(config)
        sealed = seal(*await runner.run(spec))
        await runner.close()
        return sealed

    return asyncio.run(run())


def renamed(sealed: Finished, spec: TrialSpec) -> Finished:
    """The same trial under another id and repeat."""
    record = msgspec.json.decode(sealed.record)
    record["spec"] |= {"trial_id": spec.trial_id, "repeat": spec.repeat}
    return msgspec.structs.replace(sealed, trial_id=spec.trial_id, record=msgspec.json.encode(record))


def drive(run_dir: Path, count: int, until: int) -> None:
    """What the driver of `count` trials does up to the trial `until`, where it is killed."""
    wall, began = time.perf_counter(), time.process_time()
    config, plan = planned(count)
    say("plan", time.process_time() - began, f"{time.perf_counter() - wall:.1f} s wall")
    sealed = played(config, plan.trials[0])
    wall, began = time.perf_counter(), time.process_time()
    run = RunDirectory(run_dir)
    run.open_for_writing(plan)
    done = run.finished()
    owed = [spec for spec in plan.trials if spec.trial_id not in done]
    spent, wall = time.process_time() - began, time.perf_counter() - wall
    say("open, and know what is owed", spent, f"{wall:.1f} s wall; {len(owed)} of {count} owed")
    spent, stored = 0.0, len(done)
    for piece in batches(owed):
        finished = [renamed(sealed, spec) for spec in piece]
        began = time.process_time()
        run.add(finished)
        spent += time.process_time() - began
        stored += len(piece)
        if stored >= until:
            break
    added = stored - len(done)
    say("make trials durable", spent, f"{added} trials, {added / max(spent, 1e-9):.0f} per CPU second")
    say_memory()
    if stored < count:
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    run.close()


def report(run_dir: Path) -> None:
    """Write the report as a driver does."""
    from harness.report.apart import report_on

    run = RunDirectory(run_dir)
    plan, wall = run.read_plan(), time.perf_counter()
    report_on(run, plan)
    apart = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = time.process_time() + apart.ru_utime + apart.ru_stime
    say("write the report", spent, f"{time.perf_counter() - wall:.1f} s wall")
    say_memory()
    sys.stdout.write(f"  peak memory of the report's own process {apart.ru_maxrss / 1024:.0f} MB\n")


def say(what: str, seconds: float, more: str) -> None:
    """One line of the result."""
    sys.stdout.write(f"  {what:32} {seconds:8.2f} s CPU   {more}\n")


def say_memory() -> None:
    """Peak resident memory of this process."""
    sys.stdout.write(f"  peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB\n")


def main() -> None:
    """Drive, be killed, resume, count files."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--stage", choices=["drive", "report"], help=argparse.SUPPRESS)
    parser.add_argument("--run-dir", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--until", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.stage == "drive":
        return drive(given.run_dir, given.trials, given.until)
    if given.stage == "report":
        return report(given.run_dir)
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, __file__, "--trials", str(given.trials), "--run-dir", f"{scratch}/run"]
        for title, until in (("killed after nine tenths", given.trials * 9 // 10), ("resumed", given.trials)):
            print(f"{given.trials} trials, {title}:", flush=True)
            subprocess.run([*command, "--stage", "drive", "--until", str(until)], check=False)
        if given.report:
            print("report:", flush=True)
            subprocess.run([*command, "--stage", "report"], check=True)
        files = [path for path in Path(scratch).rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files) / 1e6
        found = len(RunDirectory(Path(scratch) / "run").finished())
        print(f"run directory: {len(files)} files, {size:.0f} MB; {found} trials")
    return None


if __name__ == "__main__":
    main()
