"""The verbs beside the Hydra application."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import harness.mast.calibration.verb as calibration
import harness.mast.verb as mast
from harness.errors import ConfigurationError, Problem

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
scenarios_app = typer.Typer(no_args_is_help=True, help="The catalogue of incidents.")
app.add_typer(scenarios_app, name="scenarios")
app.command()(mast.classify)
app.add_typer(calibration.app, name="calibrate")


@app.command()
def report(
    run: Annotated[Path | None, typer.Argument(help="Directory of a stored run.")] = None,
    study: Annotated[str, typer.Option(help="Re-analyse a published study instead.")] = "",
) -> int:
    """Rebuild the report of a run from its records, without running anything."""
    if study:
        from harness.report.study import analyse, render

        typer.echo(render(analyse(study)))
        return 0
    if run is None:
        raise ConfigurationError(Problem("report", "expected the directory of a run, or --study NAME"))
    from harness.report import print_contrasts, write_reports
    from harness.store import RunDirectory

    stored = RunDirectory(run)
    plan = stored.read_plan()
    results = write_reports(run, plan, stored.records(), stored.trace)
    print_contrasts(results)
    return 0


@scenarios_app.command("list")
def list_scenarios(
    select: Annotated[str, typer.Argument(help="all, tag:NAME, complexity:LEVEL")] = "all",
) -> int:
    """List scenarios: id, application, complexity, faults, class of known conflict."""
    from rich.console import Console
    from rich.table import Table

    from scenarios.loader import catalogue

    table = Table("id", "application", "complexity", "faults", "class", "tags")
    for scenario in catalogue().select(select):
        faults = "\n".join(injection.fault for injection in scenario.injections())
        table.add_row(
            str(scenario.id),
            scenario.application,
            scenario.complexity,
            faults,
            scenario.conflict.kind,
            ", ".join(scenario.tags),
        )
    Console().print(table)
    return 0


@scenarios_app.command("show")
def show_scenario(scenario_id: Annotated[int, typer.Argument(metavar="ID")]) -> int:
    """Show one scenario, ground truth included."""
    import yaml

    from scenarios.loader import catalogue

    (scenario,) = catalogue().select([scenario_id])
    typer.echo(yaml.safe_dump(scenario.model_dump(mode="json", exclude_defaults=True), sort_keys=False))
    return 0
