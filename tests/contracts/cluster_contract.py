"""What every Cluster must do, simulated or real. Subclass and provide the `cluster` fixture.

    class TestSomeCluster(ClusterContract):
        @pytest.fixture
        def cluster(self): ...

The workload is one container that sleeps; the image must have `sleep`. Time-outs are generous, because a real
cluster takes its time and a simulated one has plenty.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.cluster import (
    Cluster,
    Forbidden,
    Invalid,
    Manifest,
    NotFound,
    ObjectRef,
    exists,
    is_rolled_out,
    owned_replica_sets,
    revision_of,
    rollout_restart,
    rollout_undo,
    scale,
    wait_rolled_out,
    wait_until,
)

NS = "cluster-contract"
APP = "sleeper"
TARGET = ObjectRef("Deployment", APP, NS)


def workload(image: str, memory: str = "16Mi") -> Manifest:
    """A Deployment of one sleeping container."""
    container = {
        "name": APP,
        "image": image,
        "command": ["sleep", "infinity"],
        "env": [{"name": "FIRST", "value": "1"}, {"name": "SECOND", "value": "2"}],
        "ports": [{"name": "web", "containerPort": 8080}],
        "resources": {"requests": {"memory": memory}, "limits": {"memory": memory}},
    }
    pod = {"containers": [container], "terminationGracePeriodSeconds": 1}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": APP, "namespace": NS},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": APP}},
            "template": {"metadata": {"labels": {"app": APP}}, "spec": pod},
        },
    }


def service(target: int | str = "web") -> Manifest:
    """A Service in front of the workload."""
    ports = [{"name": "http", "port": 80, "targetPort": target}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": APP, "namespace": NS},
        "spec": {"selector": {"app": APP}, "ports": ports},
    }


def pods(cluster: Cluster) -> list[Manifest]:
    """The workload's pods that are not being deleted."""
    found = cluster.list("Pod", NS, {"app": APP})
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def names(manifests: list[Manifest]) -> set[str]:
    return {manifest["metadata"]["name"] for manifest in manifests}


def waiting_reasons(pod: Manifest) -> list[str]:
    statuses = pod["status"].get("containerStatuses", []) + pod["status"].get("initContainerStatuses", [])
    return [status["state"].get("waiting", {}).get("reason", "") for status in statuses]


def change(**fields: object) -> Manifest:
    """A patch of the workload's container."""
    return {"spec": {"template": {"spec": {"containers": [{"name": APP, **fields}]}}}}


class ClusterContract:
    """The tests. `image` and `missing_image` may be overridden."""

    image = "busybox:1.35"
    missing_image = "127.0.0.1:5000/does-not-exist:1"

    @pytest.fixture
    def deployed(self, cluster: Cluster) -> Iterator[Cluster]:
        """The cluster with the workload rolled out in its own namespace."""
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NS}})
        cluster.apply(workload(self.image))
        assert wait_rolled_out(cluster, TARGET)
        yield cluster
        cluster.delete("Namespace", NS)
        assert wait_until(cluster, lambda: not exists(cluster, ObjectRef("Namespace", NS)))

    # --- objects

    def test_what_is_not_there_is_not_found(self, deployed: Cluster) -> None:
        with pytest.raises(NotFound, match=r'deployments\.apps "nobody" not found'):
            deployed.get("Deployment", "nobody", NS)
        with pytest.raises(NotFound):
            deployed.patch("Deployment", "nobody", NS, {"spec": {"replicas": 2}})
        with pytest.raises(NotFound):
            deployed.delete("Service", "nobody", NS)
        with pytest.raises(NotFound):
            deployed.apply({**service(), "metadata": {"name": "x", "namespace": "no-such-namespace"}})

    def test_get_returns_a_copy_that_may_be_changed(self, deployed: Cluster) -> None:
        deployed.get("Deployment", APP, NS)["spec"]["replicas"] = 7
        assert deployed.get("Deployment", APP, NS)["spec"]["replicas"] == 1

    def test_list_selects_by_namespace_and_labels(self, deployed: Cluster) -> None:
        assert names(deployed.list("Deployment", NS)) == {APP}
        assert names(pods(deployed)) <= names(deployed.list("Pod"))
        assert deployed.list("Pod", NS, {"app": "other"}) == []
        assert deployed.list("Pod", "no-such-namespace") == []

    def test_apply_replaces_what_exists(self, deployed: Cluster) -> None:
        before = deployed.apply(service())
        after = deployed.apply(service(9999))
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        assert after["spec"]["clusterIP"] == before["spec"]["clusterIP"]
        assert after["spec"]["ports"][0]["targetPort"] == 9999

    def test_apply_takes_back_what_get_returned_even_after_a_change(self, deployed: Cluster) -> None:
        before = deployed.get("Deployment", APP, NS)
        deployed.patch("Deployment", APP, NS, {"metadata": {"labels": {"touched": "yes"}}})
        assert "touched" not in deployed.apply(before)["metadata"].get("labels", {})

    def test_a_generation_counts_changes_of_the_spec_only(self, deployed: Cluster) -> None:
        first = deployed.get("Deployment", APP, NS)["metadata"]["generation"]
        labelled = deployed.patch("Deployment", APP, NS, {"metadata": {"labels": {"touched": "yes"}}})
        assert labelled["metadata"]["generation"] == first
        assert scale(deployed, "Deployment", APP, NS, 2)["metadata"]["generation"] == first + 1

    def test_an_invalid_object_is_refused(self, deployed: Cluster) -> None:
        with pytest.raises(Invalid, match=r"spec.replicas.*greater than or equal to 0"):
            scale(deployed, "Deployment", APP, NS, -1)
        with pytest.raises(Invalid, match="must be less than or equal to memory limit"):
            deployed.patch("Deployment", APP, NS, change(resources={"requests": {"memory": "1Gi"}}))
        with pytest.raises(Invalid, match="Required value"):
            deployed.patch(
                "Deployment", APP, NS, {"spec": {"template": {"spec": {"containers": [{"name": "b"}]}}}}
            )
        assert is_rolled_out(deployed.get("Deployment", APP, NS))

    # --- patches

    def test_a_strategic_patch_merges_lists_by_name(self, deployed: Cluster) -> None:
        patch = change(env=[{"name": "SECOND", "value": "two"}, {"name": "FIRST", "$patch": "delete"}])
        patched = deployed.patch("Deployment", APP, NS, patch)
        (container,) = patched["spec"]["template"]["spec"]["containers"]
        assert container["env"] == [{"name": "SECOND", "value": "two"}]
        assert container["command"] == ["sleep", "infinity"]

    def test_a_strategic_patch_merges_service_ports_by_port(self, deployed: Cluster) -> None:
        deployed.apply(service())
        patch = {"spec": {"ports": [{"port": 80, "targetPort": 9999}]}}
        (port,) = deployed.patch("Service", APP, NS, patch)["spec"]["ports"]
        assert (port["name"], port["targetPort"]) == ("http", 9999)

    def test_null_removes_a_key_in_both_kinds_of_patch(self, deployed: Cluster) -> None:
        selector = {"spec": {"template": {"spec": {"nodeSelector": {"disk": "fast"}}}}}
        deployed.patch("Deployment", APP, NS, selector)
        gone = {"spec": {"template": {"spec": {"nodeSelector": {"disk": None}}}}}
        patched = deployed.patch("Deployment", APP, NS, gone)
        assert not patched["spec"]["template"]["spec"].get("nodeSelector")
        removed = deployed.patch("Deployment", APP, NS, change(resources={"limits": None}))
        assert "limits" not in removed["spec"]["template"]["spec"]["containers"][0]["resources"]

    def test_a_merge_patch_replaces_lists(self, deployed: Cluster) -> None:
        deployed.apply(service())
        ports = [{"name": "other", "port": 81, "targetPort": 8081, "protocol": "TCP"}]
        patched = deployed.patch("Service", APP, NS, {"spec": {"ports": ports}}, strategy="merge")
        assert [port["name"] for port in patched["spec"]["ports"]] == ["other"]

    def test_a_config_map_keeps_the_keys_that_a_patch_does_not_name(self, deployed: Cluster) -> None:
        deployed.apply(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "c", "namespace": NS},
                "data": {"a": "1", "b": "2"},
            }
        )
        assert deployed.patch("ConfigMap", "c", NS, {"data": {"b": "3"}})["data"] == {"a": "1", "b": "3"}

    # --- workloads

    def test_a_deleted_pod_is_made_again(self, deployed: Cluster) -> None:
        (pod,) = pods(deployed)
        deployed.delete("Pod", pod["metadata"]["name"], NS)
        assert wait_until(deployed, lambda: is_rolled_out(deployed.get("Deployment", APP, NS)))
        assert names(pods(deployed)).isdisjoint(names([pod]))

    def test_scaling_to_zero_and_back(self, deployed: Cluster) -> None:
        scale(deployed, "Deployment", APP, NS, 0)
        assert wait_rolled_out(deployed, TARGET)
        assert wait_until(deployed, lambda: not pods(deployed))
        scale(deployed, "Deployment", APP, NS, 2)
        assert wait_rolled_out(deployed, TARGET)
        assert len(pods(deployed)) == 2

    def test_a_restart_replaces_the_pods_by_way_of_a_new_revision(self, deployed: Cluster) -> None:
        before = pods(deployed)
        revision = revision_of(deployed.get("Deployment", APP, NS))
        rollout_restart(deployed, "Deployment", APP, NS)
        assert wait_rolled_out(deployed, TARGET)
        assert wait_until(deployed, lambda: names(pods(deployed)).isdisjoint(names(before)))
        assert revision_of(deployed.get("Deployment", APP, NS)) == revision + 1

    def test_a_missing_image_leaves_the_old_pod_and_undo_reuses_its_replica_set(
        self, deployed: Cluster
    ) -> None:
        old = names(pods(deployed))
        deployed.patch("Deployment", APP, NS, change(image=self.missing_image))

        def failing() -> bool:
            reasons = [reason for pod in pods(deployed) for reason in waiting_reasons(pod)]
            return "ErrImagePull" in reasons or "ImagePullBackOff" in reasons

        assert wait_until(deployed, failing, interval=1)
        assert old < names(pods(deployed))
        assert not is_rolled_out(deployed.get("Deployment", APP, NS))
        rollout_undo(deployed, APP, NS)
        assert wait_rolled_out(deployed, TARGET)
        assert wait_until(deployed, lambda: names(pods(deployed)) == old)
        deployment = deployed.get("Deployment", APP, NS)
        assert revision_of(deployment) == 3
        assert len(owned_replica_sets(deployed, deployment)) == 2

    def test_undo_without_history_is_refused(self, deployed: Cluster) -> None:
        with pytest.raises(Invalid, match="no rollout history"):
            rollout_undo(deployed, APP, NS)

    def test_a_command_that_the_image_lacks_never_becomes_ready(self, deployed: Cluster) -> None:
        old = names(pods(deployed))
        deployed.patch("Deployment", APP, NS, change(command=["invalid-command"]))

        def crashing() -> bool:
            return any(
                status["restartCount"] > 0
                for pod in pods(deployed)
                for status in pod["status"].get("containerStatuses", [])
            )

        assert wait_until(deployed, crashing)
        assert old < names(pods(deployed))

    def test_a_hanging_init_container_keeps_the_new_pod_initializing(self, deployed: Cluster) -> None:
        init = {"name": "worker", "image": self.image, "command": ["sleep", "infinity"]}
        deployed.patch("Deployment", APP, NS, {"spec": {"template": {"spec": {"initContainers": [init]}}}})

        def initializing() -> bool:
            return any("PodInitializing" in waiting_reasons(pod) for pod in pods(deployed))

        assert wait_until(deployed, initializing)
        deployed.wait(10)
        assert not is_rolled_out(deployed.get("Deployment", APP, NS))

    def test_a_node_that_does_not_exist_leaves_the_pod_pending(self, deployed: Cluster) -> None:
        selector = {"kubernetes.io/hostname": "invalid-node-1"}
        deployed.patch("Deployment", APP, NS, {"spec": {"template": {"spec": {"nodeSelector": selector}}}})

        def said() -> bool:
            return any(event["reason"] == "FailedScheduling" for event in deployed.list("Event", NS))

        assert wait_until(deployed, said)
        assert sorted(pod["status"]["phase"] for pod in pods(deployed)) == ["Pending", "Running"]

    def test_a_quota_refuses_pods_until_it_is_deleted(self, deployed: Cluster) -> None:
        quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "memory", "namespace": NS}}
        deployed.apply({**quota, "spec": {"hard": {"memory": "8Mi"}}})
        scale(deployed, "Deployment", APP, NS, 0)
        assert wait_until(deployed, lambda: not deployed.list("Pod", NS, {"app": APP}))
        scale(deployed, "Deployment", APP, NS, 1)

        def refused() -> list[str]:
            events = deployed.list("Event", NS)
            return [event["message"] for event in events if event["reason"] == "FailedCreate"]

        assert wait_until(deployed, lambda: bool(refused()), interval=1)
        assert (
            "exceeded quota: memory, requested: memory=16Mi, used: memory=0, limited: memory=8Mi"
            in refused()[0]
        )
        with pytest.raises(Forbidden, match="exceeded quota"):
            deployed.apply(
                {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "metadata": {"name": "alone", "namespace": NS},
                    "spec": workload(self.image)["spec"]["template"]["spec"],
                }
            )
        deployed.delete("ResourceQuota", "memory", NS)
        assert wait_rolled_out(deployed, TARGET)

    def test_deleting_a_deployment_deletes_its_pods(self, deployed: Cluster) -> None:
        deployed.delete("Deployment", APP, NS)
        assert wait_until(deployed, lambda: not deployed.list("Pod", NS, {"app": APP}))
        assert deployed.list("ReplicaSet", NS) == []

    # --- services

    def test_endpoints_follow_the_ready_pods(self, deployed: Cluster) -> None:
        deployed.apply(service())

        def addresses() -> list[tuple[str, int]]:
            found = deployed.list("Endpoints", NS)
            subsets = [s for e in found if e["metadata"]["name"] == APP for s in e.get("subsets") or []]
            return [
                (address["ip"], port["port"])
                for subset in subsets
                for address in subset.get("addresses") or []
                for port in subset["ports"]
            ]

        assert wait_until(deployed, lambda: bool(addresses()), interval=1)
        assert addresses() == [(pods(deployed)[0]["status"]["podIP"], 8080)]
        deployed.patch("Service", APP, NS, {"spec": {"ports": [{"port": 80, "targetPort": 9999}]}})
        assert wait_until(deployed, lambda: [port for _, port in addresses()] == [9999], interval=1)
        deployed.patch("Service", APP, NS, {"spec": {"selector": {"app": "nobody"}}})
        assert wait_until(deployed, lambda: not addresses(), interval=1)

    def test_a_deleted_service_can_be_recreated_from_what_was_read(self, deployed: Cluster) -> None:
        deployed.apply(service())
        before = deployed.get("Service", APP, NS)
        deployed.delete("Service", APP, NS)
        assert not exists(deployed, ObjectRef("Service", APP, NS))
        after = deployed.apply(before)
        assert after["spec"] == before["spec"]
        assert after["metadata"]["uid"] != before["metadata"]["uid"]

    # --- logs

    def test_logs_of_what_is_not_there(self, deployed: Cluster) -> None:
        with pytest.raises(NotFound):
            deployed.logs("nobody", NS)
        (pod,) = pods(deployed)
        with pytest.raises(Invalid):
            deployed.logs(pod["metadata"]["name"], NS, container="nobody")
        with pytest.raises(Invalid, match="previous terminated container"):
            deployed.logs(pod["metadata"]["name"], NS, previous=True)
        assert len(deployed.logs(pod["metadata"]["name"], NS, tail=5)) <= 5
