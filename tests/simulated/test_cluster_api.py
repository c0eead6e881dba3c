"""The API server's side: patches, defaults, validation messages, deletion, history."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cluster import Forbidden, Invalid, Manifest, NotFound
from harness.environments.simulated.quantity import format_quantity, parse_quantity
from harness.patches import merge_patch, strategic_merge
from tests.simulated.cluster_fixtures import NS, container_patch, deployment, pods, service, world_with


@pytest.mark.parametrize(
    ("original", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch_follows_the_examples_of_rfc_7386(original: Any, patch: Any, expected: Any) -> None:
    assert merge_patch(original, patch) == expected


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, st.dictionaries(st.sampled_from("abc"), JSON, max_size=3))
def test_a_merge_patch_does_not_touch_its_arguments_and_is_idempotent(original: Any, patch: Any) -> None:
    before = repr((original, patch))
    once = merge_patch(original, patch)
    assert repr((original, patch)) == before
    assert merge_patch(once, patch) == once


def test_strategic_merge_directives() -> None:
    original = {
        "containers": [{"name": "a", "x": 1}, {"name": "b"}],
        "args": ["1", "2"],
        "m": {"x": 1, "y": 2},
    }
    assert strategic_merge(original, {"containers": [{"name": "a", "$patch": "delete"}]})["containers"] == [
        {"name": "b"}
    ]
    assert strategic_merge(original, {"containers": [{"$patch": "replace"}, {"name": "c"}]})[
        "containers"
    ] == [{"name": "c"}]
    assert strategic_merge(original, {"m": {"$patch": "replace", "z": 3}})["m"] == {"z": 3}
    assert strategic_merge(original, {"args": ["3"]})["args"] == ["3"]
    assert strategic_merge(original, {"containers": [{"name": "a", "x": None}]})["containers"][0] == {
        "name": "a"
    }
    with pytest.raises(Invalid, match="does not contain declared merge key: name"):
        strategic_merge(original, {"containers": [{"image": "x"}]})
    with pytest.raises(Invalid, match="Unknown patch type"):
        strategic_merge(original, {"m": {"$patch": "frobnicate"}})


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ({"spec": {"replicas": "two"}}, 'spec.replicas: Invalid value: "two": must be an integer'),
        (
            {"spec": {"template": {"metadata": {"labels": {"app": "x"}}}}},
            "`selector` does not match template",
        ),
        ({"spec": {"selector": {"matchLabels": {"app": "x"}}}}, "field is immutable"),
        (
            container_patch("cart", resources={"limits": {"memory": "lots"}}),
            "quantities must match the regular",
        ),
        (container_patch("cart", env={"A": "1"}), "cannot unmarshal object into field"),
        (container_patch("cart", env=[{"name": "A", "value": 1}]), "must be a string"),
        (container_patch("new"), r"containers\[1\].image: Required value"),
        ({"spec": {"template": {"spec": {"dnsPolicy": "Never"}}}}, 'Unsupported value: "Never"'),
        ({"metadata": {"name": "other"}}, "does not match the name on the URL"),
        ({"kind": "Service"}, "cannot be changed"),
        ({"spec": "none"}, "cannot unmarshal string into field spec of type object"),
    ],
)
def test_a_bad_patch_is_refused_in_the_api_servers_words(patch: Manifest, message: str) -> None:
    world = world_with(deployment("cart"))
    before = world.cluster.get("Deployment", "cart", NS)
    with pytest.raises(Invalid, match=message):
        world.cluster.patch("Deployment", "cart", NS, patch)
    assert world.cluster.get("Deployment", "cart", NS) == before


def test_all_problems_are_named_at_once() -> None:
    world = world_with(deployment("cart"))
    patch = {"spec": {"replicas": -1, "template": {"spec": {"dnsPolicy": "Never"}}}}
    with pytest.raises(Invalid, match=r'Deployment.apps "cart" is invalid: \[spec.replicas.*dnsPolicy'):
        world.cluster.patch("Deployment", "cart", NS, patch)


def test_a_field_that_the_kind_does_not_have_is_dropped_and_changes_nothing() -> None:
    world = world_with(deployment("cart"))
    before = world.cluster.get("Deployment", "cart", NS)
    after = world.cluster.patch("Deployment", "cart", NS, {"spec": {"metrics": [{"type": "Resource"}]}})
    assert after == before


def test_unknown_kinds_and_versions_are_not_found() -> None:
    world = world_with()
    with pytest.raises(NotFound, match="doesn't have a resource type"):
        world.cluster.list("Deployments")
    with pytest.raises(NotFound, match='no matches for kind "Deployment" in version "v1"'):
        world.cluster.apply({**deployment("cart"), "apiVersion": "v1"})
    with pytest.raises(Invalid, match=r"metadata\.name"):
        world.cluster.apply({"kind": "Deployment"})


def test_pods_do_not_take_changes_of_anything_but_their_images() -> None:
    world = world_with(deployment("cart"))
    (pod,) = pods(world, "cart")
    with pytest.raises(Invalid, match="pod updates may not change fields other than"):
        world.cluster.patch("Pod", pod["metadata"]["name"], NS, {"spec": {"nodeSelector": {"a": "b"}}})


def test_a_namespace_takes_its_contents_with_it() -> None:
    world = world_with(deployment("cart"), service("cart"))
    world.cluster.delete("Namespace", NS)
    assert world.cluster.get("Namespace", NS)["status"]["phase"] == "Terminating"
    with pytest.raises(Forbidden, match="because it is being terminated"):
        world.cluster.apply(service("ad"))
    world.advance(10)
    with pytest.raises(NotFound):
        world.cluster.get("Namespace", NS)
    assert world.store.contents(NS) == []


def test_writing_back_what_was_read_changes_nothing() -> None:
    world = world_with(deployment("cart"), service("cart"))
    version = world.store.version
    for kind in ("Deployment", "Service"):
        world.cluster.apply(world.cluster.get(kind, "cart", NS))
    assert world.store.version == version


def test_a_namespace_given_for_a_cluster_scoped_object_is_ignored() -> None:
    world = world_with()
    node = world.cluster.patch("Node", "kind-worker", NS, {"spec": {"unschedulable": True}})
    assert node["spec"]["unschedulable"] is True
    world.cluster.delete("Node", "kind-worker", NS)
    assert len(world.cluster.list("Node")) == 2


def test_what_controllers_own_is_put_right_again() -> None:
    world = world_with(deployment("cart"), service("cart"))
    endpoints = world.cluster.get("Endpoints", "cart", NS)["subsets"]
    world.cluster.patch("Endpoints", "cart", NS, {"subsets": []}, strategy="merge")
    assert world.cluster.get("Endpoints", "cart", NS)["subsets"] == endpoints
    (replica_set,) = world.store.list("ReplicaSet", NS)
    world.cluster.patch("ReplicaSet", replica_set["metadata"]["name"], NS, {"spec": {"replicas": 3}})
    assert world.store.list("ReplicaSet", NS)[0]["spec"]["replicas"] == 1


def test_secrets_take_plain_text_and_keep_it_encoded() -> None:
    world = world_with()
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": NS}}
    assert world.cluster.apply({**secret, "stringData": {"k": "v"}})["data"] == {"k": "dg=="}


def test_history_has_each_asked_for_version_and_the_deletion() -> None:
    world = world_with(service("cart"))
    world.cluster.patch("Service", "cart", NS, {"spec": {"ports": [{"port": 80, "targetPort": 9999}]}})
    world.advance(60)
    world.cluster.delete("Service", "cart", NS)
    history = world.store.history["Service", NS, "cart"]
    ports = [m and m["spec"]["ports"][0]["targetPort"] for _, m in history]
    assert ports == ["http", 9999, None]
    assert history[2][0] - history[1][0] == 60


def test_quantities() -> None:
    assert parse_quantity("250m") == 0.25
    assert parse_quantity("1Gi") == 2**30
    assert parse_quantity("1e3") == 1000
    assert format_quantity(2**30 + 2**20, "requests.memory") == "1025Mi"
    assert format_quantity(0.25, "cpu") == "250m"
    with pytest.raises(ValueError, match="quantities must match"):
        parse_quantity("5 Mi")
