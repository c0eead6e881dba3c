"""Keeps the status of resource quotas up to date. Refusing pods is admission's business."""

from __future__ import annotations

from harness.environments.simulated.admission import consumed
from harness.environments.simulated.clock import Key
from harness.environments.simulated.controllers.base import Controller, concerns_others, key_of
from harness.environments.simulated.quantity import format_quantity
from harness.environments.simulated.store import Change


class QuotaController(Controller):
    """Writes `status.hard` and `status.used`."""

    name = "resourcequota-controller"
    watches = ("ResourceQuota", "Pod")

    def observe(self, change: Change) -> None:
        """A quota itself, or all quotas of a pod's namespace."""
        if change.kind == "Pod" and not concerns_others(change):
            return
        for quota in self.store.list("ResourceQuota", change.key[0]):
            self.enqueue(key_of(quota))

    def reconcile(self, key: Key) -> None:
        """Recount what the namespace uses."""
        quota = self.store.get("ResourceQuota", key[1], key[0])
        if quota is not None:
            hard = quota["spec"].get("hard") or {}
            used = {r: format_quantity(value, r) for r, value in consumed(quota, self.store).items()}
            self.store.put_status(quota, {"hard": hard, "used": used})
