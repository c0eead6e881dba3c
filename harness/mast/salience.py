"""What a call is about, and which findings of a read nobody should miss.

Owns: targets of calls, alarming facts in results, what the incident can be about. Does not own: what follows from
them (detectors).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from harness.mast.evidence import alert_reads, concerns, mentions, object_name
from harness.mast.view import Call, TraceView, encode

TARGET_ARGS = (
    *("k8_object_name", "k8_object", "object_pattern", "entity", "service_name"),
    *("pod", "name", "flag", "path", "file", "command", "cmd"),
)
"""Arguments that say what a call is about, the most specific first."""
CHANGE_READS = frozenset({"k8s_spec_change_analysis", "kubectl_rollout_history"})
_ALARM = re.compile(
    r"OOMKilled|CrashLoopBackOff|ImagePullBackOff|ErrImagePull|CreateContainerConfigError|FailedScheduling"
    r"|FailedCreate|exceeded quota|StartError|RunContainerError|no such host"
)
_OWNER = re.compile(
    r'"(?:entity_id|entity|object|object_name|name|pod|service|deployment)":"([A-Za-z0-9][\w./:-]*)"'
)
_CHANGED = re.compile(r'"entity_id":"([^"]+)"(?:(?!"entity_id").)*?"change_count":[1-9]')
_WINDOW = 600
"""Characters before an alarm in which its owner is looked for."""
MAX_ALARMS = 20


class Alarm(NamedTuple):
    """A finding that stands out in a result."""

    word: str
    name: str
    """Object that it is about, as texts speak of it; empty when the result does not say."""


def target(call: Call) -> str:
    """What the call is about: the name of one object, a path or a command; empty for overviews."""
    for argument in TARGET_ARGS:
        value = call.event.args.get(argument)
        if isinstance(value, str) and value.strip():
            if argument == "flag":
                return value
            return object_name(value) if "/" not in value or value.count("/") <= 2 else value
    return ""


@lru_cache(maxsize=1024)
def alarms(text: str) -> tuple[Alarm, ...]:
    """Alarming facts of a result, once each."""
    found: dict[Alarm, None] = {}
    for match in _ALARM.finditer(text):
        owners = _OWNER.findall(text, max(0, match.start() - _WINDOW), match.start())
        found.setdefault(Alarm(match.group(), object_name(owners[-1]) if owners else ""))
        if len(found) >= MAX_ALARMS:
            break
    return tuple(found)


@lru_cache(maxsize=256)
def changed_objects(text: str) -> tuple[str, ...]:
    """Objects that a search for changes lists with at least one change."""
    return tuple(dict.fromkeys(_CHANGED.findall(text)))


def subjects(view: TraceView) -> frozenset[str]:
    """Names that the incident can be about: what alerts fire on, what was seen changed or alarming, and what the
    answer or a change of the agent is about."""
    if "subjects" not in view.memo:
        view.memo["subjects"] = _subjects(view)
    found: frozenset[str] = view.memo["subjects"]
    return found


def _subjects(view: TraceView) -> frozenset[str]:
    names = {object_name(alert.entity) for _, alerts in alert_reads(view) for alert in alerts}
    for call in view.calls:
        if not call.reads:
            continue
        if call.name in CHANGE_READS:
            names |= {object_name(entity) for entity in changed_objects(call.text)}
        names |= {alarm.name for alarm in alarms(call.text)}
    names |= {target(call) for call in view.changes}
    names |= {object_name(entity["name"]) for entity in view.factors}
    for edge in view.diagnosis.get("propagations") or ():
        names |= {object_name(str(edge.get(end, ""))) for end in ("source", "target")}
    return frozenset(names - {""})


def answer_text(view: TraceView) -> str:
    """The answer as JSON; empty when there is none."""
    return encode(view.final.submission) if view.final is not None else ""


def spoken_of(view: TraceView, name: str, before: int) -> bool:
    """Whether a read showed the object, or the agent spoke of it, before an event."""
    asked = any(concerns(call, name) for call in view.calls if call.i < before)
    return asked or any(
        mentions(f"{said.text}\n{said.reasoning}".lower(), name) for said in view.said if said.i < before
    )
