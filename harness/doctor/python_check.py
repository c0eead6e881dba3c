"""The interpreter and the harness itself."""

from __future__ import annotations

import platform
from collections.abc import Sequence

from harness import __version__
from harness.config import ExperimentConfig
from harness.doctor.findings import Finding


def check_python(config: ExperimentConfig) -> Sequence[Finding]:
    """Which versions run."""
    what = f"harness {__version__} on Python {platform.python_version()}, {platform.system()}"
    return [Finding("python", "ok", what)]
