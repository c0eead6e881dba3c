"""One run on a live cluster: what it cannot play is refused before anything runs; it is cleaned before and after.

Owns: the name of a run's objects, and the order check -> clean -> run -> clean. Does not own: what is removed
(`janitor.py`) or refused (`capabilities.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from harness.cluster import ClusterError
from harness.config import ExperimentConfig
from harness.environments import RunOnEnvironment, select_scenarios
from harness.environments.kubernetes.capabilities import refusals
from harness.environments.kubernetes.janitor import sweep
from harness.environments.kubernetes.live import harness_cluster, settings_of
from harness.environments.kubernetes.sources.choice import clickhouse_of
from harness.errors import ConfigurationError, Problem


@contextmanager
def live_session(config: ExperimentConfig) -> Iterator[RunOnEnvironment]:
    """Around the execution of a run. Raises ConfigurationError for scenarios that the cluster cannot play, where it
    does not answer, and where a password is not there."""
    settings = settings_of(config.environment)
    if settings.attached is not None:
        clickhouse_of(settings.attached)
    _, cluster = harness_cluster(settings)
    name = run_name(config)
    try:
        found = refusals(select_scenarios(config.environment, config.scenario), cluster, settings)
        if found:
            raise ConfigurationError(found)
        sweep(cluster, name)
    except ClusterError as error:
        hint = "python -m harness doctor checks the connection"
        raise ConfigurationError(Problem("environment.kubernetes", str(error), hint)) from None
    named = settings.model_copy(update={"run_name": name})
    environment = config.environment.model_copy(update={"kubernetes": named})
    live = RunOnEnvironment(config.model_copy(update={"environment": environment}))
    try:
        yield live
    finally:
        try:
            live.left += sweep(cluster, name).left
        except ClusterError as error:
            live.left.append(f"unknown: {error}; later: python -m harness janitor")


def run_name(config: ExperimentConfig) -> str:
    """The same for the same command, so that it finds what an execution of it that was killed has left."""
    return hashlib.sha256(f"{config.digest()} {config.run_dir}".encode()).hexdigest()[:12]
