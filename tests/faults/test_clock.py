"""The clock of the fault suite jumps while a process runs, and only the time of day does."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from tests.faults.clock import Clock, build_library

LOOK = """
import sys, threading, time
for line in sys.stdin:
    began = time.monotonic()
    threading.Event().wait(0.05)
    print(time.time(), time.monotonic(), time.monotonic() - began, flush=True)
"""


def test_a_running_process_sees_the_jump_and_waits_no_longer(tmp_path: Path) -> None:
    clock = Clock(build_library(tmp_path), tmp_path / "offset")
    with subprocess.Popen(
        [sys.executable, "-c", LOOK],
        env=dict(clock.environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for offset in (0, 3600, -3600, 0):
            clock.set(offset)
            process.stdin.write("look\n")
            process.stdin.flush()
            said, monotonic, waited = map(float, process.stdout.readline().split())
            assert abs(said - time.time() - offset) < 600
            assert abs(monotonic - time.monotonic()) < 600
            assert waited < 600
        process.stdin.close()


def test_without_its_file_a_process_does_not_start(tmp_path: Path) -> None:
    library = build_library(tmp_path)
    done = subprocess.run([sys.executable, "-c", ""], env={"LD_PRELOAD": str(library)}, check=False)
    assert done.returncode != 0
