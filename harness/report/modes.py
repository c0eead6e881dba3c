"""Failure modes by arm as a report shows them: grouped as in the taxonomy, corrected where that is possible.

Owns: the rows of the table. Does not own: shares and corrections (`results.json`), what is validated
(`validation.py`), or the taxonomy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.mast.taxonomy import taxonomy
from harness.records import TrialRecord
from harness.report.plots import is_of
from harness.report.validation import remark
from harness.statistics.frames import combine_sources

EXTENSIONS = "Beyond MAST: modes of SRE work"
ATOMS = "Parts of the verification modes"


def mode_groups(
    system: Mapping[str, Any], arms: Sequence[Mapping[str, Any]], results: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Groups of rows; each row has the mode's name and meaning, a remark where it is not validated, and one cell
    per arm: share, interval, n, and the corrected share where a calibration allows one."""
    corrected = {
        (entry["arm"], entry["slug"]): entry
        for entry in results["analyses"]["corrected_modes"]
        if is_of(system, entry)
    }
    known = {slug for entry in arms for slug in entry["modes"]}
    hashed = results["plan"]["hashes"].get("taxonomy")
    groups = []
    for name, slugs in _groups(known):
        rows = []
        for slug in slugs:
            ours = any(found == slug for _, found in corrected)
            rows.append(
                {
                    "slug": slug,
                    "says": _says(slug),
                    "remark": remark(slug, hashed, system["simulated"], ours),
                    "cells": [_cell(entry, slug, corrected.get((entry["arm"], slug))) for entry in arms],
                }
            )
        groups.append({"name": name, "rows": rows})
    return groups


def glossary(groups: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Every mode of several tables once: its meaning, and the remarks that any model has on it."""
    found: dict[str, dict[str, Any]] = {}
    for row in (row for group in groups for row in group["rows"]):
        entry = found.setdefault(row["slug"], {"slug": row["slug"], "says": row["says"], "remarks": []})
        if row["remark"] and row["remark"] not in entry["remarks"]:
            entry["remarks"].append(row["remark"])
    return list(found.values())


def only_proposed(records: Iterable[TrialRecord], system: tuple[str, str]) -> list[str]:
    """Modes that no source decided in any trace of a model with an agent, and that some source proposed."""
    decided: set[str] = set()
    proposed: set[str] = set()
    for record in records:
        if (record.spec.model, record.spec.agent) == system:
            decided |= combine_sources(record.labels).keys()
            proposed |= {
                one.slug for one in record.labels if one.basis == "proposes" and one.present == "present"
            }
    return sorted(proposed - decided)


def _groups(known: Iterable[str]) -> list[tuple[str, list[str]]]:
    """The modes that occur, in the taxonomy's order."""
    known = set(known)
    data = taxonomy()
    groups = [
        (f"{category.id} {category.name}", [slug for slug in data.modes if data.modes[slug].category == key])
        for key, category in data.categories.items()
    ]
    groups += [(EXTENSIONS, list(data.extensions)), (ATOMS, list(data.atoms))]
    named = {slug for _, slugs in groups for slug in slugs}
    groups.append(("Others", sorted(known - named)))
    found = [(name, [slug for slug in slugs if slug in known]) for name, slugs in groups]
    return [(name, slugs) for name, slugs in found if slugs]


def _says(slug: str) -> str:
    data = taxonomy()
    if slug in data.modes:
        return data.modes[slug].is_
    return data.extensions.get(slug) or data.atoms.get(slug) or ""


def _cell(entry: Mapping[str, Any], slug: str, corrected: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """None where the mode was decided in no trace of the arm."""
    if slug not in entry["modes"]:
        return None
    return {
        "arm": entry["arm"],
        "share": entry["modes"][slug],
        **entry["modes_interval"][slug],
        "n": entry["modes_n"][slug],
        "corrected": corrected,
    }
