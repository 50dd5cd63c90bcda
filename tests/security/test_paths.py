"""No name that comes from outside leads to a file outside: models, downloads, attachments, archives, pages."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_core.catalog.downloads.files import require_inside
from ai_core.catalog.errors import CatalogError
from common.backup.contents import Manifest, unpack
from common.backup.errors import ArchiveRefused
from common.extraction import Kind, extract
from tests.fakes import Core
from tests.security.hostile_texts import PATHS

MANIFEST = Manifest("tout-en-un", "2026-11-21T10:00:00+00:00", (), False, ())


def test_no_model_is_loaded_read_or_removed_by_a_path(patient_core: Core, tmp_path: Path) -> None:
    precious = tmp_path / "precious.gguf"
    precious.write_bytes(b"GGUF")
    client, headers = patient_core.app.test_client(), patient_core.headers("models")
    names = (*PATHS, str(precious), f"../{precious.name}", f"models/../../{precious.name}", f"./{precious}")
    for name in names:
        for way in ("load", "unload"):
            response = client.post(f"/api/v1/models/{way}", json={"model_id": name}, headers=headers)
            assert response.status_code == 404, name
        for path in (name, name.replace("/", "%2f"), name.replace("/", "%252f")):
            for method, end in (("GET", ""), ("DELETE", ""), ("PUT", "/parameters"), ("GET", "/parameters")):
                answer = client.open(f"/api/v1/models/{path.lstrip('/')}{end}", method=method, headers=headers, json={})
                assert answer.status_code in (308, 404, 405, 422), (method, path)
    assert precious.read_bytes() == b"GGUF"


LEADS_OUT = st.sampled_from(["..", ".", "", "a", "a.gguf", "/", "\\", "~", "C:", "a\x00", "\n", "..\\.."])


@given(st.lists(LEADS_OUT, max_size=5).map("/".join) | st.text(max_size=40))
@settings(max_examples=300, deadline=None)
def test_a_file_of_a_repository_stays_below_its_model(path: str) -> None:
    """What the Hub says that a repository holds is made by whoever uploaded it."""
    try:
        require_inside(path)
    except CatalogError:
        return
    folder = Path("/srv/models/acme--tiny")
    landed = Path(os.path.normpath(folder / path))
    assert folder in landed.parents
    assert "\x00" not in path


@pytest.mark.parametrize("name", ["../../etc/passwd", "a\r\nX: y\x00.pdf", "x" * 5_000])
def test_a_files_name_opens_nothing_and_decides_nothing(name: str, caplog: pytest.LogCaptureFixture) -> None:
    assert extract(b"Bonjour, Madame.", name).kind is Kind.TEXT
    assert name not in caplog.text


def archive(folder: Path, *members: tuple[tarfile.TarInfo, bytes], manifest: Any = MANIFEST) -> Path:
    """A decrypted archive that begins as ours do."""
    path = folder / "archive.tar.gz"
    text = json.dumps(asdict(manifest) if isinstance(manifest, Manifest) else manifest).encode()
    with gzip.open(path, "wb") as zipped, tarfile.open(fileobj=zipped, mode="w|") as tar:
        for entry, content in ((tarfile.TarInfo("manifest.json"), text), *members):
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return path


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    made.uid, made.gid = os.getuid(), os.getgid()
    return made


@pytest.mark.parametrize(
    "members",
    [
        [(entry("files/../../precious"), b"x")],
        [(entry("/precious"), b"x")],
        [(entry("precious"), b"x")],
        [(entry("files/a", tarfile.SYMTYPE, "{outside}"), b""), (entry("files/a/precious"), b"x")],
        [(entry("files/a", tarfile.SYMTYPE, "{outside}/precious"), b""), (entry("files/a"), b"x")],
        [
            (entry("files/a", tarfile.SYMTYPE, ".."), b""),
            (entry("files/a/b", tarfile.SYMTYPE, ".."), b""),
            (entry("files/a/b/precious"), b"x"),
        ],
        [(entry("files/a", tarfile.LNKTYPE, "../precious"), b""), (entry("files/a"), b"x")],
        [(entry("files/a", tarfile.LNKTYPE, "{outside}/precious"), b"")],
        [(entry("files/a", tarfile.CHRTYPE), b"")],
        [(entry("files/a", tarfile.FIFOTYPE), b"")],
        [(entry("files/.."), b"x")],
        [(entry(""), b"x")],
    ],
    ids=[
        "up",
        "absolute",
        "not-in-the-manifest",
        "through-a-link-to-a-folder",
        "over-a-link-to-a-file",
        "through-two-links",
        "over-a-hard-link",
        "hard-link",
        "device",
        "pipe",
        "up-at-the-end",
        "no-name",
    ],
)
def test_an_archive_writes_nothing_outside(tmp_path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    outside, into = tmp_path / "outside", tmp_path / "content"
    outside.mkdir()
    into.mkdir()
    for place in (outside / "precious", tmp_path / "precious"):
        place.write_text("precious")
    told = []
    for member, content in members:
        copy = entry(member.name, member.type, member.linkname.format(outside=outside))
        told.append((copy, content))
    with pytest.raises(ArchiveRefused):
        unpack(archive(tmp_path, *told), into)
    assert (outside / "precious").read_text() == (tmp_path / "precious").read_text() == "precious"
    assert {path.name for path in outside.iterdir()} == {"precious"}


def test_links_that_lead_nowhere_else_are_kept(tmp_path: Path) -> None:
    into = tmp_path / "content"
    into.mkdir()
    link = entry("files/etc/live/fullchain.pem", tarfile.SYMTYPE, "../archive/fullchain1.pem")
    unpack(archive(tmp_path, (entry("files/etc/archive/fullchain1.pem"), b"pem"), (link, b"")), into)
    assert (into / "files/etc/live/fullchain.pem").read_bytes() == b"pem"


@pytest.mark.parametrize("manifest", [[], {}, {"format": 1}, {"format": 2}, "x", None, {"format": 1, "databases": 3}])
def test_a_manifest_of_another_kind_is_refused(tmp_path: Path, manifest: object) -> None:
    (tmp_path / "content").mkdir()
    with pytest.raises(ArchiveRefused):
        unpack(archive(tmp_path, manifest=manifest), tmp_path / "content")
