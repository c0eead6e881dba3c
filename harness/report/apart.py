"""The report of a large run, in a process of its own, so that the one that drove the run stays small.

Owns: when that is worth it, the process, and that it ends with its parent. Does not own: what is written.
"""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from threading import Thread
from typing import Any

from harness.errors import RunStopped
from harness.records import Plan
from harness.report import write_reports
from harness.store import RunDirectory

LARGE = 5_000
"""Trials of a plan from which on the records, 40 to 55 KB each when read, would dominate the driver's memory."""


def report_on(run: RunDirectory, plan: Plan) -> dict[str, Any]:
    """Write all report files of a run from what is stored, and return the content of `results.json`.

    Raises what `write_reports` raises, and RunStopped when the process of its own was killed."""
    if len(plan.trials) < LARGE:
        return write_reports(run.path, plan, run.records(), run.packed_trace)
    with ProcessPoolExecutor(1, get_context("spawn"), _end_with_parent) as pool:
        try:
            return pool.submit(_from_stored, run.path).result()
        except BrokenProcessPool:
            what = (
                f"the report's process was killed (memory?); `python -m harness report {run.path}` writes it"
            )
            raise RunStopped("worker_broken", what) from None


def _from_stored(path: Path) -> dict[str, Any]:
    run = RunDirectory(path)
    return write_reports(path, run.read_plan(), run.records(), run.packed_trace)


def _end_with_parent() -> None:
    """A report that went on after its driver was killed would write over what a rerun writes."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    Thread(target=watch, daemon=True).start()
