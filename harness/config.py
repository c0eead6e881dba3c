"""The configuration of an experiment: its schema, and the steps from Hydra's composed config to it.

Owns: field names, defaults' meaning, refusal of unknown keys with every problem listed at once. The defaults
themselves live in `conf/`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from harness.budget import BudgetConfig
from harness.context import ContextConfig
from harness.errors import ConfigurationError, Problem
from harness.factorial import Design, with_design
from harness.records import Variant


class Config(BaseModel):
    """Base of all configuration: frozen, unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class VerdictConfig(Config):
    """When an outcome counts as decided."""

    window_s: float = Field(default=900, gt=0)
    """Environment seconds after the agent's end within which the symptom must clear."""
    interval_s: float = Field(default=30, gt=0)
    """Environment seconds between two looks."""
    passes: int = Field(default=2, ge=1)
    """Consecutive clear looks that count as cleared."""


Permissions = Literal["full", "no_secrets", "app_only"]


class TelemetryMask(Config):
    """Which stores the agent's tools read; the others answer as if they were empty."""

    traces: bool = True
    logs: bool = True
    """Collected logs, and those of containers."""


class EnvironmentConfig(Config):
    """Where scenarios play."""

    kind: str = "simulated"
    """`simulated`, `snapshot`, or a dotted path package.module:Class."""
    root: str | None = None
    """snapshot: directory of Scenario-N folders (ITBench-Lite, ITBench-AA)."""
    cache_dir: str | None = None
    """snapshot: where indexes are kept; null means the user's cache directory. Must be local to a node."""
    soak_s: float = Field(default=600, ge=0)
    """Healthy environment seconds before the injection, so that rate windows are filled."""
    settle_s: float = Field(default=720, ge=0)
    """Environment seconds between the injection and the agent's start, so that alerts can fire."""
    telemetry: TelemetryMask = TelemetryMask()
    red_herrings: int = Field(default=0, ge=0, le=10)
    """Alerts beside the incident's own that have nothing to do with it; drawn by the trial's seed."""
    inactive_chaos: int = Field(default=0, ge=0, le=20)
    """Paused chaos experiments that lie around; drawn by the trial's seed."""
    permissions: Permissions = "full"
    """What the agent's account may use: everything, everything but Secrets, or only the application's namespaced
    objects without Secrets."""


class ExecutorConfig(Config):
    """Where and how many trials run at a time. Has no influence on results."""

    kind: Literal["local", "ray"] = "ray"
    address: str | None = None
    """Ray cluster to join (`auto`, `ray://...`); null starts a local one unless RAY_ADDRESS is set."""
    workers: int | None = Field(default=None, ge=1)
    """Actors; null means one per CPU."""
    in_flight: int = Field(default=16, ge=1)
    """Trials at a time per worker."""


class ExperimentConfig(Config):
    """One experiment: models x agents x arms x scenarios x repeats."""

    name: str
    """Names the run directory."""
    question: str
    """What the experiment asks, in one sentence; opens the report."""
    scenario: str | tuple[int | str, ...]
    """Ids, or a selector such as `all`, `clean`, `complexity:low`, `tag:Networking`."""
    variant: Variant = "plain"
    """How incidents are opened; `ambiguous` needs scenarios that have such a variant."""
    ground_truth: Literal["corrected", "published"] = "corrected"
    """Which ground truth is scored where the published one contradicts the injection."""
    environment: EnvironmentConfig = EnvironmentConfig()
    agents: dict[str, dict[str, Any]] = Field(min_length=1)
    """Agent name -> `kind` plus the agent's own fields."""
    models: dict[str, dict[str, Any]] = Field(min_length=1)
    """Model name -> `kind` plus the model's own fields."""
    interventions: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Intervention name -> its parameters."""
    arms: dict[str, tuple[str, ...]] = Field(min_length=1)
    """Arm name -> interventions in the order in which they act; `baseline` is the empty list."""
    reference_arm: str = "baseline"
    contrasts: tuple[tuple[str, str], ...] = ()
    """Declared (arm, reference) pairs; empty means every arm against the reference arm."""
    primary_metric: Literal["recall", "remediated", "modes_per_trace"] = "recall"
    repeats: int = Field(default=3, ge=1)
    seed: int = 0
    budget: BudgetConfig = BudgetConfig()
    context: ContextConfig = ContextConfig()
    verdict: VerdictConfig = VerdictConfig()
    max_attempts: int = Field(default=2, ge=1)
    """Attempts per trial for infrastructure causes."""
    executor: ExecutorConfig = ExecutorConfig()
    run_dir: str | None = None
    """Where results go; null derives a name from the configuration, so that the same command resumes."""

    factorial: Design | None = None
    """A two-level design whose arms are added to `arms`; its effects are reported."""

    @model_validator(mode="before")
    @classmethod
    def _design(cls, raw: Any) -> Any:
        return with_design(raw)

    @model_validator(mode="after")
    def _arms_exist(self) -> ExperimentConfig:
        named = {self.reference_arm, *(arm for pair in self.contrasts for arm in pair)}
        unknown = sorted(named - self.arms.keys())
        if unknown:
            raise ValueError(f"unknown arm {', '.join(unknown)}; arms are {', '.join(self.arms)}")
        return self

    @property
    def declared_contrasts(self) -> tuple[tuple[str, str], ...]:
        """The (arm, reference) pairs that the report tests."""
        others = tuple((arm, self.reference_arm) for arm in self.arms if arm != self.reference_arm)
        return self.contrasts or others

    def scientific(self) -> dict[str, Any]:
        """The part that determines results: everything but where and how it runs."""
        places = {"root", "cache_dir"}
        return self.model_dump(
            mode="json", exclude={"executor": True, "run_dir": True, "environment": places}
        )

    def digest(self) -> str:
        """Hash of the part that determines results."""
        return hashlib.sha256(json.dumps(self.scientific(), sort_keys=True).encode()).hexdigest()


def parse_config(raw: Mapping[str, Any]) -> ExperimentConfig:
    """Validate a composed configuration. Raises ConfigurationError with every problem."""
    if not raw.get("name"):
        hint = "for example: python -m harness +experiment=verifier_gate"
        raise ConfigurationError(Problem("experiment", "none was chosen", hint))
    try:
        return ExperimentConfig.model_validate(raw)
    except ValidationError as error:
        raise ConfigurationError([as_problem(item) for item in error.errors(include_url=False)]) from None


def as_problem(item: Mapping[str, Any]) -> Problem:
    """One pydantic error in the user's terms."""
    where = ".".join(str(part) for part in item["loc"]) or "configuration"
    if item["type"] == "extra_forbidden":
        return Problem(where, "unknown key", "remove it, or check its spelling")
    found = "" if item["type"] == "missing" else f", found {item.get('input')!r}"
    return Problem(where, f"{item['msg']}{found}"[:300])
