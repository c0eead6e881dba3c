"""`scenarios validate`: the self-test of scenarios on the simulated cluster, over several processes, and its table.

Owns: making stages and trials for `scenarios.selftest`, sharing each prepared incident among its checks, the table.
Does not own: the checks. A scenario is played from start to end by one process, so that it is prepared once.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from harness.agents.react import ReactAgent
from harness.budget import BudgetConfig
from harness.config import EnvironmentConfig, VerdictConfig
from harness.environments.simulated.environment import SimulatedEnvironment
from harness.models.scripted import ScriptedModel, answer_script
from harness.records import TrialRecord, TrialSpec
from harness.tools.toolbox import Toolbox
from harness.trial import Setting, run_trial
from scenarios.controls import CONTROLS
from scenarios.loader import Selector, catalogue
from scenarios.schema import Scenario
from scenarios.selftest import Check, ScenarioReport, Stage, check_scenario

SEED = 7
PARTS = {"symptom": "S", "cause": "C", "damage": "D"}


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


async def run_with_answer(scenario: Scenario, seed: int = SEED) -> TrialRecord:
    """A whole trial - session, tools, verdict, score - of an agent whose model knows the answer."""
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
        model=ScriptedModel(answer_script(scenario, stage.environment)),
        agent=ReactAgent,
        guards=lambda: (),
        prompt_additions=(),
        budget=BudgetConfig(),
    )
    return (await run_trial(spec, setting)).record


# --- the table --------------------------------------------------------------------------------------


def print_reports(reports: Sequence[ScenarioReport]) -> None:
    """Scenario by check, which parts of the verdict caught each control, and every failure in words."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table("scenario", "healthy", "active", "solutions", "undo", "answer", *CONTROLS)
    for report in reports:
        named = {one.name: one for one in report.checks}
        ways = [one for one in report.checks if one.name.startswith("solution")]
        solved = f"{sum(one.ok for one in ways)}/{len(ways)}" if ways else "-"
        plain = [_mark(named[name]) for name in ("healthy", "active")]
        rest = [_mark(named[name]) for name in ("undo", "answer", *CONTROLS)]
        coloured = solved if all(one.ok for one in ways) else f"[red]{solved}[/red]"
        table.add_row(report.key.rpartition("/")[2], *plain, coloured, *rest)
    console.print(table)
    console.print("S symptom, C cause, D damage: the parts of the verdict that caught a control agent")
    for name in CONTROLS:
        console.print(f"{name}: {caught_summary(reports, name)}")
    for report in reports:
        for failure in report.failures():
            console.print(f"[red]FAILED[/red] {failure}", highlight=False, soft_wrap=True)
    green = sum(report.ok for report in reports)
    console.print(f"{green} of {len(reports)} scenarios are what they say")


def caught_summary(reports: Sequence[ScenarioReport], control: str) -> str:
    """How often each part of the verdict caught a control agent, and how often it was the only one."""
    caught = [one.caught for report in reports for one in report.checks if one.name == control and one.caught]
    parts = Counter(part for each in caught for part in each)
    alone = Counter(each[0] for each in caught if len(each) == 1)
    said = [f"{part} {parts[part]} ({alone[part]} alone)" for part in PARTS]
    return f"caught in {len(caught)}: {', '.join(said)}"


def _mark(check: Check) -> str:
    if not check.ok:
        return "[red]FAILED[/red]"
    return " ".join(PARTS[part] for part in check.caught) or "ok"
