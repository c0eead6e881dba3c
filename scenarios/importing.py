"""Scenarios of ITBench as scenario files of ours, with an account of what could not be used.

Owns: the mapping, the account, the drift against the built-in catalogue, writing. Does not own: where ITBench keeps
things (`itbench_checkout.py`), shapes of ground truth (`ground_truth.py`), what is wrong with it (`lint.py`).

A file is written only if the loader accepts it, so a fault or application that is not known here keeps its scenario
out, with that reason.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from harness.errors import ConfigurationError, Problem
from scenarios.ground_truth import read_ground_truth, shape_of
from scenarios.itbench_checkout import Checkout
from scenarios.lint import Finding, against, application_objects, structure, suggested_class
from scenarios.loader import Catalogue, load_scenario
from scenarios.repair import loadable
from scenarios.schema import GroundTruth, PlannedInjection, Scenario
from scenarios.solutions import translate

APPLICATIONS = {
    "opentelemetry-demo": "otel-demo",
    "opentelemetryDemo": "otel-demo",
    "book-info": "book-info",
    "bookInfo": "book-info",
}
"""What ITBench's index and manifests call the applications -> their names here."""
COMPARED = (
    *("application", "application_options", "category", "complexity", "tags", "alerts", "disruptions"),
    *("ground_truth.groups", "ground_truth.aliases", "ground_truth.propagations", "ground_truth.alerts"),
)
"""Fields that a drift report compares: what both sides take from ITBench."""


@dataclass
class Imported:
    """One scenario of a checkout."""

    id: int
    scenario: Scenario | None = None
    """None when no scenario file can be made of it."""
    text: str = ""
    """The scenario file."""
    shape: str = ""
    """Shape of the ground truth that was used."""
    problems: list[Problem] = field(default_factory=list)
    """What could not be used, and why."""
    findings: list[Finding] = field(default_factory=list)
    """What is wrong with its ground truth."""
    drift: list[Problem] = field(default_factory=list)
    """Where it differs from the built-in catalogue."""


def import_checkout(root: Path, builtin: Catalogue) -> list[Imported]:
    """Read every scenario of a checkout. Raises ConfigurationError when the directory is no checkout."""
    checkout = Checkout(root)
    version = checkout.version()
    imported = [import_scenario(checkout, scenario_id, version) for scenario_id in checkout.ids()]
    for one in imported:
        if one.scenario is not None and one.id in builtin.ids:
            one.drift += drift(builtin.get(one.id), one.scenario)
        elif one.id not in builtin.ids:
            one.drift.append(Problem("id", "is not in the built-in catalogue"))
    return imported


def import_scenario(checkout: Checkout, scenario_id: int, version: str) -> Imported:
    """Read one scenario. What is missing or unreadable is in its problems."""
    found = Imported(scenario_id)
    index = checkout.index(scenario_id, found.problems)
    manifest = checkout.manifest(scenario_id, found.problems)
    file, data = checkout.ground_truth(scenario_id, found.problems)
    found.shape = shape_of(data) if file else ""
    truth, trouble = read_ground_truth(data) if file else (GroundTruth(), [])
    found.problems += [Problem(f"{file}: {problem.where}", *problem[1:]) for problem in trouble]
    application, options = _application(index, manifest, found.problems)
    disruptions = _disruptions(index, manifest, found.problems)
    planned = [
        PlannedInjection(fault=one["fault"], args=one["args"])
        for part in disruptions
        for one in part["injections"]
    ]
    if file and (index or manifest):
        created = application_objects(application, options)
        found.findings = [*structure(truth), *against(truth, planned, created)]
    if found.shape.startswith("v2"):
        found.findings.append(Finding("no-version-1", file, "the scenario has no version 1 ground truth"))
    document = {
        "universe": "live",
        "version": version,
        "id": scenario_id,
        "application": application,
        "application_options": options,
        **{key: index.get(key) for key in ("category", "complexity")},
        "tags": index.get("tags") or [],
        "conflict": _conflict(found.findings),
        "disruptions": disruptions,
        "alerts": list(_alert_names(index.get("alerts"))),
        "ground_truth": loadable(truth).model_dump(mode="json", exclude_defaults=True),
        "solutions": translate(index.get("solutions"), found.problems),
    }
    _load(found, document)
    return found


def drift(builtin: Scenario, imported: Scenario) -> list[Problem]:
    """Fields in which a scenario of the catalogue differs from the imported one."""
    return [
        Problem(name, _difference(ours, theirs))
        for name in COMPARED
        if (ours := _value(builtin, name)) != (theirs := _value(imported, name))
    ]


def write_scenarios(imported: Sequence[Imported], to: Path) -> list[Path]:
    """Write every usable scenario as `<id>.yaml`. Raises ConfigurationError when one of the files exists
    already; then nothing is written."""
    files = {to / f"{one.id:03d}.yaml": one.text for one in imported if one.scenario is not None}
    taken = [Problem(str(path), "exists already; nothing was written") for path in files if path.exists()]
    if taken:
        raise ConfigurationError(taken)
    to.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        temporary = path.with_name(f".{path.name}.tmp")
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    return list(files)


def _load(found: Imported, document: Mapping[str, Any]) -> None:
    """Write the scenario file and let the loader of scenario files decide whether it is one."""
    filled = {key: value for key, value in document.items() if value not in ([], {}, None)}
    found.text = yaml.safe_dump(filled, sort_keys=False, allow_unicode=True, width=110)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / f"{found.id:03d}.yaml"
        path.write_text(found.text, encoding="utf-8")
        try:
            found.scenario = load_scenario(path)
        except ConfigurationError as error:
            for problem in error.problems:
                where = problem.where.removeprefix(f"{path}").lstrip(":0123456789 ") or "scenario"
                found.problems.append(problem._replace(where=where))


def _application(
    index: Mapping[str, Any], manifest: Mapping[str, Any], problems: list[Problem]
) -> tuple[str, dict[str, Any]]:
    environment = index.get("environment")
    listed = environment.get("applications") if isinstance(environment, dict) else None
    for entry in listed if isinstance(listed, list) else []:
        if isinstance(entry, dict) and entry.get("id"):
            name = str(entry["id"])
            return APPLICATIONS.get(name, name), dict(entry.get("args") or {})
    deployed = manifest.get("applications")
    for name, entry in deployed.items() if isinstance(deployed, dict) else ():
        if isinstance(entry, dict) and entry.get("enabled"):
            return APPLICATIONS.get(str(name), str(name)), dict(entry.get("options") or {})
    problems.append(Problem("environment.applications", "names no application"))
    return "", {}


def _disruptions(
    index: Mapping[str, Any], manifest: Mapping[str, Any], problems: list[Problem]
) -> list[dict[str, Any]]:
    """What the manifest runs; what the index describes where there is no manifest."""
    described = _parts(index.get("disruptions"))
    if not isinstance(manifest.get("faults"), list):
        return described
    run = _parts(manifest["faults"])
    if index and run != described:
        problems.append(Problem("disruptions", "index and scenario.yaml differ; scenario.yaml is what runs"))
    return run


def _parts(disruptions: Any) -> list[dict[str, Any]]:
    parts = []
    for entry in disruptions if isinstance(disruptions, list) else []:
        if not isinstance(entry, dict):
            continue
        waits = entry.get("waitFor")
        waits = waits if isinstance(waits, dict) else {}
        part = {
            "pre_injection": _uses(waits.get("preInjection"), "waiter"),
            "injections": _uses(entry.get("injections"), "fault"),
            "post_injection": _uses(waits.get("postInjection"), "waiter"),
        }
        if part["injections"]:
            parts.append({key: uses for key, uses in part.items() if uses})
    return parts


def _uses(entries: Any, word: str) -> list[dict[str, Any]]:
    return [
        {word: str(entry["id"]), "args": dict(entry.get("args") or {})}
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict) and entry.get("id")
    ]


def _alert_names(alerts: Any) -> Iterator[str]:
    for alert in alerts if isinstance(alerts, list) else []:
        name = alert.get("id") or alert.get("name") if isinstance(alert, dict) else alert
        if name:
            yield str(name)


def _conflict(findings: Sequence[Finding]) -> dict[str, str]:
    suggested = suggested_class(findings)
    if suggested == "none":
        return {}
    codes = ", ".join(dict.fromkeys(finding.code for finding in findings))
    return {"class": suggested, "note": f"Suggested by lint: {codes}."}


def _value(scenario: Scenario, name: str) -> Any:
    value: Any = scenario.model_dump(mode="json")
    for part in name.split("."):
        value = value[part]
    if name == "ground_truth.propagations":
        # The words of an edge are not part of the catalogue.
        return [(edge["source"], edge["target"]) for edge in value]
    return value


def _difference(ours: Any, theirs: Any) -> str:
    """What only one side has; lists by their items."""
    if isinstance(ours, list) and isinstance(theirs, list):
        only_ours, only_theirs = (
            [item for item in one if item not in other] for one, other in ((ours, theirs), (theirs, ours))
        )
        parts = [("only built in: ", only_ours), ("only in the checkout: ", only_theirs)]
        told = "; ".join(word + ", ".join(map(_shown, items)) for word, items in parts if items)
        return told or "the same items in another order or number"
    return f"built-in {_shown(ours)}; checkout {_shown(theirs)}"


def _shown(value: Any) -> str:
    """A value on one line; what has an id by its id."""
    if isinstance(value, dict) and "id" in value:
        return str(value["id"])
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6).strip().removesuffix("\n...")
    return text if len(text) <= 160 else f"{text[:157]}..."
