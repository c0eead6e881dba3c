"""Who talks to the cluster: the harness with its own credentials, an agent with an account of its trial.

Owns: clients, the agent's service account, Role and token. Does not own: what a trial's namespace contains
(`deployment.py`), or which objects a trial sees (`view.py`).

The agent's account may read and change what a remediation needs, inside the trial's namespace only: no Secrets unless
the configured permissions allow them, no accounts, roles or tokens, no processes in containers, nothing of Chaos
Mesh. Outside it may read nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException
from urllib3.exceptions import HTTPError

from harness.cluster import ClusterError, Manifest
from harness.config import Permissions
from harness.environments.kubernetes.marks import Marks
from harness.errors import ConfigurationError, InfrastructureError, Problem

ACCOUNT = "sre"
RBAC = "rbac.authorization.k8s.io"
TOKEN_S = 24 * 3600
READ = ["get", "list", "watch"]
CHANGE = [*READ, "create", "update", "patch", "delete"]
CORE = [
    "services",
    "configmaps",
    "persistentvolumeclaims",
    "resourcequotas",
    "limitranges",
    "pods",
    "endpoints",
]


def connect(kubeconfig: str | None, context: str | None, in_cluster: bool) -> client.ApiClient:
    """A client with the harness's own credentials. Raises ConfigurationError where there are none."""
    try:
        if in_cluster:
            config.load_incluster_config()
            return client.ApiClient()
        return config.new_client_from_config(kubeconfig, context)
    except (ConfigException, OSError) as error:
        hint = "set environment.kubernetes.kubeconfig or KUBECONFIG, or in_cluster=true inside a pod"
        raise ConfigurationError(Problem("environment.kubernetes", str(error).strip(), hint)) from None


def agent_objects(namespace: str, permissions: Permissions, marks: Marks) -> Sequence[Manifest]:
    """The account of a trial's agent and what it may do."""
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": namespace}
    nodes = marks.cluster_name("nodes")
    place = {"namespace": namespace}
    return (
        _object("v1", "ServiceAccount", {"name": ACCOUNT, **place}, marks),
        _object(f"{RBAC}/v1", "Role", {"name": ACCOUNT, **place}, marks, rules=rules(permissions, namespace)),
        _object(
            f"{RBAC}/v1",
            "RoleBinding",
            {"name": ACCOUNT, **place},
            marks,
            roleRef={"apiGroup": RBAC, "kind": "Role", "name": ACCOUNT},
            subjects=[subject],
        ),
        _object(
            f"{RBAC}/v1",
            "ClusterRole",
            {"name": nodes},
            marks,
            rules=[{"apiGroups": [""], "resources": ["nodes"], "verbs": READ}],
        ),
        _object(
            f"{RBAC}/v1",
            "ClusterRoleBinding",
            {"name": nodes},
            marks,
            roleRef={"apiGroup": RBAC, "kind": "ClusterRole", "name": nodes},
            subjects=[subject],
        ),
    )


def rules(permissions: Permissions, namespace: str) -> list[dict[str, Any]]:
    """What the account may do inside its namespace."""
    granted: list[dict[str, Any]] = [
        {"apiGroups": [""], "resources": CORE, "verbs": CHANGE},
        {"apiGroups": [""], "resources": ["pods/log", "events", "serviceaccounts"], "verbs": READ},
        {"apiGroups": [""], "resources": ["namespaces"], "resourceNames": [namespace], "verbs": ["get"]},
        {"apiGroups": ["apps"], "resources": ["deployments", "statefulsets", "daemonsets"], "verbs": CHANGE},
        {"apiGroups": ["apps"], "resources": ["replicasets", "controllerrevisions"], "verbs": READ},
        {"apiGroups": ["batch"], "resources": ["jobs", "cronjobs"], "verbs": CHANGE},
        {"apiGroups": ["autoscaling"], "resources": ["horizontalpodautoscalers"], "verbs": CHANGE},
        {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies", "ingresses"], "verbs": CHANGE},
        {"apiGroups": ["policy"], "resources": ["poddisruptionbudgets"], "verbs": CHANGE},
        {"apiGroups": ["events.k8s.io", "discovery.k8s.io"], "resources": ["*"], "verbs": READ},
    ]
    if permissions == "full":
        granted.append({"apiGroups": [""], "resources": ["secrets"], "verbs": CHANGE})
    return granted


def agent_client(harness: client.ApiClient, namespace: str) -> client.ApiClient:
    """A client that carries the token of the agent's account and nothing else of the harness.

    Raises InfrastructureError where the cluster issues no tokens, ClusterError where it does not answer."""
    request = client.AuthenticationV1TokenRequest(
        spec=client.V1TokenRequestSpec(audiences=[], expiration_seconds=TOKEN_S)
    )
    try:
        issued = client.CoreV1Api(harness).create_namespaced_service_account_token(
            ACCOUNT, namespace, request
        )
    except ApiException as error:
        raise InfrastructureError("infra_deploy_failed", f"no token for the agent: {error.reason}") from None
    except HTTPError as error:
        raise ClusterError(f"the API server did not answer: {error}") from None
    settings = client.Configuration()
    settings.host = harness.configuration.host
    for field in ("ssl_ca_cert", "verify_ssl", "tls_server_name", "proxy"):
        setattr(settings, field, copy(getattr(harness.configuration, field, None)))
    settings.api_key = {"authorization": f"Bearer {issued.status.token}"}
    return client.ApiClient(settings)


def allowed(api: client.ApiClient, verb: str, group: str, resource: str, namespace: str) -> bool:
    """Whether the identity of a client may do something (`resource` or `resource/subresource`), asked of the API
    server itself."""
    resource, _, subresource = resource.partition("/")
    attributes = client.V1ResourceAttributes(
        verb=verb, group=group, resource=resource, subresource=subresource or None, namespace=namespace
    )
    spec = client.V1SelfSubjectAccessReviewSpec(resource_attributes=attributes)
    review = client.V1SelfSubjectAccessReview(spec=spec)
    answer = client.AuthorizationV1Api(api).create_self_subject_access_review(review)
    return bool(answer.status.allowed)


def _object(version: str, kind: str, metadata: dict[str, Any], marks: Marks, **fields: Any) -> Manifest:
    labelled = {**metadata, "labels": marks.labels, "annotations": marks.annotations}
    return {"apiVersion": version, "kind": kind, "metadata": labelled, **fields}
