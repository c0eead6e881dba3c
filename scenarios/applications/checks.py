"""Checks of an application file: everything that it names exists in it, and no operation calls itself.

Owns: the cross-references inside one file. Does not own: field types (`schema.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.errors import Problem
from scenarios.applications.schema import Application, Workload


def problems_of(application: Application) -> Iterator[Problem]:
    """Everything that does not fit together inside the file."""
    for name, workload in application.workloads.items():
        for operation_name, operation in workload.operations.items():
            where = f"workloads.{name}.operations.{operation_name}"
            for index, call in enumerate(operation.calls):
                yield from _check_target(application, f"{where}.calls[{index}].to", call.to)
                yield from _check_address(f"{where}.calls[{index}].address", workload, call.address)
                yield from _check_address(f"{where}.calls[{index}].password", workload, call.password)
            if operation.consumes:
                yield from _check_target(application, f"{where}.consumes", operation.consumes)
                yield from _check_address(f"{where}.address", workload, operation.address)
        for variable in workload.needs_at_start:
            yield from _check_address(f"workloads.{name}.needs_at_start", workload, variable)
        for variable, source in workload.secret_env.items():
            secret, _, key = source.partition("/")
            if key not in application.secrets.get(secret, {}):
                where = f"workloads.{name}.secret_env.{variable}"
                yield Problem(where, f"no secret has {source!r}", _one_of(application.secrets))
        yield from _check_flags(application, name, workload)
    for where, wanted in [("collector", application.collector)] + [
        (f"options.{key}.workload", option.workload) for key, option in application.options.items()
    ]:
        if wanted and wanted not in application.workloads:
            yield Problem(where, f"unknown workload {wanted!r}", _one_of(application.workloads))
    yield from _check_cycles(application)


def _check_target(application: Application, where: str, target: str) -> Iterator[Problem]:
    name, _, operation = target.partition("/")
    if not application.behind(name):
        yield Problem(where, f"unknown workload {name!r}", _one_of(application.workloads))
    for member in application.behind(name):
        operations = application.workloads[member].operations
        if operation not in operations:
            yield Problem(where, f"{member!r} has no operation {operation!r}", _one_of(operations))


def _check_address(where: str, workload: Workload, address: str) -> Iterator[Problem]:
    for variable in filter(None, address.split(":")):
        if variable not in workload.env and variable not in workload.secret_env:
            yield Problem(where, f"{variable!r} is not in the workload's env", _one_of(workload.env))


def _check_flags(application: Application, name: str, workload: Workload) -> Iterator[Problem]:
    known = application.flag_store.flags if application.flag_store else {}
    for index, effect in enumerate(workload.flags):
        where = f"workloads.{name}.flags[{index}]"
        if effect.flag not in known:
            yield Problem(f"{where}.flag", f"unknown flag {effect.flag!r}", _one_of(known))
        for operation in effect.operations:
            if operation not in workload.operations:
                yield Problem(
                    f"{where}.operations",
                    f"unknown operation {operation!r}",
                    _one_of(workload.operations),
                )


def _check_cycles(application: Application) -> Iterator[Problem]:
    done: set[str] = set()

    def visit(target: str, path: tuple[str, ...]) -> Iterator[Problem]:
        if target in path:
            yield Problem(f"operation {target}", f"calls itself: {' -> '.join((*path, target))}")
            return
        name, _, operation = target.partition("/")
        members = (application.workloads[member].operations for member in application.behind(name))
        known = [operations[operation] for operations in members if operation in operations]
        for call in () if target in done else (call for one in known for call in one.calls):
            yield from visit(call.to, (*path, target))
        if known:
            done.add(target)

    for name, workload in application.workloads.items():
        for operation in workload.operations:
            yield from visit(f"{name}/{operation}", ())


def _one_of(names: Mapping[str, Any]) -> str:
    return f"expected one of {', '.join(sorted(names))}" if names else ""
