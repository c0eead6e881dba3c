"""The official evaluator's directory of outputs (docs/sources I5), read by its own rules.

    <outputs>/<incident>/<trial>/agent_output.json

Owns: which folders and files count, and that nothing which is owed goes missing: an absent or unreadable output
becomes an entry with a reason, to be counted as zero. Does not own: the file's content (`agent_output.py`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import ConfigurationError, Problem
from harness.interop.agent_output import parse_output
from harness.records import Diagnosis

FILES = (
    "outputs/agent_output.json",
    "outputs/agent_response.json",
    "agent_output.json",
    "agent_response.json",
)
"""Where a trial's answer may lie; the first that exists counts."""
LARGEST = 64 * 1024 * 1024
"""Bytes beyond which a file is no diagnosis."""
_FOLDER = re.compile(r"(?:scenario-i|scenario[-_]?|incident[-_])?(?P<id>.+)", re.IGNORECASE)
_DIGITS = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True)
class StoredOutput:
    """One trial of one incident."""

    incident: str
    trial: int
    diagnosis: Diagnosis | None
    reason: str | None = None
    """Reason code where there is no diagnosis."""
    detail: str = ""


def read_outputs(
    root: Path, incidents: Iterable[str], trials: int | None = None, only_present: bool = False
) -> tuple[list[StoredOutput], list[Problem]]:
    """All trials of these incidents, and what in the directory was passed over.

    Every incident owes `trials` outputs (None: as many as the incident that has most); what is not there is added
    with the reason `no_output`. `only_present` lets incidents without a folder owe nothing.
    Raises ConfigurationError when the directory has no folder of any of the incidents."""
    if not root.is_dir():
        raise ConfigurationError(Problem(str(root), "is no directory", "expected <incident>/<trial>/ in it"))
    wanted = list(incidents)
    folders, problems = _incident_folders(root, wanted)
    if not folders:
        hint = "folders are called <id>, Scenario-<id>, incident_<id>, ..."
        raise ConfigurationError(Problem(str(root), "no folder of an incident of the ground truth", hint))
    read: dict[str, list[StoredOutput]] = {}
    for incident, folder in folders.items():
        read[incident], passed_over = _trials(incident, folder)
        problems += passed_over
    owed = trials or max(1, *(len(stored) for stored in read.values()))
    for incident in wanted:
        if incident not in read and only_present:
            continue
        stored = read.setdefault(incident, [])
        stored += _missing(incident, stored, owed, folders.get(incident))
    return [output for incident in wanted for output in read.get(incident, ())], problems


def incident_of(folder: str, incidents: Iterable[str]) -> str | None:
    """The incident that a folder's name means, by the official forms; None when it means none of them."""
    found = _FOLDER.fullmatch(folder)
    return found["id"] if found and found["id"] in set(incidents) else None


def _incident_folders(root: Path, incidents: Sequence[str]) -> tuple[dict[str, Path], list[Problem]]:
    folders: dict[str, Path] = {}
    problems: list[Problem] = []
    for folder in _directories(root):
        incident = incident_of(folder.name, incidents)
        if incident is None:
            problems.append(Problem(str(folder), "is no incident of the ground truth; passed over"))
        elif incident in folders:
            what = f"means incident {incident} again; only {folders[incident].name} was read"
            problems.append(Problem(str(folder), what))
        else:
            folders[incident] = folder
    return folders, problems


def _trials(incident: str, folder: Path) -> tuple[list[StoredOutput], list[Problem]]:
    stored, problems = [], []
    for trial in _directories(folder):
        if _DIGITS.fullmatch(trial.name):
            stored.append(_read(incident, int(trial.name), trial))
        else:
            problems.append(Problem(str(trial), "is no trial: its name is not all digits; passed over"))
    return sorted(stored, key=lambda output: output.trial), problems


def _read(incident: str, number: int, folder: Path) -> StoredOutput:
    path = next((folder / name for name in FILES if (folder / name).is_file()), None)
    if path is None:
        return StoredOutput(incident, number, None, "no_output", f"{folder} has no agent_output.json")
    try:
        if path.stat().st_size > LARGEST:
            detail = f"{path}: larger than {LARGEST // 2**20} MiB"
            return StoredOutput(incident, number, None, "schema_violation", detail)
        output = parse_output(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        return StoredOutput(incident, number, None, "invalid_json", f"{path}: cannot be read: {error}")
    detail = f"{path}: {output.detail}" if output.detail else ""
    return StoredOutput(incident, number, output.diagnosis, output.reason, detail)


def _missing(
    incident: str, stored: Sequence[StoredOutput], owed: int, folder: Path | None
) -> list[StoredOutput]:
    taken = {output.trial for output in stored}
    free = (number for number in range(1, owed + len(taken) + 1) if number not in taken)
    detail = f"{folder} has no folder of this trial" if folder else "no folder of this incident"
    return [
        StoredOutput(incident, number, None, "no_output", detail)
        for number, _ in zip(free, range(owed - len(stored)), strict=False)
    ]


def _directories(root: Path) -> list[Path]:
    """Folders in a fixed order; hidden ones are somebody's tools."""
    with os.scandir(root) as entries:
        names = [entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    return [root / name for name in sorted(names)]
