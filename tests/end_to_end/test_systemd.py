"""What systemd hears of the service as it runs under gunicorn: the worker, not the master, says that it is ready."""

from __future__ import annotations

from pathlib import Path

from tests.ai_core.engine.tiny_model import write_tiny_model
from tests.end_to_end.server import Server
from tests.systemd import Systemd


def test_the_worker_says_that_it_is_ready_and_gives_signs_of_life(tmp_path: Path) -> None:
    systemd = Systemd(str(tmp_path / "notify"))
    model = write_tiny_model(tmp_path / "tiny.gguf")
    server = Server(tmp_path, MODEL_FILE=str(model), NOTIFY_SOCKET=systemd.address, WATCHDOG_USEC="1000000")
    server.start()
    first = systemd.hears()
    assert first[0] == "READY=1"
    assert first[1].startswith("STATUS=tiny is "), "gunicorn's master would name itself"
    heard = [systemd.hears() for _ in range(2)]
    assert all("WATCHDOG=1" in message for message in heard)
    assert server.stop() == 0
    systemd.close()
