"""Classifies a trace: every detector over one view, one label per slug.

Owns: which detectors run, and that observer events never reach them. Does not own: what detectors decide.
The classifier sees the trace only: not the outcome, the ground truth, the model or the arm.
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.mast.detectors import DETECTORS
from harness.mast.detectors.step_repetition import steady_parts
from harness.mast.evidence import firing_rows, mentions
from harness.mast.salience import alarms, changed_objects
from harness.mast.view import TraceView
from harness.records import Label
from harness.trace import Event

READINGS = (mentions, firing_rows, alarms, changed_objects, steady_parts)


def classify(events: Iterable[Event]) -> tuple[Label, ...]:
    """All labels of a trace, in the order of the registry. Count only those whose slug is in
    `taxonomy.MODES` for modes per trace: the verification atoms stand beside the modes derived from them."""
    view = TraceView.of(events)
    labels = tuple(label for detector in DETECTORS for label in detector.run(view))
    for reading in READINGS:
        reading.cache_clear()  # they hold texts of the trace, and archives are longer than memory
    return labels
