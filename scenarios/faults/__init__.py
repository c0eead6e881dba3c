"""Faults: one mechanism each of ITBench's fault index, and the order in which a scenario plays them.

Owns: the registry by ITBench id, and injecting, confirming and undoing all injections of a scenario.
Does not own: any mechanism; see the modules beside this one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.cluster import Cluster, ObjectRef, wait_until
from harness.errors import InfrastructureError
from harness.plugins import added_objects
from scenarios.faults.api_server import ApiServerRequestSurge
from scenarios.faults.base import Fault, Injection
from scenarios.faults.chaos import ScheduledChaosExperiment
from scenarios.faults.containers import (
    InsufficientResources,
    InvalidCommand,
    MisconfiguredReadinessProbe,
    ModifiedEnvironmentVariable,
    NonexistentImage,
    UnassignedResourceLimits,
    UnsupportedArchitectureImage,
)
from scenarios.faults.credentials import ChangedValkeyPassword, CorruptedSecret, ValkeyOutOfMemory
from scenarios.faults.feature_flags import FeatureFlag
from scenarios.faults.init_containers import CrashingInitContainer, HangingInitContainer
from scenarios.faults.mesh import DisabledAmbientMode, GatewayDenial, StrictMutualTls
from scenarios.faults.networking import FailingNameResolution, IngressBlockingNetworkPolicy
from scenarios.faults.nodes import CordonedNode, NonexistentNode
from scenarios.faults.priority import PriorityPreemption
from scenarios.faults.quota import InsufficientResourceQuota, MisconfiguredAutoscaler, ScaledToZero
from scenarios.faults.scheduling import UnschedulableAntiAffinity
from scenarios.faults.services import DeletedService, InvalidSelector, ModifiedTargetPort
from scenarios.faults.storage import NonexistentPersistentVolumeClaim
from scenarios.faults.waiters import WAITERS, RestartKubernetesWorkload
from scenarios.schema import PlannedInjection, PlannedWaiter, Scenario

__all__ = [
    "FAULTS",
    "WAITERS",
    "Fault",
    "Injection",
    "await_active",
    "causes_left",
    "fault_of",
    "inject",
    "injected_objects",
    "set_up",
    "undo",
]

FAULTS: dict[str, type[Fault]] = {
    fault.id: fault
    for fault in (
        CordonedNode,
        CrashingInitContainer,
        DisabledAmbientMode,
        FailingNameResolution,
        HangingInitContainer,
        IngressBlockingNetworkPolicy,
        InsufficientResourceQuota,
        InsufficientResources,
        InvalidCommand,
        ApiServerRequestSurge,
        MisconfiguredAutoscaler,
        MisconfiguredReadinessProbe,
        ModifiedEnvironmentVariable,
        ModifiedTargetPort,
        NonexistentImage,
        NonexistentNode,
        NonexistentPersistentVolumeClaim,
        FeatureFlag,
        PriorityPreemption,
        ScaledToZero,
        ScheduledChaosExperiment,
        StrictMutualTls,
        GatewayDenial,
        UnassignedResourceLimits,
        UnschedulableAntiAffinity,
        UnsupportedArchitectureImage,
        ChangedValkeyPassword,
        ValkeyOutOfMemory,
        InvalidSelector,
        DeletedService,
        CorruptedSecret,
        *added_objects("faults"),
    )
}
"""Fault mechanisms by ITBench id, and those of installed packages."""

CONFIRM_S = 300.0


def fault_of(injection: Injection | PlannedInjection) -> Fault:
    """The fault of a planned or recorded injection. Raises KeyError and pydantic's ValidationError."""
    return FAULTS[injection.fault].model_validate(injection.args)


def injected_objects(scenario: Scenario) -> tuple[ObjectRef, ...]:
    """Every object that the scenario's injections change, create or delete, without repetition."""
    found = (target for planned in scenario.injections() for target in fault_of(planned).objects())
    return tuple(dict.fromkeys(found))


def set_up(cluster: Cluster, scenario: Scenario) -> None:
    """Play what the scenario does to a healthy application before its injections, such as scaling: the state
    that a remediation must lead back to. `inject` plays it too, which then changes nothing."""
    for disruption in scenario.disruptions:
        _wait_for(cluster, disruption.pre_injection)


def inject(cluster: Cluster, scenario: Scenario) -> tuple[Injection, ...]:
    """Play the scenario's disruptions on a healthy application. Raises InfrastructureError."""
    done: list[Injection] = []
    for disruption in scenario.disruptions:
        _wait_for(cluster, disruption.pre_injection)
        done.extend(fault_of(planned).inject(cluster) for planned in disruption.injections)
        _wait_for(cluster, disruption.post_injection)
    return tuple(done)


def await_active(cluster: Cluster, injections: Sequence[Injection], timeout: float = CONFIRM_S) -> None:
    """Wait until every fault is confirmed active. Raises InfrastructureError("infra_inject_failed")."""

    def waiting() -> list[str]:
        return [one.fault for one in injections if not fault_of(one).confirm_active(cluster, one)]

    if not wait_until(cluster, lambda: not waiting(), timeout):
        raise InfrastructureError(
            "infra_inject_failed", f"not active after {timeout:.0f} s: {', '.join(waiting())}"
        )


def causes_left(cluster: Cluster, injections: Iterable[Injection]) -> list[Injection]:
    """The injections whose cause is not gone."""
    return [one for one in injections if not fault_of(one).cause_removed(cluster, one)]


def undo(cluster: Cluster, scenario: Scenario, injections: Sequence[Injection]) -> None:
    """Put every object back, last injection first, and restart what must read it again."""
    for injection in reversed(injections):
        fault_of(injection).undo(cluster, injection)
    for disruption in scenario.disruptions:
        restarts = [one for one in disruption.post_injection if one.waiter == RestartKubernetesWorkload.id]
        _wait_for(cluster, restarts)


def _wait_for(cluster: Cluster, waiters: Iterable[PlannedWaiter]) -> None:
    for planned in waiters:
        WAITERS[planned.waiter].model_validate(planned.args).run(cluster)
