"""One index per content of a snapshot, built once per node and shared by every trial and process.

    <cache>/<digest>/index.sqlite       published: complete, never changed
    <cache>/<digest>.lock               held while building; freed by the kernel when its holder dies
    <cache>/<digest>.<random>/          being built; renamed to its name when done
    <cache>/checksums/<directory>.json  SHA-256 sums by size and time of change, so that nothing is hashed twice

Owns: addresses, the lock, publication, checksums. Does not own: what is in an index (`indexing`).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from harness.environments.snapshot.indexing import FORMAT, build
from harness.environments.snapshot.layout import Layout, read_layout
from harness.environments.snapshot.report import Report

INDEX = "index.sqlite"


def default_cache() -> Path:
    """`$XDG_CACHE_HOME/sre-harness/snapshots`, under `~/.cache` where that is not set."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "sre-harness" / "snapshots"


def ensure_index(directory: Path, cache: Path) -> Path:
    """The index of a scenario directory, built now if no process has built it yet. Blocks meanwhile.

    Raises OSError when the evidence cannot be read or the cache cannot be written, or when files change meanwhile."""
    report = Report()
    layout = read_layout(directory, report)
    sums = checksums(layout, cache)
    target = cache / digest(sums)
    if (target / INDEX).exists():
        return target / INDEX
    with _locked(cache / f"{target.name}.lock"):
        if not (target / INDEX).exists():
            _publish(layout, sums, report, target)
            if checksums(layout, cache) != sums:
                shutil.rmtree(target, ignore_errors=True)
                raise OSError(f"{directory}: files changed while they were indexed")
    return target / INDEX


def digest(sums: Mapping[str, str]) -> str:
    """The address of a content: of names and checksums of all evidence, and of the index's format."""
    text = json.dumps([FORMAT, sorted(sums.items())])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def content_digest(directory: Path, cache: Path) -> str:
    """SHA-256 over the checksums of all evidence of a scenario directory: what a plan records."""
    sums = checksums(read_layout(directory, Report()), cache)
    return hashlib.sha256(json.dumps(sorted(sums.items())).encode()).hexdigest()


def checksums(layout: Layout, cache: Path) -> dict[str, str]:
    """SHA-256 of every evidence file by its name; files that look unchanged are not read again."""
    place = hashlib.sha256(str(layout.directory.resolve()).encode()).hexdigest()[:32]
    memory = cache / "checksums" / f"{place}.json"
    try:
        known = json.loads(memory.read_bytes())
    except (OSError, ValueError):
        known = {}
    found = {}
    for path in layout.evidence:
        stat, name = path.stat(), layout.name(path)
        size, changed, value = known.get(name, (None, None, None))
        if (size, changed) != (stat.st_size, stat.st_mtime_ns):
            with open(path, "rb") as file:
                value = hashlib.file_digest(file, "sha256").hexdigest()
        found[name] = (stat.st_size, stat.st_mtime_ns, value)
    if found != {name: tuple(entry) for name, entry in known.items()}:
        _write_atomically(memory, json.dumps(found).encode())
    return {name: value for name, (_, _, value) in found.items()}


def _publish(layout: Layout, sums: Mapping[str, str], report: Report, target: Path) -> None:
    building = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    try:
        build(layout, sums, report, building)
        if len(report):
            listing = f"python -m harness scenarios snapshots {layout.directory} --index"
            sys.stderr.write(f"{layout.directory}: {len(report)} problems in its files; {listing}\n")
        building.chmod(0o755)
        building.rename(target)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock that works between processes and between threads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write_atomically(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(data)
    os.replace(file.name, path)
