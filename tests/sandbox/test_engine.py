"""The docker engine: missing, or with things on it that nobody owns any more."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import ConfigurationError
from harness.sandbox import engine
from harness.sandbox.config import Limits, SandboxConfig
from harness.sandbox.engine import OWNER, connect, find_image, is_orphan, owner, remove, remove_orphans

HERE = socket.gethostname()


def harness(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **variables},
        cwd=Path(__file__).parents[2],
    )


@pytest.mark.parametrize(
    "overrides",
    [
        ("sandbox=docker",),
        ("agent=external", "agents.external.image=a/b:1", "agents.external.transport=stdio"),
    ],
)
def test_without_an_engine_the_run_is_refused_and_told_how_to_start_one(
    tmp_path: Path, overrides: tuple[str, ...]
) -> None:
    run = tmp_path / "run"
    done = harness(
        "+experiment=smoke", *overrides, f"run_dir={run}", DOCKER_HOST=f"unix://{tmp_path}/nothing.sock"
    )
    assert done.returncode == 2, done.stderr
    assert f"docker: no engine answers at unix://{tmp_path}/nothing.sock" in done.stderr
    assert "systemctl start docker" in done.stderr
    assert "dockerd" in done.stderr
    assert "Traceback" not in done.stderr
    assert not run.exists()


def test_an_engine_that_may_not_be_used_is_no_missing_engine() -> None:
    problem = engine.no_engine(PermissionError("Permission denied"))
    assert "this user may not use it" in problem.what
    assert "group docker" in problem.hint


def test_root_is_refused_as_the_agents_user() -> None:
    for user in ("0:0", "0:65534", "65534:0"):
        with pytest.raises(ValueError, match="other than 0"):
            Limits(user=user)
    with pytest.raises(ValueError, match="pattern"):
        Limits(user="root")
    with pytest.raises(ValueError, match="privileged"):
        SandboxConfig.model_validate({"kind": "docker", "privileged": True})


@pytest.mark.parametrize(
    ("label", "age_s", "orphan"),
    [
        (owner()[OWNER], 1e9, False),
        (f"{HERE}/{os.getpid()}/1", 5, True),
        (f"{HERE}/999999999/77", 5, True),
        ("elsewhere/1/1", 5, False),
        ("elsewhere/1/1", 1e5, True),
        (f"{HERE}/1/", 5, False),
        ("nonsense", 5, False),
    ],
    ids=["mine", "pid taken again", "process gone", "another machine", "long ago", "no /proc", "unreadable"],
)
def test_a_container_is_an_orphan_when_its_process_is_gone(label: str, age_s: float, orphan: bool) -> None:
    assert is_orphan(label, age_s) is orphan


@pytest.mark.docker
def test_orphans_are_removed_and_nothing_else(docker_image: str) -> None:
    client = connect()

    def leave(label: str) -> str:
        labels, shape = ({OWNER: label} if label else {}), client.create_host_config(network_mode="none")
        made = client.create_container(
            docker_image, ["cat"], labels=labels, host_config=shape, stdin_open=True
        )
        return str(made["Id"])

    orphan, mine, foreign = leave(f"{HERE}/999999999/77"), leave(owner()[OWNER]), leave("")
    try:
        client.start(orphan)
        remove_orphans()
        left = {found["Id"] for found in client.containers(all=True)}
        assert orphan not in left
        assert {mine, foreign} <= left
    finally:
        for container in (orphan, mine, foreign):
            remove(container)


@pytest.mark.docker
def test_an_image_is_known_by_its_digest_and_an_unknown_one_is_explained(docker_image: str) -> None:
    image = find_image(docker_image, "sandbox.image")
    assert image.id.startswith("sha256:")
    assert find_image(image.id, "sandbox.image").id == image.id
    with pytest.raises(
        ConfigurationError, match=r"sandbox\.image: the engine has no image 'no/such:1'.*docker pull"
    ):
        find_image("no/such:1", "sandbox.image")
