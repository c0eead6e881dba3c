"""Pickles execute code when they are read: none may come from outside (docs/security.md)."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

from yaml.constructor import FullConstructor, SafeConstructor

ROOT = Path(__file__).parents[2]
READERS = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
IN_MEMORY = {"harness/environments/simulated/checkpoint.py"}
"""Copies within one process."""


def modules() -> Iterator[tuple[str, ast.Module]]:
    for package in ("harness", "scenarios", "interventions"):
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def test_only_checkpoints_in_memory_are_pickled() -> None:
    found = set()
    for name, tree in modules():
        for node in ast.walk(tree):
            imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            imported += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if READERS & {each.partition(".")[0] for each in imported}:
                found.add(name)
    assert found == IN_MEMORY


def test_nothing_is_evaluated_and_no_shell_is_asked() -> None:
    unsafe = []
    for name, tree in modules():
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            if ast.unparse(call.func) in {"eval", "exec", "compile", "os.system", "os.popen"}:
                unsafe.append(f"{name}:{call.lineno} {ast.unparse(call.func)}")
            if any(ast.unparse(keyword) == "shell=True" for keyword in call.keywords):
                unsafe.append(f"{name}:{call.lineno} shell=True")
    assert unsafe == []


def test_yaml_constructs_no_objects() -> None:
    loaders = set()
    for name, tree in modules():
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            called = ast.unparse(call.func)
            assert called not in {"yaml.unsafe_load", "yaml.full_load", "yaml.load_all"}, name
            if called == "yaml.load":
                loaders.add((name.removesuffix(".py").replace("/", "."), ast.unparse(call.args[1])))
    assert loaders
    for module, loader in loaders:
        used = getattr(importlib.import_module(module), loader)
        assert issubclass(used, SafeConstructor), module
        assert not issubclass(used, FullConstructor), module
