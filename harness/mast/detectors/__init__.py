"""Detectors: one module per failure mode (verification: one family; the SRE extensions: one module), each a pure
function over a TraceView.

Installed packages can add modules of that form (`harness/plugins.py`).
A module declares for each type of trace whether it *decides*, *proposes* or is *not applicable*. A detector
returns one label per slug, always, and quotes the events that show it. Labels that it proposes say so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from harness.mast.detectors import (
    conversation_reset,
    derailment,
    disobey_role,
    disobey_task,
    history_loss,
    ignored_input,
    no_clarification,
    premature_termination,
    reasoning_action,
    sre,
    step_repetition,
    unaware_termination,
    verification,
    withholding,
)
from harness.mast.spans import label
from harness.mast.view import TraceType, TraceView
from harness.plugins import added_objects
from harness.records import Label


class Detector(NamedTuple):
    """A registered detector."""

    name: str
    slugs: tuple[str, ...]
    """The slugs of the labels that it returns, in that order."""
    detect: Callable[[TraceView], tuple[Label, ...]]
    declares: Mapping[TraceType, str]
    """decides (some of its labels may still be proposals), proposes or not_applicable."""

    def run(self, view: TraceView) -> tuple[Label, ...]:
        """Its labels, as far as it holds for this type of trace."""
        declared = self.declares[view.type]
        if declared == "not_applicable":
            note = f"not applicable to a trace of type {view.type}"
            return tuple(label(slug, "not_applicable", self.name, note=note) for slug in self.slugs)
        labels = self.detect(view)
        if declared == "proposes":
            return tuple(found.model_copy(update={"basis": "proposes"}) for found in labels)
        return labels


def _registered(module: Any) -> Detector:
    return Detector(module.__name__.rsplit(".", 1)[-1], module.SLUGS, module.detect, module.DECLARES)


DETECTORS: tuple[Detector, ...] = tuple(
    _registered(module)
    for module in (
        *(disobey_task, disobey_role, step_repetition, history_loss, unaware_termination),
        *(conversation_reset, no_clarification, derailment, withholding, ignored_input, reasoning_action),
        *(premature_termination, verification, sre),
        *added_objects("detectors"),
    )
)
