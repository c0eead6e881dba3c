"""Criteria that need reading, and the residue that rules cannot match, decided question by question by a judge.

Owns: which questions a scored output raises, what the answers are worth, and how far judge and rules agree. All
arithmetic is here, none is the judge's. Where an answer that matters is missing, the number is None, never 0;
rule-based numbers stay as they are, and those that the judge had a part in carry names of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from harness.interop.evaluator_outputs import StoredOutput
from harness.records import Diagnosis, EntityMatch
from harness.scoring.agreement import agreement
from harness.scoring.evaluation import ScoredOutput
from harness.scoring.judge import Judge
from harness.scoring.matcher import RootGroup, parse_entity, root_groups
from harness.scoring.official import EMPTY, Ratio, entity_ratio
from harness.scoring.propagation import Components, contract
from harness.scoring.questions import NONE, about_cause, about_entity, about_symptom
from scenarios.schema import GroundTruth

WORTH = {"same": 1.0, "partly": 0.5, "different": 0.0}


class Judged(NamedTuple):
    """One output with the judge's part."""

    scored: ScoredOutput
    pairs: list[tuple[bool, bool]]
    """(rule matches, judge matches) for every prediction that the judge answered about."""
    unanswered: list[str]
    """Why answers are missing."""


async def judge_outputs(
    scored: Sequence[ScoredOutput],
    outputs: Sequence[StoredOutput],
    truths: Mapping[str, GroundTruth],
    judge: Judge,
) -> tuple[list[ScoredOutput], dict[str, Any]]:
    """The outputs with judged criteria added, and an account of the judge. Raises ConfigurationError where no
    question could be answered."""
    tasks = [
        asyncio.create_task(_Trial(one, output.diagnosis or EMPTY, truths[one.incident], judge).judge())
        for one, output in zip(scored, outputs, strict=True)
    ]
    try:
        judged = await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
    return [one.scored for one in judged], _account(judged, judge)


def _account(judged: Sequence[Judged], judge: Judge) -> dict[str, Any]:
    found = agreement([pair for one in judged for pair in one.pairs])
    return {
        "model": judge.model.name,
        "simulated": judge.model.simulated,
        "fields": judge.fields,
        "questions": {name: judge.counts[name] for name in ("asked", "cached", "unanswered")},
        "unanswered": sorted({reason for one in judged for reason in one.unanswered}),
        "usage": {
            "calls": len(judge.usage),
            "input_tokens": sum(one.input_tokens for one in judge.usage),
            "output_tokens": sum(one.output_tokens for one in judge.usage),
            "cost_usd": sum(one.cost_usd for one in judge.usage),
        },
        "rule_judge_agreement": {
            "predictions": found.items,
            "both": found.both,
            "rule_only": found.first_only,
            "judge_only": found.second_only,
            "neither": found.neither,
            "raw": found.raw,
            "kappa": found.kappa,
        },
    }


class _Trial:
    """The questions about one output."""

    def __init__(self, scored: ScoredOutput, diagnosis: Diagnosis, truth: GroundTruth, judge: Judge) -> None:
        self.scored = scored
        self.diagnosis = diagnosis
        self.truth = truth
        self.judge_model = judge
        self.roots = root_groups(truth.groups, truth.aliases)
        self.components: Components = contract(truth)
        self.unanswered: list[str] = []

    async def judge(self) -> Judged:
        matches = self.scored.card.matches
        choices = await asyncio.gather(*(self._entity(match) for match in matches))
        resolved = [
            match
            if match.group is not None or choice in (None, NONE)
            else self._as_matched(match, str(choice))
            for match, choice in zip(matches, choices, strict=True)
        ]
        open_residue = any(
            match.group is None and choice is None for match, choice in zip(matches, choices, strict=True)
        )
        ratio = None if open_residue else entity_ratio(resolved, self.roots)
        worth = await asyncio.gather(*(self._cause(match) for match in resolved))
        numbers = {
            **_named("root_cause_entity_with_judge", ratio),
            "root_cause_reasoning": None if open_residue else self._reasoning(resolved, worth),
            "root_cause_reasoning_partial": None if open_residue else await self._partial(resolved, worth),
        }
        pairs = [
            (match.group is not None, choice != NONE)
            for match, choice in zip(matches, choices, strict=True)
            if choice is not None
        ]
        return Judged(self.scored.model_copy(update={"judged": numbers}), pairs, self.unanswered)

    # --- the residue of the rules -------------------------------------------------------------------------

    async def _entity(self, match: EntityMatch) -> str | None:
        """The judge's choice for one prediction: a number of a root, none, or no answer."""
        described = [_described(root) for root in self.roots]
        return await self._choice(about_entity(match.entity, described))

    def _as_matched(self, match: EntityMatch, choice: str) -> EntityMatch:
        group = self.roots[int(choice) - 1].id
        return match.model_copy(update={"group": group, "rule": "judge", "strict": False})

    # --- reasoning ----------------------------------------------------------------------------------------

    async def _cause(self, match: EntityMatch) -> float | None:
        """What the reasoning about a correctly named root is worth; None for other predictions too."""
        reference = self._reference(match.group) if match.group is not None else ""
        if not reference:
            return None
        choice = await self._choice(about_cause(reference, self._statement(match.entity)))
        return None if choice is None else WORTH[choice]

    def _reasoning(self, matches: Sequence[EntityMatch], worth: Sequence[float | None]) -> float | None:
        """Mean over correctly named roots, the first prediction of each; 0 when none is."""
        first: dict[str, float | None] = {}
        for match, value in zip(matches, worth, strict=True):
            if match.group is not None:
                first.setdefault(match.group, value)
        values = list(first.values())
        if not values:
            return 0.0
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if len(known) == len(values) else None

    async def _partial(self, matches: Sequence[EntityMatch], worth: Sequence[float | None]) -> float | None:
        """The best prediction: reasoning for a named root, else the symptom, less the further from a root."""
        values: list[float | None] = []
        for match, value, hops in zip(matches, worth, self.scored.card.hops, strict=True):
            if match.group is not None:
                values.append(value)
            elif hops is not None:
                symptom = await self._symptom(match.entity)
                values.append(None if symptom is None else symptom / (1 + hops))
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            return 1.0 if 1.0 in known else None
        return max(known, default=0.0)

    async def _symptom(self, entity: str) -> float | None:
        component = self.components.of_entity(entity)
        effects = [
            edge.effect
            for edge in self.truth.propagations
            if edge.effect and self.components.of_group.get(edge.target) == component
        ]
        if not effects:
            return None
        question = about_symptom(entity, "\n".join(effects), self._statement(entity))
        choice = await self._choice(question)
        return None if choice is None else WORTH[choice]

    def _reference(self, root_id: str) -> str:
        """What the ground truth says about a root: its faults, or the conditions of edges that start there."""
        accepted = {group.id for group in self.truth.accepted(self.truth.group(root_id))}
        faults = [
            fault.condition for fault in self.truth.faults if fault.group in accepted and fault.condition
        ]
        if not faults:
            # Files list symptoms first and the cause last.
            faults = [fault.condition for fault in self.truth.faults if fault.condition][-1:]
        edges = [
            edge.condition for edge in self.truth.propagations if edge.source in accepted and edge.condition
        ]
        return "\n".join(faults or edges)

    def _statement(self, entity: str) -> str:
        """All that the diagnosis says about an entity: the output contract has no field for its condition."""
        named = parse_entity(entity)
        entities = [one for one in self.diagnosis.entities if parse_entity(one.name) == named]
        edges = [edge for edge in self.diagnosis.propagations if parse_entity(edge.source) == named]
        texts = [text for one in entities for text in (one.reasoning, one.evidence)]
        texts += [text for edge in edges for text in (edge.condition, edge.effect)]
        return "\n".join(dict.fromkeys(text for text in texts if text))

    async def _choice(self, question: Any) -> str | None:
        answer = await self.judge_model.ask(question)
        if answer.choice is None:
            self.unanswered.append(f"{question.criterion}: {answer.reason}")
        return answer.choice


def _described(root: RootGroup) -> str:
    """A root with all ways to name it, as the judge reads it."""
    ways = (
        f"{part.namespace or '_'}/{part.kind} with a name like {' or '.join(part.patterns)}"
        for part in root.members
    )
    return "; ".join(ways)


def _named(name: str, ratio: Ratio | None) -> dict[str, float | None]:
    return {f"{name}_{part}": getattr(ratio, part, None) for part in ("precision", "recall", "f1")}
