"""The `submit` tool: its schema and the strict reading of what an agent hands in.

Owns: the submission contract, which is ITBench's `agent_output.json` plus the claim about the remediation.
The session handles the call; nothing here repairs or guesses what the agent may have meant.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.errors import AgentError
from harness.protocols import ToolSchema
from harness.records import AlertExplained, Diagnosis, Entity, Propagation, Submission
from harness.tools.jsonschema import plain_schema
from harness.tools.problems import problems_of


class Strict(BaseModel):
    """No unknown keys and no conversion of types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class EntityArgs(Strict):
    name: str = Field(min_length=1, description="namespace/Kind/name")
    contributing_factor: bool = Field(description="true only for a root cause")
    reasoning: str
    evidence: str = Field(description="cite calls, e.g. [c7]")


class PropagationArgs(Strict):
    source: str = Field(min_length=1, description="the cause, namespace/Kind/name")
    target: str = Field(min_length=1)
    condition: str
    effect: str


class AlertExplainedArgs(Strict):
    alert: str = Field(min_length=1)
    explanation: str
    explained: bool


class SubmitArgs(Strict):
    entities: list[EntityArgs] = Field(min_length=1, description="most likely root cause first")
    propagations: list[PropagationArgs]
    alerts_explained: list[AlertExplainedArgs]
    resolved: bool = Field(description="whether the incident is over now")
    resolution_evidence: str = Field(description="what shows it, cite calls, e.g. [c12]")


SUBMIT = ToolSchema(
    "submit",
    "Hand in the diagnosis and end the incident. Back every claim with ids of tool calls: [c7].",
    plain_schema(SubmitArgs),
)


def parse_submission(raw: str | Mapping[str, Any]) -> Submission:
    """Read a submission. Raises AgentError("invalid_json") or ("schema_violation") with all problems."""
    if isinstance(raw, str):
        try:
            raw = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise AgentError("invalid_json", f"the submission is not JSON: {error}") from None
    try:
        given = SubmitArgs.model_validate(raw)
    except ValidationError as error:
        raise AgentError("schema_violation", f"submit: {problems_of(error, SubmitArgs)}") from None
    return Submission(
        diagnosis=Diagnosis(
            entities=tuple(Entity(**each.model_dump()) for each in given.entities),
            propagations=tuple(Propagation(**each.model_dump()) for each in given.propagations),
            alerts_explained=tuple(AlertExplained(**each.model_dump()) for each in given.alerts_explained),
        ),
        resolved=given.resolved,
        resolution_evidence=given.resolution_evidence,
    )
