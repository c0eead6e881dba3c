"""Admission: what the API server refuses although the object itself is valid.

Owns: namespaces that are missing or going away, resource quotas, and what is filled in from other objects: the
priority of a pod, the storage class of a claim. Does not own: the status of quotas (`controllers/quota.py`).
"""

from __future__ import annotations

from harness.cluster import Forbidden, Manifest, NotFound
from harness.environments.simulated.kinds import kind_of
from harness.environments.simulated.nodes import DEFAULT_STORAGE
from harness.environments.simulated.quantity import format_quantity, parse_quantity
from harness.environments.simulated.store import ObjectStore

_REQUESTS = {"cpu": "cpu", "memory": "memory", "requests.cpu": "cpu", "requests.memory": "memory"}
_LIMITS = {"limits.cpu": "cpu", "limits.memory": "memory"}


def admit(manifest: Manifest, store: ObjectStore) -> None:
    """Raises NotFound or Forbidden when the object may not be created now."""
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    resource, ns = kind_of(kind), manifest["metadata"].get("namespace", "")
    if resource.namespaced:
        namespace = store.get("Namespace", ns)
        if namespace is None:
            raise NotFound(f'namespaces "{ns}" not found')
        if "deletionTimestamp" in namespace["metadata"]:
            because = f"unable to create new content in namespace {ns} because it is being terminated"
            raise Forbidden(f'{resource.resource} "{name}" is forbidden: {because}')
    if kind == "PersistentVolumeClaim":
        _choose_storage(manifest, store)
    if kind == "Pod":
        _resolve_priority(manifest, store)
        for quota in store.list("ResourceQuota", ns):
            _check_quota(manifest, quota, store)


def priority(pod: Manifest) -> int:
    """What the scheduler goes by; 0 without a class."""
    return int(pod["spec"].get("priority") or 0)


def _resolve_priority(pod: Manifest, store: ObjectStore) -> None:
    """Fill in the priority that a pod's class has now. Changes its argument, not what it shares."""
    name = pod["spec"].get("priorityClassName")
    if name:
        found = store.get("PriorityClass", name)
        if found is None:
            because = f"no PriorityClass with name {name} was found"
            raise Forbidden(f'pods "{pod["metadata"]["name"]}" is forbidden: {because}')
        pod["spec"] = {**pod["spec"], "priority": found["value"]}


def _choose_storage(claim: Manifest, store: ObjectStore) -> None:
    """A claim that names no storage class gets the default one."""
    spec = claim.setdefault("spec", {})
    for storage in store.list("StorageClass"):
        if (storage["metadata"].get("annotations") or {}).get(DEFAULT_STORAGE) == "true":
            spec.setdefault("storageClassName", storage["metadata"]["name"])


def consumed(quota: Manifest, store: ObjectStore) -> dict[str, float]:
    """What the pods of the quota's namespace use of each resource that it limits."""
    used = dict.fromkeys(quota["spec"].get("hard") or {}, 0.0)
    for pod in store.list("Pod", quota["metadata"]["namespace"]):
        if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed"):
            for resource in used:
                used[resource] += _charge(pod, resource)
    return used


def requested(pod: Manifest, resource: str, field: str = "requests") -> float:
    """Cores or bytes that a pod asks for: the sum of its containers, or its hungriest init container."""
    spec = pod["spec"]
    total = sum([_of(container, resource, field) for container in spec["containers"]])
    first = spec.get("initContainers")
    return max([total, *(_of(container, resource, field) for container in first)]) if first else total


def _of(container: Manifest, resource: str, field: str) -> float:
    value = ((container.get("resources") or {}).get(field) or {}).get(resource)
    return 0.0 if value is None else parse_quantity(value)


def _charge(pod: Manifest, resource: str) -> float:
    if resource in _REQUESTS:
        return requested(pod, _REQUESTS[resource])
    if resource in _LIMITS:
        return requested(pod, _LIMITS[resource], "limits")
    return 1.0 if resource in ("pods", "count/pods") else 0.0


def _check_quota(pod: Manifest, quota: Manifest, store: ObjectStore) -> None:
    hard, name = quota["spec"].get("hard") or {}, quota["metadata"]["name"]
    missing = [
        f"{resource} for: {','.join(lacking)}"
        for resource in sorted(hard)
        if (lacking := _lacking(pod, resource))
    ]
    refused = f'pods "{pod["metadata"]["name"]}" is forbidden: '
    if missing:
        raise Forbidden(f"{refused}failed quota: {name}: must specify {'; '.join(missing)}")
    used = consumed(quota, store)
    over = [r for r in sorted(hard) if (c := _charge(pod, r)) and used[r] + c > parse_quantity(hard[r])]
    if over:
        wanted = ",".join(f"{r}={format_quantity(_charge(pod, r), r)}" for r in over)
        taken = ",".join(f"{r}={format_quantity(used[r], r)}" for r in over)
        limits = ",".join(f"{r}={hard[r]}" for r in over)
        raise Forbidden(
            f"{refused}exceeded quota: {name}, requested: {wanted}, used: {taken}, limited: {limits}"
        )


def _lacking(pod: Manifest, resource: str) -> list[str]:
    field = "requests" if resource in _REQUESTS else "limits" if resource in _LIMITS else ""
    if not field:
        return []
    key = (_REQUESTS | _LIMITS)[resource]
    return [
        container["name"]
        for container in pod["spec"]["containers"]
        if key not in ((container.get("resources") or {}).get(field) or {})
    ]
