"""Ground truths as the official evaluator takes them (docs/sources I5), and the data sets' indexes.

A file may hold one ground truth, a list of them, or lines of JSON with `ground_truth_yaml`; a directory may hold
`ground_truths.json` or one folder per scenario. Incidents are known by their number: `Scenario-12` is `12`.

Owns: finding files and naming incidents. Does not own: their shapes (`scenarios.ground_truth`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from harness.errors import ConfigurationError, Problem
from scenarios.ground_truth import read_ground_truth
from scenarios.schema import GroundTruth

IN_FOLDER = ("ground_truth.yaml", "ground_truth.yml", "ground_truth.json", "gt.yaml", "gt.json")
IN_DIRECTORY = ("ground_truths.json", "data.jsonl")
_NUMBER = re.compile(r"(\d+)(?!.*\d)")
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_ground_truths(path: Path) -> tuple[dict[str, GroundTruth], list[Problem]]:
    """Incident number -> ground truth, by number, and everything that could not be used.

    Ground truths without a root group are left out and reported: nothing can be scored against them.
    Raises ConfigurationError when no usable ground truth is there."""
    found: dict[str, GroundTruth] = {}
    problems: list[Problem] = []
    for where, name, data in _documents(path, problems):
        truth, trouble = read_ground_truth(data)
        problems += [Problem(f"{where}: {problem.where}", *problem[1:]) for problem in trouble]
        incident = canonical(name)
        if incident in found:
            problems.append(Problem(where, f"is incident {incident} again; the first one counts"))
        elif not truth.roots:
            problems.append(Problem(where, f"incident {incident} has no root group; it cannot be scored"))
        else:
            found[incident] = truth
    if not found:
        hint = "expected Scenario-<id>/ground_truth.yaml, ground_truths.json, or one YAML or JSON file"
        raise ConfigurationError(problems or [Problem(str(path), "no ground truth is here", hint)])
    return dict(sorted(found.items(), key=lambda item: _order(item[0]))), problems


def canonical(name: str) -> str:
    """An incident's number, or its name where it has none."""
    number = _NUMBER.search(name)
    return str(int(number[1])) if number else name


def _order(incident: str) -> tuple[int, str]:
    return (int(incident), "") if incident.isdigit() else (10**9, incident)


def _documents(path: Path, problems: list[Problem]) -> Iterator[tuple[str, str, Any]]:
    """(where it stands, name of the incident, parsed document) of every ground truth under a path."""
    if path.is_file():
        yield from _of_file(path, problems, path.stem)
        return
    if not path.is_dir():
        raise ConfigurationError(Problem(str(path), "does not exist"))
    for name in IN_DIRECTORY:
        if (path / name).is_file():
            yield from _of_file(path / name, problems, path.name)
            return
    own = _in_folder(path)
    if own is not None:
        yield from _of_file(own, problems, path.name)
        return
    for folder in sorted(entry for entry in path.iterdir() if entry.is_dir()):
        file = _in_folder(folder)
        if file is not None:
            yield from _of_file(file, problems, folder.name)


def _in_folder(folder: Path) -> Path | None:
    return next((folder / name for name in IN_FOLDER if (folder / name).is_file()), None)


def _of_file(path: Path, problems: list[Problem], name: str) -> Iterator[tuple[str, str, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        data = _parse(path.suffix, text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        problems.append(Problem(str(path), f"cannot be read: {' '.join(str(error).split())}"))
        return
    if not isinstance(data, list):
        yield str(path), _name(data, name, trust_place=path.name in IN_FOLDER), data
        return
    for index, entry in enumerate(data):
        where = f"{path}[{index}]"
        document = entry
        if isinstance(entry, dict) and isinstance(entry.get("ground_truth_yaml"), str):
            try:
                document = yaml.load(entry["ground_truth_yaml"], _Loader)
            except yaml.YAMLError as error:
                problems.append(
                    Problem(where, f"ground_truth_yaml is not YAML: {' '.join(str(error).split())}")
                )
                continue
        yield where, _name(entry, str(index)), document


def _parse(suffix: str, text: str) -> Any:
    if suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    return json.loads(text) if suffix == ".json" else yaml.load(text, _Loader)


def _name(data: Any, otherwise: str, trust_place: bool = False) -> str:
    """What a document calls its incident; its place says it better where that has a number, because files are
    copied from one scenario's folder to another's."""
    if isinstance(data, dict) and not (trust_place and _NUMBER.search(otherwise)):
        metadata = data.get("metadata")
        named = metadata.get("name") if isinstance(metadata, dict) else None
        for value in (data.get("id"), data.get("scenario_id"), named):
            if isinstance(value, str | int) and str(value).strip():
                return str(value)
    return otherwise
