"""Where pods may run: selectors, affinity, room on the nodes, cordons, quotas."""

from __future__ import annotations

from harness.cluster import Manifest, is_rolled_out, rollout_undo, scale
from harness.environments.simulated.world import World
from tests.simulated.cluster_fixtures import NS, deployment, pods, world_with

CORDON = {"spec": {"unschedulable": True}}


def pending(world: World, app: str) -> list[str]:
    """The scheduler's last word on each pod that has no node."""
    return [
        pod["status"]["conditions"][0]["message"]
        for pod in pods(world, app)
        if not pod["spec"].get("nodeName")
    ]


def pinned(app: str, node: str, **fields: object) -> Manifest:
    return deployment(app, nodeSelector={"kubernetes.io/hostname": node}, **fields)  # type: ignore[arg-type]


def quota(memory: str) -> Manifest:
    metadata = {"name": "memory", "namespace": NS}
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": metadata,
        "spec": {"hard": {"memory": memory}},
    }


def test_a_selector_that_no_node_satisfies_is_explained_as_the_scheduler_does() -> None:
    world = world_with(pinned("cart", "invalid-node-1"))
    assert pending(world, "cart") == [
        "0/3 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, "
        "2 node(s) didn't match Pod's node affinity/selector. preemption: 0/3 nodes are available: "
        "3 Preemption is not helpful for scheduling."
    ]


def test_pods_spread_over_the_workers_and_avoid_the_control_plane() -> None:
    world = world_with(deployment("cart", replicas=6))
    nodes = [pod["spec"]["nodeName"] for pod in pods(world, "cart")]
    assert {node: nodes.count(node) for node in nodes} == {"kind-worker": 3, "kind-worker2": 3}


def test_a_cordoned_node_takes_no_pod_until_it_is_uncordoned() -> None:
    world = world_with(pinned("cart", "kind-worker"))
    world.cluster.patch("Node", "kind-worker", "", CORDON)
    scale(world.cluster, "Deployment", "cart", NS, 2)
    world.advance(60)
    (message,) = pending(world, "cart")
    assert "1 node(s) were unschedulable" in message
    world.cluster.patch("Node", "kind-worker", "", {"spec": {"unschedulable": None}})
    world.advance(60)
    assert is_rolled_out(world.cluster.get("Deployment", "cart", NS))


def test_a_pod_waits_for_room_and_takes_it_when_another_goes() -> None:
    world = world_with(
        pinned("big", "kind-worker", memory="12Gi"), pinned("cart", "kind-worker", memory="6Gi")
    )
    assert [message.partition(". ")[0] for message in pending(world, "cart")] == [
        "0/3 nodes are available: 1 Insufficient memory, 1 node(s) didn't match Pod's node affinity/selector, "
        "1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }"
    ]
    world.cluster.delete("Deployment", "big", NS)
    world.advance(10)
    assert pending(world, "cart") == []


def test_anti_affinity_to_a_daemon_on_every_node_leaves_the_new_pod_pending_and_the_old_one_serving() -> None:
    daemon = deployment("operator", tolerations=[{"operator": "Exists"}])
    daemon["kind"] = "DaemonSet"
    del daemon["spec"]["replicas"]
    world = world_with(deployment("cart"), daemon)
    term = {"labelSelector": {"matchLabels": {"app": "operator"}}, "topologyKey": "kubernetes.io/hostname"}
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    world.cluster.patch("Deployment", "cart", NS, {"spec": {"template": {"spec": {"affinity": affinity}}}})
    world.advance(400)
    assert len(pods(world, "cart")) == 2
    (message,) = pending(world, "cart")
    assert "2 node(s) didn't match pod anti-affinity rules" in message
    failed = [event for event in world.store.events if event["reason"] == "FailedScheduling"]
    assert failed[0]["count"] > 1
    rollout_undo(world.cluster, "cart", NS)
    world.advance(30)
    assert is_rolled_out(world.cluster.get("Deployment", "cart", NS))


def test_removing_the_daemon_lets_the_waiting_pod_in() -> None:
    daemon = deployment("operator")
    daemon["kind"] = "DaemonSet"
    del daemon["spec"]["replicas"]
    term = {"labelSelector": {"matchLabels": {"app": "operator"}}, "topologyKey": "kubernetes.io/hostname"}
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    world = world_with(daemon)
    world.deploy([deployment("cart", affinity=affinity)])
    world.advance(30)
    assert len(pending(world, "cart")) == 1
    world.cluster.delete("DaemonSet", "operator", NS)
    world.advance(30)
    assert is_rolled_out(world.cluster.get("Deployment", "cart", NS))


def test_a_quota_refuses_what_is_made_anew_and_leaves_what_runs() -> None:
    world = world_with(deployment("cart", memory="2Gi"), deployment("ad", memory="256Mi"))
    world.deploy([quota("1Gi")])
    world.advance(60)
    assert (len(pods(world, "cart")), len(pods(world, "ad"))) == (1, 1)
    scale(world.cluster, "Deployment", "ad", NS, 0)
    world.advance(60)
    scale(world.cluster, "Deployment", "ad", NS, 1)
    world.advance(60)
    assert pods(world, "ad") == []
    (event,) = {
        e["message"].partition("exceeded")[2]: e for e in world.store.events if e["reason"] == "FailedCreate"
    }
    assert event == " quota: memory, requested: memory=256Mi, used: memory=2Gi, limited: memory=1Gi"
    conditions = world.cluster.get("Deployment", "ad", NS)["status"]["conditions"]
    assert {c["type"]: c["reason"] for c in conditions}["ReplicaFailure"] == "FailedCreate"
    assert world.cluster.get("ResourceQuota", "memory", NS)["status"]["used"] == {"memory": "2Gi"}


def test_restarting_under_a_quota_does_not_get_a_new_pod_in() -> None:
    world = world_with(deployment("ad", memory="256Mi"))
    world.deploy([quota("300Mi")])
    (pod,) = pods(world, "ad")
    world.cluster.patch(
        "Deployment", "ad", NS, {"spec": {"template": {"metadata": {"annotations": {"a": "b"}}}}}
    )
    world.advance(600)
    assert pods(world, "ad") == [pod]


def test_raising_the_quota_lets_the_pod_in_at_once() -> None:
    world = world_with(quota("1Mi"), deployment("ad", memory="256Mi"))
    world.advance(1800)
    assert pods(world, "ad") == []
    world.cluster.patch("ResourceQuota", "memory", NS, {"spec": {"hard": {"memory": "1Gi"}}})
    world.advance(10)
    assert is_rolled_out(world.cluster.get("Deployment", "ad", NS))


def test_a_quota_refuses_pods_that_do_not_say_what_they_need() -> None:
    manifest = deployment("ad")
    del manifest["spec"]["template"]["spec"]["containers"][0]["resources"]
    world = world_with(quota("1Gi"), manifest)
    (message,) = {
        e["message"].partition("is forbidden: ")[2] for e in world.store.events if e["type"] == "Warning"
    }
    assert message == "failed quota: memory: must specify memory for: ad"
