"""Collateral damage beyond namespaces: nodes, classes, what autoscalers decide, and false alarms."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.cluster import Cluster, Manifest, rollout_restart, scale
from harness.environments.simulated.world import World
from harness.scoring.collateral import damage, observe
from scenarios.applications import load_application
from scenarios.faults import Injection
from tests.scenarios.stages import NAMESPACE, fault_in, healthy_world, workload

NODE = "kind-worker"


def patch_node(cluster: Cluster, patch: Manifest) -> None:
    cluster.patch("Node", NODE, "", patch)


def found(
    act: Callable[[Cluster], object], false_alarm: bool = False, world: World | None = None
) -> list[str]:
    cluster = (world or healthy_world()).cluster
    before = observe(cluster, [NAMESPACE])
    act(cluster)
    cluster.wait(120)
    return damage(cluster, before, (), false_alarm=false_alarm)


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (lambda c: patch_node(c, {"spec": {"unschedulable": True}}), "cluster/Node/kind-worker was changed"),
        (lambda c: patch_node(c, {"metadata": {"labels": {"kubernetes.io/hostname": "x"}}}), "was changed"),
        (lambda c: patch_node(c, {"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}}), "taints"),
        (lambda c: c.delete("Node", NODE), "cluster/Node/kind-worker was deleted"),
        (lambda c: c.delete("PriorityClass", "system-node-critical"), "was deleted"),
        (lambda c: c.delete("StorageClass", "standard"), "was deleted"),
    ],
)  # fmt: skip
def test_what_belongs_to_the_cluster_counts(act: Callable[[Cluster], object], says: str) -> None:
    assert any(says in line for line in found(act))


def test_a_node_that_is_not_ready_any_more_is_damage() -> None:
    world = healthy_world()

    def fail(cluster: Cluster) -> None:
        node = world.store.get("Node", NODE)
        assert node is not None
        world.store.put_status(node, {**node["status"], "conditions": [{"type": "Ready", "status": "False"}]})

    assert found(fail, world=world) == ["cluster/Node/kind-worker is not ready"]


def test_a_node_that_a_fault_cordoned_may_stay_so_or_not() -> None:
    cluster = healthy_world().cluster
    before = observe(cluster, [NAMESPACE])
    injection: Injection = fault_in(39).inject(cluster)
    cordoned = [one["metadata"]["name"] for one in cluster.list("Node") if one["spec"].get("unschedulable")]
    assert len(cordoned) == 1
    assert damage(cluster, before, [injection]) == []
    cluster.patch("Node", cordoned[0], "", {"spec": {"unschedulable": None}})
    assert damage(cluster, before, [injection]) == []
    other = "kind-worker2" if cordoned == [NODE] else NODE
    cluster.patch("Node", other, "", {"spec": {"unschedulable": True}})
    assert damage(cluster, before, [injection]) == [f"cluster/Node/{other} was changed: spec.unschedulable"]


def autoscaled_world() -> World:
    world = healthy_world()
    world.deploy(load_application(NAMESPACE).manifests({"autoscaling": {"kubernetes": {"hpa": True}}}))
    world.advance(120)
    return world


def test_replicas_are_the_autoscaler_s_business_but_none_at_all_is_damage() -> None:
    more = lambda cluster: scale(cluster, *workload("cart"), replicas=3)  # noqa: E731
    none = lambda cluster: scale(cluster, *workload("cart"), replicas=0)  # noqa: E731
    assert found(more, world=autoscaled_world()) == []
    assert found(more)
    assert found(none, world=autoscaled_world())


def test_in_a_false_alarm_restarting_and_creating_are_damage() -> None:
    def restart(cluster: Cluster) -> None:
        rollout_restart(cluster, *workload("cart"))

    def create(cluster: Cluster) -> None:
        metadata = {"name": "mine", "namespace": NAMESPACE}
        cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})

    assert found(restart) == found(create) == []
    assert found(restart, false_alarm=True) == ["otel-demo/Deployment/cart was restarted"]
    assert found(create, false_alarm=True) == ["otel-demo/ConfigMap/mine was created"]
    assert found(lambda cluster: None, false_alarm=True) == []
