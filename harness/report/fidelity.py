"""The fidelity table: what the simulated and a real cluster showed of the same scenarios, and what each conduct did.

Owns: reading the traces of the control agents' looks in two runs, the comparison as sets of findings, the page. The
explanations of known differences are data (`fidelity.yaml`); what none explains is listed as unexplained. Does not
own: what the agents looked at (`harness/agents/control.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter

from harness.errors import ConfigurationError, Problem
from harness.records import TrialRecord, Verdict
from harness.store import RunDirectory
from harness.trace import AlertsObserved, Event, ToolCall, ToolResult, of_type
from scenarios.loader import catalogue

ASPECTS = ("pods", "roll-outs", "endpoints", "events", "alerts", "outcomes")
BACKGROUND = re.compile(
    "Watchdog|InfoInhibitor|TargetDown|NodeCPUHighUsage|NodeSystemSaturation|CPUThrottlingHigh|KubeAPI.*|etcd.*"
)
POD = re.compile(r"^(.+?)-[a-f0-9]{6,10}-[a-z0-9]{5}$")
ROUTINE = frozenset(
    {"Scheduled", "Pulling", "Pulled", "Created", "Started", "ScalingReplicaSet", "SuccessfulCreate"}
)
LOOKER = "nothing"
"""The control agent whose looks are compared: nobody has touched anything when it looks."""


class Explanation(BaseModel):
    """Why a finding is there on one of the clusters only."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    aspect: str
    only: Literal["simulated", "real"]
    finding: str
    """Regular expression that the whole finding must match."""
    scenarios: tuple[int, ...] = ()
    """Empty: in any."""
    why: str


@dataclass(frozen=True, slots=True)
class Difference:
    """A finding that only one of the clusters shows."""

    aspect: str
    only: str
    finding: str
    why: str
    """Empty: nobody has explained it."""


@dataclass(slots=True)
class Row:
    """One scenario on both clusters."""

    scenario: int
    faults: tuple[str, ...]
    both: dict[str, set[str]] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)


Findings = Mapping[str, set[str]]


def compare(simulated: Path, *real: Path) -> Sequence[Row]:
    """The scenarios that were played on both clusters; only agents that were, on both, are compared by outcome.

    Raises ConfigurationError where there are none."""
    one, other = findings_of(simulated), merged(findings_of(path) for path in real)
    shared = sorted(
        number for number in one.keys() & other.keys() if "pods" in one[number] and "pods" in other[number]
    )
    if not shared:
        where = f"no scenario was played in both {simulated} and {', '.join(map(str, real))}"
        raise ConfigurationError(
            Problem("fidelity", where, "play the same experiment, with the agent `nothing`")
        )
    rows = []
    for number in shared:
        row = Row(number, tuple(i.fault for i in catalogue().get(number).injections()))
        for aspect in ASPECTS:
            left, right = one[number].get(aspect, set()), other[number].get(aspect, set())
            if aspect == "outcomes":
                left, right = of_same_agents(left, right), of_same_agents(right, left)
            row.both[aspect] = left & right
            for only, found in (("simulated", left - right), ("real", right - left)):
                row.differences += [
                    Difference(aspect, only, text, why(aspect, only, text, number)) for text in sorted(found)
                ]
        rows.append(row)
    return rows


def findings_of(path: Path) -> dict[int, dict[str, set[str]]]:
    """Scenario -> aspect -> findings of a run."""
    run = RunDirectory(path)
    found: dict[int, dict[str, set[str]]] = {}
    for record in run.records():
        number = int(record.spec.scenario.rsplit("/", 1)[-1])
        aspects = found.setdefault(number, {})
        if record.status != "excluded":
            aspects.setdefault("outcomes", set()).add(outcome_of(record))
        if record.spec.agent == LOOKER:
            aspects.update(looks_of(run.trace(record)))
    return found


def merged(runs: Iterable[Mapping[int, Findings]]) -> dict[int, dict[str, set[str]]]:
    """What several runs found, together."""
    found: dict[int, dict[str, set[str]]] = {}
    for run in runs:
        for number, aspects in run.items():
            for aspect, texts in aspects.items():
                found.setdefault(number, {}).setdefault(aspect, set()).update(texts)
    return found


def of_same_agents(outcomes: set[str], others: set[str]) -> set[str]:
    """Outcomes of agents that have one among the others too."""
    agents = {text.partition(":")[0] for text in others}
    return {text for text in outcomes if text.partition(":")[0] in agents}


def outcome_of(record: TrialRecord) -> str:
    """What an agent's conduct led to."""
    if record.verdict is None:
        return f"{record.spec.agent}: {record.reason or 'no verdict'}"
    return f"{record.spec.agent}: {judged(record.verdict)}"


def judged(verdict: Verdict) -> str:
    """A verdict in words."""
    if verdict.all_clear:
        return "all clear"
    parts = {
        "symptom stays": not verdict.symptom_cleared,
        "cause stays": not verdict.cause_removed,
        "damage": verdict.collateral_damage,
    }
    return ", ".join(part for part, holds in parts.items() if holds)


def looks_of(events: Sequence[Event]) -> dict[str, set[str]]:
    """What the looks of a trace show of an incident."""
    found: dict[str, set[str]] = {aspect: set() for aspect in ASPECTS[:-1]}
    first = next(iter(of_type(events, AlertsObserved)), None)
    for alert in first.firing if first is not None else ():
        name, _, entity = alert.partition(" ")
        if not BACKGROUND.fullmatch(name):
            found["alerts"].add(f"{name} {workload_of(entity)}")
    for name, args, answer in answers(events):
        if name == "kubectl_get" and args.get("kind") == "Pod":
            found["pods"] |= set(_pods(answer))
        elif name == "kubectl_get" and args.get("kind") == "Deployment":
            found["roll-outs"] |= set(_roll_outs(answer))
        elif name == "kubectl_get" and args.get("kind") == "Endpoints":
            found["endpoints"] |= {f"{row['name']} has none" for row in answer if not row.get("endpoints")}
        elif name == "event_analysis":
            found["events"] |= {
                f"{row['object_kind']} {row['reason']} {row['deployment']}".strip()
                for row in answer
                if row["reason"] not in ROUTINE
            }
    return found


def answers(events: Sequence[Event]) -> Iterator[tuple[str, Mapping[str, Any], list[Any]]]:
    """(tool, arguments, rows) of each call that was answered with rows."""
    calls = {call.call_id: call for call in of_type(events, ToolCall)}
    for result in of_type(events, ToolResult):
        call = calls.get(result.call_id)
        if call is None or not result.ok:
            continue
        try:
            data = json.loads(result.text[result.text.index("{") :])
        except ValueError:
            continue
        if isinstance(data, dict) and isinstance(data.get("data"), list):
            yield call.name, call.args, data["data"]


def workload_of(pod: str) -> str:
    """The workload that a pod's name tells of; any other name as it is."""
    found = POD.match(pod)
    return found[1] if found else pod


def _pods(rows: Sequence[Any]) -> Iterator[str]:
    for row in rows:
        ready, _, wanted = str(row["ready"]).partition("/")
        restarted = "restarted" if row.get("restarts") else ""
        if ready != wanted or row["status"] != "Running" or restarted:
            yield " ".join(part for part in (workload_of(row["name"]), row["status"], restarted) if part)


def _roll_outs(rows: Sequence[Any]) -> Iterator[str]:
    for row in rows:
        ready, _, wanted = str(row["ready"]).partition("/")
        if ready != wanted or str(row["up_to_date"]) != wanted or wanted == "0":
            yield f"{row['name']} {row['ready']} ready, {row['up_to_date']} up to date"


@lru_cache(maxsize=1)
def explanations() -> tuple[Explanation, ...]:
    """The known differences."""
    text = (Path(__file__).parent / "fidelity.yaml").read_text(encoding="utf-8")
    return tuple(TypeAdapter(list[Explanation]).validate_python(yaml.safe_load(text) or []))


def why(aspect: str, only: str, finding: str, scenario: int) -> str:
    """The explanation of a difference; empty where there is none."""
    for one in explanations():
        here = not one.scenarios or scenario in one.scenarios
        if here and (one.aspect, one.only) == (aspect, only) and re.fullmatch(one.finding, finding):
            return one.why
    return ""


def same_findings(rows: Sequence[Row]) -> int:
    """Findings that both clusters show."""
    return sum(len(found) for row in rows for found in row.both.values())


def render(rows: Sequence[Row]) -> str:
    """The page as Markdown."""
    mechanisms = {fault for row in rows for fault in row.faults}
    differing = [one for row in rows for one in row.differences]
    lines = [
        "# Fidelity: the simulated cluster beside a real one",
        "",
        "Generated by `python -m harness fidelity SIMULATED LIVE...` from runs of `+experiment=live_kubernetes`:",
        f"{len(rows)} scenarios with {len(mechanisms)} mechanisms; {same_findings(rows)} findings on both clusters,",
        f"{len(differing)} on one of them only, {sum(not one.why for one in differing)} of those unexplained.",
        "What is listed as *same* was found on both clusters by the same tools; the rest is on one of them only.",
        "The agent that knows the answer is `answer`; `react` is the simulated model, a test double.",
        "",
        "| scenario | faults | same findings | differences | unexplained |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        same = same_findings([row])
        open_ones = sum(not one.why for one in row.differences)
        faults = ", ".join(dict.fromkeys(row.faults))
        lines.append(f"| {row.scenario} | {faults} | {same} | {len(row.differences)} | {open_ones} |")
    for row in rows:
        lines += [
            "",
            f"## Scenario {row.scenario}",
            "",
            "| aspect | same | simulated only | real only |",
            "|---|---|---|---|",
        ]
        for aspect in ASPECTS:
            cells = [", ".join(sorted(row.both[aspect])) or "nothing"]
            for only in ("simulated", "real"):
                found = [one.finding for one in row.differences if (one.aspect, one.only) == (aspect, only)]
                cells.append(", ".join(found))
            lines.append(f"| {aspect} | {' | '.join(cells)} |")
        reasons: dict[str, list[str]] = {}
        for one in row.differences:
            reasons.setdefault(one.why or "**Not explained.**", []).append(f"{one.finding} ({one.only})")
        lines += ["", *(f"- {reason} {'; '.join(found)}" for reason, found in reasons.items())]
    return "\n".join(lines) + "\n"
