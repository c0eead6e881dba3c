"""Finds interventions by name and builds them for a trial.

A name is a structural guard of STRUCTURAL, a file in `prompt/`, or a dotted path `package.module:GuardClass`.
Owns: the lookup, the check of an arm's composition, content hashes. Does not own: what a guard does.
"""

from __future__ import annotations

import difflib
import hashlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from harness.errors import ConfigurationError, Problem
from harness.plugins import load_class
from harness.protocols import Guard

STRUCTURAL = {
    "verifier_gate": "interventions.structural.verifier_gate:VerifierGate",
    "placebo": "interventions.structural.placebo:Placebo",
}


class Item(BaseModel):
    """One piece of content; a guard and its twin carry the same items."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    text: str


class PromptText(BaseModel):
    """A prompt intervention: a heading and items that are appended to the system prompt."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    twin_of: str | None = None
    """The guard whose content this text carries."""
    targets: tuple[str, ...]
    """MAST slugs that it is meant to reduce."""
    heading: str
    items: tuple[Item, ...]

    def render(self) -> str:
        """The text as the agent reads it."""
        return "\n".join([self.heading, *(f"- {item.text}" for item in self.items)])


@dataclass(frozen=True, slots=True)
class Intervention:
    """One intervention as an arm uses it."""

    name: str
    kind: Literal["prompt", "structural"]
    targets: tuple[str, ...]
    digest: str
    """Hash of its text, or of its code and parameters."""
    text: PromptText | None = None
    guard_class: Any = None
    parameters: Any = None

    def guard(self) -> Guard:
        """A fresh guard for one trial (structural only)."""
        guard: Guard = self.guard_class(self.parameters)
        return guard


def prompt_names() -> list[str]:
    """Names of the texts in `prompt/`."""
    folder = files("interventions.prompt")
    return sorted(path.name.removesuffix(".yaml") for path in folder.iterdir() if path.name.endswith(".yaml"))


def load_text(name: str) -> PromptText:
    """Read one prompt intervention. Raises ConfigurationError with every problem of the file."""
    source = files("interventions.prompt").joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    try:
        return PromptText.model_validate(yaml.safe_load(source))
    except ValidationError as error:
        raise ConfigurationError(validation_problems(f"interventions/prompt/{name}.yaml", error)) from None


def load(name: str, parameters: Mapping[str, Any] | None = None) -> Intervention:
    """The intervention of that name. Raises ConfigurationError for an unknown name or bad parameters."""
    if name in prompt_names():
        if parameters:
            where = f"interventions.{name}"
            raise ConfigurationError(Problem(where, "a prompt intervention takes no parameters"))
        text = load_text(name)
        return Intervention(name, "prompt", text.targets, digest(text.model_dump_json()), text=text)
    if name not in STRUCTURAL and ":" not in name:
        known = sorted([*STRUCTURAL, *prompt_names()])
        near = difflib.get_close_matches(name, known, n=1)
        raise ConfigurationError(
            Problem(
                "arms",
                f"unknown intervention {name!r}; expected one of {', '.join(known)}",
                f"did you mean {near[0]}?" if near else "",
            )
        )
    guard_class = load_class("intervention", name, STRUCTURAL)
    try:
        settings = guard_class.Parameters.model_validate(dict(parameters or {}))
    except ValidationError as error:
        raise ConfigurationError(validation_problems(f"interventions.{name}", error)) from None
    code = inspect.getsource(inspect.getmodule(guard_class) or guard_class)
    return Intervention(
        name,
        "structural",
        guard_class.targets,
        digest(code + settings.model_dump_json()),
        guard_class=guard_class,
        parameters=settings,
    )


def compose(
    arm: str, names: Sequence[str], parameters: Mapping[str, Mapping[str, Any]]
) -> list[Intervention]:
    """The interventions of an arm, in the order in which they act.

    Raises ConfigurationError, listing everything that is wrong with the arm.
    """
    problems: list[Problem] = []
    loaded: list[Intervention] = []
    for name in names:
        try:
            loaded.append(load(name, parameters.get(name)))
        except ConfigurationError as error:
            problems.extend(
                problem._replace(where=f"arms.{arm}" if problem.where == "arms" else problem.where)
                for problem in error.problems
            )
    for name in {name for name in names if list(names).count(name) > 1}:
        problems.append(Problem(f"arms.{arm}", f"{name} appears twice"))
    if problems:
        raise ConfigurationError(problems)
    return loaded


def digest(text: str) -> str:
    """Short content hash."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def validation_problems(where: str, error: ValidationError) -> list[Problem]:
    """A pydantic error as problems that name the field."""
    return [
        Problem(
            f"{where}.{'.'.join(str(part) for part in item['loc'])}".rstrip("."),
            f"{item['msg']} (found {item.get('input')!r})",
        )
        for item in error.errors(include_url=False)
    ]
