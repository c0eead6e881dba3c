"""The official evaluator's SRE metrics (docs/sources I5), computed by rules from one diagnosis.

Owns: the arithmetic and the scorecard. Does not own: matching (`matcher.py`), contraction (`propagation.py`),
criteria that need reading (`judge.py`), files and averages.

Exact, given the matches: entity precision, recall, F1, entity@k and precision-at-full-recall. Deterministic
approximations of what the official judge decides by reading: which components a chain consists of, the first
impacted component (the first listed effect with a failure word in it), and hops. Where a ground truth has no
chain, chain metrics are None: undefined, not zero. Unlike upstream, an entity counts once, recall never exceeds
1, and a chain's score does not depend on the order in which edges are listed (`propagation_chain_listed` does,
as published).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.records import Diagnosis, EntityMatch, Record
from harness.scoring.diagnosis import predicted_entities
from harness.scoring.matcher import RootGroup, match, root_groups
from harness.scoring.propagation import (
    Components,
    Edges,
    common_chain,
    contract,
    descendants,
    hops,
    listed_path,
    longest_common_subsequence,
    workload_stem,
)
from scenarios.schema import Edge, GroundTruth

KS = (1, 2, 3, 4, 5)
IMPACT = re.compile(
    r"\b(?:error|latenc|slow|saturat|fail|threshold|unavailab|high cpu|cpu usage|time-?out|imagepullbackoff|crash)",
    re.IGNORECASE,
)
"""Words of an effect that is a performance failure; a changed configuration or a flag's name is none."""


class Ratio(Record):
    """Precision, recall and their harmonic mean."""

    precision: float
    recall: float
    f1: float

    @classmethod
    def of(cls, precision: float, recall: float) -> Ratio:
        """With F1 worked out; 0 where both are 0."""
        total = precision + recall
        return cls(precision=precision, recall=recall, f1=2 * precision * recall / total if total else 0.0)


class Scorecard(Record):
    """One diagnosis under every official metric that rules can decide."""

    root_cause_entity: Ratio
    root_cause_entity_at: dict[int, Ratio]
    """The same on the first k distinct predictions; precision over min(k, predictions)."""
    precision_at_full_recall: float
    """Artificial Analysis: precision if every root was named, otherwise 0."""
    propagation_chain: Ratio | None
    propagation_chain_listed: Ratio | None
    """As published: over paths in the order in which edges are listed."""
    fault_localization: float | None
    """1 when the diagnosis' chain contains the first impacted component."""
    proximity_no_fp: Ratio
    """1 / (1 + hops) to the nearest root; 0 off the chain."""
    proximity_with_fp: Ratio
    """The same with hops divided by the length of the ground truth's chain."""
    matches: tuple[EntityMatch, ...]
    hops: tuple[int | None, ...]
    """From each prediction to the nearest root; None off the chain."""
    first_impacted: str | None
    gt_path: tuple[str, ...]
    model_path: tuple[str, ...]

    def flat(self) -> dict[str, float | None]:
        """Every number under its own name, undefined ones as None."""
        ratios: dict[str, Ratio | None] = {"root_cause_entity": self.root_cause_entity}
        ratios |= {f"root_cause_entity_k@{k}": ratio for k, ratio in self.root_cause_entity_at.items()}
        ratios |= {
            "propagation_chain": self.propagation_chain,
            "propagation_chain_listed": self.propagation_chain_listed,
            "root_cause_proximity_no_fp": self.proximity_no_fp,
            "root_cause_proximity_with_fp": self.proximity_with_fp,
        }
        numbers = {
            f"{name}_{part}": getattr(ratio, part) if ratio is not None else None
            for name, ratio in ratios.items()
            for part in ("precision", "recall", "f1")
        }
        numbers["precision_at_full_recall"] = self.precision_at_full_recall
        numbers["fault_localization_component_identification"] = self.fault_localization
        return numbers


EMPTY = Diagnosis(entities=())
"""What a missing or unreadable output is scored as."""


def score(diagnosis: Diagnosis, truth: GroundTruth) -> Scorecard:
    """Score one diagnosis. Raises ValueError without root groups: then nothing is defined."""
    roots = root_groups(truth.groups, truth.aliases)
    if not roots:
        raise ValueError("the ground truth has no root group, so recall is undefined")
    matches = tuple(match(entity, roots) for entity in predicted_entities(diagnosis))
    entity = entity_ratio(matches, roots)
    components = contract(truth)
    expected = _contracted(components, truth.propagations)
    claimed = [
        (components.of_entity(edge.source), components.of_entity(edge.target))
        for edge in diagnosis.propagations
    ]
    first = first_impacted(truth, components)
    gt_path, model_path = listed_path(expected), listed_path(claimed)
    chain, listed = _chains(expected, claimed, gt_path, model_path)
    away = [_away(matches, root, components, expected) for root in roots]
    return Scorecard(
        root_cause_entity=entity,
        root_cause_entity_at={k: entity_ratio(matches[:k], roots) for k in KS},
        precision_at_full_recall=entity.precision if entity.recall == 1 else 0.0,
        propagation_chain=chain,
        propagation_chain_listed=listed,
        fault_localization=None if first is None else float(first in model_path),
        proximity_no_fp=_proximity(away, 1),
        proximity_with_fp=_proximity(away, _length(expected)),
        matches=matches,
        hops=tuple(
            min((hop for hop in column if hop is not None), default=None)
            for column in zip(*away, strict=True)
        ),
        first_impacted=first,
        gt_path=tuple(gt_path),
        model_path=tuple(model_path),
    )


def entity_ratio(matches: Sequence[EntityMatch], roots: Sequence[RootGroup]) -> Ratio:
    """Precision over predictions, recall over distinct root groups."""
    correct = [found.group for found in matches if found.group is not None]
    precision = len(correct) / len(matches) if matches else 0.0
    return Ratio.of(precision, len(set(correct)) / len(roots))


# --- the chain ------------------------------------------------------------------------------------------


def first_impacted(truth: GroundTruth, components: Components) -> str | None:
    """The component of the first listed effect that is a performance failure.

    Picked in this order: the target where the effect names it, any other component that it names, the target.
    Where no effect says what failed, what the first edge from a root leads to; None without a chain."""
    edges = [edge for edge in truth.propagations if edge.target in components.of_group]
    for edge in edges:
        if IMPACT.search(edge.effect):
            return _named_in(edge, truth, components)
    roots = {components.of_group[root.id] for root in truth.roots}
    for edge in edges:
        target = components.of_group[edge.target]
        if components.of_group.get(edge.source) in roots and target not in roots:
            return target
    return components.of_group[edges[0].target] if edges else None


def _named_in(edge: Edge, truth: GroundTruth, components: Components) -> str:
    target = components.of_group[edge.target]
    named: dict[str, int] = {}
    for group in truth.groups:
        stem = workload_stem(group)
        found = re.search(rf"(?<![\w-]){re.escape(stem)}(?![\w-])", edge.effect, re.IGNORECASE)
        if stem and found:
            named.setdefault(components.of_group[group.id], found.start())
    return target if not named or target in named else min(named, key=lambda one: named[one])


def _contracted(components: Components, edges: Sequence[Edge]) -> Edges:
    """Edges between components; those with an end that no group has say nothing and are left out."""
    known = components.of_group
    return [
        (known[edge.source], known[edge.target])
        for edge in edges
        if edge.source in known and edge.target in known
    ]


def _chains(
    expected: Edges, claimed: Edges, gt_path: Sequence[str], model_path: Sequence[str]
) -> tuple[Ratio | None, Ratio | None]:
    """(by order of the graphs, by order of the lists); None where there is no chain to find."""
    if not expected:
        return None, None
    if not claimed:
        return Ratio.of(0, 0), Ratio.of(0, 0)
    common = common_chain(descendants(expected), descendants(claimed))
    listed = longest_common_subsequence(gt_path, model_path)
    return (
        Ratio.of(common / _length(claimed), common / _length(expected)),
        Ratio.of(listed / len(model_path), listed / len(gt_path)),
    )


def _length(edges: Edges) -> int:
    """Components of the longest chain; at least 1."""
    order = descendants(edges)
    return max(common_chain(order, order), 1)


# --- proximity ------------------------------------------------------------------------------------------


def _away(
    matches: Sequence[EntityMatch], root: RootGroup, components: Components, edges: Edges
) -> list[int | None]:
    """Hops from each prediction to one root, None off the chain. A prediction that matches the root is 0 hops from
    it, wherever its component lies."""
    own = {one.id for one in components.members if any(part in root.members for part in one.members)}
    distance = hops(edges, own)
    on_chain = {component for edge in edges for component in edge}
    away: list[int | None] = []
    for found in matches:
        component = components.of_entity(found.entity)
        if found.group == root.id:
            away.append(0)
        else:
            away.append(distance.get(component) if component in on_chain else None)
    return away


def _proximity(away: Sequence[Sequence[int | None]], length: int) -> Ratio:
    """Soft entity score from hops per root and prediction: precision averages the nearest root over predictions,
    recall the nearest prediction over roots."""
    if not away[0]:
        return Ratio.of(0, 0)
    close = [[0.0 if hop is None else 1 / (1 + hop / length) for hop in row] for row in away]
    nearest_root = [max(column) for column in zip(*close, strict=True)]
    return Ratio.of(sum(nearest_root) / len(nearest_root), sum(map(max, close)) / len(close))
