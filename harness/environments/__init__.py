"""Environments by kind; each is imported only when chosen.

simulated   the embedded cluster (default)
"""

from __future__ import annotations

from collections.abc import Callable

from harness.config import EnvironmentConfig, VerdictConfig
from harness.plugins import load_class
from harness.protocols import Environment

ENVIRONMENTS = {"simulated": "harness.environments.simulated.environment:SimulatedEnvironment"}


def environment_factory(config: EnvironmentConfig, verdict: VerdictConfig) -> Callable[[], Environment]:
    """A function that makes a fresh environment for each trial. Raises ConfigurationError for unknown kinds."""
    environment_class = load_class("environment", config.kind, ENVIRONMENTS)

    def make() -> Environment:
        environment: Environment = environment_class(config, verdict)
        return environment

    return make
