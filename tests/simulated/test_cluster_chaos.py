"""Chaos Mesh on the simulated cluster: Schedules, experiments, and what they do to pods and requests."""

from __future__ import annotations

import math
from typing import Any

import pytest

from harness.cluster import Manifest
from harness.environments.simulated.chaos_objects import next_tick, seconds, size_bytes
from harness.environments.simulated.disturbances import Disturbance, between, cut_off
from harness.environments.simulated.monitoring import Monitoring
from harness.environments.simulated.world import World
from tests.scenarios.stages import NAMESPACE, healthy_world

CHAOS = "chaos-mesh"
FOREVER = {"action": "partition", "mode": "all"}


def pods_of(component: str) -> dict[str, Any]:
    labels = {"app.kubernetes.io/component": component}
    return {"namespaces": [NAMESPACE], "labelSelectors": labels}


def fire(world: World, kind: str, field: str, component: str, spec: Manifest, **more: Any) -> None:
    """Create Schedule `test` and wait until it fired."""
    experiment = {"mode": "all", "selector": pods_of(component), **spec}
    spec = {"type": kind, field: experiment, "schedule": "* * * * *", "concurrencyPolicy": "Forbid"}
    world.cluster.apply(
        {
            "apiVersion": "chaos-mesh.org/v1alpha1",
            "kind": "Schedule",
            "metadata": {"name": "test", "namespace": CHAOS},
            "spec": {**spec, "historyLimit": 1, **more},
        }
    )
    world.advance(70 - world.now % 60)


def children(world: World, kind: str) -> list[Manifest]:
    return sorted(world.cluster.list(kind, CHAOS), key=lambda one: one["metadata"]["creationTimestamp"])


def conditions(experiment: Manifest) -> set[str]:
    return {one["type"] for one in experiment["status"]["conditions"] if one["status"] == "True"}


def annotate(world: World, kind: str, name: str, key: str, value: str) -> None:
    patch = {"metadata": {"annotations": {key: value}}}
    world.cluster.patch(kind, name, CHAOS, patch, "merge")


def slowest(world: World, *path: str) -> float:
    found = Monitoring.of(world).call_paths(world.now - 5, world.now)
    return max(one.p95_ms for one in found if one.path[-len(path) :] == path)


def failures(world: World, *path: str) -> float:
    found = Monitoring.of(world).call_paths(world.now - 5, world.now)
    fitting = [one for one in found if one.path[-len(path) :] == path]
    return sum(one.errors for one in fitting) / sum(one.count for one in fitting)


# --- reading the objects


def test_durations_sizes_and_cron_lines_are_read_as_chaos_mesh_does() -> None:
    assert [seconds(text) for text in ("55s", "1m30s", "20000ms", "", "soon")] == [
        55,
        90,
        20,
        math.inf,
        math.inf,
    ]
    assert size_bytes("85%", 200) == 170
    assert [size_bytes(text, 1) for text in ("128MB", "1GiB", "2048", "much")] == [128e6, 2**30, 2048, 0]
    assert next_tick("* * * * *", 119.5) == 120
    assert next_tick("*/5 * * * *", 300) == 600
    assert next_tick("@every 90s", 10) == 100
    assert next_tick("0 0 1 1 *", 0) == math.inf


def test_a_link_is_disturbed_between_its_ends_only() -> None:
    source = (Disturbance("delay", 100, link="a-b", end="source"),)
    target = (Disturbance("delay", 100, link="a-b", end="target"),)
    assert between(source, target) == (100, 0)
    assert between(target, source) == (100, 0)
    assert between(source, ()) == between((), target) == (0, 0)
    assert between((Disturbance("delay", 30),), (Disturbance("loss", 1.0),)) == (30, 1)
    assert between((Disturbance("loss", 0.5),), ())[1] == 0.125


def test_only_the_port_and_method_of_an_abort_are_cut_off() -> None:
    aborted = (Disturbance("abort", 1, port=8080, methods=("POST",), text="EOF"),)
    assert cut_off(aborted, 8080, "POST /orders") == cut_off(aborted, 8080, "getquote") == "EOF"
    assert cut_off(aborted, 8080, "GET /orders") == cut_off(aborted, 9090, "POST /orders") == ""


# --- schedules


def test_a_schedule_fires_each_minute_and_keeps_one_finished_child() -> None:
    world = healthy_world()
    fire(world, "NetworkChaos", "networkChaos", "quote", {**FOREVER, "duration": "55s"})
    world.advance(300)
    finished, running = children(world, "NetworkChaos")
    assert "AllInjected" in conditions(running)
    assert conditions(finished) == {"Selected", "AllRecovered"}
    assert finished["status"]["experiment"]["containerRecords"][0]["recoveredCount"] == 1
    schedule = world.cluster.get("Schedule", "test", CHAOS)
    assert [one["name"] for one in schedule["status"]["active"]] == [running["metadata"]["name"]]
    world.advance(48)
    assert "active" not in world.cluster.get("Schedule", "test", CHAOS)["status"]


def test_an_experiment_without_duration_stays_on_and_keeps_others_out() -> None:
    world = healthy_world()
    fire(world, "NetworkChaos", "networkChaos", "quote", FOREVER)
    (first,) = children(world, "NetworkChaos")
    world.advance(600)
    assert [one["metadata"]["name"] for one in children(world, "NetworkChaos")] == [first["metadata"]["name"]]


def test_overlapping_children_are_allowed_where_the_schedule_says_so() -> None:
    world = healthy_world()
    fire(world, "NetworkChaos", "networkChaos", "quote", FOREVER, concurrencyPolicy="Allow")
    world.advance(130)
    assert len(children(world, "NetworkChaos")) == 3


def test_a_missed_tick_is_made_up_for_as_soon_as_the_child_ends() -> None:
    world = healthy_world()
    fire(world, "NetworkChaos", "networkChaos", "quote", {**FOREVER, "duration": "90s"})
    world.advance(85)
    assert len(children(world, "NetworkChaos")) == 2


def test_pausing_recovers_the_pods_and_resuming_injects_again() -> None:
    world = healthy_world()
    fire(world, "NetworkChaos", "networkChaos", "quote", FOREVER)
    annotate(world, "Schedule", "test", "experiment.chaos-mesh.org/pause", "true")
    (child,) = children(world, "NetworkChaos")
    assert conditions(child) == {"Selected", "AllRecovered", "Paused"}
    world.advance(10)
    assert failures(world, "shipping", "quote") == 0
    annotate(world, "Schedule", "test", "experiment.chaos-mesh.org/pause", "false")
    (child,) = children(world, "NetworkChaos")
    assert conditions(child) == {"Selected", "AllInjected"}


def test_deleting_a_schedule_takes_its_experiment_along() -> None:
    world = healthy_world()
    fire(world, "NetworkChaos", "networkChaos", "quote", FOREVER)
    world.cluster.delete("Schedule", "test", CHAOS)
    assert children(world, "NetworkChaos") == []


def test_an_experiment_that_selects_nothing_says_so_and_tries_again() -> None:
    world = healthy_world()
    fire(world, "NetworkChaos", "networkChaos", "no-such", {**FOREVER, "duration": "55s"})
    (child,) = children(world, "NetworkChaos")
    assert "Selected" not in conditions(child)
    reasons = {event["message"] for event in world.cluster.list("Event", CHAOS)}
    assert "Failed to select targets: no pod is selected" in reasons


# --- effects


def test_a_delay_is_added_to_every_answer_of_the_pod() -> None:
    world = healthy_world()
    before = slowest(world, "shipping", "quote")
    fire(world, "NetworkChaos", "networkChaos", "quote", {"action": "delay", "delay": {"latency": "700ms"}})
    world.advance(10)
    assert slowest(world, "shipping", "quote") == pytest.approx(before + 700, abs=1)


def test_a_new_pod_is_not_hit_by_an_experiment_that_runs_already() -> None:
    world = healthy_world()
    fire(world, "NetworkChaos", "networkChaos", "quote", FOREVER)
    world.advance(10)
    assert failures(world, "shipping", "quote") == 1
    (pod,) = world.cluster.list("Pod", NAMESPACE, {"app.kubernetes.io/component": "quote"})
    world.cluster.delete("Pod", pod["metadata"]["name"], NAMESPACE)
    world.advance(60)
    assert failures(world, "shipping", "quote") == 0


def test_a_failed_pod_gets_its_image_back() -> None:
    world = healthy_world()
    (before,) = world.cluster.list("Pod", NAMESPACE, {"app.kubernetes.io/component": "quote"})
    fire(world, "PodChaos", "podChaos", "quote", {"action": "pod-failure", "duration": "55s"})
    (failed,) = world.cluster.list("Pod", NAMESPACE, {"app.kubernetes.io/component": "quote"})
    assert "pause" in failed["spec"]["containers"][0]["image"]
    assert failures(world, "shipping", "quote") == 1
    world.cluster.delete("Schedule", "test", CHAOS)
    world.advance(10)
    (after,) = world.cluster.list("Pod", NAMESPACE, {"app.kubernetes.io/component": "quote"})
    assert after["spec"] == before["spec"]
    assert after["status"]["containerStatuses"][0]["restartCount"] == 2
    assert failures(world, "shipping", "quote") == 0


def test_memory_stress_beyond_the_limit_gets_the_container_killed_again_and_again() -> None:
    world = healthy_world()
    stress = {"duration": "55s", "stressors": {"memory": {"size": "100%", "workers": 4}}}
    fire(world, "StressChaos", "stressChaos", "ad", stress)
    world.advance(900)
    (pod,) = world.cluster.list("Pod", NAMESPACE, {"app.kubernetes.io/component": "ad"})
    (status,) = pod["status"]["containerStatuses"]
    assert status["restartCount"] >= 3
    assert status["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert status["lastState"]["terminated"]["reason"] == "OOMKilled"


def test_memory_stress_that_fits_kills_nothing() -> None:
    world = healthy_world()
    stress = {"duration": "55s", "stressors": {"memory": {"size": "128MB", "workers": 4}}}
    fire(world, "StressChaos", "stressChaos", "ad", stress)
    world.advance(300)
    (pod,) = world.cluster.list("Pod", NAMESPACE, {"app.kubernetes.io/component": "ad"})
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0


def test_processor_stress_throttles_what_has_a_limit() -> None:
    world = healthy_world()
    stress = {"stressors": {"cpu": {"load": 100, "workers": 30}}}
    fire(world, "StressChaos", "stressChaos", "recommendation", stress)
    world.advance(60)
    assert failures(world, "frontend", "recommendation") == 1
    (pod,) = world.cluster.list("Pod", NAMESPACE, {"app.kubernetes.io/component": "recommendation"})
    (series,) = Monitoring.of(world).metrics(pod["metadata"]["name"], ["container_cpu_usage_millicores"])
    assert series.points[-1][1] == 200


def test_a_slow_api_server_leaves_gaps_in_the_metrics_of_objects() -> None:
    world = healthy_world()
    stress = {"stressors": {"memory": {"size": "6GB", "workers": 4}}, "mode": "one"}
    control_plane = {"namespaces": ["kube-system"], "labelSelectors": {"component": "kube-apiserver"}}
    fire(world, "StressChaos", "stressChaos", "", {**stress, "selector": control_plane})
    begun = world.now
    world.advance(300)
    (pod,) = world.cluster.list("Pod", NAMESPACE, {"app.kubernetes.io/component": "ad"})
    monitoring = Monitoring.of(world)
    (ready,) = monitoring.metrics(pod["metadata"]["name"], ["kube_pod_status_ready"], begun)
    (used,) = monitoring.metrics(pod["metadata"]["name"], ["container_cpu_usage_millicores"], begun)
    assert (len(ready.points), len(used.points) > 5) == (0, True)


def test_a_checkpoint_goes_on_as_the_world_would_have() -> None:
    world = healthy_world()
    fire(world, "NetworkChaos", "networkChaos", "quote", {**FOREVER, "duration": "55s"})
    world.advance(100)
    copy = world.checkpoint().restore()
    seen = []
    for one in (world, copy):
        one.advance(1000)
        alerts = Monitoring.of(one).alerts()
        seen.append((children(one, "NetworkChaos"), [(alert.key, alert.active_at) for alert in alerts]))
    assert seen[0] == seen[1]
