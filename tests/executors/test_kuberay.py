"""The KubeRay manifest, checked as far as it can be without a cluster: every key is known, pods are valid.

Keys of RayJob and RayCluster are those of the `ray.io/v1` types of KubeRay 1.5; parts that are core Kubernetes are
read into the Kubernetes client's own models, which drop what they do not know.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml
from kubernetes import client

from harness.cli import hydra_application
from harness.config import parse_config

MANIFEST = Path(__file__).parents[2] / "docs" / "kuberay" / "rayjob.yaml"
JOB = {
    "entrypoint", "backoffLimit", "submissionMode", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished",
    "rayClusterSpec", "runtimeEnvYAML", "activeDeadlineSeconds", "suspend", "clusterSelector", "metadata", "jobId",
    "submitterPodTemplate", "entrypointNumCpus", "entrypointNumGpus", "entrypointResources", "managedBy",
    "deletionStrategy", "submitterConfig",
}  # fmt: skip
CLUSTER = {
    "rayVersion", "authOptions", "headGroupSpec", "workerGroupSpecs", "enableInTreeAutoscaling", "autoscalerOptions",
    "headServiceAnnotations", "suspend", "gcsFaultToleranceOptions", "managedBy",
}  # fmt: skip
HEAD = {"rayStartParams", "template", "serviceType", "headService", "enableIngress", "resources", "labels"}
WORKERS = {
    "groupName", "replicas", "minReplicas", "maxReplicas", "numOfHosts", "rayStartParams", "template",
    "scaleStrategy", "idleTimeoutSeconds", "suspend", "resources", "labels",
}  # fmt: skip


@pytest.fixture(scope="module")
def documents() -> dict[str, Any]:
    return {one["kind"]: one for one in yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8"))}


@pytest.fixture(scope="module")
def job(documents: dict[str, Any]) -> dict[str, Any]:
    assert documents["RayJob"]["apiVersion"] == "ray.io/v1"
    spec: dict[str, Any] = documents["RayJob"]["spec"]
    return spec


def require_kubernetes(part: Mapping[str, Any], kind: str) -> None:
    """The client's model of that kind keeps everything, so every key is known and every value of its type."""
    api = client.ApiClient()
    deserialize = getattr(api, "_ApiClient__deserialize")  # noqa: B009 - `deserialize` differs between versions
    read = deserialize(part, kind)
    assert api.sanitize_for_serialization(read) == part


def test_every_key_is_known_to_kuberay(job: dict[str, Any]) -> None:
    cluster = job["rayClusterSpec"]
    assert job.keys() <= JOB
    assert cluster.keys() <= CLUSTER
    assert cluster["headGroupSpec"].keys() <= HEAD
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group in groups[1:]:
        assert group.keys() <= WORKERS
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    for group in groups:
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
    assert job["submissionMode"] in ("K8sJobMode", "HTTPMode", "SidecarMode", "InteractiveMode")
    assert cluster["authOptions"] == {"mode": "token"}


def test_pods_and_the_volume_are_valid_kubernetes(documents: dict[str, Any], job: dict[str, Any]) -> None:
    require_kubernetes(documents["PersistentVolumeClaim"], "V1PersistentVolumeClaim")
    cluster = job["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        require_kubernetes(group["template"], "V1PodTemplateSpec")
        pod = group["template"]["spec"]
        volumes = {volume["name"] for volume in pod.get("volumes", ())}
        mounted = {mount["name"] for one in pod["containers"] for mount in one.get("volumeMounts", ())}
        assert mounted == volumes
    claimed = cluster["headGroupSpec"]["template"]["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"]
    assert claimed == documents["PersistentVolumeClaim"]["metadata"]["name"]


def test_a_misspelt_key_would_be_found(job: dict[str, Any]) -> None:
    template = job["rayClusterSpec"]["headGroupSpec"]["template"]
    with pytest.raises(AssertionError):
        require_kubernetes({"spec": template["spec"] | {"volumez": []}}, "V1PodTemplateSpec")


def test_the_entrypoint_is_a_command_of_ours(job: dict[str, Any]) -> None:
    program, arguments = job["entrypoint"].split("+", 1)
    assert program == "python -m harness "
    seen: list[Any] = []
    assert hydra_application(["+" + arguments.split()[0], *arguments.split()[1:]], take(seen)) == 0
    config = parse_config(seen[0])
    assert config.executor.kind == "ray"
    assert config.executor.address is None
    mounts = job["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    assert str(config.run_dir).startswith(mounts[0]["mountPath"])


def take(seen: list[Any]) -> Any:
    def work(composed: dict[str, Any]) -> int:
        seen.append(composed)
        return 0

    return work


def test_it_names_the_ray_that_is_installed(job: dict[str, Any]) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", job["rayClusterSpec"]["rayVersion"])
    assert job["rayClusterSpec"]["rayVersion"].split(".")[0] == ray.__version__.split(".")[0]
