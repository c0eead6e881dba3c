"""The published architecture of an application as a service graph.

Owns: which calls count: requests, messages that are read, feature flags that are asked for.
"""

from __future__ import annotations

from harness.telemetry import Topology
from scenarios.applications.schema import Application


def service_graph(application: Application) -> Topology:
    """Calls of the application, who reads messages from whom, who reads flags."""
    calls: dict[tuple[str, str], None] = {}
    flag_server = application.flag_store.workload if application.flag_store else ""
    for name, workload in application.workloads.items():
        for operation in workload.operations.values():
            targets = [call.to for call in operation.calls] + [operation.consumes]
            services = [target.partition("/")[0] for target in targets if target]
            calls.update({(name, one): None for each in services for one in application.behind(each)})
        if workload.flags and flag_server:
            calls[name, flag_server] = None
    return Topology(tuple(application.workloads), tuple(calls))
