"""Configuration of sandboxes. The same limits hold for a trial's sandbox and for an external agent's container."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

DEFAULT_IMAGE = "python:3.12-slim"


class Limits(BaseModel):
    """What a container may use. Every container runs without capabilities and cannot gain privileges."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: str = Field(default="65534:65534", pattern=r"^\d+:\d+$")
    """Numeric uid:gid of what the agent runs; never root."""
    cpus: float = Field(default=1.0, gt=0)
    """Processors."""
    memory_mb: int = Field(default=512, ge=32)
    """Memory, scratch space included; there is no swap."""
    pids: int = Field(default=128, ge=16)
    """Processes and threads."""
    scratch_mb: int = Field(default=64, ge=1)
    """Size of each place that can be written (/tmp, and /workspace of a sandbox); they are memory."""
    read_only: bool = True
    """The image's own files cannot be changed."""
    runtime: str | None = None
    """OCI runtime, such as `runsc` (gVisor); null: the engine's default."""

    @model_validator(mode="after")
    def _nobody_is_root(self) -> Limits:
        if 0 in map(int, self.user.split(":")):
            raise ValueError(f"user: expected a uid and gid other than 0, found {self.user}")
        return self


class SandboxConfig(BaseModel):
    """Whether agents get the tools `shell` and `python`, and where these run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["none", "docker"] = "none"
    image: str = DEFAULT_IMAGE
    """Has to be on the engine, with `sh`, `cat` and `python3`. What ran is recorded by digest."""
    limits: Limits = Limits()
    call_seconds: float = Field(default=60, gt=0)
    """Real seconds that one call may take; then everything that it started is killed."""
    shown_bytes: int = Field(default=16_000, ge=100)
    """Bytes of output that the agent reads of one call."""
    output_bytes: int = Field(default=1_000_000, ge=100)
    """Bytes of output after which a call is killed."""
    environment_seconds: float = Field(default=5, ge=0)
    """Seconds that a call takes on a virtual clock, however long it really takes, so that trials can be repeated."""
    ready: int = Field(default=2, ge=0)
    """Containers that each worker keeps started for the trials to come. Has no influence on results."""
