"""Every command that README and docs show works as shown, in the order of its document."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from string import Template

import pytest

from tests.docs.commands import DOCUMENTS, ELSEWHERE, MODELS, PYTHON, ROOT, Command, commands, why_not_run
from tests.extension.install import install_example
from tests.openai_server import OpenAIServer

SMALL = ("executor=local", "repeats=1", "scenario=[16]", "hydra.run.dir=hydra")
"""What an experiment is cut down to, where the command does not say itself."""
SEARCH = ("scenario=[2,20]", "closed_loop.held_out=[16]", "closed_loop.trials=60")
"""The same for a search, whose held-out scenarios must be others."""
SERVERS = ("serve", "view")
MAY_BE_ONE = ("doctor", "compare", "snapshots")
"""Verbs that report what they find by exit code 1."""


@pytest.fixture(scope="module")
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What documents take for granted: two stored runs, a recorded incident, the example package."""
    place = tmp_path_factory.mktemp("prepared")
    for name, seed in (("one", 0), ("other", 1)):
        harness(place, "+experiment=smoke", f"run_dir=runs/{name}", f"seed={seed}", "scenario=[16]")
    harness(place, "scenarios", "export", "16", "--to", "lite", "--minutes", "20")
    install_example(place)
    return place


def harness(cwd: Path, *words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "harness", *words], cwd=cwd, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", **more}


@pytest.fixture
def workspace(prepared: Path, tmp_path: Path) -> Path:
    """Where a document's commands run: as if in a checkout, but writing elsewhere."""
    shutil.copytree(prepared, tmp_path / "work")
    for name in ("docs", "benchmarks", "tests", "conf", "harness", "scenarios", "interventions"):
        (tmp_path / "work" / name).symlink_to(ROOT / name)
    return tmp_path / "work"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_work(document: Path, workspace: Path, server: OpenAIServer) -> None:
    env = environment()
    if document.name == "extending.md":
        env["PYTHONPATH"] = os.pathsep.join((str(workspace / "site-packages"), str(ROOT)))
    for command in commands(document):
        words = [Template(word).safe_substitute(env) for word in command.words]
        if words[0] == "export":
            env.update(word.partition("=")[::2] for word in words[1:])
            if "MODEL_URL" in env:
                env["MODEL_URL"] = server.api_base
        elif not why_not_run(command):
            assert words[0] in PYTHON, f"{where(command)}: neither run here nor in ELSEWHERE: {command.text}"
            _run(command, [sys.executable, *words[1:], *_additions(words, server)], workspace, env)


def _additions(words: list[str], server: OpenAIServer) -> list[str]:
    """What makes an experiment small and gives its models somebody to talk to."""
    if words[-2:] == ["scenarios", "validate"]:
        return ["16"]
    if words[1:3] != ["-m", "harness"] or not any("experiment=" in word for word in words):
        return []
    given = {word.partition("=")[0].lstrip("+") for word in words}
    wanted = (*SMALL[:2], *SEARCH) if "+experiment=closed_loop" in words else SMALL
    small = [one for one in wanted if one.partition("=")[0] not in given]
    if any(word.startswith("scenario=") and not re.fullmatch(r"scenario=\[[\d,]+\]", word) for word in words):
        small.append("scenario=[16]")
    if "plan" in words:
        return []
    chosen = [name for name in MODELS if any(re.search(rf"model=.*\b{name}\b", word) for word in words)]
    return small + [
        f"models.{name}.{field}"
        for name in chosen
        for field in ("model=openai/scripted", f"api_base={server.api_base}", "api_key_env=DOCS_KEY")
    ]


def _run(command: Command, argv: list[str], cwd: Path, env: dict[str, str]) -> None:
    if any(verb in command.words for verb in SERVERS):
        _serves(command, argv, cwd, env)
        return
    done = subprocess.run(
        argv, cwd=cwd, env={**env, "DOCS_KEY": "k"}, capture_output=True, text=True, timeout=300
    )
    fine = {0, 1} if any(verb in command.words for verb in MAY_BE_ONE) else {0}
    assert done.returncode in fine, f"{where(command)}: {argv}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


def _serves(command: Command, argv: list[str], cwd: Path, env: dict[str, str]) -> None:
    """It says where it listens, and ends when asked to."""
    with subprocess.Popen(
        argv,
        cwd=cwd,
        env={**env, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=ctrl_c_counts,
    ) as process:
        assert process.stdout
        said = ""
        for line in process.stdout:
            said += line
            if "http://127.0.0.1:" in line:
                break
        process.send_signal(signal.SIGINT)
        said += process.stdout.read()
    assert "http://127.0.0.1:" in said, f"{where(command)}: {said}"
    assert process.returncode in (0, 130), f"{where(command)}: {said}"


def ctrl_c_counts() -> None:
    """A process that is started in the background of a shell ignores Ctrl-C, and so do its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def where(command: Command) -> str:
    return f"{command.document.relative_to(ROOT)}:{command.line}"


def test_every_reason_not_to_run_a_command_is_needed() -> None:
    used = {why_not_run(command) for document in DOCUMENTS for command in commands(document)}
    assert set(ELSEWHERE) <= used


def test_files_that_documents_link_to_exist() -> None:
    for document in DOCUMENTS:
        for target in re.findall(r"\]\((?!https?://|#|mailto:)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.relative_to(ROOT)} links to {target}"
