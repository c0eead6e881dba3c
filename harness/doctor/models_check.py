"""Models: keys, providers and prices. Whether a key is set is told; the key never is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import yaml

from harness.config import ExperimentConfig
from harness.doctor.findings import Finding, Status, broken
from harness.errors import ConfigurationError
from harness.models import create_model
from harness.runner import pairs


def check_models(config: ExperimentConfig) -> Sequence[Finding]:
    """Those that the configuration uses, then the others that stand ready."""
    try:
        used = {model for model, _ in pairs(config)}
    except ConfigurationError as error:
        return broken("models", True, error)
    chosen = {name: fields for name, fields in config.models.items() if name in used}
    others = {name: fields for name, fields in ready().items() if name not in chosen}
    priced = config.budget.usd is not None
    found = [one for name, fields in chosen.items() for one in check_model(name, fields, priced, "failed")]
    return [
        *found,
        *(one for name, fields in others.items() for one in check_model(name, fields, False, "absent")),
    ]


def ready() -> Mapping[str, dict[str, Any]]:
    """Real models that the harness ships a configuration for."""
    paths = sorted(files("conf").joinpath("model").iterdir(), key=lambda path: path.name)
    read = {
        path.name.removesuffix(".yaml"): yaml.safe_load(path.read_text(encoding="utf-8")) for path in paths
    }
    return {name: fields for name, fields in read.items() if fields["kind"] == "litellm"}


def check_model(name: str, fields: Mapping[str, Any], priced: bool, otherwise: Status) -> list[Finding]:
    """What would make every call of one model fail, or that nothing is known to."""
    check = f"model {name}"
    try:
        model = create_model(name, fields)
        problems = model.problems(priced)
    except ConfigurationError as error:
        return broken(check, otherwise == "failed", error)
    if problems:
        return [Finding(check, otherwise, one.what, one.hint) for one in problems]
    if model.simulated:
        return [Finding(check, "ok", "simulated: a test double")]
    key = fields.get("api_key_env")
    known = getattr(model, "price_known", lambda: False)()
    told = [f"{key} is set" if key else "needs no key", "price known" if known else "price unknown"]
    hint = "" if known else "costs are not counted, and budget.usd would be refused; set prices"
    return [Finding(check, "ok", f"{fields.get('model', name)}: {', '.join(told)}", hint)]
