"""Reports: `results.json`, `summary.md`, tables, `report.html` with its traces beside it, the terminal's table.

Owns: what is written after (or during) a run, and `write_reports`, the one way in. Does not own: the
statistics (`harness/statistics`) or the store of records and traces (`harness/store.py`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.records import Plan, TrialRecord
from harness.report.files import write_text
from harness.report.results import build_results
from harness.report.terminal import print_contrasts

if TYPE_CHECKING:
    from harness.report.traces import PackedTrace

__all__ = ["build_results", "print_contrasts", "write_reports"]


def write_reports(
    run_dir: Path,
    plan: Plan,
    records: Sequence[TrialRecord],
    packed_trace: PackedTrace,
) -> dict[str, Any]:
    """Write all report files into `run_dir` (which exists) and return the content of `results.json`.

    Each file is replaced in one step; the page comes after the traces that it names, and what only an earlier page
    named goes last. Raises ValueError when records contradict the plan, ConfigurationError for an unknown primary
    metric, OSError."""
    from harness.judging import with_judgements
    from harness.report.correction import read_calibration
    from harness.report.html import render_html
    from harness.report.index import numbers_of
    from harness.report.spending import spending_entry
    from harness.report.summary import summary
    from harness.report.tables import write_tables
    from harness.report.traces import DIRECTORY, remove_others, write_beside
    from harness.statistics import trials_frame

    records = with_judgements(run_dir, records)
    frame = trials_frame(records)
    results = build_results(plan, records, frame, read_calibration(run_dir))
    if (spending := spending_entry(run_dir, records)) is not None:
        results["spending"] = spending
    write_text(run_dir / "results.json", json.dumps(results, indent=2, ensure_ascii=False) + "\n")
    write_text(run_dir / "summary.md", summary(results))
    write_tables(run_dir, frame, results)
    beside = write_beside(run_dir / DIRECTORY, records, numbers_of(plan), packed_trace)
    write_text(run_dir / "report.html", render_html(plan, results, records, packed_trace, beside))
    remove_others(run_dir / DIRECTORY, beside.names)
    return results
