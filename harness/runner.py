"""Turns a trial's spec into its setting. One runner lives in each worker process and shares what is expensive.

Owns: building models, agents, guards and environments from the configuration by name. Does not own: the trial
(trial.py) or which trials run (experiment.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.agents import create_agent
from harness.config import ExperimentConfig
from harness.environments import environment_factory
from harness.models import create_model
from harness.protocols import Environment, Model
from harness.records import TrialSpec
from harness.trial import Setting, TrialOutput, run_trial
from interventions.registry import Intervention, compose
from scenarios.loader import catalogue


class TrialRunner:
    """Runs any trial of one experiment."""

    def __init__(self, config: ExperimentConfig) -> None:
        self._config = config
        self._scenarios = {scenario.key: scenario for scenario in catalogue().select(config.scenario)}
        self._arms = {name: compose(name, arm, config.interventions) for name, arm in config.arms.items()}
        self._models: dict[str, Model] = {}
        self._environment: Callable[[], Environment] = environment_factory(config.environment, config.verdict)

    async def run(self, spec: TrialSpec) -> TrialOutput:
        """Run one trial to its record."""
        arm = self._arms[spec.arm]
        setting = Setting(
            scenario=self._scenarios[spec.scenario],
            environment=self._environment,
            model=self._model(spec.model),
            agent=lambda: create_agent(spec.agent),
            guards=lambda: [one.guard() for one in arm if one.kind == "structural"],
            prompt_additions=[one.text.render() for one in arm if one.text is not None],
            budget=self._config.budget,
            max_attempts=self._config.max_attempts,
        )
        return await run_trial(spec, setting)

    def _model(self, name: str) -> Model:
        if name not in self._models:
            priced = self._config.budget.usd is not None
            self._models[name] = create_model(name, self._config.models[name], price_required=priced)
        return self._models[name]


def interventions_of(config: ExperimentConfig) -> dict[str, list[Intervention]]:
    """The composed arms of an experiment. Raises ConfigurationError listing every problem of every arm."""
    from harness.errors import ConfigurationError, Problem

    problems: list[Problem] = []
    arms: dict[str, list[Intervention]] = {}
    for name, members in config.arms.items():
        try:
            arms[name] = compose(name, members, config.interventions)
        except ConfigurationError as error:
            problems.extend(error.problems)
    if problems:
        raise ConfigurationError(problems)
    return arms


def describe_models(config: ExperimentConfig) -> dict[str, Any]:
    """Model name -> whether it is a test double; checks that every model can be built."""
    priced = config.budget.usd is not None
    return {
        name: create_model(name, fields, price_required=priced).simulated
        for name, fields in config.models.items()
    }
