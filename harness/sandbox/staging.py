"""Evidence as files: what the agent's own tools could tell about the incident when it begins, under /evidence.

Everything comes through the cluster and telemetry that the agent's tools read, so masks hold here too and nothing
of the scenario is known to this module. A recording offers its files instead (`RecordedEvidence`), which are large.

Owns: names and forms of the files. Does not own: what is observable, or where the files lie (`pool.py`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from harness.protocols import Environment
from harness.telemetry import Alert
from harness.tools.base import Json, ToolContext, Window, timestamp
from harness.tools.events import event_rows
from harness.tools.objects import CLUSTER_SCOPED, SHORT_NAMES, redacted, visible
from harness.tools.rendering import compact
from harness.tools.specs import SpecChangeArgs, all_histories, spec_changes

MOST_LOGS = 50_000
README = "README.txt"
READABLE, LINKABLE = 0o644, 0o004
OF_A_RECORDING = "Recorded evidence, as it was published.\n"
CONTENTS = """\
Evidence as of {time}, one JSON object a line. It does not change any more; the other tools show the present.

alerts.jsonl    one row per alert and minute in which it fired, and those that are active
events.jsonl    Kubernetes events, newest first
objects.jsonl   all objects of {namespaces}, and of the cluster
changes.jsonl   what changed in long-lived objects, came or went; latest first
metrics.jsonl   one row per series: object, metric, labels, points [seconds since the epoch, value]
logs.jsonl      the newest {logs:,} log records, oldest first
traces.jsonl    traces aggregated by path of services
topology.json   which service calls which
"""


@runtime_checkable
class RecordedEvidence(Protocol):
    """The optional part of an environment: evidence that exists as files already."""

    def evidence_files(self) -> Mapping[str, Path]:
        """Relative name -> file. Never the ground truth."""


def stage(environment: Environment, namespaces: Sequence[str], folder: Path) -> None:
    """Write the evidence of an incident into an empty folder. Reads the environment: call it through `run`."""
    if isinstance(environment, RecordedEvidence):
        for name, file in environment.evidence_files().items():
            place(file, folder / name)
        write(folder / README, [OF_A_RECORDING])
        return
    cluster, telemetry = environment.cluster, environment.telemetry
    context = ToolContext(cluster, telemetry, tuple(namespaces), cluster.now())
    rows: dict[str, Iterable[Json]] = {
        "alerts": alerts(context),
        "events": event_rows(context, Window()),
        "objects": objects(context),
        "changes": spec_changes(all_histories(context), SpecChangeArgs(), named=False),
        "metrics": metrics(context),
        "logs": (
            {**record._asdict(), "time": timestamp(record.time)} for record in telemetry.logs(limit=MOST_LOGS)
        ),
        "traces": (asdict(path) for path in telemetry.call_paths()),
    }
    for name, found in rows.items():
        write(folder / f"{name}.jsonl", (f"{compact(row)}\n" for row in found))
    write(folder / "topology.json", [compact(asdict(telemetry.topology()))])
    told = {"time": timestamp(context.now), "namespaces": ", ".join(namespaces), "logs": MOST_LOGS}
    write(folder / README, [CONTENTS.format(**told)])


def place(file: Path, target: Path) -> None:
    """Put a recorded file where the container sees it: linked where everybody may read it, otherwise copied."""
    target.parent.mkdir(parents=True, exist_ok=True)
    source = file.resolve()
    if source.stat().st_mode & LINKABLE:
        try:
            os.link(source, target)
            return
        except OSError:
            pass  # another file system
    shutil.copyfile(source, target)
    target.chmod(READABLE)


def write(target: Path, lines: Iterable[str]) -> None:
    """Write a text file that the container's user can read."""
    with target.open("w", encoding="utf-8") as file:
        file.writelines(lines)
    target.chmod(READABLE)


def alerts(context: ToolContext) -> Iterator[Json]:
    """Past and present alerts."""
    for time, alert in context.telemetry.alert_history():
        yield alert_row(time, alert)
    for alert in context.telemetry.alerts():
        yield alert_row(context.now, alert)


def alert_row(time: float, alert: Alert) -> Json:
    """One alert at one time."""
    times: dict[str, Any] = {"time": timestamp(time), "active_at": timestamp(alert.active_at)}
    return {**times, **{key: value for key, value in asdict(alert).items() if key != "active_at"}}


def objects(context: ToolContext) -> Iterator[Json]:
    """Every object that the agent's account may read, without the values of Secrets."""
    for kind in SHORT_NAMES:
        for namespace in (None,) if kind in CLUSTER_SCOPED else context.namespaces:
            if kind != "Event":
                yield from map(redacted, visible(context, kind, namespace))


def metrics(context: ToolContext) -> Iterator[Json]:
    """Every series of every service and pod."""
    pods = [pod for namespace in context.namespaces for pod in visible(context, "Pod", namespace)]
    names = [*context.telemetry.topology().services, *(pod["metadata"]["name"] for pod in pods)]
    for name in dict.fromkeys(names):
        for series in context.telemetry.metrics(name):
            yield {"object": name, **asdict(series)}
