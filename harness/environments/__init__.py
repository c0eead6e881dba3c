"""Environments by kind; each is imported only when chosen.

simulated   the embedded cluster (default)
snapshot    recorded incidents in the layout of ITBench-Lite and ITBench-AA, diagnosis only
kubernetes  a live cluster, a namespace with the application per trial
attached    a live cluster with an application that is there already
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from harness.config import EnvironmentConfig, ExperimentConfig, VerdictConfig
from harness.environments.masks import MaskedEnvironment, is_masked
from harness.plugins import extended, load_class
from harness.protocols import Environment
from scenarios.loader import Selector, catalogue
from scenarios.schema import Scenario

ENVIRONMENTS = extended(
    "environments",
    {
        "simulated": "harness.environments.simulated.environment:SimulatedEnvironment",
        "snapshot": "harness.environments.snapshot.environment:SnapshotEnvironment",
        "kubernetes": "harness.environments.kubernetes.environment:KubernetesEnvironment",
        "attached": "harness.environments.kubernetes.attached:AttachedEnvironment",
    },
)


def environment_factory(config: EnvironmentConfig, verdict: VerdictConfig) -> Callable[[], Environment]:
    """A function that makes a fresh environment for each trial. Raises ConfigurationError for unknown kinds."""
    environment_class = load_class("environment", config.kind, ENVIRONMENTS)

    def make() -> Environment:
        environment: Environment = environment_class(config, verdict)
        return MaskedEnvironment(environment, config) if is_masked(config) else environment

    return make


@dataclass(slots=True)
class RunOnEnvironment:
    """One run's use of what its trials share outside the harness."""

    config: ExperimentConfig
    """With what only this run knows."""
    left: list[str] = field(default_factory=list)
    """What could not be removed at the end."""


@contextmanager
def environment_session(config: ExperimentConfig) -> Iterator[RunOnEnvironment]:
    """Around the execution of a run: a live cluster is checked and cleaned before, and cleaned after.

    Raises ConfigurationError where the cluster cannot play a scenario."""
    if config.environment.kind not in ("kubernetes", "attached"):
        yield RunOnEnvironment(config)
        return
    from harness.environments.kubernetes.session import live_session

    with live_session(config) as live:
        yield live


def environment_claims(config: EnvironmentConfig) -> Mapping[str, float]:
    """What one trial occupies in such an environment (`protocols.Claiming`)."""
    environment_class = load_class("environment", config.kind, ENVIRONMENTS)
    claims: Mapping[str, float] = (
        environment_class.claims(config) if hasattr(environment_class, "claims") else {}
    )
    return claims


def select_scenarios(config: EnvironmentConfig, selector: Selector) -> Sequence[Scenario]:
    """The scenarios that a selector means among those that the environment can play. Raises ConfigurationError."""
    if config.kind != "snapshot":
        return catalogue().select(selector)
    from harness.environments.snapshot.catalogue import snapshot_catalogue
    from harness.environments.snapshot.environment import root_of

    return snapshot_catalogue(root_of(config)).select(selector)


def source_digests(config: EnvironmentConfig, scenarios: Sequence[Scenario]) -> dict[str, str]:
    """SHA-256 of the evidence of every recorded scenario by its key; nothing where incidents are made on the spot."""
    if config.kind != "snapshot":
        return {}
    from harness.environments.snapshot.cache import content_digest
    from harness.environments.snapshot.catalogue import snapshot_catalogue
    from harness.environments.snapshot.environment import cache_of, root_of

    known = snapshot_catalogue(root_of(config))
    cache = cache_of(config)
    return {one.key: content_digest(known.directory_of(one.id), cache) for one in scenarios}
