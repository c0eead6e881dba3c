"""Asks the judge about one trace: windows, samples, one round on disagreement, labels.

Owns: the order of questions and how answers become labels. Agreement of all usable answers decides; otherwise the
same questions are asked once more with the reasons of both sides; what is still disputed is cannot_tell. A mode
without any usable answer gets no label.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import InfrastructureError
from harness.mast.judge.cache import ReplyCache
from harness.mast.judge.config import JudgeConfig
from harness.mast.judge.questions import FAMILIES, prompt_hash, report_tool, request
from harness.mast.judge.replies import Reading, Said, read_reply
from harness.mast.judge.script import Line, script, windows
from harness.mast.taxonomy import taxonomy
from harness.protocols import Model, ModelReply, ModelRequest
from harness.records import Label, Present, Usage
from harness.trace import Event

PRESENT: dict[str, Present] = {"yes": "present", "no": "absent", "cannot_tell": "cannot_tell"}
MAX_SPANS = 12


@dataclass
class Judgement:
    """What came of judging one trace."""

    labels: tuple[Label, ...] = ()
    missing: dict[str, str] = field(default_factory=dict)
    """Modes that were asked about and got no usable answer, and why. Missing is not "no"."""
    usage: Usage = field(default_factory=Usage)
    """What was paid; replies from the cache cost nothing."""
    provenance: dict[str, str] = field(default_factory=dict)
    """Hashes of prompts, taxonomy and models."""
    unreached: bool = False
    """Some answers are missing because a model could not be reached."""


class Judge:
    """Judges traces with one model, or two."""

    def __init__(
        self,
        model: Model,
        fields: Mapping[str, Any],
        config: JudgeConfig | None = None,
        second: tuple[Model, Mapping[str, Any]] | None = None,
        cache: Path | None = None,
    ) -> None:
        self.config = config or JudgeConfig()
        self._models = [(model, digest(fields)), *([(second[0], digest(second[1]))] if second else [])]
        self._cache = ReplyCache(cache)
        self._turn = asyncio.Semaphore(self.config.concurrency)

    @property
    def name(self) -> str:
        """Names of the models, for labels."""
        return "+".join(model.name for model, _ in self._models)

    @property
    def cached(self) -> int:
        """Replies that were taken from the cache."""
        return self._cache.hits

    async def close(self) -> None:
        """Give back what the models hold."""
        for model, _ in self._models:
            await model.close()

    def provenance(self) -> dict[str, str]:
        """What the answers depend on beside the trace."""
        models = {f"model.{model.name}": hashed for model, hashed in self._models}
        return {
            "prompt": prompt_hash(),
            "taxonomy": taxonomy().hash,
            "config": digest(self.config.model_dump()),
        } | models

    async def review(
        self, events: Iterable[Event], wanted: Sequence[str], candidates: Mapping[str, Sequence[int]]
    ) -> Judgement:
        """Answer for the modes in `wanted`. `candidates` are events at which detectors point.

        Raises ConfigurationError where no call could work; an unreachable provider makes answers missing."""
        lines = script(events)
        inquiry = Inquiry(self, lines, windows(lines, self.config.window_chars), candidates)
        families = [[slug for slug in slugs if slug in wanted] for slugs in FAMILIES.values()]
        outcomes = await asyncio.gather(*(inquiry.settle(slugs) for slugs in families if slugs))
        result = Judgement(provenance=self.provenance(), usage=total(inquiry.usage))
        result.unreached = inquiry.unreached
        settled = {slug: said for answers, _ in outcomes for slug, said in answers.items()}
        for _, missing in outcomes:
            result.missing |= missing
        positives = sum(said.vote == "yes" for said in settled.values())
        if positives > self.config.max_positives:
            result.missing |= dict.fromkeys(settled, f"{positives} modes at once are not believed")
            settled = {}
        result.labels = tuple(self._label(slug, said) for slug, said in settled.items())
        return result

    def _label(self, slug: str, said: Said) -> Label:
        return Label(
            slug=slug,
            present=PRESENT[said.vote],
            source=f"judge:{self.name}",
            spans=said.spans[:MAX_SPANS] if said.vote == "yes" else (),
            note=said.reason,
            taxonomy=taxonomy().hash,
        )

    async def complete(self, place: int, asked: ModelRequest) -> ModelReply:
        """A reply of one of the models, from the cache where it is known."""
        model, hashed = self._models[place % len(self._models)]
        key = self._cache.key(hashed, asked)
        known = self._cache.get(key)
        if known is not None:
            return known
        async with self._turn:
            reply = await model.complete(asked)
        self._cache.put(key, reply)
        return reply

    @property
    def voters(self) -> int:
        """Answers per question."""
        return self.config.samples * len(self._models)


@dataclass
class Inquiry:
    """The questions about one trace."""

    judge: Judge
    lines: list[Line]
    windows: list[str]
    candidates: Mapping[str, Sequence[int]]
    usage: list[Usage] = field(default_factory=list)
    unreached: bool = False

    async def settle(self, slugs: Sequence[str]) -> tuple[dict[str, Said], dict[str, str]]:
        """Answers of one family, and why others are missing."""
        first = await self._vote(slugs, 0)
        answers, missing, disputed = weigh(slugs, first)
        if disputed:
            names = list(disputed)
            second = await self._vote(names, self.judge.voters, dispute(disputed))
            again, absent, still = weigh(names, second)
            answers |= again
            missing |= absent
            answers |= {slug: Said("cannot_tell", (), "reviewers disagree") for slug in still}
        return answers, missing

    async def _vote(self, slugs: Sequence[str], seed: int, dispute: str = "") -> list[Reading]:
        return await asyncio.gather(
            *(self._read_through(slugs, place, seed + place, dispute) for place in range(self.judge.voters))
        )

    async def _read_through(self, slugs: Sequence[str], place: int, seed: int, dispute: str) -> Reading:
        """One reader's answer after the last window. A window that fails is reported, and nothing is guessed."""
        by_number = {line.i: line for line in self.lines}
        reading = Reading({}, "", "the trace is empty")
        ledger = ""
        for number, window in enumerate(self.windows, start=1):
            candidates = {slug: list(self.candidates[slug]) for slug in slugs if self.candidates.get(slug)}
            where = (number, len(self.windows))
            messages = request(slugs, window, where, ledger, candidates, dispute)
            limit = self.judge.config.max_output_tokens
            try:
                reply = await self.judge.complete(
                    place, ModelRequest(messages, [report_tool(slugs)], seed, limit)
                )
            except InfrastructureError as error:
                self.unreached = True
                return Reading({}, "", str(error))
            self.usage.append(reply.usage)
            reading = read_reply(reply, slugs, by_number)
            ledger = _ledger(reading, ledger)
        return reading


def _ledger(reading: Reading, before: str) -> str:
    """What the next window is told: the reader's ledger, and its findings in checked form."""
    found = [
        f"{slug}: yes, {'; '.join(f'[{span.events[0]}] {span.quote!r}' for span in said.spans)}"
        for slug, said in reading.answers.items()
        if said.vote == "yes"
    ]
    return "\n".join([reading.ledger or before, *found])


def weigh(
    slugs: Sequence[str], readings: Sequence[Reading]
) -> tuple[dict[str, Said], dict[str, str], dict[str, list[Said]]]:
    """What all usable answers agree on, what is missing and why, and what is disputed. A mode that most readers
    did not answer usably is missing."""
    agreed: dict[str, Said] = {}
    missing: dict[str, str] = {}
    disputed: dict[str, list[Said]] = {}
    for slug in slugs:
        said = [reading.answers[slug] for reading in readings if slug in reading.answers]
        if 2 * len(said) <= len(readings):
            missing[slug] = next((r.problem for r in readings if slug not in r.answers), "")
        elif len({one.vote for one in said}) == 1:
            spans = tuple(dict.fromkeys(span for one in said for span in one.spans))
            agreed[slug] = Said(said[0].vote, spans, said[0].reason)
        else:
            disputed[slug] = said
    return agreed, missing, disputed


def dispute(disputed: Mapping[str, Sequence[Said]]) -> str:
    """The reasons of both sides."""
    return "\n".join(
        f"- {slug}: one says {s.vote}: {s.reason}" for slug, said in disputed.items() for s in said
    )


def total(usages: Sequence[Usage]) -> Usage:
    """The sum."""
    names = tuple(Usage.model_fields)
    return Usage(**{name: sum(getattr(usage, name) for usage in usages) for name in names})


def digest(fields: Mapping[str, Any]) -> str:
    """Short hash of a configuration."""
    return hashlib.sha256(json.dumps(dict(fields), sort_keys=True, default=str).encode()).hexdigest()[:16]
