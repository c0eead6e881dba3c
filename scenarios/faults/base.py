"""What every fault is: typed arguments, inject, undo, and the predicate that proves its cause is gone.

Owns: the Fault base, the record of an injection, the argument types that ITBench's faults share. Does not
own: any mechanism (one module per family), waiters, the order of a scenario's injections
(`scenarios.faults`).

A fault is a frozen pydantic model whose fields are its ITBench arguments. It is written against `Cluster`
only, so the same code runs on the simulation and on a real Kubernetes. What it must remember goes into the
Injection, which is plain JSON.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from harness.cluster import Cluster, Manifest, NotFound, ObjectRef
from harness.errors import InfrastructureError
from scenarios.faults.objects import wanted

Kind = TypeVar("Kind", bound=str)
WorkloadKind = Literal["Deployment", "StatefulSet"]


class Model(BaseModel):
    """Base of arguments and records: frozen, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Name(Model):
    """Metadata of the object that a fault aims at."""

    name: str = Field(min_length=1)
    namespace: str = Field(min_length=1)


class KubernetesObject(Model, Generic[Kind]):
    """ITBench's `kubernetesObject` argument."""

    api_version: str = Field(alias="apiVersion")
    kind: Kind
    metadata: Name

    @property
    def ref(self) -> ObjectRef:
        """The object's reference."""
        return ObjectRef(self.kind, self.metadata.name, self.metadata.namespace)


class Container(Model):
    """ITBench's `container` argument."""

    name: str = Field(min_length=1)


class Injection(Model):
    """What one injection did: enough to undo it and to judge whether its cause is gone."""

    fault: str
    """ITBench id of the fault."""
    args: dict[str, Any]
    time: float
    """Seconds since the epoch on the cluster's clock, just before the mutation."""
    before: tuple[Manifest, ...] = ()
    """Touched objects as they were wanted before; the deleted ones too."""
    after: tuple[Manifest, ...] = ()
    """The same right after; an object of `before` that is missing here was deleted."""
    created: tuple[ObjectRef, ...] = ()

    @property
    def touched(self) -> tuple[ObjectRef, ...]:
        """Objects that existed before and that the injection changed or deleted."""
        return tuple(_ref(manifest) for manifest in self.before)

    def original(self, target: ObjectRef) -> Manifest:
        """A touched object as it was before. Raises KeyError."""
        for manifest in self.before:
            if _ref(manifest) == target:
                return manifest
        raise KeyError(str(target))


class Fault(Model):
    """One mechanism of ITBench's fault index."""

    id: ClassVar[str]
    """ITBench id."""
    index: ClassVar[int]
    """ITBench number."""

    @abstractmethod
    def objects(self) -> tuple[ObjectRef, ...]:
        """Every object that the injection changes, creates or deletes."""

    @abstractmethod
    def inject(self, cluster: Cluster) -> Injection:
        """Do the mutation. Raises InfrastructureError("infra_inject_failed") when its object is unfit."""

    @abstractmethod
    def confirm_active(self, cluster: Cluster, injection: Injection) -> bool:
        """Whether the bad state stands and has reached what runs."""

    @abstractmethod
    def cause_removed(self, cluster: Cluster, injection: Injection) -> bool:
        """Whether the cause is gone for good. Never true because the workload is gone."""

    def undo(self, cluster: Cluster, injection: Injection) -> None:
        """Put every touched object back and delete the created ones. Undo several in reverse order."""
        for created in injection.created:
            delete_if_exists(cluster, created)
        for manifest in injection.before:
            cluster.apply(manifest)

    def record(
        self,
        cluster: Cluster,
        time: float,
        before: tuple[Manifest, ...] = (),
        created: tuple[ObjectRef, ...] = (),
    ) -> Injection:
        """The Injection for a mutation that has just been done."""
        after = tuple(
            wanted(found) for manifest in before if (found := find(cluster, _ref(manifest))) is not None
        )
        return Injection(
            fault=self.id,
            args=self.model_dump(mode="json", by_alias=True),
            time=time,
            before=tuple(wanted(manifest) for manifest in before),
            after=after,
            created=created,
        )


def refuse(fault: Fault, target: ObjectRef, detail: str) -> InfrastructureError:
    """The error of a fault whose object is not as expected."""
    return InfrastructureError("infra_inject_failed", f"{fault.id}: {target}: {detail}")


def require(fault: Fault, cluster: Cluster, target: ObjectRef) -> Manifest:
    """The object that a fault aims at. Raises InfrastructureError when it is not there."""
    manifest = find(cluster, target)
    if manifest is None:
        raise refuse(fault, target, "not found; the application must be deployed before the injection")
    return manifest


def find(cluster: Cluster, target: ObjectRef) -> Manifest | None:
    """The object, or None."""
    try:
        return cluster.get(target.kind, target.name, target.namespace)
    except NotFound:
        return None


def delete_if_exists(cluster: Cluster, target: ObjectRef) -> None:
    """Delete an object that may be gone already."""
    try:
        cluster.delete(target.kind, target.name, target.namespace)
    except NotFound:
        return


def _ref(manifest: Manifest) -> ObjectRef:
    metadata = manifest["metadata"]
    return ObjectRef(manifest["kind"], metadata["name"], metadata.get("namespace", ""))
