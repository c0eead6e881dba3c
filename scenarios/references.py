"""Checks of a scenario that its field types cannot make: every name that is used exists.

Owns: the application, groups, aliases, edges and alerts of the ground truth; filters; faults, waiters and
their arguments; tools of the solutions. Works on the raw data of a file, so that it reports beside wrong
fields, not after them: whatever does not have the expected shape is left to the field checks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from harness.errors import Problem
from scenarios.applications import application_names
from scenarios.faults import FAULTS, WAITERS
from scenarios.schema import REMEDIATION_TOOLS
from scenarios.yaml_source import FieldPath, Source, suggestion


def reference_problems(source: Source) -> list[Problem]:
    """Every dangling, unknown or uncompilable reference in a scenario file."""
    if not isinstance(source.data, dict):
        return []
    found = list(_application(source))
    for part in ("ground_truth", "corrected"):
        found.extend(_ground_truth(source, (part,)))
    if _lacks_truth(source):
        found.append(source.problem((), "no group in ground_truth or corrected; expected a root cause"))
    found.extend(_disruptions(source))
    found.extend(_solutions(source))
    return found


def _application(source: Source) -> Iterator[Problem]:
    name = source.data.get("application")
    if isinstance(name, str) and name not in application_names():
        hint = suggestion(name, application_names())
        yield source.problem(("application",), f"found {name!r}; expected a known application", hint)


def _lacks_truth(source: Source) -> bool:
    """Whether something is broken and no ground truth says what. A false alarm has no root cause."""
    truths = (source.data.get(part) for part in ("ground_truth", "corrected"))
    return bool(source.data.get("disruptions")) and not any(_get(truth, "groups") for truth in truths)


def _ground_truth(source: Source, root: FieldPath) -> Iterator[Problem]:
    ids: list[str] = []
    for where, group in _items(source, (*root, "groups")):
        name = str(_get(group, "id", ""))
        if name in ids:
            yield source.problem((*where, "id"), f"found {name!r} again; expected each group id once")
        ids.append(name)
        yield from _filters(source, where)
    if ids and not any(_get(group, "root_cause") is True for _, group in _items(source, (*root, "groups"))):
        yield source.problem((*root, "groups"), "no group has root_cause: true; expected at least one")
    used = [
        *(entry for line, _ in _items(source, (*root, "aliases")) for entry in _items(source, line)),
        *_fields(source, (*root, "propagations"), "source", "target"),
        *_fields(source, (*root, "alerts"), "group"),
    ]
    for where, name in used:
        if isinstance(name, str) and name and name not in ids:
            yield source.problem(where, f"found {name!r}; expected the id of a group", suggestion(name, ids))


def _filters(source: Source, group: FieldPath) -> Iterator[Problem]:
    for where, pattern in _items(source, (*group, "filter")):
        try:
            re.compile(str(pattern))
        except re.error as error:
            yield source.problem(where, f"found {pattern!r}; expected a regular expression: {error}")


def _disruptions(source: Source) -> Iterator[Problem]:
    for disruption, _ in _items(source, ("disruptions",)):
        for where, use in _items(source, (*disruption, "injections")):
            yield from _use(source, where, use, "fault", FAULTS)
        for moment in ("pre_injection", "post_injection"):
            for where, use in _items(source, (*disruption, moment)):
                yield from _use(source, where, use, "waiter", WAITERS)


def _use(
    source: Source, where: FieldPath, use: Any, word: str, registry: Mapping[str, type[BaseModel]]
) -> Iterator[Problem]:
    name = _get(use, word)
    if not isinstance(name, str):
        return
    if name not in registry:
        yield source.problem(
            (*where, word), f"found {name!r}; expected a known {word}", suggestion(name, list(registry))
        )
        return
    arguments = _get(use, "args", {})
    if not isinstance(arguments, dict):
        return
    model = registry[name]
    known = [field.alias or key for key, field in model.model_fields.items()]
    try:
        model.model_validate(arguments)
    except ValidationError as error:
        prefix = (*where, "args") if "args" in use else where
        yield from source.field_problems(error, known, prefix)


def _solutions(source: Source) -> Iterator[Problem]:
    for group, _ in _items(source, ("solutions",)):
        for alternative, _ in _items(source, group):
            for where, step in _items(source, (*alternative, "steps")):
                tool = _get(step, "tool")
                if isinstance(tool, str) and tool not in REMEDIATION_TOOLS:
                    yield source.problem(
                        (*where, "tool"),
                        f"found {tool!r}; expected a remediation tool",
                        suggestion(tool, REMEDIATION_TOOLS),
                    )


def _items(source: Source, where: FieldPath) -> Iterator[tuple[FieldPath, Any]]:
    """(path, item) of the list at a path; nothing when there is no list."""
    value: Any = source.data
    for part in where:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield (*where, index), item


def _fields(source: Source, where: FieldPath, *names: str) -> Iterator[tuple[FieldPath, Any]]:
    for path, item in _items(source, where):
        for name in names:
            yield (*path, name), _get(item, name)


def _get(value: Any, key: str, default: Any = None) -> Any:
    return value.get(key, default) if isinstance(value, dict) else default
