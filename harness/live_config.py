"""The configuration of a live cluster (`environment.kubernetes`).

Owns: its fields. Does not own: what is done with them (`harness/environments/kubernetes`), when an incident soaks and
settles (`harness/config.py`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from harness.addresses import plain_address

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
"""A name that stands in a query as it is."""


class AttachedConfig(BaseModel):
    """An application that is on the cluster already, and its monitoring."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    prometheus: str
    """URL of its Prometheus, as the harness reaches it."""
    clickhouse: str | None = None
    """URL of its ClickHouse's HTTP interface: log records and call paths come from there; null means that logs are
    the containers'."""
    clickhouse_user: str = "default"
    """As whom it is asked."""
    clickhouse_password_env: str | None = Field(default=None, pattern=r"^[A-Za-z_]\w*$")
    """Name of the environment variable with that user's password; null means that there is none."""
    clickhouse_database: Identifier = "default"
    """Where the tables are."""
    clickhouse_logs: Identifier | None = None
    """Table of log records; null means the application's namespace and `_logs`, such as otel_demo_logs."""
    clickhouse_traces: Identifier | None = None
    """Table of spans; null means the application's namespace and `_traces`."""
    jaeger: str | None = None
    """URL of its Jaeger with the base path: call paths come from there where no ClickHouse is configured; null means
    that they are what span metrics tell."""
    rate_window_s: float = Field(default=120, gt=0)
    """Range of rates in metric queries."""
    lease_namespace: str = "default"
    """Where the lease and the snapshot are kept; never the application's own namespace."""
    lease_wait_s: float = Field(default=3600, ge=0)
    """Wall seconds to wait for another trial to finish."""
    health_s: float = Field(default=600, ge=0)
    """Wall seconds within which the application must be free of alerts before an incident."""
    normal_alerts: tuple[str, ...] = ("Watchdog", "InfoInhibitor", "TargetDown")
    """Alerts that fire there without any incident."""
    chaos_namespaces: tuple[str, ...] = ("chaos-mesh",)
    """Where chaos experiments are removed after a trial, beside the application's namespace."""

    @field_validator("prometheus", "clickhouse", "jaeger", mode="before")
    @classmethod
    def _without_credentials(cls, url: Any) -> Any:
        hint = "set clickhouse_user, and the name of the password's variable as clickhouse_password_env"
        return plain_address(url, f"for ClickHouse {hint}")


class KubernetesConfig(BaseModel):
    """A live cluster on which the harness deploys the application itself, once per trial."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kubeconfig: str | None = None
    """Path; null means KUBECONFIG or ~/.kube/config."""
    context: str | None = None
    """Context of that file; null means its current one."""
    in_cluster: bool = False
    """Use the service account of the pod in which the harness runs."""
    image: str = "shop:1"
    """The image of every workload: docs/live_cluster.md."""
    pull_policy: Literal["IfNotPresent", "Always", "Never"] = "IfNotPresent"
    images: tuple[Annotated[str, Field(pattern=r"^[^=\s]+=[^=\s]+$")], ...] = ()
    """`image=other`: where a fault or an agent asks for an image, this cluster pulls another in its place."""
    time_scale: float = Field(default=0.1, gt=0, le=1)
    """Wall seconds per second of soaking, settling, waiting, verdict and of the windows of alert rules."""
    scrape_s: float = Field(default=3, gt=0)
    """Wall seconds between two scrapes of metrics and objects."""
    max_trials: int = Field(default=4, ge=1)
    """Trials on the cluster at a time: each claims that share of `resource`."""
    resource: str = "kubernetes"
    """Ray's custom resource that stands for this cluster; nodes that may use it offer 1 of it."""
    pods: int = Field(default=60, ge=30)
    """Quota of pods per trial."""
    cpu_request: str = "5m"
    """What a container of the application requests at most, so that several trials fit on a cluster."""
    memory_request: str = "96Mi"
    """The same for memory. Limits stay as the application has them."""
    run_name: str = "unnamed"
    """Opaque mark of a run's objects on the cluster; an experiment sets it from its configuration and run_dir."""
    network_policies: bool | None = None
    """Whether the cluster enforces NetworkPolicies; null looks for a network plugin that is known to."""
    deploy_s: float = Field(default=240, gt=0)
    """Wall seconds within which the application must be available."""
    ttl_s: float = Field(default=3600, ge=600)
    """Wall seconds after which what a trial left may be removed by anybody's janitor."""
    node_faults: bool = False
    """Allow faults that touch nodes or the API server. Only where nobody else uses the cluster."""

    attached: AttachedConfig | None = None
    """environment=attached: the application that is there already."""

    @model_validator(mode="after")
    def _alone(self) -> KubernetesConfig:
        if self.node_faults and self.max_trials > 1:
            raise ValueError("node_faults needs max_trials=1: trials would break each other's nodes")
        return self

    @property
    def pulled(self) -> dict[str, str]:
        """What stands in `images`."""
        return dict(entry.split("=", 1) for entry in self.images)


WHERE_IT_RUNS = {
    "kubeconfig",
    "context",
    "in_cluster",
    "pull_policy",
    "max_trials",
    "deploy_s",
    "ttl_s",
    "run_name",
    "resource",
}
"""Fields of KubernetesConfig that have no influence on results."""
