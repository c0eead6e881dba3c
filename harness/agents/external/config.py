"""Configuration of an external agent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from harness.agents import AgentConfig
from harness.sandbox.config import Limits

Transport = Literal["http", "stdio"]


class ExternalConfig(AgentConfig):
    """A program or a container image, how it is spoken to, and its limits beside the budget."""

    argv: tuple[str, ...] = ()
    """The program and its arguments. A first argument `python` stands for the interpreter that runs the
    harness; arguments that name existing files are made absolute. With an image: the command inside it."""
    image: str | None = None
    """Container image to run with docker, in place of a program on this machine."""
    limits: Limits = Limits(cpus=2, memory_mb=2048, pids=512, scratch_mb=256)
    """What the container may use."""
    transport: Transport | None = None
    """`http`: MCP on loopback, address and token in the environment. `stdio`: MCP on stdin and stdout. Null:
    stdio for an image, http for a program."""
    network: str = "none"
    """Docker network of the container. Over stdio its tools need none; its model may."""
    env: Mapping[str, str] = Field(default_factory=dict)
    """Environment variables for the program, stored with the run: no secrets."""
    pass_env: tuple[str, ...] = ()
    """Names of variables of this process that the program gets too, such as a key for its model. It gets
    nothing else beside PATH, HOME, LANG and TZ."""
    wall_seconds: float = Field(default=900, gt=0)
    """Real seconds after which the program is stopped (budget_time)."""
    output_bytes: int = Field(default=8_000_000, ge=1)
    """Bytes that it may send in all: stdout, stderr and requests (budget_output)."""
    grace_seconds: float = Field(default=5, ge=0)
    """Real seconds to end by itself once the incident is closed."""
    time_factor: float = Field(default=1.0, ge=0)
    """Seconds that pass on a virtual clock for each real second of the program between two calls. On a real
    clock time passes by itself and this has no effect."""

    @model_validator(mode="after")
    def _can_be_started(self) -> ExternalConfig:
        if not self.argv and self.image is None:
            raise ValueError("give argv, the program to start, or image, a container to run")
        if self.image is not None and self.transport == "http" and self.network != "host":
            raise ValueError(
                "an image reaches the tools over transport: stdio; over http only with network: host"
            )
        return self

    @property
    def speaks(self) -> Transport:
        """The transport that is meant."""
        return self.transport or ("stdio" if self.image else "http")
