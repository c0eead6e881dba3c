"""Each guard fires on a hand-made session, says what it wants, and gives way where it must."""

from __future__ import annotations

import pytest
from desk import ALERTS, CHANGES, NS, REPAIR, SHIPPING, TEST, WAIT, Turn, guard, play, submit

from harness.budget import BudgetConfig
from harness.evidence import object_in
from harness.trace import Final, ToolCall, of_type


def read(name: str) -> Turn:
    return (f"I look at {name}.", "kubectl_get", {"kind": "Deployment", "name": name, "namespace": NS})


# --- loop guard -------------------------------------------------------------------------------------------


def test_a_repeated_call_is_answered_from_the_record_and_then_refused() -> None:
    played = play([ALERTS] * 4, guard("loop_guard"))

    assert [one.ruling for one in played.fired] == ["answer", "answer", "deny"]
    first, second, refused = (played.result(call_id) for call_id in ("c1", "c2", "c4"))
    assert object_in(second.text) == object_in(first.text)
    assert "result of c1" in second.text
    assert (second.ok, second.executed, refused.ok) == (True, False, False)
    assert len(list(of_type(played.events, ToolCall))) == 4, "attempts stay visible"


def test_polling_after_a_change_is_no_loop() -> None:
    played = play([ALERTS, TEST, REPAIR, ALERTS, WAIT, ALERTS, WAIT, ALERTS], guard("loop_guard"))

    assert played.fired == []


def test_waiting_without_a_change_does_not_excuse_repetition() -> None:
    played = play([ALERTS, WAIT, ALERTS], guard("loop_guard"))

    assert [one.call_id for one in played.fired] == ["c3"]


def test_a_short_cycle_is_refused() -> None:
    played = play([ALERTS, CHANGES] * 3, guard("loop_guard", notice_at=5, deny_at=9))

    assert [(one.call_id, one.ruling) for one in played.fired] == [("c6", "deny")]
    assert "same short cycle" in played.fired[0].feedback


# --- termination ------------------------------------------------------------------------------------------


def test_an_answer_with_open_obligations_is_refused_twice_and_then_forced() -> None:
    played = play([submit()] * 3, guard("termination_fsm"))

    assert [one.ruling for one in played.fired] == ["deny", "deny", "forced"]
    assert "no alerts or health were read" in played.fired[0].feedback
    assert next(of_type(played.events, Final)).forced


def test_after_recovery_only_a_submission_passes_and_the_best_answer_is_handed_in() -> None:
    more = [read(name) for name in ("ad", "cart", "checkout", "frontend", "payment", "quote")]
    played = play([ALERTS, TEST, REPAIR, WAIT, ALERTS, *more], guard("termination_fsm"))

    assert [one.ruling for one in played.fired] == ["deny", "deny", "conclude"]
    final = next(of_type(played.events, Final))
    assert final.forced
    assert [entity["name"] for entity in final.submission["diagnosis"]["entities"]] == [SHIPPING]
    assert "c2" in final.submission["diagnosis"]["entities"][0]["evidence"]
    assert not final.submission["resolved"], "the guard claims nothing that the agent did not"


def test_the_end_of_the_budget_protects_the_best_answer() -> None:
    more = [read(name) for name in ("ad", "cart", "checkout", "frontend", "payment", "quote", "email")]
    turns = [ALERTS, TEST, *more]
    without = play(turns, budget=BudgetConfig(turns=8))
    held = play(turns, guard("termination_fsm"), budget=BudgetConfig(turns=8))

    assert without.ended == "budget_turns"
    assert held.session.done
    assert "nearly used up" in held.fired[0].feedback


def test_a_phase_has_its_budget() -> None:
    more = [read(name) for name in ("ad", "cart", "checkout", "frontend")]
    played = play([ALERTS, *more], guard("termination_fsm", diagnose={"calls": 2}))

    assert played.fired[0].call_id == "c4"
    assert "budget of the phase diagnose" in played.fired[0].feedback


def test_the_cap_ends_a_run_with_what_was_said() -> None:
    more = [read(name) for name in ("ad", "cart", "checkout", "frontend")]
    played = play([ALERTS, TEST, *more], guard("iteration_cap", max_turns=3, grace=1))

    assert [one.ruling for one in played.fired] == ["deny", "conclude"]
    assert played.session.done


# --- clarification ----------------------------------------------------------------------------------------

GUESS: Turn = ("I restart it.", "rollout_restart", {"name": "checkout", "namespace": NS})
DECLARE: Turn = (
    "I assume checkout.",
    "declare_assumption",
    {"about": f"{NS}/Deployment/checkout", "assumption": "it hangs", "confidence": 0.4},
)


def test_one_of_several_candidates_is_not_changed_before_a_probe() -> None:
    refused = play([ALERTS, GUESS, read("checkout"), GUESS], guard("clarification_branch"))

    assert [one.call_id for one in refused.fired] == ["c2"]
    assert "candidates are" in refused.fired[0].feedback
    assert refused.result("c4").executed


def test_a_declared_assumption_opens_the_way_and_its_tool_appears_only_then() -> None:
    played = play([ALERTS, GUESS, DECLARE, GUESS], guard("clarification_branch"))

    assert "declare_assumption" not in played.offered(1)
    assert "declare_assumption" in played.offered(2)
    assert [one.ruling for one in played.fired] == ["deny", "answer"]
    assert played.result("c4").executed


def test_refusals_for_a_target_are_capped() -> None:
    played = play([ALERTS, *[GUESS] * 4], guard("clarification_branch"))

    assert [one.ruling for one in played.fired] == ["deny"] * 3
    assert played.result("c5").executed


def test_an_underspecified_request_is_clarified_by_asking() -> None:
    ask: Turn = ("Which application?", "ask_operator", {"question": "Which namespace is affected?"})
    turns = [ALERTS, TEST, REPAIR, ask, REPAIR]
    played = play(turns, guard("clarification_branch"), ambiguous=True)

    assert [one.call_id for one in played.fired] == ["c3"]
    assert NS in played.result("c4").text
    assert played.result("c5").executed


def test_a_root_cause_assumed_in_words_is_refused() -> None:
    hedged = submit(why="Probably shipping; I assume that it is the one.", evidence="[c1]")
    played = play([ALERTS, hedged, TEST, hedged], guard("clarification_branch"))

    assert [one.on for one in played.fired] == ["submission"]
    assert played.session.done


# --- action validation ------------------------------------------------------------------------------------


def test_a_call_that_was_not_announced_is_refused() -> None:
    mismatch: Turn = ("Next I will call kubectl_logs to see more.", "event_analysis", {})
    intent: Turn = ("", "state_intent", {"tool": "event_analysis", "target": "", "purpose": "look"})
    plain: Turn = ("", "event_analysis", {})
    played = play([ALERTS, mismatch, intent, plain], guard("action_validation"))

    assert [one.ruling for one in played.fired] == ["deny", "answer"]
    assert "announced kubectl_logs and called event_analysis" in played.fired[0].feedback
    assert "state_intent" not in played.offered(1)
    assert "state_intent" in played.offered(2)
    assert played.result("c4").executed


def test_a_call_that_differs_from_the_stated_intent_is_refused() -> None:
    intent: Turn = ("", "state_intent", {"tool": "rollout_undo", "target": "cart", "purpose": "remediate"})
    played = play([ALERTS, TEST, intent, REPAIR], guard("action_validation", intent="writes"))

    assert "you stated cart" in played.fired[-1].feedback


def test_a_made_up_name_is_looked_up_once_and_refused() -> None:
    played = play([ALERTS, read("shipping-gateway")], guard("action_validation"))

    (fired,) = played.fired
    assert fired.reads == 1
    assert "there is no Deployment shipping-gateway" in fired.feedback


@pytest.mark.parametrize(
    ("turns", "reason"),
    [([REPAIR], "alerts were not read"), ([ALERTS, REPAIR], "no read was directed at shipping")],
)
def test_changes_have_their_phase(turns: list[Turn], reason: str) -> None:
    played = play(turns, guard("action_validation"))

    assert any(reason in one.feedback for one in played.fired)
    assert not played.result(f"c{len(turns)}").executed


def test_refusals_in_a_row_are_capped() -> None:
    played = play([ALERTS, *[REPAIR] * 3], guard("action_validation"))

    assert [one.ruling for one in played.fired] == ["deny", "deny"]
    assert played.result("c4").executed


# --- context ----------------------------------------------------------------------------------------------

LONG = [ALERTS, CHANGES, ("", "event_analysis", {}), ("", "get_trace_error_tree", {}), TEST]
PODS: Turn = ("", "kubectl_get", {"kind": "Pod", "namespace": NS})


def test_a_finite_window_loses_the_oldest_results_and_says_so() -> None:
    played = play([*LONG, PODS, *[read(n) for n in ("ad", "cart", "checkout")]], context_tokens=4_000)

    assert played.reduced
    assert {one.by for one in played.reduced} == {"window"}
    assert played.reduced[0].call_ids[0] == "c1"
    lost = [call_id for one in played.reduced for call_id in one.call_ids]
    assert len(lost) == len(set(lost)), "each result is lost once"
    assert "left out" in next(m for m in played.model.requests[-1].messages if m["role"] == "tool")["content"]


def test_compaction_keeps_the_ledger() -> None:
    turns = [*LONG, REPAIR, PODS, *[read(n) for n in ("ad", "cart", "checkout")]]
    played = play(turns, guard("context_ledger", keep_results=2), context_tokens=12_000)

    assert {one.by for one in played.reduced} == {"guard"}
    task = played.model.requests[-1].messages[1]["content"]
    assert f"suspected: {SHIPPING}" in task
    assert "[c6] rollout_undo" in task
    assert "HighRequestErrorRate checkout" in task


def test_an_agent_that_wanders_off_is_brought_back() -> None:
    detour = [
        ("", "get_metric_anomalies", {"k8_object_name": name})
        for name in ("grafana", "jaeger", "otel-collector", "image-provider", "grafana")
    ]
    played = play([ALERTS, *detour], guard("context_ledger"))

    assert [one.call_id for one in played.fired] == ["c6"]
    assert "Established so far" in played.fired[0].feedback


def test_an_agent_that_starts_over_is_handed_the_ledger() -> None:
    more = [read(n) for n in ("ad", "cart", "checkout", "frontend", "payment", "quote", "email", "currency")]
    played = play([ALERTS, CHANGES, *more, ALERTS, CHANGES], guard("context_ledger"))

    assert [(one.call_id, one.ruling) for one in played.fired] == [("c12", "rewrite")]
    assert "Do not start again" in played.result("c12").text


# --- no regression ----------------------------------------------------------------------------------------

BREAK: Turn = (
    "I try another port.",
    "patch_object",
    {
        "kind": "Service",
        "name": "cart",
        "namespace": NS,
        "patch": {"spec": {"ports": [{"port": 8080, "targetPort": 9}]}},
    },
)


def test_a_change_that_makes_things_worse_is_put_back() -> None:
    turns = [ALERTS, BREAK, WAIT, ALERTS]
    worse = play(turns, scenario=30)
    held = play(turns, guard("no_regression"), scenario=30)

    def target_port(cluster: object) -> object:
        return cluster.get("Service", "cart", NS)["spec"]["ports"][0]["targetPort"]  # type: ignore[attr-defined]

    assert target_port(worse.session.environment.cluster) == 9
    assert target_port(held.session.environment.cluster) != 9
    (fired,) = held.fired
    assert (fired.ruling, fired.undone) == ("rewrite", ["c2"])
    assert "New since your change" in held.result("c4").text


def test_an_unchecked_change_is_checked_at_the_submission() -> None:
    played = play([ALERTS, BREAK, WAIT, submit()], guard("no_regression"), scenario=30)

    (fired,) = played.fired
    assert (fired.on, fired.ruling, fired.reads) == ("submission", "deny", 1)


def test_a_wide_change_is_tried_dry_first_and_refused_beyond_the_limit() -> None:
    wide: Turn = ("", "rollout_restart", {"namespace": NS})
    allowed = play([ALERTS, wide], guard("no_regression"))
    refused = play([ALERTS, wide], guard("no_regression", max_objects=5))

    assert [(one.ruling, one.reads) for one in allowed.fired] == [("allow", 1)]
    assert allowed.session.firings == {}, "a dry run alone is cost, not interference"
    assert "objects" in refused.fired[0].feedback
    assert not refused.result("c2").executed


# --- verification -----------------------------------------------------------------------------------------


def test_citations_are_required_and_refusals_capped() -> None:
    played = play([ALERTS, *[submit(evidence="seen")] * 4], guard("evidence_citation"))

    assert [one.ruling for one in played.fired] == ["deny", "deny", "deny", "forced"]


def test_citations_alone_are_not_looked_into() -> None:
    turns = [ALERTS, submit(entity=f"{NS}/Deployment/image-provider", evidence="[c1]")]

    assert play(turns, guard("evidence_citation")).fired == []
    assert "no cited call mentions" in play(turns, guard("verifier_gate")).fired[0].feedback


def test_the_gate_makes_outdated_reads_again() -> None:
    resolved = submit(resolved=True, resolution="[c5]", evidence="[c2]")
    fresh = play([ALERTS, TEST, REPAIR, WAIT, ALERTS, resolved], guard("verifier_gate"))
    stale = play([ALERTS, TEST, REPAIR, WAIT, ALERTS, WAIT, resolved], guard("verifier_gate"))

    assert fresh.fired == []
    assert [(one.ruling, one.reads) for one in stale.fired] == [("allow", 1)]
    assert stale.session.done


def test_a_recovery_that_did_not_last_is_refused() -> None:
    again: Turn = ("", "patch_object", BREAK[2] | {"name": "shipping"})
    resolved = submit(resolved=True, resolution="[c5]", evidence="[c2]")
    turns = [ALERTS, TEST, again, ("", "wait", {"seconds": 60}), ALERTS, resolved]
    played = play(turns, guard("verifier_gate", reexecute="all"))

    assert "still shows" in played.fired[0].feedback
