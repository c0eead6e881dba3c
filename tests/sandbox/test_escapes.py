"""What code in a sandbox cannot do, tried for real. docs/security.md names these tests."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.sandbox.containers import Ran
from harness.sandbox.engine import OWNER, connect
from harness.sandbox.pool import Sandbox, SandboxPool
from tests.sandbox.conftest import SMALL, config, inside

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("docker_image")]


def shell(*commands: str, **fields: object) -> list[Ran]:
    """What these commands do, one after the other in one sandbox."""

    async def work(sandbox: Sandbox) -> list[Ran]:
        (sandbox.evidence / "events.jsonl").write_text('{"reason": "BackOff"}\n')
        return [await sandbox.run(["sh", "-c", command]) for command in commands]

    return inside(work, **fields)


def text(ran: Ran) -> str:
    return (ran.stdout + ran.stderr).decode()


def python(code: str, **fields: object) -> Ran:
    return inside(lambda sandbox: sandbox.run(["python3", "-c", code]), **fields)


def test_it_works_at_all() -> None:
    wrote, read, failed = shell(
        "echo hello > /workspace/a && grep -c BackOff /evidence/events.jsonl",
        "cat a; pwd",
        "echo no >&2; exit 3",
    )
    assert (wrote.exit_code, text(wrote)) == (0, "1\n")
    assert text(read) == "hello\n/workspace\n"
    assert (failed.exit_code, failed.stdout, failed.stderr) == (3, b"", b"no\n")
    assert text(python("print(sum(range(10)))")) == "45\n"


def test_there_is_no_network() -> None:
    (interfaces,) = shell("ls /sys/class/net; cat /proc/net/route")
    assert "eth0" not in text(interfaces)
    tried = python(
        "import socket\n"
        "for to in (('8.8.8.8', 53), ('172.17.0.1', 22), ('169.254.169.254', 80)):\n"
        "    try: socket.create_connection(to, 2); print('CONNECTED', to)\n"
        "    except OSError as error: print(error)\n"
        "try: print('RESOLVED', socket.getaddrinfo('example.com', 80))\n"
        "except OSError as error: print(error)"
    )
    assert "CONNECTED" not in text(tried)
    assert "RESOLVED" not in text(tried)
    assert text(tried).count("unreachable") == 3


def test_nobody_is_root_and_there_are_no_capabilities_and_no_way_to_get_any() -> None:
    (status,) = shell("id -u; cat /proc/self/status")
    lines = dict(line.split(":", 1) for line in text(status).splitlines()[1:])
    assert text(status).splitlines()[0] == "65534"
    for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(lines[capabilities], 16) == 0, capabilities
    assert lines["NoNewPrivs"].strip() == "1"
    assert lines["Seccomp"].strip() == "2"


def test_nothing_can_be_written_but_scratch_space() -> None:
    places = "/ /etc /usr/bin /bin /evidence /dev /proc/sys/kernel/hostname /sys/fs/cgroup /var /root /home"
    tries = [f"for p in {places}; do (echo x > $p/x || echo x > $p) 2>/dev/null && echo WROTE $p; done; true"]
    tries += ["echo x > /evidence/events.jsonl", "rm /evidence/events.jsonl", "mount -t tmpfs none /etc"]
    tries += [
        "mkdir /workspace/a && echo '#!/bin/sh' > /workspace/a/b && chmod 755 /workspace/a/b && /workspace/a/b"
    ]
    wrote, overwrote, removed, mounted, executed = shell(*tries)
    assert text(wrote) == ""
    for refused in (overwrote, removed, mounted):
        assert refused.exit_code != 0
        assert "denied" in text(refused) or "Read-only" in text(refused)
    assert "denied" in text(executed)


def test_scratch_space_is_small() -> None:
    filled, after = shell(
        "dd if=/dev/zero of=/workspace/big bs=1M count=64", "ls -l /workspace; echo still here"
    )
    assert filled.exit_code != 0
    assert "No space left" in text(filled)
    assert "still here" in text(after)


def test_the_engine_and_the_host_are_out_of_reach() -> None:
    (seen,) = shell(
        "ls /var/run/docker.sock /run/docker.sock /run/containerd 2>&1; ls -d /workspace /evidence; "
        "cat /proc/1/environ /proc/1/mem 2>&1; env; hostname; cat /proc/1/cmdline; ls /dev"
    )
    shown = text(seen)
    assert shown.count("No such file") == 3
    assert "denied" in shown
    assert os.uname().nodename not in shown
    assert not {"sda", "vda", "nvme0n1", "kmsg", "mem"} & set(shown.split())
    for secret in ("API_KEY", str(Path.home())):
        assert secret not in shown.replace("HOME=/workspace", "")


def test_a_symlink_leads_nowhere_but_into_the_container() -> None:
    (followed,) = shell(
        "ln -s /evidence/../../../../etc/hostname /workspace/out; cat /workspace/out; cat /proc/1/root/etc/shadow"
    )
    assert os.uname().nodename not in text(followed)
    assert "denied" in text(followed) or "No such" in text(followed)


BOMB = """
import os
while True:
    try: os.fork()
    except OSError: pass
"""


def test_a_fork_bomb_is_contained_and_ends_with_its_call() -> None:
    began = time.monotonic()
    bomb, after = shell(f"python3 -c '{BOMB}'", "echo alive; ls /proc | grep -c '^[0-9]'", call_seconds=3)
    assert bomb.killed == "time was up"
    alive, processes = text(after).splitlines()
    assert alive == "alive"
    assert int(processes) < 10
    assert time.monotonic() - began < 30


def test_a_fork_bomb_in_the_background_gets_no_more_than_its_processes() -> None:
    count = "for p in /proc/[0-9]*; do echo $p; done"
    _, *counted = shell(f"python3 -c '{BOMB}' >/dev/null 2>&1 & sleep 1", *[count] * 3)
    for ran in counted:
        assert len(text(ran).splitlines()) <= SMALL.pids + 3
        assert not ran.killed or ran.killed == "no process could be started any more"


def test_a_memory_bomb_is_killed_and_the_host_keeps_its_memory() -> None:
    async def work(sandbox: Sandbox) -> Sequence[Ran]:
        bomb = await sandbox.run(["python3", "-c", "x = []\nwhile True: x.append(bytearray(1_000_000))"])
        return bomb, await sandbox.run(["sh", "-c", "echo alive"])

    bomb, after = inside(work)
    assert bomb.killed or bomb.exit_code in (1, 137), bomb
    assert text(after) == "alive\n"


def test_endless_output_is_cut_off() -> None:
    began = time.monotonic()
    flood, after = shell("yes", "ps | grep -c '[y]es'", output_bytes=100_000)
    assert flood.killed == "it wrote more than 100,000 bytes"
    assert flood.total_bytes < 300_000
    assert text(after) == "0\n"
    assert time.monotonic() - began < 15


def test_what_takes_too_long_is_killed_with_all_that_it_started() -> None:
    slow, after = shell(
        "echo kept > /workspace/a; setsid sleep 100 & sleep 100", "cat a; ps", call_seconds=1.5
    )
    assert (slow.exit_code, slow.killed, slow.lost) == (None, "time was up", False)
    assert "kept" in text(after)
    assert "sleep" not in text(after)


def test_killing_everything_does_not_end_the_sandbox() -> None:
    killed, after = shell("kill -9 -1; kill -9 1; kill -9 7", "echo alive")
    assert killed.exit_code is not None
    assert text(after) == "alive\n"


def test_a_container_that_ended_is_replaced_and_the_agent_told() -> None:
    async def work(sandbox: Sandbox) -> Sequence[Ran]:
        (sandbox.evidence / "a.txt").write_text("evidence")
        connect().kill(sandbox.container)
        return [await sandbox.run(["sh", "-c", "echo 1"]), await sandbox.run(["cat", "/evidence/a.txt"])]

    lost, after = inside(work)
    assert lost.lost
    assert after.stdout == b"evidence"


def test_trials_see_nothing_of_each_other() -> None:
    async def main() -> tuple[Ran, Ran]:
        pool = SandboxPool(config(ready=1))
        one, other = await pool.take(), await pool.take()
        try:
            (one.evidence / "mine.txt").write_text("mine")
            await one.run(["sh", "-c", "echo secret > /workspace/s; echo secret > /tmp/s; sleep 20 &"])
            seen = await other.run(["sh", "-c", "ls -A /workspace /tmp /evidence; ps | grep '[s]leep'"])
            await one.close()
            third = await pool.take()
            fresh = await third.run(["sh", "-c", "ls -A /workspace /tmp /evidence"])
            await third.close()
            return seen, fresh
        finally:
            await other.close()
            await pool.close()

    for seen in asyncio.run(main()):
        assert seen.stdout.decode().split() == ["/evidence:", "/tmp:", "/workspace:"] or text(
            seen
        ).split() == [
            "/workspace:",
            "/tmp:",
            "/evidence:",
        ]


HOLDER = """
import asyncio, json, sys
from harness.sandbox.pool import SandboxPool
from tests.sandbox.conftest import config

async def main():
    pool = SandboxPool(config())
    sandbox = await pool.take()
    print(sandbox.container, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


def test_a_sandbox_dies_with_its_process_even_by_kill_9() -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    container = holder.stdout.readline().strip()
    assert container in ids()
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    deadline = time.monotonic() + 60
    while container in ids():
        assert time.monotonic() < deadline, "it is still there"
        time.sleep(0.1)


def ids() -> list[str]:
    return [found["Id"] for found in connect().containers(all=True, filters={"label": OWNER})]


def test_the_limits_are_on_the_container() -> None:
    async def work(sandbox: Sandbox) -> dict[str, object]:
        return json.loads(json.dumps(connect().inspect_container(sandbox.container)))

    found = inside(work)
    host = found["HostConfig"]
    assert isinstance(host, dict)
    wanted = {
        "NetworkMode": "none",
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        "PidsLimit": 40,
        "Privileged": False,
    }
    wanted |= {
        "Memory": 96_000_000,
        "MemorySwap": 96_000_000,
        "NanoCpus": 10**9,
        "IpcMode": "none",
        "PidMode": "",
    }
    assert {key: host[key] for key in wanted} == wanted
    assert [mount["Destination"] for mount in found["Mounts"] if mount["Type"] == "bind"] == ["/evidence"]
