"""The competent simulated model: what it makes of hand-written incidents, knowing only what it is told."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from written_incident import ENVIRONMENT, FLAG, GONE, PORT, SYSTEM, TASK, TOOLS, Incident, play

from harness.models.simulated import SimulatedModel, SimulatedModelConfig
from harness.protocols import ModelRequest

COMPETENT = SimulatedModel("test", SimulatedModelConfig())
OPENING = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": TASK}]


@pytest.mark.parametrize(
    ("row", "cure", "cause"),
    [
        (FLAG, "set_feature_flag", "shop/ConfigMap/flagd-config"),
        (ENVIRONMENT, "rollout_undo", "shop/Deployment/cart"),
        (PORT, "patch_object", "shop/Service/cart"),
        (GONE, "apply_manifest", "shop/Service/cart"),
    ],
    ids=["flag", "environment", "target port", "deleted service"],
)
def test_finds_removes_and_checks_the_cause(row: dict[str, Any], cure: str, cause: str) -> None:
    played = play(incident=Incident(row=row, cure=cure))

    assert played.blamed == [cause]
    assert played.incident.cured
    assert played.submission is not None
    assert played.submission["resolved"]
    assert played.planted == []
    assert 8 <= len(played.replies) <= 20
    names = played.incident.names
    assert names[0] == "alert_summary"
    assert names.index(cure) < len(names) - 1 - names[::-1].index("alert_summary"), (
        "alerts are read after the change"
    )


def test_repairs_exactly_what_was_changed() -> None:
    def args_of(row: dict[str, Any], cure: str) -> dict[str, Any]:
        return next(
            args for name, args in play(incident=Incident(row=row, cure=cure)).incident.log if name == cure
        )

    assert args_of(FLAG, "set_feature_flag") == {"namespace": "shop", "flag": "cartFailure", "variant": "off"}
    assert args_of(PORT, "patch_object")["patch"] == {"spec": {"ports": [{"port": 80, "targetPort": 8080}]}}
    recreated = args_of(GONE, "apply_manifest")["manifest"]
    assert "uid" not in recreated["metadata"]
    assert recreated["spec"] == {"ports": [{"port": 80, "targetPort": 8080}], "selector": {"app": "cart"}}


def test_cites_calls_that_were_made_and_show_the_entity() -> None:
    played = play()
    assert played.submission is not None
    contents = {message.get("tool_call_id"): message["content"] for message in played.messages}

    for entity in played.submission["entities"]:
        cited = [part.strip("[]") for part in entity["evidence"].split()]
        assert cited
        assert all(entity["name"].rsplit("/", 1)[-1] in contents[call_id] for call_id in cited)


def test_explains_every_alert_that_fired() -> None:
    submission = play().submission
    assert submission is not None
    explained = {row["alert"] for row in submission["alerts_explained"]}
    assert explained == {
        "HighRequestErrorRate frontend",
        "HighRequestLatency frontend",
        "HighRequestErrorRate cart",
    }


def test_does_not_claim_success_while_alerts_fire() -> None:
    played = play(incident=Incident(cure="never"))
    assert played.submission is not None
    assert not played.submission["resolved"]
    assert played.incident.names.count("wait") > 2, "it is patient before it gives up"


def test_only_diagnoses_where_no_action_is_offered() -> None:
    acting = ("rollout_undo", "rollout_restart", "set_", "patch", "apply", "delete", "scale")
    played = play(tools=[tool for tool in TOOLS if not tool.name.startswith(acting)])
    assert played.blamed == ["shop/ConfigMap/flagd-config"]
    assert played.submission is not None
    assert not played.submission["resolved"]
    assert not set(played.incident.names) & {"rollout_undo", "rollout_restart", "set_feature_flag"}


def test_same_request_same_reply() -> None:
    messages = play().messages
    for end in range(2, len(messages) + 1):
        request = ModelRequest(messages[:end], TOOLS, 7)
        copied = ModelRequest(json.loads(json.dumps(messages[:end])), TOOLS, 7)
        assert COMPETENT.reply(request) == SimulatedModel("other", SimulatedModelConfig()).reply(copied)


def test_seed_changes_the_dice_and_nothing_is_kept_between_requests() -> None:
    request = ModelRequest(OPENING, TOOLS, 1)
    first = COMPETENT.reply(request)
    other = COMPETENT.reply(replace(request, seed=2))
    assert first.latency_s != other.latency_s
    assert COMPETENT.reply(request) == first


def test_does_not_alter_what_it_was_given() -> None:
    messages = play().messages
    before = json.dumps(messages)
    COMPETENT.reply(ModelRequest(messages, TOOLS, 3))
    assert json.dumps(messages) == before


def test_usage_grows_with_the_conversation_and_costs_what_the_profile_says() -> None:
    priced = SimulatedModelConfig(usd_per_million_input=1.0, usd_per_million_output=2.0)
    replies = play(priced).replies
    sizes = [reply.usage.input_tokens for reply in replies]
    assert sizes == sorted(sizes)
    for reply in replies:
        expected = (reply.usage.input_tokens + 2 * reply.usage.output_tokens) / 1e6
        assert reply.usage.cost_usd == pytest.approx(expected)
        assert 4 <= reply.latency_s <= 12


def test_survives_results_that_it_cannot_read() -> None:
    strange = ["[c1] Error: not found", "[c1] []", "garbage", "[c1] {}", '[c1] {"data": [{"x": 1}]}', ""]
    for content in strange:
        call = {"id": "c1", "function": {"name": "alert_summary", "arguments": "{}"}}
        asked = {"role": "assistant", "content": "", "tool_calls": [call]}
        told = {"role": "tool", "tool_call_id": "c1", "content": content}
        assert COMPETENT.reply(ModelRequest([*OPENING, asked, told], TOOLS, 1)).calls
