"""The dry run on the terminal.

Owns: the tables. Does not own: any number in them (`harness/planning.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from harness.report.metrics import number

WIDTH = 110
HEADINGS = {
    "model_calls": ("model calls", 0),
    "input_tokens": ("input tokens (M)", 1),
    "output_tokens": ("output tokens (M)", 2),
    "usd": ("USD", 2),
}


def print_plan(estimate: Mapping[str, Any], console: Console | None = None) -> None:
    """Print what an experiment would take and find."""
    console = console or Console(width=WIDTH, highlight=False)
    console.print(f"{estimate['experiment']}: {estimate['question']}")
    console.print(f"{size(estimate)} Nothing was run.")
    console.print(_cost_table(estimate))
    low, high = estimate["wall_seconds"]
    console.print(
        f"Wall time with {estimate['concurrency']} trials at a time: {duration(low)} to {duration(high)}."
    )
    if estimate["unpriced"]:
        console.print(
            f"Money is unknown: no price for {', '.join(estimate['unpriced'])} (models.NAME.prices sets it)."
        )
    if estimate["stopping"] == "sequential":
        console.print(
            "Sequential stopping: these are the most that can be needed; clear contrasts stop earlier."
        )
    console.print(_power_table(estimate["metrics"]))
    for entry in estimate["metrics"]:
        if "wanted" in entry:
            console.print(_wanted(entry, estimate))


def size(estimate: Mapping[str, Any]) -> str:
    """How many trials there are, and why."""
    models, trials = len(estimate["models"]), estimate["trials"]
    if estimate["search"]:
        where = f"{models} models, {estimate['scenarios']} development scenarios"
        return f"A search, {where}: {trials} trials and forks at most. It ends when nothing helps any more."
    cells = f"{models} models x {len(estimate['arms'])} arms x {estimate['scenarios']} scenarios"
    return f"{cells} x {estimate['repeats']} repeats = {trials} trials."


def _cost_table(estimate: Mapping[str, Any]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("model, arm", overflow="fold")
    table.add_column("trials", justify="right")
    for heading, _ in HEADINGS.values():
        table.add_column(heading, justify="right")
    table.add_column("basis")
    for cell in estimate["cells"]:
        scaled = {
            name: [None if limit is None else limit * cell["trials"] for limit in cell["per_trial"][name]]
            for name in HEADINGS
        }
        table.add_row(f"{cell['model']}, {cell['arm']}", str(cell["trials"]), *_ranges(scaled), cell["basis"])
    table.add_section()
    table.add_row("all", str(estimate["trials"]), *_ranges(estimate["totals"]), "")
    return table


def _ranges(values: Mapping[str, Sequence[float | None]]) -> list[str]:
    cells = []
    for name, (_, digits) in HEADINGS.items():
        scale = 1e6 if name.endswith("tokens") else 1.0
        low, high = (None if limit is None else limit / scale for limit in values[name])
        cells.append("unknown" if low is None else f"{number(low, digits)} to {number(high, digits)}")
    return cells


def _power_table(metrics: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for heading in ("metric", "detectable", "after correction", "SD of a run", "SD of the effect", "basis"):
        table.add_column(heading, justify="left" if heading in ("metric", "basis") else "right")
    for entry in metrics:
        name = f"{entry['metric']} (primary, {entry['tests']} tests)" if entry["primary"] else entry["metric"]
        row = [_possible(entry, key) for key in ("detectable", "detectable_corrected")]
        row += [number(entry[key]) for key in ("sd_run", "sd_effect")]
        table.add_row(name, *row, entry["basis"])
    table.caption = (
        "Least difference between two arms of one model found with the stated power (planning.power)."
    )
    table.caption_justify = "left"
    return table


def _possible(entry: Mapping[str, Any], key: str) -> str:
    """A difference that can be found; shares differ by 1 at most."""
    share = entry["metric"] in ("recall", "remediated")
    return "none" if share and (entry[key] or 0) > 1 else number(entry[key])


def _wanted(entry: Mapping[str, Any], estimate: Mapping[str, Any]) -> str:
    wanted, repeats, scenarios = entry["wanted"], entry["repeats_needed"], entry["scenarios_needed"]
    first = f"A difference of {wanted} in {entry['metric']} with {entry['power']:.0%} power, "
    first += f"corrected for {entry['tests']} tests, needs "
    if repeats is None:
        found = f"{scenarios} scenarios x {estimate['repeats']}" if scenarios else "more scenarios"
        return f"{first}{found}; with {estimate['scenarios']}, repeats alone cannot find it."
    first += f"{repeats} repeats of {estimate['scenarios']} scenarios"
    return first + (f", or {scenarios} scenarios x {estimate['repeats']}." if scenarios else ".")


def duration(seconds: float | None) -> str:
    """Seconds for people."""
    if seconds is None:
        return "unknown"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
