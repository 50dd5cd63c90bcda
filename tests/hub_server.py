"""A local server that speaks the Hugging Face Hub's API as huggingface_hub uses it, and misbehaves on demand.

Its storage is another server on another port, as the Hub's is: it takes signed addresses and refuses keys. Headers and
error codes follow https://huggingface.co/docs/hub/api and hf_raise_for_status of huggingface_hub.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

LARGE = (".gguf", ".safetensors", ".bin", ".onnx", ".pth", ".model")
SIGNATURE = "local"
BLOCK = 16 * 1024  # bytes sent at once


@dataclass
class Repository:
    """`files` by path. `access` are the tokens that may read; None: everybody. A gated one shows its files' names to
    all."""

    name: str
    files: Mapping[str, bytes]
    access: frozenset[str] | None = None
    gated: bool = False
    revisions: frozenset[str] = frozenset({"main"})

    @property
    def commit(self) -> str:
        digest = hashlib.sha1(usedforsecurity=False)
        for path, content in sorted(self.files.items()):
            digest.update(path.encode() + hashlib.sha256(content).digest())
        return digest.hexdigest()

    def is_large(self, path: str) -> bool:
        return path.endswith(LARGE)

    def blob_id(self, path: str) -> str:
        content = self.files[path]
        if self.is_large(path):
            content = b"version https://git-lfs.github.com/spec/v1\n" + hashlib.sha256(content).digest()
        return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()

    def sha256(self, path: str) -> str:
        return hashlib.sha256(self.files[path]).hexdigest()

    def lfs(self, path: str, hash_key: str) -> dict[str, Any]:
        return {"size": len(self.files[path]), "pointerSize": 134, hash_key: self.sha256(path)}


@dataclass
class Faults:
    """What goes wrong. Counts go down with each time; `hold_at` stops a body there until `released` is set."""

    refuse: list[tuple[int, Mapping[str, str]]] = field(default_factory=list)
    cut_at: int | None = None
    cuts: int = 0
    corrupt: int = 0
    hold_at: int | None = None
    released: threading.Event = field(default_factory=threading.Event)
    held: threading.Event = field(default_factory=threading.Event)
    seconds_a_block: float = 0.0
    ignore_ranges: bool = False
    silent: bool = False


class HubServer:
    """Serves `repositories` on the loopback. `sent` are the bytes of each large file that went out; `requests` are
    (method, path, Range or None, whether a token came); `strange` what no client of the Hub would ask."""

    def __init__(self, *repositories: Repository, tokens: frozenset[str] = frozenset({"hf_good", "hf_other"})) -> None:
        self.repositories = {repository.name: repository for repository in repositories}
        self.tokens = tokens
        self.faults = Faults()
        self.sent: Counter[str] = Counter()
        self.requests: list[tuple[str, str, str | None, bool]] = []
        self.strange: list[str] = []
        self._servers = [ThreadingHTTPServer(("127.0.0.1", 0), _handler(kind, self)) for kind in (_Hub, _Storage)]

    def __enter__(self) -> HubServer:
        for server in self._servers:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.faults.released.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._servers[0].server_address[1]}"

    @property
    def storage_url(self) -> str:
        return f"http://127.0.0.1:{self._servers[1].server_address[1]}"

    def ranges(self, path: str) -> list[str | None]:
        """The Range of each request to the storage for a file."""
        return [range_ for method, seen, range_, _ in self.requests if method == "GET" and seen == f"storage:{path}"]


def _handler(kind: type[_Handler], hub: HubServer) -> type[_Handler]:
    return type(kind.__name__, (kind,), {"hub": hub})


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:
        """Tests read `requests` instead."""

    def _answer(self) -> None:
        raise NotImplementedError

    def _token(self) -> str | None:
        value = self.headers.get("Authorization")
        return value.removeprefix("Bearer ") if value else None

    def _note(self, path: str) -> None:
        self.hub.requests.append((self.command, path, self.headers.get("Range"), self._token() is not None))

    def _reply(self, status: int, body: bytes = b"", /, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def _strange(self, what: str) -> None:
        self.hub.strange.append(f"{what}: {self.command} {self.path}")
        self._reply(400, b"{}")


class _Hub(_Handler):
    def _answer(self) -> None:
        faults, parts = self.hub.faults, urlsplit(self.path)
        path = unquote(parts.path)
        self._note(path)
        if faults.silent:
            faults.released.wait(60)
            self.close_connection = True
            return None
        if faults.refuse:
            status, headers = faults.refuse.pop(0)
            return self._reply(status, b'{"error": "try later"}', **headers)
        if not (self.headers.get("User-Agent") or "").startswith("unknown/None; hf_hub/"):
            return self._strange("not huggingface_hub")
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+))?", path.replace("%2F", "/")):
            return self._api(found[1], found[2], found[3] or "main", parse_qs(parts.query))
        if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self._resolve(found[1], found[2], found[3])
        return self._strange("no such route")

    def _repository(self, name: str, revision: str, *, content: bool) -> Repository | None:
        """The repository, or None once it has been refused as the Hub refuses."""
        token, repository = self._token(), self.hub.repositories.get(name)
        if token is not None and token not in self.hub.tokens:
            self._reply(401, X_Error_Message="Invalid credentials in Authorization header")
        elif repository is None or self._is_hidden(repository, token):
            self._reply(
                401 if token is None else 404, X_Error_Code="RepoNotFound", X_Error_Message="Repository not found"
            )
        elif content and repository.gated and token not in (repository.access or ()):
            self._reply(401 if token is None else 403, X_Error_Code="GatedRepo", X_Error_Message="Access is restricted")
        elif revision not in repository.revisions | {repository.commit}:
            self._reply(404, X_Error_Code="RevisionNotFound", X_Error_Message=f"Invalid rev id: {revision}")
        else:
            return repository
        return None

    def _is_hidden(self, repository: Repository, token: str | None) -> bool:
        return repository.access is not None and not repository.gated and token not in repository.access

    def _api(self, name: str, kind: str | None, revision: str, query: Mapping[str, list[str]]) -> None:
        repository = self._repository(name, revision, content=False)
        if repository is None:
            return
        body = self._tree(repository) if kind == "tree" else self._info(repository, query.get("blobs") == ["true"])
        self._reply(200, json.dumps(body).encode(), Content_Type="application/json")

    def _info(self, repository: Repository, blobs: bool) -> dict[str, Any]:
        siblings: list[dict[str, Any]] = []
        for path, content in repository.files.items():
            more = {"size": len(content), "blobId": repository.blob_id(path)} if blobs else {}
            if blobs and repository.is_large(path):
                more["lfs"] = repository.lfs(path, "sha256")
            siblings.append({"rfilename": path, **more})
        return {
            "_id": "0", "id": repository.name, "modelId": repository.name, "sha": repository.commit,
            "private": False, "gated": "manual" if repository.gated else False, "disabled": False,
            "tags": [], "downloads": 0, "likes": 0, "siblings": siblings,
        }  # fmt: skip

    def _tree(self, repository: Repository) -> list[dict[str, Any]]:
        return [
            {"type": "file", "path": path, "size": len(content), "oid": repository.blob_id(path)}
            | ({"lfs": repository.lfs(path, "oid")} if repository.is_large(path) else {})
            for path, content in repository.files.items()
        ]

    def _resolve(self, name: str, revision: str, path: str) -> None:
        repository = self._repository(name, revision, content=True)
        if repository is None:
            return None
        headers = {"X_Repo_Commit": repository.commit}
        if path not in repository.files:
            return self._reply(404, X_Error_Code="EntryNotFound", X_Error_Message="Entry not found", **headers)
        content = repository.files[path]
        if not repository.is_large(path):
            return self._reply(
                200, content, ETag=f'"{repository.blob_id(path)}"', Content_Type="text/plain; charset=utf-8", **headers
            )
        return self._reply(
            302,
            Location=f"{self.hub.storage_url}/{repository.name}/{path}?X-Amz-Signature={SIGNATURE}",
            X_Linked_Size=str(len(content)),
            X_Linked_ETag=f'"{repository.sha256(path)}"',
            **headers,
        )


class _Storage(_Handler):
    def _answer(self) -> None:
        parts = urlsplit(self.path)
        owner, name, path = unquote(parts.path).lstrip("/").split("/", 2)
        self._note(f"storage:{path}")
        if self._token() is not None:
            return self._strange("a token sent to the storage")
        if parse_qs(parts.query) != {"X-Amz-Signature": [SIGNATURE]}:
            return self._reply(403)
        content, faults = self.hub.repositories[f"{owner}/{name}"].files[path], self.hub.faults
        start, end = self._range(content)
        if start >= len(content):
            return self._reply(416, Content_Range=f"bytes */{len(content)}")
        if faults.corrupt:
            faults.corrupt -= 1
            content = content[:-1] + bytes([content[-1] ^ 1])
        self.send_response(206 if self._is_partial() else 200)
        self.send_header("Content-Length", str(end - start))
        self.send_header("Accept-Ranges", "bytes")
        if self._is_partial():
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
        self.end_headers()
        if self.command == "GET":
            self._send(path, content, start, end)
        return None

    def _is_partial(self) -> bool:
        return self.headers.get("Range") is not None and not self.hub.faults.ignore_ranges

    def _range(self, content: bytes) -> tuple[int, int]:
        if not self._is_partial():
            return 0, len(content)
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers["Range"])
        assert found, self.headers["Range"]
        return int(found[1]), min(int(found[2]) + 1 if found[2] else len(content), len(content))

    def _send(self, path: str, content: bytes, start: int, end: int) -> None:
        faults = self.hub.faults
        while start < end:
            stop = min(start + BLOCK, end)
            if faults.cuts and faults.cut_at is not None and stop > faults.cut_at:
                faults.cuts -= 1
                self.close_connection = True
                return
            if faults.hold_at is not None and stop > faults.hold_at and not faults.released.is_set():
                faults.held.set()
                faults.released.wait(60)
                self.close_connection = True
                return
            try:
                self.wfile.write(content[start:stop])
            except OSError:  # the client is gone
                self.close_connection = True
                return
            self.hub.sent[path] += stop - start
            start = stop
            time.sleep(faults.seconds_a_block)
