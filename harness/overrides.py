"""Misspelt overrides of the command line, found before Hydra composes: Hydra would advise to add them as new keys.

Owns: keys near a known key, and unknown choices of a list such as `model=[a,b]`. Everything else is left to Hydra and
to validation (`config.py`). Does not own: what the configuration may hold.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from importlib.resources import files

from pydantic import BaseModel

from harness.errors import ConfigurationError, Problem
from harness.plugins import added_files

OVERRIDE = re.compile(r"^([A-Za-z_][\w.]*)=(.*)$")
LISTED = re.compile(r"^\[([\w, -]*)\]$")
OWN_DIRECTORY = ("--config-dir", "-cd", "--config-path", "-cp")
LISTS = ("model", "agent")
"""Groups of which a run may choose several."""


def refuse_misspelt(argv: Sequence[str]) -> None:
    """Raises ConfigurationError with every override whose key or listed choice is misspelt."""
    given = [match.groups() for match in map(OVERRIDE.match, argv) if match]
    problems = [problem for key, _ in given for problem in _key(key)]
    if not any(argument.startswith(OWN_DIRECTORY) for argument in argv):
        problems += [problem for key, value in given if key in LISTS for problem in _choices(key, value)]
    if problems:
        raise ConfigurationError(problems)


def _key(key: str) -> Iterator[Problem]:
    """The first part of a dotted key that no level of the configuration knows, where a known one is near."""
    from harness.config import ExperimentConfig

    level: type[BaseModel] = ExperimentConfig
    groups = [entry.name for entry in files("conf").iterdir() if entry.is_dir()]
    known = [*level.model_fields, *groups, "hydra"]
    for part in key.split("."):
        if part not in known:
            if near := difflib.get_close_matches(part, known, n=1, cutoff=0.75):
                yield Problem(key, "unknown key", f"did you mean {key.replace(part, near[0], 1)}?")
            return
        field = level.model_fields.get(part)
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return
        level, known = inner, list(inner.model_fields)


def _choices(group: str, value: str) -> Iterator[Problem]:
    listed = LISTED.match(value)
    if not listed:
        return
    places = [files("conf"), *added_files("conf")]
    known = sorted(
        file.name.removesuffix(".yaml")
        for place in places
        if (place / group).is_dir()
        for file in (place / group).iterdir()
        if file.name.endswith(".yaml")
    )
    for name in filter(None, (each.strip() for each in listed[1].split(","))):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else ""
            yield Problem(group, f"unknown {group} {name!r}; expected some of {', '.join(known)}", hint)
