"""The object store of the simulated cluster: current objects, their history, and Events.

Owns: uid, resourceVersion, generation and creationTimestamp; the change feed that wakes controllers; the
history that `Telemetry.observations` shows. Does not own: validation, defaults, controllers.

Stored manifests are immutable by convention: a writer builds a new dictionary that shares what it did not
change. Reads are therefore free, versions share their parts, and a pickled world stays small.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from harness.cluster import Manifest
from harness.environments.simulated.clock import Clock, Key, digest, iso
from harness.environments.simulated.kinds import EXPERIMENTS

NO_HISTORY = frozenset({"Pod", "ReplicaSet", "Endpoints", "ControllerRevision", *EXPERIMENTS})
"""Kinds that controllers write; what a person changed is in the other kinds."""

NO_GENERATION = frozenset(
    {"Pod", "Service", "Endpoints", "ConfigMap", "Secret", "Namespace", "Node", "ResourceQuota"}
)

WRITTEN_FIELDS = frozenset({"status", "metadata"})
WRITTEN_METADATA = frozenset({"resourceVersion", "generation"})
"""Fields that do not say what anybody asked for; of `metadata` only these."""

Manifests = list[Manifest]
Versions = list[tuple[float, Manifest | None]]
References = list[tuple[str, Key]]
"""(kind, key) of some objects."""


class Change(NamedTuple):
    """One write. `old` is None for a creation, `new` is None for a removal."""

    kind: str
    key: Key
    old: Manifest | None
    new: Manifest | None

    @property
    def last(self) -> Manifest:
        """The object after the change, or as it was before its removal."""
        manifest = self.new if self.new is not None else self.old
        assert manifest is not None
        return manifest


def copy_tree(value: Any) -> Any:
    """A deep copy of JSON-like data."""
    if isinstance(value, dict):
        return {key: copy_tree(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [copy_tree(item) for item in value]
    return value


def intern_tree(value: Any) -> Any:
    """A deep copy whose equal strings are one object, which keeps pickles small."""
    if isinstance(value, dict):
        return {sys.intern(str(key)): intern_tree(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [intern_tree(item) for item in value]
    return sys.intern(value) if type(value) is str else value


def carries(manifest: Manifest, labels: Mapping[str, str]) -> bool:
    """Whether an object carries all `labels`."""
    return labels.items() <= labels_of(manifest).items()


def labels_of(manifest: Manifest) -> Mapping[str, str]:
    """The labels that an object carries."""
    return manifest["metadata"].get("labels") or {}


def _carrying(manifests: Manifests, labels: Mapping[str, str] | None) -> Manifests:
    if not labels:
        return manifests
    wanted = labels.items()
    return [item for item in manifests if wanted <= labels_of(item).items()]


def asks_the_same(old: Manifest, new: Manifest) -> bool:
    """Whether two versions of an object differ in nothing but what the cluster itself writes into it."""
    return _agree(old, new, WRITTEN_FIELDS) and _agree(old["metadata"], new["metadata"], WRITTEN_METADATA)


def _agree(old: Manifest, new: Manifest, besides: frozenset[str]) -> bool:
    if old.keys() != new.keys() and not old.keys() ^ new.keys() <= besides:
        return False
    compared = [(old[field], value) for field, value in new.items() if field not in besides]
    return not [value for before, value in compared if before is not value and before != value]


class ObjectStore:
    """Objects by kind, namespace and name. `version` moves with every write except of Events."""

    def __init__(self, clock: Clock, seed: int) -> None:
        self.clock = clock
        self.seed = seed
        self.version = 0
        self.changes: deque[Change] = deque()
        """Writes that controllers have not seen yet."""
        self.history: dict[tuple[str, str, str], Versions] = {}
        """(kind, namespace, name) -> (time, manifest) of each version that a person or controller asked for;
        None where the object was deleted. Status changes are not recorded."""
        self._objects: dict[str, dict[Key, Manifest]] = {}
        self._spaces: dict[tuple[str, str], dict[Key, Manifest]] = {}
        """(kind, namespace) -> the part of `_objects` that lies there."""
        self._written: dict[str, int] = {}
        """Kind -> version of its last write."""
        self._owned: dict[str, dict[tuple[str, Key], None]] = {}
        self._events: dict[tuple[str, str, str], Manifest] = {}
        self._uids = 0

    # --- reading: shared manifests, read only

    def get(self, kind: str, name: str, ns: str = "") -> Manifest | None:
        """The object, or None."""
        return self._objects.get(kind, {}).get((ns, name))

    def list(self, kind: str, ns: str | None = None, labels: Mapping[str, str] | None = None) -> Manifests:
        """Objects of a kind in order of creation, in one or (None) all namespaces, carrying all `labels`."""
        if kind == "Event":
            events = self.events
            found = events if ns is None else [one for one in events if one["metadata"]["namespace"] == ns]
        else:
            found = [*self._table(kind, ns).values()]
        return _carrying(found, labels)

    def list_by_name(self, kind: str, ns: str | None, labels: Mapping[str, str] | None) -> Manifests:
        """Objects as `list` finds them, of any kind but Event, by namespace and name."""
        table = self._table(kind, ns)
        return _carrying([table[key] for key in sorted(table)], labels)

    def owned(self, uid: str, kind: str) -> Manifests:
        """Objects of a kind whose controlling or any other owner has this uid, in order of creation."""
        return [self._objects[kind][key] for owned, key in self._owned.get(uid, {}) if owned == kind]

    def dependents(self, uid: str) -> References:
        """(kind, key) of everything that this uid owns."""
        return [*self._owned.get(uid, {})]

    def contents(self, ns: str) -> References:
        """(kind, key) of everything in a namespace."""
        return [(kind, key) for kind, table in self._objects.items() for key in table if key[0] == ns]

    @property
    def events(self) -> Manifests:
        """Event manifests in order of first occurrence; repeated ones are one manifest with a count."""
        return [*self._events.values()]

    def last_write_of(self, kind: str) -> int:
        """The version of the last write to a kind."""
        return self._written.get(kind, 0)

    def last_write(self, besides: frozenset[str]) -> int:
        """The version of the last write to any kind but these."""
        return max((version for kind, version in self._written.items() if kind not in besides), default=0)

    def manifests(self) -> Iterator[Manifest]:
        """Every manifest that is held: current ones, recorded versions, Events."""
        for table in self._objects.values():
            yield from table.values()
        for versions in self.history.values():
            yield from (manifest for _, manifest in versions if manifest is not None)
        yield from self._events.values()

    # --- writing

    def put(self, manifest: Manifest) -> Manifest:
        """Create or replace an object; returns it as stored. Replacing it by an equal one changes nothing."""
        kind, metadata = manifest["kind"], manifest["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        table = self._objects.setdefault(kind, {})
        old = table.get(key)
        if old is not None and (manifest is old or manifest == old):
            return old
        self._count(kind)
        stamped = {**metadata, "resourceVersion": str(self.version)}
        if old is None:
            self._identify(kind, key, stamped)
        elif kind not in NO_GENERATION and manifest.get("spec") != old.get("spec"):
            stamped["generation"] = old["metadata"]["generation"] + 1
        stored = {**manifest, "metadata": stamped}
        table[key] = stored
        self._spaces.setdefault((kind, key[0]), {})[key] = stored
        self._index(kind, key, old, stored)
        self._remember(kind, key, old, stored)
        self.changes.append(Change(kind, key, old, stored))
        return stored

    def put_status(self, manifest: Manifest, status: Manifest) -> Manifest:
        """Replace the status of a stored object."""
        if manifest.get("status") == status:
            return manifest
        return self.put({**manifest, "status": status})

    def remove(self, kind: str, name: str, ns: str = "") -> Manifest | None:
        """Remove an object at once and return it; None when there is none."""
        old = self._objects.get(kind, {}).pop((ns, name), None)
        if old is None:
            return None
        del self._spaces[kind, ns][ns, name]
        self._count(kind)
        self._index(kind, (ns, name), old, None)
        if kind not in NO_HISTORY:
            self.history.setdefault((kind, ns, name), []).append((self.clock.now, None))
        self.changes.append(Change(kind, (ns, name), old, None))
        return old

    def record(
        self, about: Manifest, reason: str, message: str, source: str, warning: bool = False, count: int = 1
    ) -> None:
        """Write an Event about an object, or raise the count of the one that says the same."""
        metadata, now = about["metadata"], iso(self.clock.now)
        uid = metadata.get("uid", "")
        identity = (uid, reason, message)
        known = self._events.get(identity)
        if known is not None:
            self._events[identity] = {**known, "count": known["count"] + count, "lastTimestamp": now}
            return
        namespace = metadata.get("namespace", "default")
        serial = digest(self.seed, "event", uid, len(self._events)).hex()
        self._events[identity] = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{metadata['name']}.{serial[:16]}",
                "namespace": namespace,
                "creationTimestamp": now,
            },
            "involvedObject": {
                "apiVersion": about["apiVersion"],
                "kind": about["kind"],
                "name": metadata["name"],
                "namespace": namespace,
                "uid": uid,
            },
            "type": "Warning" if warning else "Normal",
            "reason": reason,
            "message": message,
            "source": {"component": source},
            "count": count,
            "firstTimestamp": now,
            "lastTimestamp": now,
        }

    # --- inside

    def _table(self, kind: str, ns: str | None) -> dict[Key, Manifest]:
        table = self._objects.get(kind) if ns is None else self._spaces.get((kind, ns))
        return {} if table is None else table

    def _count(self, kind: str) -> None:
        self.version += 1
        self._written[kind] = self.version

    def _identify(self, kind: str, key: Key, metadata: Manifest) -> None:
        self._uids += 1
        text = digest(self.seed, "uid", kind, key, self._uids).hex()
        metadata["uid"] = f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"
        metadata["creationTimestamp"] = iso(self.clock.now)
        metadata.pop("deletionTimestamp", None)
        metadata.pop("generation", None)
        if kind not in NO_GENERATION:
            metadata["generation"] = 1

    def _index(self, kind: str, key: Key, old: Manifest | None, new: Manifest | None) -> None:
        before = old["metadata"].get("ownerReferences", ()) if old is not None else ()
        after = new["metadata"].get("ownerReferences", ()) if new is not None else ()
        if before is after:
            return
        for reference in before:
            self._owned.get(reference["uid"], {}).pop((kind, key), None)
        for reference in after:
            self._owned.setdefault(reference["uid"], {})[kind, key] = None
        if new is None and old is not None and not self._owned.get(old["metadata"]["uid"], True):
            del self._owned[old["metadata"]["uid"]]

    def _remember(self, kind: str, key: Key, old: Manifest | None, new: Manifest) -> None:
        if kind in NO_HISTORY or (old is not None and asks_the_same(old, new)):
            return
        self.history.setdefault((kind, *key), []).append((self.clock.now, new))
