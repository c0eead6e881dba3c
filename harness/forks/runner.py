"""Runs one fork: the stored trial's setting with a forking model and gated guards.

Owns: putting the pieces together, and excluding a fork whose replay left the record. One lives in each worker.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.config import ExperimentConfig
from harness.errors import ConfigurationError, Problem
from harness.forks.replay import ForkingModel, divergence, gated_guards, recorded_replies, turn_of
from harness.protocols import Guard
from harness.records import TrialRecord, TrialSpec
from harness.store import RunDirectory
from harness.trace import decode
from harness.trial import TrialOutput, run_trial
from interventions.registry import Intervention

if TYPE_CHECKING:
    from harness.runner import TrialRunner

REROLL = "reroll"
"""The control: continue with the stored trial's own arm, only asking the model anew."""


class ForkRunner:
    """Finds stored trials and continues them."""

    def __init__(self, config: ExperimentConfig) -> None:
        if config.fork is None:
            raise ConfigurationError(Problem("fork", "a fork was planned but fork.run is not set"))
        self._run = RunDirectory(Path(config.fork.run))
        self._stored = {record.spec.trial_id: record for record in self._run.records()}

    async def run(self, spec: TrialSpec, runner: TrialRunner) -> TrialOutput:
        """Play the stored trial up to the fork's turn, continue from there, check the way to it."""
        assert spec.fork is not None
        parent = self._parent(spec.fork.trial_id)
        events = self._run.trace(parent)
        turn = turn_of(events, spec.fork.event)
        setting = runner.setting(parent.spec, pays=spec)
        before = runner.arm(parent.spec.arm)
        after = before if spec.arm == REROLL else runner.arm(spec.arm)
        replies = recorded_replies(events, parent.planted)[:turn]
        model = ForkingModel(setting.model, replies, spec.fork.seed, added_texts(before, after))
        forked = replace(
            setting,
            model=model,
            guards=lambda: gated_guards(structural(before), structural(after), lambda: model.live),
            max_attempts=1,
        )
        output = await run_trial(spec, forked)
        problem = divergence(events, decode(output.trace), turn)
        return TrialOutput(diverged(output.record, problem), output.trace) if problem else output

    def _parent(self, trial_id: str) -> TrialRecord:
        if trial_id not in self._stored:
            raise ConfigurationError(Problem("fork.trials", f"{trial_id} is not stored in {self._run.path}"))
        return self._stored[trial_id]


def structural(arm: Sequence[Intervention]) -> dict[str, Callable[[], Guard]]:
    """Guard factories of an arm by intervention."""
    return {one.name: one.guard for one in arm if one.kind == "structural"}


def added_texts(before: Sequence[Intervention], after: Sequence[Intervention]) -> list[str]:
    """Prompt texts of the fork's arm that the stored history does not already carry."""
    known = {one.name for one in before}
    return [one.text.render() for one in after if one.text is not None and one.name not in known]


def diverged(record: TrialRecord, problem: str) -> TrialRecord:
    """The record of a fork that cannot be compared."""
    return record.model_copy(
        update={
            "status": "excluded",
            "reason": "replay_diverged",
            "detail": problem,
            "score": None,
            "labels": (),
        }
    )
