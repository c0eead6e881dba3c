"""How the harness marks what it puts on a cluster, so that a janitor finds it and nobody else's objects.

Owns: labels and annotations. Does not own: who removes things (`janitor.py`), who must not see the marks (`view.py`).
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from harness.cluster import Manifest

PREFIX = "sre-harness"
OWNED = f"{PREFIX}/owned"
RUN = f"{PREFIX}/run"
TRIAL = f"{PREFIX}/trial"
EXPIRES = f"{PREFIX}/expires"
"""Annotation: seconds since the epoch after which anybody's janitor may remove the object."""


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks of one trial's objects."""

    run: str
    """Opaque name of the run, the same for all of its trials and for the same command again."""
    trial: str
    """Opaque name of the attempt."""
    expires: float

    @property
    def labels(self) -> dict[str, str]:
        """Labels of every object that is the harness's own."""
        return {OWNED: "true", **self.made}

    @property
    def made(self) -> dict[str, str]:
        """Labels of what a fault or an agent of the trial made outside its namespace."""
        return {RUN: self.run, TRIAL: self.trial}

    @property
    def annotations(self) -> dict[str, str]:
        """Annotations of the same."""
        return {EXPIRES: str(int(self.expires))}

    def cluster_name(self, purpose: str) -> str:
        """Name of a cluster-scoped object of this trial."""
        return f"{PREFIX}-{self.trial}-{purpose}"


UNMARKING: Manifest = {"labels": {RUN: None, TRIAL: None}, "annotations": {EXPIRES: None}}
"""Patch of the metadata of an object that stays, by which it loses its marks."""


def is_owned(manifest: Manifest) -> bool:
    """Whether the harness put an object there for itself."""
    return OWNED in (manifest["metadata"].get("labels") or {})


def is_expired(manifest: Manifest, now: float | None = None) -> bool:
    """Whether anybody may remove an object of the harness; one without a readable time is none to keep."""
    text = (manifest["metadata"].get("annotations") or {}).get(EXPIRES, "")
    return not re.fullmatch(r"\d+", text) or int(text) <= (time.time() if now is None else now)


def unmarked(manifest: Manifest) -> Manifest:
    """The object without the harness's marks."""
    metadata = dict(manifest["metadata"])
    for part in ("labels", "annotations"):
        if metadata.get(part):
            metadata[part] = without_marks(metadata[part])
            if not metadata[part]:
                del metadata[part]
    return {**manifest, "metadata": metadata}


def without_marks(entries: Mapping[str, str]) -> dict[str, str]:
    """Labels or annotations without the harness's own."""
    return {key: value for key, value in entries.items() if not key.startswith(f"{PREFIX}/")}
