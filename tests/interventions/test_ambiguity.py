"""Ambiguous variants: an underspecified request, and an operator who knows the intent and not the cause."""

from __future__ import annotations

import re

import pytest

from harness.config import parse_config
from harness.errors import ConfigurationError
from harness.experiment import build_plan
from harness.operator_channel import OperatorChannel
from scenarios.loader import catalogue
from scenarios.schema import Ambiguity, Scenario

AMBIGUOUS = catalogue().select("variant:ambiguous")


def ambiguity_of(scenario: Scenario) -> Ambiguity:
    assert scenario.ambiguity is not None
    return scenario.ambiguity


@pytest.mark.parametrize("scenario", AMBIGUOUS, ids=lambda one: str(one.id))
def test_nothing_that_is_told_names_a_root_cause(scenario: Scenario) -> None:
    told = ambiguity_of(scenario)
    text = " ".join([told.request, told.otherwise, *(one.answer for one in told.answers)]).lower()
    truth = scenario.scored_ground_truth()
    for root in truth.roots:
        for pattern in root.filter:
            assert not re.search(rf"\b{pattern}", text), pattern
    for injection in scenario.injections():
        assert injection.fault not in text


@pytest.mark.parametrize("scenario", AMBIGUOUS, ids=lambda one: str(one.id))
def test_the_request_leaves_the_namespace_to_be_asked_for(scenario: Scenario) -> None:
    told = ambiguity_of(scenario)
    channel = OperatorChannel(told)

    assert "otel-demo" not in told.request
    assert "otel-demo" in channel.answer("Which namespace is affected?")
    assert channel.answer("What is the root cause of this?") == told.otherwise


def test_a_question_without_text_and_an_incomplete_assumption_are_errors() -> None:
    channel = OperatorChannel(ambiguity_of(AMBIGUOUS[0]))

    assert channel.call("ask_operator", {})[0] is False
    assert channel.call("declare_assumption", {"about": "x"}) == (
        False,
        "Error: declare_assumption: missing assumption, confidence",
    )


def test_scenarios_without_the_variant_are_refused_for_it() -> None:
    raw = {
        "name": "mine",
        "question": "",
        "scenario": [3, 16],
        "variant": "ambiguous",
        "agents": {"react": {"kind": "react"}},
        "models": {"m": {"kind": "simulated"}},
        "arms": {"baseline": []},
    }
    with pytest.raises(ConfigurationError, match="no ambiguous variant in 3"):
        build_plan(parse_config(raw))
