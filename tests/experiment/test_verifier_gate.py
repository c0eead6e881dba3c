"""The verifier gate, its prompt twin and the placebo."""

from __future__ import annotations

import pytest

from harness.protocols import Guard
from harness.trace import Final, GuardFired, ToolResult, of_type
from interventions.registry import load_text
from interventions.structural.placebo import Placebo, PlaceboParameters
from interventions.structural.verifier_gate import REQUIREMENTS, GateParameters, VerifierGate
from tests.experiment.sessions import ALERTS, CHANGES, SHIPPING, UNDO, WAIT, play
from tests.scripted_model import Call, ScriptedModel, answer


def gate() -> list[Guard]:
    return [VerifierGate(GateParameters(max_refusals=2))]


def refusals(script: list[list[Call]]) -> list[str]:
    """What the gate said to a script's submissions."""
    _, events = play(ScriptedModel(script), gate)
    return [fired.feedback for fired in of_type(events, GuardFired) if fired.ruling == "deny"]


@pytest.mark.parametrize(
    ("submission", "requirement"),
    [
        (answer((SHIPPING, "I saw it.")), "cite"),
        (answer((SHIPPING, "[c99]")), "exists"),
        (answer(("otel-demo/Deployment/currency", "[c2]")), "concerns"),
        (answer((SHIPPING, "[c2]"), resolved=True), "symptom_gone"),
    ],
)
def test_each_requirement_is_enforced_and_named(submission: Call, requirement: str) -> None:
    (first, *_) = refusals([[ALERTS], [CHANGES], [submission]])
    assert REQUIREMENTS[requirement] in first


def test_a_failed_call_is_no_evidence() -> None:
    broken = ("kubectl_get", {"kind": "Deployment", "namespace": "otel-demo", "name": "shippping"})
    assert REQUIREMENTS["exists"] in refusals([[broken], [answer((SHIPPING, "[c1]"))]])[0]


def test_resolved_needs_a_health_read_after_the_last_change() -> None:
    (first, *_) = refusals([[ALERTS], [CHANGES], [UNDO], [answer((SHIPPING, "[c2]"), resolved=True)]])
    assert REQUIREMENTS["health_after_change"] in first


def test_a_backed_answer_passes_without_a_word() -> None:
    script = [[ALERTS], [CHANGES], [UNDO], [WAIT], [ALERTS], [answer((SHIPPING, "[c2]"), resolved=True)]]
    assert refusals(script) == []


def test_refusals_are_capped_and_then_recorded_as_forced() -> None:
    record, events = play(ScriptedModel([[answer((SHIPPING, ""))]]), gate)
    assert [fired.ruling for fired in of_type(events, GuardFired)] == ["deny", "deny", "forced"]
    (final,) = of_type(events, Final)
    assert final.forced
    assert record.status == "scored"


def test_the_twin_carries_the_same_items() -> None:
    twin = load_text("verifier_gate_prompt")
    assert {item.id: item.text for item in twin.items} == REQUIREMENTS
    assert twin.twin_of == "verifier_gate"
    assert twin.targets == VerifierGate.targets


def test_the_placebo_costs_the_same_text_and_enforces_nothing() -> None:
    script = [[answer((SHIPPING, ""))]]
    _, gated = play(ScriptedModel(script), gate)
    record, events = play(ScriptedModel(script), lambda: [Placebo(PlaceboParameters())])
    held, told = next(of_type(events, ToolResult)).text, next(of_type(gated, ToolResult)).text
    assert len(held) == len(told)
    assert not any(text in held for text in REQUIREMENTS.values())
    assert "shipping" not in held
    assert record.status == "scored"
    assert record.guard_firings == {"placebo": 1}


def test_without_its_trigger_every_arm_runs_like_baseline() -> None:
    script = [[ALERTS], [CHANGES], [UNDO], [WAIT], [ALERTS], [answer((SHIPPING, "[c2]"), resolved=True)]]
    _, plain = play(ScriptedModel(script))
    for guards in (gate, lambda: [Placebo(PlaceboParameters())]):
        assert play(ScriptedModel(script), guards)[1] == plain
