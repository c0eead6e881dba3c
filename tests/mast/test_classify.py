"""Classification as a whole: a clean trace has no failure, and one surgical edit shows exactly one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from trace_builder import (
    FIRING,
    SHIPPING,
    TASK,
    Builder,
    alerts,
    answer,
    clean,
    duplicated,
    investigated,
    labels,
    observed,
    present,
    renumber,
    with_answer,
    with_result,
    without_call,
)

from harness.mast.classify import classify
from harness.mast.detectors import DETECTORS
from harness.mast.spans import text_of
from harness.mast.taxonomy import ATOMS, EXTENSIONS, MODES, taxonomy
from harness.trace import Event, UserMessage, decode, encode

V32, V33 = "no_or_incomplete_verification", "incorrect_verification"


def evidence(text: str) -> Callable[[dict[str, Any]], None]:
    def change(submission: dict[str, Any]) -> None:
        submission["diagnosis"]["entities"][0]["evidence"] = text

    return change


def entity_name(name: str) -> Callable[[dict[str, Any]], None]:
    def change(submission: dict[str, Any]) -> None:
        submission["diagnosis"]["entities"][1]["name"] = name

    return change


def field(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda submission: submission.update({name: value})


def issued_again(events: list[Event]) -> list[Event]:
    return renumber([*events[:18], UserMessage(text=TASK), *events[18:]])


def stopped_before_acting(events: list[Event]) -> list[Event]:
    return investigated().turn("I stop here.").submit(answer(resolved=False, resolution_evidence="")).events


def out_of_turns(events: list[Event]) -> list[Event]:
    return investigated().end("budget_turns").events


EDITS: dict[str, tuple[Callable[[list[Event]], list[Event]], set[str]]] = {
    "nothing": (list, set()),
    "an observer event": (observed, set()),
    "a duplicated call": (lambda e: duplicated(e, "c5"), {"step_repetition"}),
    "an entity without namespace and kind": (
        lambda e: with_answer(e, entity_name("checkout")),
        {"disobey_task"},
    ),
    "an alert left unexplained": (
        lambda e: with_answer(e, lambda s: s["diagnosis"].update(alerts_explained=[])),
        {"disobey_task", "alert_uncovered"},
    ),
    "the turn budget used up": (out_of_turns, {"unaware_termination"}),
    "the task issued again": (issued_again, {"conversation_reset"}),
    "a stop before acting": (stopped_before_acting, {"premature_termination"}),
    "no read of the cause": (
        lambda e: with_answer(without_call(e, "c4", "c5"), evidence("")),
        {"verification_v1", V32},
    ),
    "no read after the change": (
        lambda e: with_answer(without_call(e, "c8"), field("resolution_evidence", "it must be fine")),
        {"verification_v1", V32},
    ),
    "neither": (
        lambda e: with_answer(
            with_answer(without_call(e, "c4", "c5", "c8"), evidence("")), field("resolution_evidence", "")
        ),
        {"verification_v0", V32},
    ),
    "a citation of a call never made": (
        lambda e: with_answer(e, evidence("[c4] [c77]")),
        {"verification_v2", V33},
    ),
    "a citation of a call about something else": (
        lambda e: with_answer(e, evidence("[c3]")),
        {"verification_v2", V33},
    ),
    "a citation of a failed call": (
        lambda e: with_result(e, "c5", "Error: timeout", ok=False),
        {"verification_v2", V33},
    ),
    "a check from before the change": (
        lambda e: with_answer(e, field("resolution_evidence", "the logs are quiet [c5]")),
        {"verification_v2", V33},
    ),
    "resolved though the alert still fires": (
        lambda e: with_result(e, "c8", alerts(FIRING[:1], FIRING[1:])),
        {"verification_v2", V33},
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_one_edit_of_a_clean_trace_shows_exactly_that_failure(name: str) -> None:
    edit, expected = EDITS[name]
    assert present(edit(clean())) == expected


@pytest.mark.parametrize("name", EDITS)
def test_every_quote_stands_in_the_first_event_of_its_span(name: str) -> None:
    events = EDITS[name][0](clean())
    for label in classify(events):
        assert bool(label.spans) == (label.present == "present")
        for span in label.spans:
            assert span.quote
            assert span.quote in text_of(events[span.events[0]])
            assert all(0 <= i < len(events) for i in span.events)


def test_every_label_comes_always_once_and_carries_the_taxonomy() -> None:
    for events in (clean(), [], investigated().events, Builder().end("api_error").events):
        found = classify(events)
        assert [label.slug for label in found] == [slug for detector in DETECTORS for slug in detector.slugs]
        assert {label.slug for label in found} == {*MODES, *ATOMS, *EXTENSIONS}
        assert {label.taxonomy for label in found} == {taxonomy().hash}


def test_a_stored_trace_is_classified_like_the_live_one() -> None:
    events = EDITS["a duplicated call"][0](clean())
    assert classify(decode(encode(events))) == classify(events)


def test_a_torn_trace_is_not_judged_by_what_it_lacks() -> None:
    found = labels(investigated().events)
    for slug in ("unaware_termination", "premature_termination", "disobey_task", "verification_v0", V33):
        assert found[slug].present == "cannot_tell"


def test_an_agent_that_never_began_has_no_modes() -> None:
    found = labels(Builder().end("api_error").events)
    assert found["step_repetition"].present == "not_applicable"
    assert found["premature_termination"].present == "not_applicable"
    assert present(Builder().end("api_error").events) == set()


def test_archives_are_classified_at_three_hundred_traces_a_second() -> None:
    trace = investigated()
    for number in range(9):
        text = f"Is {SHIPPING} healthy in view {number}?"
        trace.turn(text).call("metric_analysis", {"k8_object_name": SHIPPING, "offset": number}, "x" * 400)
    events = trace.turn("Enough.").submit().events
    assert len(events) >= 50
    classify(events)
    began = time.process_time()
    for _ in range(100):
        classify(events)
    assert 100 / (time.process_time() - began) > 300
