"""Deployments, DaemonSets and StatefulSets: what happens to the pods that serve."""

from __future__ import annotations

import re

import pytest

from harness.cluster import (
    Manifest,
    is_rolled_out,
    owned_replica_sets,
    revision_of,
    rollout_restart,
    rollout_undo,
    scale,
)
from harness.environments.simulated.controllers.rollout import surge_and_unavailable
from harness.environments.simulated.world import World
from tests.simulated.cluster_fixtures import (
    MISSING_IMAGE,
    NS,
    container_patch,
    deployment,
    pods,
    reasons,
    world_with,
)


def status(world: World, name: str = "cart") -> Manifest:
    found: Manifest = world.cluster.get("Deployment", name, NS)["status"]
    return found


def conditions(world: World, name: str = "cart") -> dict[str, str]:
    return {entry["type"]: entry["reason"] for entry in status(world, name)["conditions"]}


def live(world: World, app: str = "cart") -> set[str]:
    """Names of the app's pods that are not being deleted."""
    return {p["metadata"]["name"] for p in pods(world, app) if "deletionTimestamp" not in p["metadata"]}


def test_a_deployment_becomes_available_with_names_as_the_real_thing_gives_them() -> None:
    world = world_with(deployment("cart", replicas=2))
    assert is_rolled_out(world.cluster.get("Deployment", "cart", NS))
    assert conditions(world) == {
        "Available": "MinimumReplicasAvailable",
        "Progressing": "NewReplicaSetAvailable",
    }
    for pod in pods(world, "cart"):
        assert re.fullmatch(r"cart-[4-9bcdf]{6,10}-[bcdfghj-np-tv-z24-9]{5}", pod["metadata"]["name"])
        assert pod["metadata"]["generateName"] == f"cart-{pod['metadata']['labels']['pod-template-hash']}-"


@pytest.mark.parametrize(
    "fault",
    [
        container_patch("cart", image=MISSING_IMAGE),
        container_patch("cart", command=["invalid-command"]),
        {"spec": {"template": {"spec": {"nodeSelector": {"kubernetes.io/hostname": "invalid-node-7"}}}}},
    ],
    ids=["image", "command", "node"],
)
def test_a_rollout_that_never_becomes_ready_keeps_the_old_pod_serving(fault: Manifest) -> None:
    world = world_with(deployment("cart"))
    (old,) = live(world)
    world.cluster.patch("Deployment", "cart", NS, fault)
    world.advance(700)
    assert old in live(world)
    assert len(live(world)) == 2
    assert status(world)["availableReplicas"] == 1
    assert status(world)["updatedReplicas"] == 1
    assert conditions(world)["Progressing"] == "ProgressDeadlineExceeded"
    assert conditions(world)["Available"] == "MinimumReplicasAvailable"
    assert not is_rolled_out(world.cluster.get("Deployment", "cart", NS))


def test_a_crash_loop_without_readiness_probe_takes_the_old_pod_down() -> None:
    world = world_with(deployment("cart"))
    (old,) = live(world)
    world.cluster.patch("Deployment", "cart", NS, container_patch("cart", command=["exit", "1"]))
    world.advance(60)
    assert old not in live(world)
    assert conditions(world)["Available"] == "MinimumReplicasUnavailable"


def test_deleting_the_old_pod_of_a_stuck_rollout_still_makes_it_again_from_the_old_template() -> None:
    world = world_with(deployment("cart"))
    (old,) = live(world)
    world.cluster.patch("Deployment", "cart", NS, container_patch("cart", image=MISSING_IMAGE))
    world.advance(30)
    world.cluster.delete("Pod", old, NS)
    world.advance(0)
    assert old not in live(world)
    assert len(live(world)) == 2


def test_undo_restores_the_template_and_reuses_its_replica_set_with_a_new_revision() -> None:
    world = world_with(deployment("cart"))
    (old,) = live(world)
    original = world.cluster.get("Deployment", "cart", NS)["spec"]["template"]
    world.cluster.patch("Deployment", "cart", NS, container_patch("cart", image=MISSING_IMAGE))
    world.advance(30)
    rollout_undo(world.cluster, "cart", NS)
    world.advance(30)
    after = world.cluster.get("Deployment", "cart", NS)
    assert after["spec"]["template"] == original
    assert live(world) == {old}
    assert revision_of(after) == 3
    revisions = sorted(revision_of(rs) for rs in owned_replica_sets(world.cluster, after))
    assert revisions == [2, 3]


def test_undo_of_scaling_to_zero_restores_nothing() -> None:
    world = world_with(deployment("cart"))
    rollout_restart(world.cluster, "Deployment", "cart", NS)
    world.advance(30)
    scale(world.cluster, "Deployment", "cart", NS, 0)
    rollout_undo(world.cluster, "cart", NS)
    world.advance(60)
    assert world.cluster.get("Deployment", "cart", NS)["spec"]["replicas"] == 0
    assert live(world) == set()


def test_a_rolling_update_never_has_fewer_available_pods_than_allowed() -> None:
    world = world_with(deployment("cart", replicas=4))
    world.cluster.patch("Deployment", "cart", NS, container_patch("cart", env=[{"name": "A", "value": "1"}]))
    seen = []
    for _ in range(40):
        world.advance(1)
        seen.append((status(world).get("availableReplicas", 0), len(live(world))))
    assert min(available for available, _ in seen) >= 3
    assert max(total for _, total in seen) <= 5
    assert seen[-1] == (4, 4)


def test_recreate_takes_all_old_pods_down_before_it_makes_new_ones() -> None:
    manifest = deployment("cart", replicas=2)
    manifest["spec"]["strategy"] = {"type": "Recreate"}
    world = world_with(manifest)
    old = live(world)
    world.cluster.patch("Deployment", "cart", NS, container_patch("cart", image=MISSING_IMAGE))
    assert live(world) == set()
    world.advance(30)
    assert len(live(world)) == 2
    assert old.isdisjoint(live(world))
    assert status(world).get("availableReplicas", 0) == 0


def test_scaling_during_a_stuck_rollout_keeps_both_replica_sets_in_proportion() -> None:
    world = world_with(deployment("cart", replicas=4))
    world.cluster.patch("Deployment", "cart", NS, container_patch("cart", image=MISSING_IMAGE))
    world.advance(30)
    assert status(world)["availableReplicas"] == 3
    scale(world.cluster, "Deployment", "cart", NS, 8)
    world.advance(30)
    sets = world.store.list("ReplicaSet", NS)
    assert sum(rs["spec"]["replicas"] for rs in sets) == 10
    assert status(world)["availableReplicas"] == 6


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [
        (1, "25%", "25%", (1, 0)),
        (4, "25%", "25%", (1, 1)),
        (10, "25%", "25%", (3, 2)),
        (3, 0, 0, (0, 1)),
        (3, 2, "50%", (2, 1)),
    ],
)
def test_surge_rounds_up_and_unavailable_rounds_down(
    replicas: int, surge: int | str, unavailable: int | str, expected: tuple[int, int]
) -> None:
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    spec = {"replicas": replicas, "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling}}
    assert surge_and_unavailable({"spec": spec}) == expected


def test_history_is_kept_to_its_limit() -> None:
    manifest = deployment("cart")
    manifest["spec"]["revisionHistoryLimit"] = 2
    world = world_with(manifest)
    for number in range(5):
        env = [{"name": "A", "value": str(number)}]
        world.cluster.patch("Deployment", "cart", NS, container_patch("cart", env=env))
        world.advance(30)
    assert sorted(revision_of(rs) for rs in world.store.list("ReplicaSet", NS)) == [4, 5, 6]


def test_a_paused_deployment_does_not_roll_out() -> None:
    world = world_with(deployment("cart"))
    before = live(world)
    world.cluster.patch("Deployment", "cart", NS, {"spec": {"paused": True}})
    world.cluster.patch("Deployment", "cart", NS, container_patch("cart", env=[{"name": "A", "value": "1"}]))
    world.advance(60)
    assert live(world) == before
    world.cluster.patch("Deployment", "cart", NS, {"spec": {"paused": None}})
    world.advance(60)
    assert live(world).isdisjoint(before)


def daemon_set(name: str = "agent", **fields: object) -> Manifest:
    manifest = deployment(name, **fields)  # type: ignore[arg-type]
    manifest["kind"] = "DaemonSet"
    del manifest["spec"]["replicas"]
    return manifest


def test_a_daemon_set_has_a_pod_on_each_node_that_takes_it() -> None:
    everywhere = daemon_set("all", tolerations=[{"operator": "Exists"}])
    world = world_with(daemon_set(), everywhere)
    assert {pod["spec"]["nodeName"] for pod in pods(world, "agent")} == {"kind-worker", "kind-worker2"}
    assert len(pods(world, "all")) == 3
    found = world.cluster.get("DaemonSet", "agent", NS)["status"]
    assert (found["desiredNumberScheduled"], found["numberReady"]) == (2, 2)


def test_a_daemon_set_updates_one_pod_after_the_other() -> None:
    world = world_with(daemon_set())
    before = live(world, "agent")
    world.cluster.patch("DaemonSet", "agent", NS, container_patch("agent", image=MISSING_IMAGE))
    world.advance(60)
    assert len(live(world, "agent") & before) == 1
    world.cluster.patch("DaemonSet", "agent", NS, container_patch("agent", image="registry.example/agent:2"))
    world.advance(60)
    assert live(world, "agent").isdisjoint(before)
    assert world.cluster.get("DaemonSet", "agent", NS)["status"]["numberReady"] == 2


def test_a_stateful_set_creates_in_order_and_keeps_names() -> None:
    manifest = deployment("db", replicas=3)
    manifest["kind"] = "StatefulSet"
    world = world_with(manifest)
    assert sorted(live(world, "db")) == ["db-0", "db-1", "db-2"]
    world.cluster.delete("Pod", "db-1", NS)
    world.advance(30)
    assert is_rolled_out(world.cluster.get("StatefulSet", "db", NS))
    world.cluster.patch("StatefulSet", "db", NS, container_patch("db", image=MISSING_IMAGE))
    world.advance(60)
    images = {pod["metadata"]["name"]: pod["spec"]["containers"][0]["image"] for pod in pods(world, "db")}
    assert [name for name, image in images.items() if image == MISSING_IMAGE] == ["db-2"]
    scale(world.cluster, "StatefulSet", "db", NS, 1)
    world.advance(60)
    assert "db-2" not in live(world, "db")


def test_scaling_events_say_from_and_to() -> None:
    world = world_with(deployment("cart"))
    scale(world.cluster, "Deployment", "cart", NS, 3)
    messages = [e["message"] for e in world.store.events if e["reason"] == "ScalingReplicaSet"]
    name = world.store.list("ReplicaSet", NS)[0]["metadata"]["name"]
    assert messages == [
        f"Scaled up replica set {name} from 0 to 1",
        f"Scaled up replica set {name} from 1 to 3",
    ]
    assert "SuccessfulCreate" in reasons(world, name)
