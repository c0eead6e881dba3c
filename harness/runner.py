"""Turns a trial's spec into its setting. One runner lives in each worker process and shares what is expensive.

Owns: building models, agents, guards and environments from the configuration by name. Does not own: the trial
(trial.py) or which trials run (experiment.py).
"""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from harness.agents import brings_own_model, create_agent
from harness.broker.checks import is_capped, unenforceable
from harness.broker.meters import Meters, Payer
from harness.config import ExperimentConfig
from harness.environments import environment_factory, select_scenarios
from harness.errors import ConfigurationError, HarnessError, Problem
from harness.journal import DIRECTORY, Journal
from harness.models import create_model
from harness.models.meter import Metered
from harness.models.own import OwnModel
from harness.protocols import Agent, Instructed, Model
from harness.records import TrialSpec
from harness.sandbox.pool import SandboxPool
from harness.sandbox.tools import opened
from harness.sandbox.upkeep import require_images
from harness.trial import Setting, TrialOutput, crash_text, run_trial, unplayed
from interventions.registry import Intervention, compose
from scenarios.schema import Scenario

if TYPE_CHECKING:
    from harness.forks.runner import ForkRunner


COLLECT_AFTER = 10_000
"""Objects made, beyond those given back, after which Python looks for garbage in a process that runs trials. Nearly
all that a trial makes lives as long as its world: to look after every 700 objects, as is usual, finds nothing and
takes a fifteenth of the CPU."""


class TrialRunner:
    """Runs any trial of one experiment. There is one in each process that runs trials."""

    def __init__(self, config: ExperimentConfig, meters: Meters | None = None) -> None:
        self._config = config
        self._meters = meters
        chosen = select_scenarios(config.environment, config.scenario)
        self._scenarios = {scenario.key: scenario for scenario in chosen}
        self._arms = compose_arms(config)
        self._models: dict[str, Model] = {**create_models(config), OwnModel.name: OwnModel()}
        self._sandboxes = SandboxPool(config.sandbox) if config.sandbox.kind == "docker" else None
        self._environment = environment_factory(config.environment, config.verdict)
        self.journal = journal_of(config)
        gc.set_threshold(COLLECT_AFTER, *gc.get_threshold()[1:])

    async def run(self, spec: TrialSpec) -> TrialOutput:
        """Run one trial to its record. Raises ConfigurationError where no other trial could work either, and
        Postponed where this one has to wait for another run."""
        try:
            if spec.fork is not None:
                return await self.forks.run(spec, self)
            return await run_trial(spec, self.setting(spec))
        except HarnessError:
            raise
        except Exception as error:  # outside of attempts, which record their own crashes with their traces
            return unplayed(spec, "harness_crash", crash_text(error))

    @cached_property
    def forks(self) -> ForkRunner:
        """What runs forks; reads the stored trials once."""
        from harness.forks.runner import ForkRunner

        return ForkRunner(self._config)

    def arm(self, name: str) -> Sequence[Intervention]:
        """The interventions of an arm."""
        return self._arms[name]

    def setting(self, spec: TrialSpec, pays: TrialSpec | None = None) -> Setting:
        """Everything that a trial is made of; `pays`: the trial that its calls are for, if it is another one."""
        arm = self._arms[spec.arm]
        scenario = self._scenarios[spec.scenario]
        return Setting(
            scenario=scenario,
            environment=self._environment,
            model=self._metered(self._models[spec.model], pays or spec),
            agent=lambda: instructed(create_agent(spec.agent, self._config.agents[spec.agent]), scenario),
            guards=lambda: [one.guard() for one in arm if one.kind == "structural"],
            prompt_additions=[one.text.render() for one in arm if one.text is not None],
            budget=self._config.budget,
            context=self._config.context,
            variant=self._config.variant,
            max_attempts=self._config.max_attempts,
            ground_truth=self._config.ground_truth,
            sandbox=partial(opened, self._sandboxes) if self._sandboxes else None,
            journal=self.journal,
        )

    def _metered(self, model: Model, spec: TrialSpec) -> Model:
        """The model, asking the experiment's broker before every call, where calls cost something. Raises Postponed
        where the broker has refused such calls before."""
        if self._meters is None or not isinstance(model, Metered):
            return model
        budget = self._config.budget
        who = ("agent", spec.trial_id, spec.arm, model.name, model.provider)
        payer = Payer(*who, repeat=spec.repeat, trial_usd=budget.usd, call_usd=budget.call_usd)
        self._meters.require(payer)
        return model.metered(self._meters.of(payer))

    async def close(self) -> None:
        """Give back what models, sandboxes and the journal hold; before the event loop ends."""
        for model in self._models.values():
            await model.close()
        if self._sandboxes is not None:
            await self._sandboxes.close()
        if self.journal is not None:
            self.journal.close()

    def stored(self, trial_ids: Sequence[str]) -> None:
        """These trials are durable in the run directory."""
        if self.journal is not None:
            self.journal.release(trial_ids)


def journal_of(config: ExperimentConfig) -> Journal | None:
    """The journal in the run directory; None on a machine that does not see it."""
    return (
        Journal(Path(config.run_dir) / DIRECTORY)
        if config.run_dir and Path(config.run_dir).is_dir()
        else None
    )


def instructed(agent: Agent, scenario: Scenario) -> Agent:
    """The agent; a control agent, which is no contestant, is told the scenario."""
    if isinstance(agent, Instructed):
        agent.learn(scenario)
    return agent


def create_models(config: ExperimentConfig) -> Mapping[str, Model]:
    """All models of an experiment. Raises ConfigurationError listing every problem of every model."""
    problems: list[Problem] = []
    models: dict[str, Model] = {}
    for name, fields in config.models.items():
        try:
            models[name] = create_model(name, fields)
        except ConfigurationError as error:
            problems.extend(error.problems)
    if problems:
        raise ConfigurationError(problems)
    return models


def create_agents(config: ExperimentConfig) -> Mapping[str, Agent]:
    """All agents of an experiment. Raises ConfigurationError listing every problem of every agent."""
    problems: list[Problem] = []
    agents: dict[str, Agent] = {}
    for name, fields in config.agents.items():
        try:
            agents[name] = create_agent(name, fields)
        except ConfigurationError as error:
            problems.extend(error.problems)
    if problems:
        raise ConfigurationError(problems)
    return agents


def pairs(config: ExperimentConfig) -> Sequence[tuple[str, str]]:
    """(model, agent) of every system that is compared; an agent that brings its own model occurs once."""
    agents = create_agents(config)
    own = [(OwnModel.name, name) for name, agent in agents.items() if brings_own_model(agent)]
    others = [name for name, agent in agents.items() if not brings_own_model(agent)]
    return [*((model, agent) for model in config.models for agent in others), *own]


def compose_arms(config: ExperimentConfig) -> Mapping[str, Sequence[Intervention]]:
    """All arms of an experiment. Raises ConfigurationError listing every problem of every arm."""
    problems: list[Problem] = []
    arms: dict[str, Sequence[Intervention]] = {}
    for name, members in config.arms.items():
        try:
            arms[name] = compose(name, members, config.interventions)
        except ConfigurationError as error:
            problems.extend(error.problems)
    if problems:
        raise ConfigurationError(problems)
    return arms


def preflight(config: ExperimentConfig) -> None:
    """Raise ConfigurationError for everything that would make every call of a model, or every container, fail, and
    for limits that could not hold."""
    priced = is_capped(config)
    used = {model for model, _ in pairs(config)}
    models = create_models(config)
    found = [*unenforceable(config, models, own=OwnModel.name in used)]
    found += [problem for name in models if name in used for problem in models[name].problems(priced)]
    if config.judged:
        from harness.judging import check  # not where nobody chose a judge

        found += check(config, priced)
    if found:
        raise ConfigurationError(found)
    require_images(config)
