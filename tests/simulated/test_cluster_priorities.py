"""Priorities and claims: who is evicted for whom, and which pods wait for storage."""

from __future__ import annotations

import pytest

from harness.cluster import Forbidden, Invalid, Manifest, NotFound
from harness.environments.simulated.controllers.base import is_true
from harness.environments.simulated.world import World
from tests.simulated.cluster_fixtures import NS, deployment, pods, reasons, world_with


def priority_class(name: str, value: int) -> Manifest:
    metadata = {"name": name}
    return {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": metadata,
        "value": value,
    }


HIGH, LOW = priority_class("high", 1000), priority_class("low", 10)
ON_ONE = {"nodeSelector": {"kubernetes.io/hostname": "kind-worker"}}


def ready(world: World, app: str) -> int:
    return sum(is_true(pod, "Ready") for pod in pods(world, app))


def test_a_pod_of_higher_priority_takes_the_place_of_one_that_is_in_its_way() -> None:
    world = world_with(
        HIGH, LOW,
        deployment("batch", memory="9Gi", priorityClassName="low", **ON_ONE),
        deployment("idle", memory="64Mi", priorityClassName="low", **ON_ONE),
    )  # fmt: skip
    world.deploy([deployment("shop", memory="9Gi", priorityClassName="high", **ON_ONE)])
    world.advance(60)
    assert (ready(world, "shop"), ready(world, "batch"), ready(world, "idle")) == (1, 0, 1)
    assert "Preempted" in reasons(world, "batch")
    assert not any(pod["spec"].get("nodeName") for pod in pods(world, "batch"))


def test_the_least_important_pods_are_evicted() -> None:
    world = world_with(
        HIGH, LOW,
        deployment("some", memory="8Gi", priorityClassName="low", **ON_ONE),
        deployment("none", memory="8Gi", **ON_ONE),
    )  # fmt: skip
    world.deploy([deployment("shop", memory="8Gi", priorityClassName="high", **ON_ONE)])
    world.advance(60)
    assert (ready(world, "shop"), ready(world, "some"), ready(world, "none")) == (1, 1, 0)


@pytest.mark.parametrize("rank", [{}, {"priorityClassName": "low"}])
def test_equals_are_not_evicted(rank: dict[str, object]) -> None:
    world = world_with(LOW, deployment("first", memory="9Gi", **rank, **ON_ONE))
    world.deploy([deployment("second", memory="9Gi", **rank, **ON_ONE)])
    world.advance(60)
    assert (ready(world, "first"), ready(world, "second")) == (1, 0)


def test_nobody_is_evicted_where_it_would_not_help() -> None:
    elsewhere = {"nodeSelector": {"kubernetes.io/hostname": "no-such-node"}}
    world = world_with(HIGH, deployment("batch", memory="9Gi", **ON_ONE))
    world.deploy([deployment("shop", memory="9Gi", priorityClassName="high", **elsewhere)])
    world.advance(60)
    assert (ready(world, "batch"), ready(world, "shop")) == (1, 0)


def test_room_that_is_being_made_is_counted_once() -> None:
    world = world_with(HIGH, *(deployment(f"batch{n}", memory="4Gi", **ON_ONE) for n in range(4)))
    world.deploy([deployment("shop", replicas=2, memory="4Gi", priorityClassName="high", **ON_ONE)])
    world.advance(60)
    assert ready(world, "shop") == 2
    assert sum(ready(world, f"batch{n}") for n in range(4)) == 2


def test_a_pod_of_an_unknown_class_is_refused() -> None:
    world = world_with(deployment("shop", priorityClassName="royal"))
    assert pods(world, "shop") == []
    assert "FailedCreate" in reasons(world, "shop")
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one", "namespace": NS},
           "spec": {"containers": [{"name": "c", "image": "i"}], "priorityClassName": "royal"}}  # fmt: skip
    with pytest.raises(Forbidden, match="no PriorityClass with name royal was found"):
        world.cluster.apply(pod)


# --- claims


def claim(name: str = "data", **spec: object) -> Manifest:
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "25Mi"}}}
    metadata = {"name": name, "namespace": NS}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata,
        "spec": {**wanted, **spec},
    }


def storing(name: str = "data") -> Manifest:
    return deployment("shop", volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": name}}])


def test_a_claim_without_a_class_is_bound_to_a_volume_of_the_default_one() -> None:
    world = world_with(claim(), storing())
    bound = world.cluster.get("PersistentVolumeClaim", "data", NS)
    assert bound["status"]["phase"] == "Bound"
    assert bound["spec"]["storageClassName"] == "standard"
    assert (
        world.cluster.get("PersistentVolume", bound["spec"]["volumeName"])["spec"]["claimRef"]["name"]
        == "data"
    )
    assert ready(world, "shop") == 1


def test_a_claim_of_an_unknown_class_keeps_its_pods_waiting_until_the_class_exists() -> None:
    world = world_with(claim(storageClassName="fast"), storing())
    (pod,) = pods(world, "shop")
    (condition,) = pod["status"]["conditions"]
    assert "pod has unbound immediate PersistentVolumeClaims" in condition["message"]
    assert "ProvisioningFailed" in reasons(world, "data")
    world.cluster.apply(
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": "fast"},
            "provisioner": "x",
        }
    )
    world.advance(30)
    assert ready(world, "shop") == 1


def test_a_pod_waits_for_a_claim_that_does_not_exist_yet() -> None:
    world = world_with(storing())
    assert ready(world, "shop") == 0
    world.cluster.apply(claim())
    world.advance(30)
    assert ready(world, "shop") == 1


def test_the_class_of_a_claim_cannot_be_changed_and_its_volume_goes_with_it() -> None:
    world = world_with(claim())
    volume = world.cluster.get("PersistentVolumeClaim", "data", NS)["spec"]["volumeName"]
    with pytest.raises(Invalid, match="spec is immutable after creation"):
        world.cluster.patch("PersistentVolumeClaim", "data", NS, {"spec": {"storageClassName": "fast"}})
    world.cluster.delete("PersistentVolumeClaim", "data", NS)
    with pytest.raises(NotFound):
        world.cluster.get("PersistentVolume", volume)
