"""The status of a pod, derived from its containers: phase, conditions, container statuses."""

from __future__ import annotations

from collections.abc import Sequence

from harness.cluster import Manifest
from harness.environments.simulated.controllers.base import make_condition
from harness.environments.simulated.controllers.containers import ContainerRun


def pod_status(
    pod: Manifest, inits: Sequence[ContainerRun], mains: Sequence[ContainerRun], passing: bool, now: float
) -> Manifest:
    """The new status. `passing` says whether the readiness probes pass."""
    incomplete = [run.name for run in inits if run.step != "done"]
    initialized = not incomplete
    unready = [run.name for run in mains if not _is_ready(run, passing)]
    finished = all(run.step == "done" for run in mains)
    status: Manifest = {**pod["status"], "phase": _phase(initialized, mains)}
    status["conditions"] = [
        _because(pod, "PodReadyToStartContainers", True, now),
        _because(
            pod,
            "Initialized",
            initialized,
            now,
            "ContainersNotInitialized",
            f"containers with incomplete status: [{' '.join(incomplete)}]",
        ),
        *(
            _because(
                pod,
                type_,
                not unready,
                now,
                "PodCompleted" if finished else "ContainersNotReady",
                "" if finished else f"containers with unready status: [{' '.join(unready)}]",
            )
            for type_ in ("Ready", "ContainersReady")
        ),
        make_condition(pod, "PodScheduled", True, now),
    ]
    if inits:
        status["initContainerStatuses"] = [_container(run, run.step == "done") for run in inits]
    status["containerStatuses"] = [_container(run, _is_ready(run, passing)) for run in mains]
    return status


def _is_ready(run: ContainerRun, passing: bool) -> bool:
    return run.running and (passing or not run.probed)


def _because(
    pod: Manifest, type_: str, status: bool, now: float, reason: str = "", message: str = ""
) -> Manifest:
    return make_condition(pod, type_, status, now, "" if status else reason, "" if status else message)


def _phase(initialized: bool, mains: Sequence[ContainerRun]) -> str:
    if not initialized or any(
        not (run.running or run.last_state or "terminated" in run.state) for run in mains
    ):
        return "Pending"
    if all(run.step == "done" for run in mains):
        failed = any(run.state["terminated"]["exitCode"] for run in mains)
        return "Failed" if failed else "Succeeded"
    return "Running"


def _container(run: ContainerRun, ready: bool) -> Manifest:
    status: Manifest = {
        "name": run.name,
        "image": run.image,
        "ready": ready,
        "started": run.running,
        "restartCount": run.restarts,
        "state": run.state,
    }
    if run.last_state:
        status["lastState"] = run.last_state
    return status
