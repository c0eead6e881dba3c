"""Load on the API server, and what the applications lose by it.

Owns: how many requests per second the pods of the cluster send to the API server, and the strain that follows.
The nodes are containers of one host, as kind makes them: an API server that is flooded takes the processors on
which everything else runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from harness.cluster import Manifest
from harness.environments.simulated.programs import mounted_files, settings

if TYPE_CHECKING:
    from harness.environments.simulated.store import ObjectStore

API_SERVER = "KUBERNETES_SERVICE_HOST"
"""A script that names this variable talks to the API server."""
RATE = "RPS"
HARMLESS_RPS = 1500.0
MS_PER_DOUBLING = 500.0


def api_requests(pods: Iterable[Manifest], store: ObjectStore) -> float:
    """Requests per second of these running pods, all together."""
    return sum(_rate(pod, container, store) for pod in pods for container in pod["spec"]["containers"])


def strain_ms(requests: float) -> float:
    """Milliseconds that each operation of an application loses at this load of the API server."""
    if requests <= HARMLESS_RPS:
        return 0.0
    return float(round(MS_PER_DOUBLING * math.log2(requests / HARMLESS_RPS)))


def _rate(pod: Manifest, container: Manifest, store: ObjectStore) -> float:
    if not any(entry["name"] == RATE for entry in container.get("env") or ()):
        return 0.0
    if not any(API_SERVER in text for text in mounted_files(pod, container, store).values()):
        return 0.0
    try:
        return max(0.0, float(settings(container, store, pod["metadata"]["namespace"])[RATE]))
    except ValueError:
        return 0.0
