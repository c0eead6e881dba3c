"""Three Ray nodes on this machine, each with its own raylet and resources, behind token authentication.

A process of their own starts them: Ray reads once per process whether there is authentication, and other tests use
it without.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
OTHERS = 2
"""Nodes beside the head, on which the driver is."""
TRIES = 6


class ThreeNodes:
    """The head and two others that can be killed and replaced."""

    def __init__(self, temporary: str) -> None:
        from ray.cluster_utils import Cluster

        without = {"include_dashboard": False, "include_log_monitor": False, "no_monitor": True}
        head = {"num_cpus": 1, "temp_dir": temporary} | without
        self._cluster = patiently(lambda: Cluster(initialize_head=True, head_node_args=head))
        self._others: list[Any] = []
        self._dead: list[Any] = []
        self.replace_lost()

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    def replace_lost(self) -> None:
        """Have two nodes beside the head again, and nothing left of those that died."""
        while self._dead:
            self._cluster.remove_node(self._dead.pop(), allow_graceful=False)
        while len(self._others) < OTHERS:
            self._others.append(patiently(self._another))

    def _another(self) -> Any:
        return self._cluster.add_node(num_cpus=1, resources={"live_cluster": 2})

    def kill_node(self) -> None:
        """SIGKILL to all processes of a node: raylet, agents, workers."""
        node = self._others.pop()
        for worker in workers_of(raylet(node)):
            os.kill(worker, signal.SIGKILL)
        self._cluster.remove_node(node, allow_graceful=False)

    def kill_raylet(self) -> None:
        """SIGKILL to the raylet alone."""
        node = self._others.pop()
        os.kill(raylet(node), signal.SIGKILL)
        self._dead.append(node)

    def kill_worker(self) -> None:
        """SIGKILL to an actor's process on one of the nodes."""
        (worker, *_) = (pid for node in self._others for pid in actors_of(raylet(node)))
        os.kill(worker, signal.SIGKILL)

    def shutdown(self) -> None:
        self._cluster.shutdown()


def patiently(start: Callable[[], T]) -> T:
    """Start a node, again where need be: on a busy machine agents take longer than the 15 s that a raylet waits."""
    for _ in range(TRIES - 1):
        with suppress(Exception):  # Ray raises nothing more specific
            return start()
    return start()


def raylet(node: Any) -> int:
    """Its process id."""
    return int(node.all_processes["raylet"][0].process.pid)


def workers_of(parent: int) -> list[int]:
    """Processes whose parent it is."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            if int(status.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(status.parent.name))
    return found


def actors_of(parent: int) -> list[int]:
    """Those that run our actor; Ray writes what it does into a process's title."""
    return [pid for pid in workers_of(parent) if b"Worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]


class Elsewhere:
    """Three nodes of another process."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.address: str = pipe.recv()

    def do(self, what: str) -> None:
        """Call a method of ThreeNodes."""
        self._pipe.send(what)
        assert self._pipe.recv() == what


def keep_nodes(pipe: Connection, temporary: str) -> None:
    """Start them, do what is asked, stop them."""
    nodes = ThreeNodes(temporary)
    pipe.send(nodes.address)
    for what in iter(pipe.recv, "shutdown"):
        getattr(nodes, what)()
        pipe.send(what)
    nodes.shutdown()


@contextmanager
def three_nodes() -> Iterator[Elsewhere]:
    """A cluster that ends with the block. Its sockets need a short path."""
    temporary = tempfile.mkdtemp(prefix="r", dir="/tmp")
    spawn = get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=keep_nodes, args=(theirs, temporary))
    process.start()
    theirs.close()
    try:
        yield Elsewhere(ours)
    finally:
        with suppress(OSError):  # it ended by itself
            ours.send("shutdown")
        process.join()
        shutil.rmtree(temporary, ignore_errors=True)
