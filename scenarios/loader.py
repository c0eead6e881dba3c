"""From scenario files to scenarios, and from what a user selects to the scenarios meant.

Owns: reading one file with all its problems at once, the built-in catalogue, selectors. Does not own: the
checks themselves (`scenarios.schema`, `scenarios.references`) or whether a scenario works
(`scenarios.selftest`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from pathlib import Path

from pydantic import BaseModel, ValidationError

from harness.errors import ConfigurationError, Problem
from harness.plugins import added_files
from scenarios import schema
from scenarios.references import reference_problems
from scenarios.schema import Scenario
from scenarios.yaml_source import read

CATALOGUE = Path(__file__).parent / "catalogue"

Selector = Sequence[int | str] | int | str


def load_scenario(path: str | Path) -> Scenario:
    """Read one scenario file. Raises ConfigurationError with every problem of the file."""
    source = read(Path(path))
    problems = source.duplicate_problems()
    scenario = None
    try:
        scenario = Scenario.model_validate(source.data)
    except ValidationError as error:
        problems += source.field_problems(error, _field_names())
    problems += reference_problems(source)
    if problems or scenario is None:
        raise ConfigurationError(sorted(set(problems), key=lambda problem: _position(problem.where)))
    return scenario


class Catalogue:
    """Scenario files of some directories, each called by its id (`016.yaml`) and read when first needed.

    Raises ConfigurationError when two files have the same id."""

    def __init__(self, *directories: Path) -> None:
        self._paths: dict[int, Path] = {}
        for path in (path for directory in directories for path in sorted(directory.glob("*.yaml"))):
            if path.stem.isdigit() and int(path.stem) in self._paths:
                what = f"the id is taken by {self._paths[int(path.stem)]}"
                raise ConfigurationError(Problem(str(path), what, "call the file by an id that is free"))
            if path.stem.isdigit():
                self._paths[int(path.stem)] = path

    @property
    def ids(self) -> tuple[int, ...]:
        """All ids, ascending; no file is read for it."""
        return tuple(sorted(self._paths))

    def __len__(self) -> int:
        return len(self._paths)

    def get(self, scenario_id: int) -> Scenario:
        """One scenario by id. Raises ConfigurationError."""
        if scenario_id not in self._paths:
            raise ConfigurationError(self._unknown(str(scenario_id)))
        path = self._paths[scenario_id]
        scenario = _load_once(path)
        if scenario.id != scenario_id:
            what = f"found {scenario.id}; expected {scenario_id}, as the file is called"
            raise ConfigurationError(Problem(f"{path} id", what))
        return scenario

    def find(self, key: str) -> Scenario:
        """One scenario by its key `universe/version/id`. Raises ConfigurationError."""
        (scenario,) = self.select([key])
        return scenario

    def all(self) -> list[Scenario]:
        """Every scenario, by id. Raises ConfigurationError with the problems of all files."""
        return self._load(self.ids)

    def select(self, selector: Selector) -> list[Scenario]:
        """The scenarios that any of the selector's items means, by id, each once.

        An item is an id (`16`), a key (`live/8949d5b/16`), a subset (see SUBSETS), or `tag:`, `complexity:`,
        `category:`, `application:`, `class:`, `variant:` or `fault:` with a value. Raises ConfigurationError with
        every item that means nothing."""
        items = _items(selector)
        problems: list[Problem] = []
        if not items:
            problems.append(Problem("scenario", "found nothing; expected at least one id"))
        chosen: set[int] = set()
        for item in items:
            meant = self._meant(item)
            if not meant:
                problems.append(self._unknown(item))
            chosen.update(meant)
        if problems:
            raise ConfigurationError(problems)
        return self._load(sorted(chosen))

    def _meant(self, item: str) -> set[int]:
        if item.isdigit():
            return {int(item)} & set(self._paths)
        if item in SUBSETS:
            return {one.id for one in self.all() if SUBSETS[item](one)}
        word, colon, value = item.partition(":")
        if colon and word in _TRAITS:
            wanted = value.strip().casefold()
            return {one.id for one in self.all() if wanted in map(str.casefold, _TRAITS[word](one))}
        if item.count("/") == 2 and item.rpartition("/")[2].isdigit():
            known = {int(item.rpartition("/")[2])} & set(self._paths)
            return {one for one in known if self.get(one).key == item}
        return set()

    def _load(self, ids: Iterable[int]) -> list[Scenario]:
        loaded: list[Scenario] = []
        problems: list[Problem] = []
        for scenario_id in ids:
            try:
                loaded.append(self.get(scenario_id))
            except ConfigurationError as error:
                problems.extend(error.problems)
        if problems:
            raise ConfigurationError(problems)
        return loaded

    def _unknown(self, item: str) -> Problem:
        word, colon, value = item.partition(":")
        if colon and word in _TRAITS:
            values = sorted({trait for one in self.all() for trait in _TRAITS[word](one)})
            there = ", ".join(difflib.get_close_matches(value, values, n=3, cutoff=0.5) or values)
            return Problem("scenario", f"no scenario has {word} {value!r}", f"there are: {there}")
        if item.isdigit():
            near_ids = sorted(self._paths, key=lambda known: (abs(known - int(item)), known))[:4]
            near = ", ".join(map(str, sorted(near_ids)))
            return Problem("scenario", f"no scenario {item} in the catalogue", f"nearest ids: {near}")
        words = [*SUBSETS, *(f"{word}:" for word in _TRAITS)]
        near_words = difflib.get_close_matches(item, words, n=3, cutoff=0.5)
        what = f"found {item!r}; expected an id, a key, or one of {', '.join(words)}"
        return Problem("scenario", what, f"did you mean {' or '.join(near_words)}?" if near_words else "")


@cache
def catalogue() -> Catalogue:
    """The built-in catalogue, with the scenarios of installed packages."""
    return Catalogue(CATALOGUE, *(Path(str(folder)) for folder in added_files("scenarios")))


@lru_cache(maxsize=512)
def _load_once(path: Path) -> Scenario:
    return load_scenario(path)


SUBSETS: dict[str, Callable[[Scenario], bool]] = {
    "all": lambda scenario: True,
    "sre": lambda scenario: scenario.category == "sre",
    "finops": lambda scenario: scenario.category == "finops",
    "clean": lambda scenario: scenario.conflict.kind in ("none", "C"),
    "lite35": lambda scenario: scenario.category == "sre" and scenario.id <= 35,
}
"""Named subsets. `clean`: no known conflict, or one of documentation only. `lite35`: the ids 1 to 35, by which
ITBench-Lite's 35 SRE snapshots go as far as is published; 9, 28 and 32 have no live scenario, which leaves 32."""

_TRAITS: dict[str, Callable[[Scenario], Iterable[str]]] = {
    "tag": lambda scenario: scenario.tags,
    "complexity": lambda scenario: (scenario.complexity,),
    "category": lambda scenario: (scenario.category,),
    "application": lambda scenario: (scenario.application,),
    "class": lambda scenario: (scenario.conflict.kind,),
    "variant": lambda scenario: ("plain", "ambiguous") if scenario.ambiguity else ("plain",),
    "fault": lambda scenario: (planned.fault for planned in scenario.injections()),
}


def _items(selector: Selector) -> list[str]:
    """The selector as a list of words: `2,16` and `[2, 16]` mean the same."""
    given = [selector] if isinstance(selector, int | str) else list(selector)
    return [word.strip() for item in given for word in str(item).split(",") if word.strip()]


@cache
def _field_names() -> tuple[str, ...]:
    """Every field name that a scenario file may use, for suggestions."""
    things = vars(schema).values()
    models = [thing for thing in things if isinstance(thing, type) and issubclass(thing, BaseModel)]
    names = (field.alias or name for model in models for name, field in model.model_fields.items())
    return tuple(sorted(set(names)))


def _position(where: str) -> tuple[int, str]:
    """Sort key of a problem in one file: its line, then its field."""
    line = re.search(r":(\d+)(?: |$)", where)
    return int(line[1]) if line else 0, where
