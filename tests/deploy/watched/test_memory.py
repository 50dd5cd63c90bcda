"""MemoryAlmostGone, by itself: for a minute the whole machine has little memory left."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.deploy.watched.monitoring import Monitoring, Node, missing, with_short_waits
from tests.waiting import until

HUGE_PAGES = Path("/proc/sys/vm/nr_hugepages")
PAGE = 2 << 20  # bytes, where Hugepagesize is 2048 kB
LEFT = 0.06  # of the memory; the alert wants less than 0.08
LEAST = 16 << 30  # bytes of memory below which 6 % would not be enough for the machine itself


def reason() -> str | None:
    """Why it is not tried, or None."""
    if os.environ.get("ALERTS") != "live":
        return "takes the memory of the whole machine: ALERTS=live"
    if not os.access(HUGE_PAGES, os.W_OK) or psutil.virtual_memory().total < LEAST:
        return "needs root, huge pages, and 16 GB of memory"
    return missing("prometheus", "prometheus-alertmanager", "prometheus-node-exporter", "prometheus-blackbox-exporter")


pytestmark = pytest.mark.skipif(reason() is not None, reason=str(reason()))


@contextmanager
def taken_memory() -> Iterator[None]:
    """The kernel keeps huge pages back that nobody uses: nothing is swapped out or ended for them, and they come back
    at once (https://docs.kernel.org/admin-guide/mm/hugetlbpage.html)."""
    before = HUGE_PAGES.read_text()
    memory = psutil.virtual_memory()
    HUGE_PAGES.write_text(str(int(memory.available - LEFT * memory.total) // PAGE))
    try:
        yield
    finally:
        HUGE_PAGES.write_text(before)


def test_memory_that_is_almost_gone_is_told_and_that_it_is_back(tmp_path: Path) -> None:
    texts = tmp_path / "texts"
    texts.mkdir()
    monitoring = Monitoring(tmp_path, [], nodes=[Node("ai", texts)], rules=with_short_waits(), every=1)

    def told() -> bool:
        return any(alert["alertname"] == "MemoryAlmostGone" for alert in monitoring.alerts())

    monitoring.start()
    try:
        until(lambda: monitoring.figures("node_memory_MemAvailable_bytes"))
        assert not told()
        with taken_memory():
            until(told)
        until(lambda: not told())
    finally:
        monitoring.stop()
