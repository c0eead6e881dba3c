"""Kubernetes manifests of an application, as its chart would render them.

Owns: the form of the objects. Does not own: defaults that the API server fills in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from harness.cluster import Manifest
from harness.errors import ConfigurationError, Problem
from scenarios.applications.schema import Application, Autoscaling, Workload

COMPONENT = "app.kubernetes.io/component"


def render(application: Application, options: Mapping[str, Any]) -> list[Manifest]:
    """All objects in order of creation. Raises ConfigurationError for unknown options or values."""
    chosen = chosen_env(application, options)
    namespace = application.namespace
    mesh = {"istio.io/dataplane-mode": "ambient"} if application.ambient_mesh else None
    manifests = [_object("v1", "Namespace", namespace, "", mesh)]
    for name, data in {**_flag_config(application), **application.config_maps}.items():
        manifests.append({**_object("v1", "ConfigMap", name, namespace), "data": dict(data)})
    for name, data in application.secrets.items():
        manifests.append(
            {**_object("v1", "Secret", name, namespace), "type": "Opaque", "stringData": dict(data)}
        )
    for name, workload in application.workloads.items():
        if workload.ports and application.behind(workload.service or name)[0] == name:
            manifests.append(_service(workload.service or name, workload, application))
        manifests.append(_deployment(name, workload, application, chosen.get(name, {})))
    if application.autoscaling is not None and given(options).get(application.autoscaling.option):
        manifests += [
            _autoscaler(name, workload, application.autoscaling, namespace)
            for name, workload in application.workloads.items()
            if workload.traced
        ]
    return [*manifests, *application.objects]


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options by their dotted names."""
    return dict(_flatten(options))


def chosen_env(application: Application, options: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Workload -> environment variables that the options (defaults included) decide."""
    flat = given(options)
    switch = application.autoscaling.option if application.autoscaling else ""
    problems = [
        Problem(f"application option {name}", f"{application.name} has no such option",
                f"expected one of {', '.join(application.options) or 'none'}")
        for name in flat
        if name not in application.options and name != switch
    ]  # fmt: skip
    env: dict[str, dict[str, str]] = {}
    for name, option in application.options.items():
        text = json.dumps(flat[name]) if name in flat else None
        if text is not None and text not in option.values:
            problems.append(
                Problem(f"application option {name}", f"found {text}", f"expected {', '.join(option.values)}")
            )
            continue
        env.setdefault(option.workload, {})[option.env] = (
            option.default if text is None else option.values[text]
        )
    if problems:
        raise ConfigurationError(problems)
    return env


def labels_of(name: str, workload: Workload) -> dict[str, str]:
    """The labels of a workload and its pods."""
    if workload.labels:
        return dict(workload.labels)
    return {"app.kubernetes.io/name": name, COMPONENT: workload.component or name}


def _flatten(options: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in options.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _object(
    version: str, kind: str, name: str, namespace: str, labels: Mapping[str, str] | None = None
) -> Manifest:
    metadata: dict[str, Any] = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    if labels:
        metadata["labels"] = dict(labels)
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


def _flag_config(application: Application) -> dict[str, dict[str, str]]:
    store = application.flag_store
    if store is None:
        return {}
    flags = {
        name: {
            "description": flag.description,
            "state": "ENABLED",
            "variants": dict(flag.variants),
            "defaultVariant": flag.default,
        }
        for name, flag in store.flags.items()
    }
    document = {"$schema": "https://flagd.dev/schema/v0/flags.json", "flags": flags}
    return {store.config_map: {store.key: json.dumps(document, indent=2)}}


def _service(name: str, workload: Workload, application: Application) -> Manifest:
    labels = labels_of(name, workload)
    manifest = _object("v1", "Service", name, application.namespace, labels)
    ports = [
        {"name": p.name, "port": p.port, "protocol": "TCP", "targetPort": p.target} for p in workload.ports
    ]
    selector = dict(workload.selector) or {COMPONENT: labels[COMPONENT]}
    manifest["spec"] = {"type": "ClusterIP", "selector": selector, "ports": ports}
    return manifest


def _deployment(name: str, workload: Workload, application: Application, env: Mapping[str, str]) -> Manifest:
    labels = labels_of(name, workload)
    manifest = _object("apps/v1", "Deployment", name, application.namespace, labels)
    pod_spec: dict[str, Any] = {"containers": [_container(name, workload, application, env)]}
    if workload.mounts:
        pod_spec["volumes"] = [{"name": volume, "configMap": {"name": volume}} for volume in workload.mounts]
    manifest["spec"] = {
        "replicas": workload.replicas,
        "selector": {"matchLabels": labels if workload.labels else {COMPONENT: labels[COMPONENT]}},
        "template": {"metadata": {"labels": dict(labels)}, "spec": pod_spec},
    }
    return manifest


def _autoscaler(name: str, workload: Workload, autoscaling: Autoscaling, namespace: str) -> Manifest:
    requested = {"cpu": any(workload.cpu), "memory": any(workload.memory)}
    manifest = _object("autoscaling/v2", "HorizontalPodAutoscaler", name, namespace)
    manifest["spec"] = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        "minReplicas": 1,
        "maxReplicas": autoscaling.max_replicas,
        "metrics": [
            {
                "type": "Resource",
                "resource": {
                    "name": resource,
                    "target": {"type": "Utilization", "averageUtilization": percent},
                },
            }
            for resource, percent in autoscaling.utilization.items()
            if requested.get(resource)
        ],
    }
    return manifest


def _container(name: str, workload: Workload, application: Application, env: Mapping[str, str]) -> Manifest:
    container: dict[str, Any] = {
        "name": workload.container or name,
        "image": workload.image,
        "imagePullPolicy": "IfNotPresent",
    }
    if workload.command:
        container["command"] = list(workload.command)
    if workload.ports:
        container["ports"] = [
            {"name": p.name, "containerPort": p.target, "protocol": "TCP"} for p in workload.ports
        ]
    named = {} if application.ambient_mesh else {"OTEL_SERVICE_NAME": name}
    variables = {**named, **application.common_env, **workload.env, **env}
    container["env"] = [{"name": key, "value": value} for key, value in variables.items()]
    for key, source in workload.secret_env.items():
        secret, _, entry = source.partition("/")
        reference = {"secretKeyRef": {"name": secret, "key": entry}}
        container["env"].append({"name": key, "valueFrom": reference})
    resources = _resources(workload)
    if resources:
        container["resources"] = resources
    if workload.mounts:
        container["volumeMounts"] = [
            {"name": volume, "mountPath": path} for volume, path in workload.mounts.items()
        ]
    return container


def _resources(workload: Workload) -> dict[str, dict[str, str]]:
    resources: dict[str, dict[str, str]] = {}
    for resource, amounts in (("cpu", workload.cpu), ("memory", workload.memory)):
        for group, amount in zip(("requests", "limits"), amounts, strict=True):
            if amount:
                resources.setdefault(group, {})[resource] = amount
    return resources
