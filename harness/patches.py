"""The two patch algorithms of the API server: strategic merge and RFC 7386 merge.

Owns: the merge keys of lists and the `$patch` directives. Does not own: validation of the outcome.
Results share unchanged parts with the original, which is never modified.
"""

from __future__ import annotations

from typing import Any

from harness.cluster import Invalid

MERGE_KEYS: dict[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "imagePullSecrets": ("name",),
    "secrets": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "ports": ("containerPort", "port"),
    "hostAliases": ("ip",),
    "ownerReferences": ("uid",),
    "conditions": ("type",),
    "taints": ("key",),
    "topologySpreadConstraints": ("topologyKey",),
}
"""Lists of objects that merge item by item; all other lists are replaced as a whole."""


def merge_patch(original: Any, patch: Any) -> Any:
    """RFC 7386: objects merge, null removes, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(original) if isinstance(original, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def strategic_merge(original: Any, patch: Any, field: str = "") -> Any:
    """Kubernetes strategic merge. Raises Invalid: unknown directive, list item without key."""
    if isinstance(patch, list):
        return _merge_list(original if isinstance(original, list) else [], patch, field)
    if not isinstance(patch, dict):
        return patch
    directive = patch.get("$patch", "merge")
    if directive not in ("merge", "replace", "delete"):
        raise Invalid(f"Unknown patch type: {directive}")
    if directive == "delete":
        return {}
    merged = dict(original) if isinstance(original, dict) and directive == "merge" else {}
    for name, value in patch.items():
        if name.startswith("$"):
            _apply_directive(merged, name, value)
        elif value is None:
            merged.pop(name, None)
        else:
            merged[name] = strategic_merge(merged.get(name), value, name)
    return merged


def _apply_directive(merged: dict[str, Any], name: str, value: Any) -> None:
    directive, _, field = name.partition("/")
    if directive == "$retainKeys":
        for key in set(merged) - set(value):
            del merged[key]
    elif directive == "$deleteFromPrimitiveList":
        merged[field] = [item for item in merged.get(field, []) if item not in value]
    elif directive not in ("$patch", "$setElementOrder"):
        raise Invalid(f"Unknown patch directive: {name}")


def _merge_list(original: list[Any], patch: list[Any], field: str) -> list[Any]:
    keys = MERGE_KEYS.get(field)
    if field == "finalizers":
        return original + [item for item in patch if item not in original]
    if keys is None or not all(isinstance(item, dict) for item in patch):
        return [strategic_merge(None, item) for item in patch]
    if any(item.get("$patch") == "replace" for item in patch):
        return [strategic_merge(None, item) for item in patch if item.get("$patch") != "replace"]
    merged = list(original)
    for item in patch:
        key = next((key for key in keys if key in item), None)
        if key is None:
            raise Invalid(f"map: {item} does not contain declared merge key: {keys[0]}")
        at = next((i for i, other in enumerate(merged) if other.get(key) == item[key]), None)
        if item.get("$patch") == "delete":
            if at is not None:
                del merged[at]
        elif at is None:
            merged.append(strategic_merge(None, item))
        else:
            merged[at] = strategic_merge(merged[at], item)
    return merged
