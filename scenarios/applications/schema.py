"""What an application file says: workloads, operations, feature flags.

Owns: the schema. Does not own: the cross-references inside one file (`checks.py`), Kubernetes manifests
(`manifests.py`) or what follows from the numbers (`harness/environments/simulated/flow.py`).

Operations are ordered call trees: a call that fails with `on_error: stop` ends its operation, so the later
calls never happen. Nothing in a file knows scenarios or faults.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from harness.cluster import Manifest
from harness.errors import Problem

OnError = Literal["stop", "ignore", "report"]


class Part(BaseModel):
    """Base of all parts of an application: frozen, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Call(Part):
    """One outgoing call of an operation."""

    to: str
    """`workload/operation` of the callee."""
    address: str = ""
    """Names of the caller's environment variables, joined with `:`, whose values give host and port."""
    port: int = 80
    """Port when the address names none."""
    timeout_ms: float = 10_000
    on_error: OnError = "stop"
    """`stop`: the operation fails at once. `report`: it goes on and fails at the end. `ignore`: it does not mind."""
    error: str = "{cause}"
    """What the caller writes when the call fails; `{cause}` is what it was told."""
    times: float = 1.0
    """Calls per execution, on average."""
    password: str = ""
    """Names of the caller's environment variables, joined with `:`, whose values it shows."""


class FlagEffect(Part):
    """What a feature flag does to one workload. Amounts are multiplied by the value of the active variant."""

    flag: str
    operations: tuple[str, ...] = ()
    """Operations concerned; all when empty."""
    error_share: float = 0
    """Share of requests that fail."""
    message: str = "feature flag fault"
    unreachable: str = ""
    """Callee (workload/operation) that this workload calls at an invalid address meanwhile."""
    latency_ms: float = 0
    tail_ms: float = 0
    """Added to the 95th percentile only."""
    cpu_m: float = 0
    memory_mi_per_min: float = 0
    """A leak: growth of the working set since the start of the container."""
    extra_rate: float = 0
    """Additional executions per second (load generators)."""
    extra_messages: float = 0
    """Additional messages per published message."""
    message_ms: float = 0
    """Additional milliseconds that a consumer spends on each message."""


class Operation(Part):
    """Something that a workload does, on request, on its own or for each message."""

    ms: float = 5
    """Median of its own time; the 95th percentile is three times that."""
    calls: tuple[Call, ...] = ()
    per_second: float = 0
    """Executions per second and ready pod that start here (load generators)."""
    when: Mapping[str, str] = Field(default_factory=dict)
    """Environment variables and the value that each must have for the operation to happen on its own."""
    consumes: str = ""
    """`workload/operation` whose published messages start this operation."""
    address: str = ""
    """Where a consumer finds its broker; as in `Call.address`."""
    per_second_limit: float = 300
    """Messages per second that one pod of a consumer manages."""


class Password(Part):
    """What a workload demands of its callers."""

    variable: str
    """Environment variable, or command line option without its dashes, that holds it; unset demands nothing."""
    refusal: str
    """What a caller without it reads."""
    refusal_ms: float = 5
    """How long such a caller tries."""


class ServicePort(Part):
    """One port of a Service."""

    name: str
    port: int
    target: int


class Workload(Part):
    """One Deployment with its Service and what its process does."""

    image: str
    component: str = ""
    """Value of the component label; the workload's name when empty."""
    labels: Mapping[str, str] = Field(default_factory=dict)
    """Labels of its pods, where they are not the recommended ones."""
    selector: Mapping[str, str] = Field(default_factory=dict)
    """What its Service selects; its component label when empty."""
    service: str = ""
    """Name of its Service, which several workloads may share; the workload's own name when empty."""
    container: str = ""
    """Name of its container; the workload's name when empty."""
    gateway: str = ""
    """The Gateway that it implements."""
    replicas: int = 1
    command: tuple[str, ...] = ()
    program: tuple[str, ...] = ()
    """What the image starts without a command."""
    ports: tuple[ServicePort, ...] = ()
    env: Mapping[str, str] = Field(default_factory=dict)
    secret_env: Mapping[str, str] = Field(default_factory=dict)
    """Environment variable -> `secret/key` that it comes from."""
    password: Password | None = None
    cpu: tuple[str, str] = ("", "")
    """Request and limit; empty for none."""
    memory: tuple[str, str] = ("", "")
    mounts: Mapping[str, str] = Field(default_factory=dict)
    """ConfigMap name -> mount path."""
    startup_s: tuple[float, float] = (5, 9)
    """Fastest and slowest start of its container."""
    working_set_mi: float = 64
    cpu_m: float = 5
    """Idle processor use in millicores."""
    cpu_ms_per_request: float = 2
    cores: float = 0
    """Processor cores that its program can use; 0 for as many as there are."""
    traced: bool = True
    """Its spans reach the collector."""
    internal_spans: bool = True
    """It emits successful internal spans even for requests that fail."""
    caches_flags: bool = False
    """Flags are read once, when the container starts; otherwise on each request."""
    flags: tuple[FlagEffect, ...] = ()
    needs_at_start: tuple[str, ...] = ()
    """Environment variables whose address must be a port of an existing Service, or the process exits."""
    operations: Mapping[str, Operation] = Field(default_factory=dict)
    start_log: str = "server started"


class Flag(Part):
    """A feature flag in the flag server's configuration."""

    description: str = ""
    variants: Mapping[str, Any] = Field(default_factory=lambda: {"on": True, "off": False})
    default: str = "off"


class FlagStore(Part):
    """Where feature flags live."""

    workload: str
    """The flag server; it reads the ConfigMap when its container starts."""
    config_map: str
    key: str
    flags: Mapping[str, Flag]


class Image(Part):
    """An image beyond those of the workloads that a registry holds."""

    image: str
    architectures: tuple[str, ...] = ("amd64", "arm64")


class Option(Part):
    """A switch of the deployment (ITBench application arguments): dotted name -> environment of a workload."""

    workload: str
    env: str
    default: str
    values: Mapping[str, str]
    """Argument value as JSON text -> value of the environment variable."""


class Autoscaling(Part):
    """HorizontalPodAutoscalers of the traced workloads, where the deployment asks for them."""

    option: str
    """Dotted name of the ITBench application argument that turns it on."""
    max_replicas: int = 5
    utilization: Mapping[str, int]
    """Resource -> target in percent of what is requested; used where the workload requests it."""


class Application(Part):
    """An application as the simulated cluster knows it. Pickles as its name."""

    name: str
    namespace: str
    architecture: str = "amd64"
    collector: str = ""
    """Workload that collects spans; without it there are no span metrics."""
    flag_store: FlagStore | None = None
    images: tuple[Image, ...] = ()
    options: Mapping[str, Option] = Field(default_factory=dict)
    common_env: Mapping[str, str] = Field(default_factory=dict)
    config_maps: Mapping[str, Mapping[str, str]] = Field(default_factory=dict)
    secrets: Mapping[str, Mapping[str, str]] = Field(default_factory=dict)
    """Secret -> key -> text."""
    autoscaling: Autoscaling | None = None
    ambient_mesh: bool = False
    """Its namespace is in Istio's ambient mode, and its alerts are computed from the mesh's metrics."""
    objects: tuple[Manifest, ...] = ()
    """Further objects, as they are applied."""
    workloads: Mapping[str, Workload]
    _file: str = PrivateAttr(default="")

    def __reduce__(self) -> tuple[Any, ...]:
        from scenarios.applications import load_application

        return (load_application, (self._file or self.name,))

    def __hash__(self) -> int:
        return hash((self.name, self._file))

    def behind(self, name: str) -> tuple[str, ...]:
        """The workloads that serve under a name: those of the Service, or the workload of that name."""
        return self._behind.get(name, ())

    @cached_property
    def _behind(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for name, workload in self.workloads.items():
            for called in {name, workload.service or name}:
                found[called] = (*found.get(called, ()), name)
        return found

    def manifests(self, options: Mapping[str, Any] | None = None) -> list[Manifest]:
        """All objects of the application in the order in which they are created; nodes are the cluster's own.

        `options` are ITBench application arguments, e.g. {"loadGeneration": {"browserTraffic": True}}.
        Raises ConfigurationError for an option or a value that the application does not know."""
        from scenarios.applications.manifests import render

        return render(self, options or {})

    def problems(self) -> Iterator[Problem]:
        """Everything that does not fit together inside the file."""
        from scenarios.applications.checks import problems_of

        return problems_of(self)
