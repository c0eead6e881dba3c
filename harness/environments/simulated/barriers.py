"""What stands between a caller and a pod that its address leads to.

Owns: ports on which nothing listens, network policies, passwords, the service mesh, requests that an experiment
cuts off; how long a caller waits at each and what it reads. Does not own: finding the pod (`addresses.py`) or
what happens once the call is in (`request_model.py`).
"""

from __future__ import annotations

from harness.environments.simulated.addresses import Addresses, refused_by
from harness.environments.simulated.disturbances import cut_off
from harness.environments.simulated.latency import Latency
from harness.environments.simulated.signature import Backend, Variant
from scenarios.applications.schema import Call

REFUSED_MS: Latency = (1.0, 3.0)


def barrier(
    addresses: Addresses, caller: str, variant: Variant, call: Call, backend: Backend
) -> tuple[Latency, str] | None:
    """(how long the caller waits, what it reads) where the call does not get in; None where it does."""
    workload = call.to.partition("/")[0]
    host, port = addresses.target(variant, call.address, call.port)
    if not addresses.listens(backend, workload):
        return REFUSED_MS, refused_by(host, port)
    if backend.variant.mesh == "strict" and not variant.mesh:
        return (
            REFUSED_MS,
            f"503 upstream connect error or disconnect before headers: {host}:{port}: connection reset",
        )
    cause = cut_off(backend.variant.disturbances, backend.target_port, call.to.partition("/")[2])
    if cause:
        return REFUSED_MS, f"Unavailable: {host}:{port}: {cause}"
    if (caller, backend.target_port) in backend.variant.closed:
        waited = (call.timeout_ms, call.timeout_ms * 1.01)
        return waited, f"Unavailable: dial tcp {host}:{port}: i/o timeout"
    wanted = addresses.application.workloads[backend.workload].password
    if wanted is not None:
        demanded = backend.variant.env_map.get(wanted.variable, "")
        given = [variant.env_map.get(name, "") for name in call.password.split(":")]
        if demanded and ":".join(given) != demanded:
            return (wanted.refusal_ms, wanted.refusal_ms * 1.2), wanted.refusal
    return None
