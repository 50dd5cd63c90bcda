"""axe-core, the accessibility checker: brought once from the npm registry, then kept in build/."""

from __future__ import annotations

import base64
import hashlib
import tarfile
from pathlib import Path
from typing import Any

import requests
from selenium.webdriver import Chrome

from ai_core.knowledge.registry import registry_address

VERSION = "4.14.1"
# What `npm view axe-core dist.integrity` says of this version.
SHA512 = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
FOLDER = Path(__file__).resolve().parents[2] / "build" / "axe-core"
RUN = """
const done = arguments[0];
axe.run(document, { resultTypes: ["violations"] }).then((result) => done(result.violations.map(
  ({ id, impact, nodes }) => ({ id, impact, targets: nodes.map((node) => node.target.join(" ")) }))));
"""


def source() -> str:
    """The checker's script. Raises OSError (a failed request is one) where the registry cannot be reached."""
    archive = FOLDER / f"axe-core-{VERSION}.tgz"
    if not archive.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        archive.write_bytes(_downloaded())
    with tarfile.open(archive) as package:
        member = package.extractfile("package/axe.min.js")
        assert member is not None
        return member.read().decode()


def _downloaded() -> bytes:
    # No npm needed: the address of a release's archive is fixed, and the digest says that it is the right one.
    response = requests.get(f"{registry_address()}/axe-core/-/axe-core-{VERSION}.tgz", timeout=(10, 60))
    response.raise_for_status()
    if hashlib.sha512(response.content).digest() != base64.b64decode(SHA512):
        raise OSError("axe-core is not what was expected")
    return response.content


def violations(driver: Chrome, script: str) -> list[dict[str, Any]]:
    """What is wrong with the page as it stands."""
    driver.execute_script(script)
    found: list[dict[str, Any]] = driver.execute_async_script(RUN)
    return found
