"""What works here: `python -m harness doctor [--json] [overrides]` examines everything that a run could need.

findings       what a check says, and how it looks on a terminal and as JSON
python_check   the interpreter and the harness itself
ray_check      Ray: a task runs on it and finds our code there
docker_check   the engine, its limits, the images
cluster_check  the Kubernetes API server, and what we may do there
metrics_check  where metrics and recorded evidence come from
models_check   keys (whether they are set, never what they are) and prices
disk_check     room for records, traces and Ray

Each check is a function of the composed configuration: `doctor sandbox=docker model=[claude]` examines what that run
needs. What the configuration needs and does not work has failed; what it does not need is at most absent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from harness.config import ExperimentConfig
from harness.doctor.cluster_check import check_cluster
from harness.doctor.disk_check import check_disk
from harness.doctor.docker_check import check_docker
from harness.doctor.findings import Finding
from harness.doctor.metrics_check import check_metrics
from harness.doctor.models_check import check_models
from harness.doctor.python_check import check_python
from harness.doctor.ray_check import check_ray

Check = Callable[[ExperimentConfig], Sequence[Finding]]
CHECKS: Sequence[Check] = (
    check_python,
    check_ray,
    check_docker,
    check_cluster,
    check_metrics,
    check_models,
    check_disk,
)


def examine(
    config: ExperimentConfig,
    checks: Sequence[Check] = CHECKS,
    tell: Callable[[str], object] = lambda _: None,
) -> Iterator[Finding]:
    """Every finding, as it is made; `tell` hears what is examined next, since some take seconds."""
    for check in checks:
        tell(check.__name__.removeprefix("check_"))
        yield from check(config)
