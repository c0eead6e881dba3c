"""The official reads: shapes, filters, and the defects that they must not have."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from broken_shop import BAD, BROKEN, DEPLOYED, GOOD, NOW, NS, FakeCluster, FakeTelemetry, alert, deployment

from harness.telemetry import CallPath, LogRecord, Observation, Series
from harness.tools.base import timestamp
from harness.tools.templates import mine
from harness.tools.toolbox import Toolbox

Call = Callable[..., dict[str, Any]]
Refused = Callable[..., str]
SECRET = {"kind": "secret", "name": "database", "namespace": NS}
ENVELOPE = {"total_count", "offset", "limit", "returned_count", "data"}
IMAGE = "spec.template.spec.containers[checkout].image"


# --- alerts -----------------------------------------------------------------------------------------


def test_alert_summary_tells_state_and_duration(call: Call) -> None:
    result = call("alert_summary")
    assert set(result) == ENVELOPE | {"as_of"}
    assert result["as_of"] == "2026-01-15T09:40:00Z"
    assert [(row["alertname"], row["entity"], row["state"]) for row in result["data"]] == [
        ("HighRequestErrorRate", "checkout", "firing"),
        ("NoRequestsReceived", "payment", "pending"),
        ("HighRequestLatency", "ad", "inactive"),
    ]
    firing = result["data"][0]
    assert (firing["first_seen"], firing["last_seen"]) == ("2026-01-15T09:30:00Z", "2026-01-15T09:40:00Z")
    assert (firing["duration_min"], firing["occurrences"], firing["severity"]) == (10.0, 10, "critical")


def test_alert_summary_filters(call: Call) -> None:
    assert [row["entity"] for row in call("alert_summary", state_filter="firing")["data"]] == ["checkout"]
    assert [row["entity"] for row in call("alert_summary", min_duration_min=5)["data"]] == ["checkout"]
    by_rule = call("alert_summary", time_basis="activeAt")["data"][0]
    assert by_rule["duration_min"] == 15.0


def test_a_window_in_the_past_shows_no_present_alerts(call: Call) -> None:
    rows = call("alert_summary", end_time=timestamp(DEPLOYED + 600))["data"]
    assert [(row["entity"], row["state"]) for row in rows] == [("ad", "inactive")]


def test_no_alerts_is_an_empty_list(call: Call, telemetry: FakeTelemetry) -> None:
    telemetry.active = []
    assert call("alert_summary", state_filter="firing")["total_count"] == 0


def test_alert_analysis_filters_and_groups(call: Call, telemetry: FakeTelemetry) -> None:
    telemetry.active.append(alert("HighRequestErrorRate", "frontend"))
    rows = call("alert_analysis", filters={"service_name": ["checkout", "frontend"]})["data"]
    assert {row["service_name"] for row in rows} == {"checkout", "frontend"}
    assert rows[0]["duration_active_min"] == 15.0
    grouped = call("alert_analysis", group_by="alertname", sort_by="-count")["data"]
    assert grouped[0] == {"alertname": "HighRequestErrorRate", "count": 2}
    longest = call("alert_analysis", group_by=["severity"], agg="max")["data"]
    assert longest[0]["duration_active_min"] == 15.0


def test_an_unknown_column_is_told_with_the_known_ones(refused: Refused) -> None:
    text = refused("alert_analysis", filters={"colour": "red"})
    assert "unknown column colour" in text
    assert "service_name" in text


# --- events and logs --------------------------------------------------------------------------------


def test_events_of_the_application_only(call: Call) -> None:
    result = call("event_analysis")
    assert set(result) == ENVELOPE
    (row,) = result["data"]
    assert (row["reason"], row["object_kind"], row["deployment"], row["count"]) == (
        "Failed",
        "Pod",
        "checkout",
        7,
    )
    assert row["last_timestamp"] == "2026-01-15T09:39:30Z"
    assert call("event_analysis", end_time=BROKEN)["data"] == []
    assert call("event_analysis", group_by="deployment")["data"] == [{"deployment": "checkout", "count": 1}]


def test_log_patterns_mask_what_varies(call: Call) -> None:
    result = call("log_analysis", service_name="checkout")
    assert (result["total_count"], result["pattern_count"]) == (20, 1)
    (pattern,) = result["patterns"]
    assert (pattern["template"], pattern["count"], pattern["severity"]) == (
        "order <num> failed: <num>",
        20,
        "ERROR",
    )
    assert pattern["example"].startswith("order 19")


@pytest.mark.parametrize(
    ("bodies", "templates"),
    [
        (["user 1a2b3c4d-0000-4000-8000-123456789abc in", "user ffffffff-1111-4111-9111-aaaaaaaaaaaa in"],
         ["user <uuid> in"]),
        (["dial tcp 10.0.0.1:9092: refused", "dial tcp 10.9.9.9:9092: refused"], ["dial tcp <ip>: refused"]),
        (["trace 4bf92f3577b34da6 ended", "trace 0af7651916cd43dd ended"], ["trace <hex> ended"]),
        (["cache miss for alice today", "cache miss for bob today"], ["cache miss for <*> today"]),
        (["connection refused", "order placed"], ["connection refused", "order placed"]),
    ],
)  # fmt: skip
def test_template_mining(bodies: list[str], templates: list[str]) -> None:
    records = [LogRecord(NOW + n, "s", "p", "INFO", body) for n, body in enumerate(bodies)]
    assert sorted(pattern.template for pattern in mine(records, 0.6)) == sorted(templates)


def test_log_rows_page_from_the_newest(call: Call) -> None:
    first = call("log_analysis", service_name="checkout", pattern_analysis=False, limit=2)
    assert (first["total_count"], first["returned_count"]) == (20, 2)
    assert [row["body"] for row in first["data"]] == ["order 19 failed: 503", "order 18 failed: 503"]
    after = call("log_analysis", service_name="checkout", pattern_analysis=False, limit=1, offset=2)
    assert after["data"][0]["body"] == "order 17 failed: 503"


def test_logs_by_object_severity_and_text(call: Call) -> None:
    assert call("log_analysis", k8_object=f"{NS}/Pod/checkout-aaaaaaaaa-11111")["total_count"] == 20
    assert call("log_analysis", k8_object="Deployment/cart")["total_count"] == 1
    assert call("log_analysis", severity_filter="error")["total_count"] == 20
    assert call("log_analysis", body_contains="GetCart")["total_count"] == 1


# --- metrics ----------------------------------------------------------------------------------------


def test_metric_summary_per_series(call: Call) -> None:
    rows = call("metric_analysis", k8_object_name=f"{NS}/Deployment/checkout")["data"]
    assert [(row["metric"], row["count"], row["first"], row["last"], row["max"]) for row in rows] == [
        ("calls", 20, 10.0, 10.0, 10.0),
        ("errors", 20, 0.0, 5.0, 5.0),
    ]


def test_metric_points_groups_and_expressions(call: Call) -> None:
    raw = call(
        "metric_analysis", k8_object_name="checkout", metric_names=["errors"], verbosity="raw", limit=0
    )
    assert raw["returned_count"] == 20
    assert raw["data"][-1] == {
        "timestamp": "2026-01-15T09:39:00Z",
        "object": "checkout",
        "deployment": "checkout",
        "metric": "errors",
        "labels": {"service_name": "checkout"},
        "value": 5.0,
    }
    grouped = call("metric_analysis", object_pattern="check*", group_by="deployment", agg="max")["data"]
    assert {(row["metric"], row["value"]) for row in grouped} == {("calls", 10.0), ("errors", 5.0)}
    (ratio,) = call("metric_analysis", k8_object_name="checkout", eval="100 * errors / (calls + 0)")["data"]
    assert (ratio["metric"], ratio["last"]) == ("100 * errors / (calls + 0)", 50.0)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({}, "name an object"),
        ({"k8_object_name": "chekout"}, "similar names: checkout"),
        ({"k8_object_name": "checkout", "metric_names": ["cpu"]}, "unknown metric cpu; known: calls, errors"),
        ({"object_pattern": "zzz*"}, "nothing matches 'zzz*'"),
        ({"k8_object_name": "checkout", "eval": "errors ** 2"}, "eval: only metric names"),
        ({"k8_object_name": "checkout", "eval": "__import__('os')"}, "unknown metric __import__"),
        ({"k8_object_name": "checkout", "eval": "errors /"}, "eval: cannot read"),
    ],
)
def test_metric_mistakes(refused: Refused, arguments: dict[str, Any], told: str) -> None:
    assert told in refused("metric_analysis", **arguments)


def test_anomalies_are_judged_within_their_own_series(call: Call, telemetry: FakeTelemetry) -> None:
    """The official tool takes one mean over all metrics of a pod; then a large metric hides a small one's."""
    result = call("get_metric_anomalies", k8_object_name="checkout")
    assert result["object"] == "checkout"
    assert [(row["metric_name"], row["anomaly_count"]) for row in result["metrics"]] == [
        ("errors", 2),
        ("calls", 0),
    ]
    assert result["metrics"][0]["anomalies"][-1] == {"timestamp": "2026-01-15T09:39:00Z", "value": 5.0}
    short = call(
        "get_metric_anomalies", k8_object_name="checkout", metric_name_filter="err", raw_content=False
    )
    assert "anomalies" not in short["metrics"][0]


def test_values_that_json_cannot_say_are_null(
    call: Call, telemetry: FakeTelemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = Series("p95", {}, [(NOW - 60, float("inf")), (NOW, 3.0)])
    monkeypatch.setattr(telemetry, "metrics", lambda *_, **__: [series])
    row = call("metric_analysis", k8_object_name="checkout", metric_names=["calls"])["data"][0]
    assert (row["first"], row["last"]) == (None, 3.0)


# --- traces and topology ----------------------------------------------------------------------------


def test_trace_error_tree_finds_the_deepest_failing_service(call: Call) -> None:
    result = call("get_trace_error_tree", pivot_time=timestamp(BROKEN), delta_time="5m")
    assert result["window"]["pre"] == {"start": "2026-01-15T09:20:00Z", "end": "2026-01-15T09:25:00Z"}
    assert result["summary"]["delta"]["error_rate_pct"] == 40.0, "60 of 150 requests at the edge"
    found = {row["path"]: row for row in result["critical_paths"]}
    assert set(found) == {"frontend -> checkout", "frontend -> checkout -> payment"}
    failing = found["frontend -> checkout"]
    assert (failing["severity"], failing["reason"]) == ("critical", "errors")
    assert (failing["root_cause_suspect"], failing["sample_errors"]) == ("checkout", ["503"])
    assert [hop["service"] for hop in failing["hops"]] == ["frontend", "checkout"]
    assert failing["hops"][1]["error_rate_change_pct"] == 60.0
    assert found["frontend -> checkout -> payment"]["reason"] == "no_traffic"


def test_trace_error_tree_of_one_service_keeps_its_callers_figures(call: Call) -> None:
    result = call("get_trace_error_tree", service_name="checkout", pivot_time=BROKEN)
    assert all("checkout" in row["path"] for row in result["all_paths"])
    assert result["critical_paths"][0]["hops"][0]["requests"] == 100


def test_a_slower_path_is_minor(
    call: Call, telemetry: FakeTelemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def paths(start: float | None = None, end: float | None = None) -> list[CallPath]:
        return [CallPath(("frontend", "ad"), "ads", 50, 0, 10 if (end or 0) <= NOW - 300 else 900)]

    monkeypatch.setattr(telemetry, "call_paths", paths)
    (row,) = call("get_trace_error_tree")["critical_paths"]
    assert (row["severity"], row["reason"], row["hops"][-1]["p95_change_pct"]) == ("minor", "latency", 8900.0)
    assert call("get_trace_error_tree", latency_threshold_pct=10_000)["critical_paths"] == []


def test_topology(call: Call, refused: Refused) -> None:
    result = call("topology_analysis", entity=f"{NS}/Pod/checkout-aaaaaaaaa-11111")
    assert (result["entity"], result["callers"]) == ("checkout", ["frontend"])
    assert result["callees"] == ["payment", "quote"]
    kinds = [row["kind"] for row in result["hierarchy"]]
    assert kinds == [
        "Deployment",
        "ReplicaSet",
        "ReplicaSet",
        "Pod",
        "Pod",
        "ConfigMap",
        "Node",
        "Service",
    ]
    far = call("topology_analysis", entity="frontend", hops=2, direction="downstream")["downstream"]
    assert {row["service"]: row["hops"] for row in far} == {"checkout": 1, "ad": 1, "payment": 2, "quote": 2}
    assert len(call("topology_analysis")["calls"]) == 4
    assert "similar names: checkout" in refused("topology_analysis", entity="chekcout")


# --- specs ------------------------------------------------------------------------------------------


def test_spec_changes_of_everything(call: Call) -> None:
    result = call("k8s_spec_change_analysis")
    rows = {row["entity_id"]: row for row in result["data"]}
    assert set(rows) == {f"{NS}/Deployment/checkout", f"{NS}/Service/quote"}
    assert rows[f"{NS}/Deployment/checkout"]["changes"] == [
        {
            "timestamp": "2026-01-15T09:25:00Z",
            "from_timestamp": "2026-01-15T09:00:00Z",
            "changes": [{"path": IMAGE, "type": "changed", "old": GOOD, "new": BAD}],
        }
    ]
    assert rows[f"{NS}/Service/quote"]["lifecycle"] == "removed"
    assert rows[f"{NS}/Service/quote"]["reference_spec"]["kind"] == "Service"


def test_an_object_that_came_later_is_a_change(call: Call, cluster: FakeCluster) -> None:
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "deny", "namespace": NS, "creationTimestamp": timestamp(BROKEN)},
        "spec": {"podSelector": {}},
    }
    cluster.apply(policy)
    rows = {row["entity_id"]: row for row in call("k8s_spec_change_analysis")["data"]}
    assert rows[f"{NS}/NetworkPolicy/deny"]["lifecycle"] == "created"
    assert f"{NS}/ConfigMap/flagd-config" not in rows


def test_a_recorded_removal_is_a_change(call: Call, telemetry: FakeTelemetry) -> None:
    telemetry.versions["Service", "quote", NS].append(Observation(BROKEN, {}))
    (row,) = call("k8s_spec_change_analysis", k8_object_name="Service/quote")["data"]
    assert row["lifecycle"] == "removed"
    assert row["changes"][0]["changes"] == [{"path": "", "type": "removed"}]
    assert row["changes"][0]["timestamp"] == "2026-01-15T09:25:00Z"


def test_a_named_object_is_shown_even_without_a_change(call: Call) -> None:
    (row,) = call("k8s_spec_change_analysis", k8_object_name="ConfigMap/flagd-config")["data"]
    assert (row["change_count"], row["lifecycle"]) == (0, "present")


def test_a_spec_by_each_form_of_identifier(call: Call, refused: Refused) -> None:
    full = call("get_k8_spec", k8_object_name=f"{NS}/Deployment/checkout")
    assert (full["found"], full["identifier_format"], full["lifecycle"]) == (
        True,
        "namespace/Kind/name",
        "present",
    )
    assert full["spec"]["spec"]["replicas"] == 1
    assert "resourceVersion" not in full["spec"]["metadata"]
    short = call("get_k8_spec", k8_object_name="deploy/checkout", include_metadata=False)
    assert (short["identifier_format"], "metadata" in short["spec"]) == ("Kind/name", False)
    several = call("get_k8_spec", k8_object_name="checkout")
    assert several["entity_count"] == 2
    assert set(several["entities"]) == {f"{NS}/Deployment/checkout", f"{NS}/Service/checkout"}
    assert "similar names: checkout" in refused("get_k8_spec", k8_object_name="Deployment/chekout")


def test_a_removed_object_can_still_be_read(call: Call) -> None:
    result = call("get_k8_spec", k8_object_name=f"{NS}/Service/quote")
    assert (result["lifecycle"], result["spec"]["metadata"]["name"]) == ("removed", "quote")


def test_all_observations(call: Call) -> None:
    seen = call("get_k8_spec", k8_object_name="deploy/checkout", return_all_observations=True)["observations"]
    assert [row["timestamp"] for row in seen] == ["2026-01-15T09:00:00Z", "2026-01-15T09:25:00Z"]


def test_context_contract_pages(call: Call, refused: Refused) -> None:
    own = call("get_context_contract", k8_object=f"{NS}/Deployment/checkout")
    assert (own["page"], own["total_pages"], own["dependencies"]) == (1, 2, ["payment", "quote"])
    assert [row["alertname"] for row in own["alerts"]] == ["HighRequestErrorRate"]
    assert own["spec_changes"][0]["change_count"] == 1
    assert own["metric_anomalies"][0]["metric_name"] == "errors"
    assert own["trace_errors"]
    assert own["events"]
    assert own["spec"]["kind"] == "Deployment"
    second = call("get_context_contract", k8_object="checkout", page=2)["dependencies"]
    assert list(second) == ["payment", "quote"]
    assert second["quote"]["spec_changes"][0]["lifecycle"] == "removed"
    assert set(call("get_context_contract", k8_object="checkout", page=0)["dependency_evidence"]) == set(
        second
    )
    assert "not found: nothing" in refused("get_context_contract", k8_object="nothing")


# --- secrets ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("get_k8_spec", {"k8_object_name": "Secret/database", "return_all_observations": True}),
        ("k8s_spec_change_analysis", {"k8_object_name": "Secret/database", "include_reference_spec": True}),
        ("get_context_contract", {"k8_object": "Secret/database"}),
        ("kubectl_get", {"kind": "secret", "namespace": NS, "name": "database"}),
        ("kubectl_get", {"kind": "secret", "namespace": NS}),
        ("kubectl_describe", SECRET),
        ("patch_object", {**SECRET, "patch": {"data": {"k": "c2VjcmV0"}}}),
        ("delete_object", SECRET),
    ],
)
def test_secret_values_are_never_shown(
    toolbox: Toolbox, cluster: FakeCluster, telemetry: FakeTelemetry, tool: str, arguments: dict[str, Any]
) -> None:
    old = cluster.get("Secret", "database", NS)
    new = {**old, "data": {"password": "bmV3LXNlY3JldA=="}}
    telemetry.versions["Secret", "database", NS] = [Observation(DEPLOYED, old), Observation(BROKEN, new)]
    outcome = toolbox.call(tool, json.dumps(arguments))
    assert outcome.ok, outcome.text
    for value in ("aHVudGVyMg==", "bmV3LXNlY3JldA==", "c2VjcmV0"):
        assert value not in outcome.text
        assert outcome.change is None or value not in str([each.fields for each in outcome.change.changes])


def test_a_changed_secret_is_seen_as_changed(
    call: Call, cluster: FakeCluster, telemetry: FakeTelemetry
) -> None:
    old = cluster.get("Secret", "database", NS)
    new = {**old, "data": {"password": "bmV3"}}
    telemetry.versions["Secret", "database", NS] = [Observation(DEPLOYED, old), Observation(BROKEN, new)]
    (row,) = call("k8s_spec_change_analysis", k8_object_name="Secret/database")["data"]
    assert row["changes"][0]["changes"] == [
        {"path": "data.password", "type": "changed", "old": "<redacted>", "new": "<redacted>"}
    ]


def test_status_and_bookkeeping_are_no_change(call: Call, telemetry: FakeTelemetry) -> None:
    later = deployment(GOOD, 1)
    later["status"] = {"readyReplicas": 0}
    later["metadata"] |= {"resourceVersion": "99", "generation": 4}
    telemetry.versions["Deployment", "checkout", NS] = [
        Observation(DEPLOYED, deployment(GOOD, 1)),
        Observation(BROKEN, later),
    ]
    (row,) = call("k8s_spec_change_analysis", k8_object_name="deploy/checkout")["data"]
    assert row["change_count"] == 0
