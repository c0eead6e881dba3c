"""The judge's part of an experiment: once trials have run, it settles what detectors only proposed.

    judgements.jsonl   one line per judged trace, durable; a trial's latest line by the same judge counts

A rerun judges exactly what is owed: traces without a line, and those where the judge could not be reached. The judge
asks the broker like everybody else, on an account of its own (`money.judge_usd`, within `money.usd`).
Owns: which traces are judged, the file, and joining its labels to the records. Does not own: questions and answers
(`harness/mast/judge`), or what a detector decides.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field, ValidationError

from harness.broker.accounts import JUDGE
from harness.broker.meters import Meters, Payer
from harness.broker.office import keeps_replies, open_desk
from harness.config import ExperimentConfig, as_problem
from harness.errors import ConfigurationError, Postponed, Problem
from harness.experiment import Judging
from harness.mast.ensemble import settle
from harness.mast.judge import Judge, JudgeConfig
from harness.models import create_model
from harness.models.meter import Metered
from harness.protocols import Model
from harness.records import Label, Record, TrialRecord, Usage
from harness.store import RunDirectory

FILE = "judgements.jsonl"
AT_ONCE = 8
"""Traces that wait for the judge together."""


class Judged(Record):
    """What the judge said about one trace."""

    trial_id: str
    labels: tuple[Label, ...] = ()
    missing: Mapping[str, str] = Field(default_factory=dict)
    """Modes without a usable answer, and why."""
    unreached: bool = False
    """The model could not be reached for some answer: the trace is owed again."""
    usage: Usage = Usage()
    provenance: Mapping[str, str] = Field(default_factory=dict)
    """Hashes of prompts, taxonomy and models."""


def check(config: ExperimentConfig, priced: bool) -> list[Problem]:
    """What would make every call of the judge fail. Raises ConfigurationError for wrong fields."""
    chosen = create_judge(config)
    here = f"models.{chosen.model.name}"
    return [one._replace(where=one.where.replace(here, "judge")) for one in chosen.model.problems(priced)]


def judge_owed(config: ExperimentConfig, run: RunDirectory, tell: Callable[[str], None]) -> Judging:
    """Judge every trace that is owed to the chosen judge. Raises ConfigurationError where no call could work."""
    config = config.model_copy(update={"run_dir": str(run.path)})
    return asyncio.run(_judge_owed(config, run, tell))


async def _judge_owed(config: ExperimentConfig, run: RunDirectory, tell: Callable[[str], None]) -> Judging:
    chosen = create_judge(config)
    provenance = chosen.judge(chosen.model).provenance()
    known = read(run.path)
    owed = [one for one in run.records() if is_owed(one, known, provenance)]
    if not owed:
        return Judging()
    cut_torn_line(run.path)
    waiting = iter(owed)
    postponed: list[str] = []
    done = 0
    async with open_desk(config, tell) as desk:
        meters = Meters(desk, keeps_replies(config))

        async def lane() -> None:
            nonlocal done
            for record in waiting:
                try:
                    judged = await review(chosen, meters, run, record)
                except Postponed as reason:
                    postponed.append(reason.why)
                    return
                append(run.path, judged)
                done += not judged.unreached

        try:
            async with asyncio.TaskGroup() as lanes:
                for _ in range(AT_ONCE):
                    lanes.create_task(lane())
        except* ConfigurationError as group:
            raise group.exceptions[0] from None
        finally:
            await chosen.model.close()
    return Judging(len(owed) - done, tuple(dict.fromkeys(postponed)))


async def review(chosen: Chosen, meters: Meters, run: RunDirectory, record: TrialRecord) -> Judged:
    """Judge one trial's trace. Raises Postponed, ConfigurationError."""
    model, spec = chosen.model, record.spec
    if isinstance(model, Metered):
        payer = Payer(JUDGE, spec.trial_id, "", model.name, model.provider, spec.repeat)
        meters.require(payer)
        model = model.metered(meters.of(payer))
    found = await settle(run.trace(record), record.labels, chosen.judge(model))
    return Judged(
        trial_id=spec.trial_id,
        labels=found.labels[len(record.labels) :],
        missing=found.missing,
        unreached=found.unreached,
        usage=found.usage,
        provenance=found.provenance,
    )


class Chosen(NamedTuple):
    """The configured judge."""

    model: Model
    fields: Mapping[str, Any]
    config: JudgeConfig

    def judge(self, model: Model) -> Judge:
        """A judge that asks through this form of the model."""
        return Judge(model, self.fields, self.config)


def create_judge(config: ExperimentConfig) -> Chosen:
    """Build the configured judge. Raises ConfigurationError for wrong fields."""
    name = str(config.judge.get("model", "judge")).rpartition("/")[2]
    try:
        how = JudgeConfig.model_validate(config.judging)
    except ValidationError as error:
        problems = [as_problem(item) for item in error.errors(include_url=False)]
        raise ConfigurationError([one._replace(where=f"judging.{one.where}") for one in problems]) from None
    try:
        return Chosen(create_model(name, config.judge), config.judge, how)
    except ConfigurationError as error:
        there = [one._replace(where=one.where.replace(f"models.{name}", "judge")) for one in error.problems]
        raise ConfigurationError(there) from None


def is_owed(record: TrialRecord, known: Mapping[str, Judged], provenance: Mapping[str, str]) -> bool:
    """Whether a trial's trace still has to be judged by this judge."""
    if record.trace is None or record.status == "excluded":
        return False
    judged = known.get(record.spec.trial_id)
    return judged is None or judged.unreached or judged.provenance not in ({}, dict(provenance))


# --- the file ---------------------------------------------------------------------------------------------


def read(run: Path) -> dict[str, Judged]:
    """Trial -> the latest judgement. A torn last line is left out; another bad one raises ConfigurationError."""
    file = run / FILE
    found: dict[str, Judged] = {}
    for number, line in enumerate(file.read_bytes().split(b"\n")[:-1] if file.exists() else [], start=1):
        try:
            judged = Judged.model_validate_json(line)
        except ValidationError as error:
            raise ConfigurationError(Problem(f"{file}:{number}", f"not a judgement: {error}")) from None
        found[judged.trial_id] = judged
    return found


def cut_torn_line(run: Path) -> None:
    """Cut off what a kill left of a line."""
    if (run / FILE).exists():
        os.truncate(run / FILE, (run / FILE).read_bytes().rfind(b"\n") + 1)


def append(run: Path, judged: Judged) -> None:
    """Make one judgement durable."""
    with open(run / FILE, "ab") as file:
        file.write(judged.model_dump_json(exclude_defaults=True).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def with_judgements(run: Path, records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The records with the judge's labels beside the detectors'."""
    known = read(run)
    return [
        record.model_copy(update={"labels": (*record.labels, *known[record.spec.trial_id].labels)})
        if record.spec.trial_id in known
        else record
        for record in records
    ]
