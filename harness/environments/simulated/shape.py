"""The structural check of a manifest: lists where lists belong, objects where objects belong.

Owns: the coarse types of the fields that the rest of the simulation relies on. It runs before defaults and
validation, so that those may trust the shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.cluster import Invalid, Manifest

_OBJECT_FIELDS = """
    metadata labels annotations spec template selector matchLabels resources limits requests nodeSelector data
    stringData strategy rollingUpdate updateStrategy affinity podAntiAffinity podAffinity nodeAffinity
    readinessProbe livenessProbe securityContext valueFrom configMapKeyRef secretKeyRef hard
"""
_LIST_FIELDS = """
    containers initContainers env envFrom ports volumes volumeMounts tolerations ownerReferences taints
    matchExpressions nodeSelectorTerms imagePullSecrets conditions subsets
"""
_OBJECTS = frozenset(_OBJECT_FIELDS.split())
_LISTS_OF_OBJECTS = frozenset(_LIST_FIELDS.split())
_OPAQUE = frozenset({"data", "stringData", "annotations", "labels", "matchLabels", "nodeSelector"})
_CHECKED_ELSEWHERE = frozenset({"rules"})
"""Lists whose items use field names in another sense: `resources` of an access rule are names."""


def check_shape(manifest: Manifest) -> None:
    """Raises Invalid, with every place where the JSON type is not the field's type."""
    problems = list(_walk(manifest, ""))
    if problems:
        raise Invalid("; ".join(problems))


def _walk(value: Manifest, path: str) -> Iterator[str]:
    for name, item in value.items():
        where = f"{path}.{name}" if path else name
        if item is None:
            continue
        if name in _LISTS_OF_OBJECTS:
            if not isinstance(item, list) or not all(isinstance(entry, dict) for entry in item):
                yield _mismatch(item, where, "list of objects")
                continue
        elif name in _OBJECTS and not isinstance(item, dict):
            yield _mismatch(item, where, "object")
            continue
        if isinstance(item, dict) and name not in _OPAQUE:
            yield from _walk(item, where)
        elif isinstance(item, list) and name not in _CHECKED_ELSEWHERE:
            for number, entry in enumerate(item):
                if isinstance(entry, dict):
                    yield from _walk(entry, f"{where}[{number}]")


def _mismatch(value: Any, path: str, expected: str) -> str:
    found = {dict: "object", list: "array", str: "string", bool: "bool"}.get(type(value), "number")
    return f"json: cannot unmarshal {found} into field {path} of type {expected}"
