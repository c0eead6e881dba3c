"""What a check says. Owns: the type, its two forms, the exit code. Does not own: any check."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.errors import ConfigurationError

Status = Literal["ok", "failed", "absent"]
STYLES: dict[Status, str] = {"ok": "green", "failed": "bold red", "absent": "yellow"}


class Finding(NamedTuple):
    """One thing that was examined."""

    check: str
    status: Status
    """`failed`: the configuration needs it, and it does not work. `absent`: it does not work, and is not needed."""
    what: str
    hint: str = ""
    """What to do about it."""


def broken(check: str, needed: bool, error: ConfigurationError) -> list[Finding]:
    """What could not be had, each problem a finding."""
    status: Status = "failed" if needed else "absent"
    return [Finding(check, status, f"{one.where}: {one.what}", one.hint) for one in error.problems]


def exit_code(findings: Iterable[Finding]) -> int:
    """0 when nothing failed, otherwise 1."""
    return int(any(one.status == "failed" for one in findings))


def as_json(findings: Sequence[Finding]) -> str:
    """For programs."""
    rows = [one._asdict() for one in findings]
    return json.dumps({"ok": not exit_code(findings), "findings": rows}, indent=2)


def print_table(findings: Sequence[Finding]) -> None:
    """For people."""
    table = Table("check", "status", "what was found, and what to do")
    for one in findings:
        told = Text(one.what)
        if one.hint:
            told.append(f"\n→ {one.hint}", style="dim")
        table.add_row(one.check, Text(one.status, style=STYLES[one.status]), told)
    Console().print(table)
