"""The service mesh in ambient mode: which pods take part, who refuses plain text, which requests gateways deny.

Owns: reading the namespace's and the pods' labels, PeerAuthentications and AuthorizationPolicies on Gateways. Does
not own: what a caller experiences (`barriers.py`). Other policies of the mesh have no effect here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from harness.cluster import Manifest
from harness.environments.simulated.disturbances import Disturbance, Disturbances
from harness.environments.simulated.signature import Membership
from harness.environments.simulated.store import Manifests

if TYPE_CHECKING:
    from harness.environments.simulated.store import ObjectStore

MODE = "istio.io/dataplane-mode"
GATEWAY = "gateway.networking.k8s.io/gateway-name"
DENIED = "403 Forbidden: RBAC: access denied"


class Mesh:
    """The mesh of one namespace at one time."""

    def __init__(self, store: ObjectStore, namespace: str) -> None:
        metadata = (store.get("Namespace", namespace) or {}).get("metadata", {})
        self._ambient = (metadata.get("labels") or {}).get(MODE) == "ambient"
        self._peers = [policy.get("spec") or {} for policy in store.list("PeerAuthentication", namespace)]
        self._denials = [
            spec
            for policy in store.list("AuthorizationPolicy", namespace)
            if (spec := policy.get("spec") or {}).get("action") == "DENY"
        ]

    def membership(self, labels: Mapping[str, str]) -> Membership:
        """How a pod with these labels takes part."""
        if GATEWAY in labels:
            return "gateway"
        if labels.get(MODE, "ambient" if self._ambient else "none") != "ambient":
            return ""
        return "strict" if any(_is_strict(spec, labels) for spec in self._peers) else "member"

    def denials(self, labels: Mapping[str, str]) -> Disturbances:
        """What a gateway's pod refuses to pass on."""
        gateway = labels.get(GATEWAY)
        if gateway is None:
            return ()
        found = [
            Disturbance("fail", 1, methods=methods, text=DENIED)
            for spec in self._denials
            if any(
                target.get("kind") == "Gateway" and target.get("name") == gateway for target in targets(spec)
            )
            for methods in _methods(spec)
        ]
        return tuple(sorted(found))


def targets(spec: Manifest) -> Manifests:
    """What an AuthorizationPolicy is attached to."""
    one = [spec["targetRef"]] if spec.get("targetRef") else []
    return [*one, *(spec.get("targetRefs") or ())]


def _is_strict(spec: Manifest, labels: Mapping[str, str]) -> bool:
    selector = ((spec.get("selector") or {}).get("matchLabels") or {}).items()
    return (spec.get("mtls") or {}).get("mode") == "STRICT" and selector <= labels.items()


def _methods(spec: Manifest) -> list[tuple[str, ...]]:
    """The methods of each operation that a policy matches; () for any. A policy without rules matches nothing."""
    found: list[tuple[str, ...]] = []
    for rule in spec.get("rules") or ():
        operations = [entry.get("operation") or {} for entry in rule.get("to") or ()]
        found += [tuple(operation.get("methods") or ()) for operation in operations] or [()]
    return found
