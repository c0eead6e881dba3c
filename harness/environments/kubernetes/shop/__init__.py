"""The shop that plays on a live cluster: one image for every workload of an application.

Owns: the build context of that image (`write_context`): the program, what it has to know of the application as
JSON, and the Dockerfile. Does not own: how it is deployed (`deployment.py`) or how an image gets to a cluster
(docs/live_cluster.md).

    python -m harness.environments.kubernetes.shop DIRECTORY
    docker build -t shop:1 DIRECTORY
    kind load docker-image shop:1
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from scenarios.applications import load_application
from scenarios.applications.schema import Application

HERE = Path(__file__).parent
ENTRY = "from program.server import main\n\nmain()\n"
"""`python3 /shop` runs this."""
KNOWN_TO_THE_PROGRAM = {
    "ports",
    "operations",
    "flags",
    "caches_flags",
    "needs_at_start",
    "password",
    "start_log",
    "traced",
    "internal_spans",
}
"""Fields of a workload that decide what its process does; the others are Kubernetes' business."""


def program_data(application: Application) -> dict[str, Any]:
    """What the program has to know of an application."""
    store = application.flag_store
    mounts = application.workloads[store.workload].mounts if store else {}
    return {
        "flag_store": {
            "workload": store.workload if store else "",
            "path": f"{mounts[store.config_map]}/{store.key}" if store else "",
        },
        "workloads": {
            name: workload.model_dump(mode="json", include=KNOWN_TO_THE_PROGRAM)
            for name, workload in application.workloads.items()
        },
    }


def write_context(directory: Path, application: str = "otel-demo") -> None:
    """Write everything that `docker build` needs into a directory."""
    place = directory / "shop"
    shutil.copytree(
        HERE / "program", place / "program", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("Dockerfile", "valkey-server"):
        shutil.copy(HERE / name, directory / name)
    (place / "__main__.py").write_text(ENTRY, encoding="utf-8")
    data = json.dumps(program_data(load_application(application)), separators=(",", ":"))
    (place / "application.json").write_text(data, encoding="utf-8")
