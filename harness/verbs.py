"""The verbs beside the Hydra application."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from harness import verbs_cluster, verbs_inference, verbs_itbench
from harness.errors import ConfigurationError, Problem
from harness.interop import exports
from harness.mast import verb as mast
from harness.mast.calibration import verb as calibration

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
UsageError: Any = typer.BadParameter.__bases__[0]
"""What a wrong command line raises; typer exports only kinds of it."""
SELECTOR = "ids, or all, sre, finops, clean, lite35, tag:NAME, complexity:LEVEL, class:LETTER, fault:ID"
scenarios_app = typer.Typer(no_args_is_help=True, help="The catalogue of incidents.")
app.add_typer(scenarios_app, name="scenarios")
app.command()(verbs_inference.compare)
app.command()(verbs_inference.fork)
app.command()(verbs_itbench.score)
app.command()(verbs_cluster.janitor)
app.command()(verbs_cluster.fidelity)
app.command()(exports.export)
scenarios_app.command("import")(verbs_itbench.import_scenarios)
scenarios_app.command("lint")(verbs_itbench.lint)
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
    results = write_reports(run, plan, stored.records(), stored.packed_trace)
    print_contrasts(results)
    return 0


@app.command()
def view(
    run: Annotated[Path, typer.Argument(help="Directory of a stored run with its report.")],
    port: Annotated[int, typer.Option(help="Port on loopback; 0 takes any that is free.")] = 0,
) -> int:
    """Show a run's report in a browser, with the trace of every trial, until interrupted."""
    from harness.report.server import serve_report

    serve_report(run, port, lambda address: typer.echo(f"{address}  (Ctrl-C ends it)"))
    return 0


@app.command()
def serve(
    scenario: Annotated[int, typer.Option(help="Id of the incident.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same incident.")] = 0,
    port: Annotated[int, typer.Option(help="Port on loopback; 0 takes any that is free.")] = 0,
    turns: Annotated[int, typer.Option(help="Calls of tools before the incident ends.")] = 100,
    seconds: Annotated[float, typer.Option(help="Seconds on the incident's clock before it ends.")] = 7200,
) -> int:
    """Play one incident with an agent that you connect by hand over MCP."""
    from harness.budget import BudgetConfig
    from harness.serve import outcome_lines, serve_incident

    budget = BudgetConfig(turns=turns, seconds=seconds)
    record = serve_incident(scenario, seed, port, budget, lambda line: typer.echo(line, err=True))
    typer.echo("\n".join(outcome_lines(record)))
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
    Console(width=max(150, Console().width)).print(table)
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
