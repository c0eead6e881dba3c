"""The toolbox of one trial: schemas, validation, execution, audit.

Owns: the path of a call from raw arguments to the text that an agent reads, and the list of what was changed.
Does not own: the tools, guards (`harness/session.py`), or the passing of time, which it only reports.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import ValidationError

from harness.cluster import Cluster, ClusterError, Conflict, Forbidden, Invalid, NotFound
from harness.errors import HarnessError, ToolError, TrialError, Unanswered
from harness.protocols import ToolSchema
from harness.telemetry import Telemetry
from harness.tools import (  # noqa: F401  (each module registers its tools)
    actions,
    alerts,
    contract,
    events,
    flags,
    kubectl,
    logs,
    metrics,
    specs,
    topology,
    traces,
    waiting,
)
from harness.tools.base import REGISTRY, Args, AuditRecord, Tool, ToolContext
from harness.tools.jsonschema import plain_schema
from harness.tools.problems import problems_of
from harness.tools.rendering import LIMIT, render

ORDER = (
    "alert_summary",
    "alert_analysis",
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
)
"""The tools in the order in which agents see them, whatever was imported first."""
TOOLS: dict[str, Tool] = {name: REGISTRY[name] for name in ORDER}
REASONS: dict[type[ClusterError], str] = {
    NotFound: "not found",
    Conflict: "conflict",
    Forbidden: "forbidden",
    Invalid: "invalid",
}
TOO_MUCH = "monitoring could not answer this query in time or within its limits; narrow the time window or the search"
"""What an agent reads of a query that was too much; where monitoring is and what it said is the harness's own."""
FAILED_SECONDS = 1.0
"""Environment seconds that a refused call takes."""


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """What came of one call."""

    ok: bool
    text: str
    """What the agent reads: one JSON object, or `Error: ...`."""
    seconds: float
    """Environment seconds that the call takes."""
    mutating: bool = False
    """It was a write, and no dry run."""
    waits: bool = False
    """The agent asked for these seconds: they pass on a real clock too."""
    change: AuditRecord | None = None
    """What it changed; None when nothing."""


class Toolbox:
    """The tools of one trial over its cluster and telemetry. Not safe for concurrent calls of one trial."""

    def __init__(
        self,
        cluster: Cluster,
        telemetry: Telemetry,
        namespaces: Sequence[str],
        allow_actions: bool = True,
        limit: int = LIMIT,
    ) -> None:
        self.audit: list[AuditRecord] = []
        """Every executed change, in order."""
        self.reads = 0
        """Calls so far that changed nothing: of read-only tools, and dry runs."""
        self._cluster = cluster
        self._telemetry = telemetry
        self._namespaces = tuple(namespaces)
        self._allow_actions = allow_actions
        self._limit = limit

    def schemas(self) -> Sequence[ToolSchema]:
        """The tools as a model sees them (without `submit`), always in the same order."""
        return schemas_of(self._allow_actions)

    def spec(self, name: str) -> Tool:
        """A tool by its name. Raises ToolError for an unknown one, naming those that resemble it."""
        tool = TOOLS.get(name)
        if tool is None or (tool.mutating and not self._allow_actions):
            names = [schema.name for schema in self.schemas()]
            near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
            hint = f"did you mean {', '.join(near)}?" if near else f"tools: {', '.join(names)}"
            raise ToolError(f"unknown tool {name!r}; {hint}")
        return tool

    def mutates(self, name: str, arguments: Mapping[str, Any] | None = None) -> bool:
        """Whether a call would change the cluster: an action, and with its arguments given, no dry run."""
        tool = TOOLS.get(name)
        return tool is not None and tool.mutating and not (arguments or {}).get("dry_run")

    def call(self, name: str, raw_arguments: str | Mapping[str, Any]) -> ToolOutcome:
        """Run one call. One that cannot be served is an outcome with ok=False; only a defect of a tool
        raises TrialError("tool_crash")."""
        try:
            tool = self.spec(name)
            args = parse_arguments(tool, raw_arguments)
        except ToolError as error:
            return ToolOutcome(False, f"Error: {error}", FAILED_SECONDS)
        mutating = tool.mutating and not getattr(args, "dry_run", False)
        self.reads += not mutating
        context = ToolContext(self._cluster, self._telemetry, self._namespaces, self._cluster.now())
        try:
            text = render(_run(tool, context, args), self._limit, tool.narrow)
        except (ToolError, ClusterError) as error:
            change = self._audited(tool, args, context)
            return ToolOutcome(False, f"Error: {told(error)}", FAILED_SECONDS, mutating, change=change)
        except HarnessError:
            raise
        except Exception as error:
            raise TrialError("tool_crash", f"{name}: {type(error).__name__}: {error}") from error
        change = self._audited(tool, args, context)
        return ToolOutcome(True, text, tool.seconds_for(args), mutating, tool.waits, change)

    def _audited(self, tool: Tool, args: Args, context: ToolContext) -> AuditRecord | None:
        if not context.changes:
            return None
        given = args.model_dump(exclude_unset=True)
        record = AuditRecord(tool.name, given, context.now, tuple(context.changes))
        self.audit.append(record)
        return record


def _run(tool: Tool, context: ToolContext, args: Args) -> Any:
    try:
        return tool.run(context, args)
    except Unanswered as error:
        raise ToolError(TOO_MUCH) from error


@cache
def schemas_of(actions_allowed: bool) -> tuple[ToolSchema, ...]:
    """Schemas of all tools, made once."""
    return tuple(
        ToolSchema(tool.name, tool.description, plain_schema(tool.args))
        for tool in TOOLS.values()
        if actions_allowed or not tool.mutating
    )


def parse_arguments(tool: Tool, raw: str | Mapping[str, Any]) -> Args:
    """Validated arguments. Null for an optional argument means that it was not given. Raises ToolError."""
    return validated(tool.name, tool.args, raw)


def validated(name: str, model: type[Args], raw: str | Mapping[str, Any]) -> Args:
    """Arguments of the tool of that name, as `parse_arguments`. Raises ToolError."""
    if isinstance(raw, str):
        try:
            raw = json.loads(raw) if raw.strip() else {}
        except (ValueError, RecursionError) as error:
            raise ToolError(f"{name}: the arguments are not JSON: {error}") from None
    if not isinstance(raw, Mapping):
        raise ToolError(f"{name}: expected a JSON object of arguments, found {type(raw).__name__}")
    fields = model.model_fields
    given = {
        key: value
        for key, value in raw.items()
        if value is not None or key not in fields or fields[key].is_required()
    }
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise ToolError(f"{name}: {problems_of(error, model)}") from None


def told(error: Exception) -> str:
    """An error as an agent reads it, beginning with what kind of refusal it is."""
    reason = next((word for kind, word in REASONS.items() if isinstance(error, kind)), "")
    text = str(error) or type(error).__name__
    return f"{reason}: {text}" if reason and not text.lower().startswith(reason) else text
