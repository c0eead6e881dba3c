"""One experiment from configuration to results: plan, freeze, run what is owed, report.

Owns: the plan (who is compared with whom on what, with which seeds and hashes) and the order of the steps. The
same call on the same run directory continues where the last one stopped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from harness import __version__
from harness.agents.prompts import system_prompt, task_prompt
from harness.config import ExperimentConfig
from harness.environments import environment_session, select_scenarios, source_digests
from harness.errors import CAUSES, ConfigurationError, Problem
from harness.executors import create_executor, executor_session
from harness.executors.postponed import tell
from harness.finished import Finished
from harness.interrupt import stop_on_signals
from harness.plugins import added_by
from harness.progress import Progress
from harness.protocols import Agent, Briefing
from harness.records import Declaration, Plan, TrialRecord, TrialSpec
from harness.recovery import take_over
from harness.runner import compose_arms, create_agents, create_models, pairs, preflight
from harness.sandbox.upkeep import swept
from harness.store import RunDirectory
from interventions.registry import Intervention
from scenarios.schema import Scenario


class Judging(NamedTuple):
    """What the judge leaves."""

    owed: int = 0
    """Traces that still have to be judged."""
    postponed: Sequence[str] = ()
    """Why."""


class Outcome(NamedTuple):
    """What a finished command leaves."""

    run_dir: Path
    results: Mapping[str, Any]
    unaccounted: int
    """Trials that are owed or were excluded for infrastructure reasons, and traces that are owed to the judge."""
    postponed: Sequence[str] = ()
    """Why trials could not go on in this run."""
    left: Sequence[str] = ()
    """What the run could not remove from a live cluster."""


def run_experiment(config: ExperimentConfig) -> Outcome:
    """Plan, run what is owed, classify, analyse and report. Raises ConfigurationError before anything runs."""
    plan = build_plan(config)
    preflight(config)
    run = RunDirectory(config.directory)
    run.open_for_writing(plan)
    try:
        with swept(config), environment_session(config) as live:
            postponed = run_owed(live.config, plan, run, stopping_rule(config, plan))
        judged = judge(config, run)
        from harness.report.apart import report_on  # pandas and matplotlib: not before trials have run

        results = report_on(run, plan)
    finally:
        run.close()
    counts = results["denominators"]
    unaccounted = counts["owed"] + counts["excluded"] + judged.owed
    return Outcome(run.path, results, unaccounted, [*postponed, *judged.postponed], tuple(live.left))


def judge(config: ExperimentConfig, run: RunDirectory) -> Judging:
    """Have the judge settle what detectors only proposed, where one was chosen."""
    if not config.judged:
        return Judging()
    from harness.judging import judge_owed  # not where nobody chose a judge

    return judge_owed(config, run, tell)


Due = Callable[[Sequence[TrialRecord]], Sequence[TrialSpec]]
"""Which planned trials are wanted, given the finished ones. It depends on nothing else, so a run resumes."""


def stopping_rule(config: ExperimentConfig, plan: Plan) -> Due | None:
    """Which planned trials are wanted as records come in; None under a fixed design: all of them."""
    if config.stopping.rule == "fixed":
        return None
    from harness.sequential import due_of  # pandas: not where nobody needs it

    return due_of(plan)


def run_owed(
    config: ExperimentConfig, plan: Plan, run: RunDirectory, due: Due | None = None
) -> Sequence[str]:
    """Run every planned trial that has no durable record yet; with `due`, in batches, until none is wanted.
    Returns why trials could not go on in this run, if any could not."""
    config = config.model_copy(update={"run_dir": str(run.path.resolve())})
    with ExitStack() as session:
        take_over(run)
        session.callback(take_over, run)
        stop = session.enter_context(stop_on_signals())
        while not stop.requested:
            finished, wanted = (run.finished(), plan.trials) if due is None else asked_for(run, due)
            owed = [spec for spec in wanted if spec.trial_id not in finished]
            if not owed:
                return ()
            session.enter_context(executor_session(config))
            executor = create_executor(config.executor.kind)
            with Progress(
                len(finished) + len(owed),
                len(finished),
                at_once=lambda executor=executor: executor.at_once,  # type: ignore[misc]
                usd=most_usd(config, plan),
                mode=config.progress,
            ) as progress:

                def keep(batch: Sequence[Finished], progress: Progress = progress) -> None:
                    run.add(batch)
                    progress.add(batch)

                postponed = executor.execute(config, owed, keep, stop)
            if due is None or postponed:
                return postponed
    return ()


def most_usd(config: ExperimentConfig, plan: Plan) -> float | None:
    """The most that the agents of a run may spend, where that is limited."""
    each = config.budget.usd
    limits = [config.money.usd, None if each is None else each * len(plan.trials)]
    return min((limit for limit in limits if limit is not None), default=None)


def asked_for(run: RunDirectory, due: Due) -> tuple[set[str], Sequence[TrialSpec]]:
    """Ids of the finished trials, and which trials are wanted now that they are."""
    records = run.records()
    return {record.spec.trial_id for record in records}, due(records)


def build_plan(config: ExperimentConfig) -> Plan:
    """Everything that is owed and declared, with content hashes."""
    scenarios = select_scenarios(config.environment, config.scenario)
    require_variant(config, scenarios)
    require_outcome(config)
    sources = source_digests(config.environment, scenarios)
    arms = compose_arms(config)
    create_models(config)
    plan = Plan(
        experiment=config.name,
        question=config.question,
        config=config.scientific(),
        hashes=content_hashes(scenarios, arms, create_agents(config))
        | {f"evidence.{key}": digest for key, digest in sources.items()},
        primary_metric=config.primary_metric,
        reference_arm=config.reference_arm,
        contrasts=config.declared_contrasts,
        declaration=declaration(config),
        trials=tuple(expand(config, scenarios)),
    )
    return plan.model_copy(update={"digest": sha(plan.model_dump_json())})


def declaration(config: ExperimentConfig) -> Declaration:
    """The part of the configuration that says how results will be judged."""
    return Declaration(
        pooled=config.pooled,
        exclusions=tuple(sorted(cause for cause, row in CAUSES.items() if row.grade == "exclude")),
        stopping=config.stopping.model_dump() if config.stopping.rule != "fixed" else {"rule": "fixed"},
        no_harm_margin=config.no_harm_margin,
    )


def require_variant(config: ExperimentConfig, scenarios: Sequence[Scenario]) -> None:
    """Raise ConfigurationError for scenarios without the ambiguous variant that is asked for."""
    lacking = [str(one.id) for one in scenarios if config.variant == "ambiguous" and one.ambiguity is None]
    if lacking:
        what = f"no ambiguous variant in {', '.join(lacking)}"
        raise ConfigurationError(
            Problem("scenario", what, "scenario=variant:ambiguous selects those with one")
        )


def require_outcome(config: ExperimentConfig) -> None:
    """Raise ConfigurationError for a primary metric that the environment cannot decide."""
    if config.environment.kind == "snapshot" and config.primary_metric == "remediated":
        hint = "primary_metric=recall, or an environment in which agents can act"
        raise ConfigurationError(Problem("primary_metric", "nothing can be remediated on snapshots", hint))


def expand(config: ExperimentConfig, scenarios: Sequence[Scenario]) -> list[TrialSpec]:
    """Scenario x repeat x model x arm, neighbours sharing scenario and seed."""
    systems = pairs(config)
    return [
        TrialSpec(
            trial_id=f"{scenario.id}.{model}.{agent}.{arm}.r{repeat}",
            scenario=scenario.key,
            model=model,
            agent=agent,
            arm=arm,
            repeat=repeat,
            seed=seed_of(config.seed, scenario.key, repeat),
        )
        for scenario in scenarios
        for repeat in range(config.repeats)
        for model, agent in systems
        for arm in config.arms
    ]


def seed_of(seed: int, scenario: str, repeat: int) -> int:
    """Seed of a trial; the same for all arms and models, so that contrasts are paired."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{scenario}/{repeat}".encode()).digest()[:4], "big") >> 1


def content_hashes(
    scenarios: Sequence[Scenario],
    arms: Mapping[str, Sequence[Intervention]],
    agents: Mapping[str, Agent],
) -> dict[str, str]:
    """What the numbers depend on beside the configuration."""
    from harness.mast.taxonomy import taxonomy

    texts = system_prompt() + task_prompt(Briefing(["app"])) + task_prompt(Briefing(["app"], can_act=False))
    used = {one.name: one.digest for members in arms.values() for one in members}
    return {
        "version": __version__,
        **{f"package.{name}": version for name, version in sorted(added_by().items())},
        "prompt": sha(texts),
        "scenarios": sha("".join(scenario.digest for scenario in scenarios)),
        "taxonomy": taxonomy().hash,
        **{f"intervention.{name}": digest for name, digest in sorted(used.items())},
        **{
            f"agent.{name}": agent.digest
            for name, agent in sorted(agents.items())
            if hasattr(agent, "digest")
        },
    }


def sha(text: str) -> str:
    """Short content hash."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
