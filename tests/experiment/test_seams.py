"""Seam 1: the agent and its model never see what only the harness may know."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from harness.models import create_model
from harness.trace import ModelCall, SystemMessage, ToolResult, UserMessage, of_type
from interventions.registry import load_text
from scenarios.faults import FAULTS
from scenarios.loader import catalogue
from tests.experiment.sessions import play
from tests.experiment.test_verifier_gate import gate

PROFILE = Path(__file__).parents[2] / "conf" / "model" / "sim_early_stop.yaml"
ARMS = ("baseline", "verifier_gate", "verifier_gate_prompt", "placebo")


def forbidden(scenario_id: int) -> set[str]:
    """Strings that no real telemetry would show."""
    scenario = catalogue().get(scenario_id)
    hidden = {
        *FAULTS,
        *ARMS,
        scenario.key,
        f"{scenario_id:03d}.yaml",
        f"scenario-{scenario_id}",
        "ground_truth",
    }
    hidden |= {group.id for group in scenario.ground_truth.groups if group.id.endswith("-1")}
    return {text.lower() for text in hidden | {"root_cause", "itbench", "collateral"}}


@pytest.mark.parametrize("scenario_id", catalogue().ids)
def test_nothing_hidden_reaches_the_agent(scenario_id: int) -> None:
    model = create_model("sim_early_stop", yaml.safe_load(PROFILE.read_text()))
    _, events = play(model, gate, [load_text("verifier_gate_prompt").render()], scenario_id)
    seen = [
        event.text for kind in (SystemMessage, UserMessage, ToolResult) for event in of_type(events, kind)
    ]
    assert len(seen) > 4
    assert next(of_type(events, ModelCall)).input_tokens > 0
    text = "\n".join(seen).lower()
    own_words = "root_cause_suspect"  # a field of the official get_trace_error_tree tool
    leaked = {word for word in forbidden(scenario_id) if word in text.replace(own_words, "")}
    assert not leaked
