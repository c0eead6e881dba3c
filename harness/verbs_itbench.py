"""Verbs that meet ITBench's own files: `score`, `scenarios import`, `scenarios lint`.

Owns: arguments, and what goes to standard output. Registered with the other verbs by `harness/verbs.py`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.errors import ConfigurationError, Problem

Outputs = Annotated[Path, typer.Argument(help="Directory <incident>/<trial>/agent_output.json.")]
Truths = Annotated[Path, typer.Option("--ground-truth", "-g", help="File or directory of ground truths.")]


def score(
    outputs: Outputs,
    ground_truth: Truths,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write everything to this file.")] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials that each incident owes.")] = None,
    only_present: Annotated[
        bool, typer.Option("--only-present", help="Incidents without a folder owe nothing.")
    ] = False,
    cache: Annotated[Path, typer.Option(help="Directory of the judge's answers.")] = Path(
        "runs/judge-answers"
    ),
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[judge=NAME judge.FIELD=VALUE]", help="Choose a judge.")
    ] = None,
) -> int:
    """Score stored diagnoses, ours or the official agent's. What is missing or unreadable counts as zero."""
    from harness.report.official_scores import print_scores
    from harness.scoring.directory import score_directory
    from harness.scoring.judge import compose_judge

    judge = compose_judge(overrides or [], cache)
    found = score_directory(outputs, ground_truth, trials, only_present, judge)
    if json_file is not None:
        write_json(json_file, found | {"problems": [problem._asdict() for problem in found["problems"]]})
    print_scores(found["statistics"], found["problems"], found["judge"])
    return 0


def import_scenarios(
    checkout: Annotated[Path, typer.Argument(help="Root of a checkout of ITBench.")],
    to: Annotated[Path | None, typer.Option(help="Write scenario files into this directory.")] = None,
) -> int:
    """Read a checkout of ITBench: what can be used, what not and why, and where the catalogue differs."""
    from scenarios.importing import import_checkout, write_scenarios
    from scenarios.loader import catalogue

    imported = import_checkout(checkout, catalogue())
    for one in imported:
        usable = "usable" if one.scenario is not None else "not usable"
        typer.echo(f"{one.id}: {usable}; ground truth {one.shape or 'missing'}")
        for heading, problems in (("left out", one.problems), ("differs", one.drift)):
            for problem in problems:
                typer.echo(f"    {heading}: {problem}")
        for finding in one.findings:
            typer.echo(f"    lint {finding.code}: {finding.where}: {finding.what}")
    usable_count = sum(one.scenario is not None for one in imported)
    same = sum(one.scenario is not None and not one.drift for one in imported)
    typer.echo(f"{len(imported)} scenarios: {usable_count} usable, {same} the same as built in")
    if to is not None:
        typer.echo(f"{len(write_scenarios(imported, to))} scenario files written to {to}")
    return 0


def lint(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Scenario files, ground truths, or directories of them.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 when anything is found.")] = False,
) -> int:
    """Find defects of ground truth, in the catalogue or in files, and the class that each suggests."""
    from scenarios.lint_paths import lint_catalogue, lint_path

    linted = [one for path in paths for one in lint_path(path)] if paths else lint_catalogue()
    for one in linted:
        declared = f", declared {one.declared}" if one.declared is not None else ""
        typer.echo(f"{one.name}: class {one.suggested} suggested{declared}")
        for finding in one.findings:
            typer.echo(f"    {finding.code}: {finding.where}: {finding.what}")
        for problem in one.problems:
            typer.echo(f"    unreadable: {problem}")
    found = sum(bool(one.findings or one.problems) for one in linted)
    typer.echo(f"{len(linted)} ground truths, {found} with findings")
    return int(strict and found > 0)


def write_json(path: Path, document: Any) -> None:
    """Write a JSON file atomically. Raises ConfigurationError when that is not possible."""
    from harness.store import write_atomically

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, (json.dumps(document, indent=2) + "\n").encode())
    except OSError as error:
        raise ConfigurationError(Problem(str(path), f"cannot be written: {error}")) from None
