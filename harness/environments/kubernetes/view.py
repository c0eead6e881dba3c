"""A trial's own part of a shared cluster, seen as if it were a cluster of its own.

Each trial plays in a namespace with an opaque name, beside others. Through this view that namespace has the name
that the application gives it, other namespaces do not exist, images have the names of the application's manifests,
and neither what the harness put there for itself nor what belongs to another trial is seen. So faults, tools and
verdicts are written once, and nothing that an agent reads tells runs or trials apart.

Owns: the translation of names in both directions, and what is hidden. Does not own: permissions, which the API server
enforces behind it (`access.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from harness.cluster import Cluster, ClusterError, Forbidden, LogLine, Manifest, NotFound, PatchType
from harness.environments.kubernetes.images import Images
from harness.environments.kubernetes.marks import TRIAL, Marks, is_owned, unmarked
from harness.environments.masks import CLUSTER_SCOPED

SHORTEST_S = 0.5
"""Whoever polls at the trial's pace still leaves the API server time to breathe."""


class Names:
    """The name of the application's namespace, and the one that it has on the cluster."""

    def __init__(self, nominal: str, actual: str) -> None:
        self.nominal, self.actual = nominal, actual
        self._word = re.compile(rf"(?<![\w-]){re.escape(nominal)}(?![\w-])")

    def outgoing(self, value: Any) -> Any:
        """Anything that goes to the cluster."""
        if isinstance(value, str):
            return self._word.sub(self.actual, value) if self.nominal in value else value
        if isinstance(value, list):
            return [self.outgoing(item) for item in value]
        if isinstance(value, dict):
            return {key: self.outgoing(item) for key, item in value.items()}
        return value

    def incoming(self, value: Any) -> Any:
        """Anything that comes from the cluster."""
        if isinstance(value, str):
            return value.replace(self.actual, self.nominal) if self.actual in value else value
        if isinstance(value, list):
            return [self.incoming(item) for item in value]
        if isinstance(value, dict):
            return {key: self.incoming(item) for key, item in value.items()}
        return value


class TrialView:
    """The Cluster protocol over one trial's namespace, under whatever identity the wrapped cluster has."""

    def __init__(self, cluster: Cluster, names: Names, images: Images, marks: Marks, pace: float) -> None:
        self._cluster = cluster
        self._names = names
        self._images = images
        self._marks = marks
        self._pace = pace

    def get(self, kind: str, name: str, namespace: str = "") -> Manifest:
        """One object. Raises NotFound, Forbidden."""
        place = self._place(kind, name, namespace)
        found = self._asked(lambda: self._cluster.get(kind, self._named(kind, name), place))
        if self._hidden(found) and kind != "Namespace":
            raise NotFound(f'{kind.lower()}s "{name}" not found')
        return self._incoming(found)

    def list(
        self, kind: str, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> list[Manifest]:
        """The objects of a kind that are the trial's or the cluster's."""
        if kind == "Namespace":
            found = [self.get(kind, self._names.nominal)]
            wanted = (labels or {}).items()
            return [one for one in found if wanted <= (one["metadata"].get("labels") or {}).items()]
        if kind not in CLUSTER_SCOPED and namespace not in (None, "", self._names.nominal):
            return []
        place = None if kind in CLUSTER_SCOPED else self._names.actual
        listed = self._asked(lambda: self._cluster.list(kind, place, labels))
        return [self._incoming(one) for one in listed if not self._hidden(one)]

    def apply(self, manifest: Manifest) -> Manifest:
        """Create or replace an object. Raises NotFound, Forbidden, Invalid."""
        kind, metadata = manifest["kind"], manifest["metadata"]
        self._place(kind, metadata["name"], metadata.get("namespace", ""))
        return self._incoming(self._asked(lambda: self._cluster.apply(self._outgoing(manifest))))

    def patch(
        self, kind: str, name: str, namespace: str, patch: Manifest, strategy: PatchType = "strategic"
    ) -> Manifest:
        """Merge a patch into an object. Raises NotFound, Forbidden, Invalid."""
        self.get(kind, name, namespace)
        place = self._place(kind, name, namespace)
        body = self._names.outgoing(self._images.outgoing(patch))
        if kind == "Node":  # the janitor has to put it back, also after a killed run
            body = {**body, "metadata": self._marked(body.get("metadata") or {})}
        done = self._asked(lambda: self._cluster.patch(kind, self._named(kind, name), place, body, strategy))
        return self._incoming(done)

    def delete(self, kind: str, name: str, namespace: str = "") -> None:
        """Delete an object. Raises NotFound, Forbidden."""
        if kind == "Namespace":
            raise Forbidden(f'namespaces "{name}" is forbidden: it is the trial\'s own')
        self.get(kind, name, namespace)
        place = self._place(kind, name, namespace)
        self._asked(lambda: self._cluster.delete(kind, name, place))

    def logs(
        self, pod: str, namespace: str, container: str = "", previous: bool = False, tail: int = 100
    ) -> Sequence[LogLine]:
        """The last lines of a container. Raises NotFound, Invalid."""
        place = self._place("Pod", pod, namespace)
        lines = self._asked(lambda: self._cluster.logs(pod, place, container, previous, tail))
        return [LogLine(line.time, self._names.incoming(line.text)) for line in lines]

    def now(self) -> float:
        """Wall time: pods, events and logs carry it too."""
        return self._cluster.now()

    def wait(self, seconds: float) -> None:
        """Let time pass, at the trial's pace."""
        self._cluster.wait(max(seconds * self._pace, SHORTEST_S))

    # --- inside

    def _place(self, kind: str, name: str, namespace: str) -> str:
        """The namespace on the cluster. Raises NotFound for one that is not the trial's."""
        nominal = name if kind == "Namespace" else namespace
        if kind in CLUSTER_SCOPED - {"Namespace"}:
            return ""
        if nominal != self._names.nominal:
            raise NotFound(f'namespaces "{nominal}" not found')
        return "" if kind == "Namespace" else self._names.actual

    def _hidden(self, manifest: Manifest) -> bool:
        """Whether it is the harness's own, or another trial's."""
        trial = (manifest["metadata"].get("labels") or {}).get(TRIAL, self._marks.trial)
        return is_owned(manifest) or trial != self._marks.trial

    def _named(self, kind: str, name: str) -> str:
        return self._names.actual if kind == "Namespace" else name

    def _outgoing(self, manifest: Manifest) -> Manifest:
        body: Manifest = self._names.outgoing(self._images.outgoing(manifest))
        if manifest["kind"] in CLUSTER_SCOPED:  # the janitor has to find it
            body["metadata"] = self._marked(body["metadata"])
        return body

    def _marked(self, metadata: Manifest) -> Manifest:
        labels = {**(metadata.get("labels") or {}), **self._marks.made}
        annotations = {**(metadata.get("annotations") or {}), **self._marks.annotations}
        return {**metadata, "labels": labels, "annotations": annotations}

    def _incoming(self, manifest: Manifest) -> Manifest:
        translated: Manifest = self._names.incoming(self._images.incoming(unmarked(manifest)))
        return translated

    def _asked(self, request: Any) -> Any:
        """A request whose refusal speaks of the trial's names."""
        try:
            return request()
        except ClusterError as error:
            raise type(error)(self._names.incoming(str(error))) from None
