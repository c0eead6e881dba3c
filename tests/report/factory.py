"""Makes synthetic trials, records and plans for tests of statistics and reports.

`experiment` draws outcomes at random from a seed; `handmade` is a small fixed set written out by hand.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.finished import seal
from harness.records import (
    Diagnosis,
    Entity,
    Label,
    Plan,
    PlantedFailure,
    Present,
    Score,
    Span,
    Status,
    Submission,
    TraceRef,
    TrialRecord,
    TrialSpec,
    Usage,
    Verdict,
)
from harness.store import RunDirectory
from harness.trace import (
    AlertHistory,
    AlertsObserved,
    AssistantMessage,
    Ended,
    Event,
    Final,
    GuardFired,
    ModelCall,
    SystemMessage,
    ToolCall,
    ToolResult,
    TraceWriter,
    UserMessage,
    encode,
)

ARMS = ("baseline", "verifier_gate", "verifier_gate_prompt", "placebo")
CONTRASTS = (
    ("verifier_gate", "baseline"),
    ("verifier_gate_prompt", "baseline"),
    ("placebo", "baseline"),
    ("verifier_gate", "verifier_gate_prompt"),
)
SLUGS = (
    "disobey_task",
    "step_repetition",
    "unaware_termination",
    "conversation_reset",
    "premature_termination",
    "verification_v0",
    "no_or_incomplete_verification",
    "incorrect_verification",
)


def spec(scenario: int = 2, model: str = "sim_a", arm: str = "baseline", repeat: int = 0) -> TrialSpec:
    return TrialSpec(
        trial_id=f"s{scenario:03d}-{model}-{arm}-r{repeat}",
        scenario=f"live/v2/{scenario}",
        model=model,
        agent="react",
        arm=arm,
        repeat=repeat,
        seed=1000 * scenario + repeat,
    )


def record(
    trial: TrialSpec | None = None,
    recall: float = 1.0,
    remediated: bool = True,
    status: Status = "scored",
    reason: str | None = None,
    modes: Mapping[str, Present] | None = None,
    text: str = "image tag does not exist [c3]",
    **fields: Any,
) -> TrialRecord:
    """A finished trial; `modes` maps slugs to what the classifier said."""
    trial = trial or spec()
    labels = tuple(
        Label(slug=slug, present=said, source=f"detector:{slug}", spans=_spans(said))
        for slug, said in (modes or {}).items()
    )
    score = Score(recall=recall, precision=recall, f1=recall, recall_strict=recall, mutation_recall=recall)
    entity = Entity(name="otel-demo/Deployment/checkout", contributing_factor=True, reasoning=text)
    verdict = Verdict(symptom_cleared=remediated, cause_removed=remediated, collateral_damage=False)
    usual: dict[str, Any] = {"simulated": True, "tool_calls": 10, "turns": 12, "usage": usage()}
    usual["verdict"] = None if status == "excluded" else verdict
    return TrialRecord(
        spec=trial,
        status=status,
        reason=reason,
        score=score if status == "scored" else None,
        submission=Submission(diagnosis=Diagnosis(entities=(entity,)), resolved=remediated)
        if status == "scored"
        else None,
        labels=labels,
        **{**usual, **fields},
    )


def _spans(said: Present) -> tuple[Span, ...]:
    return (Span(events=(4, 5), quote="get_alerts twice"),) if said == "present" else ()


def usage(tokens: int = 10_000) -> Usage:
    return Usage(calls=12, input_tokens=tokens, output_tokens=500, cost_usd=tokens * 1e-6)


def plan(trials: Sequence[TrialSpec], contrasts: Sequence[tuple[str, str]] = CONTRASTS) -> Plan:
    return Plan(
        experiment="verifier_gate",
        question="Does a verifier gate improve recall beyond its prompt twin?",
        config={"repeats": 3, "seed": 7, "arms": {"verifier_gate": ["verifier_gate"]}},
        hashes={"prompt": "a1b2", "taxonomy": "c3d4", "scenarios": "e5f6"},
        primary_metric="recall",
        reference_arm="baseline",
        contrasts=tuple(contrasts),
        trials=tuple(trials),
        digest="0123456789abcdef",
    )


def experiment(
    models: Sequence[str] = ("sim_isolated", "sim_early_stop", "sim_cascading"),
    arms: Sequence[str] = ARMS,
    scenarios: int = 24,
    repeats: int = 3,
    seed: int = 1,
    effect: float = 0.15,
) -> tuple[Plan, list[TrialRecord]]:
    """A whole experiment whose `verifier_gate` arm raises the chance of full recall by `effect`."""
    rng = random.Random(seed)
    records = []
    for place, model in enumerate(models):
        for scenario in range(1, scenarios + 1):
            ease = rng.betavariate(2, 2 + place)
            for arm in arms:
                chance = ease + (effect if arm == "verifier_gate" else 0)
                for repeat in range(repeats):
                    records.append(_drawn(rng, spec(scenario, model, arm, repeat), chance))
    return plan([item.spec for item in records]), records


def _drawn(rng: random.Random, trial: TrialSpec, chance: float) -> TrialRecord:
    if rng.random() < 0.01:
        return record(trial, status="excluded", reason="api_error", turns=0, tool_calls=0)
    if rng.random() < 0.05:
        return record(trial, status="failed", reason="budget_turns", modes=_modes(rng, 0.5), trace=_ref())
    recall = 1.0 if rng.random() < chance else rng.choice((0.0, 0.0, 0.5))
    modes = _modes(rng, 0.15 if recall == 1.0 else 0.5)
    planted = tuple(PlantedFailure(turn=3, slug=slug) for slug, said in modes.items() if said == "present")
    calls = rng.randint(8, 30)
    return record(
        trial,
        recall=recall,
        remediated=recall == 1.0 and rng.random() < 0.8,
        modes=modes,
        planted=planted,
        tool_calls=calls,
        denied_calls=rng.randint(0, 2),
        turns=calls + 1,
        usage=usage(900 * calls),
        guard_firings={"verifier_gate": 1} if trial.arm == "verifier_gate" else {},
        trace=_ref(),
    )


def _ref() -> TraceRef:
    return TraceRef(file="traces/0001.jsonl.gz", offset=0, length=900)


def _modes(rng: random.Random, share: float) -> dict[str, Present]:
    said: dict[str, Present] = {}
    for slug in SLUGS:
        said[slug] = "present" if rng.random() < share else "absent"
    if rng.random() < 0.1:
        said["disobey_task"] = "cannot_tell"
    return said


def trace(record: TrialRecord, steps: int = 8, text: str = "CheckoutHighErrorRate is firing") -> list[Event]:
    """A plausible trace; `text` is what the model and the tools say."""
    writer = TraceWriter()
    writer.add(SystemMessage(text="You are an SRE."))
    writer.add(UserMessage(text="Users report errors at checkout."))
    for step in range(steps):
        call = f"c{step + 1}"
        writer.add(ModelCall(t=60.0 * step, model=record.spec.model, input_tokens=900, output_tokens=60))
        writer.add(AssistantMessage(t=60.0 * step, text=text, reasoning="check the alerts first"))
        writer.add(
            ToolCall(t=60.0 * step, call_id=call, name="alert_summary", args={"namespace": "otel-demo"})
        )
        writer.add(
            ToolResult(
                t=60.0 * step + 5, call_id=call, name="alert_summary", ok=True, text=f"[{call}] {text}"
            )
        )
    writer.add(
        GuardFired(t=600.0, guard="verifier_gate", ruling="deny", on="submission", feedback="cite calls")
    )
    writer.add(AlertsObserved(t=610.0, firing=["CheckoutHighErrorRate"]))
    writer.add(Final(t=620.0, submission={"diagnosis": {"entities": []}}))
    writer.add(Ended(t=620.0, how="submitted"))
    firing = {"CheckoutHighErrorRate checkout": [[-120.0, 240.0], [300.0, 600.0]]}
    writer.add(AlertHistory(t=900.0, begin=-600.0, end=900.0, firing=firing))
    return writer.events


def packed(record: TrialRecord, text: str = "CheckoutHighErrorRate is firing") -> bytes:
    """The same as the store has it."""
    return gzip.compress(encode(trace(record, text=text)), mtime=0)


def handmade() -> tuple[Plan, list[TrialRecord]]:
    """Two models x two arms x five scenarios x two repeats, 40 planned, 38 recorded, by a fixed rule."""
    trials = [
        spec(scenario, model, arm, repeat)
        for model in ("sim_a", "sim_b")
        for scenario in (2, 3, 16, 20, 105)
        for arm in ("baseline", "verifier_gate")
        for repeat in (0, 1)
    ]
    records = []
    for number, trial in enumerate(trials[:-2]):
        gate, hard = trial.arm == "verifier_gate", trial.model == "sim_b"
        recall = (0.0, 0.5, 1.0)[(number % 5 + 2 * gate - hard) % 3]
        modes: dict[str, Present] = {
            "step_repetition": "present" if number % 3 == 0 else "absent",
            "premature_termination": "absent" if gate else "present",
            "verification_v0": "cannot_tell" if number % 7 == 0 else "absent",
        }
        spent: dict[str, Any] = {
            "usage": usage(8000 + 500 * number),
            "tool_calls": 10 + number % 4,
            "denied_calls": int(gate),
        }
        if number == 11:
            records.append(record(trial, status="excluded", reason="api_error", detail="HTTP 503"))
        elif number in (5, 22):
            records.append(record(trial, status="failed", reason="budget_turns", modes=modes, **spent))
        else:
            planted = (PlantedFailure(turn=2, slug="step_repetition"),) if number % 3 == 0 else ()
            cured = recall == 1.0 and number % 2 == 0
            records.append(
                record(trial, recall=recall, remediated=cured, modes=modes, planted=planted, **spent)
            )
    return plan(trials, [("verifier_gate", "baseline")]), records


def stored_run(path: Path) -> RunDirectory:
    """The handmade trials with their traces as a run directory at `path`, closed."""
    frozen, records = handmade()
    stored = RunDirectory(path)
    stored.open_for_writing(frozen)
    stored.add([seal(record, encode(trace(record))) for record in records])
    stored.close()
    return stored
