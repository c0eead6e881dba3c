"""The kubectl-like reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from broken_shop import BAD, GOOD, NS, FakeCluster, meta, pod

from harness.tools.objects import duration, kind_of, parse_id, pod_status

Call = Callable[..., dict[str, Any]]
Refused = Callable[..., str]


def test_rows_have_the_columns_of_kubectl(call: Call) -> None:
    assert call("kubectl_get", kind="po", namespace=NS)["data"] == [
        {"name": "checkout-aaaaaaaaa-11111", "ready": "1/1", "status": "Running", "restarts": 0,
         "node": "worker-1", "age": "40m"},
        {"name": "checkout-bbbbbbbbb-22222", "ready": "0/1", "status": "ImagePullBackOff", "restarts": 0,
         "node": "worker-1", "age": "15m"},
    ]  # fmt: skip
    (deployment,) = call("kubectl_get", kind="deployments", namespace=NS)["data"]
    assert (deployment["ready"], deployment["up_to_date"], deployment["images"]) == ("1/1", 1, [BAD])
    (service,) = call("kubectl_get", kind="svc", namespace=NS)["data"]
    assert service["ports"] == ["8080->8080/TCP"]
    (node,) = call("kubectl_get", kind="nodes")["data"]
    assert node["status"] == "Ready,SchedulingDisabled"
    (event,) = call("kubectl_get", kind="events", namespace=NS)["data"]
    assert event["object"] == "Pod/checkout-bbbbbbbbb-22222"


def test_a_label_selector_narrows(call: Call, refused: Refused) -> None:
    selector = "app.kubernetes.io/component=checkout"
    assert call("kubectl_get", kind="Pod", namespace=NS, label_selector=selector)["total_count"] == 2
    assert call("kubectl_get", kind="Pod", namespace=NS, label_selector="a=b")["total_count"] == 0
    assert "expected key=value pairs" in refused(
        "kubectl_get", kind="Pod", namespace=NS, label_selector="a!=b"
    )


def test_without_a_namespace_rows_name_theirs(call: Call) -> None:
    assert call("kubectl_get", kind="deploy")["data"][0]["namespace"] == NS


def test_one_object_comes_whole(call: Call, refused: Refused) -> None:
    result = call("kubectl_get", kind="cm", namespace=NS, name="flagd-config")
    assert "cartFailure" in result["object"]["data"]["demo.flagd.json"]
    text = refused("kubectl_get", kind="deploy", namespace=NS, name="check")
    assert text == f"Error: not found: {NS}/Deployment/check; similar names: checkout"


def test_describe_shows_states_and_events(call: Call) -> None:
    result = call("kubectl_describe", kind="pod", name="checkout-bbbbbbbbb-22222", namespace=NS)
    assert result["status"]["status"] == "ImagePullBackOff"
    (container,) = result["containers"]
    assert (container["image"], container["ready"]) == (BAD, False)
    assert container["state"] == {"waiting": {"reason": "ImagePullBackOff"}}
    assert [event["reason"] for event in result["events"]] == ["Failed"]
    assert result["owners"] == ["ReplicaSet/checkout-bbbbbbbbb"]


def test_describe_a_workload(call: Call) -> None:
    result = call("kubectl_describe", kind="deploy", name="checkout", namespace=NS)
    assert result["conditions"][0]["type"] == "Available"
    assert result["containers"][0]["env"] == [{"name": "KAFKA_ADDR", "value": "kafka:9092"}]
    assert result["spec"]["replicas"] == 1
    assert result["events"], "events of its pods belong to it"


def test_logs(call: Call, refused: Refused) -> None:
    result = call("kubectl_logs", pod="checkout-aaaaaaaaa-11111", namespace=NS, tail=1)
    assert (result["container"], result["lines"]) == ("checkout", ["2026-01-15T09:39:52Z line 2"])
    text = refused("kubectl_logs", pod="checkout", namespace=NS)
    assert "similar names: checkout-aaaaaaaaa-11111, checkout-bbbbbbbbb-22222" in text


def test_rollout_history_says_what_each_revision_changed(call: Call) -> None:
    result = call("kubectl_rollout_history", name="checkout", namespace=NS)
    assert (result["deployment"], result["current_revision"]) == (f"{NS}/Deployment/checkout", 2)
    first, second = result["revisions"]
    assert (first["revision"], first["images"], first["changes"]) == (1, {"checkout": GOOD}, [])
    assert second["changes"] == [
        {"path": "spec.template.spec.containers[checkout].image", "type": "changed", "old": GOOD, "new": BAD}
    ]


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ({"phase": "Pending"}, "Pending"),
        ({"phase": "Running", "containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]},
         "CrashLoopBackOff"),
        ({"phase": "Running", "containerStatuses": [{"state": {"terminated": {"exitCode": 3}}}]}, "ExitCode:3"),
        ({"phase": "Pending", "initContainerStatuses": [{"state": {"running": {}}}]}, "Init:0/1"),
        ({"phase": "Pending", "initContainerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]},
         "Init:CrashLoopBackOff"),
        ({"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": "PodInitializing"}}}],
          "initContainerStatuses": [{"state": {"terminated": {"exitCode": 0}}}]}, "Pending"),
        ({"phase": "Failed", "reason": "Evicted"}, "Evicted"),
    ],
)  # fmt: skip
def test_pod_status_is_the_column_of_kubectl(status: dict[str, Any], word: str) -> None:
    assert pod_status({**pod("p", GOOD), "status": status}) == word


def test_a_pod_that_goes_is_terminating(cluster: FakeCluster) -> None:
    leaving = {**pod("p", GOOD), "metadata": meta("p", deletionTimestamp="2026-01-15T09:40:00Z")}
    assert pod_status(leaving) == "Terminating"


@pytest.mark.parametrize(
    ("word", "kind"),
    [("po", "Pod"), ("Deployments", "Deployment"), ("netpol", "NetworkPolicy"), ("Gateway", "Gateway")],
)
def test_kinds_by_their_short_names(word: str, kind: str) -> None:
    assert kind_of(word) == kind


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("otel-demo/Deployment/cart", ("otel-demo", "Deployment", "cart")),
        ("deploy/cart", (None, "Deployment", "cart")),
        ("cart", (None, None, "cart")),
        ("cluster/Node/worker-1", ("", "Node", "worker-1")),
        ("node/worker-1", ("", "Node", "worker-1")),
        ("otel-demo/Namespace/otel-demo", ("", "Namespace", "otel-demo")),
    ],
)
def test_object_ids(text: str, parts: tuple[str | None, str | None, str]) -> None:
    assert tuple(parse_id(text)) == parts


@pytest.mark.parametrize(
    ("seconds", "text"), [(-3, "0s"), (119, "119s"), (120, "2m"), (7200, "2h"), (200_000, "2d")]
)
def test_ages(seconds: float, text: str) -> None:
    assert duration(seconds) == text
