"""The seam between the simulated cluster and what runs inside its containers.

Owns: `Process`, what a container does once the kubelet starts it, and `Runtime`, whom the cluster asks. Does
not own: how the cluster reacts (`controllers/kubelet.py`) or what the application does (the monitoring side).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from harness.cluster import LogLine, Manifest

if TYPE_CHECKING:
    from harness.environments.simulated.store import ObjectStore


class Process(NamedTuple):
    """What a container does when the kubelet starts it."""

    outcome: Literal["runs", "exits", "oom", "start_error"]
    after_s: float = 0.0
    """Seconds from start until it exits or is OOM-killed."""
    exit_code: int = 0
    message: str = ""
    """For instance the text of a StartError."""
    logs: tuple[str, ...] = ()
    """Lines it writes at start."""
    serves: bool = False
    """A command that is not the application's starts the application's program nevertheless."""


class Runtime(Protocol):
    """Whom the cluster asks about everything that happens inside containers. Must be picklable."""

    def container_started(self, pod: Manifest, container: str, store: ObjectStore, now: float) -> Process:
        """What the container (init containers included) does from now on."""

    def pod_ready(self, pod: Manifest, store: ObjectStore, now: float) -> bool:
        """Readiness probe result for a running pod: True when it has no probe or passes it."""

    def startup_seconds(self, pod: Manifest) -> float:
        """Seconds from scheduled to running."""

    def image_exists(self, image: str) -> bool | str:
        """True, or the error text of the pull (unknown image, wrong architecture)."""

    def pod_usage(self, pod: Manifest, now: float) -> tuple[float, float]:
        """(cores, bytes) that a running pod uses, as the metrics server would answer."""

    def changed(self, now: float, store: ObjectStore) -> None:
        """Called at the end of each instant in which `store.version` moved."""

    def container_logs(
        self, pod: Manifest, container: str, store: ObjectStore, now: float, tail: int, previous: bool
    ) -> Sequence[LogLine]:
        """What the application wrote beyond `Process.logs`: the newest `tail` lines, oldest first."""
