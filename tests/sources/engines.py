"""Real ClickHouse engines for tests: the server that Debian has (18.16), a current one inside a Python package."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from harness.environments.kubernetes.sources.clickhouse import ClickHouse
from tests.sources.layout import statements

USER, PASSWORD = "sre", "it's \\ sécret ☃"
SETTINGS = """<yandex>
  <logger><level>none</level></logger>
  <listen_host>127.0.0.1</listen_host><http_port>{port}</http_port>
  <path>{place}/data/</path><tmp_path>{place}/tmp/</tmp_path><user_files_path>{place}/files/</user_files_path>
  <mark_cache_size>5368709</mark_cache_size>
  <users_config>{place}/users.xml</users_config>
  <default_profile>default</default_profile><default_database>default</default_database>
</yandex>"""
USER_XML = """<{name}><password>{password}</password><networks><ip>127.0.0.1</ip></networks><quota>default</quota>
  <profile>{profile}</profile></{name}>"""
PROFILES = {
    "default": ("default", ""),
    USER: ("default", PASSWORD),
    "reader": ("fixed", ""),
    "settler": ("free", ""),
}
"""Profile and password by user."""
USERS = f"""<yandex><quotas><default/></quotas>
  <profiles><default/><fixed><readonly>1</readonly></fixed><free><readonly>2</readonly></free></profiles><users>
  {"".join(USER_XML.format(name=name, profile=own[0], password=own[1]) for name, own in PROFILES.items())}
</users></yandex>"""


class Engine(NamedTuple):
    """A running engine with ITBench's tables."""

    server: ClickHouse
    old: bool

    def execute(self, statement: str) -> str:
        """Run anything, as an administrator."""
        request = Request(f"{self.server.url}/?database={self.server.database}", data=statement.encode())
        try:
            with urlopen(request, timeout=20) as answer:
                return str(answer.read().decode())
        except HTTPError as error:
            with error:
                raise AssertionError(error.read().decode()) from None


@contextmanager
def server_of_debian(place: Path) -> Iterator[Engine]:
    """The program `clickhouse-server`; skips where it is not installed."""
    program = shutil.which("clickhouse-server")
    if program is None:
        pytest.skip("the program `clickhouse-server` is not there: install the package clickhouse-server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (place / "config.xml").write_text(SETTINGS.format(port=port, place=place))
    (place / "users.xml").write_text(USERS)
    with subprocess.Popen(
        [program, f"--config-file={place / 'config.xml'}"], cwd=place, stderr=subprocess.DEVNULL
    ) as process:
        try:
            engine = Engine(ClickHouse(f"http://127.0.0.1:{port}", USER, PASSWORD), old=True)
            await_answer(engine)
            engine.execute("CREATE DATABASE shop")
            yield with_tables(engine._replace(server=engine.server._replace(database="shop")))
        finally:
            process.terminate()


@contextmanager
def current_engine(place: Path) -> Iterator[Engine]:
    """The engine of the package chdb-core-lite; skips where it is not installed."""
    if importlib.util.find_spec("chdb") is None:
        pytest.skip("no current ClickHouse engine is there: pip install chdb-core-lite")
    command = [sys.executable, "-m", "tests.sources.current_engine", str(place / "data")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            server = ClickHouse(f"http://127.0.0.1:{port}", USER, PASSWORD, "shop")
            yield with_tables(Engine(server, old=False))
        finally:
            process.terminate()


ENGINES = {"debian": server_of_debian, "current": current_engine}
MARKED = [pytest.param("debian", marks=pytest.mark.clickhouse), "current"]


def with_tables(engine: Engine) -> Engine:
    for statement in statements(engine.old):
        engine.execute(statement)
    return engine


def await_answer(engine: Engine) -> None:
    for _ in range(300):
        try:
            engine.execute("SELECT 1")
            return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"{engine.server.who} does not start")
