"""A model: a test double that blames whatever an alert names first."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from harness.errors import Problem
from harness.protocols import ModelReply, ModelRequest, RequestedCall
from harness.records import Usage


class FirstAlertConfig(BaseModel):
    """Fields of the model; set by `models.NAME.FIELD=...`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    namespace: str = "otel-demo"
    """Where the blamed workload is said to be."""


class FirstAlertModel:
    """Stateless: all it knows is in the request."""

    simulated = True
    Config = FirstAlertConfig

    def __init__(self, name: str, config: FirstAlertConfig) -> None:
        self.name = name
        self.config = config

    def context_window(self) -> int | None:
        """No limit."""
        return None

    def problems(self, money_budget: bool = False) -> Sequence[Problem]:
        """Nothing can be missing."""
        return ()

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Submit the workload of the first alert, or of nothing when none was read."""
        texts = " ".join(str(message.get("content")) for message in request.messages[1:])
        found = re.search(r'"(?:service_name|entity|deployment|pod)": ?"([a-z][a-z-]*[a-z])', texts)
        entity = f"{self.config.namespace}/Deployment/{found[1] if found else 'unknown'}"
        entities = [{"name": entity, "contributing_factor": True}]
        answer = {"entities": entities, "propagations": [], "alerts_explained": []}
        usage = Usage(input_tokens=len(texts) // 4, output_tokens=40)
        return ModelReply("", [RequestedCall("x", "submit", json.dumps(answer))], usage=usage, latency_s=1.0)

    async def close(self) -> None:
        """Nothing to give back."""
