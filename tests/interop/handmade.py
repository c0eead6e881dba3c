"""A hand-made set of ground truths and outputs in the official layout, with known answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]


def group(group_id: str, kind: str, *patterns: str, root: bool = False, namespace: str = "otel-demo") -> Json:
    found: Json = {"id": group_id, "kind": kind, "namespace": namespace, "filter": list(patterns)}
    return found | ({"root_cause": True} if root else {})


def diagnosis(*named: str, chain: tuple[tuple[str, str], ...] = (), others: tuple[str, ...] = ()) -> Json:
    """An agent's answer: named causes in order, entities that are no cause, edges."""
    return {
        "entities": [
            *(
                {"name": name, "contributing_factor": True, "reasoning": "r", "evidence": "e"}
                for name in named
            ),
            *({"name": name, "contributing_factor": False} for name in others),
        ],
        "propagations": [{"source": source, "target": target} for source, target in chain],
        "alerts_explained": [],
    }


TRUTHS: dict[int, Json] = {
    16: {
        "groups": [
            group("shipping-deployment-1", "Deployment", r"shipping\b", root=True),
            group("shipping-service-1", "Service", r"shipping\b"),
            group("shipping-pod-1", "Pod", "shipping-.*"),
            group("frontend-service-1", "Service", r"frontend\b"),
        ],
        "aliases": [["shipping-service-1", "shipping-pod-1", "shipping-deployment-1"]],
        "propagations": [
            {"source": "shipping-deployment-1", "target": "shipping-service-1"},
            {"source": "shipping-service-1", "target": "frontend-service-1", "effect": "frontend has errors"},
        ],
    },
    20: {"groups": [group("product-catalog-1", "Deployment", "product-catalog-.*", root=True)]},
    31: {"groups": [group("frontend-1", "Service", r"frontend\b", root=True)]},
    61: {
        "groups": [
            group("schedule", "Schedule", "checkout-payment-network-loss", root=True, namespace="chaos-mesh"),
            group("child", "NetworkChaos", ".*checkout-payment-network-loss.*", namespace="chaos-mesh"),
        ],
        "aliases": [["schedule", "child"]],
    },
    38: {
        "groups": [
            group("hpa", "HorizontalPodAutoscaler", "*-hpa", root=True),
            group("quota", "ResourceQuota", "memory", root=True),
        ]
    },
    45: {"groups": [group("email-pod-1", "Pod", "email-.*", root=True)]},
}


def write_truths(to: Path) -> Path:
    """One folder per scenario; 61 is enveloped, 20 is JSON."""
    for number, body in TRUTHS.items():
        folder = to / f"Scenario-{number}"
        folder.mkdir(parents=True)
        if number == 20:
            (folder / "gt.json").write_text(json.dumps(body))
        elif number == 61:
            spec = {"apiVersion": "itbench.io/v1", "kind": "GroundTruth", "spec": body}
            (folder / "ground_truth.yaml").write_text(yaml.safe_dump(spec))
        else:
            (folder / "ground_truth.yaml").write_text(yaml.safe_dump(body))
    return to


def write_output(outputs: Path, place: str, answer: Json | str) -> None:
    """Write one answer: JSON, or text as it is."""
    path = outputs / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(answer if isinstance(answer, str) else json.dumps(answer))
