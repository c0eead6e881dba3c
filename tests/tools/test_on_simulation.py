"""The tools over the simulated cluster and its monitoring: the loop that an agent closes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from harness.config import EnvironmentConfig, VerdictConfig
from harness.environments.simulated.environment import SimulatedEnvironment
from harness.tools.toolbox import Toolbox
from scenarios.loader import catalogue

NS = "otel-demo"
IMAGE = {"spec": {"template": {"spec": {"containers": [{"name": "ad", "image": "x:1"}]}}}}
CHECKOUT = f"{NS}/Deployment/checkout"
READS: list[tuple[str, dict[str, Any]]] = [
    ("alert_summary", {}),
    ("alert_analysis", {"group_by": ["alertname", "state"]}),
    ("event_analysis", {"filters": {"event_kind": "Warning"}}),
    ("log_analysis", {"severity_filter": "ERROR"}),
    ("metric_analysis", {"k8_object_name": CHECKOUT}),
    ("get_metric_anomalies", {"k8_object_name": CHECKOUT}),
    ("get_trace_error_tree", {}),
    ("topology_analysis", {"entity": "checkout"}),
    ("k8s_spec_change_analysis", {}),
    ("get_k8_spec", {"k8_object_name": CHECKOUT}),
    ("get_context_contract", {"k8_object": CHECKOUT, "page": 0}),
    ("kubectl_get", {"kind": "pods", "namespace": NS}),
    ("kubectl_get", {"kind": "nodes"}),
    ("kubectl_describe", {"kind": "deploy", "name": "checkout", "namespace": NS}),
    ("kubectl_rollout_history", {"name": "checkout", "namespace": NS}),
]


class Incident:
    """A scenario with a toolbox; every call takes its environment time."""

    def __init__(self, scenario: str) -> None:
        (chosen,) = catalogue().select(scenario)
        self.environment = SimulatedEnvironment(EnvironmentConfig(), VerdictConfig())
        briefing = asyncio.run(self.environment.start(chosen, seed=1))
        self.toolbox = Toolbox(self.environment.cluster, self.environment.telemetry, briefing.namespaces)

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        outcome = self.toolbox.call(tool, arguments)
        assert outcome.ok, f"{tool}: {outcome.text}"
        asyncio.run(self.environment.elapse(outcome.seconds))
        result: dict[str, Any] = json.loads(outcome.text)
        return result

    def firing(self) -> set[str]:
        rows = self.call("alert_summary", state_filter="firing")["data"]
        return {f"{row['alertname']}/{row['entity']}" for row in rows}


@pytest.mark.parametrize("scenario", ["16", "23", "44", "114"])
def test_every_read_answers(scenario: str) -> None:
    incident = Incident(scenario)
    for tool, arguments in READS:
        assert incident.call(tool, **arguments)
    pod = incident.call("kubectl_get", kind="pods", namespace=NS)["data"][0]["name"]
    assert "lines" in incident.call("kubectl_logs", pod=pod, namespace=NS)


def test_a_wrong_variable_is_found_undone_and_the_alerts_clear() -> None:
    incident = Incident("16")
    before = incident.firing()
    assert "HighRequestErrorRate/shipping" in before
    (change,) = incident.call("k8s_spec_change_analysis")["data"]
    assert change["entity_id"] == f"{NS}/Deployment/shipping"
    assert change["changes"][0]["changes"][0]["path"].endswith("containers[shipping].env[QUOTE_ADDR].value")
    incident.call("rollout_undo", name="shipping", namespace=NS)
    incident.call("wait", seconds=900)
    assert not {key for key in incident.firing() if key.endswith(("/shipping", "/checkout"))}


def test_a_feature_flag_is_found_and_needs_a_restart() -> None:
    incident = Incident("2")
    rows = {row["entity_id"]: row for row in incident.call("k8s_spec_change_analysis")["data"]}
    path = rows[f"{NS}/ConfigMap/flagd-config"]["changes"][-1]["changes"][0]["path"]
    assert path.startswith("data['demo.flagd.json'].flags.")
    flag = path.removeprefix("data['demo.flagd.json'].flags.").removesuffix(".defaultVariant")
    incident.call("set_feature_flag", namespace=NS, flag=flag, variant="off")
    restarted = incident.call("rollout_restart", namespace=NS)["objects"]
    assert f"{NS}/Deployment/flagd" in restarted


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("patch_object", {"kind": "deploy", "name": "ad", "namespace": NS, "patch": IMAGE}),
        ("delete_object", {"kind": "svc", "name": "quote", "namespace": NS}),
        ("rollout_restart", {"name": "ad", "namespace": NS}),
    ],
)
def test_a_dry_run_leaves_the_cluster_as_it_was(tool: str, arguments: dict[str, Any]) -> None:
    incident = Incident("16")
    outcome = incident.toolbox.call(tool, {**arguments, "dry_run": True})
    assert outcome.ok, outcome.text
    wet = incident.toolbox.call(tool, arguments)
    assert json.loads(outcome.text).get("changes") == json.loads(wet.text).get("changes")
    assert len(incident.toolbox.audit) == 1


def test_a_fetched_manifest_can_be_applied_again() -> None:
    incident = Incident("16")
    fetched = incident.call("get_k8_spec", k8_object_name=f"{NS}/Service/quote")["spec"]
    incident.call("delete_object", kind="svc", name="quote", namespace=NS)
    assert incident.call("get_k8_spec", k8_object_name=f"{NS}/Service/quote")["lifecycle"] == "removed"
    result = incident.call("apply_manifest", manifest=fetched)
    assert result["message"] == "service/quote created"
