"""What a tool is, and how one is registered.

Owns: `Tool`, the context it runs in, the registry, and the argument types that several tools share.
Does not own: validation, rendering and audit of calls (`toolbox.py`), nor any tool.

A tool is a function of a context and validated arguments that returns one JSON object. It raises ToolError,
or lets a ClusterError through, when it cannot answer; anything else that it raises is a defect of
the harness.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from harness.cluster import Cluster, Manifest, ObjectRef
from harness.telemetry import Telemetry

Json = dict[str, Any]
"""A JSON object."""


class FieldChange(NamedTuple):
    """One field that differs between two versions of an object."""

    path: str
    type: str
    """added | removed | changed."""
    old: Any = None
    new: Any = None


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """What one executed action did to one object."""

    ref: ObjectRef
    before: Manifest | None
    """None when the object was created."""
    after: Manifest | None
    """None when the object was deleted."""
    fields: tuple[FieldChange, ...]


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """What one executed call changed; the basis of an undo."""

    tool: str
    args: Mapping[str, Any]
    time: float
    """Seconds since the epoch on the cluster's clock."""
    changes: tuple[ObjectChange, ...]


@dataclass(frozen=True, slots=True)
class ToolContext:
    """What a tool may use. `changes` collects what it did."""

    cluster: Cluster
    telemetry: Telemetry
    namespaces: tuple[str, ...]
    """Namespaces of the affected application; writes are limited to them."""
    now: float
    changes: list[ObjectChange] = field(default_factory=list)


class Args(BaseModel):
    """Base of all argument models: an unknown argument is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class Tool:
    """One thing that an agent can call."""

    name: str
    description: str
    args: type[Args]
    run: Callable[[ToolContext, Any], Json]
    mutating: bool
    seconds: float | Callable[[Any], float]
    """Environment seconds that a call takes, or how to tell from its arguments."""
    narrow: str
    """How an agent gets a smaller answer; part of the truncation notice."""
    waits: bool = False
    """The seconds pass because the agent asked for it, on a real clock too."""

    def seconds_for(self, args: Args) -> float:
        """Environment seconds that a call with these arguments takes."""
        return self.seconds(args) if callable(self.seconds) else self.seconds


REGISTRY: dict[str, Tool] = {}
"""All tools by name; `toolbox.ORDER` says in which order agents see them."""

A = TypeVar("A", bound=Args)
Runner = Callable[[ToolContext, A], Json]


def tool(
    description: str,
    args: type[A],
    *,
    mutating: bool = False,
    seconds: float | Callable[[A], float] = 2.0,
    narrow: str = "use the filters or a smaller limit",
    waits: bool = False,
) -> Callable[[Runner[A]], Runner[A]]:
    """Register a function as the tool of the same name."""

    def register(run: Runner[A]) -> Runner[A]:
        name = run.__name__
        if name in REGISTRY:
            raise ValueError(f"two tools are named {name}")
        REGISTRY[name] = Tool(name, description, args, run, mutating, seconds, narrow, waits)
        return run

    return register


# --- argument types ---------------------------------------------------------------------------------


def parse_time(value: Any) -> Any:
    """RFC 3339 text or epoch seconds to epoch seconds; text without an offset is UTC. Raises ValueError."""
    if value is None or isinstance(value, (int, float)):
        return value
    return _parsed_time(str(value).strip())


@lru_cache(maxsize=16_384)
def _parsed_time(text: str) -> float:
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            raise ValueError(f"expected a time such as 2026-01-15T09:00:00Z, found {text!r}") from None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def timestamp(seconds: float) -> str:
    """Epoch seconds as RFC 3339 text in UTC, whole seconds."""
    return _timestamp(int(seconds))


@lru_cache(maxsize=16_384)
def _timestamp(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()}Z"


Time = Annotated[float | None, BeforeValidator(parse_time), WithJsonSchema({"type": "string"})]


def as_list(value: Any) -> Any:
    """A single text where a list is expected stands for a list of one."""
    return [value] if isinstance(value, str) and value else value or []


Names = Annotated[
    list[str],
    BeforeValidator(as_list),
    WithJsonSchema({"type": "array", "items": {"type": "string"}}),
]


class Window(Args):
    """A time window; open ends reach as far as the data."""

    start_time: Time = Field(default=None, description="RFC3339")
    end_time: Time = Field(default=None, description="RFC3339")

    def contains(self, time: float) -> bool:
        """Whether a time lies in the window."""
        after = self.start_time is None or time >= self.start_time
        return after and (self.end_time is None or time <= self.end_time)
