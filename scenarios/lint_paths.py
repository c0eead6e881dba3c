"""Lint for whatever a user points at: the catalogue, scenario files, ground-truth files, directories.

Owns: telling these apart. Does not own: any check (`lint.py`). A scenario file that does not load is reported with
everything that its loader says.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from harness.errors import ConfigurationError, Problem
from scenarios.ground_truth import read_ground_truth, shape_of
from scenarios.lint import Class, Finding, lint_scenario, structure, suggested_class
from scenarios.loader import catalogue, load_scenario
from scenarios.schema import Scenario

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Linted(NamedTuple):
    """One ground truth with what was found."""

    name: str
    findings: list[Finding]
    problems: list[Problem]
    declared: Class | None = None
    """Class that the scenario file declares; None for bare ground truths and corrected ones."""

    @property
    def suggested(self) -> Class:
        """Class that the findings suggest."""
        return suggested_class(self.findings)


def lint_catalogue() -> list[Linted]:
    """Every ground truth of the built-in catalogue."""
    return [one for scenario in catalogue().all() for one in _scenario(str(scenario.id), scenario)]


def lint_path(path: Path) -> list[Linted]:
    """Every scenario and ground truth at or under a path. Raises ConfigurationError when there is none."""
    if not path.exists():
        raise ConfigurationError(Problem(str(path), "does not exist"))
    files = [path] if path.is_file() else sorted(_candidates(path))
    linted = [one for file in files for one in _file(file, named=path.is_file())]
    if not linted:
        hint = "expected scenario files or ground truths"
        raise ConfigurationError(Problem(str(path), "has nothing to lint", hint))
    return linted


def _candidates(directory: Path) -> Iterator[Path]:
    """YAML files under a directory; hidden ones are temporary."""
    for pattern in ("*.yaml", "*.yml"):
        yield from (file for file in directory.rglob(pattern) if not file.name.startswith("."))


def _file(path: Path, named: bool) -> list[Linted]:
    """What one file holds; a file of neither kind is passed over unless the user named it."""
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (OSError, ValueError, yaml.YAMLError) as error:
        return [
            Linted(str(path), [], [Problem(str(path), f"cannot be read: {' '.join(str(error).split())}")])
        ]
    if isinstance(data, dict) and "ground_truth" in data and "universe" in data:
        try:
            return _scenario(str(path), load_scenario(path))
        except ConfigurationError as error:
            return [Linted(str(path), [], list(error.problems))]
    if shape_of(data) == "unknown" and not named:
        return []
    truth, problems = read_ground_truth(data)
    found = structure(truth)
    if shape_of(data).startswith("v2"):
        found.append(Finding("no-version-1", "spec.entities", "objects without roles"))
    return [Linted(str(path), found, problems)]


def _scenario(name: str, scenario: Scenario) -> list[Linted]:
    linted = [Linted(name, lint_scenario(scenario), [], scenario.conflict.kind)]
    if scenario.corrected is not None:
        linted.append(Linted(f"{name} corrected", lint_scenario(scenario, "corrected"), []))
    return linted
