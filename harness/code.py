"""Which code this is: a digest over the harness' own packages, to tell whether two processes run the same.

Owns: the list of packages and the digest. Does not own: how code travels (`executors/cluster.py`).
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("harness", "scenarios", "interventions", "conf")


def package_directories() -> list[Path]:
    """Where this process imports the harness' packages from."""
    found = [find_spec(name) for name in PACKAGES]
    return [Path(next(iter(spec.submodule_search_locations or ()))) for spec in found if spec is not None]


@cache
def code_digest() -> str:
    """SHA-256 over names and contents of all files of the packages, shortened."""
    digest = hashlib.sha256()
    for directory in package_directories():
        for path in sorted(directory.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"{directory.name}/{path.relative_to(directory)}\0".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
