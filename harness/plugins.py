"""What installed packages add to the harness, and looking up an implementation by short name or dotted path.

A package adds things by entry points, each a name and what it stands for:

    sre_harness.models         package.module:Class, a model kind
    sre_harness.agents         package.module:Class, an agent kind
    sre_harness.environments   package.module:Class, an environment kind
    sre_harness.guards         package.module:Class, a structural intervention; it gets a placebo by itself
    sre_harness.prompts        a package of YAML files, prompt interventions
    sre_harness.detectors      a module with SLUGS, DECLARES and detect
    sre_harness.faults         package.module:Class, named by the fault's id
    sre_harness.scenarios      a package of YAML files, called by their ids
    sre_harness.conf           a package of Hydra configuration groups

Owns: finding them; nothing is imported before it is used. Does not own: what may be added where; the registries ask.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Literal

from harness.errors import ConfigurationError, Problem

PREFIX = "sre_harness."
Kind = Literal[
    "models", "agents", "environments", "guards", "prompts", "detectors", "faults", "scenarios", "conf"
]


@cache
def _added(kind: Kind) -> tuple[EntryPoint, ...]:
    return tuple(sorted(entry_points(group=PREFIX + kind), key=lambda one: one.name))


def extended(kind: Kind, built_in: Mapping[str, str]) -> dict[str, str]:
    """Name -> `package.module:Class` of everything of a kind, built in or added.

    Raises ConfigurationError where a package takes a name that is taken."""
    known = dict(built_in)
    problems = []
    for one in _added(kind):
        if one.name in known:
            who = one.dist.name if one.dist else one.value
            problems.append(Problem(f"package {who}", f"entry point {PREFIX}{kind} {one.name!r} is taken"))
        known[one.name] = one.value
    if problems:
        raise ConfigurationError(problems)
    return known


def added_packages(kind: Kind) -> list[str]:
    """Names of the packages of files that were added of a kind."""
    return [one.value for one in _added(kind)]


def added_files(kind: Kind) -> list[Traversable]:
    """The packages of files of a kind, as directories. Raises ConfigurationError for one that is not there."""
    found = []
    for package in added_packages(kind):
        try:
            found.append(files(package))
        except ModuleNotFoundError as error:
            where = f"entry point {PREFIX}{kind} = {package}"
            raise ConfigurationError(Problem(where, f"no such package: {error}")) from error
    return found


def added_objects(kind: Kind) -> list[Any]:
    """What the entry points of a kind stand for, imported. Raises ConfigurationError where that fails."""
    found = []
    for one in _added(kind):
        try:
            found.append(one.load())
        except (ImportError, AttributeError) as error:
            where = f"entry point {PREFIX}{kind} {one.name}"
            raise ConfigurationError(Problem(where, f"cannot load {one.value!r}: {error}")) from error
    return found


def added_by() -> dict[str, str]:
    """Distribution -> version of every package that adds something; results may depend on it."""
    groups = (group for group in entry_points().groups if group.startswith(PREFIX))
    points = (one for group in groups for one in entry_points(group=group))
    return {one.dist.name: one.dist.version for one in points if one.dist is not None}


def load_class(what: str, name: str, known: Mapping[str, str]) -> Any:
    """Return the class that `name` stands for: a key of `known`, or `package.module:Class`.

    Raises ConfigurationError that lists the known names.
    """
    path = known.get(name, name)
    module, _, attribute = path.partition(":")
    if not attribute:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else "or give a dotted path package.module:Class"
        raise ConfigurationError(
            Problem(what, f"unknown {what} {name!r}; expected one of {', '.join(known)}", hint)
        )
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(Problem(what, f"cannot load {path!r}: {error}")) from error
