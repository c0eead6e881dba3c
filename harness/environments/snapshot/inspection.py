"""What a user sees of a directory of snapshots: its scenarios, and all that is wrong in their files.

Owns: the listing. Does not own: the checks.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from harness.environments.snapshot.cache import default_cache, ensure_index
from harness.environments.snapshot.catalogue import snapshot_catalogue
from harness.environments.snapshot.index import open_index
from harness.environments.snapshot.layout import read_layout
from harness.environments.snapshot.report import Report
from harness.errors import Problem


def inspect(root: Path, index: bool, cache: Path | None) -> int:
    """Print a table of scenarios to stdout and every problem to stderr; 1 when there is a problem."""
    table = Table("id", "key", "MB", "alert files", "metric files", "root causes", "problems")
    found: list[Problem] = []
    catalogue = snapshot_catalogue(root)
    for scenario_id in catalogue.ids:
        directory = catalogue.directory_of(scenario_id)
        scenario, problems = catalogue.read(scenario_id)
        layout, report = read_layout(directory, missing := Report()), missing.problems
        if index:
            report = open_index(ensure_index(directory, cache or default_cache())).problems()
        problems = [*problems, *(one._replace(where=f"{directory}/{one.where}") for one in report)]
        size = sum(path.stat().st_size for path in layout.evidence) / 1e6
        roots = (
            [f"{one.kind} {', '.join(one.filter)}" for one in scenario.ground_truth.roots] if scenario else []
        )
        counts = (f"{size:.1f}", len(layout.alerts), len(layout.metrics), "; ".join(roots), len(problems))
        table.add_row(str(scenario_id), scenario.key if scenario else "–", *map(str, counts))
        found += problems
    Console().print(table)
    for problem in found:
        sys.stderr.write(f"{problem}\n")
    return 1 if found else 0
