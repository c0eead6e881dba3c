"""docs/interventions.md describes every guard as it is: its modes and each of its parameters with the default."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.plugins import load_class
from interventions.registry import GUARDS, prompt_names

TEXT = (Path(__file__).parents[2] / "docs" / "interventions.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", GUARDS)
def test_a_guard_is_described(name: str) -> None:
    guard = load_class("guard", name, GUARDS)
    found = re.search(rf"### `{name}` · ([\w, ]+)\n(.*?)(?=\n##|\Z)", TEXT, re.S)
    assert found, f"no section on {name}"
    assert tuple(found[1].split(", ")) == guard.targets
    for parameter, field in guard.Parameters.model_fields.items():
        stated = re.search(rf"`{parameter}` \[(\w[\w.]*)", found[2])
        assert stated, f"{name}: {parameter} and its default"
        default = getattr(field.default, "calls", field.default)
        assert stated[1] == (f"{default:g}" if isinstance(default, float) else str(default)), parameter


def test_texts_without_a_guard_are_named() -> None:
    alone = [name for name in prompt_names() if name.removesuffix("_prompt") not in GUARDS]

    assert [name for name in alone if f"`{name}`" not in TEXT] == []
