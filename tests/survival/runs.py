"""Runs in child processes that die, and what must be true after the same command was given again."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from harness.config import ExperimentConfig, parse_config
from harness.experiment import build_plan
from harness.records import TrialRecord
from harness.statistics.denominators import count_trials
from harness.store import RunDirectory

ROOT = Path(__file__).parents[2]
NOT_COMPARED = {"wall_seconds", "trace", "attempts", "earlier", "earlier_traces"}
"""What may differ between a quiet run and one that was interrupted: how long it took, where it lies, how often."""


def raw_config(run_dir: Path, **changes: Any) -> dict[str, Any]:
    """8 trials of real scenarios on the simulated cluster, with calls that take a moment."""
    model = {"kind": "tests.survival.parts:SlowModel", "call_s": 0.003, "propensities": {"stop_early": 0.1}}
    base: dict[str, Any] = {
        "name": "survival",
        "question": "What is left?",
        "scenario": [2, 16],
        "repeats": 2,
        "models": {"slow": model},
        "agents": {"react": {"kind": "react"}},
        "arms": {"baseline": [], "iteration_cap": ["iteration_cap"]},
        "executor": {"kind": "local", "in_flight": 3},
        "run_dir": str(run_dir),
    }
    return base | changes


def config_of(raw: dict[str, Any]) -> ExperimentConfig:
    return parse_config(raw)


class Ended(NamedTuple):
    """A child that is over."""

    code: int
    executed: Counter[str]
    """Trial id -> executions that it began."""
    said: str


def start(raw: dict[str, Any], point: str = "none", *options: str) -> subprocess.Popen[str]:
    """Give the command in a child process that dies at `point`."""
    command = [sys.executable, "-m", "tests.survival.child", point, json.dumps(raw), *options]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(child: subprocess.Popen[str], timeout: float = 400) -> Ended:
    """Wait for a child's end."""
    out, err = child.communicate(timeout=timeout)
    began = Counter(line.removeprefix("began ") for line in out.splitlines() if line.startswith("began "))
    return Ended(child.returncode, began, err)


def give(raw: dict[str, Any], point: str = "none", *options: str) -> Ended:
    """Give the command and wait for its end."""
    return ended(start(raw, point, *options))


@contextmanager
def running(raw: dict[str, Any], records: int = 0, workers: int = 0) -> Iterator[subprocess.Popen[str]]:
    """A child that has finished so many trials and has so many processes at work; killed afterwards."""
    child = start(raw)
    try:
        wait_until(lambda: len(kept(raw)) >= records and len(at_work(raw)) >= workers, child)
        yield child
    finally:
        child.kill()
        child.wait()


def at_work(raw: dict[str, Any]) -> set[str]:
    """Ids of the processes that have written to the journal."""
    return {path.name.partition("-")[0] for path in (Path(raw["run_dir"]) / "journal").glob("*.jsonl")}


def wait_until(
    true: Callable[[], bool], child: subprocess.Popen[str] | None = None, timeout: float = 300
) -> None:
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline
        assert child is None or child.poll() is None, child.communicate()[1]
        time.sleep(0.005)


def kept(raw: dict[str, Any]) -> list[bytes]:
    """The whole lines of the records."""
    file = Path(raw["run_dir"]) / "records.jsonl"
    return file.read_bytes().split(b"\n")[:-1] if file.exists() else []


def ids(lines: Sequence[bytes]) -> set[str]:
    return {json.loads(line)["spec"]["trial_id"] for line in lines}


class Story(NamedTuple):
    """What a run tells, apart from how it came about."""

    records: dict[str, Any]
    traces: dict[str, Any]


def story(raw: dict[str, Any]) -> Story:
    """Read a run."""
    run = RunDirectory(Path(raw["run_dir"]))
    found = run.records()
    count_trials(run.read_plan().trials, found)  # raises unless everything is accounted for, once
    return Story(
        {one.spec.trial_id: one.model_dump(exclude=NOT_COMPARED) for one in found},
        {one.spec.trial_id: run.trace(one) for one in found},
    )


def require_survival(raw: dict[str, Any], survived: Sequence[bytes], again: Ended, quiet: Story) -> None:
    """The same command executed exactly the owed trials, and the results are those of the quiet run."""
    assert again.code == 0, again.said
    planned = {spec.trial_id for spec in build_plan(config_of(raw)).trials}
    owed = planned - ids(survived)
    assert again.executed == Counter(owed)
    assert kept(raw)[: len(survived)] == list(survived)
    assert story(raw) == quiet


def records_of(raw: dict[str, Any]) -> dict[str, TrialRecord]:
    return {one.spec.trial_id: one for one in RunDirectory(Path(raw["run_dir"])).records()}
