"""Repositories as they look on the Hub, and jobs that fetch from a local one without long pauses."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ai_core.catalog.downloads.job import DownloadJob
from ai_core.catalog.downloads.request import DownloadRequest
from ai_core.catalog.downloads.transfer import Patience
from ai_core.catalog.memory import Load
from tests.ai_core.catalog.gguf_files import write_gguf
from tests.hub_server import HubServer, Repository

QUICK = Patience(timeout=5.0, attempts=4, pause=0.01)
CONFIG = json.dumps({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}).encode()


def noise(size: int, seed: int = 1) -> bytes:
    """Bytes that no two places share."""
    return random.Random(seed).randbytes(size)


def quantisations(folder: Path, *names: str, weights: int = 4096) -> dict[str, bytes]:
    """GGUF files of one model, each larger than the next."""
    return {
        f"tiny.{name}.gguf": write_gguf(folder / f"{name}.gguf", weights=weights * (len(names) - at)).read_bytes()
        for at, name in enumerate(names)
    }


def safetensors_repository(size: int = 300_000, **options: Any) -> Repository:
    """A model in safetensors, with what else lies in such repositories."""
    files = {
        "config.json": CONFIG,
        "tokenizer.json": b"{}",
        "tokenizer.model": noise(2_000, 2),
        "model.safetensors": noise(size),
        "pytorch_model.bin": noise(size, 3),
        "modeling_tiny.py": b"import os",
        "README.md": b"# Tiny",
        "LICENSE": b"MIT",
    }
    return Repository("acme/tiny", files, **options)


def job(hub: HubServer, models: Path, patience: Patience = QUICK, **wanted: Any) -> DownloadJob:
    """Of acme/tiny, unless `wanted` says another."""
    token = wanted.pop("token", None)
    request = DownloadRequest(**{"model_name": "acme/tiny", **wanted})
    return DownloadJob(request, hub.url, models, Load(slots=2, context_length=512), patience, token=token)


def fetch(job: DownloadJob) -> tuple[Path, list[dict[str, Any]]]:
    """Run `job` here; where the model is, and the events."""
    events: list[dict[str, Any]] = []
    job.run(events.append)
    return Path(events[-1]["path"]), events


def planned(job: DownloadJob) -> dict[str, Any]:
    """What `job` would fetch."""
    events: list[dict[str, Any]] = []
    replace(job, dry_run=True).run(events.append)
    return next(event for event in events if event["event"] == "planned")


def files_in(folder: Path) -> Mapping[str, bytes]:
    """What lies there, our own record excepted."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".origin.json"
    }
