"""The state machine: phases, what they permit, how they end."""

from __future__ import annotations

import pytest

from harness.agents import create_agent
from harness.errors import ConfigurationError
from harness.trace import PhaseChange, ToolCall, ToolResult
from tests.agents.trials import ANSWER, CULPRIT, agent_fields, play, scripted

READ = ("k8s_spec_change_analysis", {})
UNDO = ("rollout_undo", {"name": "shipping", "namespace": "otel-demo"})


def end(outcome: str, summary: str = CULPRIT) -> tuple[str, dict[str, object]]:
    return "finish_phase", {"outcome": outcome, "summary": summary}


WAY = [
    *(("alert_summary", {}), end("scoped")),
    *(READ, end("cause_found")),
    *(UNDO, end("changed")),
    *(("wait", {"seconds": 600}), end("recovered")),
    ("submit", ANSWER),
]


def test_the_phases_lead_from_triage_to_the_answer() -> None:
    played = play(agent_fields("state_machine"), scripted(WAY))
    assert played.record.verdict is not None
    assert played.record.verdict.all_clear
    assert [(change.source, change.outcome, change.target) for change in played.of(PhaseChange)] == [
        ("triage", "scoped", "diagnose"),
        ("diagnose", "cause_found", "remediate"),
        ("remediate", "changed", "verify"),
        ("verify", "recovered", "conclude"),
    ]
    assert [call.role for call in played.of(ToolCall)] == [
        *("triage", "diagnose", "remediate", "verify", "conclude")
    ]


def test_each_phase_has_its_text_and_its_tools_in_one_conversation() -> None:
    model = scripted(WAY)
    play(agent_fields("state_machine"), model)
    offered = [{tool.name for tool in request.tools} for request in model.requests]
    assert "rollout_undo" not in offered[2]
    assert "rollout_undo" in offered[4]
    assert "submit" not in offered[4]
    assert "submit" in offered[8]
    assert "Phase: triage." in model.requests[0].messages[1]["content"]
    assert model.requests[2].messages[-1]["content"].startswith("Phase: diagnose.")
    assert model.requests[8].messages[: len(model.requests[7].messages)] == model.requests[7].messages


def test_what_a_phase_does_not_permit_is_refused() -> None:
    played = play(agent_fields("state_machine"), scripted([UNDO, end("fixed"), *["Done."] * 3]))
    first, second = played.of(ToolResult)
    assert "rollout_undo is not for the triage to call" in first.text
    assert second.text == "[c2] Error: outcome: expected one of scoped, found 'fixed'"
    assert played.record.reason == "no_output"


def test_a_phase_is_entered_no_more_often_than_permitted_and_ends_in_no_dead_end() -> None:
    fields = agent_fields("state_machine") | {"visits": 1}
    lines = [end("scoped"), end("cause_found"), end("changed"), end("still_failing"), end("recovered")]
    played = play(fields, scripted([*lines, ("submit", ANSWER)]))
    assert played.record.status == "scored"
    (refused,) = [result for result in played.of(ToolResult) if not result.ok]
    assert "expected one of recovered" in refused.text


def test_an_unknown_phase_is_refused() -> None:
    phases = {"triage": {"prompt": "p", "outcomes": {"done": "rest"}}}
    with pytest.raises(ConfigurationError, match="unknown phase rest; phases are triage"):
        create_agent("s", {"kind": "state_machine", "start": "triage", "phases": phases})


def test_an_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"unknown agent kind 'taem'.*did you mean team"):
        create_agent("t", {"kind": "taem"})
