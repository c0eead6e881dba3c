"""Sequential stopping: batches, decisions, spared trials, conservation, resuming, determinism."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.config import ExperimentConfig
from harness.experiment import run_experiment
from harness.records import Declaration, Plan, TrialRecord, TrialSpec
from harness.report import build_results
from harness.report.summary import summary
from harness.sequential import due_of, progress, scenario_order
from harness.store import RunDirectory
from tests.report.factory import plan as fixed_plan
from tests.report.factory import record, spec

RULE = {"rule": "sequential", "alpha": 0.05, "batch": 3, "effect": 0.2, "futility": 0.05}
Outcome = Callable[[TrialSpec], float]


def plan(scenarios: int = 30, models: tuple[str, ...] = ("m",), **rule: Any) -> Plan:
    trials = [
        spec(scenario, model, arm, repeat)
        for scenario in range(1, scenarios + 1)
        for model in models
        for arm in ("baseline", "good", "same")
        for repeat in (0, 1)
    ]
    frozen = fixed_plan(trials, [("good", "baseline"), ("same", "baseline")])
    return frozen.model_copy(update={"declaration": Declaration(stopping={**RULE, **rule})})


def play(frozen: Plan, recall: Outcome) -> list[TrialRecord]:
    """Run what is due until nothing is."""
    due = due_of(frozen)
    assert due is not None
    records: list[TrialRecord] = []
    while True:
        done = {one.spec.trial_id for one in records}
        fresh = [one for one in due(records) if one.trial_id not in done]
        if not fresh:
            return records
        records.extend(record(one, recall=recall(one)) for one in fresh)


def helps(one: TrialSpec) -> float:
    return 1.0 if one.arm == "good" else 0.0


def test_a_clear_arm_stops_and_a_hopeless_one_is_given_up() -> None:
    frozen = plan()
    records = play(frozen, helps)
    looks = {look.contrast[2]: look for look in progress(frozen, records).looks}
    assert looks["good"].state == "differs"
    assert looks["good"].limits is not None
    assert looks["good"].limits[0] > 0
    assert looks["same"].state in ("futile", "exhausted")
    runs = {arm: sum(one.spec.arm == arm for one in records) for arm in ("baseline", "good", "same")}
    assert runs["good"] < runs["baseline"] <= 60


def test_only_arms_of_undecided_contrasts_get_further_runs() -> None:
    frozen = plan()
    records = play(frozen, helps)
    order = scenario_order(frozen)
    last = {
        arm: max(order.index(r.spec.scenario) for r in records if r.spec.arm == arm)
        for arm in ("good", "same")
    }
    (good,) = [look for look in progress(frozen, records).looks if look.contrast[2] == "good"]
    assert last["good"] + 1 == len(good.differences)


def test_models_are_decided_on_their_own() -> None:
    frozen = plan(models=("m", "n"))
    records = play(frozen, lambda one: helps(one) if one.model == "m" else float(one.repeat))
    counts = {model: sum(one.spec.model == model for one in records) for model in ("m", "n")}
    assert counts["m"] != counts["n"]


def test_every_planned_trial_is_accounted_for_and_the_report_says_what_was_saved() -> None:
    frozen = plan()
    found = build_results(frozen, play(frozen, helps))
    counts = found["denominators"]
    assert counts["owed"] == 0
    assert counts["spared"] > 0
    assert counts["planned"] == counts["scored"] + counts["spared"] == 180
    assert f"{counts['spared']} of 180 planned trials" in found["sequential"]["says"]
    assert found["declared"]["deviations"] == []
    assert "confidence sequence" in summary(found)
    assert sum(row["spared"] for row in found["denominators_by_arm"]) == counts["spared"]


def test_half_a_batch_is_owed_and_not_spared() -> None:
    frozen = plan()
    records = play(frozen, helps)[:7]
    counts = build_results(frozen, records)["denominators"]
    assert counts["spared"] == 0
    assert counts["owed"] == 173


def test_decisions_do_not_depend_on_the_order_in_which_trials_finish() -> None:
    frozen = plan()
    records = play(frozen, helps)
    assert progress(frozen, records[::-1]) == progress(frozen, records)


def test_no_futility_and_no_effect_runs_everything() -> None:
    frozen = plan(scenarios=9, futility=0.0)
    records = play(frozen, lambda one: 0.0)
    assert len(records) == len(frozen.trials)
    assert {look.state for look in progress(frozen, records).looks} == {"exhausted"}


def test_a_real_experiment_stops_early_and_resumes(tmp_path: Path) -> None:
    able = {"kind": "simulated", "compliance_feedback": 1.0, "propensities": {"stop_early": 0.0}}
    fields: dict[str, Any] = {
        "name": "x",
        "question": "?",
        "scenario": [2, 16, 20, 25],
        "agents": {"react": {"kind": "react"}},
        "models": {"able": able},
        "arms": {"baseline": [], "placebo": ["placebo"]},
        "interventions": {"verifier_gate": {}},
        "repeats": 1,
        "stopping": {"rule": "sequential", "batch": 2, "futility": 0.9},
        "executor": {"kind": "local"},
        "run_dir": str(tmp_path),
    }
    config = ExperimentConfig.model_validate(fields)
    first = run_experiment(config)
    assert first.unaccounted == 0
    assert first.results["denominators"]["spared"] == 4
    run = RunDirectory(tmp_path)
    lines = run.records_file.read_bytes().splitlines(keepends=True)
    run.records_file.write_bytes(b"".join(lines[:1]))
    assert run_experiment(config).results == first.results


@pytest.mark.parametrize("seed", [1, 2])
def test_scenarios_come_in_an_order_that_the_seed_draws(seed: int) -> None:
    frozen = plan().model_copy(update={"config": {"seed": seed}})
    order = scenario_order(frozen)
    assert order != sorted(order)
    assert order == scenario_order(frozen.model_copy(update={"trials": frozen.trials[::-1]}))
