"""Diagnosis metrics: recall, precision, F1 over distinct root groups, and recall over what was mutated.

Owns: the arithmetic. Does not own: what matches what (matcher.py) or what happens to trials without a
diagnosis (errors.CAUSES). Does not inherit the official evaluator's defects (docs/sources I5): recall
counts each root once and never exceeds 1, and an empty answer scores zero instead of vanishing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.cluster import ObjectRef
from harness.records import Diagnosis, Score
from harness.scoring.matcher import GroupPattern, RootGroup, match, parse_entity


def score_diagnosis(diagnosis: Diagnosis, roots: Sequence[RootGroup], mutated: Sequence[ObjectRef]) -> Score:
    """Score the entities that the agent calls contributing factors.

    An entity named twice is one prediction; otherwise every prediction counts once for precision, also a
    second one for a root that was named before. `mutation_recall` is 0 when nothing was mutated. Where nothing
    was mutated and there is no root (a false alarm), the one right answer is to blame nothing.
    Raises ValueError without root groups otherwise: then recall is undefined."""
    predictions = predicted_entities(diagnosis)
    if not roots and mutated:
        raise ValueError("the ground truth has no root group, so recall is undefined")
    if not roots:
        right = float(not predictions)
        return Score(recall=right, precision=right, f1=right, recall_strict=right, mutation_recall=right)
    matches = tuple(match(entity, roots) for entity in predictions)
    correct = sum(found.group is not None for found in matches)
    named = {found.group for found in matches if found.group is not None}
    strictly = {found.group for found in matches if found.group is not None and found.strict}
    recall = len(named) / len(roots)
    precision = correct / len(predictions) if predictions else 0.0
    return Score(
        recall=recall,
        precision=precision,
        f1=2 * precision * recall / (precision + recall) if correct else 0.0,
        recall_strict=len(strictly) / len(roots),
        mutation_recall=_mutation_recall(predictions, mutated),
        matches=matches,
    )


def predicted_entities(diagnosis: Diagnosis) -> list[str]:
    """Names of the contributing factors in output order, each normalised entity once."""
    distinct: dict[object, str] = {}
    for entity in diagnosis.entities:
        if entity.contributing_factor:
            distinct.setdefault(parse_entity(entity.name) or entity.name.strip(), entity.name)
    return list(distinct.values())


def _mutation_recall(predictions: Sequence[str], mutated: Sequence[ObjectRef]) -> float:
    objects = [
        RootGroup(str(target), (GroupPattern(target.kind, target.namespace, (re.escape(target.name),)),))
        for target in dict.fromkeys(mutated)
    ]
    named = [target for target in objects if any(match(entity, (target,)).group for entity in predictions)]
    return len(named) / len(objects) if objects else 0.0
