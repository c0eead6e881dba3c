"""The verbs that work on stored runs: compare and fork.

Owns: their arguments and what they print. Does not own: what they compute (`report/compare.py`, `forks/`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from harness.config import ExperimentConfig


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Run directories; the first is the reference.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Compare runs, paired where they can be; what cannot be compared is refused with its reason."""
    import json

    from harness.report.compare import compare as compare_runs
    from harness.report.compare import print_comparison

    results = compare_runs(runs)
    if as_json:
        typer.echo(json.dumps(results, indent=2))
    else:
        print_comparison(results)
    return 0 if any(one["entries"] for one in results["comparisons"]) else 2


def fork(
    trial: Annotated[str, typer.Argument(help="Id of a stored trial.")],
    run: Annotated[Path, typer.Option(help="Run directory that holds it.")],
    at: Annotated[int, typer.Option(help="Event of its trace; the turn that led to it is decided anew.")],
    arm: Annotated[list[str] | None, typer.Option(help="Arm of that run, or an intervention.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Continuations per arm.")] = 5,
    same_seed: Annotated[bool, typer.Option(help="Ask the model with the stored trial's seed.")] = False,
    run_dir: Annotated[Path | None, typer.Option(help="Where forks go; the same directory resumes.")] = None,
    root: Annotated[
        str | None, typer.Option(help="Of recorded incidents: directory of Scenario-N folders.")
    ] = None,
    executor: Annotated[str, typer.Option(help="local or ray.")] = "local",
) -> int:
    """Continue a stored trial from an event, under an arm and as an unmodified re-roll."""
    from harness.config import parse_config
    from harness.store import RunDirectory

    stored = RunDirectory(run).read_plan().config
    arms = dict(stored["arms"])
    for name in arm or ():
        arms.setdefault(name, [name])
    settings = {"run": str(run), "trials": [trial], "at": at, "arms": arm or [], "same_seed": same_seed}
    where = run_dir or run / "forks" / f"{trial}-e{at}-{'-'.join(arm or ['reroll'])}-{repeats}"
    own = {
        "name": "fork",
        "question": f"What would have happened to {trial} from event {at} on?",
        "arms": arms,
        "repeats": 1 if same_seed else repeats,
        "fork": settings,
        "environment": {**stored["environment"], "root": root},
        "executor": {"kind": executor},
        "run_dir": str(where),
    }
    return print_forks(parse_config({**stored, **own}))


def print_forks(config: ExperimentConfig) -> int:
    """Run forks and print what they say."""
    from harness.forks.analysis import report as page
    from harness.forks.run import run_forks

    outcome = run_forks(config)
    typer.echo(page(outcome.results), nl=False)
    for why in outcome.postponed:
        typer.echo(f"left owed: {why}; the same command goes on", err=True)
    typer.echo(f"report: {outcome.run_dir / 'forks.md'}", err=True)
    return 1 if outcome.unaccounted else 0


def print_searches(config: ExperimentConfig) -> int:
    """Search a stack for every system and print how each search ended."""
    from harness.closed_loop.loop import search_all

    for found in search_all(config):
        typer.echo(f"{found.model}, {found.agent}")
        for entry in found.entries:
            typer.echo(f"  {entry.step:<12}  {entry.decision}")
        typer.echo(f"ledger: {found.page}", err=True)
    return 0
