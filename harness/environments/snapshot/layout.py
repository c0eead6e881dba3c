"""The files of a scenario directory: which are evidence, which an agent must never see, which are missing.

Owns: names of both published forms, raw (`*_raw.tsv`) and processed, in the places where the data sets and the
recorders put them. Does not own: what the files say. Nothing outside `Layout.evidence` is ever opened for an agent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from harness.environments.snapshot.report import Report

WITHHELD = re.compile(r"(ground_?truth|gt)\b.*|ground_?truth.*|status\.json|.*assertion.*", re.IGNORECASE)
"""Names of files that tell the answer."""
PLACES = ("", "raw", "lite")
"""Sub-directories that recorders write their two forms into; the first that holds a table is used."""
TABLES = {
    "events": "k8s_events",
    "objects": "k8s_objects",
    "logs": "otel_logs",
    "traces": "otel_traces",
}
"""Kind of evidence -> stem of its file's name."""
ALERTS = re.compile(r"alerts?.*\.json", re.IGNORECASE)
METRICS = re.compile(r"(pod|service)_(.+?)(_raw)?\.tsv", re.IGNORECASE)
METRIC_DIRECTORIES = ("metrics", "metrics_pod", "metrics_service")
IGNORED = re.compile(r"\..*|.*\.md|LICENSE|.*__(nodes|edges|graph|events)__.*", re.IGNORECASE)
"""Files that carry no evidence of their own: topology dumps repeat what traces and objects say."""


@dataclass(frozen=True)
class Layout:
    """One scenario directory."""

    directory: Path
    tables: dict[str, Path] = field(default_factory=dict)
    """Kind of evidence -> its table."""
    alerts: tuple[Path, ...] = ()
    """Alert files in order of their stamps."""
    metrics: tuple[Path, ...] = ()
    withheld: tuple[Path, ...] = ()
    """Ground truth, status and assertions."""

    @property
    def evidence(self) -> tuple[Path, ...]:
        """Every file that is read for agents."""
        return (*self.tables.values(), *self.alerts, *self.metrics)

    def name(self, path: Path) -> str:
        """A file's name relative to the directory: how problems name it."""
        return path.relative_to(self.directory).as_posix()


def read_layout(directory: Path, report: Report) -> Layout:
    """Find the files of a directory. What is missing, doubled or unknown is reported."""
    withheld: list[Path] = []
    files: list[Path] = []
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        (withheld if WITHHELD.fullmatch(path.name) else files).append(path)
    tables = {kind: table for kind, stem in TABLES.items() if (table := _table(directory, stem, files))}
    metrics = [
        path for path in files if path.parent.name in METRIC_DIRECTORIES and METRICS.fullmatch(path.name)
    ]
    alerts = [path for path in files if ALERTS.fullmatch(path.name) and _alert_place(path, directory)]
    layout = Layout(directory, tables, tuple(alerts), tuple(metrics), tuple(withheld))
    _report_missing(layout, report)
    known = set(layout.evidence)
    for path in files:
        if path not in known and not IGNORED.fullmatch(path.name):
            same = next((stem for stem in TABLES.values() if path.name.startswith(stem)), "")
            what = f"not read: another file of {same} is used" if same else "not part of the layout; not read"
            report.add(layout.name(path), 0, what)
    return layout


def is_scenario(directory: Path) -> bool:
    """Whether a directory holds evidence of a scenario."""
    places = [directory / place for place in PLACES]
    return any((place / "alerts").is_dir() for place in places) or any(
        path.is_file() for place in places for stem in TABLES.values() for path in _candidates(place, stem)
    )


def _candidates(place: Path, stem: str) -> Iterator[Path]:
    yield place / f"{stem}_raw.tsv"
    yield place / f"{stem}.tsv"


def _table(directory: Path, stem: str, files: list[Path]) -> Path | None:
    known = set(files)
    found = (path for place in PLACES for path in _candidates(directory / place, stem) if path in known)
    return next(found, None)


def _alert_place(path: Path, directory: Path) -> bool:
    return path.parent == directory or path.parent.name == "alerts"


def _report_missing(layout: Layout, report: Report) -> None:
    for kind, stem in TABLES.items():
        if kind not in layout.tables:
            report.add(f"{stem}_raw.tsv", 0, "is missing; its tools answer as an empty store would")
    if not layout.alerts:
        report.add("alerts/", 0, "no alert file; nothing fires in this snapshot")
    if not layout.metrics:
        report.add("metrics/", 0, "no metric file; no metric is known in this snapshot")
