"""What `scenarios validate` prints: scenario by check, what caught the control agents, every failure in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from scenarios.controls import CONTROLS
from scenarios.selftest import Check, ScenarioReport

WIDTH = 110
"""Characters that the table needs; a log has no width of its own."""
PARTS = {"symptom": "S", "cause": "C", "damage": "D"}


def print_reports(reports: Sequence[ScenarioReport]) -> None:
    """Scenario by check, which parts of the verdict caught each control, and every failure in words."""
    console = Console(width=max(WIDTH, Console().width))
    headings = ["id", "healthy", "active", "solutions", "undo", "answer", *CONTROLS]
    table = Table(*(heading.replace("_", "\n") for heading in headings))
    for report in reports:
        named = {one.name: one for one in report.checks}
        ways = [one for one in report.checks if one.name.startswith("solution")]
        solved = f"{sum(one.ok for one in ways)}/{len(ways)}" if ways else "-"
        plain = [_mark(named[name]) for name in ("healthy", "active")]
        rest = [_mark(named[name]) for name in ("undo", "answer", *CONTROLS)]
        coloured = solved if all(one.ok for one in ways) else f"[red]{solved}[/red]"
        table.add_row(report.key.rpartition("/")[2], *plain, coloured, *rest)
    console.print(table)
    console.print(
        "S symptom, C cause, D damage: parts of the verdict that caught a control agent", soft_wrap=True
    )
    for name in CONTROLS:
        console.print(f"{name}: {caught_summary(reports, name)}", soft_wrap=True)
    for report in reports:
        for failure in report.failures():
            console.print(f"[red]FAILED[/red] {failure}", highlight=False, soft_wrap=True)
    green = sum(report.ok for report in reports)
    console.print(f"{green} of {len(reports)} scenarios are what they say")


def caught_summary(reports: Sequence[ScenarioReport], control: str) -> str:
    """How often each part of the verdict caught a control agent, and how often it was the only one."""
    caught = [one.caught for report in reports for one in report.checks if one.name == control and one.caught]
    parts = Counter(part for each in caught for part in each)
    alone = Counter(each[0] for each in caught if len(each) == 1)
    said = [f"{part} {parts[part]} ({alone[part]} alone)" for part in PARTS]
    return f"caught in {len(caught)}: {', '.join(said)}"


def _mark(check: Check) -> str:
    if not check.ok:
        return "[red]FAILED[/red]"
    return " ".join(PARTS[part] for part in check.caught) or "ok"
