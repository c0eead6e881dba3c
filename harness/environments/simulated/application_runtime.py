"""What runs inside the containers: the application's side of the `Runtime` seam.

Owns: whether an image can be pulled, whether a container runs, exits, is OOM-killed or cannot start, readiness
probes, start-up times. Does not own: restarts and back-off (the cluster) or requests (`flow.py`). Everything
follows from the pod's spec, the objects it depends on and the application file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.cluster import LogLine, Manifest
from harness.environments.simulated.addresses import parse_address
from harness.environments.simulated.clock import draw, epoch
from harness.environments.simulated.logs import recorded
from harness.environments.simulated.pod_facts import container_of, limit, runs_own_program
from harness.environments.simulated.process import Process
from harness.environments.simulated.programs import mounted_files, run_command, run_script
from harness.environments.simulated.recorder import Recorder, Start
from harness.environments.simulated.view import ClusterView
from scenarios.applications.schema import Application, Workload

if TYPE_CHECKING:
    from harness.environments.simulated.store import ObjectStore

MI = 2.0**20
KEPT_STARTS = 200
EARLY_S = 20
"""A program that dies within these seconds never got to serve."""


class ApplicationRuntime:
    """Answers the cluster for one application. Implements `process.Runtime`."""

    def __init__(self, application: Application, seed: int) -> None:
        self.application = application
        self.seed = seed
        self.view = ClusterView(application)
        self.recorder = Recorder(application, self.view)

    def container_started(self, pod: Manifest, container: str, store: ObjectStore, now: float) -> Process:
        """What the container does from now on; a flag client reads its flags here."""
        process = self._process(pod, container, store)
        name = self.view.workload_of(pod)
        if name and container_of(pod, name)["name"] == container:
            uid, dies = pod["metadata"]["uid"], process.outcome != "runs" and process.after_s < EARLY_S
            (self.view.doomed.add if dies else self.view.doomed.discard)(uid)
            (self.view.stand_ins.add if process.serves else self.view.stand_ins.discard)(uid)
        starts = self.recorder.starts
        starts.append(Start(now, name, pod["metadata"]["name"], container, process))
        del starts[:-KEPT_STARTS]
        return process

    def pod_ready(self, pod: Manifest, store: ObjectStore, now: float) -> bool:
        """A probe passes when its port is one that the container listens on."""
        return all(_probe_passes(container) for container in pod["spec"]["containers"])

    def startup_seconds(self, pod: Manifest) -> float:
        """Seconds from scheduled to running."""
        name = self.view.workload_of(pod)
        low, high = self.application.workloads[name].startup_s if name else (2.0, 4.0)
        return low + (high - low) * draw(self.seed, "startup", pod["metadata"]["name"])

    def image_exists(self, image: str) -> bool | str:
        """True, or the text of the pull error."""
        if any(workload.image == image for workload in self.application.workloads.values()):
            return True
        known = next((entry for entry in self.application.images if entry.image == image), None)
        prefix = f'failed to pull and unpack image "{image}": '
        if known is None:
            return f'{prefix}failed to resolve reference "{image}": {image}: not found'
        if self.application.architecture not in known.architectures:
            return f"{prefix}no match for platform in manifest: not found"
        return True

    def pod_usage(self, pod: Manifest, now: float) -> tuple[float, float]:
        """(cores, bytes): idling and its share of the requests; its working set and what leaked since it started."""
        name = self.view.workload_of(pod)
        segment = self.recorder.segment_at(now)
        if not name or segment is None:
            return 0.0, 0.0
        workload, alike = self.application.workloads[name], segment.pods.get(name, ())
        cpu_m = workload.cpu_m + segment.flow.services[name].cpu_m / max(1, sum(t.ready for t in alike))
        bound = limit(container_of(pod, name), "cpu")
        leaked = self.leak_mi_per_min(pod, workload) * (now - epoch(pod["status"]["startTime"])) / 60
        memory = (workload.working_set_mi + leaked) * MI
        return min(cpu_m / 1000, bound or cpu_m), memory

    def changed(self, now: float, store: ObjectStore) -> None:
        """Let monitoring take in the objects as they are."""
        self.recorder.changed(now, store)

    def container_logs(
        self, pod: Manifest, container: str, store: ObjectStore, now: float, tail: int, previous: bool
    ) -> Sequence[LogLine]:
        """What the application wrote since the pod's creation beyond its start-up lines."""
        name = self.view.workload_of(pod)
        if previous or not name or container_of(pod, name)["name"] != container:
            return []
        self.changed(now, store)
        found = recorded(
            self.recorder,
            self.seed,
            -float("inf"),
            now,
            service=name,
            pod=pod["metadata"]["name"],
            limit=tail,
            starts=False,
        )
        return [LogLine(record.time, f"{record.severity} {record.body}") for record in found]

    # --- processes

    def _process(self, pod: Manifest, container: str, store: ObjectStore) -> Process:
        spec = pod["spec"]
        own = next(
            c for c in [*spec["containers"], *spec.get("initContainers", ())] if c["name"] == container
        )
        name = self.view.workload_of(pod)
        workload = self.application.workloads.get(name)
        is_main = workload is not None and container_of(pod, name)["name"] == container
        if workload is None or not is_main:
            return self._foreign(pod, own, "", float("inf"), store)
        if runs_own_program(own, workload) and own["image"] == workload.image:
            return self._program(pod, own, workload, store)
        memory = limit(own, "memory") / MI
        room = memory - workload.working_set_mi if memory else float("inf")
        program = workload.program[0] if workload.program and own["image"] == workload.image else ""
        return self._foreign(pod, own, program, room, store)

    def _foreign(
        self, pod: Manifest, container: Manifest, program: str, room_mi: float, store: ObjectStore
    ) -> Process:
        """A command that is not the workload's: a mounted script, or one of the usual programs."""
        words = [*(container.get("command") or ()), *(container.get("args") or ())]
        process = run_script(words, mounted_files(pod, container, store), program, room_mi)
        if process is None:
            return run_command(words)
        if process.serves:
            self.view.container_started(pod, store)
        return process

    def _program(self, pod: Manifest, container: Manifest, workload: Workload, store: ObjectStore) -> Process:
        self.view.container_started(pod, store)
        memory = limit(container, "memory")
        if memory and memory < workload.working_set_mi * MI:
            share = memory / (workload.working_set_mi * MI)
            return Process("oom", after_s=0.5 + 4 * share, exit_code=137)
        logs = (workload.start_log,)
        problem = self._fatal_dependency(container, workload, store)
        if problem:
            return Process("exits", 1.5, 1, logs=(problem,))
        growth = self.leak_mi_per_min(pod, workload)
        if memory and growth:
            return Process("oom", 60 * (memory / MI - workload.working_set_mi) / growth, 137, logs=logs)
        return Process("runs", logs=logs)

    def leak_mi_per_min(self, pod: Manifest, workload: Workload) -> float:
        """Growth of the working set that the flags of a pod cause."""
        flags = self.view.flags_of.get(pod["metadata"]["uid"], {})
        return sum(effect.memory_mi_per_min * flags.get(effect.flag, 0.0) for effect in workload.flags)

    def _fatal_dependency(self, container: Manifest, workload: Workload, store: ObjectStore) -> str:
        env = {entry["name"]: str(entry.get("value", "")) for entry in container.get("env") or ()}
        for variable in workload.needs_at_start:
            host, port = parse_address(env.get(variable, ""), 80)
            service = store.get("Service", host.partition(".")[0], self.application.namespace)
            if service is None:
                return f"FATAL {variable}: dial tcp: lookup {host or '(empty address)'}: no such host"
            if all(int(entry["port"]) != port for entry in service["spec"].get("ports") or ()):
                return f"FATAL {variable}: dial tcp {host}:{port}: connect: connection refused"
        return ""


def _probe_passes(container: Manifest) -> bool:
    probe = container.get("readinessProbe")
    if not probe:
        return True
    action = next((probe[kind] for kind in ("httpGet", "tcpSocket", "grpc") if probe.get(kind)), None)
    if action is None:
        return True
    ports = container.get("ports") or ()
    return any(action.get("port") in (port.get("containerPort"), port.get("name")) for port in ports)
