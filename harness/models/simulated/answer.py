"""Words the submission from beliefs: entities, propagation, alerts, resolution, with citations.

Owns: the honest answer that a competent agent would hand in. Does not own: what a failure makes of it
(`failures`).
"""

from __future__ import annotations

from typing import Any

from harness.models.simulated.beliefs import Beliefs
from harness.models.simulated.harm import new_alerts
from harness.models.simulated.policy import MOST_CAUSES, still_firing
from harness.models.simulated.readings import Cause

MOST_CITED = 3
MOST_SUFFERERS = 2


def honest_answer(
    beliefs: Beliefs, unusable: frozenset[str] = frozenset(), sees_harm: bool = True
) -> dict[str, Any]:
    """The arguments of `submit`. `unusable` are call ids that were refused as evidence; without `sees_harm` alerts
    that began after its own change are not looked at."""
    causes: dict[str, Cause | None] = {}
    for cause in beliefs.causes:
        causes.setdefault(cause.entity, cause)
    blamed = list(causes)[:MOST_CAUSES] or [
        beliefs.leading or f"{beliefs.namespace}/Namespace/{beliefs.namespace}"
    ]
    sufferers = _sufferers(beliefs, blamed)
    entities = [
        {
            "name": entity,
            "contributing_factor": True,
            "reasoning": _why(causes.get(entity), entity),
            "evidence": cite(beliefs, entity, unusable),
        }
        for entity in blamed
    ]
    entities += [
        {
            "name": entity,
            "contributing_factor": False,
            "reasoning": "It suffers from the cause; its own specification is not at fault.",
            "evidence": cite(beliefs, entity, unusable),
        }
        for entity in sufferers
    ]
    root = blamed[0]
    return {
        "entities": entities,
        "propagations": [
            {
                "source": root,
                "target": entity,
                "condition": _why(causes.get(root), root),
                "effect": f"{entity} raises alerts.",
            }
            for entity in sufferers
        ],
        "alerts_explained": _alerts(beliefs, root),
        **_resolution(beliefs, sees_harm),
    }


def cite(beliefs: Beliefs, entity: str, unusable: frozenset[str] = frozenset()) -> str:
    """The calls that show something about an entity; its tests first."""
    name = entity.rsplit("/", 1)[-1]
    shown = [call for call in beliefs.calls if call.ok and name in call.content and not call.changes]
    ranked = [*reversed(beliefs.tested(entity)), *reversed(beliefs.touching(entity)), *shown]
    ids = dict.fromkeys(call.id for call in ranked if call.name != "submit" and call.id not in unusable)
    return " ".join(f"[{call_id}]" for call_id in list(ids)[:MOST_CITED])


def _sufferers(beliefs: Beliefs, blamed: list[str]) -> list[str]:
    ids = dict.fromkeys(alert.object_id for alert in beliefs.first_alerts if alert.entity)
    return [entity for entity in ids if entity not in blamed][:MOST_SUFFERERS]


def _why(cause: Cause | None, entity: str) -> str:
    if cause is None:
        return f"{entity} shows the most alerts."
    if cause.path:
        return f"The {cause.mechanism} was changed: {cause.path} from {cause.old!r} to {cause.new!r}."[:240]
    return f"{cause.mechanism}: {entity} is gone."


def _alerts(beliefs: Beliefs, root: str) -> list[dict[str, Any]]:
    names = dict.fromkeys(f"{alert.name} {alert.entity}".strip() for alert in beliefs.first_alerts)
    return [{"alert": name, "explanation": f"Follows from {root}.", "explained": True} for name in names]


def _resolution(beliefs: Beliefs, sees_harm: bool) -> dict[str, Any]:
    remaining = [*still_firing(beliefs), *(new_alerts(beliefs) if sees_harm else ())]
    if not beliefs.changes:
        return {"resolved": False, "resolution_evidence": "Nothing was changed."}
    if not beliefs.rechecks:
        return {"resolved": False, "resolution_evidence": "The alerts were not read after the change."}
    last = beliefs.rechecks[-1].id
    if remaining:
        return {"resolved": False, "resolution_evidence": f"[{last}] still shows {', '.join(remaining[:4])}."}
    return {
        "resolved": True,
        "resolution_evidence": f"[{last}], after the last change, shows none of the alerts.",
    }
