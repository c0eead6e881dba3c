"""`python -m harness classify PATH...`: its arguments, and the judge that it names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.errors import ConfigurationError, Problem

SUMMARY = "summary.md"


def classify(
    paths: Annotated[list[Path], typer.Argument(help="Run directories, trace files, directories of them.")],
    format_: Annotated[str, typer.Option("--format", help="Force a format instead of detecting it.")] = "",
    judge: Annotated[
        str, typer.Option(help="Settles proposals: a name under conf/judge or conf/model.")
    ] = "none",
    second_judge: Annotated[str, typer.Option(help="A second model that votes too.")] = "none",
    samples: Annotated[int, typer.Option(help="Answers per question and model.")] = 3,
    out: Annotated[Path, typer.Option(help="Where labels and tables go.")] = Path("labels"),
    calibration: Annotated[
        Path | None, typer.Option(help="calibration.json: failed modes only propose.")
    ] = None,
) -> int:
    """MAST labels for traces from anywhere: ours, Codex, MAST-Data, ATIF, OTel GenAI, OpenAI chat logs."""
    from harness.interop.traces import traces
    from harness.mast.archive import classify_archive, summary
    from harness.mast.taxonomy import ATOMS, EXTENSIONS, MODES

    asked = build_judge(judge, second_judge, samples, out / "judge_cache")
    archive = classify_archive(traces(paths, format_), out, asked, demoted_by(calibration))
    text = summary(archive, (*MODES, *ATOMS, *EXTENSIONS))
    (out / SUMMARY).write_text(text, encoding="utf-8")
    typer.echo(text)
    return 1 if archive.broken else 0


def build_judge(name: str, second: str, samples: int, cache: Path) -> Any:
    """The judge of that name; None for `none`. Raises ConfigurationError."""
    from harness.mast.judge import Judge, JudgeConfig
    from harness.models import create_model

    if name == "none":
        return None
    fields = judge_fields(name)
    other = judge_fields(second) if second != "none" else None
    models = [create_model(label, given) for label, given in ((name, fields), (second, other)) if given]
    problems = [problem for model in models for problem in model.problems()]
    if problems:
        raise ConfigurationError(problems)
    voter = (models[1], other) if other else None
    return Judge(models[0], fields, JudgeConfig(samples=samples), voter, cache)


def judge_fields(name: str) -> dict[str, Any]:
    """The model's fields in conf/judge/NAME.yaml, or conf/model/NAME.yaml. Raises ConfigurationError."""
    from importlib.resources import files

    import yaml

    for group in ("judge", "model"):
        file = files("conf").joinpath(group, f"{name}.yaml")
        if file.is_file():
            return dict(yaml.safe_load(file.read_text(encoding="utf-8")))
    raise ConfigurationError(Problem("--judge", f"neither conf/judge nor conf/model has {name}.yaml"))


def demoted_by(calibration: Path | None) -> frozenset[str]:
    """Modes that a calibration demoted. Raises ConfigurationError for a file that is none."""
    if calibration is None:
        return frozenset()
    try:
        modes = json.loads(calibration.read_bytes())["modes"]
        return frozenset(slug for slug, row in modes.items() if row["status"] == "demoted")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(Problem(str(calibration), f"not a calibration: {error!r}")) from None
