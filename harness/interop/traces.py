"""Traces from anywhere: finds files, recognises their format, and streams what they hold.

Owns: the list of formats and detection by content. Importers are one module each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

from harness.errors import ConfigurationError, Problem
from harness.interop import atif, codex, mad, openai_chat, otel, own
from harness.interop.imported import Broken, Item, head_of

FORMATS: dict[str, ModuleType] = {
    "harness": own,
    "codex": codex,
    "mad": mad,
    "atif": atif,
    "otel": otel,
    "openai": openai_chat,
}
"""By the name that --format takes; in the order in which detection tries them."""
SUFFIXES = (".jsonl", ".json", ".jsonl.gz")
BESIDE = frozenset({"agent_output.json", "judge_output.json", "plan.json", "results.json"})
"""Files that lie beside traces and are none."""


def find(paths: Iterable[Path]) -> Iterator[Path]:
    """Run directories and files that can hold traces, in the order of their names.

    Raises ConfigurationError naming every path that does not exist."""
    paths = [*paths]
    missing = [Problem(str(path), "does not exist") for path in paths if not path.exists()]
    if missing:
        raise ConfigurationError(missing)
    for path in paths:
        yield from _under(path)


def _under(path: Path) -> Iterator[Path]:
    if path.is_file() or own.sniff(path, b""):
        yield path
        return
    for entry in sorted(path.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _under(entry)
        elif entry.name.endswith(SUFFIXES) and entry.name not in BESIDE:
            yield entry


def traces(paths: Iterable[Path], name: str = "") -> Iterator[Item]:
    """All traces under some paths, one at a time. `name` forces a format; otherwise each file's is detected.

    Raises ConfigurationError for an unknown format or a missing path."""
    if name and name not in FORMATS:
        raise ConfigurationError(
            Problem("--format", f"{name!r} is not known", f"one of: {', '.join(FORMATS)}")
        )
    for path in find(paths):
        importer = FORMATS[name] if name else detect(path)
        if importer is None:
            yield Broken(str(path), f"no known format; name it with --format ({', '.join(FORMATS)})")
        else:
            yield from importer.read(path)


def detect(path: Path) -> ModuleType | None:
    """The importer of a file or run directory; None when its format is not known."""
    try:
        head = head_of(path) if path.is_file() else b""
    except OSError:
        return None
    return next((importer for importer in FORMATS.values() if importer.sniff(path, head)), None)
