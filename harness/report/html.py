"""`report.html`: one self-contained page that opens from disk without a network.

Owns: what the page is made of. Does not own: numbers (`results.py`), plots (`plots.py`), the list of trials
(`index.py`), traces (`traces.py`), markup, looks and behaviour (`templates/`). All text from models and scenarios is
escaped by the template engine, or set as text by the page's script; in case something slips through, the page's
content security policy runs no script but its own and those that it loads, and sends nothing anywhere.
"""

from __future__ import annotations

import base64
import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata, resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.records import Plan, TrialRecord
from harness.report import metrics
from harness.report.arms import cells_of
from harness.report.cases import cases
from harness.report.guards import guards_of
from harness.report.index import TrialIndex
from harness.report.matrix import MARKS, matrix, tallies
from harness.report.modes import glossary, mode_groups, only_proposed
from harness.report.plots import arm_plots, contrast_plots, cost_plot, is_of
from harness.report.policy import DENOMINATORS
from harness.report.spending import spending_lines
from harness.report.summary import difference
from harness.report.traces import DIRECTORY, NOTHING, Beside, PackedTrace, chosen, embedded

VERSIONED = ("sre-intervention-harness", "numpy", "scipy", "statsmodels", "pandas", "matplotlib", "ray")
SCRIPTS = ("report.js", "trials.js", "events.js", "timeline.js", "trace.js")


def render_html(
    plan: Plan,
    results: Mapping[str, Any],
    records: Sequence[TrialRecord],
    packed_trace: PackedTrace,
    beside: Beside = NOTHING,
) -> str:
    """The whole page. `packed_trace` is called for as many trials as are embedded; `beside` says where the page
    finds the others."""
    index = TrialIndex(plan, records)
    systems = [_system(place, key, plan, results, index) for place, key in enumerate(index.systems)]
    at_work = cases(records, plan.reference_arm, guards_of(plan))
    shown = chosen(index.records, [trial for case in at_work for trial in (case.trial, case.reference)])
    script = Markup("\n").join(Markup(_asset(name)) for name in SCRIPTS)
    template = _environment().get_template("report.html.j2")
    return template.render(
        plan=plan,
        results=results,
        answer=linked_answer(results, index),
        index=index,
        systems=systems,
        glossary=glossary([group for system in systems for group in system["modes"]]),
        cases=at_work,
        marks=MARKS,
        denominators=DENOMINATORS,
        spending_lines=spending_lines(results["spending"]) if results.get("spending") else [],
        config=json.dumps(plan.config, indent=2, ensure_ascii=False, sort_keys=True, default=str),
        versions=_versions(),
        data={
            **index.document(beside.places),
            "directory": DIRECTORY,
            "files": beside.names,
            "packed": embedded(shown, index.numbers, packed_trace),
        },
        style=Markup(_asset("report.css")),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def linked_answer(results: Mapping[str, Any], index: TrialIndex) -> Markup:
    """The answer, in which each difference with its interval leads to the pairs of trials behind it."""
    text = " ".join(results["answer"])
    parts = []
    for entry in results["contrasts"]:
        if entry["family"] == "primary" and entry["estimate"] is not None:
            number = difference(entry)
            before, found, after = text.partition(number)
            if found:
                link = index.trials(entry, pair=(entry["arm"], entry["reference"]))
                parts.append(Markup('{}<a href="{}">{}</a>').format(before, link, number))
                text = after
    return Markup("").join([*parts, Markup.escape(text)])


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("harness.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
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


def _system(
    place: int, key: tuple[str, str], plan: Plan, results: Mapping[str, Any], index: TrialIndex
) -> dict[str, Any]:
    """Everything that the page shows about one model with one agent."""
    model, agent = key
    system = {"model": model, "agent": agent, "simulated": key in index.simulated}
    arms = [entry for entry in results["arms"] if is_of(system, entry)]
    cells = [cell.arm for cell in cells_of(plan) if (cell.model, cell.agent) == key]
    rows = matrix(plan, cells, model, agent, index)
    return {
        **system,
        "id": f"system-{place}",
        "arms": arms,
        "contrasts": [entry for entry in results["contrasts"] if is_of(system, entry)],
        "modes": mode_groups(system, arms, results),
        "proposed": only_proposed(index.records, key),
        "contrast_plots": contrast_plots(results, system, index),
        "arm_plots": arm_plots(results, system, index),
        "cost_plot": cost_plot(results, system, index),
        "matrix_arms": cells,
        "matrix": rows,
        "tallies": tallies(rows),
    }


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in VERSIONED:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed as a package"
    return versions
