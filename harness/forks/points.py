"""Which stored trials are forked, and at which event.

Owns: the choice. Detectors name steps by the first event that shows a mode; a bisection starts from whole trials.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from harness.config import ForkConfig
from harness.errors import ConfigurationError, Problem
from harness.forks.replay import success
from harness.models.own import OwnModel
from harness.records import TrialRecord


class Point(NamedTuple):
    """One place to fork from."""

    trial_id: str
    event: int
    slug: str
    """Mode whose first evidence is there; empty where a person or a bisection chose the event."""


def parents(records: Sequence[TrialRecord], config: ForkConfig, reference: str) -> list[TrialRecord]:
    """The named trials; without names every counted trial of the reference arm below full recall,
    except those of agents that bring their own model: it cannot be asked anew.

    `config.limit` takes trials in turns over scenarios, so that no scenario crowds out the others. Raises
    ConfigurationError for a trial that is not there or left no trace."""
    by_id = {record.spec.trial_id: record for record in records}
    if config.trials:
        missing = [name for name in config.trials if name not in by_id or by_id[name].trace is None]
        if missing:
            raise ConfigurationError(
                [Problem("fork.trials", f"{name} is not stored with a trace") for name in missing]
            )
        return [by_id[name] for name in config.trials]
    failed = [
        record
        for record in records
        if record.spec.arm == reference
        and record.status != "excluded"
        and record.trace is not None
        and record.spec.model != OwnModel.name
        and not success(record)
    ]
    failed.sort(key=lambda record: (record.spec.repeat, record.spec.trial_id))
    return failed[: config.limit]


def detected(parents: Iterable[TrialRecord], modes: Sequence[str]) -> list[Point]:
    """The first evidence of every mode that is present (or of the modes asked for), in each trial."""
    points: list[Point] = []
    for record in parents:
        first: dict[str, int] = {}
        for label in record.labels:
            named = [event for span in label.spans for event in span.events]
            if (
                label.present == "present"
                and label.basis == "decides"
                and named
                and (not modes or label.slug in modes)
            ):
                first[label.slug] = min(first.get(label.slug, named[0]), *named)
        points.extend(Point(record.spec.trial_id, event, slug) for slug, event in sorted(first.items()))
    return points
