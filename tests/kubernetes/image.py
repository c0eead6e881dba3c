"""The shop's image without a registry to take a base image from: the interpreter that runs this, and a busybox.

    python -m tests.kubernetes.image shop:1

Owns: that image, imported into the local docker engine, for tests where no public registry can be reached. Users
build the Dockerfile instead.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from harness.environments.kubernetes.shop import write_context

IMPORTS = (
    "json, os, re, runpy, signal, socket, sys, threading, time, typing, collections.abc, "
    "pathlib, encodings.latin_1, encodings.utf_8"
)
"""What the program imports, and what the scripts of init containers do."""
APPLETS = ("sh", "sleep", "true", "false", "cat", "head", "echo", "env", "ls")


def files_of_interpreter(python: str) -> set[Path]:
    """The interpreter, its shared libraries and the modules that it needs."""
    listing = f"import {IMPORTS}; print('\\n'.join(getattr(m, '__file__', None) or '' for m in sys.modules.values()))"
    flags = [python, "-S", "-E", "-B", "-c", listing]
    modules = subprocess.run(flags, check=True, capture_output=True, text=True).stdout.split()
    files = {Path(python), *map(Path, modules)}
    for binary in [path for path in files if path.suffix == ".so" or path == Path(python)]:
        linked = subprocess.run(["ldd", str(binary)], check=False, capture_output=True, text=True).stdout
        files |= {Path(found) for found in re.findall(r"(/\S+)", linked)}
    return {path for path in files if path.is_file()}


def build(name: str) -> None:
    """Import the image under a name. Raises CalledProcessError where there is no engine, FileNotFoundError where
    there is no busybox."""
    python = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    busybox = shutil.which("busybox")
    if busybox is None:
        raise FileNotFoundError("busybox: install the package busybox-static")
    with tempfile.TemporaryDirectory() as context, tempfile.TemporaryFile() as archive:
        write_context(Path(context))
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for path in sorted(files_of_interpreter(python)):
                tar.add(os.path.realpath(path), arcname=str(path))
            tar.add(busybox, arcname="/bin/busybox")
            links = {f"/bin/{applet}": "busybox" for applet in APPLETS}
            for link, target in (links | {"/bin/python3": python, "/bin/python3.14": python}).items():
                entry = tarfile.TarInfo(link)
                entry.type, entry.linkname = tarfile.SYMTYPE, target
                tar.addfile(entry)
            tar.add(Path(context) / "shop", arcname="/shop")
            tar.add(Path(context) / "valkey-server", arcname="/bin/valkey-server")
            add_text(tar, "/etc/passwd", "nobody:x:65534:65534:nobody:/:/bin/false\n")
            add_text(tar, "/etc/nsswitch.conf", "hosts: files dns\n")
        archive.seek(0)
        changes = (
            "ENV PATH=/bin",
            "USER 65534",
            'ENTRYPOINT ["python3", "-S", "-E", "-B", "/shop"]',
        )
        options = [word for change in changes for word in ("--change", change)]
        subprocess.run(
            ["docker", "import", *options, "-", name], stdin=archive, check=True, stdout=sys.stderr
        )


def add_text(tar: tarfile.TarFile, path: str, text: str) -> None:
    """Add a file with this content."""
    data = text.encode()
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = len(data), 0o644
    tar.addfile(entry, io.BytesIO(data))


if __name__ == "__main__":
    build(sys.argv[1])
