"""The competent agent: from beliefs to the next step, as an SRE would choose it.

Owns: the order survey -> test -> act -> recheck -> submit and the calls of each. Does not own: how it fails
(`failures`) or how it words an answer (`answer`). It sees only what was read from the conversation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from harness.models.simulated.beliefs import Beliefs, underspecified, workload_name
from harness.models.simulated.config import SimulatedModelConfig
from harness.models.simulated.dice import draw
from harness.models.simulated.feedback import Demand
from harness.models.simulated.harm import new_alerts, reversals
from harness.models.simulated.remedies import Wanted, remedies, restart
from harness.models.simulated.transcript import ASK, MUTATING, Call

Phase = Literal["survey", "test", "act", "put_back", "recheck", "submit"]
WAITS = (300, 240, 180, 120)
"""Seconds to wait before each new look at the alerts: their windows are minutes long."""
QUESTION = "Which application and namespace is meant, and what may I change there?"
FLAG_OBJECT = "ConfigMap/flagd-config"
"""Where the OpenTelemetry demo keeps its feature flags."""
MOST_CAUSES = 3
MOST_REFUSALS = 3
"""Refusals of one change after which it is given up."""


@dataclass(frozen=True, slots=True)
class Step:
    """What the model does next: one call and what it says beside it."""

    phase: Phase
    name: str
    args: dict[str, Any] = field(default_factory=dict)
    said: str = ""
    planted: tuple[tuple[str, str], ...] = ()
    """(slug, note) of failures committed with this step."""
    demanded: bool = False
    """A refusal asked for it."""


def next_step(
    beliefs: Beliefs,
    config: SimulatedModelConfig,
    seed: int,
    tools: frozenset[str],
    skip: frozenset[str] = frozenset(),
) -> Step:
    """The next step of a competent agent that leaves out the phases in `skip`."""
    for phase, name, args, said in _agenda(beliefs, config, seed, skip):
        if name in tools:
            return Step(phase, name, args, said)
    return Step("submit", "submit")


def demanded_step(beliefs: Beliefs, demand: Demand, tools: frozenset[str]) -> Step | None:
    """The next read that a refusal asks for; None when all of them were made."""
    refused = beliefs.refusals[-1]
    for entity in claimed_entities(refused, beliefs.namespace):
        name, args = test_of(entity, beliefs)
        meant = entity in demand.entities or (demand.evidence and not demand.entities)
        asked = meant and not beliefs.touching(entity, refused.index)
        tried = any(call.index > refused.index and call.args == args for call in beliefs.calls)
        if asked and not tried and name in tools:
            said = f"Hypothesis: {entity}. I read what the refusal says is missing."
            return Step("test", name, args, said, demanded=True)
    for name, args, said in _rechecks(beliefs, demand):
        if name in tools:
            return Step("recheck", name, args, said, demanded=True)
    return None


def claimed_entities(submission: Call, namespace: str) -> list[str]:
    """The entities of a submission, with the namespace where it was left out."""
    names = [entity["name"] for entity in submission.args.get("entities", ())]
    return [name if name.count("/") == 2 else f"{namespace}/{name}" for name in names]


def _agenda(
    beliefs: Beliefs, config: SimulatedModelConfig, seed: int, skip: frozenset[str]
) -> Iterator[tuple[Phase, str, dict[str, Any], str]]:
    if "ask" not in skip and unclear(beliefs):
        yield "survey", ASK, {"question": QUESTION}, "The request does not say what is meant, so I ask first."
    for name, args in survey(beliefs):
        if _open(beliefs, name, args) and not _answered_once(beliefs, name, args):
            yield "survey", name, args, _reason(name, beliefs)
    if "test" not in skip:
        for name, args, said in _tests(beliefs):
            yield "test", name, args, said
    for name, args in _actions(beliefs, config, seed):
        if not _tried(beliefs, name, args):
            yield "act", name, args, f"Hypothesis: {beliefs.leading}. I now remove the cause."
    if "put_back" not in skip and new_alerts(beliefs):
        for name, args in reversals(beliefs):
            yield "put_back", name, args, "Alerts fire that did not fire before my change; I put it back."
    if "recheck" not in skip:
        for name, args, said in _rechecks(beliefs, None):
            yield "recheck", name, args, said


def survey(beliefs: Beliefs) -> list[Wanted]:
    """The first look at an incident."""
    return [
        ("alert_summary", {"state_filter": "firing"}),
        ("event_analysis", {"filters": {"event_kind": "Warning"}, "limit": 30}),
        ("kubectl_get", {"kind": "Pod", "namespace": beliefs.namespace}),
        ("get_trace_error_tree", {}),
        ("k8s_spec_change_analysis", {"limit": 50, "max_changes_per_diff": 10}),
    ]


def _deeper(beliefs: Beliefs) -> list[Wanted]:
    """Where to look when the first look shows no cause."""
    service = workload_name(beliefs.symptom) if beliefs.symptom else "frontend"
    return [
        ("get_k8_spec", {"k8_object_name": f"{beliefs.namespace}/{FLAG_OBJECT}"}),
        ("log_analysis", {"service_name": service, "max_patterns": 10}),
        ("k8s_spec_change_analysis", {"limit": 0, "max_changes_per_diff": 20}),
        ("get_context_contract", {"k8_object": f"{beliefs.namespace}/Deployment/{service}"}),
        ("kubectl_get", {"kind": "Service", "namespace": beliefs.namespace}),
    ]


def _tests(beliefs: Beliefs) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Reads that test what is believed. Without a recognised cause: doubt the symptom, then look deeper."""
    entities = list(dict.fromkeys(cause.entity for cause in beliefs.causes))[:MOST_CAUSES]
    if not entities and beliefs.doubted:
        for name, args in _deeper(beliefs):
            if _open(beliefs, name, args):
                yield name, args, "Nothing was changed there, so the cause lies elsewhere; I look deeper."
    for entity in entities or filter(None, [beliefs.symptom]):
        if not beliefs.tested(entity):
            name, args = test_of(entity, beliefs)
            if _open(beliefs, name, args):
                yield name, args, f"Hypothesis: {entity}. I test it against its own history."


def test_of(entity: str, beliefs: Beliefs) -> Wanted:
    """The read that shows whether an object was changed into what hurts."""
    namespace, kind, name = entity.split("/", 2)
    mechanism = next((cause.mechanism for cause in beliefs.causes if cause.entity == entity), "")
    if kind == "Deployment" and mechanism:
        return "kubectl_rollout_history", {"name": name, "namespace": namespace}
    if mechanism and not mechanism.startswith("missing"):
        return "get_k8_spec", {"k8_object_name": entity}
    return "k8s_spec_change_analysis", {"k8_object_name": entity, "include_no_change": True}


def _actions(beliefs: Beliefs, config: SimulatedModelConfig, seed: int) -> list[Wanted]:
    if not beliefs.leading:
        return []
    if beliefs.causes and draw(seed, "remedy") < config.competence.remedy:
        return remedies(beliefs)
    return restart(beliefs.symptom or beliefs.leading, beliefs)


def _rechecks(beliefs: Beliefs, demand: Demand | None) -> Iterator[tuple[str, dict[str, Any], str]]:
    """After a change: wait and read the alerts, until they are gone or patience ends."""
    since = beliefs.refusals[-1].index if beliefs.refusals else -1
    fresh = [call for call in beliefs.rechecks if call.index > since]
    asked = demand is not None and demand.recheck and not fresh
    if not (beliefs.changes or asked):
        return
    if beliefs.rechecks and not asked and (not still_firing(beliefs) or len(beliefs.rechecks) >= len(WAITS)):
        return
    last = beliefs.last
    waited = last is not None and last.name == "wait" and last.ok
    if beliefs.changes and not waited:
        seconds = WAITS[min(len(beliefs.rechecks), len(WAITS) - 1)]
        yield "wait", {"seconds": seconds}, "The alerts' windows need time before they show the effect."
    yield "alert_summary", {"state_filter": "firing"}, "I read the alerts again after the change."


def still_firing(beliefs: Beliefs) -> list[str]:
    """Alerts of the beginning that the newest list still shows."""
    known = {(alert.name, alert.entity) for alert in beliefs.first_alerts}
    return [alert.name for alert in beliefs.firing if (alert.name, alert.entity) in known]


def unclear(beliefs: Beliefs) -> bool:
    """Whether it is open what the request means, and nobody was asked yet."""
    return underspecified(beliefs.transcript) and not any(call.name == ASK for call in beliefs.calls)


def _answered_once(beliefs: Beliefs, name: str, args: dict[str, Any]) -> bool:
    """With a cause in mind, the survey is not made again although some of it is out of sight."""
    seen = [call for call in beliefs.calls if call.index not in beliefs.lapsed and (call.ok or call.trimmed)]
    on_track = bool(beliefs.causes or beliefs.recalled)
    return on_track and any(call.name == name and call.args == args for call in seen)


def _open(beliefs: Beliefs, name: str, args: dict[str, Any]) -> bool:
    """Not answered yet, as far as is remembered; an object's second attempt is the last."""
    same = [call for call in beliefs.calls if call.name == name and call.args == args]
    answered = any(call.ok and call.index not in beliefs.forgotten for call in same)
    return not answered and len(same) < 2


def _tried(beliefs: Beliefs, name: str, args: dict[str, Any]) -> bool:
    """It was made, or refused so often that it is given up."""
    if name not in (*MUTATING, "wait"):
        return False
    same = [call for call in beliefs.calls if call.name == name and call.args == args]
    standing = [call for call in same if call.id not in beliefs.undone]
    return any(not call.refused for call in standing) or len(same) >= MOST_REFUSALS


def _reason(name: str, beliefs: Beliefs) -> str:
    if name == "alert_summary":
        return "I start with the alerts that are firing."
    suffering = workload_name(beliefs.symptom) if beliefs.symptom else "the application"
    return {
        "event_analysis": f"Alerts point at {suffering}. I look at warning events next.",
        "kubectl_get": "I look at the state of the pods.",
        "get_trace_error_tree": f"I follow the failing requests of {suffering} along the traces.",
        "k8s_spec_change_analysis": "I look for what was changed before the alerts began.",
    }[name]
