"""A small checkout of ITBench in its documented layout (docs/sources I1), written for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from tests.scenarios.ground_truth_shapes import enveloped, version_2

INDEXES = "scenarios/sre/library/indexes/scenarios"
FILES = "scenarios/sre/project/roles/scenarios/files"
COMMIT = "8949d5b0123456789abcdef0123456789abcdef0"
Json = dict[str, Any]


def injection(fault: str, kind: str, name: str, **args: Any) -> Json:
    api = {"ConfigMap": "v1", "Secret": "v1", "Deployment": "apps/v1"}[kind]
    target = {"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": "otel-demo"}}
    return {"id": fault, "args": {"kubernetesObject": target, **args}}


SHIPPING = injection(
    "modified-kubernetes-workload-container-environment-variable",
    "Deployment",
    "shipping",
    container={"name": "shipping", "env": {"name": "QUOTE_ADDR", "value": "quote:0000"}},
)


def index(scenario_id: int, injections: list[Json], **fields: Any) -> Json:
    """An index file."""
    return {
        "$schema": "scenario.json",
        "id": f"scenario-{scenario_id}",
        "index": scenario_id,
        "category": "sre",
        "complexity": "medium",
        "description": "made for tests",
        "platforms": ["kubernetes"],
        "tags": ["Deployment", "Performance"],
        "alerts": [],
        "environment": {"applications": [{"id": "opentelemetry-demo", "args": {}}]},
        "disruptions": [{"injections": injections, "waitFor": {"preInjection": [], "postInjection": []}}],
        "solutions": [
            [
                {
                    "steps": [
                        {
                            "command": "kubectl -n otel-demo rollout undo deployment/shipping",
                            "text": "Roll back.",
                        }
                    ]
                },
                {"steps": [{"command": "kubectl -n otel-demo edit deployment shipping", "text": "Edit it."}]},
            ]
        ],
        **fields,
    }


def manifest(scenario_id: int, injections: list[Json]) -> Json:
    """What is run."""
    return {
        "apiVersion": "itbench.io/v2",
        "kind": "Scenario",
        "metadata": {"name": f"scenario-{scenario_id}"},
        "spec": {
            "applications": {
                "opentelemetryDemo": {"enabled": True, "options": {}},
                "bookInfo": {"enabled": False},
            },
            "faults": [{"injections": injections, "waitFor": {"preInjection": [], "postInjection": []}}],
            "tools": {"sre": {"enabled": True}},
        },
    }


def write_checkout(root: Path) -> Path:
    """16 is sound (enveloped v1), 20 has only v2, 63 needs a fault that nobody knows, 18 has a broken ground
    truth, 7 is torn."""
    git = root / ".git"
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "refs" / "heads" / "main").write_text(f"{COMMIT}\n")
    image = injection(
        "nonexistent-kubernetes-workload-container-image",
        "Deployment",
        "product-catalog",
        container={"name": "product-catalog"},
    )
    unknown = injection("a-fault-that-nobody-knows", "Secret", "email-service-secret")
    broken = {
        "groups": [
            {"id": "one", "kind": "Deployment", "filter": ["*-shipping"], "root_cause": True},
            {"id": "two", "kind": "Service", "filter": [r"shipping\b"]},
            {"id": "two", "kind": "Pod", "filter": ["shipping-.*"]},
        ],
        "aliases": [["one", "gone"]],
        "propagations": [{"source": "one", "target": "gone"}, {"source": "one", "target": "two"}],
        "alerts": [{"id": "HighRequestErrorRate", "group_id": "gone"}],
    }
    truth = version_2(("Deployment", "otel-demo", "product-catalog"), alerts=("KubePodNotReady",))
    _write(root, 16, index(16, [SHIPPING]), manifest(16, [SHIPPING]), groundtruth_v1=enveloped())
    _write(root, 20, index(20, [image], alerts=["KubePodNotReady"]), manifest(20, [image]), groundtruth=truth)
    _write(root, 63, index(63, [unknown]), manifest(63, [unknown]), groundtruth=truth)
    _write(root, 18, index(18, [image]), manifest(18, [SHIPPING]), groundtruth_v1=broken)
    (root / INDEXES / "7.json").write_text('{"id": ')
    return root


def _write(root: Path, scenario_id: int, indexed: Json, run: Json, **truths: Json) -> None:
    folder = root / FILES / f"scenario_{scenario_id}"
    folder.mkdir(parents=True)
    (root / INDEXES).mkdir(parents=True, exist_ok=True)
    (root / INDEXES / f"{scenario_id}.json").write_text(json.dumps(indexed))
    (folder / "scenario.yaml").write_text(yaml.safe_dump(run))
    for name, document in truths.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(document))
