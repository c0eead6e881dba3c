"""Where a search makes its measurements: one system, and one run directory per step.

Owns: the configurations of those runs, derived from the search's own so that nothing but arms, scenarios, seeds and
stopping differs. Does not own: running them (`experiment.py`, `forks/`), or what they mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from harness.config import ClosedLoopConfig, ExperimentConfig, parse_config
from harness.environments import select_scenarios
from harness.errors import ConfigurationError, Problem, RunStopped
from harness.experiment import run_experiment
from harness.forks.run import run_forks
from harness.records import Plan, TrialRecord
from harness.sequential import due_of
from harness.statistics.frames import trials_frame
from harness.store import RunDirectory

Stack = tuple[str, ...]
"""Interventions in the order in which they act."""


class Measured(NamedTuple):
    """A finished run of the search."""

    run: RunDirectory
    config: ExperimentConfig
    plan: Plan
    records: list[TrialRecord]

    @property
    def rows(self) -> pd.DataFrame:
        """The trials table."""
        return trials_frame(self.records)

    @property
    def owed(self) -> int:
        """Trials that the plan still wants."""
        due = due_of(self.plan)
        return len(self.plan.trials if due is None else due(self.records)) - len(self.records)

    @property
    def cost(self) -> float:
        """Money that the models took."""
        return sum(record.usage.cost_usd for record in self.records)


class Lab:
    """One system under study."""

    def __init__(self, config: ExperimentConfig, model: str, agent: str, path: Path) -> None:
        if config.closed_loop is None:
            raise ConfigurationError(Problem("closed_loop", "no search is configured"))
        self.config = config
        self.rules: ClosedLoopConfig = config.closed_loop
        self.model = model
        self.agent = agent
        self.path = path

    @property
    def development(self) -> list[str]:
        """Keys of the scenarios on which the search may look."""
        return [one.key for one in select_scenarios(self.config.environment, self.config.scenario)]

    @property
    def held_out(self) -> list[str]:
        """Keys of the scenarios that it sees once, at the end."""
        return [one.key for one in select_scenarios(self.config.environment, self.rules.held_out)]

    def measure(self, name: str, arms: Sequence[Stack], seed: int, **own: Any) -> Measured:
        """Full trials of some stacks; the first is the reference of the others."""
        reference, *others = (arm_name(stack) for stack in arms)
        config = self._step(name, arms, seed=self.config.seed + seed, reference_arm=reference)
        config = changed(config, contrasts=[[arm, reference] for arm in others], **own)
        run_experiment(config)
        found = self.stored(name)
        require_finished(name, found.owed)
        return found

    def fork(
        self, name: str, source: Path, trials: Sequence[str], slug: str, arms: Sequence[Stack]
    ) -> dict[str, Any]:
        """Continue stored trials from the first sign of a mode under each stack, beside the re-roll; what came
        out."""
        fork = {
            "run": str(source),
            "trials": list(trials),
            "modes": [slug],
            "arms": [arm_name(one) for one in arms],
        }
        config = changed(
            self._step(name, arms, reference_arm=arm_name(arms[0])),
            fork=fork,
            repeats=self.rules.screen_repeats,
        )
        outcome = run_forks(config)
        run = RunDirectory(outcome.run_dir)
        require_finished(name, len(run.read_plan().trials) - len(run.records()))
        return outcome.results

    def stored(self, name: str) -> Measured:
        """A run that a step left."""
        run = RunDirectory(self.path / name)
        plan = run.read_plan()
        own = {
            "environment": self.config.environment,
            "run_dir": str(run.path),
        }  # where files lie is in no plan
        return Measured(run, parse_config({**plan.config, **own}), plan, run.records())

    def forked(self, name: str) -> list[TrialRecord]:
        """Records of forks that a step left."""
        return RunDirectory(self.path / name).records()

    def _step(self, name: str, arms: Sequence[Stack], **own: Any) -> ExperimentConfig:
        return changed(
            self.config,
            name=f"{self.config.name}-{self.model}",
            question=f"{name}: a step of the search '{self.config.question}'",
            models={self.model: self.config.models[self.model]},
            agents={self.agent: self.config.agents[self.agent]},
            arms={arm_name(stack): stack for stack in arms},
            contrasts=(),
            pooled={},
            factorial=None,
            closed_loop=None,
            stopping={"rule": "fixed"},
            run_dir=str(self.path / name),
            **own,
        )


def require_finished(name: str, owed: int) -> None:
    """Raise RunStopped when a step was told to stop before its last trial: nothing can be decided from it."""
    if owed > 0:
        raise RunStopped("interrupted", f"{name} was stopped with {owed} trials owed")


def changed(config: ExperimentConfig, **own: Any) -> ExperimentConfig:
    """The configuration with other values, validated anew."""
    return ExperimentConfig.model_validate({**config.model_dump(), **own})


def arm_name(stack: Stack) -> str:
    """`baseline`, or what is in the arm: `loop_guard+verifier_gate`."""
    return "+".join(short(name) for name in stack) or "baseline"


def short(name: str) -> str:
    """An intervention's name; of an offered one the name of its class."""
    return name.rpartition(":")[2]
