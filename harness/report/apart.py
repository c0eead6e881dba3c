"""The report of a large run, in a process of its own, so that the one that drove the run stays small.

    python -m harness.report.apart RUN        # ends with its standard input

Owns: when that is worth it, the process, and that it ends with its parent. Does not own: what is written.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import Any

from harness.errors import HarnessError, RunStopped
from harness.records import Plan
from harness.report import write_reports
from harness.store import RunDirectory

LARGE = 5_000
"""Trials of a plan from which on the records, 40 to 55 KB each when read, would dominate the driver's memory."""
MODULE = "harness.report.apart"


def report_on(run: RunDirectory, plan: Plan) -> dict[str, Any]:
    """Write all report files of a run from what is stored, and return the content of `results.json`.

    Raises what `write_reports` raises, or RunStopped where a process of its own did not get to the end."""
    if len(plan.trials) < LARGE:
        return write_reports(run.path, plan, run.records(), run.packed_trace)
    command = [sys.executable, "-m", MODULE, str(run.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as child:
        code = child.wait()
    if code:
        how = "was killed, perhaps for its memory" if code < 0 else "failed"
        what = f"the report's process {how}; `python -m harness report {run.path}` writes it alone"
        raise RunStopped("no_report", what)
    results: dict[str, Any] = json.loads((run.path / "results.json").read_text(encoding="utf-8"))
    return results


def main(path: str) -> int:
    """Write the report of a stored run."""
    Thread(target=end_with_parent, daemon=True).start()
    run = RunDirectory(Path(path))
    try:
        write_reports(run.path, run.read_plan(), run.records(), run.packed_trace)
    except HarnessError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def end_with_parent() -> None:
    """A report that went on after its driver was killed would write over what a rerun writes."""
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
