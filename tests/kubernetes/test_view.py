"""What a trial sees of a shared cluster, and what the janitor finds; played on the simulated one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cluster import Forbidden, NotFound
from harness.environments.kubernetes.capabilities import NEEDS, needs_of, refusals
from harness.environments.kubernetes.deployment import frame, workload_objects
from harness.environments.kubernetes.images import Images
from harness.environments.kubernetes.janitor import owned, remove_trial, sweep
from harness.environments.kubernetes.marks import Marks
from harness.environments.kubernetes.view import Names, TrialView
from harness.environments.simulated.world import World
from harness.live_config import KubernetesConfig
from scenarios.applications import load_application
from scenarios.faults.objects import quantity
from scenarios.loader import catalogue
from tests.simulated.cluster_fixtures import FakeRuntime

NOMINAL = "otel-demo"
MINE, OTHER = Marks("run-1", "aaa", time.time() + 600), Marks("run-1", "bbb", time.time() + 600)


def place(marks: Marks) -> str:
    return f"app-{marks.trial}"


def view_of(world: World, marks: Marks) -> TrialView:
    images = Images(["ghcr.io/shop/cart:1"], "shop:1", {})
    return TrialView(world.cluster, Names(NOMINAL, place(marks)), images, marks, 0.1)


@pytest.fixture
def world() -> Iterator[World]:
    world = World(1, FakeRuntime())
    for marks in (MINE, OTHER):
        for manifest in frame(place(marks), {}, marks, 60):
            world.cluster.apply(manifest)
    return world


def config_map(text: str, name: str = "one") -> dict[str, Any]:
    metadata = {"name": name, "namespace": NOMINAL}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"text": text}}


def priority_class() -> dict[str, Any]:
    return {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": "critical"},
        "value": 5,
    }


class TestView:
    def test_its_namespace_has_the_applications_name(self, world: World) -> None:
        view = view_of(world, MINE)
        view.apply(config_map("cart.otel-demo.svc"))
        stored = world.cluster.get("ConfigMap", "one", place(MINE))
        assert stored["data"]["text"] == f"cart.{place(MINE)}.svc"
        assert view.get("ConfigMap", "one", NOMINAL)["data"]["text"] == "cart.otel-demo.svc"
        assert [one["metadata"]["name"] for one in view.list("Namespace")] == [NOMINAL]

    def test_other_namespaces_do_not_exist(self, world: World) -> None:
        view = view_of(world, MINE)
        view_of(world, OTHER).apply(config_map("secret plans"))
        for name in (place(OTHER), place(MINE), "kube-system", "default"):
            with pytest.raises(NotFound):
                view.get("ConfigMap", "one", name)
            assert view.list("ConfigMap", name) == []
        assert view.list("ConfigMap") == []

    def test_neither_marks_nor_the_harness_own_objects_are_seen(self, world: World) -> None:
        view = view_of(world, MINE)
        assert view.list("ResourceQuota") == []
        with pytest.raises(NotFound):
            view.get("ResourceQuota", "trial", NOMINAL)
        assert "sre-harness" not in str(view.get("Namespace", NOMINAL))

    def test_what_it_makes_outside_its_namespace_is_its_own(self, world: World) -> None:
        view_of(world, MINE).apply(priority_class())
        assert "sre-harness" not in str(view_of(world, MINE).get("PriorityClass", "critical"))
        others = view_of(world, OTHER).list("PriorityClass")
        assert "critical" not in [one["metadata"]["name"] for one in others]

    def test_its_namespace_cannot_be_deleted(self, world: World) -> None:
        with pytest.raises(Forbidden):
            view_of(world, MINE).delete("Namespace", NOMINAL)

    def test_refusals_speak_of_the_name_that_it_knows(self, world: World) -> None:
        with pytest.raises(NotFound) as refused:
            view_of(world, MINE).get("ConfigMap", "absent", NOMINAL)
        assert place(MINE) not in str(refused.value)

    @given(
        st.recursive(
            st.text() | st.just("a otel-demo b"),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        )
    )
    def test_names_go_out_and_come_back(self, value: Any) -> None:
        names = Names(NOMINAL, "app-0123456789")
        assert names.incoming(names.outgoing(value)) == value


class TestImages:
    def test_a_manifest_keeps_the_image_that_it_was_written_with(self) -> None:
        images = Images(["ghcr.io/shop/cart:1"], "shop:1", {"ubi:9": "busybox:1"})
        written = {
            "containers": [
                {"name": "cart", "image": "ghcr.io/shop/cart:1"},
                {"name": "init", "image": "ubi:9"},
            ]
        }
        sent = images.outgoing(written)
        assert [one["image"] for one in sent["containers"]] == ["shop:1", "busybox:1"]
        assert images.incoming({"kind": "Pod", **sent})["containers"] == written["containers"]


class TestDeployment:
    def test_requests_are_capped_and_limits_kept(self) -> None:
        settings = KubernetesConfig(cpu_request="20m", memory_request="96Mi")
        for manifest in workload_objects(load_application("otel-demo"), {}, settings):
            if manifest["kind"] == "Deployment":
                (container,) = manifest["spec"]["template"]["spec"]["containers"]
                resources = container["resources"]
                assert quantity(resources["requests"]["memory"]) <= quantity("96Mi")
                assert quantity(resources["requests"]["cpu"]) <= quantity("20m")
                limit = resources.get("limits", {}).get("memory")
                assert limit is None or quantity(resources["requests"]["memory"]) <= quantity(limit)

    def test_no_pod_is_given_a_token(self) -> None:
        manifests = workload_objects(load_application("otel-demo"), {}, KubernetesConfig())
        pods = [one["spec"]["template"]["spec"] for one in manifests if one["kind"] == "Deployment"]
        assert pods
        assert not any(pod["automountServiceAccountToken"] for pod in pods)


def without_version(manifest: dict[str, Any]) -> dict[str, Any]:
    metadata = {key: value for key, value in manifest["metadata"].items() if key != "resourceVersion"}
    return {**manifest, "metadata": {key: value for key, value in metadata.items() if value}}


class TestJanitor:
    def test_a_trial_goes_with_all_that_it_made(self, world: World) -> None:
        view_of(world, MINE).apply(priority_class())
        remove_trial(world.cluster, MINE.trial)
        assert [one["metadata"]["name"] for one in owned(world.cluster)] == [place(OTHER)]

    def test_a_cordoned_node_stays_and_takes_pods_again(self, world: World) -> None:
        before = world.cluster.list("Node")
        name = before[-1]["metadata"]["name"]
        view_of(world, MINE).patch("Node", name, "", {"spec": {"unschedulable": True}})
        assert view_of(world, MINE).get("Node", name)["spec"]["unschedulable"]
        assert name in {one["metadata"]["name"] for one in owned(world.cluster)}
        remove_trial(world.cluster, MINE.trial)
        after = world.cluster.list("Node")
        assert [without_version(one) for one in after] == [without_version(one) for one in before]

    def test_only_what_expired_or_belongs_to_the_run_goes(self, world: World) -> None:
        expired = Marks("run-2", "ccc", time.time() - 1)
        strange = Marks("run-3", "ddd", time.time() + 600)
        for marks in (expired, strange):
            world.cluster.apply(frame(place(marks), {}, marks, 60)[0])
        found = sweep(world.cluster, run="run-1")
        gone = {target.name for target in found.removed}
        assert gone == {place(MINE), place(OTHER), place(expired)}
        assert not found.left
        assert [one["metadata"]["name"] for one in owned(world.cluster)] == [place(strange)]
        assert sweep(world.cluster).removed == []

    def test_nothing_of_anybody_else_is_touched(self, world: World) -> None:
        before = {one["metadata"]["name"] for one in world.cluster.list("Namespace")}
        sweep(world.cluster, everything=True)
        after = {one["metadata"]["name"] for one in world.cluster.list("Namespace")}
        assert before - after == {place(MINE), place(OTHER)}

    def test_what_stays_is_said(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(world.cluster, "delete", lambda *_: None)
        found = sweep(world.cluster, run="run-1", wait_s=0)
        assert len(found.left) == 2
        assert "still there" in found.left[0]


class Bare:
    """A cluster with plain Kubernetes and nothing more."""

    def __init__(self, kinds: tuple[str, ...] = (), plugins: tuple[str, ...] = (), nodes: int = 2) -> None:
        self.kinds, self.plugins, self.nodes = kinds, plugins, nodes

    def serves(self, kind: str) -> bool:
        return kind in self.kinds

    def list(self, kind: str) -> list[dict[str, Any]]:
        if kind == "Node":
            master = {"spec": {"taints": [{"effect": "NoSchedule"}]}}
            return [master, *({"spec": {}} for _ in range(self.nodes))]
        return [{"metadata": {"name": name}} for name in self.plugins]


class TestRefusals:
    def ids(self, cluster: Any, **settings: Any) -> set[int]:
        problems = refusals(catalogue().select("all"), cluster, KubernetesConfig(**settings))
        return {int(problem.where.split()[-1]) for problem in problems}

    def test_every_missing_part_is_named_with_what_to_do(self) -> None:
        problems = refusals(catalogue().select([31, 17, 39, 47]), Bare(), KubernetesConfig())  # type: ignore[arg-type]
        told = "\n".join(map(str, problems))
        for word in ("NetworkPolicies", "Chaos Mesh", "Istio", "node_faults=true", "book-info"):
            assert word in told

    def test_what_is_installed_is_played(self) -> None:
        rich = Bare(("PeerAuthentication", "Schedule"), ("calico-node",))
        assert 31 in self.ids(Bare())
        assert 31 not in self.ids(rich)
        assert 17 in self.ids(Bare())
        assert 17 not in self.ids(rich)
        assert 31 not in self.ids(Bare(), network_policies=True)
        assert 39 in self.ids(rich)
        assert 39 not in self.ids(rich, node_faults=True, max_trials=1)
        assert 39 in self.ids(Bare(nodes=1), node_faults=True, max_trials=1)

    def test_plain_kubernetes_plays_many_mechanisms(self) -> None:
        played = [one for one in catalogue().select("all") if one.id not in self.ids(Bare())]
        assert len({fault.fault for one in played for fault in one.injections()}) >= 16
        assert not any(list(needs_of(one)) for one in played)

    def test_every_need_belongs_to_a_fault(self) -> None:
        from scenarios.faults import FAULTS

        assert NEEDS.keys() <= FAULTS.keys()
