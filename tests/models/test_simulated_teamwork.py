"""The simulated model in phases and teams: it passes work on when a tool for it is offered, and listens."""

from __future__ import annotations

from typing import Any

import pytest

from harness.models.simulated import SimulatedModel
from harness.models.simulated.config import SimulatedModelConfig
from harness.trace import AgentMessage, Final, PhaseChange, ToolCall
from tests.agents.trials import CULPRIT, agent_fields, play

HASTY = {"propensities": {"stop_early": 0.4, "run_on": 1.0, "step_repetition": 0.3}}


def able(**fields: Any) -> SimulatedModel:
    return SimulatedModel("able", SimulatedModelConfig(**fields))


@pytest.mark.parametrize("agent", ["team", "team_cyclic", "team_hierarchical", "state_machine"])
def test_an_able_model_solves_the_incident_in_every_architecture(agent: str) -> None:
    played = play(agent_fields(agent), able(), turns=60)
    assert played.record.status == "scored", played.record.detail
    assert played.record.score is not None
    assert played.record.score.recall == 1
    assert played.record.verdict is not None
    assert played.record.verdict.all_clear
    assert played.record.denied_calls == 0


def test_the_message_names_the_cause_and_what_was_done() -> None:
    first, second = play(agent_fields("team"), able(), turns=60).of(AgentMessage)
    assert first.text == f"Root cause: {CULPRIT}."
    assert first.evidence
    assert "Changed with rollout_undo" in second.text
    assert "shows none of the alerts" in second.text


def test_a_role_that_cannot_look_answers_what_it_was_told() -> None:
    played = play(agent_fields("team_hierarchical"), able(), turns=60)
    assert {call.name for call in played.of(ToolCall) if call.role == "lead"} == {"submit"}
    (final,) = played.of(Final)
    assert final.submission["diagnosis"]["entities"][0]["name"] == CULPRIT


def test_phases_end_with_the_outcome_that_fits() -> None:
    changes = play(agent_fields("state_machine"), able(), turns=60).of(PhaseChange)
    assert [change.outcome for change in changes] == ["scoped", "cause_found", "changed", "recovered"]


@pytest.mark.parametrize("agent", ["team", "state_machine"])
def test_a_failing_model_calls_no_tool_that_it_is_not_offered(agent: str) -> None:
    played = play(agent_fields(agent), able(**HASTY), turns=60)
    assert played.record.denied_calls == 0
