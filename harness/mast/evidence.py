"""What reads prove: alerts that a result lists, citations, whether a text speaks of an entity.

Owns: reading tool results for classification. Guards have their own reading (`harness/evidence.py`) on
purpose: a guard must not be measured with its own yardstick.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

import msgspec

from harness.mast.view import Call, TraceView
from harness.scoring.matcher import parse_entity, workload_name

ALERT_READS = frozenset({"alert_summary", "alert_analysis"})
SYMPTOM_READS = ALERT_READS | {
    "get_context_contract",
    "get_trace_error_tree",
    "metric_analysis",
    "get_metric_anomalies",
}
"""Reads that say what users see. That an object is rolled out says nothing about them."""
NOISE = re.compile(
    r"Watchdog|InfoInhibitor|TargetDown|NodeCPUHighUsage|NodeSystemSaturation|CPUThrottlingHigh|KubeAPI|etcd"
)
"""Alerts that clusters without faults fire too (docs/sources IB)."""

_CITATIONS = re.compile(r"\[\s*(c\d+(?:\s*[,;]\s*c\d+)*)\s*\]")
_SENTENCE = re.compile(r"[.;!?]\s+|\n+")
_SUSPICION = re.compile(
    r"hypothes|suspect|suspicio|caus(?:e|ed|es|ing)\b|culprit|blame|fault|broken|misconfig|wrong|because|due to"
    r"|likely|probabl|perhaps|may be|might|could be|seems|appears|believe|think|assum|problem|issue with|responsible"
)
_ENDS = re.compile(r"(?![A-Za-z0-9_])(?!-(?!(?:[bcdf4-9]{6,10}|(?=[a-z]*\d)[a-z0-9]{8,10}|v?\d+)(?![a-z])))")
"""What may follow a name: nothing, or a generated suffix; so `frontend` is not seen in `frontend-proxy`."""


class FiringAlert(NamedTuple):
    """An alert that a result lists as firing."""

    name: str
    entity: str


@lru_cache(maxsize=4096)
def object_name(entity: str) -> str:
    """The name by which texts speak of an entity: without namespace, kind and generated suffix."""
    parsed = parse_entity(entity)
    if parsed is None:
        return workload_name("pod", entity.strip().lower().rsplit("/", 1)[-1])
    return workload_name(parsed.kind, parsed.name)


@lru_cache(maxsize=8192)
def mentions(text: str, name: str) -> bool:
    """Whether a text speaks of the object of that name."""
    at = text.find(name) if name else -1
    while at >= 0:
        if _begins(text, at) and _ENDS.match(text, at + len(name)):
            return True
        at = text.find(name, at + 1)
    return False


def _begins(text: str, at: int) -> bool:
    """In JSON text a line break is a backslash and an n, and no letter of the name before."""
    before = text[at - 1 : at]
    return not (before.isalnum() or before in ("_", "-")) or text[at - 2 : at] in (r"\n", r"\t")


def concerns(call: Call, name: str) -> bool:
    """Whether a call asks for, or its result mentions, the object of that name."""
    return mentions(call.args_text, name) or mentions(call.text, name)


def citations(text: str) -> list[str]:
    """Call ids that a text cites as [c7] or [c7, c9]; in order, once each."""
    if "[" not in text:
        return []
    found = (call_id.strip() for group in _CITATIONS.findall(text) for call_id in re.split("[,;]", group))
    return list(dict.fromkeys(found))


def answered(call: Call) -> bool:
    """Whether the call gave an answer: it succeeded, or said that the object does not exist."""
    return (
        call.ok
        or call.known_again
        or (call.result is not None and call.result.executed and "not found" in call.text[:300])
    )


def firing(call: Call) -> frozenset[FiringAlert] | None:
    """Alerts that an alert read shows as firing, without noise; None when the result is no list of alerts."""
    return firing_rows(call.text) if call.name in ALERT_READS and call.ok else None


@lru_cache(maxsize=256)
def firing_rows(text: str) -> frozenset[FiringAlert] | None:
    """Alerts that a text lists as firing, without noise; None when it is no list of alerts."""
    try:
        rows = msgspec.json.decode(text)["data"]
        return frozenset(
            FiringAlert(row["alertname"], row.get("entity") or "")
            for row in rows
            if row["state"] == "firing"
            and row.get("severity") != "none"
            and not NOISE.match(row["alertname"])
        )
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
        return None


def alert_reads(view: TraceView) -> list[tuple[Call, frozenset[FiringAlert]]]:
    """All reads that list alerts, with what they show as firing."""
    if "alerts" not in view.memo:
        reads = ((call, firing(call)) for call in view.calls)
        view.memo["alerts"] = [(call, alerts) for call, alerts in reads if alerts is not None]
    found: list[tuple[Call, frozenset[FiringAlert]]] = view.memo["alerts"]
    return found


def suspected_at(view: TraceView, name: str) -> int | None:
    """Event number at which the agent first put a suspicion of the object into words; None if it never did.

    A sentence has to name the object and to say or ask something about causes, changes or faults: "alerts point
    at checkout" suspects nothing yet."""
    for message in view.said:
        text = f"{message.text}\n{message.reasoning}".lower()
        if name in text and any(
            mentions(part, name) and _SUSPICION.search(part) for part in _SENTENCE.split(text)
        ):
            return message.i
    return None


def tests_of(view: TraceView, name: str) -> list[Call]:
    """Reads that test a suspicion of the object: those that ask for it by name (asking is suspecting), and those
    that show it after the suspicion was put into words. Alert lists show whoever suffers and test nothing."""
    suspected = suspected_at(view, name)
    return [
        call
        for call in view.calls
        if not call.event.mutating
        and answered(call)
        and (
            mentions(call.args_text, name)
            or (
                suspected is not None
                and call.i > suspected
                and call.name not in ALERT_READS
                and mentions(call.text, name)
            )
        )
    ]


def shows_health(view: TraceView, call: Call) -> bool:
    """Whether a read says how users fare: alerts or failing requests, or metrics of something that matters here
    (a contributing factor, or what an alert was about)."""
    if not call.reads or call.name not in SYMPTOM_READS:
        return False
    if call.name in ALERT_READS or call.name == "get_trace_error_tree":
        return True
    names = {object_name(entity["name"]) for entity in view.factors}
    names |= {object_name(alert.entity) for _, alerts in alert_reads(view) for alert in alerts}
    return any(mentions(call.args_text, name) for name in names)
