"""The contract of every Cluster, on a real API server."""

from __future__ import annotations

import pytest

from harness.environments.kubernetes.cluster import KubernetesCluster
from tests.contracts.cluster_contract import ClusterContract

pytestmark = pytest.mark.kubernetes


class TestKubernetesCluster(ClusterContract):
    @pytest.fixture
    def cluster(self, kubeconfig: str) -> KubernetesCluster:
        return KubernetesCluster.from_kubeconfig(kubeconfig)
