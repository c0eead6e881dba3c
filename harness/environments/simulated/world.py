"""The simulated world: a virtual clock, the object store and the controllers that act on it.

Owns: the order of things. It is a discrete-event simulation: controllers say when to be woken, `advance`
jumps from one wake-up to the next, and time in which nothing is due costs nothing. Does not own: the API
(`cluster.py`), what containers do (the runtime), what monitoring sees.

A world is picklable as a whole; `checkpoint` is how a prepared incident is shared by trials.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from harness.cluster import Manifest
from harness.environments.simulated.checkpoint import Checkpoint
from harness.environments.simulated.clock import BEGIN, Clock, EventQueue, Key, draw
from harness.environments.simulated.cluster import SimulatedCluster
from harness.environments.simulated.controllers.autoscaler import AutoscalerController
from harness.environments.simulated.controllers.base import Controller
from harness.environments.simulated.controllers.daemonsets import DaemonSetController
from harness.environments.simulated.controllers.deployments import DeploymentController
from harness.environments.simulated.controllers.endpoints import EndpointsController
from harness.environments.simulated.controllers.experiments import ExperimentController
from harness.environments.simulated.controllers.garbage import GarbageCollector
from harness.environments.simulated.controllers.kubelet import Kubelet
from harness.environments.simulated.controllers.quota import QuotaController
from harness.environments.simulated.controllers.replicasets import ReplicaSetController
from harness.environments.simulated.controllers.scheduler import Scheduler
from harness.environments.simulated.controllers.schedules import ScheduleController
from harness.environments.simulated.controllers.statefulsets import StatefulSetController
from harness.environments.simulated.controllers.volumes import VolumeController
from harness.environments.simulated.nodes import (
    default_nodes,
    system_classes,
    system_namespaces,
    system_pods,
)
from harness.environments.simulated.process import Runtime
from harness.environments.simulated.store import ObjectStore

CONTROLLERS: tuple[type[Controller], ...] = (
    DeploymentController,
    ReplicaSetController,
    StatefulSetController,
    DaemonSetController,
    Scheduler,
    Kubelet,
    EndpointsController,
    QuotaController,
    ScheduleController,
    ExperimentController,
    VolumeController,
    AutoscalerController,
    GarbageCollector,
)
START_SPREAD = 6 * 3600
"""Seconds after BEGIN within which worlds start, by seed."""
MAX_STEPS = 200_000
"""Reconciliations at one instant; more means that two controllers undo each other's work."""


class World:
    """One cluster in its own time."""

    def __init__(self, seed: int, runtime: Runtime, nodes: Sequence[Manifest] | None = None) -> None:
        """An empty cluster of `nodes` (by default one control plane and two workers)."""
        self.seed = seed
        self.runtime = runtime
        self.clock = Clock(BEGIN + int(draw(seed, "start") * START_SPREAD))
        self.store = ObjectStore(self.clock, seed)
        self.queue = EventQueue()
        self.kubelet = Kubelet(self)
        self.controllers: dict[str, Controller] = {
            kind.name: self.kubelet if kind is Kubelet else kind(self) for kind in CONTROLLERS
        }
        self.cluster = SimulatedCluster(self)
        self._waiting: deque[tuple[str, Key]] = deque()
        self._queued: set[tuple[str, Key]] = set()
        self._serials: dict[str, int] = {}
        self._seen_version = 0
        machines = [*default_nodes(), *system_pods()] if nodes is None else nodes
        self.deploy([*system_namespaces(), *system_classes(), *machines])

    @property
    def now(self) -> float:
        """Seconds since the epoch on the virtual clock."""
        return self.clock.now

    def deploy(self, manifests: Iterable[Manifest]) -> None:
        """Apply objects in order, letting the controllers act once at the end. Raises ClusterError."""
        for manifest in manifests:
            self.cluster.write(manifest)
        self.settle()

    def advance(self, seconds: float) -> None:
        """Let time pass: everything that falls due happens, in order."""
        deadline = self.clock.now + seconds
        while (at := self._next_time()) <= deadline:
            self.clock.now = max(at, self.clock.now)
            while self.queue.next_time() <= self.clock.now:
                self.enqueue(*self.queue.pop())
            self.settle()
        self.clock.now = deadline

    def settle(self) -> None:
        """Let the controllers act until nothing is left to do at this instant."""
        for _ in range(MAX_STEPS):
            self._dispatch()
            if not self._waiting:
                break
            name, key = item = self._waiting.popleft()
            self._queued.discard(item)
            self.controllers[name].reconcile(key)
        else:
            raise RuntimeError(
                f"the controllers did not come to rest within {MAX_STEPS} steps: {self._waiting}"
            )

    def enqueue(self, controller: str, key: Key) -> None:
        """Have a controller look at an object before time moves on."""
        item = (controller, key)
        if item not in self._queued:
            self._queued.add(item)
            self._waiting.append(item)

    def next_serial(self, what: str) -> int:
        """0, 1, 2, ... for each thing that is numbered."""
        serial = self._serials.get(what, 0)
        self._serials[what] = serial + 1
        return serial

    def checkpoint(self) -> Checkpoint:
        """The whole world as it is, runtime included."""
        return Checkpoint(self)

    def _next_time(self) -> float:
        """When something is due next. Before time moves, monitoring and probes see how this instant left things."""
        if self.queue.next_time() > self.clock.now and self.store.version != self._seen_version:
            self._seen_version = self.store.version
            self.runtime.changed(self.clock.now, self.store)
            self.kubelet.check_probes()
        return self.queue.next_time()

    def _dispatch(self) -> None:
        """Show each write to the controllers that watch its kind."""
        changes = self.store.changes
        while changes:
            change = changes.popleft()
            for kind in _WATCHERS.get(change.kind, _WATCHERS["*"]):
                self.controllers[kind].observe(change)


def _watchers() -> dict[str, list[str]]:
    kinds = {kind for controller in CONTROLLERS for kind in controller.watches}
    return {kind: [c.name for c in CONTROLLERS if kind in c.watches or "*" in c.watches] for kind in kinds}


_WATCHERS = _watchers()
