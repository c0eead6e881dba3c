"""In place of a report: what the kernel does to a process that takes too much memory."""

from __future__ import annotations

import os
import signal

if __name__ == "__main__":
    os.kill(os.getpid(), signal.SIGKILL)
