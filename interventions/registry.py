"""Finds interventions by name and builds them for a trial.

A name is a guard, its placebo `NAME_placebo`, a file in `prompt/`, or a dotted path `package.module:GuardClass`.
Owns: the lookup, the check of an arm's composition and of twins against their guards, content hashes. Does not
own: what a guard does.
"""

from __future__ import annotations

import difflib
import hashlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from harness.errors import ConfigurationError, Problem
from harness.plugins import added_files, extended, load_class
from harness.protocols import Guard

GUARDS = extended(
    "guards",
    {
        name: f"interventions.structural.{name}:{class_name}"
        for name, class_name in (
            ("loop_guard", "LoopGuard"),
            ("termination_fsm", "TerminationFsm"),
            ("clarification_branch", "ClarificationBranch"),
            ("action_validation", "ActionValidation"),
            ("context_ledger", "ContextLedger"),
            ("no_regression", "NoRegression"),
            ("iteration_cap", "IterationCap"),
            ("evidence_citation", "EvidenceCitation"),
            ("verifier_gate", "VerifierGate"),
        )
    },
)
"""The guards under study, and those of installed packages; each has a placebo `NAME_placebo`, ours also a twin
`NAME_prompt`."""
PLACEBO = "interventions.structural.placebo:Placebo"
_PLACEBO_OF = "_placebo"
STRUCTURAL = GUARDS | {name + _PLACEBO_OF: PLACEBO for name in GUARDS} | {"placebo": PLACEBO}
SHARED_CODE = ("interventions.structural.base", "harness.evidence")
"""Modules beside its own that decide what a guard does; part of its hash."""


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
    """Names of the texts in `prompt/` and in installed packages."""
    return sorted(prompt_files())


def prompt_files() -> dict[str, Traversable]:
    """Prompt interventions by name. Raises ConfigurationError where two files have one name."""
    found: dict[str, Traversable] = {}
    for folder in (files("interventions.prompt"), *added_files("prompts")):
        for path in folder.iterdir():
            name = path.name.removesuffix(".yaml")
            if name != path.name and name in found:
                raise ConfigurationError(
                    Problem(str(path), f"prompt {name!r} is there already: {found[name]}")
                )
            if name != path.name:
                found[name] = path
    return found


def registered_for(slug: str) -> list[str]:
    """Names of the interventions that say they reduce a mode: guards first, then texts. Placebos name none."""
    guards = [name for name in GUARDS if slug in load_class("guard", name, GUARDS).targets]
    return guards + [name for name in prompt_names() if slug in load_text(name).targets]


def load_text(name: str) -> PromptText:
    """Read one prompt intervention. Raises ConfigurationError with every problem of the file."""
    source = prompt_files()[name].read_text(encoding="utf-8")
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
        require_twin(text)
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
    return load_guard(name, dict(parameters or {}))


def load_guard(name: str, parameters: dict[str, Any]) -> Intervention:
    """The structural intervention of that name. Raises ConfigurationError for bad parameters."""
    if STRUCTURAL.get(name) == PLACEBO:
        parameters.setdefault(
            "shadows", name.removesuffix(_PLACEBO_OF) if name != "placebo" else "verifier_gate"
        )
        require_shadowable(name, parameters)
    guard_class = load_class("intervention", name, STRUCTURAL)
    try:
        settings = guard_class.Parameters.model_validate(parameters)
    except ValidationError as error:
        raise ConfigurationError(validation_problems(f"interventions.{name}", error)) from None
    code = [inspect.getsource(inspect.getmodule(guard_class) or guard_class)]
    code += [inspect.getsource(import_module(shared)) for shared in SHARED_CODE]
    return Intervention(
        name,
        "structural",
        guard_class.targets,
        digest("".join(code) + settings.model_dump_json()),
        guard_class=guard_class,
        parameters=settings,
    )


def require_shadowable(name: str, parameters: Mapping[str, Any]) -> None:
    """Raise ConfigurationError unless a placebo names a guard and parameters that the guard takes."""
    shadows = parameters["shadows"]
    where = f"interventions.{name}.shadows"
    if shadows not in GUARDS:
        near = difflib.get_close_matches(str(shadows), GUARDS, n=1)
        what = f"unknown guard {shadows!r}; expected one of {', '.join(GUARDS)}"
        raise ConfigurationError(Problem(where, what, f"did you mean {near[0]}?" if near else ""))
    guard_class = load_class("guard", shadows, GUARDS)
    try:
        guard_class.Parameters.model_validate(parameters.get("guard", {}))
    except ValidationError as error:
        raise ConfigurationError(validation_problems(f"interventions.{name}.guard", error)) from None


def require_twin(text: PromptText) -> None:
    """Raise ConfigurationError where a twin does not carry the items of its guard, each by id and text."""
    if text.twin_of is None:
        return
    where = f"interventions/prompt/{text.name}.yaml"
    if text.twin_of not in GUARDS:
        raise ConfigurationError(Problem(where, f"twin_of: unknown guard {text.twin_of!r}"))
    guard_class = load_class("guard", text.twin_of, GUARDS)
    wanted, found = dict(guard_class.content), {item.id: item.text for item in text.items}
    drifted = [
        Problem(f"{where} items.{item}", f"found {found.get(item)!r}; the guard has {wanted.get(item)!r}")
        for item in [*wanted, *(extra for extra in found if extra not in wanted)]
        if wanted.get(item) != found.get(item)
    ]
    if tuple(text.targets) != tuple(guard_class.targets):
        drifted.append(Problem(f"{where} targets", f"expected {', '.join(guard_class.targets)}"))
    if drifted:
        raise ConfigurationError(drifted)


def compose(
    arm: str, names: Sequence[str], parameters: Mapping[str, Mapping[str, Any]]
) -> list[Intervention]:
    """The interventions of an arm, in the order in which they act: the order in which the arm lists them.

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
    for name in sorted({name for name in names if list(names).count(name) > 1}):
        problems.append(Problem(f"arms.{arm}", f"{name} appears twice"))
    problems.extend(conflicts(arm, loaded))
    if problems:
        raise ConfigurationError(problems)
    return loaded


def conflicts(arm: str, members: Sequence[Intervention]) -> list[Problem]:
    """Why interventions cannot be in one arm: two of them own the same decision, or a placebo stands beside
    the guard that it shadows."""
    guards = [one for one in members if one.kind == "structural"]
    problems = []
    for place, one in enumerate(guards):
        for other in guards[place + 1 :]:
            both = owned(one) & owned(other)
            if both and one.name != other.name:
                what = f"{one.name} and {other.name} cannot be in one arm: both own the {', '.join(sorted(both))}"
                problems.append(Problem(f"arms.{arm}", what, "keep one of them"))
        shadow = getattr(one.parameters, "shadows", None)
        if shadow in [other.name for other in guards]:
            what = f"{one.name} stands beside {shadow}, whose trigger it shadows"
            problems.append(Problem(f"arms.{arm}", what, "give the placebo an arm of its own"))
    return problems


def owned(one: Intervention) -> frozenset[str]:
    """What a guard decides alone in its arm."""
    decisions: frozenset[str] = getattr(one.guard_class, "owns", frozenset())
    return decisions


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
