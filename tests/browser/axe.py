"""axe-core, the accessibility checker: brought once from the npm registry, then kept in build/."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome

VERSION = "4.14.1"
FOLDER = Path(__file__).resolve().parents[2] / "build" / "axe-core"
RUN = """
const done = arguments[0];
axe.run(document, { resultTypes: ["violations"] }).then((result) => done(result.violations.map(
  ({ id, impact, nodes }) => ({ id, impact, targets: nodes.map((node) => node.target.join(" ")) }))));
"""


def source() -> str:
    """The checker's script. Raises OSError or CalledProcessError where npm or its registry is missing."""
    archive = FOLDER / f"axe-core-{VERSION}.tgz"
    if not archive.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        command = ["npm", "pack", "--silent", f"axe-core@{VERSION}"]
        subprocess.run(command, cwd=FOLDER, check=True, capture_output=True, timeout=120)
    with tarfile.open(archive) as package:
        member = package.extractfile("package/axe.min.js")
        assert member is not None
        return member.read().decode()


def violations(driver: Chrome, script: str) -> list[dict[str, Any]]:
    """What is wrong with the page as it stands."""
    driver.execute_script(script)
    found: list[dict[str, Any]] = driver.execute_async_script(RUN)
    return found
