"""With a guard's trigger absent the run is the baseline's, event by event; up to its first firing it always is."""

from __future__ import annotations

import asyncio
from functools import cache
from itertools import product

import pytest
from desk import ALERTS, CHANGES, TEST, guard, play, submit
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.agents import create_agent
from harness.budget import BudgetConfig
from harness.config import EnvironmentConfig, VerdictConfig
from harness.environments import environment_factory
from harness.models.simulated import SimulatedModel, SimulatedModelConfig
from harness.models.simulated.config import Competence, Propensities
from harness.records import TrialSpec
from harness.trace import Event, GuardFired, decode, of_type
from harness.trial import Setting, run_trial
from interventions.registry import GUARDS, STRUCTURAL, load
from scenarios.loader import catalogue

COMPETENT = SimulatedModel("competent", SimulatedModelConfig())
FAILING = SimulatedModel(
    "failing",
    SimulatedModelConfig(
        propensities=Propensities(
            step_repetition=0.3,
            skip_evidence=0.4,
            skip_recheck=0.3,
            fake_verification=0.4,
            stop_early=0.05,
            run_on=0.4,
            run_on_persistence=0.97,
            act_against_reasoning=0.35,
            derail=0.1,
            derail_persistence=0.9,
            guess=0.5,
        ),
        competence=Competence(recognise=0.3, doubt=0.2, remedy=0.5),
    ),
)
SCENARIOS = (2, 16, 23, 30, 105)
ENVIRONMENT = environment_factory(EnvironmentConfig(), VerdictConfig())


@cache
def trace_of(model: SimulatedModel, scenario: int, seed: int, name: str = "") -> tuple[Event, ...]:
    incident = catalogue().get(scenario)
    setting = Setting(
        scenario=incident,
        environment=ENVIRONMENT,
        model=model,
        agent=lambda: create_agent("a", {"kind": "react"}),
        guards=lambda: [load(name).guard()] if name else [],
        prompt_additions=[],
        budget=BudgetConfig(),
    )
    spec = TrialSpec(
        trial_id="t", scenario=incident.key, model="m", agent="react", arm="a", repeat=0, seed=seed
    )
    return tuple(decode(asyncio.run(run_trial(spec, setting)).trace))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.sampled_from(sorted(set(STRUCTURAL) - {"placebo"})), st.sampled_from(SCENARIOS), st.integers(0, 1))
def test_a_run_without_firing_is_the_baseline_run(name: str, scenario: int, seed: int) -> None:
    baseline = trace_of(COMPETENT, scenario, seed)
    guarded = trace_of(COMPETENT, scenario, seed, name)

    if not any(isinstance(event, GuardFired) for event in guarded):
        assert guarded == baseline
    else:
        assert "no_regression" in name, "a competent agent triggers nothing but the dry run of a wide change"
        assert catalogue().get(scenario).disruptions[0].injections[0].fault.endswith("feature-flag")


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.sampled_from(sorted(set(STRUCTURAL) - {"placebo"})), st.sampled_from(SCENARIOS), st.integers(0, 1))
def test_up_to_its_first_firing_a_guard_changes_nothing(name: str, scenario: int, seed: int) -> None:
    baseline = trace_of(FAILING, scenario, seed)
    guarded = trace_of(FAILING, scenario, seed, name)

    first = next((event.i for event in guarded if isinstance(event, GuardFired)), len(guarded))
    assert guarded[:first] == baseline[:first]
    if first == len(guarded):
        assert guarded == baseline


def test_the_property_is_not_empty() -> None:
    fired = {
        name
        for name, scenario, seed in product(GUARDS, (2, 30), (0, 1))
        if any(isinstance(event, GuardFired) for event in trace_of(FAILING, scenario, seed, name))
    }

    assert len(fired) >= 7


@pytest.mark.parametrize("name", GUARDS)
def test_a_placebo_fires_first_at_the_very_call_at_which_its_guard_does(name: str) -> None:
    def first_call(arm: str, scenario: int, seed: int) -> str | None:
        fired = of_type(trace_of(FAILING, scenario, seed, arm), GuardFired)
        return next((event.call_id for event in fired if event.ruling != "allow"), None)

    for scenario, seed in product((2, 30), (0, 1)):
        assert first_call(name, scenario, seed) == first_call(f"{name}_placebo", scenario, seed)


@pytest.mark.parametrize("name", ["verifier_gate", "evidence_citation", "termination_fsm"])
def test_a_placebo_holds_back_what_its_guard_would_and_says_nothing(name: str) -> None:
    turns = [ALERTS, CHANGES, *[submit(evidence="seen")] * 4]
    real, placebo = play(turns, guard(name)), play(turns, guard(f"{name}_placebo"))

    assert real.fired[0].i == placebo.fired[0].i
    assert len(placebo.fired) == 1, "one turn is held back"
    assert abs(len(real.fired[0].feedback) - len(placebo.fired[0].feedback)) <= 80
    assert not set(real.fired[0].feedback.split('"')) & set(placebo.fired[0].feedback.split('"'))


def test_a_placebo_of_a_call_guard_costs_tokens_and_lets_the_call_run() -> None:
    turns = [ALERTS, ALERTS, TEST]
    placebo = play(turns, guard("loop_guard_placebo"))

    assert [(one.on, one.ruling) for one in placebo.fired] == [("tool_result", "rewrite")]
    assert placebo.result("c2").executed
    assert len(placebo.result("c2").text) > len(placebo.result("c1").text)
