"""Addresses inside the cluster: what an environment variable names, and who answers there.

Owns: parsing addresses, name resolution, the words of connection errors. Does not own: endpoints (`view.py`).
"""

from __future__ import annotations

import re

from harness.environments.simulated.signature import Backend, Signature, Variant
from scenarios.applications.schema import Application

_DSN = re.compile(r"host=([^;\s]+)", re.IGNORECASE)
_DSN_PORT = re.compile(r"port=(\d+)", re.IGNORECASE)


def parse_address(text: str, default_port: int) -> tuple[str, int]:
    """Host and port of `host:port`, a URL or a database connection string. A port that is no number is 0."""
    dsn = _DSN.search(text)
    if dsn is not None:
        port = _DSN_PORT.search(text)
        return dsn[1], int(port[1]) if port else default_port
    rest = text.partition("://")[2] or text
    host, _, port_text = re.split(r"[/?]", rest.rpartition("@")[2], maxsplit=1)[0].partition(":")
    if not port_text:
        return host, default_port
    return host, int(port_text) if port_text.isdigit() else 0


def refused_by(host: str, port: int) -> str:
    """What a client says when nobody listens."""
    return f"Unavailable: dial tcp {host}:{port}: connect: connection refused"


class Addresses:
    """Who answers where, for one signature."""

    def __init__(self, application: Application, signature: Signature) -> None:
        self.application = application
        self._services = {name for name, _ in signature.services}
        self._ports = {
            (name, port.port): port.backends for name, ports in signature.services for port in ports
        }

    def target(self, variant: Variant, address: str, port: int) -> tuple[str, int]:
        """Host and port that a pod's environment variables (joined with `:`) name."""
        env = variant.env_map
        return parse_address(":".join(env.get(name, "") for name in address.split(":")), port)

    def resolve(self, variant: Variant, address: str, to: str, port: int) -> tuple[tuple[Backend, ...], str]:
        """Who is behind an address, or why nobody answers there."""
        host, number = self.target(variant, address, port) if address else (to.partition("/")[0], port)
        service = host.removesuffix(".").removesuffix(".cluster.local").removesuffix(".svc")
        service = service.removesuffix(f".{self.application.namespace}")
        if not variant.resolves_names or service not in self._services:
            return (), f"name resolution failure: lookup {host or '(empty address)'}: no such host"
        backends = self._ports.get((service, number))
        if backends is None:
            return (), refused_by(host, number)
        if not backends:
            return (), f"Unavailable: no healthy upstream for {host}:{number}: connection refused"
        return backends, ""

    def listens(self, backend: Backend, workload: str) -> bool:
        """Whether the pods behind a port are the wanted workload and listen on the port they are asked for."""
        right = backend.workload in self.application.behind(workload) and backend.variant.serves
        ports = self.application.workloads[backend.workload].ports if right else ()
        return right and any(port.target == backend.target_port for port in ports)
