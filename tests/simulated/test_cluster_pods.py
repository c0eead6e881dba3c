"""The life of pods: pulling, starting, crashing, probing, stopping; and their logs."""

from __future__ import annotations

import pytest

from harness.cluster import Invalid, Manifest
from harness.environments.simulated.controllers.containers import back_off
from harness.environments.simulated.world import World
from tests.simulated.cluster_fixtures import (
    MISSING_IMAGE,
    NS,
    FakeRuntime,
    container_patch,
    deployment,
    pods,
    reasons,
    service,
    world_with,
)


def broken(name: str = "cart", **container: object) -> Manifest:
    """A Deployment whose container differs from a healthy one."""
    manifest = deployment(name)
    manifest["spec"]["template"]["spec"]["containers"][0].update(container)
    return manifest


def container(world: World, app: str = "cart", field: str = "containerStatuses") -> Manifest:
    (pod,) = pods(world, app)
    found: Manifest = pod["status"][field][0]
    return found


def ready(world: World, app: str = "cart") -> str:
    (pod,) = pods(world, app)
    return next(str(entry["status"]) for entry in pod["status"]["conditions"] if entry["type"] == "Ready")


def test_a_pod_starts_after_its_startup_time() -> None:
    world = world_with()
    world.deploy([deployment("cart")])
    world.advance(2)
    (pod,) = pods(world, "cart")
    assert pod["status"]["phase"] == "Pending"
    assert container(world)["state"]["waiting"]["reason"] == "ContainerCreating"
    world.advance(1)
    assert container(world)["state"].keys() == {"running"}
    assert ready(world) == "True"
    assert reasons(world, pod["metadata"]["name"]) == ["Scheduled", "Pulling", "Pulled", "Created", "Started"]


def test_an_image_that_cannot_be_pulled_is_tried_again_with_growing_pauses() -> None:
    world = world_with(broken(image=MISSING_IMAGE))
    seen = set()
    for _ in range(60):
        world.advance(1)
        seen.add(container(world)["state"]["waiting"]["reason"])
    assert seen == {"ErrImagePull", "ImagePullBackOff"}
    world.advance(3600)
    pulls = [event for event in world.store.events if event["reason"] == "Pulling"]
    assert pulls[0]["count"] == 16  # 10, 20, ... 300 s apart, each seen 12 s late
    assert pods(world, "cart")[0]["status"]["phase"] == "Pending"


def test_an_image_that_is_corrected_is_pulled() -> None:
    world = world_with(broken(image=MISSING_IMAGE))
    (pod,) = pods(world, "cart")
    fix = {"spec": {"containers": [{"name": "cart", "image": "registry.example/cart:2"}]}}
    world.cluster.patch("Pod", pod["metadata"]["name"], NS, fix)
    world.advance(5)
    assert ready(world) == "True"


def test_back_off_doubles_up_to_five_minutes() -> None:
    assert [back_off(n) for n in range(1, 8)] == [10, 20, 40, 80, 160, 300, 300]


def test_a_crash_loop_counts_restarts_and_keeps_the_last_state() -> None:
    world = world_with(broken(command=["exit", "3"]))
    state = container(world)
    assert state["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert state["lastState"]["terminated"]["reason"] == "Error"
    assert state["lastState"]["terminated"]["exitCode"] == 3
    assert state["restartCount"] == 3
    assert ready(world) == "False"
    assert pods(world, "cart")[0]["status"]["phase"] == "Running"
    assert "BackOff" in reasons(world)
    world.advance(1800)
    assert 8 <= container(world)["restartCount"] <= 10


@pytest.mark.parametrize(
    ("command", "reason", "code"), [("oom", "OOMKilled", 137), ("invalid-command", "StartError", 128)]
)
def test_how_a_container_ended_is_told(command: str, reason: str, code: int) -> None:
    world = world_with(broken(command=[command]))
    last = container(world)["lastState"]["terminated"]
    assert (last["reason"], last["exitCode"]) == (reason, code)


def test_a_command_that_the_image_lacks_never_runs() -> None:
    world = world_with()
    world.deploy([broken(command=["invalid-command"])])
    seen = set()
    for _ in range(90):
        world.advance(1)
        seen.add(container(world)["state"].get("waiting", {}).get("reason"))
        assert ready(world) == "False"
    assert seen == {"ContainerCreating", "RunContainerError", "CrashLoopBackOff"}


def test_init_containers_come_first_and_may_hang_or_crash() -> None:
    def init(*command: str) -> list[Manifest]:
        return [{"name": "worker", "image": "registry.example/init:1", "command": list(command)}]

    hanging = deployment("hang", initContainers=init("sleep", "infinity"))
    crashing = deployment("crash", initContainers=init("exit", "1"))
    passing = deployment("pass", initContainers=init("exit", "0"))
    world = world_with(hanging, crashing, passing)
    world.advance(600)
    assert container(world, "hang")["state"]["waiting"]["reason"] == "PodInitializing"
    assert "running" in container(world, "hang", "initContainerStatuses")["state"]
    crashed = container(world, "crash", "initContainerStatuses")
    assert crashed["restartCount"] > 3
    assert crashed["lastState"]["terminated"]["exitCode"] == 1
    assert container(world, "crash")["state"]["waiting"]["reason"] == "PodInitializing"
    assert container(world, "pass", "initContainerStatuses")["state"]["terminated"]["reason"] == "Completed"
    assert ready(world, "pass") == "True"


PROBE = {"httpGet": {"path": "/ready", "port": 40}, "periodSeconds": 5, "failureThreshold": 3}


def test_a_failing_readiness_probe_keeps_the_pod_out_of_the_endpoints() -> None:
    runtime = FakeRuntime()
    runtime.unready.add("cart")
    world = World(1, runtime)
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NS}}
    world.deploy([namespace, broken(readinessProbe=PROBE), service("cart")])
    world.advance(60)
    assert "running" in container(world)["state"]
    assert ready(world) == "False"
    (subset,) = world.cluster.get("Endpoints", "cart", NS)["subsets"]
    assert "addresses" not in subset
    assert len(subset["notReadyAddresses"]) == 1
    unhealthy = next(event for event in world.store.events if event["reason"] == "Unhealthy")
    assert ":40/ready" in unhealthy["message"]
    runtime.unready.clear()
    world.advance(60)
    assert ready(world) == "True"


def test_a_probe_that_begins_to_fail_is_noticed_after_its_threshold() -> None:
    world = world_with(broken(readinessProbe=PROBE))
    assert isinstance(world.runtime, FakeRuntime)
    world.runtime.unready.add("cart")
    world.deploy([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "any", "namespace": NS}}])
    world.advance(14)
    assert ready(world) == "True"
    world.advance(1)
    assert ready(world) == "False"


def test_missing_configuration_holds_a_container_back_until_it_exists() -> None:
    key = {"configMapKeyRef": {"name": "settings", "key": "level"}}
    volumes = [{"name": "files", "configMap": {"name": "settings"}}]
    world = world_with(
        broken("env", env=[{"name": "LEVEL", "valueFrom": key}]), deployment("mount", volumes=volumes)
    )
    problem = container(world, "env")["state"]["waiting"]
    assert problem == {"reason": "CreateContainerConfigError", "message": 'configmap "settings" not found'}
    assert container(world, "mount")["state"]["waiting"]["reason"] == "ContainerCreating"
    assert "FailedMount" in reasons(world, "mount")
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": NS}}
    world.cluster.apply({**settings, "data": {"level": "info"}})
    world.advance(5)
    assert (ready(world, "env"), ready(world, "mount")) == ("True", "True")


def test_a_deleted_pod_leaves_the_endpoints_at_once_and_goes_after_a_moment() -> None:
    world = world_with(deployment("cart"), service("cart"))
    (old,) = pods(world, "cart")
    world.cluster.delete("Pod", old["metadata"]["name"], NS)
    assert "deletionTimestamp" in world.cluster.get("Pod", old["metadata"]["name"], NS)["metadata"]
    assert not any(s.get("addresses") for s in world.cluster.get("Endpoints", "cart", NS)["subsets"])
    world.advance(5)
    (new,) = pods(world, "cart")
    assert new["metadata"]["name"] != old["metadata"]["name"]
    (subset,) = world.cluster.get("Endpoints", "cart", NS)["subsets"]
    assert subset["addresses"][0]["targetRef"]["name"] == new["metadata"]["name"]


def test_a_wrong_target_port_keeps_the_endpoints_but_with_the_wrong_port() -> None:
    world = world_with(deployment("cart"), service("cart"))
    world.cluster.patch("Service", "cart", NS, {"spec": {"ports": [{"port": 80, "targetPort": 9999}]}})
    (subset,) = world.cluster.get("Endpoints", "cart", NS)["subsets"]
    assert [port["port"] for port in subset["ports"]] == [9999]
    assert len(subset["addresses"]) == 1
    world.cluster.patch("Service", "cart", NS, {"spec": {"ports": [{"port": 80, "targetPort": "nope"}]}})
    assert world.cluster.get("Endpoints", "cart", NS)["subsets"] == []


def test_logs_of_this_run_and_the_one_before() -> None:
    world = world_with(
        broken("crash", command=["exit", "1"]), deployment("cart"), broken(image=MISSING_IMAGE)
    )
    (pod,) = pods(world, "crash")
    name = pod["metadata"]["name"]
    assert [line.text for line in world.cluster.logs(name, NS, previous=True)] == ["starting", "cannot go on"]
    (pod,) = pods(world, "cart")
    with pytest.raises(Invalid, match="is waiting to start: trying and failing to pull image"):
        world.cluster.logs(pod["metadata"]["name"], NS)
    world.cluster.patch("Deployment", "cart", NS, container_patch("cart", image="registry.example/cart:2"))
    world.advance(30)
    (pod,) = pods(world, "cart")
    lines = world.cluster.logs(pod["metadata"]["name"], NS)
    assert [line.text for line in lines] == ["listening", "still here"]
    assert [line.text for line in world.cluster.logs(pod["metadata"]["name"], NS, tail=1)] == ["still here"]


def test_a_pod_that_is_meant_to_end_ends() -> None:
    pod = deployment("job")["spec"]["template"]
    pod["spec"]["containers"][0]["command"] = ["exit", "0"]
    pod["spec"]["restartPolicy"] = "Never"
    world = world_with(
        {"apiVersion": "v1", "kind": "Pod", **pod, "metadata": {"name": "job", "namespace": NS}}
    )
    assert world.cluster.get("Pod", "job", NS)["status"]["phase"] == "Succeeded"
