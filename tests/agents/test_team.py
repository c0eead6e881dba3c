"""Teams: roles, what they may do, what passes between them."""

from __future__ import annotations

import pytest

from harness.agents import create_agent
from harness.errors import ConfigurationError
from harness.trace import AgentMessage, SystemMessage, ToolCall, ToolResult, UserMessage
from tests.agents.trials import ANSWER, CULPRIT, agent_fields, play, scripted
from tests.scripted_model import ScriptedModel

READ = ("k8s_spec_change_analysis", {})
UNDO = ("rollout_undo", {"name": "shipping", "namespace": "otel-demo"})


def to(
    receiver: str, message: str = f"Root cause: {CULPRIT}", **more: object
) -> tuple[str, dict[str, object]]:
    return "hand_over", {"to": receiver, "message": message, **more}


def tools_of(model: ScriptedModel, request: int) -> set[str]:
    return {tool.name for tool in model.requests[request].tools}


def test_a_chain_passes_the_work_on_and_the_last_role_submits() -> None:
    lines = [READ, to("remediator", evidence=["c1"]), UNDO, to("verifier"), READ, ("submit", ANSWER)]
    played = play(agent_fields("team"), scripted(lines))
    assert played.record.status == "scored"
    assert played.record.verdict is not None
    assert played.record.verdict.all_clear
    assert [(m.sender, m.receiver, m.evidence) for m in played.of(AgentMessage)] == [
        ("investigator", "remediator", ["c1"]),
        ("remediator", "verifier", []),
    ]
    assert [call.role for call in played.of(ToolCall)] == [
        "investigator",
        "remediator",
        "verifier",
        "verifier",
    ]


def test_a_role_reads_its_own_conversation_and_the_message_but_not_the_senders_work() -> None:
    model = scripted([READ, to("remediator", "Undo shipping.", evidence=["c1"]), *["Nothing to do."] * 3])
    play(agent_fields("team"), model, additions=["Mind the budget."])
    system, task, message = model.requests[2].messages
    assert "Mind the budget." in system["content"]
    assert "as its remediator" in system["content"]
    assert "Alerts are firing" in task["content"]
    assert message["content"] == "Message from the investigator:\nUndo shipping.\nEvidence: [c1]"


def test_a_role_is_offered_its_own_tools_only() -> None:
    model = scripted([to("remediator"), to("verifier"), ("submit", ANSWER)])
    played = play(agent_fields("team"), model)
    assert "rollout_undo" not in tools_of(model, 0)
    assert {"hand_over", "rollout_undo"} <= tools_of(model, 1)
    assert "submit" not in tools_of(model, 1)
    assert "submit" in tools_of(model, 2)
    assert "hand_over" not in tools_of(model, 2)
    opened = {event.role: event.tools for event in played.of(SystemMessage)}
    assert set(opened["remediator"]) == tools_of(model, 1)


@pytest.mark.parametrize("call", [UNDO, ("submit", ANSWER)])
def test_a_call_outside_the_role_is_not_run_and_stays_visible(call: tuple[str, dict[str, object]]) -> None:
    model = scripted([call, to("remediator"), to("verifier"), ("submit", ANSWER)])
    played = play(agent_fields("team"), model)
    refused = played.of(ToolResult)[0]
    assert (refused.name, refused.ok, refused.executed) == (call[0], False, False)
    assert f"{call[0]} is not for the investigator to call" in refused.text
    assert "alert_summary" in refused.text
    assert model.requests[1].messages[-1]["content"] == refused.text
    assert played.record.denied_calls == 1
    assert played.record.verdict is not None
    assert not played.record.verdict.cause_removed


def test_a_hand_over_to_nobody_is_an_error_that_the_role_can_correct() -> None:
    model = scripted([to("boss"), to("remediator", ""), to("remediator"), *["Done."] * 3])
    played = play(agent_fields("team"), model)
    texts = [result.text for result in played.of(ToolResult)]
    assert texts == [
        "[c1] Error: to: expected one of remediator, found 'boss'",
        "[c2] Error: message: expected a non-empty text, found ''",
    ]
    assert len(played.of(AgentMessage)) == 1
    assert played.record.reason == "no_output"


def test_calls_after_a_hand_over_in_the_same_answer_are_not_run() -> None:
    model = scripted([[to("remediator"), READ], to("verifier"), ("submit", ANSWER)])
    played = play(agent_fields("team"), model)
    assert [call.name for call in played.of(ToolCall)] == ["submit"]


def test_the_verifier_can_send_work_back_as_often_as_the_cycle_permits() -> None:
    back = [to("verifier"), to("remediator", "Not fixed.")]
    model = scripted([to("remediator"), *back, *back, to("verifier"), ("submit", ANSWER)])
    played = play(agent_fields("team_cyclic"), model)
    assert played.record.status == "scored"
    assert [message.receiver for message in played.of(AgentMessage)].count("remediator") == 3
    assert model.requests[5].messages[-1]["content"] == "Message from the verifier:\nNot fixed."
    last = next(tool for tool in model.requests[6].tools if tool.name == "hand_over")
    assert last.parameters["properties"]["to"]["enum"] == ["investigator"]
    assert [event.role for event in played.of(UserMessage)] == ["investigator", "remediator", "verifier"]


def test_a_lead_directs_the_others_who_report_back() -> None:
    lines = [
        *(to("investigator", "Find it."), READ, to("lead")),
        *(to("remediator", "Undo it."), UNDO, to("lead", "Undone.")),
        ("submit", ANSWER),
    ]
    model = scripted(lines)
    played = play(agent_fields("team_hierarchical"), model)
    assert played.record.status == "scored"
    assert tools_of(model, 0) == {"hand_over", "submit"}
    assert [message.receiver for message in played.of(AgentMessage)] == [
        *("investigator", "lead", "remediator", "lead"),
    ]


def test_the_budget_is_the_teams_not_the_roles() -> None:
    model = scripted([READ, to("remediator"), READ])
    played = play(agent_fields("team"), model, turns=3)
    assert played.record.reason == "budget_turns"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"roles": {"a": {"prompt": "p", "hands_to": ["b"]}}}, "unknown role b; roles are a"),
        ({"roles": {"a": {"prompt": "p"}}}, "a: give hands_to, or may_submit"),
        ({"roles": {"a": {"prompt": "p", "hands_to": ["a"]}}}, "no role that the work can reach may submit"),
        ({"roles": {"a": {"prompt": "p", "may_submit": True, "tools": ["rm"]}}}, "unknown tool or group rm"),
        (
            {"roles": {"a": {"prompt": "p", "may_submit": True, "power": 9}}},
            "agents.t.roles.a.power: unknown key",
        ),
    ],
)
def test_an_impossible_team_is_refused_before_anything_runs(change: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        create_agent("t", {"kind": "team", "start": "a", **change})
