"""A recorded incident reads like the live one: the same tools give the same alerts, changes and suspects."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from harness.tools.toolbox import Toolbox
from scenarios.ground_truth import read_ground_truth
from scenarios.loader import catalogue
from tests.snapshot.conftest import Recorded, ask

CHECKOUT = "otel-demo/Deployment/checkout"


@pytest.fixture(scope="module")
def tools(recorded: Recorded) -> Toolbox:
    return recorded.start()[1]


def test_the_same_alerts_fire_since_the_same_time(recorded: Recorded, tools: Toolbox) -> None:
    live, played = (ask(each, "alert_summary", state_filter="firing") for each in (recorded.live, tools))
    fields = ("alertname", "entity", "namespace", "severity", "state", "last_seen", "description")

    def rows(answer: dict[str, Any]) -> list[tuple[str, ...]]:
        return sorted(tuple(row[field] for field in fields) for row in answer["data"])

    assert len(live["data"]) > 5
    assert rows(played) == rows(live)
    assert played["as_of"] == live["as_of"]


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("kubectl_get", {"kind": "Pod", "namespace": "otel-demo"}),
        ("kubectl_get", {"kind": "Service", "namespace": "otel-demo"}),
        ("kubectl_get", {"kind": "Node"}),
        ("kubectl_describe", {"kind": "Deployment", "name": "shipping", "namespace": "otel-demo"}),
        ("kubectl_rollout_history", {"name": "shipping", "namespace": "otel-demo"}),
        ("topology_analysis", {"entity": "checkout"}),
        ("event_analysis", {"group_by": ["reason", "object_kind"], "limit": 0}),
    ],
)
def test_reads_of_state_are_equal(
    recorded: Recorded, tools: Toolbox, tool: str, arguments: dict[str, Any]
) -> None:
    assert ask(tools, tool, **arguments) == ask(recorded.live, tool, **arguments)


def test_metrics_of_the_recorded_time_are_equal(recorded: Recorded, tools: Toolbox) -> None:
    window = {"start_time": recorded.now - 900}
    wanted = {"object_pattern": "*", "metric_names": ["error_rate"], "verbosity": "raw", "limit": 0} | window
    played = ask(tools, "metric_analysis", **wanted)
    assert played == ask(recorded.live, "metric_analysis", **wanted)
    assert played["data"]


def test_the_same_change_is_found(recorded: Recorded, tools: Toolbox) -> None:
    live, played = (ask(each, "k8s_spec_change_analysis") for each in (recorded.live, tools))

    def changes(answer: dict[str, Any]) -> list[Any]:
        return [(row["entity_id"], [c["changes"] for c in row["changes"]]) for row in answer["data"]]

    assert changes(played) == changes(live)
    assert changes(played)[0][0] == "otel-demo/Deployment/shipping"


def test_the_same_services_look_suspicious_in_traces(recorded: Recorded, tools: Toolbox) -> None:
    live, played = (ask(each, "get_trace_error_tree") for each in (recorded.live, tools))
    suspects = [{row["root_cause_suspect"] for row in answer["critical_paths"]} for answer in (live, played)]
    assert suspects[0]
    assert suspects[1] >= suspects[0]
    worst = played["critical_paths"][0]
    assert worst["path"].endswith("checkout -> shipping -> quote")
    assert "connection refused" in str(worst)


def test_the_same_log_patterns_lead(recorded: Recorded, tools: Toolbox) -> None:
    live, played = (ask(each, "log_analysis", severity_filter="ERROR") for each in (recorded.live, tools))
    found = [{row["template"] for row in answer["patterns"]} for answer in (live, played)]
    assert found[0] == found[1]


def test_latency_comes_as_percentiles_of_the_span_metrics(tools: Toolbox) -> None:
    rows = ask(tools, "metric_analysis", k8_object_name=CHECKOUT)["data"]
    names = {row["metric"] for row in rows}
    assert "traces_span_metrics_duration_milliseconds_p95" in names
    assert not any(name.endswith("_bucket") for name in names)


def test_containers_logs_come_from_the_recording(recorded: Recorded, tools: Toolbox) -> None:
    pods = ask(tools, "kubectl_get", kind="Pod", namespace="otel-demo")["data"]
    pod = next(row["name"] for row in pods if row["name"].startswith("shipping-"))
    lines = ask(tools, "kubectl_logs", pod=pod, namespace="otel-demo", tail=5)["lines"]
    assert any("Failed to get quote" in line for line in lines)
    refused = tools.call("kubectl_logs", {"pod": pod, "namespace": "otel-demo", "previous": True})
    assert not refused.ok


def test_the_directory_carries_its_ground_truth_in_the_flat_form(recorded: Recorded) -> None:
    written = yaml.safe_load((recorded.directory / "ground_truth.yaml").read_text())
    truth, problems = read_ground_truth(written)
    assert written["metadata"] == {"version": "v1"}
    assert truth.groups == catalogue().get(16).scored_ground_truth().groups
    assert problems == []
