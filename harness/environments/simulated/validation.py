"""Checks of objects before they are stored, in the words of the API server.

Owns: which values are allowed. All problems of an object are reported together. Does not own: which fields
exist (`fields.py`), their JSON types (`shape.py`), quota and namespaces (`admission.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from harness.cluster import Invalid, Manifest
from harness.environments.simulated.fields import WORKLOADS, containers_of, pod_specs
from harness.environments.simulated.kinds import kind_of
from harness.environments.simulated.quantity import parse_quantity

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_LABEL = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")


def validate(manifest: Manifest, old: Manifest | None) -> None:
    """Raises Invalid with every problem of an object that is about to be stored in place of `old`."""
    kind, problems = manifest["kind"], list(_metadata(manifest))
    if kind in WORKLOADS:
        problems += _workload(manifest, old)
    elif kind == "Service":
        problems += _service(manifest, old)
    elif kind in ("ConfigMap", "Secret"):
        problems += _data(manifest)
    elif kind == "ResourceQuota":
        problems += _quantities(manifest.get("spec", {}).get("hard") or {}, "spec.hard")
    elif kind == "PersistentVolumeClaim" and old is not None:
        problems += _claim_update(manifest, old)
    elif kind == "PriorityClass" and old is not None and manifest.get("value") != old.get("value"):
        problems.append("value: Forbidden: may not be changed in an update.")
    elif kind == "Pod" and old is not None:
        problems += _pod_update(manifest, old)
    for path, pod_spec in pod_specs(manifest):
        problems += _pod_spec(pod_spec, path)
    if problems:
        group = kind_of(kind).group
        named = f"{kind}.{group}" if group else kind
        listed = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
        raise Invalid(f'{named} "{manifest["metadata"]["name"]}" is invalid: {listed}')


def _invalid(path: str, value: Any, detail: str) -> str:
    return f"{path}: Invalid value: {json.dumps(value)}: {detail}"


def _metadata(manifest: Manifest) -> Iterator[str]:
    metadata = manifest["metadata"]
    if not _NAME.fullmatch(str(metadata["name"])):
        rule = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'"
        yield _invalid("metadata.name", metadata["name"], rule)
    yield from _labels(metadata.get("labels") or {}, "metadata.labels")
    for name, value in (metadata.get("annotations") or {}).items():
        if not isinstance(value, str):
            yield _invalid(f"metadata.annotations[{name}]", value, "must be a string")


def _labels(labels: Any, path: str) -> Iterator[str]:
    if not isinstance(labels, dict):
        yield _invalid(path, labels, "must be a map of strings")
        return
    for name, value in labels.items():
        if not isinstance(value, str) or not _LABEL.fullmatch(value) or len(value) > 63:
            rule = (
                "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.'"
            )
            yield _invalid(f"{path}.{name}", value, rule)


def _workload(manifest: Manifest, old: Manifest | None) -> Iterator[str]:
    spec = manifest["spec"]
    replicas = spec.get("replicas", 1)
    if not isinstance(replicas, int) or isinstance(replicas, bool):
        yield _invalid("spec.replicas", replicas, "must be an integer")
    elif replicas < 0:
        yield _invalid("spec.replicas", replicas, "must be greater than or equal to 0")
    template = spec.get("template")
    labels = (template.get("metadata") or {}).get("labels") or {} if isinstance(template, dict) else {}
    if not isinstance(template, dict):
        yield "spec.template: Required value"
    yield from _labels(labels, "spec.template.metadata.labels")
    selector = (spec.get("selector") or {}).get("matchLabels") or {}
    if not selector:
        yield "spec.selector: Required value"
    elif any(labels.get(name) != value for name, value in selector.items()):
        yield _invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
    if old is not None and old["spec"].get("selector") != spec.get("selector"):
        yield _invalid("spec.selector", spec.get("selector"), "field is immutable")


def _pod_spec(spec: Manifest, path: str) -> Iterator[str]:
    if not spec.get("containers"):
        yield f"{path}.containers: Required value"
    policy = spec.get("dnsPolicy", "ClusterFirst")
    supported = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
    if policy not in supported:
        listed = ", ".join(f'"{name}"' for name in supported)
        yield f'{path}.dnsPolicy: Unsupported value: "{policy}": supported values: {listed}'
    yield from _labels(spec.get("nodeSelector") or {}, f"{path}.nodeSelector")
    names: set[str] = set()
    volumes = {volume.get("name") for volume in spec.get("volumes") or ()}
    for field, container in containers_of(spec):
        where = f"{path}.{field}"
        if not isinstance(container, dict):
            yield _invalid(where, container, "must be an object")
            continue
        yield from _container(container, where)
        name = str(container.get("name", ""))
        if name in names:
            yield f'{where}.name: Duplicate value: "{name}"'
        names.add(name)
        for number, mount in enumerate(container.get("volumeMounts") or ()):
            if mount.get("name") not in volumes:
                yield f'{where}.volumeMounts[{number}].name: Not found: "{mount.get("name")}"'


def _container(container: Manifest, path: str) -> Iterator[str]:
    for field in ("name", "image"):
        if not container.get(field):
            yield f"{path}.{field}: Required value"
    for field in ("command", "args"):
        value = container.get(field)
        if value is not None and not (
            isinstance(value, list) and all(isinstance(item, str) for item in value)
        ):
            yield _invalid(f"{path}.{field}", value, "must be a list of strings")
    for number, variable in enumerate(container.get("env") or ()):
        if not variable.get("name"):
            yield f"{path}.env[{number}].name: Required value"
        if not isinstance(variable.get("value", ""), str):
            yield _invalid(f"{path}.env[{number}].value", variable["value"], "must be a string")
    for number, port in enumerate(container.get("ports") or ()):
        yield from _port(port.get("containerPort"), f"{path}.ports[{number}].containerPort")
    resources = container.get("resources") or {}
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    bad = [
        *_quantities(limits, f"{path}.resources.limits"),
        *_quantities(requests, f"{path}.resources.requests"),
    ]
    yield from bad
    for name, value in requests.items() if not bad else ():
        if name in limits and parse_quantity(value) > parse_quantity(limits[name]):
            rule = f"must be less than or equal to {name} limit of {limits[name]}"
            yield _invalid(f"{path}.resources.requests", value, rule)


def _quantities(resources: Manifest, path: str) -> list[str]:
    problems = []
    for name, value in resources.items():
        try:
            if parse_quantity(value) < 0:
                problems.append(_invalid(f"{path}[{name}]", value, "must be greater than or equal to 0"))
        except (ValueError, TypeError) as error:
            problems.append(_invalid(f"{path}[{name}]", value, str(error)))
    return problems


def _port(value: Any, path: str) -> Iterator[str]:
    if value is None:
        yield f"{path}: Required value"
    elif not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 65536:
        yield _invalid(path, value, "must be between 1 and 65535, inclusive")


def _service(manifest: Manifest, old: Manifest | None) -> Iterator[str]:
    spec = manifest["spec"]
    ports = spec.get("ports") or []
    if not ports and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None":
        yield "spec.ports: Required value"
    yield from _labels(spec.get("selector") or {}, "spec.selector")
    for number, port in enumerate(ports):
        yield from _port(port.get("port"), f"spec.ports[{number}].port")
        target = port.get("targetPort")
        if isinstance(target, int):
            yield from _port(target, f"spec.ports[{number}].targetPort")
        elif not isinstance(target, str) or not re.fullmatch(r"[a-z0-9-]{1,15}", target):
            rule = (
                "must be a port number or contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
            )
            yield _invalid(f"spec.ports[{number}].targetPort", target, rule)
        if len(ports) > 1 and not port.get("name"):
            yield f"spec.ports[{number}].name: Required value"
    if old is not None and old["spec"].get("clusterIP") != spec.get("clusterIP"):
        yield _invalid("spec.clusterIP", spec.get("clusterIP"), "field is immutable")


def _data(manifest: Manifest) -> Iterator[str]:
    data = manifest.get("data") or {}
    if not isinstance(data, dict):
        yield _invalid("data", data, "must be a map of strings")
        return
    for name, value in data.items():
        if not isinstance(value, str):
            yield _invalid(f"data.{name}", value, "must be a string")


def _claim_update(manifest: Manifest, old: Manifest) -> Iterator[str]:
    def frozen(spec: Manifest) -> Manifest:
        return {**spec, "resources": None, "volumeName": None}

    if frozen(manifest["spec"]) != frozen(old["spec"]):
        yield (
            "spec: Forbidden: spec is immutable after creation except resources.requests and "
            "volumeAttributesClassName for bound claims"
        )


def _pod_update(manifest: Manifest, old: Manifest) -> Iterator[str]:
    def frozen(spec: Manifest) -> Manifest:
        images = [{**container, "image": ""} for container in spec.get("containers") or ()]
        return {**spec, "containers": images, "tolerations": None, "activeDeadlineSeconds": None}

    if frozen(manifest["spec"]) != frozen(old["spec"]):
        yield (
            "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
            "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` "
            "(only additions to existing tolerations),`spec.terminationGracePeriodSeconds`"
        )
