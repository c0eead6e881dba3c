"""Models by kind; an adapter is imported only when a model of its kind is built.

litellm     any provider that litellm speaks to
simulated   a test double
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from harness.errors import ConfigurationError, Problem
from harness.plugins import extended, load_class
from harness.protocols import Model

MODELS = extended(
    "models",
    {
        "litellm": "harness.models.litellm:LiteLLMModel",
        "simulated": "harness.models.simulated:SimulatedModel",
    },
)


def create_model(name: str, fields: Mapping[str, Any]) -> Model:
    """Build the model `name` from its configuration.

    Raises ConfigurationError for an unknown kind or bad fields.
    """
    kind = str(fields.get("kind", ""))
    model_class = load_class("model kind", kind, MODELS)
    try:
        config = model_class.Config.model_validate({k: v for k, v in fields.items() if k != "kind"})
    except ValidationError as error:
        problems = [
            Problem(
                f"models.{name}.{'.'.join(str(part) for part in item['loc'])}",
                "unknown key" if item["type"] == "extra_forbidden" else item["msg"],
            )
            for item in error.errors(include_url=False)
        ]
        raise ConfigurationError(problems) from None
    model: Model = model_class(name, config)
    return model
