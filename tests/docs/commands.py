"""The commands of README and docs: read from the fenced `sh` and `console` blocks, and what a test does with each.

A command of the harness is run as written, in one directory per document, small enough for a test: an experiment
gets SMALL appended, and a model behind an API is answered by `tests/openai_server.py`. What is not run here stands
in ELSEWHERE with its reason; a row that no document needs any more fails.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")], key=lambda path: path.name
)
PYTHON = ("python", "python3", ".venv/bin/python")
MODELS = ("gemini_3_flash", "kimi_k2", "gpt_oss_120b", "gpt", "claude", "openai_compatible")

ELSEWHERE = {
    r"^make (demo|test|check)$": "continuous integration runs test and check; demo is one of the commands run here",
    r"^python3 -m venv ": "the Makefile does the same",
    r"-m pytest": "this test is part of it",
    r"^hf download ": "needs a network; a recording of the same layout stands in for what it brings",
    r"-m pip install ": "tests/extension does so in a directory of its own, which the commands after it see here",
    r"^kind |^docker build -t shop:1 ": "no public registry in a test; tests/kubernetes builds and loads the image",
    r"live_kubernetes|janitor": "needs a cluster; tests/kubernetes runs these verbs on one",
    r"executor.address=auto|^RAY_ADDRESS=|^ray ": "needs a cluster; tests/survival and tests/executors start nodes",
    r"^docker build -t you/agent|you/agent:1": "an image of yours; tests/sandbox builds and runs one",
}


class Command(NamedTuple):
    """One command line of a document."""

    document: Path
    line: int
    words: tuple[str, ...]

    @property
    def text(self) -> str:
        """The command on one line."""
        return shlex.join(self.words)


def commands(document: Path) -> Iterator[Command]:
    """Commands of a document's `sh` and `console` blocks in their order, without comments, on one line each."""
    for token in MarkdownIt().parse(document.read_text()):
        if token.type != "fence" or token.info not in ("sh", "console"):
            continue
        start = (token.map or [0])[0] + 2
        joined = ""
        for number, line in enumerate(token.content.splitlines()):
            if token.info == "console":
                line = line.removeprefix("$ ")
            joined += line.removesuffix("\\") + " "
            if line.endswith("\\"):
                continue
            words = shlex.split(joined, comments=True)
            if words:
                yield Command(document, start + number, tuple(words))
            joined = ""


def why_not_run(command: Command) -> str | None:
    """The row of ELSEWHERE that speaks of a command."""
    return next((pattern for pattern in ELSEWHERE if re.search(pattern, " ".join(command.words))), None)
