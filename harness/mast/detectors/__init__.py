"""Detectors: one module per failure mode (verification: one family), each a pure function over a TraceView.

A detector returns one label per slug that it decides, always, and quotes the events that show it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from harness.mast.detectors import (
    conversation_reset,
    disobey_task,
    premature_termination,
    step_repetition,
    unaware_termination,
    verification,
)
from harness.mast.view import TraceView
from harness.records import Label


class Detector(NamedTuple):
    """A registered detector."""

    name: str
    slugs: tuple[str, ...]
    """The slugs of the labels that it returns, in that order."""
    detect: Callable[[TraceView], tuple[Label, ...]]


DETECTORS: tuple[Detector, ...] = tuple(
    Detector(module.__name__.rsplit(".", 1)[-1], module.SLUGS, module.detect)
    for module in (
        disobey_task,
        step_repetition,
        unaware_termination,
        conversation_reset,
        premature_termination,
        verification,
    )
)
