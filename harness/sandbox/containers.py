"""One hardened container: made, spoken to within limits, gone with the process that holds it.

Every container has the same shape: no network unless one is named, no capabilities, no new privileges, no root,
a read-only file system with two small scratch places in memory, limits on processors, memory and processes. A
sandbox' first process waits for the end of its input, which this process holds open: when this process dies, in
whatever way, the input ends, the container ends, and the engine removes it.

Owns: that shape, commands with their deadline and their meter of output. Does not own: who gets a container
(`pool.py`). Functions block; the pool runs them in threads.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from harness.sandbox.config import Limits
from harness.sandbox.engine import connect, owner, remove

WORK, TEMPORARY, EVIDENCE = "/workspace", "/tmp", "/evidence"
KEEPER = "65533:65533"
"""Who our first process runs as: what the agent runs can neither signal nor read it."""
MEGABYTE = 1_000_000
FRAME = struct.Struct(">BxxxL")
"""Head of a piece of output: stream (1 stdout, 2 stderr) and length."""
CHUNK = 65_536
NOT_STARTED, NO_START_CODES = b"OCI runtime exec failed", (126, 128)
"""What stands for the output of a command that the engine could not start, as where all processes are taken."""
QUELL_S = 5.0
"""Real seconds to kill what a command left running before the whole container is given up."""


class Ran(NamedTuple):
    """What came of one command."""

    exit_code: int | None
    """None: it was killed, for the reason in `killed`."""
    stdout: bytes
    stderr: bytes
    total_bytes: int
    killed: str = ""
    lost: bool = False
    """The container is gone, and with it all files in its scratch places."""


def create(
    image: str,
    command: Sequence[str] | None,
    limits: Limits,
    *,
    scratch: Sequence[str],
    binds: Sequence[str] = (),
    network: str = "none",
    **more: Any,
) -> str:
    """Make a container of the common shape, not started; its id. `scratch`: the places that can be written."""
    client = connect()
    uid, gid = limits.user.split(":")
    memory = f"rw,nosuid,nodev,noexec,size={limits.scratch_mb}m,uid={uid},gid={gid},mode=755"
    shape = client.create_host_config(
        auto_remove=True,
        init=True,
        network_mode=network,
        binds=list(binds),
        read_only=limits.read_only,
        tmpfs=dict.fromkeys(scratch, memory),
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        pids_limit=limits.pids,
        mem_limit=limits.memory_mb * MEGABYTE,
        memswap_limit=limits.memory_mb * MEGABYTE,
        nano_cpus=int(limits.cpus * 1e9),
        ipc_mode="none",
        runtime=limits.runtime,
        log_config={"Type": "none"},
    )
    made = client.create_container(
        image,
        command=list(command) if command is not None else None,
        host_config=shape,
        stdin_open=True,
        hostname="sandbox",
        labels=dict(owner()),
        name=f"sandbox-{uuid.uuid4().hex[:12]}",
        **more,
    )
    return str(made["Id"])


class Container:
    """A started container in which commands can be run, one at a time."""

    def __init__(self, image: str, limits: Limits, evidence: Path) -> None:
        """Start one that sees the directory `evidence`, read-only."""
        self._limits = limits
        self.id = create(
            image,
            None,
            limits,
            entrypoint=["cat"],
            scratch=(WORK, TEMPORARY),
            working_dir=WORK,
            user=KEEPER,
            binds=[f"{evidence}:{EVIDENCE}:ro"],
            environment={"HOME": WORK, "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"},
        )
        client = connect()
        try:
            self._input = client.attach_socket(self.id, params={"stdin": 1, "stream": 1})
            client.start(self.id)
        except Exception:
            remove(self.id)
            raise

    def run(self, argv: Sequence[str], seconds: float, most_bytes: int) -> Ran:
        """Run a command as the agent's user. Beyond either limit it is killed with everything that it started."""
        from docker.errors import APIError

        try:
            return self._run(argv, seconds, most_bytes)
        except APIError as error:
            if error.status_code not in (404, 409):
                raise
            return Ran(None, b"", b"", 0, killed="the container had ended", lost=True)

    def close(self) -> None:
        """Kill and remove it, whatever runs in it."""
        remove(self.id)
        close(self._input)

    def _run(self, argv: Sequence[str], seconds: float, most_bytes: int) -> Ran:
        client = connect()
        started = client.exec_create(self.id, list(argv), user=self._limits.user, workdir=WORK)["Id"]
        stream = client.exec_start(started, socket=True)
        try:
            streams, total, killed = read_frames(stream, time.monotonic() + seconds, most_bytes)
        finally:
            close(stream)
        code = client.exec_inspect(started)["ExitCode"] if not killed else None
        if code is None and not killed:
            killed = "the container ended, or its memory was used up"
        if streams[1].startswith(NOT_STARTED) and code in NO_START_CODES:
            code, killed = None, "no process could be started any more"
        lost = bool(killed) and not self._quell()
        return Ran(code, streams[1], streams[2], total, killed, lost)

    def _quell(self) -> bool:
        """Kill everything that the agent's user runs; whether the container still answers."""
        from docker.errors import APIError

        client = connect()
        try:
            killing = client.exec_create(self.id, ["sh", "-c", "kill -9 -1"], user=self._limits.user)["Id"]
            stream = client.exec_start(killing, socket=True)
            try:
                _, _, late = read_frames(stream, time.monotonic() + QUELL_S, CHUNK)
            finally:
                close(stream)
            return not late and client.exec_inspect(killing)["ExitCode"] == 0
        except APIError:
            return False


def read_frames(stream: Any, deadline: float, most_bytes: int) -> tuple[Mapping[int, bytes], int, str]:
    """Read the multiplexed output of a command until its end, the deadline, or too many bytes.

    Returns what each stream said, the bytes of both, and which limit ended it (empty: none).
    """
    raw = stream._sock  # what docker-py returns wraps the socket, and reading through it knows no deadline
    said = {1: bytearray(), 2: bytearray()}
    total, rest = 0, b""
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([raw], [], [], left)[0]:
            return freeze(said), total, "time was up"
        chunk = raw.recv(CHUNK)
        if not chunk:
            return freeze(said), total, ""
        rest += chunk
        while len(rest) >= FRAME.size:
            number, length = FRAME.unpack_from(rest)
            if len(rest) < FRAME.size + length:
                break
            said[2 if number == 2 else 1] += rest[FRAME.size : FRAME.size + length]
            rest = rest[FRAME.size + length :]
            total += length
        if total > most_bytes:
            return freeze(said), total, f"it wrote more than {most_bytes:,} bytes"


def freeze(said: Mapping[int, bytearray]) -> Mapping[int, bytes]:
    """The streams as they were read."""
    return {number: bytes(text) for number, text in said.items()}


def close(stream: Any) -> None:
    """Close a connection that docker-py handed over, both layers of it."""
    raw = stream._sock
    with contextlib.suppress(OSError):
        raw.shutdown(socket.SHUT_RDWR)
    stream.close()
    raw.close()
