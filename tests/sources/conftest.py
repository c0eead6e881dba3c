"""Each real engine that is installed, started once, with empty tables for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.snapshot.conftest import recorded as recorded
from tests.sources.engines import ENGINES, MARKED, Engine
from tests.sources.layout import LOGS, TRACES


@pytest.fixture(scope="session", params=MARKED)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with ENGINES[request.param](tmp_path_factory.mktemp(request.param)) as engine:
        yield engine


@pytest.fixture
def engine(running: Engine) -> Engine:
    for table in (LOGS, TRACES):
        running.execute(f"TRUNCATE TABLE {table}")
    return running
