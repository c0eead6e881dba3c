"""Traps: remedies that look right and are not, by name."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest

from harness.cluster import Cluster, rollout_restart, rollout_undo, scale, wait_until
from harness.records import Verdict
from harness.validation import make_simulated_stage
from scenarios.faults import FAULTS, Injection, await_active, causes_left, inject
from scenarios.faults.feature_flags import FLAGS_KEY
from scenarios.selftest import PlayedEnvironment
from tests.scenarios.stages import NAMESPACE, healthy_world, scenario, workload

Act = Callable[[Cluster], object]


def broken(scenario_id: int) -> tuple[Cluster, list[Injection]]:
    cluster = healthy_world().cluster
    injections = inject(cluster, scenario(scenario_id))
    await_active(cluster, injections)
    return cluster, list(injections)


def removed(cluster: Cluster, injections: list[Injection], timeout: float = 900) -> bool:
    return wait_until(cluster, lambda: not causes_left(cluster, injections), timeout)


def judged(scenario_id: int, act: Callable[[PlayedEnvironment], object], wait_s: float = 0) -> Verdict:
    """The verdict after an act, `wait_s` seconds into the incident."""

    async def play() -> Verdict:
        stage = await make_simulated_stage(scenario(scenario_id))
        await stage.environment.elapse(wait_s)
        act(stage.environment)
        return await stage.environment.verdict()

    return asyncio.run(play())


def test_rollout_undo_does_not_restore_replicas() -> None:
    cluster, injections = broken(58)
    rollout_restart(cluster, *workload("accounting"))
    rollout_undo(cluster, "accounting", NAMESPACE)
    assert not removed(cluster, injections)
    scale(cluster, *workload("accounting"), replicas=1)
    assert removed(cluster, injections)


def test_rollout_undo_does_not_restore_a_config_map() -> None:
    cluster, injections = broken(59)
    config = cluster.get("ConfigMap", "recommendation-config", NAMESPACE)["data"]["config"]
    rollout_undo(cluster, "recommendation", NAMESPACE)
    assert cluster.get("ConfigMap", "recommendation-config", NAMESPACE)["data"]["config"] == config
    assert removed(cluster, injections), "without the init container nobody reads it"
    flagged, injected = broken(2)
    rollout_undo(flagged, "flagd", NAMESPACE)
    rollout_undo(flagged, "cart", NAMESPACE)
    assert not removed(flagged, injected)


def test_a_flag_that_is_off_needs_a_restart() -> None:
    def edit(cluster: Cluster) -> None:
        data = cluster.get("ConfigMap", "flagd-config", NAMESPACE)["data"]
        document = json.loads(data[FLAGS_KEY])
        document["flags"]["cartFailure"]["defaultVariant"] = "off"
        cluster.patch("ConfigMap", "flagd-config", NAMESPACE, {"data": {FLAGS_KEY: json.dumps(document)}})

    def edit_and_restart_flagd(played: PlayedEnvironment) -> None:
        edit(played.cluster)
        rollout_restart(played.cluster, *workload("flagd"))

    def and_its_reader(played: PlayedEnvironment) -> None:
        edit_and_restart_flagd(played)
        played.cluster.wait(60)
        rollout_restart(played.cluster, *workload("cart"))

    only_edited = judged(2, lambda played: edit(played.cluster))
    assert not only_edited.cause_removed
    cached = judged(2, edit_and_restart_flagd)
    assert cached.cause_removed
    assert not cached.symptom_cleared, "cart still holds the value that it read when it started"
    assert judged(2, and_its_reader).all_clear


def test_a_restart_under_a_quota_makes_things_worse() -> None:
    cluster, injections = broken(102)
    cluster.delete("Pod", cluster.list("Pod", NAMESPACE, {"app.kubernetes.io/name": "cart"})[0]["metadata"]["name"],
                   NAMESPACE)  # fmt: skip
    cluster.wait(120)
    assert not cluster.get(*workload("cart"))["status"].get("availableReplicas"), (
        "the quota refuses its new pod"
    )
    rollout_restart(cluster, *workload("ad"))
    assert not removed(cluster, injections, 300)
    cluster.delete("ResourceQuota", "memory", NAMESPACE)
    assert removed(cluster, injections)
    assert wait_until(cluster, lambda: cluster.get(*workload("cart"))["status"].get("availableReplicas") == 1)


def test_a_quota_that_is_still_too_small_is_no_remedy() -> None:
    cluster, injections = broken(102)
    cluster.patch("ResourceQuota", "memory", NAMESPACE, {"spec": {"hard": {"memory": "1200Mi"}}})
    assert not removed(cluster, injections, 300)


@pytest.mark.parametrize("scenario_id", [20, 49, 33])
def test_users_served_by_the_old_replica_set_are_no_recovery(scenario_id: int) -> None:
    verdict = judged(scenario_id, lambda played: None, wait_s=600)
    assert not verdict.symptom_cleared
    services = ("HighRequestErrorRate", "NoRequestsReceived", "HighRequestLatency")
    assert not any(alert.startswith(services) for alert in verdict.remaining_alerts)


def test_no_requests_received_clears_falsely_when_its_series_disappears() -> None:
    def delete_ad(played: PlayedEnvironment) -> None:
        played.cluster.delete(*workload("ad"))

    def restart_the_collector(played: PlayedEnvironment) -> None:
        rollout_restart(played.cluster, *workload("otel-collector"))
        played.cluster.wait(60)
        firing = {alert.key for alert in played.telemetry.alerts() if alert.state == "firing"}
        assert ("NoRequestsReceived", "ad") not in firing

    for act in (delete_ad, restart_the_collector):
        verdict = judged(30, act)
        assert not verdict.symptom_cleared
        assert any(alert.startswith("NoRequestsReceived@ad") for alert in verdict.remaining_alerts)


def test_background_alerts_are_compared_with_the_baseline_not_with_zero() -> None:
    seen: list[set[tuple[str, str]]] = []

    def repair(played: PlayedEnvironment) -> None:
        seen.append({alert.key for alert in played.telemetry.alerts() if alert.state == "firing"})
        played.cluster.patch(
            "Service", "ad", NAMESPACE, {"spec": {"ports": [{"port": 8080, "targetPort": 8080}]}}
        )

    assert judged(30, repair).all_clear
    assert any(name == "Watchdog" for name, _ in seen[0])


# --- what else looks like a remedy


@pytest.mark.parametrize(
    ("scenario_id", "act"),
    [
        (34, lambda cluster: rollout_restart(cluster, *workload("cart"))),
        (34, lambda cluster: cluster.delete("Secret", "valkey-credentials", NAMESPACE)),
        (40, lambda cluster: cluster.delete("ConfigMap", "valkey-storage-script", NAMESPACE)),
        (31, lambda cluster: rollout_restart(cluster, *workload("frontend"))),
        (39, lambda cluster: rollout_restart(cluster, *workload("payment"))),
        (42, lambda cluster: rollout_restart(cluster, *workload("kafka"))),
        (51, lambda cluster: rollout_restart(cluster, *workload("workload-scanner"))),
        (59, lambda cluster: cluster.delete("ConfigMap", "recommendation-config", NAMESPACE)),
    ],
)
def test_a_remedy_that_misses_the_cause(scenario_id: int, act: Act) -> None:
    cluster, injections = broken(scenario_id)
    act(cluster)
    assert not removed(cluster, injections)


def test_a_second_cause_that_stands_is_noticed() -> None:
    cluster, injections = broken(33)
    rollout_undo(cluster, "ad", NAMESPACE)
    cluster.wait(300)
    assert [one.args["kubernetesObject"]["metadata"]["name"] for one in causes_left(cluster, injections)] == [
        "cart"
    ]


# --- injections that have no effect as published


@pytest.mark.parametrize("scenario_id", [31, 38])
def test_a_published_injection_without_effect_is_never_confirmed_or_harms_nobody(scenario_id: int) -> None:
    async def play() -> set[tuple[str, str]]:
        stage = await make_simulated_stage(scenario(37))
        environment = stage.environment
        for planned in scenario(scenario_id).injections():
            fault = FAULTS[planned.fault].model_validate({**planned.args, "asPublished": True})
            injection = fault.inject(environment.cluster)
            assert fault.cause_removed(environment.cluster, injection)
        await environment.elapse(1200)
        firing = {alert.key for alert in environment.telemetry.alerts() if alert.state == "firing"}
        return firing - environment.baseline.alerts

    assert asyncio.run(play()) == set()


def test_the_published_preemption_evicts_nobody_from_nodes_of_this_size() -> None:
    cluster = healthy_world().cluster
    (planned,) = scenario(42).injections()
    fault = FAULTS[planned.fault].model_validate({**planned.args, "asPublished": True})
    injection = fault.inject(cluster)
    cluster.wait(600)
    assert not fault.confirm_active(cluster, injection)
    assert cluster.get(*workload("kafka"))["status"]["availableReplicas"] == 1
