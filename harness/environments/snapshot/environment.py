"""The snapshot environment: a recorded incident to be diagnosed.

Owns: opening a scenario's index, the agent's clock, what the briefing says. Does not own: how an index comes about
(`cache.py`). There is no verdict: alerts never clear in a recording, so a briefing says that nobody can act.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from harness.cluster import Cluster
from harness.config import EnvironmentConfig, VerdictConfig
from harness.environments.distractors import CHAOS_NAMESPACE
from harness.environments.snapshot.cache import default_cache, ensure_index
from harness.environments.snapshot.catalogue import snapshot_catalogue
from harness.environments.snapshot.cluster import SnapshotCluster
from harness.environments.snapshot.index import Index, open_index
from harness.environments.snapshot.layout import read_layout
from harness.environments.snapshot.report import Report
from harness.environments.snapshot.telemetry import SnapshotTelemetry
from harness.errors import ConfigurationError, InfrastructureError, Problem
from harness.protocols import Briefing
from harness.records import Verdict
from harness.telemetry import Telemetry, Topology
from scenarios.applications import application_names, load_application
from scenarios.applications.graph import service_graph
from scenarios.schema import Scenario

T = TypeVar("T")

APPLICATIONS = ("otel-demo", "book-info", "bookinfo", "hotel-reservation")
"""Namespaces that ITBench's applications have had."""
INFRASTRUCTURE = frozenset(
    {
        CHAOS_NAMESPACE, "cert-manager", "clickhouse", "default", "istio-system", "jaeger", "kube-gateways",
        "kube-node-lease", "kube-public", "kube-system", "local-path-storage", "monitoring", "opensearch",
        "opentelemetry-collectors", "opencost", "prometheus", "topology-monitor",
    }
)  # fmt: skip


class SnapshotEnvironment:
    """Environment of one trial on a recording that it shares with all others."""

    virtual_time = True
    cluster: Cluster
    telemetry: Telemetry

    def __init__(self, config: EnvironmentConfig, verdict: VerdictConfig) -> None:
        self._root = root_of(config)
        self._cache = cache_of(config)
        self._elapsed = 0.0

    async def start(self, scenario: Scenario, seed: int) -> Briefing:
        """Open the recording, indexing it first where that was not done on this node."""
        directory = snapshot_catalogue(self._root).directory_of(scenario.id)
        self._directory = directory
        try:
            path = await asyncio.to_thread(ensure_index, directory, self._cache)
        except OSError as error:
            raise InfrastructureError("infra_deploy_failed", str(error)) from error
        self.index = open_index(path)
        self.cluster = SnapshotCluster(self.index)
        namespaces = application_namespaces(self.index)
        self.telemetry = SnapshotTelemetry(self.index, architecture(namespaces))
        # Named whatever the incident, as in the simulation: experiments live in a namespace of their own.
        return Briefing((*namespaces, CHAOS_NAMESPACE), can_act=False)

    def evidence_files(self) -> Mapping[str, Path]:
        """The recorded files by relative name; none that is, or is a link to, one that tells the answer."""
        layout = read_layout(self._directory, Report())
        withheld = {path.resolve() for path in layout.withheld}
        return {layout.name(path): path for path in layout.evidence if path.resolve() not in withheld}

    async def run(self, work: Callable[[], T]) -> T:
        """In a thread: questions to an index may read from disk."""
        return await asyncio.to_thread(work)

    async def elapse(self, seconds: float) -> None:
        """Only the agent's own clock moves."""
        self._elapsed += seconds

    def now(self) -> float:
        """The end of the recording, and what the agent spent since."""
        return self.index.end + self._elapsed

    async def verdict(self) -> Verdict:
        """There is none. Raises RuntimeError: the briefing says that nobody can act."""
        raise RuntimeError("a recording has no verdict")

    async def close(self) -> None:
        """The index stays open for other trials."""


def root_of(config: EnvironmentConfig) -> Path:
    """The configured directory of snapshots. Raises ConfigurationError without one."""
    if not config.root:
        hint = "for example environment.root=snapshots/sre"
        raise ConfigurationError(Problem("environment.root", "is not set; expected a directory", hint))
    return Path(config.root)


def cache_of(config: EnvironmentConfig) -> Path:
    """Where indexes lie."""
    return Path(config.cache_dir) if config.cache_dir else default_cache()


def application_namespaces(index: Index) -> Sequence[str]:
    """The namespaces of the application: those that ITBench uses, otherwise all that are no infrastructure."""
    known = [name for name in APPLICATIONS if name in index.namespaces]
    others = sorted(
        name for name, workloads in index.namespaces.items() if workloads and name not in INFRASTRUCTURE
    )
    return tuple(known or others)


def architecture(namespaces: Sequence[str]) -> Topology:
    """The published architecture of the applications that these namespaces are named after, as far as known."""
    graphs = [service_graph(load_application(name)) for name in application_names() if name in namespaces]
    services = [service for graph in graphs for service in graph.services]
    calls = [call for graph in graphs for call in graph.calls]
    return Topology(tuple(dict.fromkeys(services)), tuple(dict.fromkeys(calls)))
