"""A checkout of ITBench on disk (docs/sources I1): where things are, and what can be read.

Owns: paths, parsing, the checkout's commit. Does not own: what it means for a scenario of ours (`importing.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from harness.errors import ConfigurationError, Problem

INDEXES = Path("scenarios/sre/library/indexes/scenarios")
FILES = Path("scenarios/sre/project/roles/scenarios/files")
TRUTHS = ("groundtruth_v1.yaml", "groundtruth.yaml")
"""Names of ground truth, the one with more in it first."""
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_COMMIT = re.compile(r"[0-9a-f]{40}")


class Checkout:
    """One checkout. Raises ConfigurationError when the directory is none."""

    def __init__(self, root: Path) -> None:
        self.root = root
        if not (root / INDEXES).is_dir():
            hint = "name the root of a checkout of ITBench"
            raise ConfigurationError(Problem(str(root), f"has no {INDEXES}", hint))

    def ids(self) -> list[int]:
        """Ids of all scenarios that have an index file or a folder, ascending."""
        indexed = (path.stem for path in (self.root / INDEXES).glob("*.json"))
        folders = (path.name.removeprefix("scenario_") for path in (self.root / FILES).glob("scenario_*"))
        return sorted({int(name) for name in (*indexed, *folders) if name.isdigit()})

    def version(self) -> str:
        """The first seven digits of the checked-out commit; `unknown` without git's files."""
        git = self.root / ".git"
        try:
            head = (git / "HEAD").read_text().strip()
            if not head.startswith("ref: "):
                return head[:7] if _COMMIT.fullmatch(head) else "unknown"
            name = head.removeprefix("ref: ")
            if (git / name).is_file():
                return (git / name).read_text().strip()[:7]
            packed = (git / "packed-refs").read_text().splitlines()
        except OSError:
            return "unknown"
        return next((line[:7] for line in packed if line.endswith(f" {name}")), "unknown")

    def index(self, scenario_id: int, problems: list[Problem]) -> Mapping[str, Any]:
        """The scenario's index file; empty where there is none that can be read."""
        return self._mapping(INDEXES / f"{scenario_id}.json", problems)

    def manifest(self, scenario_id: int, problems: list[Problem]) -> Mapping[str, Any]:
        """The `spec` of what is really run; empty where there is none that can be read."""
        spec = self._mapping(FILES / f"scenario_{scenario_id}" / "scenario.yaml", problems).get("spec")
        return spec if isinstance(spec, dict) else {}

    def ground_truth(self, scenario_id: int, problems: list[Problem]) -> tuple[str, Any]:
        """(file, parsed document) of the best ground truth; an empty name where there is none."""
        for name in TRUTHS:
            path = FILES / f"scenario_{scenario_id}" / name
            if (self.root / path).is_file():
                return str(path), self._mapping(path, problems)
        problems.append(Problem(str(FILES / f"scenario_{scenario_id}"), f"has no {' and no '.join(TRUTHS)}"))
        return "", {}

    def _mapping(self, path: Path, problems: list[Problem]) -> Mapping[str, Any]:
        try:
            text = (self.root / path).read_text(encoding="utf-8")
            data = json.loads(text) if path.suffix == ".json" else yaml.load(text, _Loader)
        except FileNotFoundError:
            problems.append(Problem(str(path), "does not exist"))
            return {}
        except (OSError, ValueError, yaml.YAMLError) as error:
            problems.append(Problem(str(path), f"cannot be read: {' '.join(str(error).split())}"))
            return {}
        if isinstance(data, dict):
            return data
        problems.append(Problem(str(path), f"found {type(data).__name__}; expected a mapping"))
        return {}
