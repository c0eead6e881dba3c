"""The MAST taxonomy as versioned data, and the crosswalk between its six numberings.

Owns: loading and checking `taxonomy.yaml`, its content hash, published codes to slugs and back. Does not own:
deciding whether a mode is present (detectors). Codes are never compared by number across releases.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal, NamedTuple

import yaml
from pydantic import ValidationError

from harness.errors import ConfigurationError, Problem
from harness.records import Present, Record


class Category(Record):
    """One of the three failure categories."""

    id: str
    name: str


class Mode(Record):
    """One failure mode."""

    names: tuple[str, ...]
    """Published names, the current one first."""
    category: str
    stage: str
    """From where to where in a run it can happen: pre, exec, post."""
    decidable: Literal["det", "proxy", "llm"]
    """det: code decides; proxy: code proposes and a judge confirms; llm: needs a judge."""
    codes: dict[str, str]
    """Release -> published code. The verification modes have one only where it means the same."""
    is_: str
    is_not: str
    sre: str
    """What it looks like in an SRE tool loop."""
    fix: str


class Overlap(Record):
    """How to decide between modes that look alike."""

    between: tuple[str, ...]
    rule: str


class Taxonomy(Record):
    """The whole taxonomy."""

    releases: dict[str, str]
    categories: dict[str, Category]
    modes: dict[str, Mode]
    atoms: dict[str, str]
    derived: dict[str, dict[str, tuple[str, ...]]]
    family: dict[str, dict[str, str]]
    merged: dict[str, dict[str, str]]
    stray: dict[str, dict[str, str]]
    overlaps: tuple[Overlap, ...]
    extensions: dict[str, str]
    hash: str = ""
    """Content hash; every label carries it."""


class Crossing(NamedTuple):
    """What a published code means here."""

    any_of: tuple[str, ...]
    """Slugs; the code says that at least one of them is present. Empty for a code that names no mode."""
    exact: bool
    """False where the published mapping is unknown or several old codes were merged into one mode."""
    note: str = ""


def load(content: str, where: str) -> Taxonomy:
    """Parse and check a taxonomy file. Raises ConfigurationError with every problem found."""
    try:
        raw: dict[str, Any] = yaml.safe_load(content)
        for mode in raw["modes"].values():
            mode["is_"] = mode.pop("is")
        digest = hashlib.sha256(json.dumps(raw, sort_keys=True).encode()).hexdigest()[:16]
        parsed = Taxonomy(**raw, hash=digest)
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(Problem(where, f"not a taxonomy: {error!r}")) from error
    except ValidationError as error:
        raise ConfigurationError(
            [Problem(f"{where}: {'.'.join(map(str, e['loc']))}", e["msg"]) for e in error.errors()]
        ) from error
    problems = [Problem(where, text) for text in _inconsistencies(parsed)]
    if problems:
        raise ConfigurationError(problems)
    return parsed


def _inconsistencies(parsed: Taxonomy) -> list[str]:
    found = []
    for slug, mode in parsed.modes.items():
        if mode.category not in parsed.categories:
            found.append(f"modes.{slug}.category: unknown category {mode.category!r}")
        found += [
            f"modes.{slug}.codes: unknown release {r!r}" for r in mode.codes if r not in parsed.releases
        ]
    for section in (parsed.derived, parsed.family, parsed.merged, parsed.stray):
        found += [f"unknown release {release!r}" for release in section if release not in parsed.releases]
    atoms = (atom for codes in parsed.derived.values() for any_of in codes.values() for atom in any_of)
    found += [f"derived: unknown atom {atom!r}" for atom in sorted(set(atoms) - set(parsed.atoms))]
    merged = (slug for codes in parsed.merged.values() for slug in codes.values())
    found += [f"merged: unknown mode {slug!r}" for slug in sorted(set(merged) - set(parsed.modes))]
    for overlap in parsed.overlaps:
        found += [f"overlaps: unknown mode {slug!r}" for slug in overlap.between if slug not in parsed.modes]
    return found


@lru_cache(maxsize=1)
def taxonomy() -> Taxonomy:
    """The taxonomy that this version of the harness labels with."""
    return load(files(__package__).joinpath("taxonomy.yaml").read_text(encoding="utf-8"), "taxonomy.yaml")


MODES: tuple[str, ...] = tuple(taxonomy().modes)
"""Slugs of the 14 modes: the ones that count for modes per trace."""
ATOMS: tuple[str, ...] = tuple(taxonomy().atoms)
"""Slugs of the verification atoms, from which two of the modes are derived; never count both."""

EXTENSIONS: tuple[str, ...] = tuple(taxonomy().extensions)
"""Slugs of the SRE codes that stand apart from the 14 and are never counted with them."""


def crosswalk(release: str, raw_code: str) -> Crossing:
    """What a published code means. Raises ValueError for an unknown release or code."""
    data = taxonomy()
    if release not in data.releases:
        raise ValueError(f"unknown release {release!r}; expected one of {', '.join(data.releases)}")
    code = raw_code.strip()
    if code in data.derived.get(release, {}):
        return Crossing(data.derived[release][code], True)
    if code in data.family.get(release, {}):
        return Crossing(ATOMS, False, data.family[release][code])
    if code in data.merged.get(release, {}):
        return Crossing((data.merged[release][code],), False, "merged into this mode by a later release")
    if code in data.stray.get(release, {}):
        return Crossing((), False, data.stray[release][code])
    for slug, mode in data.modes.items():
        if mode.codes.get(release) == code:
            return Crossing((slug,), True)
    raise ValueError(f"{release} has no known code {raw_code!r}; known: {', '.join(known_codes(release))}")


def known_codes(release: str) -> tuple[str, ...]:
    """The codes of a release that the crosswalk knows; dropped codes without a successor are not."""
    data = taxonomy()
    codes = {mode.codes[release] for mode in data.modes.values() if release in mode.codes}
    for section in (data.derived, data.family, data.merged, data.stray):
        codes |= set(section.get(release, {}))
    return tuple(
        sorted(
            codes, key=lambda code: [int(n) if n.isdigit() else n for n in code.replace("-", ".").split(".")]
        )
    )


def published(release: str, atoms: Mapping[str, Present]) -> dict[str, Present]:
    """The verification codes of a release, derived from the atoms. Raises ValueError where none can be."""
    derived = taxonomy().derived.get(release)
    if derived is None:
        raise ValueError(f"the verification codes of {release!r} cannot be derived from the atoms")
    return {code: any_present([atoms[atom] for atom in any_of]) for code, any_of in derived.items()}


def any_present(values: list[Present]) -> Present:
    """Three-valued `or`: present wins, then cannot tell, then absent; not applicable only if all are."""
    for value in ("present", "cannot_tell", "absent"):
        if value in values:
            return value
    return "not_applicable"
