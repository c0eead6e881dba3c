"""`report.html`: one self-contained page that opens from disk without a network.

Owns: what the page is made of. Does not own: numbers (`results.py`), markup and looks (`templates/`). All text
from models and scenarios is escaped by the template engine; in case something slips through, the page's
content security policy runs no script but its own and loads nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
import platform
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata, resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.records import Plan, TrialRecord
from harness.report import metrics, timeline
from harness.report.arms import cells_of
from harness.report.cases import cases
from harness.report.figures import arms_figure, contrast_figure
from harness.report.guards import guards_of
from harness.report.matrix import MARKS, matrix, natural, outcome
from harness.report.policy import DENOMINATORS
from harness.report.summary import difference
from harness.statistics.frames import combine_sources
from harness.trace import Event

VERSIONED = ("sre-intervention-harness", "numpy", "scipy", "statsmodels", "pandas", "matplotlib", "ray")
MAX_ENTITIES = 8


def render_html(
    plan: Plan,
    results: Mapping[str, Any],
    records: Sequence[TrialRecord],
    read_trace: Callable[[TrialRecord], list[Event]],
) -> str:
    """The whole page. `read_trace` is called for at most `timeline.MAX_TRACES` trials."""
    records = sorted(records, key=lambda r: (natural(r.spec.scenario), r.spec.repeat, r.spec.trial_id))
    at_work = cases(records, plan.reference_arm, guards_of(plan))
    embedded = timeline.chosen(records, [trial for case in at_work for trial in (case.trial, case.reference)])
    anchors = {record.spec.trial_id: f"trial-{place}" for place, record in enumerate(records)}
    found = {record.spec.trial_id: (record, anchors[record.spec.trial_id]) for record in records}
    traced = {record.spec.trial_id: f"trace-{place}" for place, record in enumerate(embedded)}
    template = _environment().get_template("report.html.j2")
    script = _asset("report.js")
    return template.render(
        plan=plan,
        results=results,
        systems=[
            _system(place, system, plan, results, found) for place, system in enumerate(_systems(results))
        ],
        trials=_trial_groups(plan, records, anchors, traced),
        traces=[
            {"id": traced[r.spec.trial_id], "trial": anchors[r.spec.trial_id], "record": r}
            | timeline.timeline(r, read_trace)
            for r in embedded
        ],
        cases=[
            {
                "case": case,
                "trace": traced.get(case.trial.spec.trial_id),
                "reference": traced.get(case.reference.spec.trial_id),
            }
            for case in at_work
        ],
        limits=timeline,
        marks=MARKS.values(),
        denominators=DENOMINATORS,
        config=json.dumps(plan.config, indent=2, ensure_ascii=False, sort_keys=True, default=str),
        versions=_versions(),
        style=Markup(_asset("report.css")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("harness.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": metrics.number,
        "with_interval": metrics.with_interval,
        "difference": difference,
        "p_text": metrics.p_text,
    }
    environment.globals |= {"metric": metrics.by_public_name}
    return environment


def _asset(name: str) -> str:
    return resources.files("harness.report").joinpath("templates", name).read_text(encoding="utf-8")


def _systems(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Models with their agents, in the plan's order; simulated when any of their arms is."""
    systems: dict[tuple[str, str], bool] = {}
    for entry in results["arms"]:
        key = (entry["model"], entry["agent"])
        systems[key] = systems.get(key, False) or entry["simulated"]
    return [
        {"model": model, "agent": agent, "simulated": simulated}
        for (model, agent), simulated in systems.items()
    ]


def _system(
    place: int,
    system: dict[str, Any],
    plan: Plan,
    results: Mapping[str, Any],
    found: Mapping[str, tuple[TrialRecord, str]],
) -> dict[str, Any]:
    """Everything that the page shows about one model with one agent."""
    model, agent = system["model"], system["agent"]
    arms = [e for e in results["arms"] if (e["model"], e["agent"]) == (model, agent)]
    contrasts = [e for e in results["contrasts"] if (e["model"], e["agent"]) == (model, agent)]
    cells = [cell.arm for cell in cells_of(plan) if (cell.model, cell.agent) == (model, agent)]
    return {
        **system,
        "id": f"system-{place}",
        "arms": arms,
        "contrasts": contrasts,
        "modes": sorted({slug for entry in arms for slug in entry["modes"]}),
        "contrast_figure": Markup(contrast_figure(results, system)) if contrasts else "",
        "arms_figure": Markup(arms_figure(results, system)),
        "matrix_arms": cells,
        "matrix": matrix(plan, cells, model, agent, found),
    }


def _trial_groups(
    plan: Plan, records: Sequence[TrialRecord], anchors: Mapping[str, str], traced: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Rows of the trials table, grouped by model, agent and arm."""
    groups = []
    systems: dict[tuple[str, str], int] = {}
    for cell in cells_of(plan):
        place = systems.setdefault((cell.model, cell.agent), len(systems))
        rows = [
            _trial(record, anchors[record.spec.trial_id], traced.get(record.spec.trial_id))
            for record in records
            if cell.holds(record.spec)
        ]
        groups.append({"cell": cell, "id": f"trials-system-{place}-{cell.arm}", "rows": rows})
    return groups


def _trial(record: TrialRecord, anchor: str, trace: str | None) -> dict[str, Any]:
    entities = record.submission.diagnosis.entities if record.submission else ()
    causes = [entity.name for entity in entities if entity.contributing_factor]
    return {
        "record": record,
        "anchor": anchor,
        "trace": trace,
        "mark": MARKS[outcome(record)][0],
        "causes": [timeline.shorten(name, 120) for name in causes[:MAX_ENTITIES]],
        "more_causes": max(0, len(causes) - MAX_ENTITIES),
        "modes": sorted(slug for slug, present in combine_sources(record.labels).items() if present),
        "tokens": record.usage.input_tokens + record.usage.output_tokens,
    }


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in VERSIONED:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed as a package"
    return versions
