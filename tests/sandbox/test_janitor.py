"""The verb that removes what killed runs left, as far as containers go."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from harness.sandbox.engine import OWNER, connect, remove
from tests.sandbox.test_engine import harness


def test_with_neither_engine_nor_cluster_there_is_nothing_to_look_at(tmp_path: Path) -> None:
    done = harness("janitor", DOCKER_HOST=f"unix://{tmp_path}/no.sock", KUBECONFIG=str(tmp_path / "none"))
    assert done.returncode == 2
    assert "no engine answers" in done.stderr
    assert "kubernetes" in done.stderr


@pytest.mark.docker
def test_orphans_go_and_what_lives_stays(docker_image: str, tmp_path: Path) -> None:
    client, here = connect(), socket.gethostname()
    shape = client.create_host_config(network_mode="none")
    labels = {"dead": f"{here}/999999999/77", "alive": f"{here}/{os.getpid()}/{start_of(os.getpid())}"}
    made = {
        name: client.create_container(docker_image, ["cat"], labels={OWNER: label}, host_config=shape)["Id"]
        for name, label in labels.items()
    }
    try:
        done = harness("janitor", KUBECONFIG=str(tmp_path / "none"))
        assert done.returncode == 0, done.stderr
        assert "removed container" in done.stdout
        assert "not looked at: environment.kubernetes" in done.stderr
        left = {found["Id"] for found in client.containers(all=True)}
        assert made["dead"] not in left
        assert made["alive"] in left
    finally:
        for container in made.values():
            remove(container)


def start_of(pid: int) -> str:
    """When a process started, in ticks since boot, as proc(5) has it: field 22."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
