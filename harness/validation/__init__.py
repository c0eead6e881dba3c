"""`scenarios validate`: the self-test of scenarios on the simulated cluster, over several processes.

Owns: making stages and trials for `scenarios.selftest`, sharing each prepared incident among its checks. Does not
own: the checks, the agent that knows the answer (`answer.py`), the table (`table.py`). A scenario is played from
start to end by one process, so that it is prepared once.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from harness.agents import create_agent
from harness.budget import BudgetConfig
from harness.config import EnvironmentConfig, VerdictConfig
from harness.environments.simulated.environment import SimulatedEnvironment
from harness.records import TrialRecord, TrialSpec
from harness.tools.toolbox import Toolbox
from harness.trial import Setting, run_trial
from harness.validation.answer import ScriptedModel, answer_script
from scenarios.loader import Selector, catalogue
from scenarios.schema import GroundTruthPolicy, Scenario
from scenarios.selftest import ScenarioReport, Stage, check_scenario

SEED = 7


def validate(select: Selector, jobs: int = 0, seed: int = SEED) -> list[ScenarioReport]:
    """Check scenarios of the catalogue, in `jobs` processes (0: one per processor). Raises ConfigurationError."""
    scenarios = catalogue().select(select)
    jobs = min(jobs or os.cpu_count() or 1, len(scenarios))
    play = partial(check, seed=seed)
    if jobs == 1:
        return [play(scenario) for scenario in scenarios]
    context = multiprocessing.get_context("spawn")  # nothing is inherited: no locks, no caches
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        return list(pool.map(play, scenarios))


def check(scenario: Scenario, seed: int = SEED) -> ScenarioReport:
    """All checks of one scenario, with one seed."""
    make_stage, run_answer = partial(make_simulated_stage, seed=seed), partial(run_with_answer, seed=seed)
    return asyncio.run(check_scenario(scenario, make_stage, run_answer))


def _environment() -> SimulatedEnvironment:
    return SimulatedEnvironment(EnvironmentConfig(), VerdictConfig())


async def make_simulated_stage(scenario: Scenario, seed: int = SEED) -> Stage:
    """A started scenario and its tools; the first call of a process prepares the incident, later ones copy it."""
    environment = _environment()
    briefing = await environment.start(scenario, seed)
    return Stage(environment, Toolbox(environment.cluster, environment.telemetry, briefing.namespaces))


async def run_with_answer(
    scenario: Scenario, seed: int = SEED, ground_truth: GroundTruthPolicy = "corrected"
) -> TrialRecord:
    """A whole trial - session, tools, verdict, score - of an agent whose model knows the corrected answer."""
    stage = await make_simulated_stage(scenario, seed)
    spec = TrialSpec(
        trial_id="answer",
        scenario=scenario.key,
        model="answer",
        agent="react",
        arm="baseline",
        repeat=0,
        seed=seed,
    )
    setting = Setting(
        scenario=scenario,
        environment=_environment,
        model=ScriptedModel(answer_script(scenario, stage.environment.baseline.condition)),
        agent=lambda: create_agent(spec.agent, {"kind": spec.agent}),
        guards=lambda: (),
        prompt_additions=(),
        budget=BudgetConfig(),
        ground_truth=ground_truth,
    )
    return (await run_trial(spec, setting)).record
