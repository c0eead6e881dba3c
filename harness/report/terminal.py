"""The contrast table on the terminal; it fits 100 columns.

Owns: the table. Does not own: progress (`harness/cli.py`) or any number in it (`results.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.report.guards import factorial_table, false_alarm_table
from harness.report.metrics import by_public_name, number, p_text, with_interval
from harness.report.spending import spending_lines
from harness.report.summary import counted, find_contrast, model_name

WIDTH = 100
SECONDARY = {"remediated": "Δ rem.", "modes_per_trace": "Δ modes", "tokens": "Δ tokens"}
"""Metrics shown by their estimate alone, and their headings."""
ALPHA = 0.05


def print_contrasts(results: Mapping[str, Any], console: Console | None = None) -> None:
    """Print answer, contrast table and denominators to standard output.

    rich itself honours NO_COLOR and leaves control codes out where there is no terminal."""
    console = console or _console()
    console.print(_heading(results))
    console.print(contrast_table(results))
    if results["factorial"]:
        console.print(factorial_table(results))
    if (alarms := false_alarm_table(results)) is not None:
        console.print(alarms)
    counts = results["denominators"]
    parts = " + ".join(f"{counts[name]} {name}" for name in counted(counts))
    console.print(f"{counts['planned']} planned = {parts}; a failed trial counts as zero.")
    for line in spending_lines(results["spending"]) if results.get("spending") else ():
        console.print(line)
    if results["sequential"]:
        console.print(f"Sequential stopping: {results['sequential']['says']}")


def contrast_table(results: Mapping[str, Any]) -> Table:
    """One row per declared contrast and model, the primary metric with its interval and Holm-adjusted p."""
    primary = by_public_name(results["primary_metric"])
    shown = {name: heading for name, heading in SECONDARY.items() if name != results["primary_metric"]}
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("contrast", overflow="fold")
    table.add_column(f"Δ {primary.label} [95 %]", no_wrap=True)
    table.add_column("p Holm", justify="right", no_wrap=True)
    for heading in shown.values():
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("S", justify="right", no_wrap=True)
    last = None
    for entry in results["contrasts"]:
        if entry["family"] != "primary":
            continue
        system = f"{model_name(entry)}, {entry['agent']}"
        if system != last:
            table.add_row(Text(system, style="bold"))
        last = system
        contrast = Text(f"  {entry['arm']} − {entry['reference']}")
        others = [_estimate(find_contrast(results, entry, name)) for name in shown]
        interval = _primary(entry, primary.digits)
        table.add_row(contrast, interval, p_text(entry["p_holm"]), *others, str(entry["scenarios"]))
    table.caption = (
        "S: paired scenarios. Only the first Δ is declared; remediated, modes per trace and tokens are "
        "exploratory."
    )
    table.caption_justify = "left"
    return table


def _console() -> Console:
    """Standard output, at most WIDTH wide; without a terminal rich would assume 80 and fold the table."""
    console = Console(highlight=False)
    console.width = min(console.width, WIDTH) if console.is_terminal else WIDTH
    return console


def _heading(results: Mapping[str, Any]) -> Text:
    heading = Text()
    if results["simulated"]:
        heading.append(f"SIMULATED. {results['simulated_note']}\n", style="bold yellow")
    heading.append(" ".join(results["answer"]) + "\n")
    return heading


def _primary(entry: Mapping[str, Any], digits: int) -> Text:
    text = with_interval(entry, digits, sign=True)
    clear = entry["p_holm"] is not None and entry["p_holm"] < ALPHA
    return Text(text, style="bold" if clear else "")


def _estimate(entry: Mapping[str, Any] | None) -> str:
    return number(entry["estimate"], by_public_name(entry["metric"]).digits, sign=True) if entry else "–"
