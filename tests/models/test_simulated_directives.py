"""The reader of standing instructions and refusals understands paraphrases and ignores other text."""

from __future__ import annotations

import pytest

from harness.models.simulated.directives import directives
from harness.models.simulated.feedback import understand


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Cite the tool call behind every claim.", "cite"),
        ("Each finding must reference evidence by call id.", "cite"),
        ("After your last change, read the alerts again.", "recheck"),
        ("Verify health once the fix has been applied; check the alerts.", "recheck"),
        ("Do not repeat identical calls.", "no_repeat"),
        ("Avoid re-running the same query.", "no_repeat"),
        ("Submit as soon as your answer is supported.", "conclude"),
        ("Stop when the evidence is complete.", "conclude"),
        ("Investigate every alert that is firing.", "cover_alerts"),
        ("All alerts have to be accounted for.", "cover_alerts"),
        ("Never submit before you have tested the hypothesis.", "test_first"),
        ("Only conclude what your evidence supports.", "test_first"),
        ("Keep a list of what you have established so far.", "remember"),
        ("Stay focused on the incident.", "stay_on_task"),
        ("Do not guess when something is ambiguous.", "ask"),
        ("Write entities exactly in the format namespace/Kind/name.", "naming"),
        ("Your call must match the intent that you announced.", "do_as_said"),
    ],
)
def test_understands_paraphrases(text: str, kind: str) -> None:
    assert kind in directives(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "You are the engineer on call.",
        "Take all the time that you need.",
        "The shop sells telescopes.",
        "Please take another look at the incident, then submit again.",
        "Incidents differ, and so do the ways in which engineers work on them.",
    ],
)
def test_ignores_other_text(text: str) -> None:
    assert directives(text) == frozenset()


def test_words_of_one_instruction_must_stand_in_one_sentence() -> None:
    assert "no_repeat" not in directives("Never panic. The same team wrote this. A call is a request.")


def test_a_refusal_names_what_is_missing() -> None:
    demand = understand("[c9] Refused. shop/Service/cart cites no call; [c44] does not exist.")
    assert demand.entities == {"shop/Service/cart"}
    assert demand.unusable_calls == {"c44"}
    assert demand.concrete


def test_a_refusal_can_ask_for_another_look_at_the_alerts() -> None:
    assert understand("No alert was read after the last change.").recheck
    assert understand("[c12] still shows HighRequestErrorRate frontend.").recheck
    assert not understand("shop/Service/cart cites no call.").recheck


def test_encouragement_is_no_demand() -> None:
    assert not understand("[c3] Not accepted yet. Take another look, then submit again.").concrete
