"""The scenarios that a directory of snapshots holds, as the selectors of an experiment mean them.

Owns: finding scenario directories in the published trees of ITBench-Lite and ITBench-AA (or any directory of
`Scenario-N`), their keys, and turning each one's own ground truth into a Scenario. Does not own: the ground-truth
shapes (`scenarios.ground_truth`), the evidence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import yaml

from harness.environments.snapshot.layout import is_scenario
from harness.errors import ConfigurationError, Problem
from scenarios.ground_truth import read_ground_truth
from scenarios.loader import Catalogue
from scenarios.schema import Conflict, Scenario

DIRECTORY = re.compile(r"scenario[-_ ]?(\d+)", re.IGNORECASE)
OTHER_DOMAINS = frozenset({"finops", "ciso"})
GROUND_TRUTHS = ("ground_truth.yaml", "ground_truth.yml", "ground_truth.json", "gt.yaml", "gt.json")
"""Names that the official evaluator looks for."""
DATA_FILE = "data.jsonl"
"""The index of ITBench-AA, which repeats the ground truths."""
DEPTH = 5
HINT = "a directory with Scenario-N folders, or one such folder"


class SnapshotCatalogue(Catalogue):
    """Scenario directories below a root. Raises ConfigurationError when it holds none."""

    def __init__(self, root: Path) -> None:
        self.directory = root
        if not root.is_dir():
            raise ConfigurationError(Problem("environment.root", f"{root} is no directory", HINT))
        found: dict[int, list[Path]] = {}
        for path in sorted(_scenario_directories(root, DEPTH)):
            found.setdefault(_number(path), []).append(path)
        if not found:
            raise ConfigurationError(Problem("environment.root", f"no scenario in {root}", HINT))
        doubled = [paths for paths in found.values() if len(paths) > 1]
        if doubled:
            what = f"{doubled[0][0].name} occurs {len(doubled[0])} times: {', '.join(map(str, doubled[0]))}"
            raise ConfigurationError(Problem("environment.root", what, "name one of the data sets"))
        self._paths = {number: paths[0] for number, paths in found.items()}
        self._scenarios: dict[int, tuple[Scenario | None, list[Problem]]] = {}

    def directory_of(self, scenario_id: int) -> Path:
        """Where a scenario's files lie."""
        return self._paths[scenario_id]

    def get(self, scenario_id: int) -> Scenario:
        """One scenario by id. Raises ConfigurationError where it has no usable ground truth."""
        if scenario_id not in self._paths:
            raise ConfigurationError(self._unknown(str(scenario_id)))
        scenario, problems = self.read(scenario_id)
        if scenario is None:
            raise ConfigurationError(problems)
        return scenario

    def read(self, scenario_id: int) -> tuple[Scenario | None, list[Problem]]:
        """A scenario, if its ground truth names a root cause, and all that is wrong with the file."""
        if scenario_id not in self._scenarios:
            self._scenarios[scenario_id] = self._read(scenario_id)
        return self._scenarios[scenario_id]

    def _read(self, scenario_id: int) -> tuple[Scenario | None, list[Problem]]:
        directory = self._paths[scenario_id]
        where, data = self._ground_truth(directory)
        if data is None:
            what = "cannot be scored: no ground truth in its directory"
            return None, [Problem(str(directory), what, "held-out scenarios can only be exported")]
        truth, found = read_ground_truth(data)
        problems = [problem._replace(where=f"{where} {problem.where}") for problem in found]
        if not truth.roots:
            problems.append(Problem(where, "cannot be scored: no group has root_cause: true"))
            return None, problems
        namespaces = [group.namespace for group in (*truth.roots, *truth.groups) if group.namespace]
        universe, version = origin(directory)
        scenario = Scenario(
            universe=universe,
            version=version,
            id=scenario_id,
            application=next((name for name in namespaces if name != "chaos-mesh"), "unknown"),
            category="sre",
            complexity="unknown",
            tags=(),
            conflict=Conflict(),
            alerts=tuple(dict.fromkeys(alert.alert for alert in truth.alerts)),
            ground_truth=truth,
        )
        return scenario, problems

    def _ground_truth(self, directory: Path) -> tuple[str, Any]:
        """(where it stands, parsed content); None where there is none. Raises ConfigurationError."""
        path = next((directory / name for name in GROUND_TRUTHS if (directory / name).is_file()), None)
        where = str(path or self._data_file)
        text = path.read_text(encoding="utf-8") if path else self._published.get(_number(directory))
        if text is None:
            return where, None
        try:
            return where, yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigurationError(Problem(where, f"is not valid YAML: {error}")) from None

    @cached_property
    def _data_file(self) -> Path | None:
        places = {path.parent for path in self._paths.values()}
        return next((place / DATA_FILE for place in sorted(places) if (place / DATA_FILE).is_file()), None)

    @cached_property
    def _published(self) -> dict[int, str]:
        """Ground truths that the index of ITBench-AA repeats."""
        if self._data_file is None:
            return {}
        rows = [json.loads(line) for line in self._data_file.read_text(encoding="utf-8").splitlines() if line]
        return {
            int(digits[0]): row["ground_truth_yaml"]
            for row in rows
            if row.get("ground_truth_yaml") and (digits := re.search(r"\d+", str(row.get("scenario_id"))))
        }


@lru_cache(maxsize=8)
def snapshot_catalogue(root: Path) -> SnapshotCatalogue:
    """The catalogue of a root; one per process. Raises ConfigurationError."""
    return SnapshotCatalogue(root)


def origin(directory: Path) -> tuple[str, str]:
    """(universe, version) of a scenario directory, from the tree that it lies in.

    ITBench-AA has a `data.jsonl` beside its scenarios; ITBench-Lite a version directory such as v0.2-B96DF826-...;
    whatever is laid out like them counts as ITBench-Lite without a version."""
    if (directory.parent / DATA_FILE).is_file():
        return "aa", "sre"
    version = next((part for part in directory.parts[::-1] if re.match(r"v\d", part)), "unversioned")
    return "lite", version


def _scenario_directories(place: Path, depth: int) -> Iterator[Path]:
    if DIRECTORY.fullmatch(place.name) and is_scenario(place):
        yield place
    elif depth:
        for path in place.iterdir():
            if path.is_dir() and path.name.lower() not in OTHER_DOMAINS:
                yield from _scenario_directories(path, depth - 1)


def _number(path: Path) -> int:
    found = DIRECTORY.fullmatch(path.name)
    assert found is not None
    return int(found[1])
