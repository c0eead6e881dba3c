"""Faults that turn on a feature flag of the OpenTelemetry demo.

Owns: ITBench fault 18. Flags live as a JSON string in a ConfigMap that flagd reads when its pod starts, so
the cause is gone only when the variant is off *and* flagd has started since the ConfigMap was last changed.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import Field

from harness.cluster import Cluster, Manifest, ObjectRef
from scenarios.faults.base import Fault, Injection, KubernetesObject, Model, find, refuse, require
from scenarios.faults.objects import is_ready, pods_of, started_since

FLAGS_KEY = "demo.flagd.json"
FLAG_DAEMON = "flagd"
OFF = "off"


class Flag(Model):
    """ITBench's `flag` argument."""

    name: str = Field(min_length=1)
    state: str = Field(min_length=1)
    """Variant to make the default, e.g. `on`, `100%`, `10sec`."""


class FeatureFlag(Fault):
    """Fault 18: a feature flag's default variant is set to a failing one."""

    id = "opentelemetry-demo-feature-flag"
    index = 18
    kubernetes_object: KubernetesObject[Literal["ConfigMap"]] = Field(alias="kubernetesObject")
    flag: Flag

    @property
    def target(self) -> ObjectRef:
        """The ConfigMap."""
        return self.kubernetes_object.ref

    def objects(self) -> tuple[ObjectRef, ...]:
        return (self.target,)

    def inject(self, cluster: Cluster) -> Injection:
        config_map = require(self, cluster, self.target)
        document = _document(config_map)
        if document is None:
            raise refuse(self, self.target, f"has no JSON under {FLAGS_KEY!r}")
        flag = document.get("flags", {}).get(self.flag.name)
        if flag is None:
            raise refuse(self, self.target, f"has no flag {self.flag.name!r}; it has {_names(document)}")
        if self.flag.state not in flag.get("variants", {}):
            variants = ", ".join(flag.get("variants", {}))
            detail = f"flag {self.flag.name} has no variant {self.flag.state!r}; it has {variants}"
            raise refuse(self, self.target, detail)
        time = cluster.now()
        flag["defaultVariant"] = self.flag.state
        cluster.patch(*self.target, {"data": {FLAGS_KEY: json.dumps(document, indent=2)}})
        return self.record(cluster, time, before=(config_map,))

    def confirm_active(self, cluster: Cluster, injection: Injection) -> bool:
        return self._variant(cluster) == self.flag.state and self._daemon_knows(cluster)

    def cause_removed(self, cluster: Cluster, injection: Injection) -> bool:
        return self._variant(cluster) == OFF and self._daemon_knows(cluster)

    def _variant(self, cluster: Cluster) -> str | None:
        """The default variant in the ConfigMap; None when it cannot be read."""
        document = _document(find(cluster, self.target) or {})
        flag = (document or {}).get("flags", {}).get(self.flag.name, {})
        variant = flag.get("defaultVariant")
        return variant if isinstance(variant, str) else None

    def _daemon_knows(self, cluster: Cluster) -> bool:
        """Every flagd pod started after the last change of the ConfigMap, and one at least is ready."""
        config_map = find(cluster, self.target)
        daemon = find(cluster, ObjectRef("Deployment", FLAG_DAEMON, self.target.namespace))
        if config_map is None or daemon is None:
            return False
        pods = pods_of(cluster, daemon)
        return any(map(is_ready, pods)) and all(started_since(pod, config_map) for pod in pods)


def _document(config_map: Manifest) -> dict[str, Any] | None:
    try:
        document = json.loads(config_map.get("data", {}).get(FLAGS_KEY, ""))
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _names(document: Manifest) -> str:
    return ", ".join(sorted(document.get("flags", {})))
