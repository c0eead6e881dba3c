"""`python -m harness calibrate inject | sheet | agreement`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="How far labels can be trusted.")


@app.command()
def inject(
    runs: Annotated[list[Path], typer.Argument(help="Runs of +experiment=calibration.")],
    out: Annotated[Path, typer.Option(help="The result file.")] = Path("calibration.json"),
) -> int:
    """Sensitivity and specificity per mode from planted failures and surgical edits; 1 when a mode fails."""
    from harness.mast.calibration.inject import as_document, calibrate, problems, table
    from harness.store import RunDirectory

    stored = [RunDirectory(path) for path in runs]
    found = calibrate((record, run.trace(record)) for run in stored for record in run.records())
    out.write_text(json.dumps(as_document(found), indent=1) + "\n", encoding="utf-8")
    typer.echo(table(found))
    failing = problems(found)
    for problem in failing:
        typer.echo(f"fails: {problem}")
    return 1 if failing else 0


@app.command()
def sheet(
    paths: Annotated[list[Path], typer.Argument(help="Traces of any format that `classify` reads.")],
    out: Annotated[Path, typer.Option(help="Directory for sheets, template and key.")] = Path("sheets"),
    count: Annotated[int, typer.Option(help="Traces to draw.")] = 60,
    seed: Annotated[int, typer.Option(help="Which ones.")] = 0,
) -> int:
    """Write annotation sheets that tell neither model nor arm nor outcome."""
    from harness.interop.imported import Imported
    from harness.interop.traces import traces
    from harness.mast.calibration.gold import write_sheets

    good = (item for item in traces(paths) if isinstance(item, Imported))
    written = write_sheets(good, out, count, seed)
    typer.echo(f"{written} sheets in {out}; keep key.json from the annotators")
    return 0


@app.command()
def agreement(gold: Annotated[list[Path], typer.Argument(help="Gold files, JSON lines.")]) -> int:
    """Kappa, AC1 and alpha between annotators, with bootstrap intervals over traces."""
    from harness.mast.calibration.gold import Interval, read_gold
    from harness.mast.calibration.gold import agreement as agree

    def text(value: Interval) -> str:
        if value.estimate is None:
            return "–"
        if value.low is None or value.high is None:
            return f"{value.estimate:.2f}"
        return f"{value.estimate:.2f} [{value.low:.2f}, {value.high:.2f}]"

    typer.echo("| mode | traces | yes | kappa | AC1 | alpha |\n| --- | --- | --- | --- | --- | --- |")
    for slug, found in agree([line for path in gold for line in read_gold(path)]).items():
        cells = [slug, found.traces, found.positives, *map(text, (found.kappa, found.ac1, found.alpha))]
        typer.echo(f"| {' | '.join(map(str, cells))} |")
    return 0
