"""The same bot against somebody else's Bot API: the npm package telegram-test-api, whose client talks to it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.server import free_port
from tests.telegram_service.running import SECRET, Running

SCRIPT = Path(__file__).resolve().parents[1] / "telegram_test_api"
KEPT = Path(__file__).resolve().parents[2] / "build" / "telegram-test-api"
LOCK = "package-lock.json"


@pytest.fixture(scope="module")
def node_modules() -> Path:
    """The package as our lock file has it, brought once from the npm registry. Without node or the registry: a named
    skip, since our own fake server is the stricter one."""
    if (KEPT / LOCK).exists() and (KEPT / LOCK).read_bytes() == (SCRIPT / LOCK).read_bytes():
        return KEPT / "node_modules"
    try:
        _install()
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"telegram-test-api cannot be installed: {type(error).__name__}")
    return KEPT / "node_modules"


def _install() -> None:
    shutil.rmtree(KEPT, ignore_errors=True)
    KEPT.mkdir(parents=True)
    shutil.copy(SCRIPT / "package.json", KEPT)
    shutil.copy(
        SCRIPT / LOCK, KEPT / "npm-shrinkwrap.json"
    )  # the lock file itself comes last: it says that all is there
    command = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    subprocess.run(command, cwd=KEPT, check=True, capture_output=True, timeout=180)
    shutil.copy(SCRIPT / LOCK, KEPT)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Running]:
    """The service, for a Bot API that somebody starts on the port of TELEGRAM_API_URL; its processes do not run yet."""
    running = Running(tmp_path, workers=1, TELEGRAM_API_URL=f"http://127.0.0.1:{free_port()}")
    with running.telegram, running.ai:
        running.redis.start()
        yield running
        running.stop()
        running.redis.remove()


def test_a_conversation_by_way_of_telegram_test_api(service: Running, node_modules: Path) -> None:
    settings = service.environment
    environment = {
        "PATH": os.environ["PATH"],
        "NODE_PATH": str(node_modules),
        "PORT": settings["TELEGRAM_API_URL"].rpartition(":")[2],
        "TOKEN": settings["TELEGRAM_BOT_TOKEN"],
        "WEBHOOK": settings["WEBHOOK_URL"],
        "SECRET": SECRET,
    }
    with subprocess.Popen(
        ["node", str(SCRIPT / "conversation.js")],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as conversation:
        try:
            assert conversation.stdout is not None
            assert conversation.stdout.readline() == "ready\n"
            service.processes = [service.start(role) for role in service.roles]
            service.wait_until_ready()
            told, _ = conversation.communicate("go\n", timeout=180)
        finally:
            conversation.kill()
    assert conversation.returncode == 0, told
