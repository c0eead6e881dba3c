"""The ledger as a page: what was decided, why, and where the trials behind it are.

Owns: the wording and `ledger.md`. Does not own: any decision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.closed_loop.lab import Lab
from harness.closed_loop.ledger import Entry, Ledger
from harness.models import create_model
from harness.report.metrics import METRICS, interval, number, p_text, public_name
from harness.report.policy import SIMULATED
from harness.store import write_atomically

TITLES = {
    "baseline": "Baseline",
    "ranking": "Ranking",
    "lookup": "Lookup",
    "screening": "Screening",
    "confirmation": "Confirmation",
    "stop": "Stop",
    "held_out": "Held-out test",
}


def write_page(lab: Lab, ledger: Ledger) -> None:
    """Write `ledger.md` beside the ledger, as far as the search has come."""
    write_atomically(ledger.path / "ledger.md", page(lab, ledger.passed).encode())


def page(lab: Lab, entries: Sequence[Entry]) -> str:
    """The page as Markdown."""
    simulated = create_model(lab.model, lab.config.models[lab.model]).simulated
    lines = [f"# {lab.config.name}: {lab.model}, {lab.agent}", "", f"**{lab.config.question}**", ""]
    if simulated:
        lines += [f"> **Simulated.** {SIMULATED}", ""]
    lines += [*summary(lab, entries), ""]
    for entry in entries:
        lines += [f"## {entry.number + 1}. {TITLES[entry.step]}: {entry.subject}", "", entry.decision, ""]
        table = TABLES.get(entry.step)
        if table is not None and (rows := table(entry.evidence)):
            lines += [*rows, ""]
        lines += [f"- {note}" for note in notes(entry)]
        if notes(entry):
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def summary(lab: Lab, entries: Sequence[Entry]) -> list[str]:
    """What the search declared, and how far it is."""
    rules, level = lab.rules, lab.config.stopping.alpha
    trials, usd = sum(entry.trials for entry in entries), sum(entry.usd for entry in entries)
    end = [entry.decision for entry in entries if entry.step in ("stop", "held_out")]
    share = f"each of at most {rules.tests} full tests has {level / rules.tests:.4g}"
    return [
        *(f"- {one}" for one in end or ["The search is not finished."]),
        f"- {len(lab.development)} development and {len(lab.held_out)} held-out scenarios, "
        f"{lab.config.repeats} repeats; {trials} trials and forks so far, {usd:.2f} USD.",
        f"- Level {level:g} for the whole search: {share}. A kept intervention's interval is valid at every look.",
        "- Kept interventions were selected for a large effect; the held-out test is the one to quote.",
    ]


def notes(entry: Entry) -> list[str]:
    """Where the trials are, and who was left out."""
    found = [f"{name}: {reason}" for name, reason in entry.evidence.get("left_out", {}).items()]
    found += entry.evidence.get("audit", {}).get("differing", [])[:5]
    if entry.run:
        took = f", {entry.trials} trials" if entry.trials else ""
        found.append(f"run: `{entry.run}`{took}")
    return found


def modes(evidence: Mapping[str, Any]) -> list[str]:
    """The ranking."""
    rows = [
        (
            one["slug"],
            number(one["prevalence"]),
            number(one["risk_difference"], 2, True),
            f"{number(one['burden'])} {interval(one['burden_low'], one['burden_high'])}",
        )
        for one in evidence["modes"]
    ]
    return table(("mode", "prevalence", "lethality", "prevalence x lethality [95 %]"), rows)


def forks(evidence: Mapping[str, Any]) -> list[str]:
    """Causal effects from the mode's first sign on."""
    rows = [
        (
            one["candidate"],
            signed(one["gain"]),
            signed(one),
            number(one["fixed"]),
            number(one["reroll"]),
            str(one["steps"]),
            str(one["scenarios"]),
        )
        for one in evidence["lethality"]
    ]
    heads = (
        "candidate",
        "gain [95 %]",
        "P(recall = 1), effect [95 %]",
        "with it",
        "re-roll",
        "trials",
        "scenarios",
    )
    return table(heads, rows)


def signed(estimate: Mapping[str, Any]) -> str:
    """`+0.10 [-0.02, +0.21]`."""
    return f"{number(estimate['estimate'], 2, True)} {interval(estimate['low'], estimate['high'], 2, True)}"


def test(evidence: Mapping[str, Any]) -> list[str]:
    """One candidate in full trials."""
    size = f"{number(evidence['estimate'], 2, True)} {interval(evidence['low'], evidence['high'], 2, True)}"
    rows = [
        (
            f"{evidence['metric']} (primary)",
            size,
            f"e = {evidence['e_value']:.3g} of {evidence['e_needed']:.3g} needed",
        ),
        *(
            (
                f"{one['metric']} (no harm)",
                number(one["estimate"], 2, True),
                f"p = {p_text(one['p_not_worse'])} against a loss of {number(one['margin'])}",
            )
            for one in evidence.get("no_harm", [])
        ),
    ]
    if "audit" in evidence:
        audited = evidence["audit"]
        rows.append(
            ("audit", f"{audited['trials']} records", f"{len(audited['differing'])} differ from their trace")
        )
    spared = evidence["planned"] - evidence["ran"]
    rows.append(
        ("trials", f"{evidence['ran']} of {evidence['planned']}", f"{spared} spared by the stopping rule")
    )
    return table(("", "effect", "evidence"), rows)


def contrasts(evidence: Mapping[str, Any]) -> list[str]:
    """The held-out test."""
    rows = []
    for column, one in evidence["contrasts"].items():
        digits = METRICS[column].digits
        size = f"{number(one['estimate'], digits, True)} {interval(one['low'], one['high'], digits, True)}"
        rows.append((public_name(column), size, p_text(one["p_value"]), str(one["scenarios"])))
    return table(("metric", "stack − bare system [95 %]", "p", "scenarios"), rows)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table; nothing without rows."""
    if not rows:
        return []
    lines = [heads, ["---"] * len(heads), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


TABLES: Mapping[str, Callable[[Mapping[str, Any]], list[str]]] = {
    "ranking": modes,
    "screening": forks,
    "confirmation": test,
    "held_out": contrasts,
}
