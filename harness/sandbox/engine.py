"""The docker engine: how it is reached, which image a name means, and what earlier runs left on it.

Owns: the one connection of a process, the words for an engine that is not there, labels and orphans. Does not
own: what runs in a container (`containers.py`).
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from harness.errors import ConfigurationError, InfrastructureError, Problem

OWNER = "sre-intervention-harness.owner"
"""Label of every container: which process it belongs to."""
LONGEST_S = 86_400
"""Where it cannot be seen whether a container's process lives (another machine, no /proc), it is an orphan after so
long."""
CONNECTIONS = 64
HOW_TO_START = (
    "start one: `sudo systemctl start docker`, or Docker Desktop; as root without systemd: `dockerd &`; "
    "elsewhere: set DOCKER_HOST; `docker info` must work for this user (group docker)"
)


class Image(NamedTuple):
    """An image as the engine has it."""

    id: str
    """Digest of its configuration; names exactly this content."""
    digest: str
    """What is recorded: `name@sha256:...` where a registry knows it, otherwise the id."""


@cache
def engine(process: int) -> Any:
    """The engine's low-level client for a process. Raises ConfigurationError that says how to start one."""
    import docker
    from docker.errors import DockerException

    try:
        knock(address())
        client = docker.APIClient(
            **docker.utils.kwargs_from_env(), version="auto", num_pools=CONNECTIONS, timeout=60
        )
        client.ping()
    except (DockerException, OSError) as error:
        raise ConfigurationError(no_engine(error)) from None
    return client


def connect() -> Any:
    """This process' connection to the engine. Raises ConfigurationError where there is none."""
    return engine(os.getpid())


def address() -> str:
    """Where the engine is expected."""
    return os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"


def knock(where: str) -> None:
    """Raise OSError where nothing listens at a Unix socket: docker-py would leave its end open."""
    scheme, _, path = where.partition("://")
    if scheme == "unix":
        with socket.socket(socket.AF_UNIX) as attempt:
            attempt.connect(path)


def no_engine(error: Exception) -> Problem:
    """An engine that cannot be reached, in the user's terms."""
    denied = "permission denied" in str(error).lower()
    why = "this user may not use it" if denied else "no engine answers"
    return Problem("docker", f"{why} at {address()}", HOW_TO_START)


def find_image(name: str, field: str) -> Image:
    """The image that a name means now. Raises ConfigurationError naming the configuration's field."""
    from docker.errors import ImageNotFound, NullResource

    with answered():
        try:
            found = connect().inspect_image(name)
        except (ImageNotFound, NullResource):
            hint = f"`docker pull {name}`, or build it" if name else f"set {field}"
            raise ConfigurationError(Problem(field, f"the engine has no image {name!r}", hint)) from None
    known = found.get("RepoDigests") or []
    return Image(found["Id"], known[0] if known else found["Id"])


@contextmanager
def answered() -> Iterator[None]:
    """Requests to an engine that worked before: their failure is one of the infrastructure."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        yield
    except (DockerException, RequestException, OSError) as error:
        raise InfrastructureError("infra_sandbox_failed", str(error)[:300]) from error


# --- what belongs to whom ---------------------------------------------------------------------------


def owner() -> Mapping[str, str]:
    """Labels that say that a container is this process'."""
    pid = os.getpid()
    return {OWNER: f"{socket.gethostname()}/{pid}/{started(pid)}"}


def started(pid: int) -> str:
    """When a process started, in ticks since boot: with its pid it names one process. Empty when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    state, *fields = stat.rpartition(")")[2].split()
    return "" if state == "Z" else fields[18]


def is_orphan(label: str, age_s: float) -> bool:
    """Whether the process that a container belongs to is gone."""
    host, _, rest = label.partition("/")
    pid, _, since = rest.partition("/")
    if host != socket.gethostname() or not (pid.isdigit() and since):
        return age_s > LONGEST_S
    return started(int(pid)) != since


def remove_orphans() -> list[str]:
    """Remove the containers whose process is gone; their names. Raises ConfigurationError without an engine and
    InfrastructureError when one could not be removed."""
    removed: list[str] = []
    with answered():
        for found in connect().containers(all=True, filters={"label": OWNER}):
            if is_orphan(found["Labels"][OWNER], time.time() - found["Created"]):
                remove(found["Id"])
                removed.append(found["Names"][0].lstrip("/"))
    return removed


def remove(container: str) -> None:
    """Kill and remove a container that may be gone already, or on its way."""
    from docker.errors import APIError

    try:
        connect().remove_container(container, force=True, v=True)
    except APIError as error:
        if error.status_code not in (404, 409):
            raise
