"""The simulated cluster keeps the contract that the real one keeps."""

from __future__ import annotations

import pytest

from harness.cluster import Cluster
from harness.environments.simulated.world import World
from tests.contracts.cluster_contract import ClusterContract
from tests.simulated.cluster_fixtures import MISSING_IMAGE, FakeRuntime


class TestSimulatedCluster(ClusterContract):
    missing_image = MISSING_IMAGE

    @pytest.fixture
    def cluster(self) -> Cluster:
        return World(7, FakeRuntime()).cluster
