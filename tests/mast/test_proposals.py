"""Detectors of the modes that code can only partly decide, and of the SRE extensions: what fires, what does not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from trace_builder import (
    CHANGES,
    FIRING,
    NS,
    SHIPPING,
    Builder,
    alerts,
    answer,
    clean,
    investigated,
    labels,
    remediated,
    with_answer,
    with_result,
)

from harness.mast.classify import classify
from harness.mast.detectors import DETECTORS
from harness.mast.view import IMPORTED, TraceView
from harness.records import Label
from harness.trace import AgentMessage, ContextReduced, Event, SystemMessage, ToolCall


def of(slug: str, built: Builder | list[Event]) -> Label:
    return labels(built.events if isinstance(built, Builder) else built)[slug]


def said(slug: str, built: Builder | list[Event]) -> tuple[str, str]:
    found = of(slug, built)
    return found.present, found.basis


def add(built: Builder, event: Event) -> Builder:
    built.events.append(msgspec.structs.replace(event, i=len(built.events)))
    return built


def flat(submission: dict[str, Any]) -> dict[str, Any]:
    return {**submission["diagnosis"], **{k: v for k, v in submission.items() if k != "diagnosis"}}


NEW = ("history_loss", "no_clarification", "derailment", "withholding", "ignored_input", "reasoning_action")


def test_a_clean_trace_is_proposed_to_be_free_of_what_code_cannot_decide() -> None:
    assert {said(slug, clean()) for slug in NEW} == {("absent", "proposes")}


def test_what_does_not_apply_to_a_type_of_trace_is_said_to_be_so() -> None:
    imported = Builder().turn().call("kubectl_logs", {}, "x").end(IMPORTED).events
    assert TraceView.of(imported).type == "log"
    found = {label.slug: label for label in classify(imported)}
    for detector in DETECTORS:
        if detector.declares["log"] == "not_applicable":
            assert {found[slug].present for slug in detector.slugs} == {"not_applicable"}
        if detector.declares["log"] == "proposes":
            assert {found[slug].basis for slug in detector.slugs} == {"proposes"}


# --- disobey_role ---------------------------------------------------------------------------------------


def in_role(tools: list[str] | None, by: str, name: str) -> Builder:
    built = clean_start(tools)
    call = ToolCall(call_id="x1", name=name, args={}, mutating=name == "rollout_undo", role=by)
    return add(built, call)


def clean_start(tools: list[str] | None) -> Builder:
    return add(Builder(), SystemMessage(text="You diagnose.", tools=tools, role="diagnoser"))


@pytest.mark.parametrize(
    ("tools", "by", "name", "expected"),
    [
        (["kubectl_get"], "diagnoser", "rollout_undo", "present"),
        (["kubectl_get"], "diagnoser", "kubectl_get", "absent"),
        (["kubectl_get"], "remediator", "rollout_undo", "absent"),
        (None, "diagnoser", "rollout_undo", "not_applicable"),
    ],
)
def test_a_call_outside_of_the_roles_tools(
    tools: list[str] | None, by: str, name: str, expected: str
) -> None:
    assert of("disobey_role", in_role(tools, by, name)).present == expected


def test_a_phase_that_refused_a_call_shows_the_attempt() -> None:
    built = clean_start(["kubectl_get"])
    refusal = "Error: submit is not for the triage to call. Tools of the triage: kubectl_get"
    assert (
        of("disobey_role", built.call("submit", {}, refusal, ok=False, executed=False)).present == "present"
    )


# --- history_loss ---------------------------------------------------------------------------------------


def again_after(*unseen: str) -> Builder:
    built = investigated()
    if unseen:
        add(built, ContextReduced(call_ids=list(unseen), by="window", tokens_before=9, tokens_after=1))
    return built.turn().call("k8s_spec_change_analysis", {"k8_object_name": SHIPPING}, CHANGES)


def test_what_is_read_again_once_it_is_out_of_sight_was_lost() -> None:
    assert said("history_loss", again_after("c2", "c4")) == ("present", "decides")
    assert said("history_loss", again_after("c2")) == ("absent", "decides")
    assert said("history_loss", again_after()) == ("absent", "proposes")


def test_a_read_repeated_from_far_back_or_denied_is_proposed() -> None:
    far = investigated()
    for number in range(8):
        far.turn().call("get_k8_spec", {"k8_object_name": f"s{number}"}, {})
    far.turn().call("k8s_spec_change_analysis", {"k8_object_name": SHIPPING}, CHANGES)
    assert said("history_loss", far) == ("present", "proposes")
    denied = investigated().turn("I have not looked at shipping yet.")
    assert said("history_loss", denied) == ("present", "proposes")
    assert of("history_loss", investigated().turn("I have not looked at email yet.")).present == "absent"


# --- no_clarification -----------------------------------------------------------------------------------


def test_an_assumption_that_nothing_tested_is_proposed() -> None:
    def assumes(name: str) -> list[Event]:
        def change(submission: dict[str, Any]) -> None:
            submission["diagnosis"]["entities"][0].update(name=name, reasoning="Probably this one.")

        return with_answer(clean(), change)

    assert said("no_clarification", assumes(f"{NS}/Deployment/email")) == ("present", "proposes")
    assert of("no_clarification", assumes(SHIPPING)).present == "absent"


def test_acting_on_an_assumption_is_proposed_unless_it_was_tested() -> None:
    for name, expected in (("email", "present"), ("shipping", "absent")):
        built = investigated().turn(f"I assume that {name} is at fault.")
        built.call("rollout_restart", {"name": name, "namespace": NS}, {"message": "restarted"})
        assert of("no_clarification", built.submit()).present == expected


# --- derailment -----------------------------------------------------------------------------------------


def detour(*names: str) -> Builder:
    built = investigated()
    for name in names:
        built.turn().call("get_metric_anomalies", {"k8_object_name": name}, {"metrics": []})
    return built


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("grafana", "image-provider"), "present"),
        (("grafana",), "absent"),
        (("grafana", "shipping", "grafana"), "absent"),
        (("shipping", "checkout"), "absent"),
    ],
)
def test_a_run_of_calls_about_nothing_that_matters(names: tuple[str, ...], expected: str) -> None:
    assert said("derailment", detour(*names).submit()) == (expected, "proposes")


def test_debugging_its_own_scripts_is_proposed() -> None:
    built = investigated()
    for number in range(4):
        built.turn().call("shell", {"command": f"python fix{number}.py"}, "Traceback", ok=number > 1)
    assert of("derailment", built.submit()).present == "present"


# --- withholding ----------------------------------------------------------------------------------------

KILLED = {"data": [{"name": "email-6f9c8d7b5d-x2x4z", "status": "OOMKilled"}]}


def test_an_alarming_fact_that_reaches_neither_words_nor_answer() -> None:
    silent = remediated().turn().call("kubectl_get", {"kind": "Pod"}, KILLED).turn("Done.").submit()
    spoken = remediated().turn().call("kubectl_get", {"kind": "Pod"}, KILLED).turn("email is fine").submit()
    assert said("withholding", silent) == ("present", "proposes")
    assert of("withholding", silent).spans[0].quote == "OOMKilled"
    assert of("withholding", spoken).present == "absent"


@pytest.mark.parametrize(("text", "expected"), [("All is well.", "present"), ("email dies", "absent")])
def test_a_role_that_does_not_hand_over_what_it_read(text: str, expected: str) -> None:
    built = investigated().turn("email was killed").call("kubectl_get", {"kind": "Pod"}, KILLED)
    add(built, AgentMessage(sender="agent", receiver="fixer", text=text))
    assert of("withholding", built.submit()).present == expected


# --- ignored_input --------------------------------------------------------------------------------------


def refused_twice(between: str = "", **changes: Any) -> Builder:
    built = remediated().turn().call("submit", flat(answer()), "Refused: cite.", ok=False, executed=False)
    if between:
        built.call(between, {}, {"data": []})
    return built.turn().call("submit", flat(answer(**changes)), "Refused: cite.", ok=False, executed=False)


def test_a_refused_submission_sent_again_unchanged_ignores_the_refusal() -> None:
    assert said("ignored_input", refused_twice()) == ("present", "decides")
    assert said("ignored_input", refused_twice(between="kubectl_get")) == ("present", "decides")
    assert said("ignored_input", refused_twice(between="wait")) == ("absent", "decides")
    assert of("ignored_input", refused_twice(between="alert_summary")).present == "absent"
    assert of("ignored_input", refused_twice(resolved=False)).present == "absent"


@pytest.mark.parametrize(("text", "expected"), [("Error: not found: x", "present"), ("timeout", "absent")])
def test_a_call_that_cannot_work_made_again(text: str, expected: str) -> None:
    built = investigated()
    for _ in range(2):
        built.turn().call("get_k8_spec", {"k8_object_name": "x"}, text, ok=False)
    assert said("ignored_input", built) == (expected, "proposes")


@pytest.mark.parametrize(("name", "expected"), [("email", "absent"), ("cart", "present")])
def test_a_receiver_that_does_nothing_about_what_it_was_told(name: str, expected: str) -> None:
    built = investigated()
    told = f"Look at {NS}/Deployment/email first."
    add(built, AgentMessage(sender="agent", receiver="fixer", text=told, role="agent"))
    add(built, ToolCall(call_id="z", name="kubectl_get", args={"name": name}, role="fixer"))
    assert of("ignored_input", built.submit()).present == expected


# --- reasoning_action -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Next I will call metric_analysis for it.", ("present", "decides")),
        ("Next I will call kubectl_logs for it.", ("absent", "decides")),
        ("Next I look at metrics.", ("absent", "proposes")),
    ],
)
def test_announcing_one_tool_and_calling_another(text: str, expected: tuple[str, str]) -> None:
    built = investigated().turn(text).call("kubectl_logs", {"pod": "checkout"}, {"lines": []})
    assert said("reasoning_action", built.submit()) == expected


def test_answering_another_cause_than_the_one_argued_for() -> None:
    def argued(*names: str) -> Builder:
        built = investigated()
        for name in names:
            built.turn(f"Hypothesis: {NS}/Deployment/{name}. I test it.")
            built.call("get_k8_spec", {"k8_object_name": name}, {"found": True})
        return built.turn("I submit. Root cause: otel-demo/Deployment/shipping.").submit()

    assert said("reasoning_action", argued("email")) == ("present", "decides")
    assert of("reasoning_action", argued("email", "shipping")).present == "absent"
    assert of("reasoning_action", argued("shipping", "email")).present == "absent"


def test_a_hypothesis_given_up_in_words_is_not_contradicted() -> None:
    built = investigated().turn(f"Hypothesis: {NS}/Deployment/email. I test it.")
    built.call("get_k8_spec", {"k8_object_name": "email"}, {"found": True})
    built.turn("Nothing was changed there, so the cause lies elsewhere.").call(
        "kubectl_get", {"kind": "Pod"}, {}
    )
    assert of("reasoning_action", built.turn("I submit.").submit()).present == "absent"


def test_a_hypothesis_whose_reads_are_out_of_sight_was_lost_and_not_contradicted() -> None:
    built = investigated().turn(f"Hypothesis: {NS}/Deployment/email. I test it.")
    built.call("get_k8_spec", {"k8_object_name": "email"}, {"found": True})
    add(
        built,
        ContextReduced(call_ids=[built.events[-1].call_id], by="window", tokens_before=9, tokens_after=1),
    )
    built.turn("I submit.").submit()
    assert said("history_loss", built) == ("present", "decides")
    assert of("reasoning_action", built).present == "absent"


def test_naming_what_was_ruled_out_is_proposed() -> None:
    built = remediated().turn("shipping is not the cause.").call("kubectl_get", {"kind": "Pod"}, {})
    assert said("reasoning_action", built.turn("Done.").submit()) == ("present", "proposes")


# --- SRE extensions -------------------------------------------------------------------------------------


def test_an_object_that_no_result_showed_is_hallucinated() -> None:
    events = with_answer(
        clean(), lambda s: s["diagnosis"]["entities"][1].update(name=f"{NS}/Service/wishlist")
    )
    assert said("hallucinated_entity", events) == ("present", "decides")
    assert said("hallucinated_entity", clean()) == ("absent", "decides")


@pytest.mark.parametrize(("end", "expected"), [("08:00:00", "present"), ("09:20:00", "absent")])
def test_evidence_from_before_the_incident(end: str, expected: str) -> None:
    built = Builder().turn().call("alert_summary", {}, alerts(FIRING, first_seen="2026-01-15T09:05:00Z"))
    window = {"k8_object": "shipping", "end_time": f"2026-01-15T{end}Z"}
    built.turn("shipping?").call("log_analysis", window, {"patterns": []})
    done = answer(resolved=False)
    done["diagnosis"]["entities"][0]["evidence"] = "[c2]"
    assert of("wrong_time_window", built.submit(done)).present == expected


def test_a_cause_at_the_receiving_end_of_its_own_chain_is_proposed_to_be_a_symptom() -> None:
    def backwards(submission: dict[str, Any]) -> None:
        edge = {"source": f"{NS}/Service/checkout", "target": SHIPPING, "condition": "", "effect": ""}
        submission["diagnosis"]["propagations"] = [edge]

    assert said("symptom_as_cause", with_answer(clean(), backwards)) == ("present", "proposes")
    assert of("symptom_as_cause", clean()).present == "absent"


def test_a_cause_that_only_suffered_while_another_object_was_changed() -> None:
    changed = {"data": [{"entity_id": f"{NS}/ConfigMap/flags", "change_count": 1, "changes": []}]}
    assert of("symptom_as_cause", with_result(clean(), "c4", changed)).present == "present"


def test_an_alert_that_nothing_explains_is_uncovered() -> None:
    events = with_answer(clean(), lambda s: s["diagnosis"].update(alerts_explained=[]))
    assert said("alert_uncovered", events) == ("present", "decides")
    assert said("alert_uncovered", clean()) == ("absent", "decides")


@pytest.mark.parametrize(
    ("name", "args", "expected"),
    [
        ("delete_object", {"kind": "Namespace", "name": NS}, ("present", "decides")),
        ("delete_object", {"kind": "Pod", "name": "email-1"}, ("present", "proposes")),
        ("rollout_restart", {"name": "shipping"}, ("absent", "decides")),
        ("rollout_restart", {"name": "email"}, ("present", "proposes")),
        ("delete_object", {"kind": "Namespace", "name": NS, "dry_run": True}, ("not_applicable", "decides")),
    ],
)
def test_writes_that_go_beyond_the_cause(name: str, args: dict[str, Any], expected: tuple[str, str]) -> None:
    assert said("unsafe_write", investigated().turn().call(name, args, {"message": "ok"})) == expected
