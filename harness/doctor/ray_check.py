"""Ray: joined or started as a run would, and a task on it finds our code."""

from __future__ import annotations

import os
from collections.abc import Sequence

from harness import __version__
from harness.config import ExperimentConfig
from harness.doctor.findings import Finding, broken
from harness.errors import ConfigurationError, RunStopped

ANSWER_S = 120.0


def check_ray(config: ExperimentConfig) -> Sequence[Finding]:
    """Run one task."""
    if config.executor.kind != "ray":
        return [Finding("ray", "ok", f"not needed with executor={config.executor.kind}")]
    import ray
    from ray.exceptions import RayError

    from harness.executors.cluster import session

    address = config.executor.address or os.environ.get("RAY_ADDRESS")
    place = f"cluster {address}" if address else "a local one"
    try:
        with session(config):
            found = ray.get(ray.remote(version_there).remote(), timeout=ANSWER_S)
            nodes = sum(1 for node in ray.nodes() if node["Alive"])
            processors = ray.cluster_resources().get("CPU", 0)
    except ConfigurationError as error:
        return broken("ray", True, error)
    except (RunStopped, RayError) as error:
        hint = "`ray status`; nodes need this Python version and free memory; executor=local does without Ray"
        return [Finding("ray", "failed", f"{place}: no task runs: {first_line(error)}", hint)]
    if found != __version__:
        what = f"workers import harness {found}, this is {__version__}"
        return [Finding("ray", "failed", what, "uninstall the harness on the nodes: it travels with the run")]
    what = f"Ray {ray.__version__}, {place}: {nodes} nodes, {processors:g} processors; a task runs"
    return [Finding("ray", "ok", what)]


def first_line(error: Exception) -> str:
    """What an error says, without its traceback."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def version_there() -> str:
    """The version of the harness that a worker imports."""
    import harness

    return harness.__version__
