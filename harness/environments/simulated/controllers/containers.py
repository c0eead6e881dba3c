"""The life of one container: pull, start, run, exit, back off, start again.

Owns: the steps of a container, their timing and their Events. Does not own: the pod around it (`kubelet.py`),
nor what the process does, which the runtime says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.cluster import LogLine, Manifest
from harness.environments.simulated.clock import iso
from harness.environments.simulated.process import Process

if TYPE_CHECKING:
    from harness.environments.simulated.controllers.kubelet import Kubelet

NEVER = float("inf")
FIRST_BACK_OFF, LAST_BACK_OFF = 10.0, 300.0
SETTLED = 600.0
"""Seconds of running after which earlier crashes are forgotten."""
RESYNC = 12.0
"""Seconds until the kubelet looks at a failed pull again."""


@dataclass(slots=True)
class ContainerRun:
    """One container of a pod on a node."""

    name: str
    image: str
    probed: bool
    """It has a readiness probe."""
    step: str = "waiting"
    """waiting | pulling | pull_failed | pull_back_off | config_error | running | exited | back_off | done"""
    due: float = NEVER
    """When the step ends by itself."""
    state: Manifest = field(default_factory=dict)
    last_state: Manifest = field(default_factory=dict)
    restarts: int = 0
    failed_pulls: int = 0
    crashes: int = 0
    """Exits in a row without having settled."""
    started: float = 0.0
    process: Process | None = None
    logs: tuple[LogLine, ...] = ()
    previous_logs: tuple[LogLine, ...] | None = None

    @property
    def running(self) -> bool:
        """Whether its process runs."""
        return self.step == "running"


def back_off(failures: int) -> float:
    """Seconds to wait after the n-th failure: 10, 20, 40, ... 300."""
    return min(FIRST_BACK_OFF * 2.0 ** (failures - 1), LAST_BACK_OFF)


def waiting(reason: str, message: str = "") -> Manifest:
    """A waiting state."""
    return {"waiting": {"reason": reason, **({"message": message} if message else {})}}


def begin(run: ContainerRun, at: float) -> None:
    """Let a container start at a time."""
    run.step, run.due = "pulling", at


def advance(run: ContainerRun, pod: Manifest, kubelet: Kubelet) -> None:
    """Take every step that is due."""
    while run.due <= kubelet.now:
        if run.step == "pulling":
            _pull(run, pod, kubelet)
        elif run.step == "pull_failed":
            _back_off_pull(run, pod, kubelet)
        elif run.step == "pull_back_off":
            run.step = "pulling"
        elif run.step == "running":
            _exit(run, pod, kubelet)
        elif run.step == "exited" and run.crashes > 1:
            _back_off_restart(run, pod, kubelet)
        elif run.step == "exited" or run.step == "back_off":
            _restart(run, pod, kubelet)
        else:
            _start(run, pod, kubelet)


def _pull(run: ContainerRun, pod: Manifest, kubelet: Kubelet) -> None:
    if run.image in kubelet.images:
        kubelet.record(pod, "Pulled", f'Container image "{run.image}" already present on machine')
        _start(run, pod, kubelet)
        return
    kubelet.record(pod, "Pulling", f'Pulling image "{run.image}"')
    answer = kubelet.world.runtime.image_exists(run.image)
    if answer is True:
        kubelet.images.add(run.image)
        kubelet.record(pod, "Pulled", f'Successfully pulled image "{run.image}"')
        _start(run, pod, kubelet)
        return
    run.failed_pulls += 1
    kubelet.record(pod, "Failed", f'Failed to pull image "{run.image}": {answer}', warning=True)
    kubelet.record(pod, "Failed", "Error: ErrImagePull", warning=True)
    run.step, run.due, run.state = "pull_failed", kubelet.now + RESYNC, waiting("ErrImagePull", str(answer))


def _back_off_pull(run: ContainerRun, pod: Manifest, kubelet: Kubelet) -> None:
    error = run.state["waiting"].get("message", "")
    kubelet.record(pod, "BackOff", f'Back-off pulling image "{run.image}"')
    kubelet.record(pod, "Failed", "Error: ImagePullBackOff", warning=True)
    message = f'Back-off pulling image "{run.image}": ErrImagePull: {error}'
    run.step, run.state = "pull_back_off", waiting("ImagePullBackOff", message)
    run.due = kubelet.now + back_off(run.failed_pulls)


def _start(run: ContainerRun, pod: Manifest, kubelet: Kubelet) -> None:
    problem = kubelet.missing_for(pod, run.name)
    if problem:
        kubelet.record(pod, "Failed", f"Error: {problem}", warning=True)
        run.step, run.due = "config_error", kubelet.now + 60
        run.state = waiting("CreateContainerConfigError", problem)
        return
    now = kubelet.now
    process = kubelet.world.runtime.container_started(pod, run.name, kubelet.store, now)
    run.process, run.started, run.failed_pulls = process, now, 0
    run.logs = tuple(LogLine(now, line) for line in process.logs)
    kubelet.record(pod, "Created", f"Created container: {run.name}")
    if process.outcome == "start_error":
        _fail_to_start(run, pod, kubelet)
        return
    kubelet.record(pod, "Started", f"Started container {run.name}")
    run.step, run.state = "running", {"running": {"startedAt": iso(now)}}
    run.due = NEVER if process.outcome == "runs" else now + process.after_s


def _fail_to_start(run: ContainerRun, pod: Manifest, kubelet: Kubelet) -> None:
    assert run.process is not None
    message = run.process.message
    kubelet.record(pod, "Failed", f"Error: {message}", warning=True)
    run.crashes += 1
    run.step, run.due, run.state = "exited", kubelet.now + 1, waiting("RunContainerError", message)
    run.last_state = _terminated("StartError", run.process.exit_code or 128, 0.0, kubelet.now, message)


def _exit(run: ContainerRun, pod: Manifest, kubelet: Kubelet) -> None:
    """The process ended; the restart policy says what follows."""
    process, now = run.process, kubelet.now
    assert process is not None
    code = 137 if process.outcome == "oom" else process.exit_code
    reason = "OOMKilled" if process.outcome == "oom" else "Error" if code else "Completed"
    run.state = _terminated(reason, code, run.started, now, process.message)
    policy = "OnFailure" if kubelet.is_init(pod, run.name) else pod["spec"].get("restartPolicy", "Always")
    if policy == "Never" or (policy == "OnFailure" and not code):
        run.step, run.due = "done", NEVER
        return
    run.crashes = 1 if now - run.started >= SETTLED else run.crashes + 1
    run.step, run.due = "exited", now + 1


def _back_off_restart(run: ContainerRun, pod: Manifest, kubelet: Kubelet) -> None:
    metadata, delay = pod["metadata"], back_off(run.crashes - 1)
    _keep_last_state(run)
    who = f"{run.name} in pod {metadata['name']}_{metadata['namespace']}({metadata['uid']})"
    repeated = max(1, int(delay // RESYNC))
    message = f"Back-off restarting failed container {who}"
    kubelet.store.record(pod, "BackOff", message, kubelet.name, warning=True, count=repeated)
    run.state = waiting("CrashLoopBackOff", f"back-off {_duration(delay)} restarting failed container={who}")
    run.step, run.due = "back_off", kubelet.now + delay


def _restart(run: ContainerRun, pod: Manifest, kubelet: Kubelet) -> None:
    _keep_last_state(run)
    run.restarts += 1
    run.previous_logs = run.logs
    _pull(run, pod, kubelet)


def _keep_last_state(run: ContainerRun) -> None:
    if "terminated" in run.state:
        run.last_state = run.state


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _terminated(reason: str, code: int, started: float, finished: float, message: str) -> Manifest:
    detail = {"reason": reason, "exitCode": code, "startedAt": iso(started), "finishedAt": iso(finished)}
    return {"terminated": {**detail, **({"message": message} if message else {})}}
