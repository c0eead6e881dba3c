"""Attempts count: what a refused submission shows is present, and repaired when the last answer is free of it."""

from __future__ import annotations

import math
from typing import Any

import pytest
from trace_builder import FIRING, Builder, alerts, answer, investigated, labels, remediated

from harness.mast.spans import text_of
from harness.records import Label
from harness.statistics import trials_frame
from harness.statistics.frames import count_modes
from harness.trace import Event
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
