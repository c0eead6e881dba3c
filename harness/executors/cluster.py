"""The connection to Ray: a local one that is started, or a cluster that is joined and given our code.

Owns: addresses, what travels in `runtime_env`, the slots that nodes offer. Token authentication is Ray's own
affair (`RAY_AUTH_MODE=token` and a token in the environment or in `~/.ray/auth_token`) and needs nothing here.
Does not own: what runs on the cluster (`ray.py`). Imported only when Ray was chosen.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import ceil
from typing import Any, NamedTuple

import ray

from harness.code import package_directories
from harness.config import ExperimentConfig
from harness.errors import ConfigurationError, Problem, RunStopped
from harness.executors.claims import claims_of, fitting, offers_of, together

LEFT_BEHIND = ["__pycache__", "*.pyc", ".git", ".venv", "runs"]
"""What is of no use on other nodes."""


class Slot(NamedTuple):
    """Room for one worker."""

    lanes: int
    """Trials at a time."""
    resources: Mapping[str, float]
    """Custom resources that they claim together."""


@contextmanager
def session(config: ExperimentConfig) -> Iterator[None]:
    """A connection to Ray; the outermost one opens and closes it."""
    if ray.is_initialized():
        yield
        return
    connect(config)
    try:
        yield
    finally:
        ray.shutdown()


def connect(config: ExperimentConfig) -> None:
    """Join the configured cluster, or start a local one. Raises ConfigurationError when there is none to join,
    RunStopped when none starts."""
    address = config.executor.address or os.environ.get("RAY_ADDRESS")
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    if not address:
        offers = offers_of(config)
        try:
            with importing_the_same():
                ray.init("local", include_dashboard=False, resources=offers, **quiet)
        except Exception as error:  # Ray has no type for "a process of mine did not come up"
            what = f"Ray did not start here: {error} (executor=local does without)"
            raise RunStopped("no_worker", what) from error
        return
    try:
        ray.init(address=address, runtime_env=travelling(config), **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        hint = "`ray status` must work from here; with token authentication, RAY_AUTH_MODE and the token too"
        where = f"executor.address={address}"
        raise ConfigurationError(Problem(where, f"no cluster could be joined: {error}", hint)) from None


def travelling(config: ExperimentConfig) -> dict[str, Any]:
    """The `runtime_env` by which nodes get this working tree's packages, and the user's own."""
    modules = [str(path) for path in (*package_directories(), *config.executor.modules)]
    return {"py_modules": modules, "excludes": LEFT_BEHIND}


def credentials_of(config: ExperimentConfig) -> dict[str, str]:
    """The environment variables that models, agents and monitoring name as their keys, as far as this process has
    them. They go to workers as an actor's argument: what is in a `runtime_env` is shown on Ray's dashboard and in its
    logs."""
    named: set[str] = set()
    for fields in (*config.models.values(), *config.agents.values()):
        named |= {str(fields[field]) for field in ("api_key_env",) if fields.get(field)}
        named |= {str(name) for name in fields.get("pass_env") or ()}
    live = config.environment.kubernetes
    if live is not None and live.attached is not None and live.attached.clickhouse_password_env:
        named.add(live.attached.clickhouse_password_env)
    return {name: os.environ[name] for name in sorted(named) if name in os.environ}


@contextmanager
def importing_the_same() -> Iterator[None]:
    """Processes that are started meanwhile, and theirs, import the harness from where this one does. A `runtime_env`
    would do it too, but then no worker can be started ahead of its first trial, which costs over a second."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(import_path())
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def import_path() -> list[str]:
    """Directories from which this process imports the harness, so that local workers find the same code."""
    package = str(package_directories()[0].parent)
    known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return [package, *(entry for entry in known if entry and entry != package)]


def slots(config: ExperimentConfig, owed: int) -> list[Slot]:
    """Room for workers: one per processor or as many as configured, with as many lanes as nodes can host.

    Raises ConfigurationError when no node offers what a trial claims.
    """
    claims, settings = claims_of(config), config.executor
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    processors = max(1, int(sum(node.get("CPU", 0) for node in nodes)))
    wanted = settings.workers or processors
    if not claims:
        count = max(1, min(wanted, owed))
        return [Slot(settings.in_flight, {})] * count
    fits = sorted((int(fitting(claims, node)) for node in nodes), reverse=True)
    if not any(fits):
        scarce = ", ".join(f"{name}: {amount:g}" for name, amount in claims.items())
        hint = "start nodes with `ray start --resources`, or a local Ray with executor.resources"
        raise ConfigurationError(
            Problem("executor", f"no node offers what one trial claims ({scarce})", hint)
        )
    found: list[Slot] = []
    for fit in filter(None, fits):
        share = max(1, ceil(wanted * fit / sum(fits)))
        for number in range(min(share, fit)):
            lanes = min(settings.in_flight, fit // share + (number < fit % share) if fit > share else 1)
            found.append(Slot(lanes, together(claims, lanes)))
    return found[: max(1, min(wanted, owed))]
