"""Classifies archives: streams traces in, writes labels out, and keeps only counts in memory.

    labels.jsonl     one line per trace, broken ones included
    labels.parquet   one row per label
    summary.md       prevalence by group with intervals, agreement with labels that came along, what was broken

Owns: that loop and its files. Does not own: formats (`harness/interop`) or labels (`ensemble`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import pyarrow
import pyarrow.parquet
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from harness.interop.imported import Broken, Imported, Item
from harness.mast.ensemble import Classified, classify_with
from harness.mast.judge import Judge
from harness.mast.tally import Tally
from harness.records import Label

AT_ONCE = 8
"""Traces that wait for the judge together."""
ROWS = 50_000
"""Label rows that are kept before they are written."""
SCHEMA = pyarrow.schema(
    [
        *((name, pyarrow.string()) for name in ("trace", "group", "slug", "present", "basis", "source")),
        ("repaired", pyarrow.bool_()),
        ("value", pyarrow.float64()),
        ("note", pyarrow.string()),
        ("events", pyarrow.list_(pyarrow.int64())),
        ("taxonomy", pyarrow.string()),
    ]
)


class Archive(NamedTuple):
    """What classifying an archive gave."""

    tally: Tally
    broken: list[Broken]
    """All traces that could not be read."""
    cost_usd: float
    judge_calls: int


def classify_archive(
    items: Iterable[Item],
    out: Path,
    judge: Judge | None = None,
    demoted: Collection[str] = (),
    total: int | None = None,
) -> Archive:
    """Classify every trace and write labels into `out`. Raises ConfigurationError where the judge's model could
    never answer; OSError."""
    out.mkdir(parents=True, exist_ok=True)
    return asyncio.run(_classify(iter(items), out, judge, demoted, total))


async def _classify(
    items: Iterator[Item], out: Path, judge: Judge | None, demoted: Collection[str], total: int | None
) -> Archive:
    tally, broken, cost, calls = Tally(), [], 0.0, 0
    with Labels(out) as labels, shown(total) as advance:
        try:
            while batch := list(islice(items, AT_ONCE if judge else 1)):
                good = [item for item in batch if isinstance(item, Imported)]
                found = await asyncio.gather(*(classify_with(one.events, judge, demoted) for one in good))
                for item, classified in zip(good, found, strict=True):
                    tally.add(item.group, classified.labels, [*classified.missing])
                    tally.compare(item.release, item.published, classified.labels)
                    labels.write(item, classified)
                    cost += classified.usage.cost_usd
                    calls += classified.usage.calls
                for bad in (item for item in batch if isinstance(item, Broken)):
                    broken.append(bad)
                    labels.write_broken(bad)
                advance(len(batch), len(broken))
        finally:
            if judge is not None:
                await judge.close()
    return Archive(tally, broken, cost, calls)


class Labels(AbstractContextManager["Labels"]):
    """The two label files, written as labels come."""

    def __init__(self, out: Path) -> None:
        self._lines = open(out / "labels.jsonl", "w", encoding="utf-8")  # noqa: SIM115 - closed on exit
        self._table = pyarrow.parquet.ParquetWriter(out / "labels.parquet", SCHEMA)
        self._rows: list[dict[str, Any]] = []

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flush()
        self._table.close()
        self._lines.close()

    def write(self, item: Imported, found: Classified) -> None:
        """One classified trace."""
        line: dict[str, Any] = {"trace": item.trace_id, "group": item.group, "events": len(item.events)}
        line["labels"] = [label.model_dump(mode="json", exclude_defaults=True) for label in found.labels]
        if item.published:
            line["published"] = {"release": item.release, "codes": dict(item.published)}
        if found.provenance:
            line |= {"judge": found.provenance, "missing": found.missing, "usage": found.usage.model_dump()}
        self._line(line)
        self._rows += [_row(item, label) for label in found.labels]
        if len(self._rows) >= ROWS:
            self._flush()

    def write_broken(self, bad: Broken) -> None:
        """One trace that could not be read."""
        self._line({"trace": bad.trace_id, "broken": bad.why})

    def _line(self, line: dict[str, Any]) -> None:
        self._lines.write(json.dumps(line, ensure_ascii=False) + "\n")

    def _flush(self) -> None:
        if self._rows:
            self._table.write_table(pyarrow.Table.from_pylist(self._rows, schema=SCHEMA))
            self._rows = []


def _row(item: Imported, label: Label) -> dict[str, Any]:
    kept = {name: getattr(label, name) for name in SCHEMA.names if name in Label.model_fields}
    events = sorted({i for span in label.spans for i in span.events})
    return {**kept, "trace": item.trace_id, "group": item.group, "events": events}


class shown(AbstractContextManager[Any]):  # noqa: N801 - used like a function
    """A progress bar on stderr."""

    def __init__(self, total: int | None) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, console=Console(stderr=True), transient=False)
        self._task = self._bar.add_task("traces", total=total)

    def __enter__(self) -> Any:
        self._bar.start()
        return self._advance

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def _advance(self, count: int, broken: int) -> None:
        self._bar.update(self._task, advance=count, description=f"traces, {broken} broken")


def summary(archive: Archive, slugs: Sequence[str]) -> str:
    """The tables as Markdown."""
    tally = archive.tally
    lines = [f"{sum(tally.traces.values())} traces classified, {len(archive.broken)} broken."]
    if archive.judge_calls:
        lines.append(f"The judge answered {archive.judge_calls} requests for {archive.cost_usd:.2f} USD.")
    for group, count in sorted(tally.traces.items()):
        lines += [
            "",
            f"## {group} (n = {count})",
            "",
            "| mode | share [95 % Wilson] | decided | only proposed |",
        ]
        lines.append("| --- | --- | --- | --- |")
        for slug in slugs:
            share = tally.prevalence(group, slug)
            text = f"{share.estimate:.2f} [{share.low:.2f}, {share.high:.2f}]" if share else "not decided"
            proposed = tally.proposed[group, slug]
            if share or proposed:
                lines.append(f"| {slug} | {text} | {share.n if share else 0} | {proposed} |")
    lines += _agreement(tally)
    if archive.broken:
        lines += ["", "## Broken", "", *(f"- {bad.trace_id}: {bad.why}" for bad in archive.broken)]
    return "\n".join([*lines, ""])


def _agreement(tally: Tally) -> list[str]:
    found = tally.agreement()
    if not found:
        return []
    lines = ["", "## Agreement with published labels", ""]
    lines += [
        "| release | code | both | ours only | theirs only | neither | kappa | AC1 |",
        "|" + " --- |" * 8,
    ]
    for (release, code), counts in found.items():
        numbers = [f"{value:.2f}" if value is not None else "–" for value in (counts.kappa, counts.ac1)]
        lines.append(f"| {release} | {code} | {' | '.join(map(str, counts))} | {' | '.join(numbers)} |")
    return lines
