"""A YAML file with the line of every field, and pydantic's complaints turned into problems with those lines.

Owns: parsing with positions, duplicate keys, wording of field errors. Knows nothing about scenarios.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from harness.errors import ConfigurationError, Problem

FieldPath = tuple[str | int, ...]
LISTED = 20
"""A hint lists at most this many names."""
_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Source:
    """The data of one YAML file and where each field stands."""

    path: Path
    data: Any
    lines: dict[FieldPath, int] = field(repr=False)
    duplicates: tuple[FieldPath, ...] = ()

    def line(self, where: FieldPath) -> int:
        """Line of a field, or of the nearest enclosing one that exists."""
        while where and where not in self.lines:
            where = where[:-1]
        return self.lines.get(where, 1)

    def problem(self, where: FieldPath, what: str, hint: str = "") -> Problem:
        """A problem at a field of this file."""
        name = dotted(where)
        place = f"{self.path}:{self.line(where)}"
        return Problem(f"{place} {name}" if name else place, what, hint)

    def field_problems(
        self, error: ValidationError, known: Sequence[str], prefix: FieldPath = ()
    ) -> list[Problem]:
        """All of a pydantic error's findings, at their lines. `known` are field names to suggest from."""
        return [
            self.problem((*prefix, *_clean(entry["loc"], self.data, prefix)), *_wording(dict(entry), known))
            for entry in error.errors(include_url=False)
        ]

    def duplicate_problems(self) -> list[Problem]:
        """One problem for each key that is written twice in one mapping."""
        what = "is written twice; expected each field once"
        return [self.problem(where, what) for where in self.duplicates]


def read(path: Path) -> Source:
    """Parse a YAML file. Raises ConfigurationError when it cannot be read or is not YAML."""
    try:
        loader = _Loader(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(Problem(str(path), f"cannot be read: {error}")) from error
    try:
        node = loader.get_single_node()
        data = loader.construct_document(node) if node is not None else None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigurationError(Problem(f"{path}:{line}", f"is not valid YAML: {error.problem}")) from error
    finally:
        loader.dispose()
    lines: dict[FieldPath, int] = {}
    duplicates: list[FieldPath] = []
    for where, line in _positions(node, ()) if node is not None else ():
        if where in lines:
            duplicates.append(where)
        lines[where] = line
    return Source(path, data, lines, tuple(duplicates))


def dotted(where: FieldPath) -> str:
    """A field's path as people write it: `solutions[0][1].steps`."""
    text = ""
    for part in where:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def suggestion(word: str, known: Sequence[str]) -> str:
    """A hint that names what was probably meant, or lists what there is where that is short."""
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.6)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"known: {', '.join(sorted(known))}" if 0 < len(known) <= LISTED else ""


def _positions(node: yaml.Node, where: FieldPath) -> Iterator[tuple[FieldPath, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inside = (*where, str(key.value))
            yield inside, key.start_mark.line + 1
            yield from _positions(value, inside)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield (*where, index), item.start_mark.line + 1
            yield from _positions(item, (*where, index))


def _clean(location: tuple[int | str, ...], data: Any, prefix: FieldPath) -> FieldPath:
    """pydantic's location without the parts that name union members instead of fields."""
    for part in prefix:
        data = data[part]
    kept: list[str | int] = []
    for position, part in enumerate(location):
        last = position == len(location) - 1
        if isinstance(data, dict):
            if part not in data and not last:
                continue
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int):
            data = data[part] if part < len(data) else None
        else:
            continue
        kept.append(part)
    return tuple(kept)


def _wording(entry: dict[str, Any], known: Sequence[str]) -> tuple[str, str]:
    """(what was found and expected, hint) for one pydantic finding."""
    kind, found = entry["type"], entry["input"]
    if kind == "missing":
        return "is missing; expected this field", ""
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(str(entry["loc"][-1]), known, n=3, cutoff=0.6)
        return "is not a known field", f"did you mean {' or '.join(near)}?" if near else ""
    expected = str(entry["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")
    hint = "YAML reads a bare on, off, yes or no as a boolean: quote it" if isinstance(found, bool) else ""
    shown = repr(found)
    return f"found {shown if len(shown) <= 60 else shown[:57] + '...'}; expected {expected}", hint
