"""A fork experiment from configuration to report: inherit, choose points, freeze, run, analyse.

Owns: the steps and the fork plan. The same command on the same run directory continues where it stopped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from harness.config import ExperimentConfig, ForkConfig, parse_config
from harness.environments import select_scenarios
from harness.errors import ConfigurationError, Problem
from harness.experiment import content_hashes, declaration, run_owed, sha
from harness.forks.bisection import next_turn
from harness.forks.points import Point, detected, parents
from harness.forks.replay import success, turn_of, turns
from harness.forks.runner import REROLL
from harness.records import ForkPoint, Plan, TrialRecord, TrialSpec
from harness.runner import compose_arms, create_agents, preflight
from harness.store import RunDirectory, write_atomically
from harness.trace import Event, ModelCall

OWN = (
    "name",
    "question",
    "arms",
    "interventions",
    "fork",
    "repeats",
    "executor",
    "money",
    "rates",
    "outage",
    "responses",
    "run_dir",
    "planning",
    "pilot",
)
"""Keys that a fork experiment sets itself; all others come from the stored run's plan."""
PLACES = ("root", "cache_dir")
"""Where files lie is no part of a plan: the fork says so again."""
EXACT = ("simulated", "snapshot")
"""Environments that a replay brings back exactly."""


class Stored(NamedTuple):
    """The run that is forked, with what is read of it once."""

    plan: Plan
    parents: list[TrialRecord]
    events: dict[str, list[Event]]


class ForkOutcome(NamedTuple):
    """What a finished fork command leaves."""

    run_dir: Path
    results: dict[str, Any]
    unaccounted: int
    postponed: Sequence[str] = ()
    """Why forks could not go on in this run."""


def run_forks(wanted: ExperimentConfig) -> ForkOutcome:
    """Run every fork that is wanted and has no record, then analyse. Raises ConfigurationError before that."""
    fork = required(wanted)
    source = RunDirectory(Path(fork.run))
    stored_plan = source.read_plan()
    config = inherit(wanted, stored_plan)
    chosen = parents(source.records(), fork, stored_plan.reference_arm)
    if not chosen:
        raise ConfigurationError(
            Problem("fork.run", f"{fork.run} holds no failed trial with a trace to fork")
        )
    stored = Stored(stored_plan, chosen, {one.spec.trial_id: source.trace(one) for one in chosen})
    points = chosen_points(fork, stored)
    plan = fork_plan(config, stored, points)
    preflight(config)
    run = RunDirectory(Path(config.run_dir or f"runs/fork-{plan.digest[:8]}"))
    run.open_for_writing(plan)
    try:
        search = fork.at == "bisection"
        postponed = run_owed(
            config, plan, run, (lambda records: due(plan, stored, records)) if search else None
        )
        from harness.forks.analysis import analyse, report

        records = run.records()
        results = analyse(plan, points, stored.events, records, search)
        write_atomically(run.path / "forks.json", (json.dumps(results, indent=1) + "\n").encode())
        write_atomically(run.path / "forks.md", report(results).encode())
    finally:
        run.close()
    left = len(due(plan, stored, records)) if search else len(plan.trials)
    excluded = sum(record.status == "excluded" for record in records)
    return ForkOutcome(run.path, results, max(0, left - len(records)) + excluded, postponed)


def required(config: ExperimentConfig) -> ForkConfig:
    """The fork's part of the configuration."""
    if config.fork is None or not config.fork.run:
        hint = "fork.run=runs/NAME names a stored run"
        raise ConfigurationError(Problem("fork.run", "no stored run was named", hint))
    return config.fork


def inherit(wanted: ExperimentConfig, stored: Plan) -> ExperimentConfig:
    """The stored run's configuration with the fork's own keys: a fork continues under the same conditions."""
    kind = stored.config.get("environment", {}).get("kind", "simulated")
    if kind not in EXACT:
        what = f"a {kind} environment cannot be brought back to an earlier state exactly"
        raise ConfigurationError(Problem("fork.run", what, f"fork runs of {', '.join(EXACT)} environments"))
    own = wanted.model_dump(include=set(OWN))
    arms = {**wanted.arms, **stored.config.get("arms", {})}
    interventions = {**own.pop("interventions"), **stored.config.get("interventions", {})}
    dropped = {"stopping", "pooled", "contrasts"}
    base = {key: value for key, value in stored.config.items() if key not in dropped}
    places = {key: value for key, value in wanted.environment.model_dump().items() if key in PLACES}
    base["environment"] = {**base.get("environment", {}), **places}
    config = parse_config({**base, **own, "arms": arms, "interventions": interventions})
    unknown = [arm for arm in (required(wanted).arms) if arm not in config.arms]
    if unknown:
        known = ", ".join(config.arms)
        raise ConfigurationError(Problem("fork.arms", f"unknown arm {', '.join(unknown)}; arms are {known}"))
    return config


def chosen_points(fork: ForkConfig, stored: Stored) -> list[Point]:
    """Where each stored trial is forked; for a bisection, every turn that it may come to measure."""
    if fork.at == "detector":
        points = detected(stored.parents, fork.modes)
        if not points:
            raise ConfigurationError(Problem("fork.modes", "no detector marked a step in the stored trials"))
        return points
    if fork.at == "bisection":
        return [
            Point(name, event.i, "")
            for name, events in stored.events.items()
            for event in events
            if isinstance(event, ModelCall)
        ]
    for name, events in stored.events.items():
        if not 0 <= int(fork.at) < len(events):
            raise ConfigurationError(
                Problem("fork.at", f"{name} has events 0 to {len(events) - 1}, not {fork.at}")
            )
    return [Point(name, int(fork.at), "") for name in stored.events]


def fork_plan(config: ExperimentConfig, stored: Stored, points: Sequence[Point]) -> Plan:
    """One re-roll and one continuation per arm, at every distinct turn, times repeats."""
    fork = required(config)
    arms = fork.arms or tuple(arm for arm in config.arms if arm != stored.plan.reference_arm)
    arms = () if fork.at == "bisection" or (fork.same_seed and not fork.arms) else arms
    by_id = {record.spec.trial_id: record for record in stored.parents}
    trials: dict[str, TrialSpec] = {}
    for point in points:
        parent = by_id[point.trial_id]
        for arm in (REROLL, *arms):
            for repeat in range(config.repeats):
                spec = fork_spec(
                    parent, stored.events[point.trial_id], point.event, arm, repeat, fork.same_seed
                )
                trials[spec.trial_id] = spec
    scenarios = select_scenarios(config.environment, config.scenario)
    plan = Plan(
        experiment=config.name,
        question=config.question,
        config=config.scientific(),
        hashes=content_hashes(scenarios, compose_arms(config), create_agents(config))
        | {"fork.source": stored.plan.digest},
        primary_metric=config.primary_metric,
        reference_arm=REROLL,
        contrasts=tuple((arm, REROLL) for arm in arms),
        declaration=declaration(config),
        trials=tuple(trials.values()),
    )
    return plan.model_copy(update={"digest": sha(plan.model_dump_json())})


def fork_spec(
    parent: TrialRecord, events: Sequence[Event], event: int, arm: str, repeat: int, same_seed: bool
) -> TrialSpec:
    """A fork's trial. All arms of a repeat share the model's new seed, so that they are paired."""
    turn = turn_of(events, event)
    text = f"fork/{parent.spec.trial_id}/{turn}/{repeat}"
    fresh = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
    seed = parent.spec.seed if same_seed else fresh
    call = [one for one in events if isinstance(one, ModelCall)][turn].i if turns(events) else 0
    return parent.spec.model_copy(
        update={
            "trial_id": f"{parent.spec.trial_id}.t{turn}.{arm}.f{repeat}",
            "arm": arm,
            "repeat": repeat,
            "fork": ForkPoint(trial_id=parent.spec.trial_id, event=call, seed=seed),
        }
    )


def due(plan: Plan, stored: Stored, records: Sequence[TrialRecord]) -> list[TrialSpec]:
    """Bisection: the re-rolls of all turns measured so far, and of each trial's next turn."""
    done = {record.spec.trial_id: record for record in records}
    by_turn = specs_by_turn(plan, stored.events)
    wanted: list[TrialSpec] = []
    for at_turn in by_turn.values():
        values: dict[int, float] = {}
        while (turn := next_turn(values, len(at_turn))) is not None:
            specs = at_turn[turn]
            wanted.extend(specs)
            found = [done[spec.trial_id] for spec in specs if spec.trial_id in done]
            if len(found) < len(specs):
                break
            values[turn] = sum(map(success, found)) / len(found)
    return wanted


def specs_by_turn(plan: Plan, events: dict[str, list[Event]]) -> dict[str, dict[int, list[TrialSpec]]]:
    """Stored trial -> turn -> re-rolls there."""
    found: dict[str, dict[int, list[TrialSpec]]] = {}
    for spec in plan.trials:
        if spec.fork is not None and spec.arm == REROLL:
            turn = turn_of(events[spec.fork.trial_id], spec.fork.event)
            found.setdefault(spec.fork.trial_id, {}).setdefault(turn, []).append(spec)
    return found
