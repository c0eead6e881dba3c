"""Around a run: images are there before it, and nothing is left on the engine before and after it.

Owns: which images an experiment needs, and when orphans are removed. Does not own: what an orphan is (`engine.py`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from harness.config import ExperimentConfig
from harness.errors import ConfigurationError, InfrastructureError, Problem
from harness.sandbox.engine import find_image, remove_orphans


def images_of(config: ExperimentConfig) -> Mapping[str, str]:
    """Field -> image of every container that an experiment starts."""
    fields = {f"agents.{name}.image": str(agent.get("image") or "") for name, agent in config.agents.items()}
    if config.sandbox.kind == "docker":
        fields["sandbox.image"] = config.sandbox.image
    return {field: image for field, image in fields.items() if image}


def runs_here(config: ExperimentConfig) -> bool:
    """Whether this machine's engine is the one that trials use; on a Ray cluster that was joined, its nodes' are."""
    executor = config.executor
    return executor.kind == "local" or not (executor.address or os.environ.get("RAY_ADDRESS"))


def require_images(config: ExperimentConfig) -> None:
    """Raise ConfigurationError, naming every problem, where containers could not be started."""
    problems: list[Problem] = []
    for field, image in images_of(config).items() if runs_here(config) else ():
        try:
            find_image(image, field)
        except ConfigurationError as error:
            problems.extend(problem for problem in error.problems if problem not in problems)
    if problems:
        raise ConfigurationError(problems)


@contextmanager
def swept(config: ExperimentConfig) -> Iterator[None]:
    """Remove what dead processes left, before and after; a failure is said and does not undo the run."""
    if not (images_of(config) and runs_here(config)):
        yield
        return
    sweep()
    try:
        yield
    finally:
        sweep()


def sweep() -> None:
    """Remove orphans and say so."""
    try:
        removed = remove_orphans()
    except InfrastructureError as error:
        sys.stderr.write(f"warning: containers of earlier runs could not be removed: {error}\n")
        return
    if removed:
        sys.stderr.write(f"removed {len(removed)} containers that earlier runs left\n")
