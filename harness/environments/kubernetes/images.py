"""Images under the names that an application, a fault or an agent uses for them.

Every workload of the shop runs one image, and a cluster may have to pull an auxiliary image under another name.
Faults, tools and solutions go on using the names of the application's manifests.

Owns: the translation in both directions, container by container. Does not own: which image is pulled in place of
which: the configuration says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from harness.cluster import Manifest

FIELD_PATH = re.compile(r"\{(.+)\}$")


class Images:
    """The translation of one trial."""

    def __init__(self, application: Iterable[str], image: str, others: Mapping[str, str]) -> None:
        self._actual = {**dict.fromkeys(application, image), **others}
        self._named: dict[tuple[str, str], str] = {}
        """(container, image that is pulled) -> what it was called when it was written."""

    def outgoing(self, value: Any) -> Any:
        """A manifest or patch with the images that the cluster pulls."""
        if isinstance(value, list):
            return [self.outgoing(item) for item in value]
        if not isinstance(value, dict):
            return value
        result = {key: self.outgoing(item) for key, item in value.items()}
        name, image = value.get("name"), value.get("image")
        if isinstance(name, str) and isinstance(image, str) and image in self._actual:
            result["image"] = self._actual[image]
            self._named[name, result["image"]] = image
        return result

    def incoming(self, manifest: Manifest) -> Manifest:
        """An object of the cluster with the names that were written."""
        found: Manifest = self._renamed(manifest)
        if manifest.get("kind") == "Event" and "message" in manifest:
            path = FIELD_PATH.search((manifest.get("involvedObject") or {}).get("fieldPath") or "")
            for (container, actual), name in self._named.items():
                if path is not None and path[1] == container:
                    found["message"] = found["message"].replace(actual, name)
        return found

    def _renamed(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._renamed(item) for item in value]
        if not isinstance(value, dict):
            return value
        result = {key: self._renamed(item) for key, item in value.items()}
        name, image = value.get("name"), value.get("image")
        if isinstance(name, str) and isinstance(image, str):
            result["image"] = self._named.get((name, image), image)
        return result
