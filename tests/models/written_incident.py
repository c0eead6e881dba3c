"""A hand-written incident that answers tool calls from fixed texts, to play a policy against.

It knows only whether the cause was removed and which calls were made. No cluster, no monitoring.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.models.simulated import SimulatedModel, SimulatedModelConfig
from harness.protocols import Message, ModelReply, ModelRequest, ToolSchema

SYSTEM = "You are on call. Answer with submit. Name entities as namespace/Kind/name."
TASK = "Alerts are firing for the application in namespace: shop. Diagnose, remediate, submit."
NAMES = [
    "alert_summary",
    "event_analysis",
    "log_analysis",
    "metric_analysis",
    "get_metric_anomalies",
    "get_trace_error_tree",
    "topology_analysis",
    "k8s_spec_change_analysis",
    "get_k8_spec",
    "get_context_contract",
    "kubectl_get",
    "kubectl_describe",
    "kubectl_logs",
    "kubectl_rollout_history",
    "patch_object",
    "apply_manifest",
    "delete_object",
    "scale_workload",
    "rollout_undo",
    "rollout_restart",
    "set_feature_flag",
    "wait",
    "submit",
]
TOOLS = [ToolSchema(name, f"The {name} tool.", {"type": "object"}) for name in NAMES]
ALERTS = [
    ("HighRequestErrorRate", "frontend"),
    ("HighRequestLatency", "frontend"),
    ("HighRequestErrorRate", "cart"),
]


def change(entity: str, path: str, old: Any, new: Any, **more: Any) -> dict[str, Any]:
    """One row of a spec change analysis."""
    namespace, kind, name = entity.split("/")
    changes = [
        {
            "timestamp": "2026-01-15T09:01:00Z",
            "changes": [{"path": path, "type": "changed", "old": old, "new": new}],
        }
    ]
    row = {"entity_id": entity, "kind": kind, "namespace": namespace, "name": name, "lifecycle": "present"}
    return {**row, "change_count": 1, "changes": changes, **more}


FLAG = change(
    "shop/ConfigMap/flagd-config", "data['demo.flagd.json'].flags.cartFailure.defaultVariant", "off", "on"
)
ENVIRONMENT = change(
    "shop/Deployment/cart", "spec.template.spec.containers[cart].env[DB].value", "db:1", "db:0"
)
PORT = change("shop/Service/cart", "spec.ports[0].targetPort", 8080, 9999)
GONE = {
    **change("shop/Service/cart", "spec", {}, None),
    "lifecycle": "removed",
    "changes": [],
    "reference_spec": {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "cart", "namespace": "shop", "uid": "u-1"},
        "spec": {
            "clusterIP": "10.0.0.9",
            "ports": [{"port": 80, "targetPort": 8080}],
            "selector": {"app": "cart"},
        },
    },
}


@dataclass
class Incident:
    """One incident with one change behind it; `cure` names the call that removes it."""

    row: dict[str, Any] = field(default_factory=lambda: FLAG)
    cure: str = "set_feature_flag"
    refusals: list[str] = field(default_factory=list)
    """Texts with which the first submissions are refused."""
    cured: bool = False
    log: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def answer(self, name: str, args: dict[str, Any]) -> str:
        """The result text of a call, without its id."""
        self.log.append((name, args))
        self.cured = self.cured or name == self.cure
        if name == "submit":
            return self.refusals.pop(0) if self.refusals else "Submission accepted."
        return json.dumps(self._result(name, args), separators=(",", ":"))

    def _result(self, name: str, args: dict[str, Any]) -> dict[str, Any]:
        about = args.get("k8_object_name", "")
        match name:
            case "alert_summary":
                rows = [
                    {"alertname": alert, "entity": entity, "namespace": "shop", "state": "firing"}
                    for alert, entity in ALERTS
                    if not self.cured
                ]
                return {"total_count": len(rows), "data": rows, "as_of": len(self.log)}
            case "k8s_spec_change_analysis":
                unchanged = {"entity_id": about, "kind": "Deployment", "change_count": 0, "changes": []}
                shown = [self.row if about in ("", self.row["entity_id"]) else unchanged]
                return {"total_count": len(shown), "data": shown}
            case "get_k8_spec":
                ports = [{"name": "http", "port": 80, "targetPort": 9999}]
                _, kind, thing = about.split("/")
                spec = {"kind": kind, "metadata": {"name": thing}, "spec": {"ports": ports}, "data": {}}
                return {"found": True, "entity_id": about, "kind": kind, "name": thing, "spec": spec}
            case "kubectl_rollout_history":
                changes = self.row["changes"][0]["changes"]
                revisions = [{"revision": 1}, {"revision": 2, "changes": changes}]
                return {"deployment": f"shop/Deployment/{args['name']}", "revisions": revisions}
            case "wait":
                return {"waited_s": args["seconds"]}
            case "rollout_restart":
                return {"message": "restarted", "objects": [args.get("name", "all")]}
            case _:
                return {"total_count": 0, "data": [], "kind": args.get("kind", ""), "namespace": "shop"}

    @property
    def names(self) -> list[str]:
        """Names of the calls made."""
        return [name for name, _ in self.log]


@dataclass
class Play:
    """What came of playing a model against an incident."""

    messages: list[Message]
    replies: list[ModelReply]
    incident: Incident
    submission: dict[str, Any] | None

    @property
    def planted(self) -> list[str]:
        """Slugs in the order in which they were planted."""
        return [failure.slug for reply in self.replies for failure in reply.planted]

    @property
    def blamed(self) -> list[str]:
        """Root causes of the accepted submission."""
        entities = (self.submission or {}).get("entities", [])
        return [entity["name"] for entity in entities if entity["contributing_factor"]]


def play(
    config: SimulatedModelConfig | None = None,
    incident: Incident | None = None,
    seed: int = 1,
    turns: int = 40,
    system: str = SYSTEM,
    tools: Sequence[ToolSchema] = TOOLS,
) -> Play:
    """Let a model work on an incident until its submission is accepted or the turns are used up."""
    model, incident = SimulatedModel("test", config or SimulatedModelConfig()), incident or Incident()
    messages: list[Message] = [{"role": "system", "content": system}, {"role": "user", "content": TASK}]
    replies: list[ModelReply] = []
    for _ in range(turns):
        reply = model.reply(ModelRequest(list(messages), tools, seed))
        replies.append(reply)
        (call,) = reply.calls
        call_id, args = f"c{len(replies)}", json.loads(call.arguments)
        function = {"name": call.name, "arguments": call.arguments}
        wanted = [{"id": call_id, "type": "function", "function": function}]
        messages.append({"role": "assistant", "content": reply.text, "tool_calls": wanted})
        text = incident.answer(call.name, args)
        if text == "Submission accepted.":
            return Play(messages, replies, incident, args)
        messages.append({"role": "tool", "tool_call_id": call_id, "content": f"[{call_id}] {text}"})
    return Play(messages, replies, incident, None)
