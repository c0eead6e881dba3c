"""Ground-truth files of all four published shapes become one form; nothing unreadable passes in silence."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from scenarios.ground_truth import read_ground_truth, shape_of, version_1
from scenarios.schema import GroupAlert
from tests.scenarios.ground_truth_shapes import FLAT, enveloped, version_2


def test_flat_and_enveloped_files_mean_the_same() -> None:
    flat, flat_problems = read_ground_truth(FLAT)
    wrapped, wrapped_problems = read_ground_truth(enveloped())
    assert flat == wrapped
    assert not flat_problems
    assert not wrapped_problems
    assert (shape_of(FLAT), shape_of(enveloped())) == ("v1 flat", "v1 enveloped")


def test_a_version_1_file_keeps_roots_aliases_chain_alerts_and_words() -> None:
    truth, _ = read_ground_truth(FLAT)
    (root,) = truth.roots
    assert (root.id, root.kind, root.filter) == ("shipping-deployment-1", "Deployment", (r"shipping\b",))
    assert [group.id for group in truth.accepted(root)] == [
        *("shipping-deployment-1", "shipping-service-1", "shipping-pod-1")
    ]
    assert truth.propagations[0].effect == "shipping has a high error rate"
    assert truth.alerts[1] == GroupAlert(alert="KubePodCrashLooping")
    assert truth.faults[0].condition == "the quote address has a wrong port"


def test_a_filter_may_be_a_string_and_a_name_may_stand_for_it() -> None:
    truth, _ = read_ground_truth(FLAT)
    assert truth.group("shipping-service-1").filter == (r"shipping\b",)
    assert truth.group("checkout-service-1").filter == ("checkout",)


def test_version_2_objects_count_as_one_cause_and_it_is_said() -> None:
    data = version_2(
        ("Deployment", "otel-demo", "ad"),
        ("ResourceQuota", "otel-demo", "memory"),
        alerts=("KubePodNotReady",),
    )
    truth, (problem,) = read_ground_truth(data)
    assert [group.id for group in truth.roots] == [
        "otel-demo/Deployment/ad",
        "otel-demo/ResourceQuota/memory",
    ]
    assert truth.aliases == (("otel-demo/Deployment/ad", "otel-demo/ResourceQuota/memory"),)
    assert truth.alerts == (GroupAlert(alert="KubePodNotReady"),)
    assert "no roles" in problem.what


def test_version_2_with_checks_is_told_apart() -> None:
    data = version_2(("Deployment", "otel-demo", "ad"))
    assert shape_of(data) == "v2"
    data["spec"]["opa"] = {"checks": [{"name": "one"}]}
    assert shape_of(data) == "v2 + checks"
    assert read_ground_truth(data)[0].roots[0].filter == ("ad",)


@pytest.mark.parametrize("data", [None, [], "text", {}, {"spec": {"solutions": []}}])
def test_a_file_of_no_known_shape_is_a_problem_and_no_crash(data: Any) -> None:
    truth, problems = read_ground_truth(data)
    assert not truth.groups
    assert len(problems) == 1


def test_every_unreadable_part_is_reported_with_its_field() -> None:
    data = deepcopy(FLAT)
    data["groups"] += [{"kind": "Pod"}, "text", {"id": "empty", "kind": "Pod", "root_cause": "true"}]
    data["aliases"].append("shipping-pod-1")
    data["propagations"].append({"source": "shipping-pod-1"})
    data["alerts"].append({"group_id": "shipping-pod-1"})
    data["fault"] = {"category": "Change"}
    truth, problems = read_ground_truth(data)
    assert [problem.where for problem in problems] == [
        *("groups[4]", "groups[5]", "groups[6]", "groups[6].root_cause"),
        *("aliases[1]", "propagations[2]", "alerts[2]", "fault"),
    ]
    assert truth.group("empty").root_cause


def test_what_is_written_reads_back_as_the_same() -> None:
    truth, _ = read_ground_truth(FLAT)
    again, problems = read_ground_truth(version_1(truth))
    assert again == truth
    assert not problems
