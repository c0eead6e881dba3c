"""Which source answers what, as an attached application is configured.

Owns: the choice, the names of its tables, the password's variable, what is said of a source that can be read. Does
not own: the sources.

ClickHouse holds log records and spans; Jaeger holds spans, and is asked only where no ClickHouse is configured; span
metrics are what is left.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from harness.environments.kubernetes.observed import LogSource, PathSource
from harness.environments.kubernetes.prometheus import Prometheus, SpanMetrics
from harness.environments.kubernetes.sources.clickhouse import ClickHouse
from harness.environments.kubernetes.sources.jaeger import Jaeger, JaegerPaths
from harness.environments.kubernetes.sources.tables import LogTable, SpanTable, recent
from harness.errors import ConfigurationError, Problem
from harness.live_config import AttachedConfig
from scenarios.applications.schema import Application

RECENT_S = 600
"""A source that works has something this new."""

UNSENT = ("Cc", "Cs")
"""Categories of characters that no header takes: control characters, and what stands for bytes that are no UTF-8."""


class Found(NamedTuple):
    """What a source that can be read has of an application."""

    source: str
    """Its field in the configuration."""
    what: str
    amount: int
    """Of what it ought to have some."""


def log_source(settings: AttachedConfig, application: Application) -> LogSource | None:
    """Where log records are stored; None where only containers have them."""
    server = clickhouse_of(settings)
    return LogTable(server, logs_table(settings, application)) if server is not None else None


def path_source(settings: AttachedConfig, application: Application) -> PathSource:
    """Where traces are stored; otherwise what span metrics tell."""
    server = clickhouse_of(settings)
    if server is not None:
        return SpanTable(server, traces_table(settings, application))
    if settings.jaeger is not None:
        return JaegerPaths(Jaeger(settings.jaeger), application)
    return SpanMetrics(Prometheus(settings.prometheus))


def examine(settings: AttachedConfig, application: Application, now: float) -> list[Found]:
    """Read a little of everything that is configured beside Prometheus. Raises InfrastructureError."""
    return [*_in_clickhouse(settings, application, now), *_in_jaeger(settings, application)]


def _in_clickhouse(settings: AttachedConfig, application: Application, now: float) -> Iterator[Found]:
    server = clickhouse_of(settings)
    if server is not None:
        for table in (logs_table(settings, application), traces_table(settings, application)):
            count = recent(server, table, now - RECENT_S)
            what = f"{table} in {server.who}: {count} rows of the last {RECENT_S // 60} minutes"
            yield Found("clickhouse", what, count)


def _in_jaeger(settings: AttachedConfig, application: Application) -> Iterator[Found]:
    if settings.jaeger is not None:
        jaeger = Jaeger(settings.jaeger)
        known = JaegerPaths(jaeger, application).services()
        yield Found(
            "jaeger", f"{jaeger.who}: traces of {len(known)} services of {application.name}", len(known)
        )


def logs_table(settings: AttachedConfig, application: Application) -> str:
    """Its table of log records, named as ITBench does unless configured."""
    return settings.clickhouse_logs or f"{application.namespace.replace('-', '_')}_logs"


def traces_table(settings: AttachedConfig, application: Application) -> str:
    """Its table of spans."""
    return settings.clickhouse_traces or f"{application.namespace.replace('-', '_')}_traces"


def clickhouse_of(settings: AttachedConfig) -> ClickHouse | None:
    """The configured server with its password. Raises ConfigurationError where the variable holds none that can
    be sent, without repeating what it holds."""
    if settings.clickhouse is None:
        return None
    name = settings.clickhouse_password_env
    password = os.environ.get(name, "") if name else ""
    where = "environment.kubernetes.attached.clickhouse_password_env"
    if name and not password:
        raise ConfigurationError(
            Problem(where, f"environment variable {name} is not set", f"export {name}=...")
        )
    if any(unicodedata.category(character) in UNSENT for character in password):
        what = f"environment variable {name} holds a line break, another control character or no UTF-8"
        raise ConfigurationError(Problem(where, what, "a password from a file often ends in a line break"))
    return ClickHouse(settings.clickhouse, settings.clickhouse_user, password, settings.clickhouse_database)
