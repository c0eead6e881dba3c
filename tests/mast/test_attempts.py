"""Attempts count: what a refused submission shows is present, and repaired when the last answer is free of it."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from trace_builder import (
    ERRORS,
    FIRING,
    Builder,
    alerts,
    answer,
    clean,
    investigated,
    labels,
    remediated,
    renumber,
    with_result,
)

from harness.mast.spans import text_of
from harness.records import Label
from harness.statistics import trials_frame
from harness.statistics.frames import count_modes
from harness.trace import Event, Final, GuardFired, ToolResult
from tests.report.factory import record

V32, V33 = "no_or_incomplete_verification", "incorrect_verification"
FALSE = answer(resolution_evidence="[c77] shows that it is over")


def flat(submission: dict[str, Any]) -> dict[str, Any]:
    return {**submission["diagnosis"], **{k: v for k, v in submission.items() if k != "diagnosis"}}


def refused(built: Builder, submission: dict[str, Any], by_guard: bool = True) -> Builder:
    return built.turn().call("submit", flat(submission), "Error: refused", ok=False, executed=not by_guard)


def said(events: list[Event], slug: str) -> tuple[str, bool]:
    found = labels(events)[slug]
    return found.present, found.repaired


def test_a_false_citation_that_a_guard_refused_counts_and_is_repaired_by_a_right_one() -> None:
    events = refused(remediated(), FALSE).turn().submit().events
    assert said(events, V33) == ("present", True)
    assert said(events, V32) == ("absent", False)
    assert "c77, which was never made" in labels(events)[V33].note


def test_a_fault_that_the_accepted_answer_still_has_is_not_repaired() -> None:
    events = refused(remediated(), FALSE).turn().submit(FALSE).events
    assert said(events, V33) == ("present", False)


def test_an_early_end_that_a_guard_refused_is_a_premature_attempt() -> None:
    early = answer(resolved=False, resolution_evidence="")
    built = refused(Builder().turn().call("alert_summary", {}, alerts(FIRING)), early)
    assert said(built.end("budget_turns").events, "premature_termination") == ("present", False)


def test_verification_of_a_trace_out_of_budget_is_decided_from_its_last_attempt() -> None:
    assert said(investigated().end("budget_turns").events, V33) == ("not_applicable", False)
    assert said(refused(remediated(), FALSE).end("budget_turns").events, V33) == ("present", False)
    corrected = refused(refused(remediated(), FALSE), answer())
    assert said(corrected.end("budget_turns").events, V33) == ("present", True)
    assert said(refused(remediated(), answer()).end("budget_turns").events, V33) == ("absent", False)


def test_an_attempt_is_judged_by_what_was_known_then() -> None:
    built = refused(investigated(), answer(resolution_evidence="[c8]"))
    built.call("rollout_undo", {"name": "shipping"}, {}).call("alert_summary", {}, alerts([], FIRING))
    assert said(built.submit().events, V33) == ("present", True)


def test_a_broken_contract_is_repaired_by_an_accepted_answer_only() -> None:
    built = remediated().turn().call("submit", {"entities": 7}, "Error: entities", ok=False)
    assert said(built.end("budget_turns").events, "disobey_task") == ("present", False)
    again = remediated().turn().call("submit", {"entities": [3, {"name": 4}]}, "Error: entities", ok=False)
    assert said(again.submit().events, "disobey_task") == ("present", True)


def test_a_name_refused_by_the_contract_is_read_too() -> None:
    bad = answer()
    bad["diagnosis"]["entities"][1]["name"] = "checkout"
    assert said(refused(remediated(), bad).submit().events, "disobey_task") == ("present", True)


def label(slug: str, **fields: Any) -> Label:
    return Label.model_validate({"slug": slug, "present": "present", "source": "detector:x", **fields})


def test_all_attempts_count_and_the_final_figure_leaves_repaired_ones_out() -> None:
    found = [label("disobey_task", repaired=True), label("derailment"), label(V33, repaired=True)]
    trial = record().model_copy(update={"labels": tuple(found)})
    row = trials_frame([trial]).iloc[0]
    assert (row["modes"], row["modes_final"]) == (3, 1)


def test_atoms_extensions_and_proposals_are_never_counted() -> None:
    found = [
        label("verification_v2"),
        label(V33),
        label("unsafe_write"),
        label("derailment", basis="proposes"),
    ]
    assert count_modes(found) == 1
    assert math.isnan(count_modes([label("derailment", basis="proposes")]))


@pytest.mark.parametrize("by_guard", [True, False])
def test_the_quote_of_a_refused_answer_stands_in_the_call(by_guard: bool) -> None:
    events = refused(remediated(), FALSE, by_guard).submit().events
    span = labels(events)[V33].spans[0]
    assert span.quote == "c77"
    assert span.quote in text_of(events[span.events[0]])


# --- what guards do must not be taken for what the agent or a tool did ---------------------------------


def guard(built: Builder, **fields: Any) -> Builder:
    built.events.append(GuardFired(i=len(built.events), guard="g", **fields))
    return built


def with_notice(events: list[Event], call_id: str) -> list[Event]:
    """A guard wrote a line below a result; the ruling comes between call and result."""
    edited: list[Event] = []
    for event in events:
        if isinstance(event, ToolResult) and event.call_id == call_id:
            edited.append(GuardFired(guard="g", ruling="rewrite", on="tool_result", call_id=call_id))
            event = msgspec.structs.replace(
                event, text=event.text + "\nEstablished: otel-demo/Deployment/email."
            )
        edited.append(event)
    return renumber(edited)


def test_words_that_a_guard_adds_to_results_change_no_label() -> None:
    plain = {slug: (found.present, found.basis) for slug, found in labels(clean()).items()}
    for call_id in ("c1", "c4", "c8"):
        noted = labels(with_notice(clean(), call_id))
        assert {slug: (found.present, found.basis) for slug, found in noted.items()} == plain


def test_a_known_result_that_a_guard_gave_again_is_a_repetition_and_can_be_cited() -> None:
    args = {"pod": "shipping-6f9c8d7b5d-x2x4z", "namespace": "otel-demo"}
    text = json.dumps(ERRORS, separators=(",", ":")) + "\nYou have this result already."
    built = remediated().turn().call("kubectl_logs", args, text, executed=False)
    done = answer()
    done["diagnosis"]["entities"][0]["evidence"] = "[c9]"
    events = built.submit(done).events
    assert said(events, V33) == ("absent", False)
    found = with_result(
        investigated().turn().call("kubectl_logs", args, text, executed=False).events, "c6", text
    )
    assert labels(found)["step_repetition"].present == "present"


def test_an_answer_that_a_guard_made_is_not_the_agents() -> None:
    built = guard(investigated().turn(), ruling="conclude", on="model_call")
    built.events.append(Final(i=len(built.events), submission=FALSE, forced=True))
    events = built.end("submitted").events
    assert said(events, "unaware_termination") == ("present", True)
    assert said(events, V33) == ("not_applicable", False)
    assert said(events, "premature_termination") == ("not_applicable", False)
    assert said(events, "disobey_task") == ("absent", False)
