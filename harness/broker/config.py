"""Limits over all trials of an experiment. None of them changes what a trial finds, so they are no part of the plan:
a run that was stopped by one goes on under a higher one.

Owns: fields and their bounds.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat


class Limits(BaseModel):
    """Base: frozen, unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class MoneyConfig(Limits):
    """Hard caps in USD; null or absent means none. Before each call its worst case is reserved."""

    usd: PositiveFloat | None = None
    """The whole experiment: all models, the judge, attempts that were lost."""
    arms: dict[str, PositiveFloat] = Field(default_factory=dict)
    """Arm -> its cap."""
    models: dict[str, PositiveFloat] = Field(default_factory=dict)
    """Model -> its cap."""
    judge_usd: PositiveFloat | None = None
    """The judge; within `usd`."""

    @property
    def capped(self) -> bool:
        """Whether prices must be known."""
        return bool(self.usd or self.arms or self.models or self.judge_usd)


class RateConfig(Limits):
    """What a provider allows; null means that nothing is known."""

    requests_per_minute: int | None = Field(default=None, ge=1)
    """Attempts in any 60 seconds, over all workers."""
    tokens_per_minute: int | None = Field(default=None, ge=1)
    """Tokens in any 60 seconds. A call counts with its longest possible reply until it is answered."""


class OutageConfig(Limits):
    """When a provider counts as down, and how long that is borne."""

    failures: int = Field(default=5, ge=2)
    """Failures in a row, from several trials, that pause all calls; two refused connections do too."""
    probe_s: float = Field(default=5.0, gt=0)
    """Seconds until one call tries again; doubles up to a minute."""
    patience_s: float = Field(default=900.0, gt=0)
    """Seconds without any answer after which the provider's trials are left owed."""
    first_contact_s: float = Field(default=60.0, gt=0)
    """The same for a provider that has never answered in this run: more likely a wrong address."""


class SharedLimits(Limits):
    """The part of an experiment's configuration that all of its trials share."""

    money: MoneyConfig = MoneyConfig()
    """Hard caps over all trials; those of one trial are in `budget`."""
    rates: dict[str, RateConfig] = Field(default_factory=dict)
    """Model or provider -> what it allows per minute, over all workers."""
    outage: OutageConfig = OutageConfig()
    responses: str = "run"
    """Where replies of real models are kept, so that none is paid twice: `run` (the run directory), `off`, or a
    directory that runs share."""
