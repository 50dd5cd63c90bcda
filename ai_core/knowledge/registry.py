"""Brings a package from the npm registry: with npm where it is installed, else by a plain, verified download.

Registry API: https://github.com/npm/registry/blob/main/docs/responses/package-metadata.md
The address of the registry is npm's own setting (environment, ~/.npmrc), so that mirrors need no second one.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import requests

from ai_core.knowledge.errors import RegistryUnreachable
from ai_core.knowledge.package import PACKAGE

DEFAULT_REGISTRY = "https://registry.npmjs.org"

MAX_PACKAGE_BYTES = 128 * 1024 * 1024  # the real ones have 13 and 26 MB
MAX_METADATA_BYTES = 64 * 1024 * 1024
NPM_TIMEOUT = 300.0  # seconds
TIMEOUT = (10.0, 60.0)  # seconds to connect, seconds without a byte
ATTEMPTS = 3
PAUSE = 1.0  # seconds before the second attempt, doubled after each, with jitter

_SCOPE = "@socialgouv"  # of both packages
_SAFE_VERSION = re.compile(r"[0-9A-Za-z.+-]{1,40}")


@dataclass(frozen=True, slots=True)
class Release:
    """What the registry says of the newest version. `integrity` is a list of "sha512-BASE64" by spaces."""

    version: str
    tarball: str
    integrity: str


def fetch_package(directory: Path, progress: Callable[[str], None], package: str = PACKAGE) -> Path:
    """Bring the newest `package` into `directory` and return its path. Raises RegistryUnreachable."""
    directory.mkdir(parents=True, exist_ok=True)
    npm = shutil.which("npm")
    if npm is not None:
        progress(f"npm pack {package} ...")
        try:
            return _npm_pack(npm, directory, package)
        except RegistryUnreachable as error:
            progress(f"{error} Trying a plain download ...")
    return download(registry_address(), directory, progress, package)


def registry_address() -> str:
    """The registry that npm would ask on this machine, without a slash at the end."""
    environment = {name.lower(): value for name, value in os.environ.items() if value}
    settings = _npmrc(Path(environment.get("npm_config_userconfig") or Path.home() / ".npmrc"))
    chosen = (
        settings.get(f"{_SCOPE}:registry")
        or environment.get("npm_config_registry")
        or settings.get("registry")
        or DEFAULT_REGISTRY
    )
    return chosen.rstrip("/")


def download(registry: str, directory: Path, progress: Callable[[str], None], package: str = PACKAGE) -> Path:
    """Download the newest `package` from `registry`, verified. Raises RegistryUnreachable after ATTEMPTS failures."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            release = _latest(registry, package)
            progress(f"Downloading {package} {release.version} ...")
            return _download(release, directory / _file_name(package, release.version))
        except (requests.RequestException, RegistryUnreachable) as error:
            cause = error
        if attempt < ATTEMPTS:
            progress(f"Attempt {attempt} of {ATTEMPTS} failed: {_told(cause)}")
            time.sleep(PAUSE * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))
    raise RegistryUnreachable(
        f"{package} could not be downloaded ({_told(cause)}). Bring the package yourself: --from FILE imports it."
    ) from cause


def _npm_pack(npm: str, directory: Path, package: str) -> Path:
    with _building(directory) as building:
        command = [npm, "pack", package, "--pack-destination", str(building), "--silent"]
        try:
            # In the directory of the package: a package.json of the caller's directory must not matter.
            result = subprocess.run(  # noqa: S603 - a fixed command, no shell
                command, cwd=building, capture_output=True, text=True, timeout=NPM_TIMEOUT, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise RegistryUnreachable(f"npm pack failed: {error}.") from error
        packed = sorted(building.glob("*.tgz"))
        if result.returncode != 0 or not packed:
            lines = (result.stderr.strip() or result.stdout.strip() or "no package came").splitlines()
            raise RegistryUnreachable(f"npm pack failed: {lines[0][:200]}.")
        return _kept(packed[0], directory / packed[0].name)


def _latest(registry: str, package: str) -> Release:
    # The short form of the metadata; the slash of a scoped name is escaped, as npm does.
    url = f"{registry}/{package.replace('/', '%2F')}"
    with requests.get(
        url, headers={"Accept": "application/vnd.npm.install-v1+json"}, timeout=TIMEOUT, stream=True
    ) as response:
        response.raise_for_status()
        body = b"".join(_limited(response, MAX_METADATA_BYTES))
    try:
        metadata = json.loads(body)
        version = metadata["dist-tags"]["latest"]
        dist = metadata["versions"][version]["dist"]
        release = Release(version, dist["tarball"], dist["integrity"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise RegistryUnreachable(f"the registry's answer about {package} has an unexpected shape") from error
    if not _SAFE_VERSION.fullmatch(release.version) or urlsplit(release.tarball).scheme not in ("http", "https"):
        raise RegistryUnreachable(f"the registry's answer about {package} has an unexpected shape")
    return release


def _download(release: Release, target: Path) -> Path:
    digest = hashlib.sha512()
    with _building(target.parent) as building:
        part = building / "package.tgz"
        with requests.get(release.tarball, timeout=TIMEOUT, stream=True) as response, part.open("wb") as file:
            response.raise_for_status()
            for chunk in _limited(response, MAX_PACKAGE_BYTES):
                digest.update(chunk)
                file.write(chunk)
        expected = {entry.partition("-")[2] for entry in release.integrity.split() if entry.startswith("sha512-")}
        if base64.b64encode(digest.digest()).decode("ascii") not in expected:
            raise RegistryUnreachable("what was downloaded has not the checksum that the registry announced")
        return _kept(part, target)


def _file_name(package: str, version: str) -> str:
    """As npm pack names it."""
    return f"{package.removeprefix('@').replace('/', '-')}-{version}.tgz"


def _limited(response: requests.Response, limit: int) -> Iterator[bytes]:
    received = 0
    for chunk in response.iter_content(256 * 1024):
        received += len(chunk)
        if received > limit:
            raise RegistryUnreachable(f"the registry sent more than {limit} bytes")
        yield chunk


@contextmanager
def _building(directory: Path) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix=".fetching-", dir=directory))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _kept(packed: Path, target: Path) -> Path:
    os.replace(packed, target)
    return target


def _npmrc(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines if "=" in line and not line.lstrip().startswith(("#", ";")))
    return {name.strip(): os.path.expandvars(value.strip().strip("\"'")) for name, _, value in pairs}


def _told(error: Exception) -> str:
    # A requests error quotes the address, which may hold a password: the class and the status say enough.
    response = getattr(error, "response", None)
    if response is not None:
        return f"status {response.status_code}"
    return str(error) if isinstance(error, RegistryUnreachable) else type(error).__name__
