"""The verbs beside the Hydra application."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
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


@scenarios_app.command("export")
def export_scenario(
    scenario_id: Annotated[int, typer.Argument(metavar="ID")],
    to: Annotated[Path, typer.Option(help="Directory that gets Scenario-ID.")],
    minutes: Annotated[int, typer.Option(help="Length of the recording.")] = 30,
    scale: Annotated[float, typer.Option(help="Multiplies recorded requests and log lines.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of the simulated cluster.")] = 0,
) -> int:
    """Play an incident and write it in the layout of ITBench-Lite, ground truth included."""
    from harness.environments.snapshot.recording import export
    from scenarios.loader import catalogue

    typer.echo(export(catalogue().get(scenario_id), to, minutes, scale, seed))
    return 0


@scenarios_app.command("snapshots")
def list_snapshots(
    root: Annotated[Path, typer.Argument(help="Directory of Scenario-N folders.")],
    index: Annotated[bool, typer.Option(help="Read all evidence, not only the ground truths.")] = False,
    cache_dir: Annotated[Path | None, typer.Option(help="Where indexes are kept.")] = None,
) -> int:
    """List recorded scenarios with everything that is wrong in their files; 1 when anything is."""
    from harness.environments.snapshot.inspection import inspect

    return inspect(root, index, cache_dir)


@scenarios_app.command("show")
def show_scenario(scenario_id: Annotated[int, typer.Argument(metavar="ID")]) -> int:
    """Show one scenario, ground truth included."""
    import yaml

    from scenarios.loader import catalogue

    (scenario,) = catalogue().select([scenario_id])
    typer.echo(yaml.safe_dump(scenario.model_dump(mode="json", exclude_defaults=True), sort_keys=False))
    return 0
