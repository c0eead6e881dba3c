"""Two-level fractional factorial designs: which arms to run so that effects of many guards can be told apart.

Owns: the design matrix and its aliasing, as pure combinatorics. Does not own: estimates
(`harness/statistics/factorial.py`). A design of 2^(k-p) runs gives k - p basic factors all their combinations
and sets each further factor to a product of basic ones; products are chosen for the highest resolution, and
among equals for the fewest words of that length.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import combinations, product
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

Effect = tuple[str, ...]
"""A main effect (one factor) or an interaction (several), factors in the design's order."""
BASELINE = "baseline"


class Design(BaseModel):
    """A two-level design over interventions; each level is `in the arm` or not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    factors: tuple[str, ...] = Field(min_length=2, max_length=12)
    """Interventions, in the order in which they act where they are on."""
    runs: int = Field(default=16, ge=4, le=256)
    """Arms: a power of two, at most 2^factors."""
    resolution: int = Field(default=4, ge=3)
    """Least resolution. 4: main effects are free of two-way interactions. 5: those are free of each other."""

    @model_validator(mode="after")
    def _possible(self) -> Design:
        if len(set(self.factors)) != len(self.factors):
            raise ValueError("factors: one appears twice")
        if self.runs & (self.runs - 1) or self.runs > 2 ** len(self.factors):
            raise ValueError(
                f"runs: expected a power of two up to {2 ** len(self.factors)}, found {self.runs}"
            )
        if self.generators is None:
            raise ValueError(
                f"{len(self.factors)} factors in {self.runs} runs cannot have resolution {self.resolution}"
            )
        return self

    @property
    def basic(self) -> tuple[str, ...]:
        """Factors that take all combinations."""
        return self.factors[: self.runs.bit_length() - 1]

    @cached_property
    def generators(self) -> Mapping[str, Effect] | None:
        """Each further factor as a product of basic ones; None where the resolution cannot be reached.

        Products of an odd number of factors only where that suffices: then all factors off is one of the arms."""
        further = self.factors[len(self.basic) :]
        sizes = range(self.resolution - 1, len(self.basic) + 1)
        products = [effect for size in sizes for effect in combinations(self.basic, size)]
        odd = [effect for effect in products if len(effect) % 2]
        for candidates in (odd, products):
            best = best_choice(further, candidates, self.resolution)
            if best is not None:
                return best
        return None

    @property
    def words(self) -> list[frozenset[str]]:
        """Products of factors that are constant over the design."""
        return words_of(self.generators or {})

    @property
    def reached(self) -> int | None:
        """The resolution: length of the shortest word; None for a full factorial."""
        return min(map(len, self.words), default=None)

    def rows(self) -> Iterator[tuple[int, ...]]:
        """Levels of all factors, -1 off and 1 on, one row for each arm; the all-off row first if it is one."""
        for levels in product((-1, 1), repeat=len(self.basic)):
            row = dict(zip(self.basic, levels, strict=True))
            for factor, generator in (self.generators or {}).items():
                row[factor] = 1
                for one in generator:
                    row[factor] *= row[one]
            yield tuple(row[factor] for factor in self.factors)

    def arms(self) -> dict[str, tuple[str, ...]]:
        """Arms named by their factor levels, such as `f1010011`; the one without any factor is the baseline."""
        return {
            arm_name(row): tuple(f for f, level in zip(self.factors, row, strict=True) if level > 0)
            for row in self.rows()
        }

    def levels(self) -> dict[str, tuple[int, ...]]:
        """Arm name -> levels of all factors."""
        return {arm_name(row): row for row in self.rows()}

    def aliases(self, most: int = 2) -> list[list[Effect]]:
        """Main effects and interactions of up to `most` factors, in groups that the design cannot tell apart."""
        groups: list[list[Effect]] = []
        place: dict[frozenset[str], int] = {}
        for size in range(1, most + 1):
            for effect in combinations(self.factors, size):
                own = frozenset(effect)
                if own in place:
                    groups[place[own]].append(effect)
                    continue
                groups.append([effect])
                for word in [frozenset[str](), *self.words]:
                    place[own ^ word] = len(groups) - 1
        return groups


def arm_name(row: Sequence[int]) -> str:
    """An arm's name from its levels."""
    return (
        "f" + "".join("1" if level > 0 else "0" for level in row) if any(one > 0 for one in row) else BASELINE
    )


def best_choice(
    further: Sequence[str], candidates: Sequence[Effect], resolution: int
) -> dict[str, Effect] | None:
    """One product for each further factor with the highest resolution and the fewest shortest words."""
    best: tuple[tuple[int, int], dict[str, Effect]] | None = None
    for chosen in combinations(candidates, len(further)):
        generators = dict(zip(further, chosen, strict=True))
        lengths = [len(word) for word in words_of(generators)]
        shortest = min(lengths, default=99)
        rank = (-shortest, lengths.count(shortest))
        if shortest >= resolution and (best is None or rank < best[0]):
            best = (rank, generators)
    return best[1] if best else None


def words_of(generators: Mapping[str, Effect]) -> list[frozenset[str]]:
    """The defining words: all products of the generators' own words."""
    own = [frozenset((factor, *effect)) for factor, effect in generators.items()]
    words = []
    for size in range(1, len(own) + 1):
        for chosen in combinations(own, size):
            word: frozenset[str] = frozenset()
            for one in chosen:
                word ^= one
            words.append(word)
    return words


def with_design(raw: Any) -> Any:
    """An experiment's raw configuration with the arms of its design added."""
    if not isinstance(raw, Mapping) or not raw.get("factorial"):
        return raw
    design = Design.model_validate(raw["factorial"])
    return {**raw, "arms": {**(raw.get("arms") or {}), **design.arms()}}
