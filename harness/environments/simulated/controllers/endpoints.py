"""Keeps an Endpoints object per Service: addresses of the pods it selects, and the ports they are asked for.

The port is whatever the Service names: if nothing listens there, the endpoints stay and calls fail.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from harness.cluster import Manifest
from harness.environments.simulated.clock import Key
from harness.environments.simulated.controllers.base import (
    Controller,
    concerns_others,
    had_left,
    is_true,
    key_of,
)
from harness.environments.simulated.store import Change, labels_of

if TYPE_CHECKING:
    from harness.environments.simulated.world import World


def resolve_port(port: Manifest, pod: Manifest) -> int | None:
    """The number that a Service port targets on a pod; None when the pod has no port of that name."""
    target = port.get("targetPort", port["port"])
    if isinstance(target, int):
        return target
    for container in pod["spec"]["containers"]:
        for declared in container.get("ports") or ():
            if declared.get("name") == target:
                return int(declared["containerPort"])
    return None


class EndpointsController(Controller):
    """Services and pods in, Endpoints out."""

    name = "endpoint-controller"
    watches = ("Service", "Pod", "Endpoints")

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._version = -1
        self._known: list[tuple[Key, Mapping[str, str]]] = []
        """What `_selectors` read at that version."""
        self._written: Manifest | None = None
        """What was written last: it needs no second look."""

    def observe(self, change: Change) -> None:
        """A Service, the Service of changed Endpoints, or every one that selects the pod as it was or is."""
        if change.kind == "Service":
            if change.new is None:
                self.store.remove("Endpoints", change.key[1], change.key[0])
            else:
                self.enqueue(change.key)
            return
        if change.kind == "Endpoints":
            if change.new is not self._written:
                self.enqueue(change.key)
            return
        if had_left(change) or not concerns_others(change):
            return
        now = labels_of(change.last)
        before = labels_of(change.old) if change.old is not None else now
        for key, selector in self._selectors():
            wanted = selector.items()
            selects = wanted <= now.items() or (before is not now and wanted <= before.items())
            if selects and key[0] == change.key[0]:
                self.enqueue(key)

    def _selectors(self) -> list[tuple[Key, Mapping[str, str]]]:
        """Key and selector of every Service that has one."""
        version = self.store.last_write_of("Service")
        if version != self._version:
            services = self.store.list("Service")
            self._known = [
                (key_of(one), one["spec"]["selector"]) for one in services if one["spec"].get("selector")
            ]
            self._version = version
        return self._known

    def reconcile(self, key: Key) -> None:
        """Write the endpoints of one Service."""
        service = self.store.get("Service", key[1], key[0])
        if service is None or not service["spec"].get("selector"):
            return
        before = self.store.get("Endpoints", key[1], key[0])
        subsets = self._subsets(service)
        if before is not None and before["subsets"] == subsets:
            return
        metadata = {"name": key[1], "namespace": key[0], "labels": service["metadata"].get("labels", {})}
        manifest = before or {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata}
        self._written = self.store.put({**manifest, "subsets": subsets})

    def _subsets(self, service: Manifest) -> list[Manifest]:
        spec = service["spec"]
        groups: dict[tuple[tuple[str, int, str], ...], Manifest] = {}
        for pod in self.store.list("Pod", service["metadata"]["namespace"], spec["selector"]):
            address, status = pod.get("status", {}).get("podIP"), pod.get("status", {})
            gone = "deletionTimestamp" in pod["metadata"] or status.get("phase") in ("Succeeded", "Failed")
            if not address or gone:
                continue
            resolved = [(port, resolve_port(port, pod)) for port in spec.get("ports") or ()]
            ports = tuple(
                (p.get("name", ""), n, p.get("protocol", "TCP")) for p, n in resolved if n is not None
            )
            subset = groups.setdefault(ports, {"addresses": [], "notReadyAddresses": []})
            ready = is_true(pod, "Ready") or spec.get("publishNotReadyAddresses")
            subset["addresses" if ready else "notReadyAddresses"].append(_address(pod, address))
        return [_subset(ports, addresses) for ports, addresses in groups.items() if ports]


def _address(pod: Manifest, ip: str) -> Manifest:
    target = {"kind": "Pod", **{field: pod["metadata"][field] for field in ("namespace", "name", "uid")}}
    return {"ip": ip, "nodeName": pod["spec"]["nodeName"], "targetRef": target}


def _subset(ports: tuple[tuple[str, int, str], ...], addresses: Manifest) -> Manifest:
    listed: list[Manifest] = [
        {**({"name": name} if name else {}), "port": number, "protocol": protocol}
        for name, number, protocol in ports
    ]
    return {**{field: items for field, items in addresses.items() if items}, "ports": listed}
