"""The Kubernetes API server: whether it answers, and whether we may do there what a trial takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from harness.config import ExperimentConfig
from harness.doctor.findings import Finding, Status, broken
from harness.errors import ConfigurationError
from harness.live_config import KubernetesConfig

ANSWER_S = 10
LIVE = ("kubernetes", "attached")
"""Environments that play on a cluster."""
HINT = (
    "`kubectl version` must work with this kubeconfig and context; docs/live_cluster.md says what is needed"
)


class Permission(NamedTuple):
    """Something that the harness does on a cluster, in the words of a SelfSubjectAccessReview."""

    verb: str
    resource: str
    group: str = ""
    subresource: str = ""

    def __str__(self) -> str:
        name = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        return f"{self.verb} {name}"


RBAC = "rbac.authorization.k8s.io"
NEEDED = (
    *(Permission(verb, "namespaces") for verb in ("create", "delete", "list")),
    *(Permission("create", kind) for kind in ("configmaps", "secrets", "services", "resourcequotas")),
    *(Permission(verb, "deployments", "apps") for verb in ("create", "patch", "delete")),
    *(Permission("create", kind, RBAC) for kind in ("roles", "rolebindings", "clusterroles")),
    *(Permission(verb, "clusterrolebindings", RBAC) for verb in ("create", "delete")),
    Permission("create", "serviceaccounts"),
    Permission("create", "serviceaccounts", subresource="token"),
    Permission("get", "pods", subresource="log"),
    Permission("get", "pods", subresource="proxy"),
    Permission("list", "nodes"),
    Permission("list", "events"),
)


def check_cluster(config: ExperimentConfig) -> Sequence[Finding]:
    """Ask for the version, then for each permission."""
    needed = config.environment.kind in LIVE
    settings = config.environment.kubernetes or KubernetesConfig()
    from harness.environments.kubernetes.access import connect

    try:
        api = connect(settings.kubeconfig, settings.context, settings.in_cluster)
    except ConfigurationError as error:
        return broken("cluster", needed, error)
    return asked(api, "failed" if needed else "absent")


def asked(api: Any, otherwise: Status) -> Sequence[Finding]:
    """What the API server answers."""
    from kubernetes import client
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    try:
        version = client.VersionApi(api).get_code(_request_timeout=ANSWER_S)
        refused = [str(one) for one in NEEDED if not allowed(api, one)]
    except ApiException as error:
        what = f"{api.configuration.host} refused: {error.status} {error.reason}"
        return [Finding("cluster", otherwise, what, HINT)]
    except (HTTPError, ValueError) as error:  # ValueError: something answers that is no API server
        what = f"API server expected at {api.configuration.host}: it does not answer as one ({type(error).__name__})"
        return [Finding("cluster", otherwise, what, HINT)]
    found = [Finding("cluster", "ok", f"Kubernetes {version.git_version} at {api.configuration.host}")]
    if refused:
        hint = "bind this account to a role that allows them, or use one that is cluster-admin"
        found.append(Finding("permissions", otherwise, f"not allowed: {', '.join(refused)}", hint))
    else:
        found.append(Finding("permissions", "ok", f"all {len(NEEDED)} that trials take"))
    return found


def allowed(api: Any, wanted: Permission) -> bool:
    """Whether the account may, in every namespace."""
    from kubernetes import client

    attributes = client.V1ResourceAttributes(
        verb=wanted.verb, resource=wanted.resource, group=wanted.group, subresource=wanted.subresource
    )
    review = client.V1SelfSubjectAccessReview(
        spec=client.V1SelfSubjectAccessReviewSpec(resource_attributes=attributes)
    )
    answer = client.AuthorizationV1Api(api).create_self_subject_access_review(
        review, _request_timeout=ANSWER_S
    )
    return bool(answer.status.allowed)
