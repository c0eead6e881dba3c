"""Faults in a Service: a wrong target port, a wrong selector, a missing Service.

Owns: ITBench faults 14, 29 and 30.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from harness.cluster import Cluster, Manifest, ObjectRef, exists
from scenarios.faults.base import Fault, Injection, KubernetesObject, find, refuse, require
from scenarios.faults.nodes import number_from
from scenarios.faults.objects import has_ready_endpoints

BAD_PORT = 9999


class ServiceFault(Fault):
    """A fault in a Service."""

    kubernetes_object: KubernetesObject[Literal["Service"]] = Field(alias="kubernetesObject")

    @property
    def target(self) -> ObjectRef:
        """The Service."""
        return self.kubernetes_object.ref

    def objects(self) -> tuple[ObjectRef, ...]:
        return (self.target,)

    def serves(self, cluster: Cluster) -> bool:
        """Whether ready addresses stand behind the Service."""
        return has_ready_endpoints(cluster, self.target.name, self.target.namespace)


class ModifiedTargetPort(ServiceFault):
    """Fault 14: one port of the Service points to a port on which nothing listens."""

    id = "modified-target-port-kubernetes-service"
    index = 14
    target_port: int | str = Field(alias="targetPort")
    """Target port of the port entry to change."""

    def inject(self, cluster: Cluster) -> Injection:
        service = require(self, cluster, self.target)
        matching = [port for port in service["spec"]["ports"] if port.get("targetPort") == self.target_port]
        if not matching:
            found = ", ".join(str(port.get("targetPort")) for port in service["spec"]["ports"])
            raise refuse(self, self.target, f"has no target port {self.target_port!r}; it has {found}")
        time = cluster.now()
        ports: list[dict[str, Any]] = [
            {"port": port["port"], "targetPort": BAD_PORT, **_protocol(port)} for port in matching
        ]
        cluster.patch(*self.target, {"spec": {"ports": ports}})
        return self.record(cluster, time, before=(service,))

    def confirm_active(self, cluster: Cluster, injection: Injection) -> bool:
        service = find(cluster, self.target)
        return service is not None and any(
            port.get("targetPort") == BAD_PORT for port in service["spec"].get("ports", [])
        )

    def cause_removed(self, cluster: Cluster, injection: Injection) -> bool:
        service = find(cluster, self.target)
        return (
            service is not None
            and _target_ports(service) == _target_ports(injection.original(self.target))
            and self.serves(cluster)
        )


class InvalidSelector(ServiceFault):
    """Fault 29: the Service selects pods that do not exist."""

    id = "invalid-kubernetes-service-selector"
    index = 29

    def inject(self, cluster: Cluster) -> Injection:
        service = require(self, cluster, self.target)
        time = cluster.now()
        selector = {"app.kubernetes.io/name": f"invalid-workload-{number_from(service, 1000)}"}
        cluster.patch(*self.target, {"spec": {"selector": selector}})
        return self.record(cluster, time, before=(service,))

    def confirm_active(self, cluster: Cluster, injection: Injection) -> bool:
        return find(cluster, self.target) is not None and not self.serves(cluster)

    def cause_removed(self, cluster: Cluster, injection: Injection) -> bool:
        service = find(cluster, self.target)
        wanted = injection.original(self.target)["spec"].get("selector")
        return service is not None and service["spec"].get("selector") == wanted and self.serves(cluster)


class DeletedService(ServiceFault):
    """Fault 30: the Service is gone, so its name does not resolve."""

    id = "deleted-kubernetes-service"
    index = 30

    def inject(self, cluster: Cluster) -> Injection:
        service = require(self, cluster, self.target)
        time = cluster.now()
        cluster.delete(*self.target)
        return self.record(cluster, time, before=(service,))

    def confirm_active(self, cluster: Cluster, injection: Injection) -> bool:
        return not exists(cluster, self.target)

    def cause_removed(self, cluster: Cluster, injection: Injection) -> bool:
        service, original = find(cluster, self.target), injection.original(self.target)
        return (
            service is not None
            and _target_ports(service) == _target_ports(original)
            and service["spec"].get("selector") == original["spec"].get("selector")
            and self.serves(cluster)
        )


def _protocol(port: Manifest) -> dict[str, Any]:
    return {"protocol": port["protocol"]} if "protocol" in port else {}


def _target_ports(service: Manifest) -> set[tuple[int, str, int | str]]:
    """(port, protocol, target port); an absent target port means the port itself."""
    return {
        (port["port"], port.get("protocol", "TCP"), port.get("targetPort", port["port"]))
        for port in service["spec"].get("ports", [])
    }
