"""The package comes from the registry that npm is set to, and only with the checksum that it announced."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ai_core.knowledge import registry
from ai_core.knowledge.errors import RegistryUnreachable
from ai_core.knowledge.package import read_package
from tests.ai_core.knowledge.small_code import write_package

METADATA = "/@socialgouv%2Flegi-data"
TARBALL = "/legi-data-1.2.3.tgz"


@dataclass
class FakeRegistry:
    """Answers by path; a list of statuses to fail with first stands in `failures`."""

    address: str = ""
    answers: dict[str, bytes] = field(default_factory=dict)
    failures: list[int] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def publish(self, package: bytes, *, integrity: str | None = None, version: str = "1.2.3") -> None:
        digest = base64.b64encode(hashlib.sha512(package).digest()).decode()
        dist = {"tarball": self.address + TARBALL, "integrity": integrity or f"sha512-{digest}"}
        metadata = {"dist-tags": {"latest": version}, "versions": {version: {"dist": dist}}}
        self.answers = {METADATA: json.dumps(metadata).encode(), TARBALL: package}


@pytest.fixture
def fake_registry() -> Iterator[FakeRegistry]:
    fake = FakeRegistry()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fake.asked.append(self.path)
            status = fake.failures.pop(0) if fake.failures else 200 if self.path in fake.answers else 404
            body = fake.answers.get(self.path, b"") if status == 200 else b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield fake
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "PAUSE", 0.0)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("NPM_CONFIG_REGISTRY", "npm_config_registry", "NPM_CONFIG_USERCONFIG", "npm_config_userconfig"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def download(fake: FakeRegistry, directory: Path) -> Path:
    return registry.download(fake.address, directory, lambda _: None)


@pytest.fixture
def package_bytes(tmp_path: Path) -> bytes:
    return write_package(tmp_path / "published.tgz").read_bytes()


def test_the_newest_package_is_downloaded(fake_registry: FakeRegistry, package_bytes: bytes, tmp_path: Path) -> None:
    fake_registry.publish(package_bytes)
    package = download(fake_registry, tmp_path)
    assert package.name == "socialgouv-legi-data-1.2.3.tgz"
    assert read_package(package).version == "1.2.3"
    assert fake_registry.asked == [METADATA, TARBALL]


def test_a_short_failure_is_tried_again(fake_registry: FakeRegistry, package_bytes: bytes, tmp_path: Path) -> None:
    fake_registry.publish(package_bytes)
    fake_registry.failures = [503, 500]
    assert download(fake_registry, tmp_path).is_file()


def test_a_lasting_failure_ends_and_names_the_way_out(fake_registry: FakeRegistry, tmp_path: Path) -> None:
    with pytest.raises(RegistryUnreachable, match="--from FILE"):
        download(fake_registry, tmp_path)
    assert len(fake_registry.asked) == registry.ATTEMPTS


def test_no_connection_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(RegistryUnreachable, match="ConnectionError"):
        registry.download("http://127.0.0.1:9", tmp_path, lambda _: None)


@pytest.mark.parametrize("integrity", ["sha512-AAAA", "sha1-AAAA", "md5-x sha512-", "none"])
def test_another_checksum_is_refused_and_nothing_is_kept(
    fake_registry: FakeRegistry, package_bytes: bytes, tmp_path: Path, integrity: str
) -> None:
    fake_registry.publish(package_bytes, integrity=integrity)
    target = tmp_path / "packages"
    target.mkdir()
    with pytest.raises(RegistryUnreachable, match="checksum"):
        download(fake_registry, target)
    assert list(target.iterdir()) == []


@pytest.mark.parametrize("metadata", [b"", b"[]", b"{}", b'{"dist-tags": {"latest": "1"}, "versions": {}}'])
def test_strange_metadata_is_refused(fake_registry: FakeRegistry, tmp_path: Path, metadata: bytes) -> None:
    fake_registry.answers = {METADATA: metadata}
    with pytest.raises(RegistryUnreachable, match="unexpected shape"):
        download(fake_registry, tmp_path)


def test_a_version_cannot_name_a_path(fake_registry: FakeRegistry, package_bytes: bytes, tmp_path: Path) -> None:
    fake_registry.publish(package_bytes, version="../../evil")
    with pytest.raises(RegistryUnreachable, match="unexpected shape"):
        download(fake_registry, tmp_path)


def test_a_flood_is_cut_off(
    fake_registry: FakeRegistry, package_bytes: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "MAX_PACKAGE_BYTES", 10)
    fake_registry.publish(package_bytes)
    with pytest.raises(RegistryUnreachable, match="more than 10 bytes"):
        download(fake_registry, tmp_path)


def test_the_public_registry_is_the_default(home: Path) -> None:
    assert registry.registry_address() == registry.DEFAULT_REGISTRY


@pytest.mark.parametrize("name", ["NPM_CONFIG_REGISTRY", "npm_config_registry"])
def test_the_environment_names_the_registry(home: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "http://mirror.example/npm/")
    assert registry.registry_address() == "http://mirror.example/npm"


def test_npmrc_names_the_registry(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRROR", "mirror.example")
    (home / ".npmrc").write_text("; a comment\n# registry=http://no.example\nregistry = http://${MIRROR}/npm/\n")
    assert registry.registry_address() == "http://mirror.example/npm"


def test_a_scope_has_a_registry_of_its_own(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://mirror.example")
    (home / ".npmrc").write_text("@socialgouv:registry=http://scope.example\n")
    assert registry.registry_address() == "http://scope.example"


def test_without_npm_the_package_is_downloaded(
    fake_registry: FakeRegistry, package_bytes: bytes, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_registry.publish(package_bytes)
    monkeypatch.setenv("PATH", str(home))
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", fake_registry.address)
    lines: list[str] = []
    assert registry.fetch_package(home / "packages", lines.append).is_file()
    assert lines == ["Downloading @socialgouv/legi-data 1.2.3 ..."]


def fake_npm(directory: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    npm = directory / "npm"
    npm.write_text(f"#!/bin/sh\n{script}\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")


def test_npm_brings_the_package_where_it_is(package_bytes: bytes, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # npm pack NAME --pack-destination FOLDER --silent
    fake_npm(home, f'cp "{home}/published.tgz" "$4/socialgouv-legi-data-1.2.3.tgz"', monkeypatch)
    package = registry.fetch_package(home / "packages", lambda _: None)
    assert package == home / "packages" / "socialgouv-legi-data-1.2.3.tgz"
    assert [path.name for path in package.parent.iterdir()] == [package.name]


def test_a_failing_npm_gives_way_to_a_download(
    fake_registry: FakeRegistry, package_bytes: bytes, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_registry.publish(package_bytes)
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", fake_registry.address)
    fake_npm(home, "echo broken >&2; exit 1", monkeypatch)
    lines: list[str] = []
    assert registry.fetch_package(home / "packages", lines.append).is_file()
    assert "npm pack failed: broken" in lines[1]
