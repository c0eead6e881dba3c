"""Signatures: all that the flow of requests depends on, as small hashable values.

Owns: the value types. Does not own: reading them off the objects (`view.py`). Two clusters with equal signatures
serve users equally well, so a flow is computed once per signature and process.
"""

from __future__ import annotations

from functools import cache
from typing import Literal, NamedTuple

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
        self.serves, self.disturbances, self.mesh = fields[4:]
        self.env_map = dict(self.env)

    def __reduce__(self) -> tuple[object, ...]:
        return (variant, tuple(self.fields))

    def with_flags(self, flags: tuple[tuple[str, float], ...]) -> Variant:
        """The same pod with these flags on."""
        return variant(*self.fields._replace(flags=flags))

    def under(self, disturbances: Disturbances, mesh: Membership = "") -> Variant:
        """The same pod under these disturbances, at this place in the mesh."""
        return variant(*self.fields._replace(disturbances=disturbances, mesh=mesh))

    def dead(self) -> Variant:
        """The same pod with nothing that answers."""
        return variant(*self.fields._replace(serves=False))


@cache
def variant(
    flags: tuple[tuple[str, float], ...] = (),
    env: tuple[tuple[str, str], ...] = (),
    cpu_limit_m: float = 0,
    resolves_names: bool = True,
    serves: bool = True,
    disturbances: Disturbances = (),
    mesh: Membership = "",
) -> Variant:
    """The one Variant with these fields."""
    return Variant(VariantFields(flags, env, cpu_limit_m, resolves_names, serves, disturbances, mesh))


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
