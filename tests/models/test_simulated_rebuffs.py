"""The simulated model and its own calls that come back refused, answered from the record or trimmed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from written_incident import NAMES, SYSTEM, TASK

from harness.models.simulated import SimulatedModel, SimulatedModelConfig
from harness.models.simulated.beliefs import form_beliefs
from harness.models.simulated.config import Propensities
from harness.models.simulated.memory import unexplained
from harness.models.simulated.temper import Temper
from harness.models.simulated.transcript import read_transcript
from harness.protocols import Message, ModelReply, ModelRequest, ToolSchema

ALERTS = json.dumps(
    {"data": [{"alertname": "HighLatency", "entity": "cart", "namespace": "shop", "state": "firing"}]}
)
RESTART = ("rollout_restart", {"name": "cart", "namespace": "shop"})


def conversation(*exchanges: tuple[str, dict[str, Any], str]) -> list[Message]:
    """The opening and one call with its result after the other."""
    messages: list[Message] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": TASK}]
    for number, (name, args, text) in enumerate(exchanges, 1):
        function = {"name": name, "arguments": json.dumps(args)}
        call = {"id": f"c{number}", "type": "function", "function": function}
        messages.append({"role": "assistant", "content": f"Step {number}: {name}.", "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": f"c{number}", "content": f"[c{number}] {text}"})
    return messages


def answer(messages: list[Message], seed: int = 0, extra: tuple[str, ...] = (), **config: Any) -> ModelReply:
    """What a model of this configuration does next."""
    tools = tuple(ToolSchema(name, name, {"type": "object"}) for name in (*NAMES, *extra))
    model = SimulatedModel("test", SimulatedModelConfig(**{"compliance_feedback": 1.0, **config}))
    request = ModelRequest(messages=messages, tools=tools, seed=seed)
    reply = model.reply(request)
    assert reply == model.reply(request), "the same request gives the same reply"
    return reply


LOOKED = ("alert_summary", {"state_filter": "firing"}, ALERTS)


@pytest.mark.parametrize(
    ("refusal", "extra", "wanted"),
    [
        ("Not run: the step budget is used up.", (), "submit"),
        ("Refused: please submit your best answer.", (), "submit"),
        ("Not accepted: nobody inspected cart. Read the object first.", (), "k8s_spec_change_analysis"),
        ("Denied. There is no Deployment cart.", (), "kubectl_get"),
        ("Not run: 2 changes were not checked.", (), "alert_summary"),
        ("Not run: your request is unclear; use ask_operator.", ("ask_operator",), "ask_operator"),
        (
            "Blocked: the request is vague, use declare_assumption.",
            ("declare_assumption",),
            "declare_assumption",
        ),
        ("Not accepted: that is not what you announced.", ("state_intent",), "state_intent"),
        ("Not accepted: that is not what you announced.", (), "rollout_restart"),
    ],
)
def test_does_what_the_refusal_of_a_call_asks_for(refusal: str, extra: tuple[str, ...], wanted: str) -> None:
    assert answer(conversation(LOOKED, (*RESTART, refusal)), extra=extra).calls[0].name == wanted


def test_makes_exactly_the_call_whose_intent_it_stated() -> None:
    intent = {"tool": "rollout_restart", "target": "cart", "purpose": "remediate"}
    messages = conversation(
        LOOKED,
        (*RESTART, "Not accepted: that is not what you announced."),
        ("state_intent", intent, "Noted. Now call rollout_restart."),
    )
    call = answer(messages, extra=("state_intent",)).calls[0]
    assert (call.name, json.loads(call.arguments)) == RESTART


def test_a_model_that_ignores_feedback_goes_on_as_before() -> None:
    refused = conversation(LOOKED, (*RESTART, "Not run: the step budget is used up."))
    assert answer(refused, compliance_feedback=0.0).calls[0].name != "submit"


def test_a_notice_beside_a_known_result_stops_the_repetition() -> None:
    notice = f"{ALERTS}\nThat is an old result: never repeat the same call."
    messages = conversation(LOOKED, (*LOOKED[:2], notice))
    repeating: dict[str, Any] = {"propensities": Propensities(step_repetition=1.0), "compliance_prompt": 0.0}

    def repeats(compliance: float) -> bool:
        planted = answer(messages, **repeating, compliance_feedback=compliance).planted
        return "step_repetition" in [failure.slug for failure in planted]

    assert repeats(0.0)
    assert not repeats(1.0)


@pytest.mark.parametrize("trimmed", ["(left out: no room)", '{"data": [{"alertname": ... (compacted)'])
def test_a_trimmed_result_is_forgotten_and_is_no_slip(trimmed: str) -> None:
    messages = conversation((*LOOKED[:2], trimmed))
    transcript = read_transcript(messages, 100_000)
    beliefs = form_beliefs(transcript, Temper(SimulatedModelConfig(), 0, transcript))

    assert beliefs.forgotten == {0}
    assert beliefs.slips == 0
    assert "history_loss" in [failure.slug for failure in answer(messages).planted]


LEFT_OUT = (*LOOKED[:2], "(left out: no room)")


def test_a_read_again_after_a_change_shows_no_loss() -> None:
    changed = (*RESTART[:1], {"name": "cart", "namespace": "shop"}, '{"message": "restarted"}')
    planted = answer(conversation(LEFT_OUT, changed)).planted
    assert not {"history_loss", "step_repetition"} & {failure.slug for failure in planted}


def test_contradicting_a_cause_that_was_never_named_is_an_untested_claim() -> None:
    hasty = Propensities(stop_early=1.0, contradict_answer=1.0, skip_evidence=1.0)
    pods = ("kubectl_get", {"kind": "Pod", "namespace": "shop"}, '{"data": []}')
    events = ("event_analysis", {"filters": {"event_kind": "Warning"}, "limit": 30}, '{"data": []}')
    reply = answer(conversation(LOOKED, events, pods), propensities=hasty)
    planted = {failure.slug for failure in reply.planted}
    assert reply.calls[0].name == "submit"
    assert "no_or_incomplete_verification" in planted
    assert "reasoning_action" not in planted


def test_alerts_that_went_out_of_sight_are_not_explained() -> None:
    looked = conversation(LEFT_OUT)
    transcript = read_transcript(looked, 100_000)
    beliefs = form_beliefs(transcript, Temper(SimulatedModelConfig(), 0, transcript))
    assert "c1" in unexplained(beliefs, {"alerts_explained": []})
    assert not unexplained(beliefs, {"alerts_explained": [{"alert": "HighLatency cart"}]})


@pytest.mark.parametrize(("text", "slips"), [("Not run: wait.", 0), ("Error: no such object", 1)])
def test_refused_is_not_failed(text: str, slips: int) -> None:
    transcript = read_transcript(conversation(LOOKED, (*RESTART, text)), 100_000)
    assert form_beliefs(transcript, Temper(SimulatedModelConfig(), 0, transcript)).slips == slips
