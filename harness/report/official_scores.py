"""The scores of stored outputs on the terminal.

Owns: the two tables. Does not own: any number in them (`harness/scoring/evaluation.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.errors import Problem

COLUMNS = {
    "root_cause_entity_recall": "recall",
    "root_cause_entity_precision": "prec.",
    "root_cause_entity_f1": "F1",
    "precision_at_full_recall": "p@full",
    "propagation_chain_f1": "chain",
    "fault_localization_component_identification": "first",
    "root_cause_proximity_no_fp_f1": "prox.",
}
"""Metrics of the table per incident, and their headings."""
PARTS = {"precision": "precision", "recall": "recall", "f1": "F1, or the metric"}
WIDTH = 110


def print_scores(
    statistics: Mapping[str, Any],
    problems: Sequence[Problem],
    judge: Mapping[str, Any] | None = None,
    console: Console | None = None,
) -> None:
    """Print per incident, overall, what was counted and what a judge did, to the console or standard output."""
    console = console or Console()
    console.width = max(console.width, WIDTH)
    console.print(incident_table(statistics))
    console.print(overall_table(statistics))
    counts = statistics["denominators"]
    console.print(
        f"{counts['trials']} trials of {counts['incidents']} incidents: {counts['read']} read, "
        f"{counts['counted_as_zero']} counted as zero."
    )
    for code, entry in counts["reasons"].items():
        console.print(f"  {entry['trials']} x {code}: {entry['says']}", markup=False)
    if judge is not None:
        console.print(_judge_line(judge), markup=False)
    for problem in problems:
        console.print(f"note: {problem}", markup=False, soft_wrap=True)


def incident_table(statistics: Mapping[str, Any]) -> Table:
    """One row per incident."""
    table = Table("incident", "trials", "zeros", *COLUMNS.values(), box=box.SIMPLE_HEAD, pad_edge=False)
    for incident, entry in statistics["per_incident"].items():
        means = (_number(entry["metrics"][name]["mean"]) for name in COLUMNS)
        table.add_row(Text(incident), str(entry["trials"]), str(sum(entry["zeros"].values())), *means)
    return table


def overall_table(statistics: Mapping[str, Any]) -> Table:
    """One row per metric: means over incidents with their intervals, and what they rest on."""
    overall = statistics["overall"]
    table = Table("metric, mean [95 %]", *PARTS.values(), "trials", box=box.SIMPLE_HEAD, pad_edge=False)
    ratios = {name.removesuffix("_f1") for name in overall if name.endswith("_f1")}
    stems = [name.rpartition("_")[0] if name.rpartition("_")[0] in ratios else name for name in overall]
    for stem in dict.fromkeys(stems):
        parts = [overall[f"{stem}_{part}"] for part in PARTS] if stem in ratios else []
        cells = [_interval(part) for part in parts] if parts else ["", "", _interval(overall[stem])]
        trials = max(part["trials"] for part in parts or [overall[stem]])
        table.add_row(Text(stem), *map(Text, cells), str(trials))
    return table


def _interval(entry: Mapping[str, Any]) -> str:
    reach = f" [{_number(entry['low'])}, {_number(entry['high'])}]" if entry["low"] is not None else ""
    return _number(entry["mean"]) + reach


def _judge_line(judge: Mapping[str, Any]) -> str:
    asked, found = judge["questions"], judge["rule_judge_agreement"]
    double = " (test double)" if judge["simulated"] else ""
    return (
        f"Judge {judge['model']}{double}: {asked['asked']} questions asked, {asked['cached']} known, "
        f"{asked['unanswered']} unanswered; rules and judge agree on {_number(found['raw'])} of "
        f"{found['predictions']} predictions, kappa {_number(found['kappa'])}."
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
