"""The world as a whole: determinism, checkpoints, the cost of idle time, garbage collection."""

from __future__ import annotations

import time

import pytest

from harness.cluster import Manifest
from harness.environments.simulated.clock import BEGIN
from harness.environments.simulated.world import START_SPREAD, World
from tests.simulated.cluster_fixtures import (
    MISSING_IMAGE,
    NS,
    FakeRuntime,
    container_patch,
    deployment,
    namespace,
    pods,
    service,
    world_with,
)

NAMES = [f"app-{number}" for number in range(22)]


def shop(seed: int = 1) -> World:
    return world_with(*(make(name) for name in NAMES for make in (deployment, service)), seed=seed)


def play(world: World) -> list[Manifest]:
    """Something of everything; the resulting objects and events."""
    world.cluster.patch("Deployment", "app-1", NS, container_patch("app-1", command=["exit", "1"]))
    world.cluster.patch("Deployment", "app-2", NS, container_patch("app-2", image=MISSING_IMAGE))
    world.advance(333)
    world.cluster.delete("Pod", pods(world, "app-3")[0]["metadata"]["name"], NS)
    world.cluster.delete("Deployment", "app-4", NS)
    world.advance(333)
    kinds = ("Deployment", "ReplicaSet", "Pod", "Endpoints", "Event")
    return [item for kind in kinds for item in world.store.list(kind)]


def test_the_same_seed_gives_the_same_world_and_another_seed_other_names() -> None:
    first, second, other = play(shop(1)), play(shop(1)), play(shop(2))
    assert first == second
    assert first != other


def test_template_hashes_do_not_depend_on_the_seed() -> None:
    def sets(seed: int) -> list[str]:
        return [item["metadata"]["name"] for item in shop(seed).cluster.list("ReplicaSet", NS)]

    assert sets(1) == sets(2)


def test_worlds_begin_within_the_spread() -> None:
    starts = {World(seed, FakeRuntime()).now - BEGIN for seed in range(20)}
    assert len(starts) > 10
    assert all(0 <= start < START_SPREAD for start in starts)


def test_a_restored_world_goes_on_as_the_original_would_and_shares_nothing_with_it() -> None:
    world = shop()
    world.cluster.patch("Deployment", "app-5", NS, container_patch("app-5", command=["oom"]))
    world.advance(7)
    checkpoint = world.checkpoint()
    first, second = checkpoint.restore(), checkpoint.restore()
    assert first.now == world.now
    expected = play(first)
    assert second.store.version == world.store.version < first.store.version
    assert play(second) == expected
    assert play(world) == expected


def test_a_checkpoint_is_small_and_quickly_restored() -> None:
    world = shop()
    world.advance(3600)
    checkpoint = world.checkpoint()
    assert checkpoint.size < 50_000
    times = []
    for _ in range(5):
        before = time.process_time()
        checkpoint.restore()
        times.append(time.process_time() - before)
    assert min(times) < 0.010


def test_time_in_which_nothing_is_due_costs_nothing() -> None:
    world = shop()
    world.advance(600)  # until the progress deadlines are over
    assert len(world.queue) == 0
    assert isinstance(world.runtime, FakeRuntime)
    changes, version = world.runtime.changes, world.store.version
    before = time.process_time()
    world.advance(24 * 3600)
    assert time.process_time() - before < 0.001
    assert (world.runtime.changes, world.store.version) == (changes, version)


def test_the_runtime_hears_of_each_instant_in_which_something_changed() -> None:
    world = World(1, FakeRuntime())
    assert isinstance(world.runtime, FakeRuntime)
    world.deploy([namespace(), *(deployment(name) for name in NAMES)])
    world.advance(60)
    assert world.runtime.changes == 2  # everything was deployed at one time, and all pods started at another


def test_advancing_in_small_steps_is_the_same_as_in_one() -> None:
    one, many = shop(), shop()
    for world in (one, many):
        world.cluster.patch("Deployment", "app-1", NS, container_patch("app-1", command=["exit", "1"]))
    one.advance(600)
    for _ in range(600):
        many.advance(1)
    assert one.store.list("Pod") == many.store.list("Pod")
    assert one.store.events == many.store.events


def test_deleting_a_deployment_leaves_nothing_of_it() -> None:
    world = shop()
    world.cluster.delete("Deployment", "app-0", NS)
    world.advance(10)
    left = [kind for kind, (_, name) in world.store.contents(NS) if name.startswith("app-0")]
    assert sorted(left) == ["Endpoints", "Service"]
    assert world.cluster.get("Endpoints", "app-0", NS)["subsets"] == []


def test_two_controllers_that_undo_each_other_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    world = world_with()
    monkeypatch.setattr("harness.environments.simulated.world.MAX_STEPS", 3)
    with pytest.raises(RuntimeError, match="did not come to rest within 3 steps"):
        world.deploy([deployment("cart")])
