"""The docker engine: whether it answers, can enforce limits, and has the images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.config import ExperimentConfig
from harness.doctor.findings import Finding, Status, broken
from harness.errors import ConfigurationError, InfrastructureError
from harness.sandbox.engine import answered, connect, find_image
from harness.sandbox.upkeep import images_of

LIMITS = {"MemoryLimit": "memory", "CpuCfsQuota": "processors", "PidsLimit": "processes"}
"""What the engine says it can limit -> what a sandbox limits."""


def check_docker(config: ExperimentConfig) -> Sequence[Finding]:
    """The engine, then each image that the configuration names."""
    images = images_of(config)
    needed = bool(images)
    try:
        with answered():
            info = connect().info()
    except ConfigurationError as error:
        return broken("docker", needed, error)
    except InfrastructureError as error:
        return [Finding("docker", "failed" if needed else "absent", error.detail, "restart the engine")]
    found = [engine_finding(info, needed)]
    for field, name in images.items():
        try:
            image = find_image(name, field)
        except ConfigurationError as error:
            found += broken("docker image", True, error)
        else:
            found.append(Finding("docker image", "ok", f"{name} is {image.digest}"))
    return found


def engine_finding(info: Mapping[str, Any], needed: bool) -> Finding:
    """What the engine says about itself."""
    what = (
        f"engine {info.get('ServerVersion')}, cgroup v{info.get('CgroupVersion', '1')}, {info.get('Driver')}"
    )
    missing = [limit for key, limit in LIMITS.items() if not info.get(key)]
    if not any("seccomp" in option for option in info.get("SecurityOptions") or ()):
        missing.append("system calls (seccomp)")
    if not missing:
        return Finding("docker", "ok", what)
    hint = "sandboxes would not be confined: use an engine whose cgroup controllers are mounted"
    status: Status = "failed" if needed else "absent"
    return Finding("docker", status, f"{what}; it cannot limit {', '.join(missing)}", hint)
