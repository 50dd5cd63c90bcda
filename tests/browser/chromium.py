"""Debian's Chromium, headless, driven by selenium, with no way to any other host."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
DESKTOP = (1280, 860)
PHONE = (360, 740)
SMALLEST = (320, 600)
FAILED_REQUEST = re.compile(r"/(api/v1/\S+|metrics) - Failed to load resource")
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # tests may run as root, in a container
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--lang=fr",
    "--force-prefers-reduced-motion",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def missing() -> str | None:
    """Which program these tests lack, or None."""
    if not any(shutil.which(name) for name in BROWSERS):
        return "chromium"
    return None if shutil.which("chromedriver") else "chromium-driver"


def start(profile: Path) -> Chrome:
    """A fresh browser with its own `profile` folder."""
    options = ChromeOptions()
    options.binary_location = next(path for path in map(shutil.which, BROWSERS) if path)
    for flag in (*FLAGS, f"--user-data-dir={profile}", f"--window-size={DESKTOP[0]},{DESKTOP[1]}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options=options, service=Service(shutil.which("chromedriver")))
    driver.set_page_load_timeout(20)
    driver.set_script_timeout(20)
    return driver


def resize(driver: Chrome, size: tuple[int, int]) -> None:
    """Give the page a viewport of exactly `size`; headless windows have a smallest width of their own."""
    metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def prefer(driver: Chrome, scheme: str) -> None:
    """Ask the page for its "light" or "dark" colours."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def hosts_asked(driver: Chrome) -> set[str]:
    """The hosts of all requests since the last call; `data:` and the like have none."""
    return {host for url in _requests(driver) if (host := urlsplit(url).netloc)}


def complaints(driver: Chrome) -> list[str]:
    """Errors and warnings in the console since the last call, CSP violations among them.

    Left out is the line that Chromium writes for every request that fails: tests cause those on purpose.
    """
    entries = driver.get_log("browser")  # type: ignore[no-untyped-call]
    messages = [entry["message"] for entry in entries if entry["level"] in ("SEVERE", "WARNING")]
    return [message for message in messages if not FAILED_REQUEST.search(message)]


def go_offline(driver: Chrome, offline: bool) -> None:
    """Cut the browser's network, or give it back."""
    conditions = {"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    driver.execute_cdp_cmd("Network.enable", {})
    driver.execute_cdp_cmd("Network.emulateNetworkConditions", conditions)


def _requests(driver: Chrome) -> Iterable[str]:
    for entry in driver.get_log("performance"):  # type: ignore[no-untyped-call]
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            yield message["params"]["request"]["url"]
