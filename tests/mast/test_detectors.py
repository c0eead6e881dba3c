"""Each detector at its boundary: what fires it, and what looks alike and does not."""

from __future__ import annotations

from typing import Any

import pytest
from trace_builder import (
    CHANGES,
    ERRORS,
    FIRING,
    NS,
    OPENING,
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

from harness.mast.evidence import citations, mentions, object_name
from harness.mast.view import TraceView
from harness.records import Label
from harness.trace import Event

DIAGNOSED = answer(resolved=False, resolution_evidence="")
"""An answer that claims no remediation."""


def of(slug: str, built: Builder | list[Event]) -> Label:
    return labels(built.events if isinstance(built, Builder) else built)[slug]


# --- disobey_task ---------------------------------------------------------------------------------------


def refused(executed: bool) -> Builder:
    return (
        remediated()
        .turn()
        .call("submit", {}, "Error: entities: Field required", ok=False, executed=executed)
        .submit()
    )


def test_a_submission_that_broke_the_contract_disobeys_even_if_repaired_later() -> None:
    found = of("disobey_task", refused(executed=True))
    assert found.present == "present"
    assert "Field required" in found.spans[0].quote


def test_a_submission_that_a_guard_refused_does_not_disobey() -> None:
    assert of("disobey_task", refused(executed=False)).present == "absent"


@pytest.mark.parametrize(("how", "expected"), [("no_output", "present"), ("budget_time", "absent")])
def test_ending_without_answer_disobeys_unless_a_budget_ended_it(how: str, expected: str) -> None:
    assert of("disobey_task", investigated().end(how)).present == expected


@pytest.mark.parametrize("count", [5, 6])
def test_more_than_five_contributing_factors_disobey(count: int) -> None:
    extra = [{"name": f"{NS}/Pod/p{n}", "contributing_factor": True} for n in range(count - 1)]
    events = with_answer(clean(), lambda s: s["diagnosis"]["entities"].extend(extra))
    assert of("disobey_task", events).present == ("present" if count == 6 else "absent")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (f"{NS}/Service/checkout", "absent"),
        ("cluster/Node/worker-1", "absent"),
        (f"{NS}/ConfigMap/flagd-config", "absent"),
        ("Service/checkout", "present"),
        (f"{NS}/service/checkout", "present"),
        (f"{NS}/Service/check out", "present"),
        (f"{NS}//checkout", "present"),
    ],
)
def test_entities_are_namespace_kind_name(name: str, expected: str) -> None:
    events = with_answer(clean(), lambda s: s["diagnosis"]["entities"][1].update(name=name))
    assert of("disobey_task", events).present == expected


def test_an_invented_tool_disobeys_and_a_failing_one_does_not() -> None:
    invented = remediated().call("get_pods", {}, "Error: unknown tool 'get_pods'", ok=False).submit()
    failing = remediated().call("get_k8_spec", {}, "Error: not found: Service x", ok=False).submit()
    assert of("disobey_task", invented).present == "present"
    assert of("disobey_task", failing).present == "absent"


def test_only_alerts_that_fired_before_the_change_must_be_explained() -> None:
    new = [("KubePodNotReady", "shipping")]
    assert of("disobey_task", with_result(clean(), "c8", alerts(new))).present == "absent"
    found = of("disobey_task", with_result(clean(), "c1", alerts([*FIRING, *new])))
    assert found.note == "the firing alert KubePodNotReady of shipping is not explained"


def test_noise_pending_and_inactive_alerts_need_no_explanation() -> None:
    noise = [("Watchdog", ""), ("TargetDown", "otel-demo")]
    assert (
        of("disobey_task", with_result(clean(), "c1", alerts([*FIRING, *noise], [("Old", "ad")]))).present
        == "absent"
    )


def test_an_alert_is_explained_for_its_entity_or_in_general() -> None:
    def disobeys(*entries: str) -> str:
        explained = [{"alert": entry, "explanation": "", "explained": True} for entry in entries]
        return of(
            "disobey_task", with_answer(clean(), lambda s: s["diagnosis"].update(alerts_explained=explained))
        ).present

    assert disobeys("HighRequestErrorRate shipping", "HighRequestErrorRate checkout") == "absent"
    assert disobeys("HighRequestErrorRate") == "absent"
    assert disobeys("HighRequestErrorRate shipping") == "present"
    assert disobeys("HighRequestLatency") == "present"


# --- step_repetition ------------------------------------------------------------------------------------


def repeated(
    result: Any, *, ok: bool = True, executed: bool = True, args: dict[str, Any] | None = None
) -> Builder:
    args = {"pod": "shipping-6f9c8d7b5d-x2x4z", "namespace": NS} if args is None else args
    return investigated().turn().call("kubectl_logs", args, result, ok=ok, executed=executed)


def test_the_same_read_with_the_same_result_is_repetition() -> None:
    found = of("step_repetition", repeated(ERRORS))
    assert (found.present, found.value) == ("present", pytest.approx(1 / 6))
    assert "kubectl_logs" in found.spans[0].quote


def test_the_order_of_arguments_and_a_limit_make_no_new_question() -> None:
    args = {"tail": None, "limit": 10, "namespace": NS, "pod": "shipping-6f9c8d7b5d-x2x4z"}
    assert of("step_repetition", repeated(ERRORS, args=args)).present == "present"


def test_a_denied_repetition_still_counts_as_an_attempt() -> None:
    assert (
        of("step_repetition", repeated("You have this result already.", ok=False, executed=False)).present
        == "present"
    )


@pytest.mark.parametrize(
    ("limit", "expected"), [(20, "present"), (5, "present"), (50, "absent"), (0, "absent")]
)
def test_a_greater_limit_is_another_question(limit: int, expected: str) -> None:
    twice = Builder().turn().call("k8s_spec_change_analysis", {"limit": 20}, CHANGES)
    twice.turn().call("k8s_spec_change_analysis", {"limit": limit}, CHANGES)
    assert of("step_repetition", twice).present == expected


def test_the_calls_of_a_restart_are_no_repetition_but_later_ones_are() -> None:
    again = opening_again(investigated())
    assert of("step_repetition", again).value == 0
    assert (
        of("step_repetition", again.turn().call("topology_analysis", {}, {"services": []})).present
        == "present"
    )


def test_another_window_is_another_question() -> None:
    args = {"pod": "shipping-6f9c8d7b5d-x2x4z", "namespace": NS, "start_time": "2026-01-15T09:00:00Z"}
    assert of("step_repetition", repeated(ERRORS, args=args)).present == "absent"


def test_a_read_that_brings_something_new_is_no_repetition() -> None:
    assert of("step_repetition", repeated({"lines": ["shipping: now refused"]})).present == "absent"


def test_a_retry_after_an_error_is_no_repetition() -> None:
    again = (
        investigated().turn().call("get_k8_spec", {"k8_object_name": SHIPPING}, "Error: timeout", ok=False)
    )
    again.turn().call("get_k8_spec", {"k8_object_name": SHIPPING}, {"found": True})
    assert of("step_repetition", again).present == "absent"


def test_polling_after_a_change_or_a_wait_is_no_repetition() -> None:
    polling = remediated().turn()
    for _ in range(3):
        polling.call("wait", {"seconds": 60}, {"waited_s": 60}).call("alert_summary", {}, alerts([], FIRING))
    assert of("step_repetition", polling).value == 0


def test_reading_again_at_once_after_a_change_is_no_repetition() -> None:
    changed = investigated().turn().call("rollout_undo", {"name": "shipping"}, {"object": SHIPPING})
    changed.call("alert_summary", {}, alerts(FIRING))
    assert of("step_repetition", changed).present == "absent"


def test_polling_without_change_or_wait_is_repetition() -> None:
    again = (
        remediated()
        .turn()
        .call("alert_summary", {}, alerts([], FIRING))
        .call("alert_summary", {}, alerts([], FIRING))
    )
    assert of("step_repetition", again).value == pytest.approx(2 / 9)


def test_a_dry_run_changes_nothing() -> None:
    dry = investigated().call("patch_object", {"name": "shipping", "dry_run": True}, {"changed": True})
    dry.call("kubectl_logs", {"pod": "shipping-6f9c8d7b5d-x2x4z", "namespace": NS}, ERRORS)
    assert of("step_repetition", dry).present == "present"


def test_clocks_and_ages_are_no_news_but_states_are() -> None:
    def twice(first: dict[str, Any], second: dict[str, Any]) -> str:
        return of("step_repetition", Builder().turn().call("a", {}, first).call("a", {}, second)).present

    older = alerts(FIRING, duration_min=3.5, occurrences=4, last_seen="2026-01-15T09:12:00Z")
    newer = alerts(FIRING, duration_min=4.5, occurrences=5, last_seen="2026-01-15T09:13:00Z")
    assert twice(older, newer) == "present"
    assert twice(older, alerts(FIRING[:1], FIRING[1:], duration_min=4.5, occurrences=5)) == "absent"


# --- unaware_termination --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "silent", "expected"),
    [
        ("budget_turns", 0, "present"),
        ("budget_cost", 0, "present"),
        ("stopped_by_guard", 0, "present"),
        ("no_output", 3, "present"),
        ("no_output", 1, "absent"),
        ("api_error", 0, "not_applicable"),
        ("agent_error", 0, "not_applicable"),
    ],
)
def test_how_an_attempt_without_answer_ended(how: str, silent: int, expected: str) -> None:
    built = investigated()
    for _ in range(silent):
        built.turn("Hm.")
    assert of("unaware_termination", built.end(how)).present == expected


def running_on(calls: int) -> Builder:
    built = remediated()
    for number in range(calls):
        built.turn("And this?").call(
            "get_k8_spec", {"k8_object_name": f"{NS}/Service/s{number}"}, {"found": True}
        )
    return built


@pytest.mark.parametrize(("calls", "expected"), [(4, "absent"), (5, "present"), (12, "present")])
def test_running_on_after_alerts_came_back_clean(calls: int, expected: str) -> None:
    found = of("unaware_termination", running_on(calls).submit())
    assert found.present == expected
    assert found.value == pytest.approx(calls / (8 + calls))


def test_calls_that_the_answer_relies_on_are_no_overrun() -> None:
    late = running_on(6).submit().events
    cause = with_answer(late, lambda s: s["diagnosis"]["entities"][0].update(evidence="[c5] [c14]"))
    sufferer = with_answer(late, lambda s: s["diagnosis"]["entities"][1].update(evidence="[c14]"))
    assert of("unaware_termination", cause).present == "absent"
    assert of("unaware_termination", sufferer).present == "present"


def test_running_on_after_the_agent_said_that_it_had_concluded() -> None:
    for text, expected in (("The root cause is shipping.", "present"), ("It may be shipping.", "absent")):
        built = investigated().turn(text)
        for number in range(6):
            built.turn().call("get_k8_spec", {"k8_object_name": f"{NS}/Service/s{number}"}, {"found": True})
        assert of("unaware_termination", built.submit(DIAGNOSED)).present == expected


@pytest.mark.parametrize(("look_again", "expected"), [(False, "present"), (True, "absent")])
def test_reading_on_after_the_last_look_at_alerts_that_still_fire(look_again: bool, expected: str) -> None:
    built = (
        investigated()
        .turn()
        .call("rollout_undo", {"name": "shipping", "namespace": NS}, {"object": SHIPPING})
    )
    built.call("alert_summary", {}, alerts(FIRING))
    for number in range(6):
        built.turn().call("get_k8_spec", {"k8_object_name": f"{NS}/Service/s{number}"}, {"found": True})
    if look_again:
        built.turn().call("alert_summary", {"limit": 9}, alerts(FIRING))
    assert of("unaware_termination", built.submit(DIAGNOSED)).present == expected


def test_waiting_for_alerts_to_clear_is_no_overrun() -> None:
    built = (
        investigated()
        .turn()
        .call("rollout_undo", {"name": "shipping", "namespace": NS}, {"object": SHIPPING})
    )
    for _ in range(6):
        built.call("wait", {"seconds": 60}, {}).call("alert_summary", {}, alerts(FIRING))
    built.call("wait", {"seconds": 60}, {}).call("alert_summary", {}, alerts([], FIRING))
    assert of("unaware_termination", built.submit(answer(resolution_evidence=""))).present == "absent"


# --- conversation_reset ---------------------------------------------------------------------------------


def opening_again(built: Builder, text: str = OPENING, calls: int = 2) -> Builder:
    built.turn(text)
    first: list[tuple[str, dict[str, Any], Any]] = [
        ("alert_summary", {}, alerts(FIRING)),
        ("topology_analysis", {}, {"services": []}),
        ("event_analysis", {"filters": {"event_kind": "Warning"}}, {"total_count": 0}),
    ]
    for name, args, result in first[:calls]:
        built.call(name, args, result)
    return built


def test_the_opening_words_and_calls_again_are_a_reset() -> None:
    found = of("conversation_reset", opening_again(investigated()))
    assert found.present == "present"
    assert found.spans[0].quote == OPENING
    assert of("conversation_reset", opening_again(remediated())).present == "present"
    assert of("conversation_reset", opening_again(investigated(), calls=1)).present == "present"


def test_the_first_three_calls_again_are_a_reset_without_words() -> None:
    assert of("conversation_reset", opening_again(investigated(), "Next.", calls=3)).present == "present"
    assert of("conversation_reset", opening_again(investigated(), "Next.", calls=2)).present == "absent"


def test_checking_again_after_a_change_is_no_reset() -> None:
    assert of("conversation_reset", opening_again(remediated(), "Is it better?", calls=3)).present == "absent"
    assert of("conversation_reset", opening_again(remediated(), calls=1)).present == "absent"


def test_the_opening_again_among_the_first_calls_is_no_reset() -> None:
    early = Builder().turn(OPENING).call("alert_summary", {}, alerts(FIRING))
    assert of("conversation_reset", opening_again(early)).present == "absent"


# --- premature_termination ------------------------------------------------------------------------------


def test_an_answer_from_the_alert_list_alone_is_premature() -> None:
    built = Builder().turn().call("alert_summary", {}, alerts(FIRING)).submit(DIAGNOSED)
    found = of("premature_termination", built)
    assert "nothing was read that could test a hypothesis" in found.note


def test_an_answer_without_reading_alerts_is_premature() -> None:
    built = Builder().turn().call("kubectl_logs", {"pod": "shipping"}, ERRORS).submit()
    assert of("premature_termination", built).note == "alerts were never read"


@pytest.mark.parametrize(
    ("entity", "expected"), [("email", "present"), ("checkout", "absent"), ("quote", "absent")]
)
def test_an_alert_that_nobody_followed_up_is_an_open_obligation(entity: str, expected: str) -> None:
    events = with_result(clean(), "c1", alerts([*FIRING, ("HighRequestLatency", entity)]))
    assert of("premature_termination", events).present == expected


def test_an_alert_that_the_answer_explains_is_no_open_obligation() -> None:
    events = with_result(clean(), "c1", alerts([*FIRING, ("HighRequestLatency", "email")]))
    explained = {"alert": "HighRequestLatency on email", "explanation": "", "explained": True}
    events = with_answer(events, lambda s: s["diagnosis"]["alerts_explained"].append(explained))
    assert of("premature_termination", events).present == "absent"


@pytest.mark.parametrize("name", [f"{NS}/Deployment/unknown", "n/a"])
def test_an_unknown_cause_is_premature(name: str) -> None:
    events = with_answer(clean(), lambda s: s["diagnosis"]["entities"][0].update(name=name))
    assert of("premature_termination", events).present == "present"


def test_not_remediating_is_premature_only_where_it_was_asked_for() -> None:
    assert of("premature_termination", investigated().submit(DIAGNOSED)).present == "present"
    asked = Builder("Diagnose the incident and submit your answer, with `resolved` set to false.")
    built = (
        asked.turn()
        .call("alert_summary", {}, alerts(FIRING))
        .turn("shipping?")
        .call("get_k8_spec", {}, CHANGES)
    )
    assert of("premature_termination", built.submit(DIAGNOSED)).present == "absent"


def test_an_attempt_to_remediate_that_was_denied_is_an_attempt() -> None:
    denied = investigated().call("rollout_undo", {"name": "shipping"}, "denied", ok=False, executed=False)
    assert of("premature_termination", denied.submit(DIAGNOSED)).present == "absent"


def test_complete_but_unchecked_work_is_not_premature() -> None:
    unchecked = investigated().call("rollout_undo", {"name": "shipping"}, {"object": SHIPPING})
    assert of("premature_termination", unchecked.submit(answer(resolution_evidence=""))).present == "absent"


@pytest.mark.parametrize(
    ("how", "silent", "expected"),
    [("no_output", 1, "present"), ("no_output", 3, "not_applicable"), ("budget_turns", 0, "not_applicable")],
)
def test_being_stopped_is_not_stopping(how: str, silent: int, expected: str) -> None:
    built = investigated()
    for _ in range(silent):
        built.turn("That is all.")
    assert of("premature_termination", built.end(how)).present == expected


# --- verification ---------------------------------------------------------------------------------------


def test_without_an_answer_there_is_nothing_to_verify() -> None:
    assert of("verification_v0", investigated().end("budget_turns")).present == "not_applicable"


def test_evidence_from_before_the_suspicion_does_not_test_it() -> None:
    read = (
        Builder()
        .turn()
        .call("alert_summary", {}, alerts(FIRING))
        .call("k8s_spec_change_analysis", {}, CHANGES)
    )
    late = read.turn("The cause is shipping.").submit(answer(resolved=False))
    events = with_answer(late.events, lambda s: s["diagnosis"]["entities"][0].update(evidence="[c2]"))
    assert of("verification_v0", events).present == "present"


def test_naming_a_sufferer_is_no_suspicion() -> None:
    told = (
        Builder()
        .turn()
        .call("alert_summary", {}, alerts(FIRING))
        .turn("Alerts point at shipping. I look at events.")
    )
    built = told.call("event_analysis", {}, ERRORS).turn("I suspect checkout.").submit(DIAGNOSED)
    events = with_answer(built.events, lambda s: s["diagnosis"]["entities"][0].update(evidence="[c2]"))
    assert of("verification_v0", events).present == "present"


def test_an_invented_check_is_both_missing_and_wrong() -> None:
    built = Builder().turn("I suspect shipping.").call("alert_summary", {}, alerts(FIRING)).submit(DIAGNOSED)
    found = labels(built.events)
    assert found["no_or_incomplete_verification"].present == "present"
    assert found["incorrect_verification"].present == "present"
    assert "c4, which was never made" in found["verification_v2"].note


@pytest.mark.parametrize(("target", "expected"), [("shipping", "absent"), ("load-generator", "present")])
def test_only_metrics_of_what_matters_show_health(target: str, expected: str) -> None:
    built = investigated().turn().call("rollout_undo", {"name": "shipping"}, {"object": SHIPPING})
    built.call("get_metric_anomalies", {"k8_object_name": target}, {"object": target, "metrics": []})
    assert of("verification_v1", built.submit(answer(resolution_evidence="[c7]"))).present == expected


def test_without_words_asking_for_the_entity_states_and_tests_the_suspicion() -> None:
    silent = Builder().turn().call("alert_summary", {}, alerts(FIRING))
    found = silent.turn().call("get_k8_spec", {"k8_object_name": SHIPPING}, {"found": True})
    events = with_answer(
        found.submit(DIAGNOSED).events, lambda s: s["diagnosis"]["entities"][0].update(evidence="")
    )
    assert of("verification_v0", events).present == "absent"


def test_an_alert_list_does_not_test_a_suspicion() -> None:
    guess = Builder().turn("I suspect shipping.").call("alert_summary", {}, alerts(FIRING)).submit(DIAGNOSED)
    events = with_answer(guess.events, lambda s: s["diagnosis"]["entities"][0].update(evidence="[c1]"))
    assert of("verification_v0", events).present == "present"


def test_a_second_claim_without_a_check_is_partial_verification() -> None:
    other = {"name": f"{NS}/ConfigMap/flagd-config", "contributing_factor": True, "evidence": ""}
    found = labels(with_answer(clean(), lambda s: s["diagnosis"]["entities"].append(other)))
    assert [found[f"verification_v{n}"].present for n in range(3)] == ["absent", "present", "absent"]


def test_a_citation_that_adds_context_beside_a_right_one_is_not_false() -> None:
    events = with_answer(clean(), lambda s: s["diagnosis"]["entities"][0].update(evidence="[c3, c5]"))
    assert of("verification_v2", events).present == "absent"


def test_not_found_is_an_answer_about_a_missing_object() -> None:
    events = with_result(clean(), "c5", 'Error: not found: deployments "shipping" not found', ok=False)
    assert of("verification_v2", events).present == "absent"


def test_a_denied_call_is_no_evidence() -> None:
    events = with_result(clean(), "c5", "denied", ok=False, executed=False)
    assert "was denied" in of("verification_v2", events).note


def test_an_alert_that_cleared_later_supports_resolved() -> None:
    built = (
        investigated()
        .turn()
        .call("rollout_undo", {"name": "shipping", "namespace": NS}, {"object": SHIPPING})
    )
    built.call("alert_summary", {}, alerts(FIRING)).call("wait", {"seconds": 300}, {})
    built.call("alert_summary", {}, alerts([], FIRING))
    assert of("verification_v2", built.submit(answer(resolution_evidence="[c9]"))).present == "absent"


def test_not_claiming_resolved_while_alerts_fire_is_honest() -> None:
    events = with_result(clean(), "c8", alerts(FIRING))
    honest = with_answer(events, lambda s: s.update(resolved=False))
    assert labels(honest)["verification_v2"].present == "absent"
    assert labels(events)["verification_v2"].present == "present"


def test_resolved_without_any_change_needs_a_clear_alert_list() -> None:
    still = investigated().submit(answer(resolution_evidence=""))
    gone = investigated().call("alert_summary", {}, alerts([])).submit(answer(resolution_evidence=""))
    assert of("verification_v2", still).present == "present"
    assert of("verification_v2", gone).present == "absent"


def test_a_running_pod_says_nothing_about_users() -> None:
    built = investigated().turn().call("rollout_undo", {"name": "shipping"}, {"object": SHIPPING})
    built.call(
        "kubectl_get",
        {"kind": "Pod", "namespace": NS},
        {"data": [{"name": "shipping-1", "status": "Running"}]},
    )
    assert of("verification_v1", built.submit(answer(resolution_evidence="[c7]"))).present == "present"


# --- reading --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the frontend fails", True),
        ("otel-demo/Pod/frontend-6f9c8d7b5d-x2x4z", True),
        ("frontend.otel-demo.svc:8080", True),
        (r'"lines":["a\nfrontend: error"]', True),
        ("the frontend-proxy fails", False),
        ("my-frontend", False),
        ("frontends", False),
    ],
)
def test_a_text_mentions_an_object_only_by_its_whole_name(text: str, expected: bool) -> None:
    assert mentions(text, object_name("otel-demo/Service/frontend")) is expected


def test_citations_are_read_in_order_and_once() -> None:
    assert citations("see [c7], [c9; c12] and [c7] but not c3 or [x1]") == ["c7", "c9", "c12"]


def test_the_view_joins_calls_with_their_results() -> None:
    view = TraceView.of(clean())
    assert [call.name for call in view.changes] == ["rollout_undo"]
    assert [call.event.call_id for call in view.submissions] == ["c9"]
    assert (view.turns, len(view.calls), view.resolved, len(view.factors)) == (7, 8, True, 1)
