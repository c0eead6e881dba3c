"""The submission contract: strict, and explicit about every breach."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from harness.errors import AgentError
from harness.tools.submit import SUBMIT, parse_submission

GOOD: dict[str, Any] = {
    "entities": [
        {
            "name": "otel-demo/Deployment/checkout",
            "contributing_factor": True,
            "reasoning": "image cannot be pulled",
            "evidence": "[c3]",
        }
    ],
    "propagations": [
        {
            "source": "otel-demo/Deployment/checkout",
            "target": "otel-demo/Service/frontend",
            "condition": "no pods",
            "effect": "errors",
        }
    ],
    "alerts_explained": [{"alert": "HighRequestErrorRate", "explanation": "orders fail", "explained": True}],
    "resolved": True,
    "resolution_evidence": "[c12] no alert is firing",
}


@pytest.mark.parametrize("raw", [GOOD, json.dumps(GOOD)])
def test_a_submission_becomes_a_record(raw: Any) -> None:
    submission = parse_submission(raw)
    (entity,) = submission.diagnosis.entities
    assert (entity.name, entity.contributing_factor, entity.evidence) == (
        "otel-demo/Deployment/checkout",
        True,
        "[c3]",
    )
    assert submission.diagnosis.propagations[0].effect == "errors"
    assert submission.diagnosis.alerts_explained[0].explained
    assert (submission.resolved, submission.resolution_evidence) == (True, "[c12] no alert is firing")


@pytest.mark.parametrize("raw", ["", "I think it is the cart", "{", '```json\n{"entities": []}\n```', "{}{}"])
def test_text_that_is_no_json(raw: str) -> None:
    with pytest.raises(AgentError) as caught:
        parse_submission(raw)
    assert caught.value.cause == "invalid_json"


def test_all_breaches_are_told_at_once() -> None:
    broken = deepcopy(GOOD)
    broken["entities"][0]["contributing_factor"] = "yes"
    del broken["entities"][0]["evidence"]
    broken["resolved"] = 1
    broken["root_cause"] = "checkout"
    del broken["alerts_explained"]
    with pytest.raises(AgentError) as caught:
        parse_submission(broken)
    assert caught.value.cause == "schema_violation"
    for part in (
        "entities[0].contributing_factor: input should be a valid boolean, found 'yes'",
        "entities[0].evidence: required",
        "resolved: input should be a valid boolean, found 1",
        "alerts_explained: required",
        "root_cause: unknown argument (accepted: entities, propagations",
    ):
        assert part in caught.value.detail


@pytest.mark.parametrize("raw", ["[]", "null", '"text"', '{"entities": [], "propagations": []}', "{}"])
def test_json_of_another_shape(raw: str) -> None:
    with pytest.raises(AgentError) as caught:
        parse_submission(raw)
    assert caught.value.cause == "schema_violation"


def test_the_schema_tells_to_cite() -> None:
    assert SUBMIT.name == "submit"
    assert "[c7]" in SUBMIT.description
    required = SUBMIT.parameters["required"]
    assert set(required) == set(GOOD)
    entity = SUBMIT.parameters["properties"]["entities"]["items"]
    assert set(entity["required"]) == set(GOOD["entities"][0])
