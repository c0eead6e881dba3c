"""Signatures: all that the flow of requests depends on, as small hashable values.

Owns: the value types. Does not own: reading them off the objects (`view.py`). Two clusters with equal signatures
serve users equally well, so a flow is computed once per signature and process.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal, NamedTuple

from harness.environments.simulated.disturbances import Disturbances

Membership = Literal["", "member", "strict", "gateway"]
"""Outside the mesh; inside; inside and refusing plain text; a gateway, which speaks both."""


class VariantFields(NamedTuple):
    """What a Variant is made of; also its order."""

    flags: tuple[tuple[str, float], ...] = ()
    """Feature flags that are on, with the value of the active variant."""
    env: tuple[tuple[str, str], ...] = ()
    """Environment variables that the application file knows."""
    cpu_limit_m: float = 0
    """Millicores; 0 is no limit."""
    resolves_names: bool = True
    """Cluster names resolve inside the pod."""
    closed: tuple[tuple[str, int], ...] = ()
    """(calling workload, port) that network policies keep out."""
    serves: bool = True
    """It runs the application's own program."""
    disturbances: Disturbances = ()
    """What chaos experiments and policies do to it."""
    mesh: Membership = ""
    """How its connections take part in the service mesh."""


class Variant:
    """Everything about a pod that changes what requests see. Equal variants are one object (`variant`), because
    they are compared and hashed all the time."""

    __slots__ = (*VariantFields._fields, "env_map", "fields")

    def __init__(self, fields: VariantFields) -> None:
        self.fields = fields
        self.flags, self.env, self.cpu_limit_m, self.resolves_names = fields[:4]
        self.closed, self.serves, self.disturbances, self.mesh = fields[4:]
        self.env_map = dict(self.env)

    def __reduce__(self) -> tuple[object, ...]:
        return (variant, tuple(self.fields))

    def changed(self, **fields: Any) -> Variant:
        """The same pod with some fields of VariantFields replaced."""
        return variant(*self.fields._replace(**fields))

    def with_env(self, read: tuple[tuple[str, str], ...]) -> Variant:
        """The same pod with variables whose values its program read when it started."""
        return self.changed(env=tuple({**self.env_map, **dict(read)}.items()))


@cache
def variant(
    flags: tuple[tuple[str, float], ...] = (),
    env: tuple[tuple[str, str], ...] = (),
    cpu_limit_m: float = 0,
    resolves_names: bool = True,
    closed: tuple[tuple[str, int], ...] = (),
    serves: bool = True,
    disturbances: Disturbances = (),
    mesh: Membership = "",
) -> Variant:
    """The one Variant with these fields."""
    fields = VariantFields(flags, env, cpu_limit_m, resolves_names, closed, serves, disturbances, mesh)
    return Variant(fields)


class Backend(NamedTuple):
    """Ready pods behind a Service port that are alike."""

    workload: str
    target_port: int
    variant: Variant
    pods: int


class ServicePortView(NamedTuple):
    """One port of a Service and who is behind it."""

    port: int
    backends: tuple[Backend, ...]


class Signature(NamedTuple):
    """All that the flow of requests depends on."""

    pods: tuple[tuple[str, tuple[tuple[Variant, int], ...]], ...]
    """Workload -> its ready pods by variant."""
    services: tuple[tuple[str, tuple[ServicePortView, ...]], ...]
    strain_ms: float = 0.0
    """Milliseconds that every operation loses because the hosts' processors are taken."""
