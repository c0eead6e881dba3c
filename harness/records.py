"""Frozen records that go to disk: what was owed, what came out, what it was worth.

Owns: the types, their JSON form, and nothing that computes. A record with an unknown field is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Present = Literal["present", "absent", "cannot_tell", "not_applicable"]
Basis = Literal["decides", "proposes"]
Status = Literal["scored", "failed", "excluded"]
UsageSource = Literal["measured", "reported", "unknown"]
"""Who says what the models consumed: the harness, the agent itself, or nobody."""
Variant = Literal["plain", "ambiguous"]
"""How the incident is opened: with the affected namespace, or as an underspecified request."""


class Record(BaseModel):
    """Base of all records: frozen, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# --- what is owed -----------------------------------------------------------------------------------


class ForkPoint(Record):
    """Where a fork leaves a stored trial."""

    trial_id: str
    """The stored trial."""
    event: int
    """Event of its trace; the model is asked anew for the turn that led to it."""
    seed: int
    """Seed of the model from there on."""


class TrialSpec(Record):
    """One trial: the unit that is owed."""

    trial_id: str
    """Stable name, unique in the experiment; derived from the fields below."""
    scenario: str
    """Scenario key `universe/version/id`."""
    model: str
    agent: str
    arm: str
    repeat: int
    seed: int
    """Shared by all arms and models of the same scenario and repeat, so that contrasts are paired."""
    fork: ForkPoint | None = None
    """Set for a fork of a stored trial; `arm` is then what it continues with."""


# --- what the agent says ----------------------------------------------------------------------------


class Entity(Record):
    """One entity of a diagnosis (ITBench `agent_output.json`)."""

    name: str
    """`namespace/Kind/name`."""
    contributing_factor: bool
    """True: the agent holds it for a root cause; only these are scored as predictions."""
    reasoning: str = ""
    evidence: str = ""


class Propagation(Record):
    """One edge of the causal chain, from cause to effect."""

    source: str
    target: str
    condition: str = ""
    effect: str = ""


class AlertExplained(Record):
    """What the agent says about one alert."""

    alert: str
    explanation: str = ""
    explained: bool = True


class Diagnosis(Record):
    """The agent's answer in ITBench's `agent_output.json` contract. Order of entities matters."""

    entities: tuple[Entity, ...]
    propagations: tuple[Propagation, ...] = ()
    alerts_explained: tuple[AlertExplained, ...] = ()


class Submission(Record):
    """What the `submit` tool takes: the diagnosis, and what the agent claims about its remediation."""

    diagnosis: Diagnosis
    resolved: bool = False
    """The agent claims that the incident is over."""
    resolution_evidence: str = ""
    """Why it believes so, citing tool calls such as [c12]."""


# --- what is decided outside the agent ----------------------------------------------------------------


class Verdict(Record):
    """Three booleans decided outside the agent (facts of the cluster, never the agent's word)."""

    symptom_cleared: bool
    """No alert beyond the baseline alert set for the required number of consecutive passes."""
    cause_removed: bool
    """The predicate of every injected fault says that its cause is gone."""
    collateral_damage: bool
    """Objects were changed or workloads degraded beyond the fault."""
    remaining_alerts: tuple[str, ...] = ()
    remaining_causes: tuple[str, ...] = ()
    damage: tuple[str, ...] = ()
    settled_after_s: float | None = None
    """Environment seconds from the end of the agent's run until the symptom was seen cleared."""

    @property
    def all_clear(self) -> bool:
        """The incident is remediated: symptom cleared, cause removed, nothing else harmed."""
        return self.symptom_cleared and self.cause_removed and not self.collateral_damage


class EntityMatch(Record):
    """How one predicted entity was matched."""

    entity: str
    group: str | None
    """Root group that it matches, or None (a false positive)."""
    rule: str
    """Id of the matcher rule that decided."""
    strict: bool
    """The kinds agree too, not only the workload family."""


class Score(Record):
    """Diagnosis against ground truth; ratios in [0, 1], root groups counted once."""

    recall: float
    """Headline: share of distinct root groups named (family matching)."""
    precision: float
    f1: float
    recall_strict: float
    """The same with equal kinds required."""
    mutation_recall: float
    """Share of the objects that the injection really changed or created that were named."""
    matches: tuple[EntityMatch, ...] = ()


class Span(Record):
    """Evidence for a label: events of the trace and the text that shows it."""

    events: tuple[int, ...]
    quote: str = ""


class Label(Record):
    """One MAST finding for one trace."""

    slug: str
    present: Present
    source: str
    """`detector:<name>` or `judge:<model>`."""
    basis: Basis = "decides"
    """proposes: a candidate for the judge, in either direction; reported as a proposal and never counted."""
    repaired: bool = False
    """Present only in submissions that were refused; the last answer is free of it."""
    spans: tuple[Span, ...] = ()
    value: float | None = None
    """A magnitude where one exists, e.g. the share of redundant calls."""
    note: str = ""
    taxonomy: str = ""
    """Content hash of the taxonomy that defined the mode."""


class Usage(Record):
    """What the models of a trial consumed."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_usd: float = 0.0
    """At the provider's prices, whether it was paid now or before."""
    retries: int = 0
    recalled_calls: int = 0
    """Calls that were answered from the response cache."""
    recalled_usd: float = 0.0
    """The part of `cost_usd` that was paid before: what those calls cost when they were made."""


class TraceRef(Record):
    """Where a trial's trace lies: one gzip member inside a segment file of the run directory."""

    file: str
    offset: int
    length: int


class PlantedFailure(Record):
    """A failure that the simulated model committed on purpose (out of band; never shown to a classifier)."""

    turn: int
    slug: str
    note: str = ""


class EarlierAttempt(Record):
    """An attempt of a trial that does not count because another one followed it."""

    reason: str
    """Reason code of `errors.CAUSES`."""
    detail: str = ""
    usage: Usage = Usage()
    """What it consumed, as far as it is known; beside the usage of the attempt that counts."""
    wall_seconds: float = 0.0


class TrialRecord(Record):
    """Everything one finished trial left behind; one line of `records.jsonl`."""

    spec: TrialSpec
    status: Status
    reason: str | None = None
    """Reason code of `errors.CAUSES` when the trial failed or was excluded."""
    detail: str = ""
    attempts: int = 1
    """Executions, this one included; everything below is about this one alone."""
    earlier: tuple[EarlierAttempt, ...] = ()
    """The other executions, in order."""
    submission: Submission | None = None
    can_act: bool = True
    """False on recorded data: there is nothing to remediate, so the verdict is missing and no failure."""
    verdict: Verdict | None = None
    score: Score | None = None
    labels: tuple[Label, ...] = ()
    planted: tuple[PlantedFailure, ...] = ()
    usage: Usage = Usage()
    usage_source: UsageSource = "measured"
    turns: int = 0
    """Model calls; tool calls for an agent that brings its own model."""
    tool_calls: int = 0
    """Attempted calls, executed or denied."""
    denied_calls: int = 0
    guard_firings: Mapping[str, int] = Field(default_factory=dict)
    agent_seconds: float = 0.0
    """Environment seconds from the agent's start to its end."""
    wall_seconds: float = 0.0
    images: Mapping[str, str] = Field(default_factory=dict)
    """Digests of the container images that took part: `sandbox`, `agent`."""
    simulated: bool = False
    """The model was a test double."""
    trace: TraceRef | None = None
    earlier_traces: tuple[TraceRef | None, ...] = ()
    """Traces of `earlier`, in the same order; None where a lost worker took it along."""


class Interrupted(Record):
    """An attempt that ended with its process: a line of `interrupted.jsonl`. Its trial is owed or was run again."""

    trial_id: str
    attempt: int
    journal: str
    """File and number in the journal that it was found in."""
    events: int
    usage: Usage
    """What its model calls had consumed; beside what the trial's record counts."""
    trace: TraceRef | None


# --- the frozen plan ----------------------------------------------------------------------------------


class Declaration(Record):
    """How the numbers will be judged, beside the primary metric and the contrasts."""

    family: str = "holm over the declared contrasts of all models on the primary metric"
    """Correction of the primary family."""
    pooled: dict[str, tuple[tuple[str, str], ...]] = Field(default_factory=dict)
    """Name -> (arm, reference) pairs that are averaged into one contrast."""
    exclusions: tuple[str, ...] = ()
    """Reason codes for which a trial may be left out."""
    stopping: dict[str, Any] = Field(default_factory=lambda: {"rule": "fixed"})
    """When trials stop; `fixed`: when every planned trial has run."""
    no_harm_margin: float = 0.05
    """Loss in a share that still counts as no harm."""


class Plan(Record):
    """What an experiment owes, frozen before the first trial."""

    experiment: str
    question: str
    config: dict[str, Any]
    """The resolved configuration without secrets and without where and how it runs."""
    hashes: dict[str, str]
    """Content hashes: prompt, guards, taxonomy, scenarios, code version."""
    primary_metric: str
    reference_arm: str
    contrasts: tuple[tuple[str, str], ...]
    """Declared (arm, reference) pairs."""
    declaration: Declaration = Declaration()
    trials: tuple[TrialSpec, ...]
    digest: str = ""
    """Hash over all other fields."""
