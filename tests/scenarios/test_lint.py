"""Ground-truth lint reproduces the known defects of the published files (docs/sources I1.9)."""

from __future__ import annotations

from typing import Any

import pytest

from scenarios.ground_truth import read_ground_truth
from scenarios.lint import (
    CODES,
    Finding,
    against,
    application_objects,
    lint_scenario,
    structure,
    suggested_class,
)
from scenarios.loader import catalogue
from scenarios.schema import GroundTruth, PlannedInjection

OTEL = application_objects("otel-demo", {})
CHAOS = "scheduled-chaos-mesh-experiment"


def planned(fault: str, kind: str, name: str, namespace: str = "otel-demo", **args: Any) -> PlannedInjection:
    metadata = {"name": name, "namespace": namespace}
    target = {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata}
    return PlannedInjection(fault=fault, args={"kubernetesObject": target, **args})


def schedule(name: str, kind: str = "NetworkChaos", selects: str = "checkout") -> PlannedInjection:
    labels = {"labelSelectors": {"app.kubernetes.io/component": selects}}
    spec = {"type": kind, "networkChaos": {"action": "partition", "mode": "all", "selector": labels}}
    return planned(CHAOS, "Schedule", name, "chaos-mesh", scheduleSpec=spec)


def truth(*groups: tuple[str, str, str], **rest: Any) -> GroundTruth:
    """The first group is the root; (id, kind, filter)."""
    entries = [
        {
            "id": group_id,
            "kind": kind,
            "namespace": "chaos-mesh" if "haos" in kind or kind == "Schedule" else "otel-demo",
            "filter": [pattern],
            "root_cause": position == 0,
        }
        for position, (group_id, kind, pattern) in enumerate(groups)
    ]
    found, problems = read_ground_truth({"groups": entries, **rest})
    assert not problems
    return found


def lint(found: GroundTruth, *injections: PlannedInjection) -> list[Finding]:
    return [*structure(found), *against(found, injections, OTEL)]


def codes(findings: list[Finding]) -> set[str]:
    return {finding.code for finding in findings}


def test_38_an_uncompilable_filter_and_roots_that_are_not_injected() -> None:
    hpa = truth(("hpa-1", "HorizontalPodAutoscaler", "*.*"))
    found = lint(hpa, planned("misconfigured-kubernetes-horizontal-pod-autoscaler", "Deployment", "frontend"))
    assert codes(found) == {"uncompilable-filter", "root-not-injected", "injection-not-rooted"}
    assert suggested_class(found) == "A"
    assert "nothing to repeat" in found[0].what


def test_18_duplicate_and_dangling_ids_and_another_kind() -> None:
    name = ".*product-catalog-network-delay"
    found = lint(
        truth(
            ("delay-1", "PodChaos", name),
            ("delay", "Schedule", name),
            ("delay", "Schedule", name),
            ("checkout-pod-1", "Pod", "checkout-.*"),
            fault=[{"condition": "pods fail", "entity": {"group_id": "checkout-chaos"}}],
            propagations=[{"source": "delay-1", "target": "node-1"}],
            aliases=[["delay", "delay-1"]],
        ),
        schedule("otel-demo-product-catalog-network-delay", "PodChaos"),
    )
    assert codes(found) == {"duplicate-id", "dangling-id", "kind-drift"}
    assert [finding.where for finding in found if finding.code == "dangling-id"] == [
        *("propagations[0].target", "fault[0].entity.group_id")
    ]
    assert suggested_class(found) == "B"


def test_20_a_filter_that_cannot_match_literally() -> None:
    found = lint_scenario(catalogue().get(20))
    (finding,) = found
    assert finding.code == "no-literal-match"
    assert "only by dash/strict" in finding.what
    assert suggested_class(found) == "B"


def test_21_a_prefix_that_the_live_object_lost() -> None:
    found = lint(
        truth(("stress", "Schedule", "otel-demo-valkey-memory-stress")), schedule("valkey-memory-stress")
    )
    assert codes(found) == {"no-literal-match"}
    assert "chaos-exact" in found[0].what


def test_31_a_policy_that_the_manifest_never_creates() -> None:
    found = lint(
        truth(("block", "NetworkPolicy", "frontend-block-all-ports")),
        planned("ingress-port-blocking-network-policy", "Deployment", "frontend"),
    )
    assert codes(found) == {"root-not-injected", "injection-not-rooted", "root-never-created"}
    assert suggested_class(found) == "A"


def test_58_and_59_a_copied_file_contradicts_one_injection_and_misnames_the_other() -> None:
    copied = truth(("features", "ConfigMap", "features"), ("pod", "Pod", "recommendationservice-.*"))
    scaled = lint(copied, planned("scaled-to-zero-kubernetes-workload", "Deployment", "accounting"))
    crashing = lint(
        copied, planned("crashing-kubernetes-workload-init-container", "Deployment", "recommendation")
    )
    for found in (scaled, crashing):
        assert {"root-not-injected", "injection-not-rooted", "root-never-created"} <= codes(found)
        assert suggested_class(found) == "A"
    assert any("recommendationservice" in finding.what for finding in crashing)


def test_63_an_injection_into_an_object_that_nothing_creates() -> None:
    secret = planned("corrupted-kubernetes-secret-credentials", "Secret", "email-service-secret")
    found = lint(truth(("secret", "Secret", r"email-service-secret\b")), secret)
    assert codes(found) == {"target-not-created"}
    assert suggested_class(found) == "A"


def test_83_and_91_swapped_files() -> None:
    email, fraud = (
        "otel-demo-email-checkout-network-partition",
        "otel-demo-fraud-detection-kafka-network-partition",
    )
    live = schedule("fraud-detection-kafka-network-partition")
    assert suggested_class(lint(truth(("root", "NetworkChaos", email)), live)) == "A"
    right = lint(truth(("root", "NetworkChaos", fraud)), live)
    assert codes(right) == {"kind-drift", "no-literal-match"}
    assert suggested_class(right) == "B"


def test_59_a_root_that_only_an_alias_saves() -> None:
    aliased = truth(
        ("features", "ConfigMap", "features"),
        ("pod", "Pod", "recommendation-.*"),
        aliases=[["features", "pod"]],
    )
    crashing = planned("crashing-kubernetes-workload-init-container", "Deployment", "recommendation")
    found = lint(aliased, crashing)
    assert codes(found) == {"kind-drift", "no-literal-match", "root-never-created"}
    assert suggested_class(found) == "A"


def test_91_an_experiment_on_a_workload_that_the_file_does_not_mention() -> None:
    found = lint(
        truth(
            ("root", "NetworkChaos", "fraud-detection-kafka-network-partition"),
            ("victim", "Pod", "fraud-detection-.*"),
            propagations=[{"source": "root", "target": "victim"}],
        ),
        schedule("fraud-detection-kafka-network-partition", selects="email"),
    )
    assert codes(found) == {"kind-drift", "victim-not-named"}
    assert suggested_class(found) == "A"


def test_33_one_of_two_injections_has_no_root() -> None:
    node = "nonexistent-kubernetes-workload-node"
    found = lint(
        truth(("ad-pod", "Pod", "ad-.*")),
        planned(node, "Deployment", "ad"),
        planned(node, "Deployment", "cart"),
    )
    assert [(finding.code, finding.where) for finding in found] == [("injection-not-rooted", "injections[1]")]


def test_37_nothing_is_injected() -> None:
    assert codes(lint(truth(("ns", "Namespace", "otel-demo")))) == {"no-injection"}


def test_a_pod_of_the_injected_workload_is_no_drift() -> None:
    hanging = planned("hanging-kubernetes-workload-init-container", "Deployment", "email")
    assert lint(truth(("email-pod", "Pod", "email-.*")), hanging) == []


def test_a_file_without_root_and_an_alert_without_group() -> None:
    alerts = [{"alert": "KubePodCrashLooping"}, {"alert": "KubePodNotReady", "group": "a"}]
    groups = [{"id": "a", "kind": "Pod", "filter": ["a-.*"]}]
    rootless = GroundTruth.model_validate({"groups": groups, "alerts": alerts})
    assert codes(structure(rootless)) == {"no-root", "alert-without-group"}


@pytest.mark.parametrize("scenario", [2, 5, 11, 16, 24, 30, 45, 114])
def test_scenarios_without_a_known_conflict_are_clean(scenario: int) -> None:
    assert lint_scenario(catalogue().get(scenario)) == []


def test_no_scenario_is_suspected_that_the_registry_holds_for_sound() -> None:
    for scenario in catalogue().all():
        suggested = suggested_class(lint_scenario(scenario))
        if scenario.conflict.kind in ("none", "C"):
            assert suggested in ("none", "C"), scenario.id


def test_every_corrected_ground_truth_names_what_is_injected() -> None:
    for scenario in catalogue().all():
        if scenario.corrected is not None:
            assert "A" not in {one.suggests for one in lint_scenario(scenario, "corrected")}, scenario.id


def test_every_code_has_a_class_and_a_meaning() -> None:
    assert all(kind in "ABCN" and says for kind, says in CODES.values())
