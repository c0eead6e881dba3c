"""`python -m harness export RUN`: a stored run in the form that another system reads.

    itbench-evaluator   agent_output.json trees for the official evaluator
    otlp                OpenTelemetry GenAI spans, sent to a collector or kept as OTLP JSON lines
    atif                one ATIF trajectory per trial
    inspect             one Inspect log per model and arm (extra `inspect`)

Owns: the verb, the list of layouts, which trials are written. Each mapping is a module of its own; the heavy imports
are theirs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Annotated, Literal

import typer

from harness.errors import ConfigurationError, Problem
from harness.interop.directories import appearing
from harness.interop.evaluator_export import export_run, tree_of
from harness.records import Plan, TrialRecord, TrialSpec
from harness.store import RunDirectory

BATCH = 200
"""Trials whose spans are sent or encoded together."""
Layout = Literal["itbench-evaluator", "otlp", "atif", "inspect"]


def export(
    run: Annotated[Path, typer.Argument(help="Directory of a stored run.")],
    to: Annotated[Path | None, typer.Option(help="Directory to create.")] = None,
    layout: Annotated[Layout, typer.Option(help="Whose layout.")] = "itbench-evaluator",
    endpoint: Annotated[
        str, typer.Option(help="otlp: send to this URL instead, such as http://127.0.0.1:4318/v1/traces.")
    ] = "",
    arm: Annotated[list[str] | None, typer.Option(help="Only these arms.")] = None,
    trial: Annotated[list[str] | None, typer.Option(help="Only these trials.")] = None,
) -> int:
    """Write a run for the official evaluator, as OpenTelemetry spans, as ATIF trajectories or as Inspect logs."""
    stored = RunDirectory(run)
    chosen = Chosen(stored, arm or (), trial or ())
    if endpoint:
        if layout != "otlp" or to is not None:
            raise ConfigurationError(Problem("--endpoint", "goes with --layout otlp and without --to"))
        typer.echo(f"{send(chosen, endpoint)} trials sent to {endpoint}")
        return 0
    if to is None:
        raise ConfigurationError(Problem("--to", "expected a directory to create"))
    if layout == "itbench-evaluator":
        if arm or trial:
            raise ConfigurationError(Problem("--arm, --trial", "the evaluator's layout takes a whole run"))
        return _evaluator(chosen, to)
    with appearing(to) as work:
        written = WRITERS[layout](chosen, work)
    typer.echo(f"{written} trials written to {to}")
    return 0


class Chosen:
    """The finished trials of a run that are exported, and when the run began."""

    def __init__(self, stored: RunDirectory, arms: Sequence[str], trials: Sequence[str]) -> None:
        self.stored = stored
        self.plan: Plan = stored.read_plan()
        known = {spec.arm for spec in self.plan.trials}, {spec.trial_id for spec in self.plan.trials}
        problems = [
            Problem(flag, f"{name!r} is not in this run")
            for flag, wanted, names in (("--arm", arms, known[0]), ("--trial", trials, known[1]))
            for name in wanted
            if name not in names
        ]
        if problems:
            raise ConfigurationError(problems)
        self.records = [
            record
            for record in stored.records()
            if (not arms or record.spec.arm in arms) and (not trials or record.spec.trial_id in trials)
        ]
        self.began = datetime.fromtimestamp(stored.plan_file.stat().st_mtime, UTC)
        """Traces tell environment seconds; the freezing of the plan stands for second 0 of each."""

    def batches(self) -> Iterator[list[TrialRecord]]:
        """Trials a few at a time, so that memory stays bounded."""
        for start in range(0, len(self.records), BATCH):
            yield self.records[start : start + BATCH]


def send(chosen: Chosen, endpoint: str) -> int:
    """Send spans over OTLP/HTTP; headers come from OTEL_EXPORTER_OTLP_HEADERS. Raises ConfigurationError."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import SpanExportResult

    from harness.interop.otel_export import spans

    exporter = OTLPSpanExporter(endpoint=endpoint, timeout=10)
    try:
        for batch in chosen.batches():
            for record in batch:
                built = spans(chosen.plan, record, chosen.stored.trace(record), chosen.began)
                if exporter.export(built) is not SpanExportResult.SUCCESS:
                    where = f"{record.spec.trial_id} was not accepted; trials before it were"
                    hint = "is a collector listening there, with OTLP over HTTP?"
                    raise ConfigurationError(Problem(f"--endpoint {endpoint}", where, hint))
    finally:
        exporter.shutdown()  # type: ignore[no-untyped-call]  # the package leaves it untyped
    return len(chosen.records)


def _otlp(chosen: Chosen, work: Path) -> int:
    from harness.interop.otel_export import otlp_json, spans

    with open(work / "traces.otlp.jsonl", "w", encoding="utf-8") as lines:
        for record in chosen.records:
            built = spans(chosen.plan, record, chosen.stored.trace(record), chosen.began)
            lines.write(json.dumps(otlp_json(built), ensure_ascii=False) + "\n")
    return len(chosen.records)


def _atif(chosen: Chosen, work: Path) -> int:
    from harness.interop.atif_export import trajectory

    for record in chosen.records:
        folder = work / tree_of(chosen.plan, record.spec)
        folder.mkdir(parents=True, exist_ok=True)
        document = trajectory(record, chosen.stored.trace(record), chosen.began)
        name = f"{record.spec.scenario.rpartition('/')[2]}.r{record.spec.repeat}.trajectory.json"
        (folder / name).write_text(json.dumps(document, ensure_ascii=False, indent=1), encoding="utf-8")
    return len(chosen.records)


def _inspect(chosen: Chosen, work: Path) -> int:
    try:
        from harness.interop.inspect_export import write_log
    except ImportError as error:
        hint = "pip install 'sre-intervention-harness[inspect]'"
        raise ConfigurationError(
            Problem("--layout inspect", f"Inspect is not installed: {error}", hint)
        ) from None
    ordered = sorted(chosen.records, key=lambda record: (_system(record.spec), record.spec.trial_id))
    for _, group in groupby(ordered, key=lambda record: _system(record.spec)):
        trials = [(record, chosen.stored.trace(record)) for record in group]
        path = work / f"{tree_of(chosen.plan, trials[0][0].spec)}.eval"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_log(path, chosen.plan, trials, chosen.began)
    return len(ordered)


def _system(spec: TrialSpec) -> tuple[str, str, str]:
    return spec.agent, spec.model, spec.arm


WRITERS: dict[str, Callable[[Chosen, Path], int]] = {"otlp": _otlp, "atif": _atif, "inspect": _inspect}


def _evaluator(chosen: Chosen, to: Path) -> int:
    from scenarios.loader import catalogue

    scenarios = {scenario.key: scenario for scenario in catalogue().all()}
    keys = dict.fromkeys(spec.scenario for spec in chosen.plan.trials)
    truths = {key: scenarios[key].scored_ground_truth() for key in keys if key in scenarios}
    index = export_run(chosen.plan, chosen.records, truths, to)
    written = sum(entry["folder"] is not None for entry in index["trials"])
    typer.echo(f"{written} of {len(index['trials'])} trials written to {to}")
    for key in keys:
        if key not in scenarios:
            typer.echo(f"no ground truth for {key}: it is not in the catalogue", err=True)
    return 0
