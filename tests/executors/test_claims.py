"""What trials occupy decides how many are in flight, here and on a cluster's nodes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import ray
from hypothesis import given
from hypothesis import strategies as st

from harness.config import ExperimentConfig, parse_config
from harness.errors import ConfigurationError
from harness.executors.claims import claims_of, fitting, local_lanes, together
from harness.executors.cluster import credentials_of, slots
from tests.survival.runs import raw_config


def config(executor: Mapping[str, Any] | None = None, **changes: Any) -> ExperimentConfig:
    return parse_config(raw_config(Path("nowhere"), executor=executor or {"kind": "ray"}, **changes))


LIVE = {"environment": {"kind": "tests.survival.parts:LiveEnvironment"}}


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Any:
    def have(*resources: Mapping[str, float]) -> None:
        alive = [{"Alive": True, "Resources": dict(one)} for one in resources]
        gone = {"Alive": False, "Resources": {"CPU": 64, "live_cluster": 64}}
        monkeypatch.setattr(ray, "nodes", lambda: [*alive, gone])

    return have


def test_environment_sandbox_and_agents_claim_together() -> None:
    assert claims_of(config()) == {}
    assert claims_of(config(**LIVE, sandbox={"kind": "docker"})) == {"live_cluster": 1, "docker_slot": 1}
    agents = {"mine": {"kind": "external", "image": "mine:1"}, "react": {"kind": "react"}}
    assert claims_of(config(agents=agents)) == {"docker_slot": 1}


def test_locally_no_more_trials_are_in_flight_than_what_they_claim_allows() -> None:
    assert local_lanes(config({"kind": "local", "in_flight": 7})) == 7
    assert local_lanes(config({"kind": "local", "in_flight": 7}, **LIVE)) == 1
    three = {"kind": "local", "in_flight": 7, "resources": {"live_cluster": 3}}
    assert local_lanes(config(three, **LIVE)) == 3
    with pytest.raises(ConfigurationError, match=r"claims live_cluster: 1 of 0\.5"):
        local_lanes(config({"kind": "local", "resources": {"live_cluster": 0.5}}, **LIVE))


def test_without_claims_there_is_a_worker_per_processor(nodes: Any) -> None:
    nodes({"CPU": 2}, {"CPU": 4})
    assert [slot.lanes for slot in slots(config(), owed=1000)] == [16] * 6
    assert len(slots(config({"kind": "ray", "workers": 3}), owed=1000)) == 3
    assert len(slots(config(), owed=2)) == 2


def test_workers_go_where_the_resource_is_and_share_it(nodes: Any) -> None:
    nodes({"CPU": 2}, {"CPU": 2, "live_cluster": 3}, {"CPU": 2, "live_cluster": 1})
    found = slots(config({"kind": "ray", "in_flight": 2}, **LIVE), owed=1000)
    assert sum(slot.lanes for slot in found) == 4
    assert all(slot.resources == {"live_cluster": slot.lanes} for slot in found)


def test_a_cluster_that_offers_nothing_is_refused_with_what_to_do(nodes: Any) -> None:
    nodes({"CPU": 2})
    with pytest.raises(ConfigurationError, match=r"live_cluster: 1.*ray start --resources"):
        slots(config(**LIVE), owed=10)


@given(st.integers(1, 64), st.integers(1, 64))
def test_ray_takes_every_amount_and_a_full_node_is_filled(trials: int, lanes: int) -> None:
    claims = {"kubernetes": (10_000 // trials) / 10_000}
    assert fitting(claims, {"kubernetes": 1.0}) >= trials
    amount = together(claims, min(lanes, trials))["kubernetes"]
    assert 0 < amount <= 1
    assert abs(amount * 10_000 - round(amount * 10_000)) < 1e-6
    assert together({"slot": 0.3}, 4) == {"slot": 2.0}


def test_keys_that_are_named_travel_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE", "secret")
    monkeypatch.setenv("OTHER", "secret")
    agents = {"a": {"kind": "external", "argv": ["x"], "pass_env": ["MINE", "ABSENT"]}}
    assert credentials_of(config(agents=agents)) == {"MINE": "secret"}
    models = {"m": {"kind": "litellm", "model": "openai/x", "api_key_env": "OTHER"}}
    assert credentials_of(config(models=models)) == {"OTHER": "secret"}
