"""The configuration of an experiment: its schema, and the steps from Hydra's composed config to it.

Owns: field names, defaults' meaning, refusal of unknown keys with every problem listed at once. The defaults
themselves live in `conf/`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from harness.addresses import found
from harness.broker.config import SharedLimits
from harness.budget import BudgetConfig
from harness.context import ContextConfig
from harness.errors import ConfigurationError, Problem
from harness.factorial import Design, with_design
from harness.live_config import WHERE_IT_RUNS, KubernetesConfig
from harness.records import Variant
from harness.sandbox.config import SandboxConfig


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
    """`simulated`, `snapshot`, `kubernetes`, or a dotted path package.module:Class."""
    kubernetes: KubernetesConfig | None = None
    """kubernetes: the cluster and what the harness may do there."""
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
    """Trials at a time per worker; fewer where what they claim is scarce."""
    resources: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    """What this machine offers of what trials claim, such as `docker_slot: 4`; without it 16 docker slots,
    and once of everything else. On a cluster that is joined nodes say so themselves (`ray start --resources`)."""
    modules: tuple[str, ...] = ()
    """Directories of your own packages (agents, guards, environments by dotted path) that travel to the nodes of a
    cluster that is joined, beside the harness itself."""
    start_timeout_s: float = Field(default=300, gt=0)
    """Seconds to wait for the first worker of a Ray cluster."""


class StoppingConfig(Config):
    """When an experiment has seen enough. Part of the frozen plan."""

    rule: Literal["fixed", "sequential"] = "fixed"
    """`fixed`: every planned trial runs. `sequential`: scenarios run in batches, and a contrast whose answer is
    clear takes no more of them."""
    alpha: float = Field(default=0.05, gt=0, lt=1)
    """Level of all declared contrasts together; each one gets an equal share."""
    batch: int = Field(default=3, ge=1)
    """Scenarios between two looks."""
    effect: float = Field(default=0.2, gt=0, le=1)
    """Difference in the primary metric that is worth finding; for futility."""
    futility: float = Field(default=0.05, ge=0, lt=1)
    """Give a contrast up when the chance to still find `effect` falls below this; 0 never gives up."""
    complete: bool = False
    """Run a contrast that was decided in its arm's favour over all scenarios: no-harm needs them."""


class PlanningConfig(Config):
    """What `plan` assumes where no pilot run tells. Has no influence on results."""

    effect: float | None = Field(default=None, gt=0)
    """Wanted difference in the primary metric: how many repeats does it need?"""
    power: float = Field(default=0.8, gt=0, lt=1)
    turns: tuple[float, float] = (12, 30)
    """Model calls per trial, least and greatest."""
    input_tokens: tuple[float, float] = (120_000, 450_000)
    """Input tokens per trial, least and greatest."""
    output_tokens: tuple[float, float] = (4_000, 15_000)
    """Output tokens per trial, least and greatest."""
    wall_seconds: tuple[float, float] | None = None
    """Wall seconds per trial; null: the model's latency times turns."""
    call_seconds: tuple[float, float] = (3, 15)
    """Seconds per model call, for real models."""
    sd_run: float = Field(default=0.35, ge=0)
    """Standard deviation between runs of one scenario (a share)."""
    sd_effect: float = Field(default=0.15, ge=0)
    """Standard deviation between scenarios of the true difference of two arms."""


class ForkConfig(Config):
    """Which stored trials are forked, and where."""

    run: str
    """Run directory of the stored trials; models, agents, budgets and scenarios are taken from its plan."""
    trials: tuple[str, ...] = ()
    """Trial ids; empty takes every trial of the reference arm below full recall."""
    at: int | Literal["detector", "bisection"] = "detector"
    """An event number; `detector`: the first evidence of each mode; `bisection`: the turn where re-rolls fail."""
    modes: tuple[str, ...] = ()
    """Modes whose steps are forked; empty takes all that are present."""
    arms: tuple[str, ...] = ()
    """Arms to continue with, beside the re-roll; empty takes all but the reference arm."""
    limit: int | None = Field(default=None, ge=1)
    """Stored trials at most."""
    same_seed: bool = False
    """Ask the model with the stored trial's seed: without a change this reproduces the trial."""


class ClosedLoopConfig(Config):
    """The search for a stack of interventions. `scenario` holds the development scenarios, `repeats` is per
    full trial, `stopping.alpha` the level of the whole search, `no_harm_margin` the loss that still counts as
    no harm."""

    held_out: str | tuple[int | str, ...]
    """Scenarios on which the stack is confirmed once; none of them may be a development scenario."""
    candidates: tuple[str, ...] = ()
    """Interventions offered beside the registered ones, as package.module:Class."""
    modes: int = Field(default=6, ge=1)
    """Leading modes for which interventions are tried before a stack counts as complete."""
    finalists: int = Field(default=2, ge=1)
    """Candidates at most that go from a screening to full trials."""
    screen_trials: int = Field(default=40, ge=1)
    """Failed trials that a screening forks at most."""
    screen_repeats: int = Field(default=2, ge=1)
    """Continuations per forked trial and candidate."""
    tests: int = Field(default=8, ge=1)
    """Candidates that full trials may test before the search ends; they share its level equally."""
    trials: int = Field(default=8000, ge=1)
    """Trials and forks that the search may take per model and agent, the held-out ones included."""
    usd: float | None = Field(default=None, gt=0)
    """Money after which no further step of the search begins."""


class ExperimentConfig(SharedLimits):
    """One experiment: models x agents x arms x scenarios x repeats."""

    name: str
    """Names the run directory."""
    question: str
    """What the experiment asks, in one sentence; opens the report."""
    scenario: Annotated[str | tuple[int | str, ...], BeforeValidator(lambda x: (x,) if type(x) is int else x)]
    """Ids, one id, or a selector such as `all`, `clean`, `complexity:low`, `tag:Networking`."""
    variant: Variant = "plain"
    """How incidents are opened; `ambiguous` needs scenarios that have such a variant."""
    ground_truth: Literal["corrected", "published"] = "corrected"
    """Which ground truth is scored where the published one contradicts the injection."""
    environment: EnvironmentConfig = EnvironmentConfig()
    sandbox: SandboxConfig = SandboxConfig()
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
    pooled: dict[str, tuple[tuple[str, str], ...]] = Field(default_factory=dict)
    """Name -> (arm, reference) pairs averaged into one declared contrast, such as structural minus prompt."""
    no_harm_margin: float = Field(default=0.05, gt=0)
    """Loss in a share that still counts as no harm (TOST)."""
    stopping: StoppingConfig = StoppingConfig()
    fork: ForkConfig | None = None
    """Set for an experiment on stored trials."""
    closed_loop: ClosedLoopConfig | None = None
    """Set for a search; its baseline is the reference arm."""
    planning: PlanningConfig = PlanningConfig()
    pilot: str | None = None
    """Run directory whose records supply `plan` with costs and variances."""
    repeats: int = Field(default=3, ge=1)
    seed: int = 0
    budget: BudgetConfig = BudgetConfig()
    context: ContextConfig = ContextConfig()
    verdict: VerdictConfig = VerdictConfig()
    max_attempts: int = Field(default=2, ge=1)
    """Attempts per trial for infrastructure causes."""
    executor: ExecutorConfig = ExecutorConfig()
    judge: dict[str, Any] = Field(default_factory=lambda: {"kind": "none"})
    """The model that settles what detectors propose, once trials have run; `kind: none` for no judge."""
    judging: dict[str, Any] = Field(default_factory=dict)
    """How it is asked (`harness/mast/judge/config.py`)."""
    progress: Literal["auto", "plain", "quiet"] = "auto"
    """What standard error shows while trials run: a live table on a terminal, plain lines, or nothing."""
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
        pairs = [*self.contrasts, *(pair for pairs in self.pooled.values() for pair in pairs)]
        named = {self.reference_arm, *(arm for pair in pairs for arm in pair)}
        unknown = sorted(named - self.arms.keys())
        if unknown:
            raise ValueError(f"unknown arm {', '.join(unknown)}; arms are {', '.join(self.arms)}")
        return self

    @property
    def declared_contrasts(self) -> tuple[tuple[str, str], ...]:
        """The (arm, reference) pairs that the report tests."""
        others = tuple((arm, self.reference_arm) for arm in self.arms if arm != self.reference_arm)
        return self.contrasts or others

    @property
    def judged(self) -> bool:
        """Whether a judge was chosen."""
        return str(self.judge.get("kind", "none")) != "none"

    @property
    def directory(self) -> Path:
        """The configured directory, or one named after the experiment and its configuration's hash."""
        return Path(self.run_dir or f"runs/{self.name}-{self.digest()[:8]}")

    def scientific(self) -> dict[str, Any]:
        """The part that determines results: everything but where and how it runs."""
        hidden: Any = {
            "executor": True,
            "run_dir": True,
            **dict.fromkeys(SharedLimits.model_fields, True),
            "judge": True,
            "judging": True,
            "progress": True,
            "planning": True,
            "pilot": True,
            "fork": {"run"},
            "environment": {
                "root": True,
                "cache_dir": True,
                "kubernetes": WHERE_IT_RUNS,
            },
            "sandbox": {"ready"},
        }
        if self.environment.kubernetes is None:
            hidden["environment"]["kubernetes"] = True
        if self.sandbox.kind == "none":
            hidden["sandbox"] = True
        return self.model_dump(mode="json", exclude=hidden)

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
    """One pydantic error in the user's terms; what may be a secret is not repeated."""
    where = ".".join(str(part) for part in item["loc"]) or "configuration"
    if item["type"] == "extra_forbidden":
        return Problem(where, "unknown key", "remove it, or check its spelling")
    return Problem(where, f"{item['msg']}{found(item)}"[:300])
