"""A driver process of its own: gives the command of `runs.raw_config`, and dies at a named point of it.

    python -m tests.survival.child POINT CONFIG [report]

Every execution of a trial that begins is printed. `report` adds the report at the end, as the command line does.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harness import store
from harness.cli import FAILED, complain
from harness.config import parse_config
from harness.errors import HarnessError
from harness.executors.supply import Job
from harness.experiment import build_plan, run_experiment, run_owed
from harness.finished import Finished
from harness.records import TrialSpec
from harness.runner import TrialRunner
from harness.store import RunDirectory
from harness.trial import TrialOutput


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def began(trial_id: str) -> None:
    print(f"began {trial_id}", flush=True)


def print_local_executions() -> None:
    """Local trials are executed in this process."""
    run = TrialRunner.run

    async def told(self: TrialRunner, spec: TrialSpec) -> TrialOutput:
        began(spec.trial_id)
        return await run(self, spec)

    TrialRunner.run = told


def print_ray_executions() -> None:
    """Trials on Ray are handed to workers from here."""
    from harness.executors.ray import Member

    engage = Member.engage

    def handed_over(self: Member, jobs: Sequence[Job]) -> None:
        for job in jobs:
            began(job.spec.trial_id)
        engage(self, jobs)

    Member.engage = handed_over


def nothing() -> None:
    """The quiet run."""


def before_record() -> None:
    """Traces are on disk, their records are not."""
    add = store.add_lines

    def dying(path: Path, lines: bytes) -> None:
        if path.name == "records.jsonl" and path.exists():
            die()
        add(path, lines)

    store.add_lines = dying


def half_record() -> None:
    """A part of a record's line is on disk."""

    def dying(path: Path, lines: bytes) -> None:
        whole, _, last = lines[:-1].rpartition(b"\n")
        with open(path, "ab") as file:
            file.write(whole + b"\n" * bool(whole) + last[: len(last) // 2])
        if path.name == "records.jsonl":
            die()

    store.add_lines = dying


def half_trace() -> None:
    """A part of a trace is on disk, when there are records already."""
    add = RunDirectory.add

    def dying(self: RunDirectory, finished: Sequence[Finished]) -> None:
        if self.records_file.exists():
            with open(self._segment(), "ab") as file:
                file.write(finished[0].traces[-1][:500])
            die()
        add(self, finished)

    RunDirectory.add = dying


def before_plan() -> None:
    """The plan is written, but not yet in its place."""
    os.replace = lambda *paths: die()


def during_report() -> None:
    """Results are written, the page is not."""
    import harness.report.html as html

    html.render_html = lambda *arguments: die()


def jumping_clock() -> None:
    """The wall clock leaps by a day, back and forth, at every look."""
    real, looks = time.time, iter(range(10**9))
    time.time = lambda: real() + (86_400 if next(looks) % 2 else -86_400)


def full_disk() -> None:
    """The kernel takes a part of a write and refuses the next: files may not grow beyond a few KB."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(os.environ["FILE_LIMIT"]), resource.RLIM_INFINITY))


def read_only() -> None:
    """After the first batch nothing can be written any more, whoever asks."""
    add = RunDirectory.add

    def added(self: RunDirectory, finished: Sequence[Finished]) -> None:
        add(self, finished)
        for path in (*self.path.rglob("*"), self.path):
            path.chmod(0o555 if path.is_dir() else 0o444)
        give_up_privileges()

    RunDirectory.add = added


def give_up_privileges() -> None:
    """Root writes wherever it wants, but for a process whose effective user is somebody else."""
    if os.geteuid() == 0:
        os.seteuid(65534)


POINTS: dict[str, Callable[[], None]] = {
    "none": nothing,
    "before_plan": before_plan,
    "half_trace": half_trace,
    "before_record": before_record,
    "half_record": half_record,
    "during_report": during_report,
    "jumping_clock": jumping_clock,
    "full_disk": full_disk,
    "read_only": read_only,
}


def main(point: str, raw: dict[str, Any], report: bool) -> int:
    config = parse_config(raw)
    (print_ray_executions if config.executor.kind == "ray" else print_local_executions)()
    POINTS[point]()
    if report:
        return FAILED if run_experiment(config).unaccounted else 0
    plan = build_plan(config)
    run = RunDirectory(Path(config.directory))
    run.open_for_writing(plan)
    try:
        run_owed(config, plan, run)
    finally:
        run.close()
    return FAILED if len(run.finished()) < len(plan.trials) else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1], json.loads(sys.argv[2]), "report" in sys.argv[3:]))
    except HarnessError as error:
        sys.exit(complain(error))
    except KeyboardInterrupt:
        sys.exit(FAILED)
