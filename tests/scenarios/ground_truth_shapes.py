"""One incident in the four published shapes of ground truth, for tests."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

FLAT: dict[str, Any] = {
    "metadata": {"version": "v1"},
    "id": 16,
    "alerts": [
        {
            "id": "HighRequestErrorRate",
            "group_id": "shipping-service-1",
            "metadata": {"description": "errors"},
        },
        {"id": "KubePodCrashLooping"},
    ],
    "aliases": [["shipping-service-1", "shipping-pod-1", "shipping-deployment-1"]],
    "fault": [
        {
            "category": "Change",
            "condition": "the quote address has a wrong port",
            "fault_mechanism": "custom",
            "entity": {"group_id": "shipping-deployment-1", "kind": "Deployment", "name": "shipping"},
        }
    ],
    "groups": [
        {
            "id": "shipping-deployment-1",
            "kind": "Deployment",
            "namespace": "otel-demo",
            "filter": [r"shipping\b"],
            "root_cause": True,
        },
        {"id": "shipping-service-1", "kind": "Service", "namespace": "otel-demo", "filter": r"shipping\b"},
        {"id": "shipping-pod-1", "kind": "Pod", "namespace": "otel-demo", "filter": ["shipping-.*"]},
        {"id": "checkout-service-1", "kind": "Service", "namespace": "otel-demo", "name": "checkout"},
    ],
    "propagations": [
        {
            "source": "shipping-deployment-1",
            "target": "shipping-service-1",
            "condition": "wrong port",
            "effect": "shipping has a high error rate",
        },
        {"source": "shipping-service-1", "target": "checkout-service-1", "effect": "checkout fails"},
    ],
    "recommended_actions": [{"solution": {"id": "fix", "actions": ["correct the port"]}}],
}


def enveloped() -> dict[str, Any]:
    """The same under `spec`."""
    spec = {key: value for key, value in deepcopy(FLAT).items() if key not in ("metadata", "id")}
    spec["recommendedActions"] = spec.pop("recommended_actions")
    return {
        "apiVersion": "itbench.io/v1",
        "kind": "GroundTruth",
        "metadata": {"name": "scenario-16"},
        "spec": spec,
    }


def version_2(*entities: tuple[str, str, str], alerts: tuple[str, ...] = ()) -> dict[str, Any]:
    """A generated file with (kind, namespace, name) entities."""
    return {
        "apiVersion": "itbench.io/v2",
        "kind": "GroundTruth",
        "metadata": {"name": "scenario-102"},
        "spec": {
            "alerts": [{"name": name, "labels": {}} for name in alerts],
            "entities": [
                {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}}
                for kind, namespace, name in entities
            ],
            "solutions": [[{"steps": [{"text": "raise the quota"}]}]],
        },
    }
