"""Reports: `results.json`, `summary.md`, `trials.parquet`, `trials.csv`, `report.html`, the terminal's table.

Owns: what is written after (or during) a run, and `write_reports`, the one way in. Does not own: the
statistics (`harness/statistics`) or the store of records and traces (`harness/store.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harness.records import Plan, TrialRecord
from harness.report.files import write_text
from harness.report.results import build_results
from harness.report.terminal import print_contrasts
from harness.trace import Event

__all__ = ["build_results", "print_contrasts", "write_reports"]


def write_reports(
    run_dir: Path,
    plan: Plan,
    records: Sequence[TrialRecord],
    read_trace: Callable[[TrialRecord], list[Event]],
) -> dict[str, Any]:
    """Write all report files into `run_dir` (which exists) and return the content of `results.json`.

    Each file is replaced in one step. `read_trace` is called for a bounded number of trials. Raises
    ValueError when records contradict the plan, ConfigurationError for an unknown primary metric, OSError."""
    from harness.report.correction import read_calibration
    from harness.report.html import render_html
    from harness.report.summary import summary
    from harness.report.tables import write_tables
    from harness.statistics import trials_frame

    frame = trials_frame(records)
    results = build_results(plan, records, frame, read_calibration(run_dir))
    write_text(run_dir / "results.json", json.dumps(results, indent=2, ensure_ascii=False) + "\n")
    write_text(run_dir / "summary.md", summary(results))
    write_tables(run_dir, frame)
    write_text(run_dir / "report.html", render_html(plan, results, records, read_trace))
    return results
