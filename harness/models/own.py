"""What stands in the model's place for an agent that brings its own.

Owns: the name `own` under which such trials are listed. It never answers.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.errors import AgentError, Problem
from harness.protocols import ModelReply, ModelRequest


class OwnModel:
    """The agent's own model, which the harness neither calls nor knows."""

    name = "own"
    simulated = False

    def problems(self, money_budget: bool = False) -> Sequence[Problem]:
        """None that could be known here."""
        return ()

    def context_window(self) -> int | None:
        """The agent's own affair."""
        return None

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Raises AgentError: an agent that brings its own model does not ask the harness for one."""
        raise AgentError("agent_error", "the agent asked for a model, but it is configured to bring its own")

    async def close(self) -> None:
        """It holds nothing."""
