"""`shell` and `python`: the tools that a sandbox adds to a trial's toolbox.

Owns: their schemas, what a result says, the sandbox' life within a trial. Does not own: containers or evidence.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from pydantic import Field

from harness.errors import InfrastructureError, ToolError
from harness.protocols import Briefing, Environment, ToolSchema
from harness.sandbox.config import SandboxConfig
from harness.sandbox.containers import Ran
from harness.sandbox.pool import Sandbox, SandboxPool
from harness.sandbox.staging import stage
from harness.tools.base import Args
from harness.tools.jsonschema import plain_schema
from harness.tools.rendering import compact
from harness.tools.toolbox import FAILED_SECONDS, ToolOutcome, validated

LONGEST = 100_000
"""Characters of a command: the kernel takes 128 kB for one argument."""
ABOUT = (
    "in a container without network: /evidence holds the incident's evidence (see /evidence/README.txt), "
    "/workspace and /tmp are for your own files and stay until the end of the incident."
)


class ShellArgs(Args):
    command: str = Field(min_length=1, max_length=LONGEST)


class PythonArgs(Args):
    code: str = Field(min_length=1, max_length=LONGEST, description="print what you want to read")


KINDS: Mapping[str, tuple[str, type[Args], Sequence[str]]] = {
    "shell": (f"Run a shell command {ABOUT}", ShellArgs, ("sh", "-c")),
    "python": (f"Run Python code in a fresh interpreter {ABOUT}", PythonArgs, ("python3", "-c")),
}
"""Name -> description, arguments, and the command that the one argument completes."""


class SandboxTools:
    """The tools of one trial over its sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.image = sandbox.image
        self._sandbox = sandbox

    def schemas(self) -> Sequence[ToolSchema]:
        """What the model is offered."""
        return [ToolSchema(name, about, plain_schema(args)) for name, (about, args, _) in KINDS.items()]

    def serves(self, name: str) -> bool:
        """Whether a call is for the sandbox."""
        return name in KINDS

    async def call(self, name: str, raw: str | Mapping[str, Any]) -> ToolOutcome:
        """Run one call. Raises InfrastructureError when the engine fails."""
        _, model, command = KINDS[name]
        try:
            args = validated(name, model, raw)
        except ToolError as error:
            return ToolOutcome(False, f"Error: {error}", FAILED_SECONDS)
        (text,) = args.model_dump().values()
        config = self._sandbox.config
        ran = await self._sandbox.run([*command, text])
        return ToolOutcome(not ran.killed, compact(told(ran, config)), config.environment_seconds)


def told(ran: Ran, config: SandboxConfig) -> dict[str, Any]:
    """A result as the agent reads it; the middle of long output is left out."""
    said = {"stdout": ran.stdout, "stderr": ran.stderr}
    room = {name: config.shown_bytes - min(len(other), config.shown_bytes // 2) for name, other in
            (("stdout", ran.stderr), ("stderr", ran.stdout))}  # fmt: skip
    result: dict[str, Any] = {"exit_code": ran.exit_code}
    result |= {name: shortened(text, room[name]) for name, text in said.items() if text}
    if ran.killed:
        limits = (
            f"limits: {config.call_seconds:g} s, {config.limits.memory_mb} MB, {config.limits.pids} processes"
        )
        result["killed"] = f"{ran.killed} ({limits})"
    if ran.lost:
        result["restarted"] = "the container was started anew; your files in /workspace and /tmp are gone"
    return result


def shortened(text: bytes, room: int) -> str:
    """Output of at most about `room` bytes: its beginning and its end."""
    if len(text) > room:
        half = room // 2
        left_out = f"\n...[{len(text) - 2 * half:,} bytes left out]...\n".encode()
        text = text[:half] + left_out + text[-half:]
    return text.decode(errors="replace")


@asynccontextmanager
async def opened(
    pool: SandboxPool, environment: Environment, briefing: Briefing
) -> AsyncIterator[SandboxTools]:
    """A sandbox with the evidence of an incident, for as long as the agent works. Raises InfrastructureError."""
    sandbox = await pool.take()
    try:
        await environment.run(lambda: stage(environment, briefing.namespaces, sandbox.evidence))
        yield SandboxTools(sandbox)
    finally:
        # What cannot be removed ends with this process, and the check for orphans at the end of the run reports it.
        with suppress(InfrastructureError):
            await sandbox.close()
