"""The shop's program as a process; no cluster needed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from harness.environments.kubernetes.shop import write_context


def start(directory: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a workload until it leaves."""
    write_context(directory)
    known = {"PATH": os.environ["PATH"], "OTEL_SERVICE_NAME": "checkout"}
    command = [sys.executable, str(directory / "shop")]
    return subprocess.run(command, env=known | env, capture_output=True, text=True, timeout=30)


def test_a_port_that_the_application_does_not_have_is_fatal_at_once(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        left = start(tmp_path, KAFKA_ADDR=address)
    assert left.returncode == 1
    assert f"cannot reach KAFKA_ADDR={address}: connection refused" in left.stdout + left.stderr
