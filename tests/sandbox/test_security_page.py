"""docs/security.md names the tests that show its claims: they have to be there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
TESTS = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))


def test_every_file_that_is_named_exists() -> None:
    named = re.findall(r"`(tests/[\w/.]+)`", PAGE)
    named += [f"tests/sandbox/{name}" for name in re.findall(r"`(test_\w+\.py)`", PAGE)]
    assert len(named) > 10
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_test_that_is_named_exists() -> None:
    named = re.findall(r"`(test_\w+?)(?:_?\.\.\.)?`", PAGE)
    assert len(named) > 10
    assert [name for name in named if f"def {name}" not in TESTS] == []
