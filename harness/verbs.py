"""The verbs beside the Hydra application."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
SELECTOR = "ids, or all, sre, finops, clean, lite35, tag:NAME, complexity:LEVEL, class:LETTER, fault:ID"
scenarios_app = typer.Typer(no_args_is_help=True, help="The catalogue of incidents.")
app.add_typer(scenarios_app, name="scenarios")


@app.command()
def report(run: Annotated[Path, typer.Argument(help="Directory of a stored run.")]) -> int:
    """Rebuild the report of a run from its records, without running anything."""
    from harness.report import print_contrasts, write_reports
    from harness.store import RunDirectory

    stored = RunDirectory(run)
    plan = stored.read_plan()
    results = write_reports(run, plan, stored.records(), stored.trace)
    print_contrasts(results)
    return 0


@scenarios_app.command("list")
def list_scenarios(
    select: Annotated[list[str] | None, typer.Argument(help=SELECTOR)] = None,
) -> int:
    """List scenarios: id, application, complexity, faults, class of known conflict, and what was repaired."""
    from rich.console import Console
    from rich.table import Table

    from scenarios.loader import catalogue

    table = Table("id", "application", "complexity", "faults", "class", "tags", "repaired")
    for scenario in catalogue().select(select or ["all"]):
        faults = "\n".join(injection.fault for injection in scenario.injections()) or "(false alarm)"
        table.add_row(
            str(scenario.id),
            scenario.application,
            scenario.complexity,
            faults,
            scenario.conflict.kind,
            ", ".join(scenario.tags),
            "yes" if scenario.repaired else "",
        )
    Console().print(table)
    return 0


@scenarios_app.command("validate")
def validate_scenarios(
    select: Annotated[list[str] | None, typer.Argument(help=SELECTOR)] = None,
    jobs: Annotated[int, typer.Option(min=0, help="Processes; 0 for one per processor.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the simulated clusters.")] = 7,
) -> int:
    """Play scenarios on the simulated cluster: whether each is what it says. Exit code 1 when one is not."""
    from harness.validation import validate
    from harness.validation.table import print_reports

    reports = validate(select or ["all"], jobs=jobs, seed=seed)
    print_reports(reports)
    return 0 if all(report.ok for report in reports) else 1


@scenarios_app.command("show")
def show_scenario(scenario_id: Annotated[int, typer.Argument(metavar="ID")]) -> int:
    """Show one scenario, ground truth included."""
    import yaml

    from scenarios.loader import catalogue

    (scenario,) = catalogue().select([scenario_id])
    typer.echo(yaml.safe_dump(scenario.model_dump(mode="json", exclude_defaults=True), sort_keys=False))
    return 0
