"""The kubelet of all nodes: starts, probes and stops the containers of pods that are bound to a node.

Owns: the order of init containers, volumes and configuration that a container needs, readiness, and graceful
termination. Does not own: single containers (`containers.py`) or how a status looks (`pod_status.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.cluster import Manifest
from harness.environments.simulated.clock import Key, draw, iso
from harness.environments.simulated.control_plane import COMPONENTS
from harness.environments.simulated.controllers.base import Controller, key_of
from harness.environments.simulated.controllers.containers import NEVER, ContainerRun, advance, begin, waiting
from harness.environments.simulated.controllers.pod_status import pod_status
from harness.environments.simulated.store import Change

if TYPE_CHECKING:
    from harness.environments.simulated.world import World

MOUNT_RETRY, PROBE_REPORT = 120.0, 60.0
PAUSE_IMAGE = "registry.k8s.io/pause:3.10"
"""Present on every node: it holds each pod's namespaces."""


@dataclass(slots=True)
class PodRun:
    """A pod on its node."""

    uid: str
    inits: list[ContainerRun]
    mains: list[ContainerRun]
    begins: float
    """When its volumes are mounted and the first container is started; NEVER once that is done."""
    probed: bool
    passing: bool = False
    """Whether its readiness probes pass; meaningless without probes."""
    probe_due: float = NEVER
    gone: float = NEVER
    """When a pod that is being deleted goes."""
    woken: float = NEVER
    """The wake-up that is already in the queue."""

    @property
    def containers(self) -> list[ContainerRun]:
        """Init containers first."""
        return self.inits + self.mains

    def due(self) -> float:
        """When something happens next."""
        return min(self.begins, self.probe_due, self.gone, *(run.due for run in self.containers))


class Kubelet(Controller):
    """Runs pods."""

    name = "kubelet"
    watches = ("Pod", "ConfigMap", "Secret", "PersistentVolumeClaim")

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.images: set[str] = {PAUSE_IMAGE, *COMPONENTS.values()}
        """Images that were pulled once, and those that every node comes with."""
        self._runs: dict[Key, PodRun] = {}
        self._lacking: dict[Key, None] = {}
        """Pods that wait for an object which does not exist."""
        self._probed: dict[Key, None] = {}

    def run_of(self, pod: Manifest, container: str) -> ContainerRun | None:
        """The state of one container; None before the pod is on a node or when it has no such container."""
        run = self._runs.get(key_of(pod))
        containers = run.containers if run is not None and run.uid == pod["metadata"]["uid"] else []
        return next((entry for entry in containers if entry.name == container), None)

    def exhaust_memory(self, pod: Manifest, container: str, after_s: float) -> None:
        """Let the kernel kill a running container for lack of memory."""
        key = key_of(pod)
        run, entry = self._runs.get(key), self.run_of(pod, container)
        if run is not None and entry is not None and entry.running and entry.process is not None:
            entry.process = entry.process._replace(outcome="oom", exit_code=137)
            entry.due = min(entry.due, self.now + after_s)
            self._sleep(key, run)

    def observe(self, change: Change) -> None:
        """Pods whose spec or deletion changed; pods that waited for an object that now exists."""
        if change.kind != "Pod":
            if change.new is not None and change.old is None:
                for key in [key for key in self._lacking if key[0] == change.key[0]]:
                    self._retry(key)
            return
        old, new = change.old, change.new
        if old is None or new is None or old["spec"] != new["spec"] or "deletionTimestamp" in new["metadata"]:
            self.enqueue(change.key)

    def reconcile(self, key: Key) -> None:
        """Do everything that is due for one pod and write its status."""
        pod, run = self.store.get("Pod", key[1], key[0]), self._runs.get(key)
        if run is not None and (pod is None or pod["metadata"]["uid"] != run.uid):
            self._forget(key)
            run = None
        if pod is None:
            return
        if "deletionTimestamp" in pod["metadata"]:
            self._terminate(key, pod, run)
        elif pod["spec"].get("nodeName"):
            if run is None:
                run = self._admit(key, pod)
                pod = self._address(pod)
            self._replace_images(pod, run)
            self._step(key, pod, run)
            status = pod_status(pod, run.inits, run.mains, run.passing, self.now)
            self.store.put_status(pod, status)
            self._sleep(key, run)

    # --- the course of a pod

    def _admit(self, key: Key, pod: Manifest) -> PodRun:
        spec = pod["spec"]
        inits = [_new_run(container) for container in spec.get("initContainers") or ()]
        mains = [_new_run(container) for container in spec["containers"]]
        for entry in inits + mains:
            entry.state = waiting("PodInitializing" if inits else "ContainerCreating")
        begins = self.now + self.world.runtime.startup_seconds(pod)
        run = PodRun(pod["metadata"]["uid"], inits, mains, begins, any(entry.probed for entry in mains))
        self._runs[key] = run
        if run.probed:
            self._probed[key] = None
        return run

    def _address(self, pod: Manifest) -> Manifest:
        """The pod with its addresses and start time."""
        name = pod["spec"]["nodeName"]
        node = self.store.get("Node", name)
        host = "" if node is None else node["status"]["addresses"][0]["address"]
        subnet = host.rpartition(".")[2] or "0"
        serial = self.world.next_serial(f"ip/{name}")
        ip = f"10.244.{subnet}.{2 + serial % 250}"
        added = {"hostIP": host, "podIP": ip, "startTime": iso(self.now)}
        return {**pod, "status": {**pod["status"], **added}}

    def _step(self, key: Key, pod: Manifest, run: PodRun) -> None:
        if run.begins <= self.now:
            problem = self._missing_volume(pod)
            if problem:
                self.record(pod, "FailedMount", problem, warning=True)
                self._lacking[key] = None
                run.begins = self.now + MOUNT_RETRY
                return
            self._lacking.pop(key, None)
            run.begins = NEVER
            for entry in run.inits[:1] or run.mains:
                begin(entry, self.now)
        for entry in run.containers:
            advance(entry, pod, self)
        self._follow_inits(pod, run)
        if any(entry.step == "config_error" for entry in run.containers):
            self._lacking[key] = None
        self._probe(pod, run)

    def _follow_inits(self, pod: Manifest, run: PodRun) -> None:
        """Start the next init container, or the containers proper, when an init container has finished."""
        if not run.inits or any(entry.step not in ("waiting", "done") for entry in run.inits):
            return
        pending = [entry for entry in run.inits if entry.step == "waiting"]
        started = run.inits[0].step == "done"
        if started:
            for entry in pending[:1] or [entry for entry in run.mains if entry.step == "waiting"]:
                begin(entry, self.now + 1)

    def _probe(self, pod: Manifest, run: PodRun) -> None:
        """The readiness probe, when it is due; a failing one is reported and tried again."""
        if not run.probed:
            return
        probe = _readiness_probe(pod)
        if not all(entry.running for entry in run.mains):
            run.passing, run.probe_due = False, NEVER
            return
        if run.probe_due == NEVER and not run.passing:
            started = max(entry.started for entry in run.mains)
            run.probe_due = max(self.now, started + probe.get("initialDelaySeconds", 0) + 1)
        if run.probe_due <= self.now:
            run.passing = self.world.runtime.pod_ready(pod, self.store, self.now)
            run.probe_due = NEVER if run.passing else self.now + PROBE_REPORT
            if not run.passing:
                count = max(1, int(PROBE_REPORT // probe.get("periodSeconds", 10)))
                message = f"Readiness probe failed: {_refusal(probe, pod)}"
                self.store.record(pod, "Unhealthy", message, self.name, warning=True, count=count)

    def check_probes(self) -> None:
        """Probe again after the world changed; a new answer counts once it has been given often enough."""
        for key in self._probed:
            pod, run = self.store.get("Pod", key[1], key[0]), self._runs[key]
            if pod is None or not all(entry.running for entry in run.mains):
                continue
            passes = self.world.runtime.pod_ready(pod, self.store, self.now)
            if passes == run.passing:
                continue
            probe = _readiness_probe(pod)
            threshold = probe.get("successThreshold", 1) if passes else probe.get("failureThreshold", 3)
            at = self.now + threshold * probe.get("periodSeconds", 10)
            if run.probe_due > at:
                run.probe_due = at
                self._sleep(key, run)

    def _terminate(self, key: Key, pod: Manifest, run: PodRun | None) -> None:
        running = [entry for entry in run.containers if entry.running] if run is not None else []
        if run is not None and running and run.gone == NEVER:
            grace = float(pod["spec"].get("terminationGracePeriodSeconds", 30))
            run.gone = self.now + min(grace, 1 + 2 * draw(self.world.seed, "stop", run.uid))
            for entry in running:
                self.record(pod, "Killing", f"Stopping container {entry.name}")
            self.wake(key, run.gone)
        elif run is None or not running or run.gone <= self.now:
            self._forget(key)
            self.store.remove("Pod", key[1], key[0])

    def _replace_images(self, pod: Manifest, run: PodRun) -> None:
        for entry in run.mains:
            image = _container(pod, entry.name)["image"]
            if image != entry.image:
                entry.image = image
                if entry.step not in ("waiting", "done"):
                    message = f"Container {entry.name} definition changed, will be restarted"
                    self.record(pod, "Killing", message)
                    entry.restarts += entry.running
                    entry.crashes = entry.failed_pulls = 0
                    begin(entry, self.now)

    # --- what a container needs

    def is_init(self, pod: Manifest, container: str) -> bool:
        """Whether this is an init container."""
        return any(entry["name"] == container for entry in pod["spec"].get("initContainers") or ())

    def missing_for(self, pod: Manifest, container: str) -> str:
        """The ConfigMap or Secret, or the key in it, that a container's environment lacks; or empty."""
        spec, ns = _container(pod, container), pod["metadata"]["namespace"]
        for variable in spec.get("env") or ():
            for field, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
                wanted = (variable.get("valueFrom") or {}).get(field)
                if wanted and not wanted.get("optional"):
                    source = self.store.get(kind, wanted["name"], ns)
                    if source is None:
                        return f'{kind.lower()} "{wanted["name"]}" not found'
                    if wanted["key"] not in (source.get("data") or {}):
                        return f"couldn't find key {wanted['key']} in {kind} {ns}/{wanted['name']}"
        for source in spec.get("envFrom") or ():
            for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
                wanted = source.get(field)
                if wanted and not wanted.get("optional") and not self.store.get(kind, wanted["name"], ns):
                    return f'{kind.lower()} "{wanted["name"]}" not found'
        return ""

    def _missing_volume(self, pod: Manifest) -> str:
        ns = pod["metadata"]["namespace"]
        for volume in pod["spec"].get("volumes") or ():
            for field, kind, key in (("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName")):
                wanted = volume.get(field)
                if wanted and not wanted.get("optional") and not self.store.get(kind, wanted[key], ns):
                    what = f'{kind.lower()} "{wanted[key]}" not found'
                    return f'MountVolume.SetUp failed for volume "{volume["name"]}" : {what}'
        return ""

    # --- bookkeeping

    def _sleep(self, key: Key, run: PodRun) -> None:
        due = run.due()
        if due != NEVER and due != run.woken:
            run.woken = due
            self.wake(key, due)

    def _retry(self, key: Key) -> None:
        """Try a pod again that lacked something."""
        run = self._runs.get(key)
        self._lacking.pop(key, None)
        if run is not None:
            run.begins = run.begins if run.begins == NEVER else self.now + 1
            for entry in run.containers:
                if entry.step == "config_error":
                    entry.due = self.now + 1
            self._sleep(key, run)

    def _forget(self, key: Key) -> None:
        self._runs.pop(key, None)
        self._lacking.pop(key, None)
        self._probed.pop(key, None)


def _new_run(container: Manifest) -> ContainerRun:
    return ContainerRun(container["name"], container["image"], bool(container.get("readinessProbe")))


def _container(pod: Manifest, name: str) -> Manifest:
    spec = pod["spec"]
    every = [*spec["containers"], *(spec.get("initContainers") or ())]
    found: Manifest = next(entry for entry in every if entry["name"] == name)
    return found


def _readiness_probe(pod: Manifest) -> Manifest:
    probes = (container.get("readinessProbe") for container in pod["spec"]["containers"])
    found: Manifest = next(probe for probe in probes if probe)
    return found


def _refusal(probe: Manifest, pod: Manifest) -> str:
    ip = pod["status"].get("podIP", "")
    if "httpGet" in probe:
        port, path = probe["httpGet"].get("port"), probe["httpGet"].get("path", "/")
        return f'Get "http://{ip}:{port}{path}": dial tcp {ip}:{port}: connect: connection refused'
    if "tcpSocket" in probe:
        return f"dial tcp {ip}:{probe['tcpSocket'].get('port')}: connect: connection refused"
    return "command failed" if "exec" in probe else "service unhealthy"
