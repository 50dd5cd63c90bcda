"""`python -m tests.security.fuzz [--seconds 60] [NAME ...]`: the readers of parsers.py under atheris, each for a while.

atheris (`pip install atheris`) follows which lines an input reaches and keeps those that reach new ones. What it finds
is written as crash-..., to become a seed in parsers.py with the fix. Each reader has a process of its own: libFuzzer
ends it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

OURS = ["ai_core", "common", "mail_service", "telegram_service"]


def main() -> int:
    """The exit status: how many readers failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all of them")
    parser.add_argument("--seconds", type=int, default=60, help="for each reader (default: %(default)s)")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        _fuzz(options.names[0], options.seconds)
        return 0
    from tests.security.parsers import TARGETS

    failed = 0
    for name in options.names or TARGETS:
        command = [sys.executable, "-m", "tests.security.fuzz", "--alone", "--seconds", str(options.seconds), name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        runs = [line for line in done.stderr.splitlines() if line.startswith("Done ")]
        failed += done.returncode != 0
        print(f"{name:20} {runs[-1] if runs else 'FAILED'}", flush=True)
        if done.returncode:
            print(done.stderr[-3_000:])
    return failed


def _fuzz(name: str, seconds: int) -> None:
    import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore]

    with atheris.instrument_imports(include=OURS):
        from tests.security.parsers import TARGETS
    read, seeds = TARGETS[name]
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds):
            (Path(corpus) / str(number)).write_bytes(seed)
        limits = [f"-max_total_time={seconds}", "-max_len=4096", "-rss_limit_mb=2048", "-timeout=20"]
        atheris.Setup([sys.argv[0], *limits, corpus], read)
        atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
