"""Robustness knobs: what an agent is not shown, what it is shown beside the incident, what it may not touch."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from harness.config import EnvironmentConfig, VerdictConfig
from harness.environments import environment_factory
from harness.environments.distractors import HERRINGS
from harness.protocols import Environment
from harness.tools.toolbox import Toolbox
from scenarios.loader import catalogue

NS = "otel-demo"


def play(seed: int = 1, scenario: int = 16, **knobs: Any) -> tuple[Environment, Toolbox]:
    config = EnvironmentConfig.model_validate(knobs)
    environment = environment_factory(config, VerdictConfig())()
    briefing = asyncio.run(environment.start(catalogue().get(scenario), seed))
    return environment, Toolbox(environment.cluster, environment.telemetry, briefing.namespaces)


def ask(tools: Toolbox, tool: str, /, **arguments: Any) -> dict[str, Any]:
    outcome = tools.call(tool, arguments)
    assert outcome.ok, outcome.text
    found: dict[str, Any] = json.loads(outcome.text)
    return found


def test_masked_traces_answer_like_an_empty_store() -> None:
    _, tools = play(telemetry={"traces": False})
    answer = ask(tools, "get_trace_error_tree")
    assert answer["all_paths"] == answer["critical_paths"] == []
    assert ask(tools, "log_analysis")["total_count"] > 0
    assert ask(tools, "topology_analysis", entity="checkout")["callees"]


def test_masked_logs_answer_like_an_empty_store() -> None:
    _, tools = play(telemetry={"logs": False})
    assert ask(tools, "log_analysis")["total_count"] == 0
    pod = ask(tools, "kubectl_get", kind="Pod", namespace=NS)["data"][0]["name"]
    assert ask(tools, "kubectl_logs", pod=pod, namespace=NS)["lines"] == []
    assert ask(tools, "get_trace_error_tree")["all_paths"]


def test_red_herrings_are_seeded_unrelated_and_stay() -> None:
    environment, tools = play(red_herrings=3)
    plain = {row["alertname"] + row["entity"] for row in ask(play()[1], "alert_summary")["data"]}
    shown = ask(tools, "alert_summary")["data"]
    added = [row for row in shown if row["alertname"] + row["entity"] not in plain]
    assert len(added) == 3
    assert all(row["namespace"] != NS and row["state"] == "firing" for row in added)
    assert all(1 < row["duration_min"] < 30 and row["occurrences"] > 1 for row in added)
    asyncio.run(environment.elapse(600))
    later = {row["alertname"] for row in ask(tools, "alert_summary", state_filter="firing")["data"]}
    assert later >= {row["alertname"] for row in added}

    def drawn(seed: int) -> set[str]:
        rows = ask(play(seed, red_herrings=3)[1], "alert_summary")["data"]
        return {row["alertname"] for row in rows if row["namespace"] != NS} & {h.name for h in HERRINGS}

    assert drawn(1) == drawn(1)
    assert any(drawn(1) != drawn(seed) for seed in (2, 3, 4))


def test_red_herrings_do_not_reach_the_verdict() -> None:
    environment, tools = play(red_herrings=5)
    ask(tools, "rollout_undo", name="shipping", namespace=NS)
    verdict = asyncio.run(environment.verdict())
    assert verdict.all_clear
    assert verdict.remaining_alerts == ()


def test_inactive_chaos_is_paused_and_can_be_removed() -> None:
    _, tools = play(inactive_chaos=2)
    rows = ask(tools, "kubectl_get", kind="Schedule", namespace="chaos-mesh")["data"]
    assert len(rows) == 2
    name = rows[0]["name"]
    found = ask(tools, "kubectl_get", kind="Schedule", name=name, namespace="chaos-mesh")["object"]
    assert found["metadata"]["annotations"]["experiment.chaos-mesh.org/pause"] == "true"
    ask(tools, "delete_object", kind="Schedule", name=name, namespace="chaos-mesh")
    assert len(ask(tools, "kubectl_get", kind="Schedule", namespace="chaos-mesh")["data"]) == 1
    assert ask(tools, "kubectl_get", kind="Pod", namespace=NS)["total_count"] > 10


@pytest.mark.parametrize(
    ("permissions", "kind", "namespace", "allowed"),
    [
        ("full", "Secret", NS, True),
        ("no_secrets", "Secret", NS, False),
        ("no_secrets", "Node", "", True),
        ("app_only", "Secret", NS, False),
        ("app_only", "Node", "", False),
        ("app_only", "Pod", "kube-system", False),
        ("app_only", "Deployment", NS, True),
    ],
)
def test_partial_permissions_refuse_in_the_servers_words(
    permissions: str, kind: str, namespace: str, allowed: bool
) -> None:
    _, tools = play(permissions=permissions)
    outcome = tools.call("kubectl_get", {"kind": kind, "namespace": namespace})
    assert outcome.ok is allowed
    if not allowed:
        assert "is forbidden: User" in outcome.text


def test_tools_that_look_at_many_kinds_still_answer() -> None:
    _, tools = play(permissions="app_only")
    assert ask(tools, "k8s_spec_change_analysis")["data"][0]["name"] == "shipping"
    assert ask(tools, "get_k8_spec", k8_object_name="shipping")["entity_count"] > 1
    assert ask(tools, "get_context_contract", k8_object=f"{NS}/Deployment/shipping")["spec_changes"]
    assert ask(tools, "event_analysis")["total_count"] > 0
    assert not tools.call("get_k8_spec", {"k8_object_name": "cluster/Node/kind-worker"}).ok


def test_writes_outside_the_permissions_are_refused() -> None:
    _, tools = play(permissions="app_only")
    manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": NS}, "data": {}}
    outcome = tools.call("apply_manifest", {"manifest": manifest})
    assert not outcome.ok
    assert "forbidden" in outcome.text


def test_knobs_are_part_of_the_plan() -> None:
    plain, masked = EnvironmentConfig(), EnvironmentConfig(red_herrings=2, permissions="no_secrets")
    assert plain.model_dump(mode="json") != masked.model_dump(mode="json")
    assert masked.model_dump(mode="json")["permissions"] == "no_secrets"
