"""Published studies, re-analysed: `python -m harness report --study NAME`.

Owns: reading the counts that ship with the harness (`studies/*.yaml`), the tables, and the caveats beside them.
Does not own: the tests (`harness/statistics/stratified.py`).
"""

from __future__ import annotations

from importlib import resources
from typing import Any, NamedTuple

import yaml

from harness.errors import ConfigurationError, Problem
from harness.report.metrics import number, p_text
from harness.statistics.multiplicity import holm
from harness.statistics.stratified import Association, Fourfold, fisher_p, pooled_association

ALPHA = 0.05


class ModeRow(NamedTuple):
    """One mode over all models."""

    slug: str
    code: str
    strata: dict[str, Fourfold]
    """By model."""
    pooled: Association | None
    """None where the mode was never marked."""
    p_holm: float | None
    success_with: float | None
    """Share of successes among traces with the mode."""
    success_without: float | None


class Within(NamedTuple):
    """One mode within one model."""

    slug: str
    model: str
    p_value: float
    p_holm: float


class Study(NamedTuple):
    """A re-analysed study."""

    title: str
    rows: list[ModeRow]
    within: list[Within]
    """All tests within a model, for modes that it shows at all."""
    caveats: list[str]


def names() -> list[str]:
    """The studies that ship with the harness."""
    folder = resources.files("harness.report").joinpath("studies")
    return sorted(
        entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")
    )


def analyse(name: str) -> Study:
    """Re-analyse a study. Raises ConfigurationError for one that does not exist."""
    if name not in names():
        raise ConfigurationError(
            Problem("--study", f"{name!r} is not known", f"one of: {', '.join(names())}")
        )
    text = resources.files("harness.report").joinpath("studies", f"{name}.yaml").read_text(encoding="utf-8")
    raw: dict[str, Any] = yaml.safe_load(text)
    rows = [_row(slug, counts, raw["models"]) for slug, counts in raw["modes"].items()]
    tested = [row for row in rows if row.pooled is not None]
    adjusted = holm([row.pooled.p_value for row in tested if row.pooled])
    corrected = {row.slug: p for row, p in zip(tested, adjusted, strict=True)}
    rows = [row._replace(p_holm=corrected.get(row.slug)) for row in rows]
    return Study(raw["title"], rows, _within(rows), raw["caveats"])


def _row(slug: str, counts: dict[str, Any], models: dict[str, Any]) -> ModeRow:
    strata = {model: _cells(counts[model], size) for model, size in models.items()}
    failed, success, failed_without, success_without = (
        sum(cell) for cell in zip(*strata.values(), strict=True)
    )
    share = success / (failed + success) if failed + success else None
    without = failed_without + success_without
    return ModeRow(
        slug,
        counts["code"],
        strata,
        pooled_association(list(strata.values())),
        None,
        share,
        success_without / without if without else None,
    )


def _cells(marked: list[int], size: dict[str, int]) -> Fourfold:
    failed, success = marked
    return Fourfold(failed, success, size["failed"] - failed, size["success"] - success)


def _within(rows: list[ModeRow]) -> list[Within]:
    tests = [
        (row.slug, model, fisher_p(cells))
        for row in rows
        for model, cells in row.strata.items()
        if cells.with_failed + cells.with_success
    ]
    adjusted = holm([p for _, _, p in tests])
    return [Within(*test, p) for test, p in zip(tests, adjusted, strict=True)]


def render(study: Study) -> str:
    """The study as Markdown: counts, associations, what survives, caveats."""
    models = list(study.rows[0].strata)
    sizes = study.rows[0].strata
    heads = [f"{m} F({_failed(sizes[m])}) | {m} S({_success(sizes[m])})" for m in models]
    lines = [
        f"# {study.title}",
        "",
        "## Traces with each mode, failed (F) and successful (S), % in brackets",
        "",
    ]
    lines += [f"| mode | {' | '.join(heads)} |", "|" + " --- |" * (1 + 2 * len(models))]
    lines += [_counts(row) for row in study.rows]
    lines += [
        "",
        "## Association with failure, pooled over models (Cochran-Mantel-Haenszel, Holm over all modes)",
        "",
    ]
    lines += ["| mode | odds ratio | p | p (Holm) | success with | success without |", "|" + " --- |" * 6]
    lines += [_association(row) for row in sorted(study.rows, key=_by_p)]
    kept = [row for row in study.rows if row.p_holm is not None and row.p_holm < ALPHA]
    lines += [
        "",
        f"Survive Holm at {ALPHA}: {', '.join(f'{row.code} {row.slug}' for row in sorted(kept, key=_by_p))}.",
    ]
    within = sorted((test for test in study.within if test.p_holm < ALPHA), key=lambda test: test.p_holm)
    shown = "; ".join(f"{test.slug} in {test.model} (p {p_text(test.p_holm)})" for test in within)
    lines += [f"Within one model (Fisher, {len(study.within)} tests, Holm): {shown or 'none'}."]
    return "\n".join([*lines, "", "## Caveats", "", *(f"- {caveat}" for caveat in study.caveats), ""])


def _failed(cells: Fourfold) -> int:
    return cells.with_failed + cells.without_failed


def _success(cells: Fourfold) -> int:
    return cells.with_success + cells.without_success


def _counts(row: ModeRow) -> str:
    cells = []
    for counts in row.strata.values():
        for found, size in ((counts.with_failed, _failed(counts)), (counts.with_success, _success(counts))):
            cells.append(f"{found} ({round(100 * found / size)})" if found else "0")
    return f"| {row.code} {row.slug} | {' | '.join(cells)} |"


def _association(row: ModeRow) -> str:
    if row.pooled is None:
        return f"| {row.code} {row.slug} | never marked | – | – | – | – |"
    shares = (
        f"{100 * share:.0f} %" if share is not None else "–"
        for share in (row.success_with, row.success_without)
    )
    p = "<1e-5" if row.pooled.p_value < 1e-5 else p_text(row.pooled.p_value)
    return " | ".join(
        [f"| {row.code} {row.slug}", number(row.pooled.odds_ratio), p, p_text(row.p_holm), *shares, ""]
    ).rstrip()


def _by_p(row: ModeRow) -> tuple[float, str]:
    return (row.pooled.p_value if row.pooled else 2.0, row.code)
