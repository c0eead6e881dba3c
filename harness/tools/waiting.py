"""The tool that lets time pass: `wait`.

Owns: its schema. The session makes the time pass on the environment's clock; the agent has to read again to
know what happened meanwhile.
"""

from __future__ import annotations

from pydantic import Field

from harness.tools.base import Args, Json, ToolContext, tool


class WaitArgs(Args):
    seconds: int = Field(ge=1, le=900)


@tool("Let time pass.", WaitArgs, seconds=lambda args: float(args.seconds), waits=True)
def wait(context: ToolContext, args: WaitArgs) -> Json:
    """Say how long the agent waited, and nothing else."""
    return {"waited_s": args.seconds}
