"""A real Kubernetes for the tests marked `kubernetes`.

KUBECONFIG names a running one. Otherwise KUBERNETES_UP names a script that starts one and prints
`export KUBECONFIG=...`, with a script `down` beside it that stops what was started. Where neither is set the tests
are skipped and say so.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.config import EnvironmentConfig
from harness.live_config import KubernetesConfig
from tests.kubernetes import image

SHOP = "sre-shop-test:1"


@pytest.fixture(scope="session")
def kubeconfig() -> Iterator[str]:
    """Path of the kubeconfig of a running cluster."""
    if given := os.environ.get("KUBECONFIG"):
        yield given
        return
    script = os.environ.get("KUBERNETES_UP")
    if not script:
        pytest.skip(
            "neither KUBECONFIG (a running cluster) nor KUBERNETES_UP (a script that starts one) is set"
        )
    said = subprocess.run([script], check=True, stdout=subprocess.PIPE, text=True).stdout
    found = re.search(r"KUBECONFIG=(\S+)", said)
    assert found, f"{script} printed no KUBECONFIG: {said!r}"
    yield found[1]
    if "PYTEST_XDIST_WORKER" not in os.environ:  # other workers may be using it
        subprocess.run([Path(script).parent / "down"], check=True)


@pytest.fixture(scope="session")
def shop_image() -> str:
    """The shop's image in the local docker engine; SHOP_IMAGE names one that the cluster has already."""
    if given := os.environ.get("SHOP_IMAGE"):
        return given
    image.build(SHOP)
    return SHOP


@pytest.fixture
def live(kubeconfig: str, shop_image: str) -> EnvironmentConfig:
    """Configuration of a live environment with short times."""
    cluster = KubernetesConfig(
        kubeconfig=kubeconfig,
        image=shop_image,
        images=(
            "registry.access.redhat.com/ubi10/ubi-minimal:latest=busybox:1.35",
            f"registry.access.redhat.com/ubi10/python-314-minimal:latest={shop_image}",
        ),
    )
    return EnvironmentConfig(kind="kubernetes", kubernetes=cluster, permissions="no_secrets")
