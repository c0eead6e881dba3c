"""Pods as the request model and monitoring see them.

Owns: what one version of a pod's object says by itself. Does not own: what the pod read when it started and what is
done to it (`view.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from harness.cluster import Manifest
from harness.environments.rules import Labels
from harness.environments.simulated.quantity import parse_quantity
from harness.environments.simulated.signature import Variant, variant
from scenarios.applications.schema import Workload


class PodTrace(NamedTuple):
    """A pod as its metrics show it."""

    name: str
    ready: bool
    restarts: int


class PodFacts(NamedTuple):
    """One pod, read once per version of its object."""

    manifest: Manifest
    uid: str
    name: str
    namespace: str
    workload: str
    """Empty for pods that do not belong to the application."""
    ready: bool
    variant: Variant
    """Without flags."""
    alarms: tuple[tuple[str, Labels], ...]
    """(signal of an alert rule, labels) of what is wrong with it."""
    trace: PodTrace
    """What metrics show of it."""


def read_pod(pod: Manifest, name: str, workload: Workload | None) -> PodFacts:
    """What there is to know about a pod; it may belong to a workload, which has that name."""
    metadata, status = pod["metadata"], pod.get("status", {})
    conditions = status.get("conditions", ())
    statuses = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    ready = "deletionTimestamp" not in metadata and any(
        condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions
    )
    phase = status.get("phase", "Pending")
    waiting = [(s["name"], s["state"]["waiting"]) for s in statuses if "waiting" in s.get("state", {})]
    restarts = sum(one.get("restartCount", 0) for one in statuses)
    return PodFacts(
        manifest=pod,
        uid=metadata.get("uid", ""),
        name=metadata["name"],
        namespace=metadata.get("namespace", ""),
        workload=name,
        ready=ready,
        variant=_variant(name, workload, pod) if workload else variant(),
        alarms=tuple(_alarms(metadata, phase, waiting)),
        trace=PodTrace(metadata["name"], ready, restarts),
    )


def _alarms(
    metadata: Manifest, phase: str, waiting: Iterable[tuple[str, Manifest]]
) -> Iterator[tuple[str, Labels]]:
    namespace, pod = ("namespace", metadata.get("namespace", "")), ("pod", metadata["name"])
    if phase in ("Pending", "Unknown", "Failed"):
        yield "pod_not_ready", (namespace, pod)
    if phase == "Failed":
        yield "failed_pods", (namespace,)
    for container, state in waiting:
        looping = state.get("reason") == "CrashLoopBackOff"
        yield "crash_loop" if looping else "container_waiting", (namespace, pod, ("container", container))


def container_of(pod: Manifest, workload: str) -> Manifest:
    """The container that runs the workload's program: the one of its name, or the first."""
    containers: list[Manifest] = pod["spec"]["containers"]
    return next((c for c in containers if c["name"] == workload), containers[0])


def limit(container: Manifest, resource: str) -> float:
    """A resource limit in cores or bytes; 0 when there is none."""
    amount = ((container.get("resources") or {}).get("limits") or {}).get(resource)
    return parse_quantity(amount) if amount is not None else 0.0


def _variant(name: str, workload: Workload, pod: Manifest) -> Variant:
    container = container_of(pod, name)
    env = tuple(
        (entry["name"], str(entry.get("value", "")))
        for entry in container.get("env") or ()
        if entry["name"] in workload.env
    )
    return variant(
        env=env,
        cpu_limit_m=limit(container, "cpu") * 1000,
        resolves_names=pod["spec"].get("dnsPolicy", "ClusterFirst")
        in ("ClusterFirst", "ClusterFirstWithHostNet"),
        serves=container["image"] == workload.image and runs_own_program(container, workload),
    )


def runs_own_program(container: Manifest, workload: Workload) -> bool:
    """Whether a container's command starts the workload's program."""
    command = tuple(container.get("command") or ())
    return command in ((), workload.command) or command == workload.program != ()
