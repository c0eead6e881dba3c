"""What containers do that do not simply run the application's program: shells, scripts, Python.

Owns: the files that ConfigMaps mount, the values that a container's variables and options have when it starts,
and the few programs that auxiliary containers use. What a script does follows from its text and from the files
beside it; so it changes when somebody edits them.
"""

from __future__ import annotations

import json
import posixpath
import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from harness.cluster import Manifest
from harness.environments.simulated.process import Process

if TYPE_CHECKING:
    from harness.environments.simulated.store import ObjectStore

SHELLS = frozenset({"sh", "/bin/sh", "bash", "/bin/bash"})
PROGRAMS = SHELLS | {"sleep", "/bin/sleep", "true", "false", "echo", "cat", "env", "tail"}
"""Programs that any image has."""
HOME = "/opt/app-root/src"
_PYTHON = re.compile(r"\bpython[0-9.]*\s+(\S+)")
_LOOP = re.compile(r"\bwhile\b|\bfor\b.*\bin\b.*infinity|\bsleep\s+infinity\b")
_WRITES = re.compile(r"head -c (\d+)")
_PAUSE = re.compile(r"\bsleep (\d+)")
_REFERENCE = re.compile(r"\$\((\w+)\)")

Files = Mapping[str, str]
"""Absolute path -> text."""


def mounted_files(pod: Manifest, container: Manifest, store: ObjectStore) -> dict[str, str]:
    """What the ConfigMaps mounted into a container hold now."""
    volumes = {volume["name"]: volume.get("configMap") for volume in pod["spec"].get("volumes") or ()}
    files: dict[str, str] = {}
    for mount in container.get("volumeMounts") or ():
        source = volumes.get(mount["name"])
        config_map = store.get("ConfigMap", source["name"], pod["metadata"]["namespace"]) if source else None
        data = (config_map or {}).get("data") or {}
        items = (source or {}).get("items") or [{"key": key, "path": key} for key in data]
        for item in items:
            if item["key"] in data:
                files[posixpath.join(mount["mountPath"], item["path"])] = data[item["key"]]
    return files


def settings(container: Manifest, store: ObjectStore, namespace: str) -> dict[str, str]:
    """Environment variables and `--options` with the values that a container starts with."""
    values: dict[str, str] = {}
    for entry in container.get("env") or ():
        values[entry["name"]] = _expand(_value(entry, store, namespace), values)
    words = [
        _expand(str(word), values) for field in ("command", "args") for word in container.get(field) or ()
    ]
    for word, following in zip(words, [*words[1:], ""], strict=False):
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            values[name] = value if equals else following
    return values


def _value(entry: Manifest, store: ObjectStore, namespace: str) -> str:
    for field, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
        wanted = (entry.get("valueFrom") or {}).get(field)
        if wanted:
            data = (store.get(kind, wanted["name"], namespace) or {}).get("data") or {}
            text = str(data.get(wanted["key"], ""))
            return b64decode(text).decode(errors="replace") if kind == "Secret" else text
    return str(entry.get("value", ""))


def _expand(text: str, values: Mapping[str, str]) -> str:
    return _REFERENCE.sub(lambda found: values.get(found[1], found[0]), text)


def run_script(words: Sequence[str], files: Files, program: str, room_mi: float) -> Process | None:
    """What a mounted script does; None when the words start none.

    `program` is the application's own: a script that calls it serves. `room_mi`: mebibytes that such a script
    may fill before it is killed; infinite without a limit."""
    text = " ".join(words)
    python = _PYTHON.search(text)
    if python is not None:
        return _run_python(_absolute(python[1]), files)
    if len(words) < 2 or words[0] not in SHELLS or words[1].startswith("-"):
        return None
    path = _absolute(words[1])
    if path not in files:
        return Process("exits", 0.5, 127, logs=(f"{words[0]}: {path}: No such file or directory",))
    return _run_shell(files[path], program, room_mi)


def _absolute(path: str) -> str:
    return path.strip("'\"").replace("~", HOME, 1)


def _run_python(path: str, files: Files) -> Process:
    if path not in files:
        error = f"python: can't open file '{path}': [Errno 2] No such file or directory"
        return Process("exits", 0.5, 2, logs=(error,))
    script = files[path]
    if "json.load" in script:
        for name, text in files.items():
            try:
                json.loads(text if name.endswith(".json") else "null")
            except ValueError as error:
                trace = ("Traceback (most recent call last):", f'  File "{path}", in <module>')
                says = f"json.decoder.JSONDecodeError: {error} ({name})"
                return Process("exits", 1.5, 1, logs=(*trace, says))
    return Process("runs") if _LOOP.search(script) else Process("exits", 1.5, 0)


def _run_shell(script: str, program: str, room_mi: float) -> Process:
    serves = bool(program) and program in script
    loops = _LOOP.search(script) is not None
    if not serves:
        return Process("runs") if loops else Process("exits", 1.0, 1 if "exit 1" in script else 0)
    written, pause = _WRITES.search(script), _PAUSE.search(script)
    if not loops or written is None:
        return Process("runs", serves=True)
    mi_per_s = int(written[1]) / 2**20 / max(1, int(pause[1]) if pause else 1)
    if room_mi == float("inf"):
        return Process("runs", serves=True)
    return Process("oom", max(0.5, room_mi / mi_per_s), 137, serves=True)


def run_command(words: Sequence[str]) -> Process:
    """What a container does whose program is neither the application's nor a mounted script."""
    if not words:
        return Process("runs")
    program, text = words[0], " ".join(words[1:])
    if program not in PROGRAMS:
        return Process(
            "start_error",
            exit_code=128,
            message="failed to create containerd task: failed to create shim task: OCI runtime create failed: "
            "runc create failed: unable to start container process: error during container init: exec: "
            f'"{program}": executable file not found in $PATH',
        )
    if "infinity" in text or program == "tail" or "while true" in text or "while :" in text:
        return Process("runs")
    if program.endswith("sleep"):
        return Process("exits", after_s=float(words[1]) if len(words) > 1 and words[1].isdigit() else 0.0)
    return Process("exits", after_s=1.0, exit_code=1 if program == "false" or "exit 1" in text else 0)
