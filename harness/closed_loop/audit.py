"""Are the records true? Outcome, score and labels derived again, in a fresh process that loads no intervention.

An intervention is code in the process that runs its trials, so what that process writes is not taken on trust. Here
every trial is played again from its trace: the model repeats its recorded replies and guards are replaced by their
recorded rulings. What the agent did to the environment is then all there, and what a candidate did beside it, to the
environment, the verdict, the scorer or the classifier, is not.

Owns: the replay and the comparison. Does not own: what follows from a difference (`confirming.py`).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, NamedTuple

from harness.config import ExperimentConfig
from harness.errors import InfrastructureError
from harness.forks.replay import ForkingModel, recorded_replies
from harness.mast.classify import classify
from harness.protocols import (
    ALLOW,
    Environment,
    GuardEvent,
    Model,
    ModelReply,
    ModelRequest,
    ObservedToolResult,
    Operator,
    ProposedModelCall,
    ProposedSubmission,
    ProposedToolCall,
    Ruling,
    Silence,
)
from harness.records import Submission, TrialRecord
from harness.runner import TrialRunner
from harness.store import RunDirectory
from harness.trace import (
    AssistantMessage,
    ContextReduced,
    Event,
    Final,
    GuardFired,
    ModelCall,
    ToolCall,
    ToolResult,
    decode,
    of_type,
)
from harness.trial import run_trial

LOCKED = ("harness", "scenarios")
"""Packages that no candidate may change: verdict, scorer, classifier, statistics, incidents."""
COMPARED = ("status", "reason", "submission", "verdict", "score")
SHOWN = 5
"""Differences that are written out."""


class Audit(NamedTuple):
    """What came out for the trials of some arms."""

    trials: int
    differing: tuple[str, ...]
    """Trial and what differs, one sentence each."""

    @property
    def passed(self) -> bool:
        """Every record says what its trace says."""
        return not self.differing


def locked_digest() -> str:
    """Hash over the code and data that decide outcomes, as they lie on disk."""
    digest = hashlib.sha256()
    for package in LOCKED:
        for name, content in sorted(contents(files(package), package)):
            digest.update(name.encode() + b"\0" + content + b"\0")
    return digest.hexdigest()[:16]


def contents(folder: Traversable, path: str) -> list[tuple[str, bytes]]:
    """Path and bytes of every file of a package that holds code or data."""
    found: list[tuple[str, bytes]] = []
    for one in folder.iterdir():
        where = f"{path}/{one.name}"
        if one.is_dir() and one.name != "__pycache__":
            found.extend(contents(one, where))
        elif one.is_file() and one.name.endswith((".py", ".yaml", ".json", ".md")):
            found.append((where, one.read_bytes()))
    return found


# --- in the searching process --------------------------------------------------------------------------


def audit(config: ExperimentConfig, run: RunDirectory) -> Audit:
    """Audit all counted trials of a finished run, in one fresh process per processor. Those of the reference too: a
    candidate lives in the process that ran them."""
    names = [record.spec.trial_id for record in run.records() if record.status != "excluded"]
    bare = {
        "arms": {"audited": ()},
        "reference_arm": "audited",
        "contrasts": (),
        "pooled": {},
        "closed_loop": None,
    }
    plain = json.dumps({**config.model_dump(mode="json"), **bare})
    count = max(1, min(os.cpu_count() or 1, len(names)))
    command = [sys.executable, "-m", "harness.closed_loop.audit", str(run.path)]
    children = [
        subprocess.Popen(
            [*command, *names[part::count]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for part in range(count)
    ]
    answers = [child.communicate(plain)[0] for child in children]
    if any(child.returncode for child in children):
        raise RuntimeError(f"the audit of {run.path} ended with {[child.returncode for child in children]}")
    differing = [text for answer in answers for text in json.loads(answer)]
    return Audit(len(names), tuple(sorted(differing)))


# --- in the fresh process ------------------------------------------------------------------------------


def main(run_dir: str, names: Sequence[str]) -> None:
    """Configuration on standard input; a JSON list of differences on standard output."""
    config = ExperimentConfig.model_validate_json(sys.stdin.read())
    print(json.dumps(asyncio.run(differences(config, RunDirectory(Path(run_dir)), names))))


async def differences(config: ExperimentConfig, run: RunDirectory, names: Sequence[str]) -> list[str]:
    """One sentence per trial whose record is not what its trace says."""
    runner = TrialRunner(config)
    stored = {record.spec.trial_id: record for record in run.records()}
    found = []
    for name in names:
        record = stored[name]
        events = run.trace(record)
        again = await replayed(runner, record, events)
        wrong = [field for field in COMPARED if getattr(again, field) != getattr(record, field)]
        if set(classify(events)) != set(record.labels):
            wrong.append("labels")
        if wrong:
            found.append(f"{name}: {', '.join(wrong)} not as its trace says")
    await runner.close()
    return found


async def replayed(runner: TrialRunner, record: TrialRecord, events: Sequence[Event]) -> TrialRecord:
    """The record that the trace alone leads to."""
    setting = runner.setting(record.spec.model_copy(update={"arm": "audited"}))
    places: list[Environment] = []

    def environment() -> Environment:
        places.append(setting.environment())
        return places[-1]

    model = ForkingModel(Spent(setting.model), recorded_replies(events, record.planted), record.spec.seed, ())
    again = replace(
        setting,
        environment=environment,
        model=model,
        guards=lambda: [RecordedRulings(events, places[-1])],
        max_attempts=1,
    )
    output = await run_trial(record.spec, again)
    return output.record if same_path(events, decode(output.trace)) else diverged(output.record)


def same_path(recorded: Sequence[Event], again: Sequence[Event]) -> bool:
    """Both traces tell of the same words, calls and outcomes in the same order."""
    return skeleton(recorded) == skeleton(again)


def skeleton(events: Sequence[Event]) -> list[tuple[Any, ...]]:
    """A trace without what guards did and without what they rewrote."""
    kept: list[tuple[Any, ...]] = []
    for event in events:
        match event:
            case GuardFired() | ContextReduced():
                continue
            case AssistantMessage():
                kept.append((AssistantMessage, event.text))
            case ToolCall():
                kept.append((ToolCall, event.name, event.call_id))
            case ToolResult():
                kept.append((ToolResult, event.call_id, event.ok, event.executed))
            case _:
                kept.append((type(event),))
    return kept


def diverged(record: TrialRecord) -> TrialRecord:
    """A replay that did not follow the trace shows nothing."""
    return record.model_copy(update={"status": "excluded", "reason": "replay_diverged"})


class Spent:
    """The model after its last recorded reply: there is none."""

    def __init__(self, model: Model) -> None:
        self._model = model

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Raises InfrastructureError: the replay asks for a turn that the trace does not have."""
        raise InfrastructureError("replay_diverged", "a turn that was never recorded")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


class RecordedRulings:
    """In the place of an arm's guards: rules as they ruled, takes the time that they took, and nothing else."""

    name = "recorded"

    def __init__(self, events: Sequence[Event], environment: Environment) -> None:
        self._environment = environment
        self._began = environment.now()
        self._final = next((event.submission for event in of_type(events, Final)), None)
        self._fired: deque[tuple[int, GuardFired]] = deque()
        turns = 0
        for event in events:
            turns += isinstance(event, ModelCall)
            if isinstance(event, GuardFired):
                self._fired.append((turns, event))

    async def review(self, event: GuardEvent, operator: Operator) -> Ruling:
        """All recorded rulings on this event, joined as the panel joined them."""
        on, call_id = place_of(event)
        turns = sum(1 for _ in of_type(operator.events, ModelCall))
        decided = ALLOW
        while self._fired and self._matches(turns, on, call_id):
            _, fired = self._fired.popleft()
            if fired.reads:
                await self._environment.elapse(max(0.0, self._began + fired.t - self._environment.now()))
            for undone in fired.undone:
                await operator.undo(undone)
            if fired.ruling not in ("allow", "rewrite"):  # what was rewritten only the model read
                decided = Ruling(fired.ruling, feedback=fired.feedback, replacement=self._conclusion(fired))  # type: ignore[arg-type]
        return decided

    def _matches(self, turns: int, on: str, call_id: str) -> bool:
        at, fired = self._fired[0]
        return (at, fired.on, fired.call_id) == (turns, on, call_id)

    def _conclusion(self, fired: GuardFired) -> Submission | None:
        concluded = fired.ruling == "conclude" and self._final is not None
        return Submission.model_validate(self._final) if concluded else None


def place_of(event: GuardEvent) -> tuple[str, str]:
    """How the trace names what is ruled on."""
    match event:
        case ProposedModelCall():
            return "model_call", ""
        case ProposedToolCall():
            return "tool_call", event.call_id
        case ObservedToolResult():
            return "tool_result", event.call_id
        case ProposedSubmission():
            return "submission", event.call_id
        case Silence():
            return "silence", ""


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
