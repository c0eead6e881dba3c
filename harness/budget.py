"""Hard limits of one trial, enforced outside the model.

Owns: the limits, what was used, and which reason code a limit ends a trial with. Does not own: the money of a whole
experiment, or that no call is made which could pass a limit on money (`harness/broker`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, Field

from harness.errors import AgentError
from harness.records import Usage


class BudgetConfig(BaseModel):
    """Limits of one trial; null means no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    turns: int = Field(default=40, ge=1)
    """Model calls."""
    tokens: int | None = Field(default=600_000, ge=1)
    """Input plus output tokens over all model calls."""
    seconds: float | None = Field(default=3600, gt=0)
    """Seconds on the environment's clock from the agent's start."""
    usd: float | None = Field(default=None, gt=0)
    """Money for the models of this trial, all attempts together."""
    call_usd: float | None = Field(default=None, gt=0)
    """Most that one model call may cost in the worst case."""


@dataclass
class Budget:
    """What one trial has used of its limits."""

    limits: BudgetConfig
    usage: Usage = field(default_factory=Usage)

    def charge(self, used: Usage) -> None:
        """Add what one model call consumed."""
        total = {name: getattr(self.usage, name) + getattr(used, name) for name in Usage.model_fields}
        self.usage = Usage(**total)

    def check(self, elapsed: float) -> None:
        """Raise AgentError with the limit's reason code when no further model call is allowed."""
        left = self.remaining(elapsed)
        for name, cause in (
            ("turns", "budget_turns"),
            ("tokens", "budget_tokens"),
            ("seconds", "budget_time"),
            ("usd", "budget_cost"),
        ):
            if left[name] <= 0:
                raise AgentError(cause, f"limit of {getattr(self.limits, name)} {name} reached")

    def remaining(self, elapsed: float) -> dict[str, float]:
        """What is left of each limit; infinite where there is none."""
        limits, used = self.limits, self.usage
        tokens = used.input_tokens + used.output_tokens
        infinite = float("inf")
        return {
            "turns": limits.turns - used.calls,
            "tokens": infinite if limits.tokens is None else limits.tokens - tokens,
            "seconds": infinite if limits.seconds is None else limits.seconds - elapsed,
            "usd": infinite if limits.usd is None else limits.usd - used.cost_usd,
        }
