"""The run that nothing disturbed, to which all others are compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.survival.runs import give, kept, raw_config


@pytest.fixture(scope="session")
def quiet_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its directory."""
    raw = raw_config(tmp_path_factory.mktemp("quiet") / "run")
    done = give(raw)
    assert done.code == 0, done.said
    assert len(kept(raw)) == 8
    return Path(raw["run_dir"])
