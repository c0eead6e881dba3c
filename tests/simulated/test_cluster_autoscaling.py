"""Horizontal autoscaling: what it asks for follows from what pods use, and it is slow to take replicas away."""

from __future__ import annotations

from harness.cluster import Manifest
from harness.environments.simulated.controllers.autoscaler import SETTLE_DOWN
from harness.environments.simulated.world import World
from tests.simulated.cluster_fixtures import NS, FakeRuntime, deployment, pods, world_with

MI = 2.0**20


def autoscaler(target: int = 80, most: int = 4, resource: str = "memory") -> Manifest:
    wanted = {"type": "Utilization", "averageUtilization": target}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "cart", "namespace": NS},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "cart"},
            "minReplicas": 1,
            "maxReplicas": most,
            "metrics": [{"type": "Resource", "resource": {"name": resource, "target": wanted}}],
        },
    }


def using(world: World, memory_mi: float) -> None:
    assert isinstance(world.runtime, FakeRuntime)
    world.runtime.usage["cart"] = (0.0, memory_mi * MI)


def test_it_scales_up_to_the_target_and_no_further_than_its_maximum() -> None:
    world = world_with(deployment("cart", memory="100Mi"), autoscaler())
    assert len(pods(world, "cart")) == 1
    using(world, 85)
    world.advance(120)
    assert len(pods(world, "cart")) == 1, "within the tolerance"
    using(world, 100)
    world.advance(600)
    assert len(pods(world, "cart")) == 4
    status = world.cluster.get("HorizontalPodAutoscaler", "cart", NS)["status"]
    assert (status["currentReplicas"], status["currentMetrics"][0]["resource"]["current"]) == (
        4,
        {"averageUtilization": 100},
    )


def test_it_scales_down_only_after_the_load_was_low_for_a_while() -> None:
    world = world_with(deployment("cart", replicas=4, memory="100Mi"), autoscaler())
    using(world, 75)
    world.advance(120)
    using(world, 10)
    world.advance(SETTLE_DOWN - 30)
    assert len(pods(world, "cart")) == 4
    world.advance(SETTLE_DOWN)
    assert len(pods(world, "cart")) == 1


def test_without_requests_there_is_no_metric_and_nothing_happens() -> None:
    world = world_with(deployment("cart"), autoscaler(resource="cpu"))
    world.advance(600)
    assert len(pods(world, "cart")) == 1
    conditions = world.cluster.get("HorizontalPodAutoscaler", "cart", NS)["status"]["conditions"]
    assert {entry["type"]: entry["status"] for entry in conditions}["ScalingActive"] == "False"


def test_a_workload_at_zero_is_left_alone() -> None:
    world = world_with(deployment("cart", replicas=0, memory="100Mi"), autoscaler())
    world.advance(600)
    assert pods(world, "cart") == []


def test_replicas_that_somebody_sets_by_hand_do_not_last() -> None:
    world = world_with(deployment("cart", memory="100Mi"), autoscaler())
    using(world, 10)
    world.cluster.patch("Deployment", "cart", NS, {"spec": {"replicas": 3}})
    world.advance(SETTLE_DOWN + 120)
    assert len(pods(world, "cart")) == 1
