"""What makes a pod act unlike its program: feature flags that it acts on, experiments on the program itself.

Owns: the sum of all effects on one operation of a pod. Does not own: who reads which flag (`view.py`), what
follows for requests (`request_model.py`).
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.environments.simulated.disturbances import failing
from harness.environments.simulated.signature import Variant
from scenarios.applications.schema import Application, FlagEffect


class Effects:
    """The effects on the pods of one application."""

    def __init__(self, application: Application) -> None:
        self._flags = {name: workload.flags for name, workload in application.workloads.items()}

    def amount(self, name: str, operation: str, variant: Variant, field: str) -> float:
        """The sum of one amount of FlagEffect over the flags that are on."""
        if not variant.flags:
            return 0.0
        found = self._active(name, operation, variant)
        return float(sum(getattr(effect, field) * value for effect, value in found))

    def own_failure(self, name: str, operation: str, variant: Variant) -> tuple[float, str]:
        """(share of executions that fail by the pod's own doing, what it says)."""
        cause = failing(variant.disturbances, operation)
        if cause:
            return 1.0, cause
        share = min(1.0, self.amount(name, operation, variant, "error_share"))
        messages = (e.message for e, _ in self._active(name, operation, variant) if e.error_share)
        return share, next(messages, "") if share else ""

    def unreachable(self, name: str, variant: Variant, to: str) -> str:
        """Why a pod calls `to` at an invalid address; empty when it does not."""
        return next((e.message for e, _ in self._active(name, "", variant) if e.unreachable == to), "")

    def _active(self, name: str, operation: str, variant: Variant) -> Iterator[tuple[FlagEffect, float]]:
        values = dict(variant.flags)
        for effect in self._flags[name] if values else ():
            concerned = not effect.operations or not operation or operation in effect.operations
            if effect.flag in values and concerned:
                yield effect, values[effect.flag]
