"""Room on the disks that a run writes to."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness.config import ExperimentConfig
from harness.doctor.findings import Finding

LEAST_GB = 1.0
"""Records and traces of a large run."""
RAY_FULL = 0.95
"""Share of the disk in use from which on Ray stores no more objects on it."""
GIGABYTE = 1e9


def check_disk(config: ExperimentConfig) -> Sequence[Finding]:
    """Where results go, and where temporary files do."""
    uses_ray = config.executor.kind == "ray"
    return [
        room("results", Path(config.run_dir or "runs")),
        room("temporary", Path(tempfile.gettempdir()), uses_ray),
    ]


def room(name: str, path: Path, ray: bool = False) -> Finding:
    """Free space at a path, or at the nearest directory above it that exists."""
    existing = next(each for each in (path.absolute(), *path.absolute().parents) if each.is_dir())
    usage = shutil.disk_usage(existing)
    free, share = usage.free / GIGABYTE, usage.used / usage.total
    check, what = f"disk: {name}", f"{free:,.1f} GB free at {existing}, {share:.0%} in use"
    if free < LEAST_GB:
        return Finding(
            check, "failed", what, f"free at least {LEAST_GB:g} GB, or choose another run_dir or TMPDIR"
        )
    if ray and share > RAY_FULL:
        return Finding(check, "failed", what, f"Ray stores nothing on a disk more than {RAY_FULL:.0%} full")
    return Finding(check, "ok", what)
