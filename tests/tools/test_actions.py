"""The remediation actions: effect, dry run, permission, audit."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from broken_shop import BAD, GOOD, NS, FakeCluster, deployment

from harness.cluster import ObjectRef
from harness.tools.toolbox import Toolbox

Call = Callable[..., dict[str, Any]]
Refused = Callable[..., str]
IMAGE = "spec.template.spec.containers[checkout].image"
CHECKOUT = {"kind": "deploy", "name": "checkout", "namespace": NS}
FIX = {"spec": {"template": {"spec": {"containers": [{"name": "checkout", "image": GOOD}]}}}}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "quote", "namespace": NS},
    "spec": {"ports": [{"port": 8080}]},
}


def image_of(cluster: FakeCluster) -> str:
    found: str = cluster.get("Deployment", "checkout", NS)["spec"]["template"]["spec"]["containers"][0][
        "image"
    ]
    return found


def test_a_patch_changes_and_tells_what_it_changed(call: Call, cluster: FakeCluster) -> None:
    result = call("patch_object", kind="deploy", name="checkout", namespace=NS, patch=FIX)
    assert result == {
        "message": "deployment/checkout patched",
        "object": f"{NS}/Deployment/checkout",
        "dry_run": False,
        "changed": True,
        "changes": [{"path": IMAGE, "type": "changed", "old": BAD, "new": GOOD}],
    }
    assert image_of(cluster) == GOOD


def test_a_patch_may_come_as_text(call: Call, cluster: FakeCluster) -> None:
    call("patch_object", kind="deploy", name="checkout", namespace=NS, patch=json.dumps(FIX))
    assert image_of(cluster) == GOOD


def test_a_merge_patch_replaces_lists(call: Call, cluster: FakeCluster) -> None:
    result = call("patch_object", kind="deploy", name="checkout", namespace=NS, patch=FIX, patch_type="merge")
    assert {change["path"] for change in result["changes"]} == {
        IMAGE,
        "spec.template.spec.containers[checkout].env",
    }


def test_a_patch_that_changes_nothing_leaves_no_audit(toolbox: Toolbox) -> None:
    patch = {"spec": {"replicas": 1}}
    outcome = toolbox.call(
        "patch_object", {"kind": "deploy", "name": "checkout", "namespace": NS, "patch": patch}
    )
    assert json.loads(outcome.text)["changed"] is False
    assert outcome.change is None
    assert outcome.mutating


def test_null_in_a_patch_removes_a_key(call: Call) -> None:
    patch = {"spec": {"unschedulable": None}}
    result = call("patch_object", kind="Node", name="worker-1", namespace="", patch=patch)
    assert result["changes"] == [{"path": "spec.unschedulable", "type": "removed", "old": True}]


def test_apply_creates_and_replaces(call: Call, cluster: FakeCluster) -> None:
    assert call("apply_manifest", manifest=SERVICE)["message"] == "service/quote created"
    assert call("apply_manifest", manifest=SERVICE)["message"] == "service/quote unchanged"
    other = deepcopy(SERVICE) | {"spec": {"ports": [{"port": 9090}]}}
    result = call("apply_manifest", manifest=other)
    assert result["message"] == "service/quote configured"
    assert result["changes"] == [{"path": "spec.ports[0].port", "type": "changed", "old": 8080, "new": 9090}]


def test_an_incomplete_manifest_is_refused_with_all_that_is_missing(refused: Refused) -> None:
    text = refused("apply_manifest", manifest={"kind": "Service", "metadata": {}})
    assert text == "Error: manifest: missing apiVersion, metadata.name, metadata.namespace"


def test_delete(toolbox: Toolbox, cluster: FakeCluster) -> None:
    outcome = toolbox.call("delete_object", {"kind": "svc", "name": "checkout", "namespace": NS})
    assert outcome.ok
    assert ("Service", "checkout", NS) not in cluster.objects
    assert outcome.change is not None
    (change,) = outcome.change.changes
    assert change.after is None
    assert change.before is not None
    assert change.ref == ObjectRef("Service", "checkout", NS)


def test_scale(call: Call, refused: Refused) -> None:
    result = call("scale_workload", name="checkout", namespace=NS, replicas=3)
    assert result["changes"] == [{"path": "spec.replicas", "type": "changed", "old": 1, "new": 3}]
    assert "expected Deployment or StatefulSet" in refused(
        "scale_workload", kind="svc", name="checkout", namespace=NS, replicas=1
    )


def test_rollout_undo_restores_the_template(call: Call, cluster: FakeCluster, refused: Refused) -> None:
    result = call("rollout_undo", name="checkout", namespace=NS)
    assert (result["changes"][0]["new"], result["from_revision"]) == (GOOD, 2)
    assert image_of(cluster) == GOOD
    text = refused("rollout_undo", name="checkout", namespace=NS, to_revision=9)
    assert text.startswith("Error: invalid: no rollout history found")


def test_rollout_restart_of_one_and_of_all(call: Call, cluster: FakeCluster, toolbox: Toolbox) -> None:
    other = deployment(GOOD, 1)
    other["metadata"]["name"] = "cart"
    cluster.apply(other)
    one = call("rollout_restart", name="checkout", namespace=NS)
    assert one["objects"] == [f"{NS}/Deployment/checkout"]
    everything = call("rollout_restart", namespace=NS)
    assert len(everything["objects"]) == 2
    assert [each.ref.name for each in toolbox.audit[-1].changes] == ["cart"], (
        "checkout has this stamp already"
    )


# --- feature flags ----------------------------------------------------------------------------------


def test_a_flag_is_edited_in_place(call: Call, cluster: FakeCluster) -> None:
    result = call("set_feature_flag", namespace=NS, flag="cartFailure", variant="off")
    assert result["changes"] == [
        {
            "path": "data['demo.flagd.json'].flags.cartFailure.defaultVariant",
            "type": "changed",
            "old": "on",
            "new": "off",
        }
    ]
    flags = json.loads(cluster.get("ConfigMap", "flagd-config", NS)["data"]["demo.flagd.json"])["flags"]
    assert flags["cartFailure"]["defaultVariant"] == "off"
    assert flags["cartFailure"]["state"] == "ENABLED"
    assert flags["paymentFailure"]["defaultVariant"] == "off"


def test_wrong_flags_and_variants_are_told_with_the_right_ones(
    refused: Refused, cluster: FakeCluster
) -> None:
    text = refused("set_feature_flag", namespace=NS, flag="cartFailur", variant="off")
    assert text == "Error: unknown flag 'cartFailur'; flags: cartFailure, paymentFailure"
    text = refused("set_feature_flag", namespace=NS, flag="paymentFailure", variant="on")
    assert text == "Error: unknown variant 'on' of paymentFailure; variants: 100%, off"
    cluster.objects["ConfigMap", "flagd-config", NS]["data"] = {"demo.flagd.json": "{"}
    text = refused("set_feature_flag", namespace=NS, flag="cartFailure", variant="off")
    assert "flagd-config: no readable demo.flagd.json" in text
    assert cluster.writes == 0


# --- dry run ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("patch_object", {**CHECKOUT, "patch": FIX}),
        ("patch_object", {**CHECKOUT, "patch": FIX, "patch_type": "merge"}),
        ("apply_manifest", {"manifest": SERVICE}),
        ("delete_object", CHECKOUT),
        ("rollout_undo", {"name": "checkout", "namespace": NS}),
        ("rollout_restart", {"namespace": NS}),
    ],
)
def test_a_dry_run_shows_the_same_and_does_nothing(
    toolbox: Toolbox, cluster: FakeCluster, tool: str, arguments: dict[str, Any]
) -> None:
    before = deepcopy(cluster.objects)
    dry = toolbox.call(tool, {**arguments, "dry_run": True})
    assert dry.ok, dry.text
    assert (dry.mutating, dry.change, toolbox.audit) == (False, None, [])
    assert cluster.objects == before
    wet = toolbox.call(tool, arguments)
    assert wet.mutating
    shown, done = json.loads(dry.text), json.loads(wet.text)
    assert shown["message"] == f"{done['message']} (dry run)"
    assert shown.get("changes") == done.get("changes")


def test_a_dry_run_of_a_deletion_names_what_goes_with_it(call: Call) -> None:
    result = call("delete_object", kind="deploy", name="checkout", namespace=NS, dry_run=True)
    assert set(result["also_deletes"]) == {
        f"{NS}/ReplicaSet/checkout-aaaaaaaaa",
        f"{NS}/ReplicaSet/checkout-bbbbbbbbb",
        f"{NS}/Pod/checkout-aaaaaaaaa-11111",
        f"{NS}/Pod/checkout-bbbbbbbbb-22222",
    }


# --- permission -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("patch_object", {"kind": "deploy", "name": "coredns", "namespace": "kube-system", "patch": FIX}),
        ("delete_object", {"kind": "node", "name": "worker-1", "namespace": ""}),
        ("delete_object", {"kind": "ns", "name": NS, "namespace": ""}),
        ("delete_object", {"kind": "event", "name": "e1", "namespace": NS}),
        ("apply_manifest", {"manifest": SERVICE | {"metadata": {"name": "x", "namespace": "default"}}}),
        ("apply_manifest", {"manifest": {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "mine"}}}),
        ("apply_manifest", {"manifest": {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                                         "metadata": {"name": "admin", "namespace": NS}}}),
        ("rollout_restart", {"namespace": "kube-system"}),
        ("rollout_undo", {"name": "coredns", "namespace": "kube-system"}),
    ],
)  # fmt: skip
def test_writes_beyond_the_application_are_forbidden(
    toolbox: Toolbox, cluster: FakeCluster, tool: str, arguments: dict[str, Any], dry_run: bool
) -> None:
    outcome = toolbox.call(tool, {**arguments, "dry_run": dry_run})
    assert outcome.text.startswith("Error: forbidden: you may not ")
    assert cluster.writes == 0


def test_a_namespaced_kind_needs_its_namespace(refused: Refused) -> None:
    text = refused("delete_object", kind="svc", name="checkout", namespace="")
    assert text == "Error: namespace: required for Service"


def test_a_redacted_secret_is_not_written_back(refused: Refused, cluster: FakeCluster) -> None:
    secret = cluster.get("Secret", "database", NS) | {"data": {"password": "<redacted>"}}
    assert "is a placeholder" in refused("apply_manifest", manifest=secret)
    patch = {"data": {"password": "<redacted>"}}
    assert "is a placeholder" in refused(
        "patch_object", kind="secret", name="database", namespace=NS, patch=patch
    )
    assert cluster.writes == 0


# --- audit ------------------------------------------------------------------------------------------


def test_the_audit_is_enough_to_undo(toolbox: Toolbox, cluster: FakeCluster) -> None:
    original = deepcopy(cluster.objects)
    toolbox.call("patch_object", {"kind": "deploy", "name": "checkout", "namespace": NS, "patch": FIX})
    toolbox.call("apply_manifest", {"manifest": SERVICE})
    toolbox.call("delete_object", {"kind": "svc", "name": "checkout", "namespace": NS})
    assert [record.tool for record in toolbox.audit] == ["patch_object", "apply_manifest", "delete_object"]
    assert toolbox.audit[0].args["patch"] == FIX
    for record in reversed(toolbox.audit):
        for change in reversed(record.changes):
            if change.before is None:
                cluster.delete(*change.ref)
            else:
                cluster.apply(change.before)
    assert cluster.objects == original
