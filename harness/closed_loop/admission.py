"""May a candidate take part? Read from its source, before any of its code runs.

A guard sees what an operator's proxy sees. Its class gets that through `review`, so it needs no file, no
network and no inside of another object: source that reaches for one is refused, with every place. This keeps
honest mistakes and plain cheating out; it is no sandbox against somebody who sets out to hide, for whom there
is the audit (`audit.py`).

Owns: this reading. Does not own: whether a candidate helps.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

MODULES = frozenset(
    {
        "__future__", "abc", "collections", "collections.abc", "dataclasses", "enum", "functools", "itertools",
        "json", "math", "re", "statistics", "string", "typing", "pydantic",
        "harness.context", "harness.errors", "harness.evidence", "harness.operator_channel", "harness.protocols",
        "harness.records", "harness.tools.submit", "harness.tools.toolbox", "harness.trace",
        "interventions.structural.base",
    }
)  # fmt: skip
"""What a guard may import: values of the protocol, evidence in the trace, and plain computation."""
REFUSED = frozenset(
    [
        "__import__",
        "breakpoint",
        "compile",
        "delattr",
        "eval",
        "exec",
        "globals",
        "input",
        "locals",
        "open",
        "setattr",
        "vars",
    ]
)
"""Built-in functions by which source reaches what reading it does not show."""
OWN = frozenset({"self", "cls"})
NAMED_TUPLES = frozenset({"_asdict", "_fields", "_replace"})
"""Public in spite of their names."""


def objections(candidate: str) -> list[str]:
    """Why a candidate `package.module:Class` is refused; empty when it is admitted. Runs none of its code."""
    module, _, name = candidate.partition(":")
    if not name:
        return [f"{candidate} is no package.module:Class"]
    found: list[str] = []
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        source = source_of(".".join(parts[:count]))
        if source is None:
            return [f"{'.'.join(parts[:count])} has no source that could be read"]
        found.extend(objections_in(source.read_text(encoding="utf-8"), source.name))
        if found:  # the next part is found by importing this one
            return found
    return found


def source_of(module: str) -> Path | None:
    """The file of a module whose parents were admitted."""
    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin)


def objections_in(source: str, name: str) -> list[str]:
    """Every place of a source that reaches out of what a guard is given."""
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        return [f"{name}:{error.lineno}: no Python"]
    return [f"{name}:{line}: {what}" for line, what in sorted({*imports(tree), *reaches(tree)})]


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Modules outside MODULES."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            wanted = [one.name for one in node.names]
        elif isinstance(node, ast.ImportFrom):
            wanted = ["." * node.level + (node.module or "")]
        else:
            continue
        yield from ((node.lineno, f"imports {module}") for module in wanted if module not in MODULES)


def reaches(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Refused functions, insides of other objects, and assignments to what is not the guard's own."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and (node.id in REFUSED or dunder(node.id)):
            yield node.lineno, f"uses {node.id}"
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "getattr":
            if len(node.args) < 2 or not public(node.args[1]):
                yield node.lineno, "uses getattr with a name that is no public literal"
        elif isinstance(node, ast.Attribute):
            own = isinstance(node.value, ast.Name) and node.value.id in OWN
            if dunder(node.attr) or (node.attr.startswith("_") and not own and node.attr not in NAMED_TUPLES):
                yield node.lineno, f"reaches into .{node.attr}"
            elif isinstance(node.ctx, ast.Store | ast.Del) and not rooted_in_own(node):
                yield node.lineno, f"changes .{node.attr} of what is not its own"
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del) and foreign(node):
            yield node.lineno, "changes an entry of what is not its own"


def dunder(name: str) -> bool:
    """Python's own names."""
    return name.startswith("__") and name.endswith("__")


def public(node: ast.expr) -> bool:
    """A literal attribute name without an underscore in front."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and not node.value.startswith("_")


def rooted_in_own(node: ast.expr) -> bool:
    """`self.a.b` and the like."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return isinstance(node, ast.Name) and node.id in OWN


def foreign(node: ast.Subscript) -> bool:
    """An entry of an attribute of another object, or of an imported constant."""
    root: ast.expr = node
    attributes = False
    while isinstance(root, ast.Attribute | ast.Subscript):
        attributes |= isinstance(root, ast.Attribute)
        root = root.value
    constant = isinstance(root, ast.Name) and root.id.isupper()
    return constant or (attributes and not rooted_in_own(node))
