"""A small Code of our own invention and the AI core around a scripted model: no weights, no network."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from flask import Flask

from ai_core.answer_cache import AnswerCache
from ai_core.app import Parts, create_app
from ai_core.assistant import Assistant
from ai_core.catalog.declaration import Declaration
from ai_core.catalog.entry import ModelEntry
from ai_core.catalog.formats import Format
from ai_core.catalog.loading import LoadingOptions, ModelLoader, Prepared
from ai_core.catalog.registry import Registry
from ai_core.checks import component_checks
from ai_core.composition import extra_models, semantic_search
from ai_core.content_filter import ContentFilter
from ai_core.downloads import build_downloads
from ai_core.engine.backends.scripted import ScriptedBackend
from ai_core.engine.engine import Engine
from ai_core.engine.serving import Serving
from ai_core.keys import create_key
from ai_core.knowledge import importer
from ai_core.knowledge.current import CurrentKnowledge
from ai_core.knowledge.legi import CODE_ID
from ai_core.model_host import ModelHost
from ai_core.model_parameters import ParameterStore
from ai_core.operations import build_operations
from ai_core.prompts import SYSTEM_PROMPT
from ai_core.settings import Settings
from ai_core.storage import open_storage
from common.database import connection
from common.redis_store import RedisStore
from tests.log_watch import learn_texts

SCRIPTED = ModelEntry(id="scripted", format=Format.GGUF, path=Path("scripted.gguf"))


class ScriptedLoader:
    """Loads what `make_backend` makes, whatever is asked for, as soon as it is `allowed`; or fails with `failure`."""

    def __init__(self, make_backend: Callable[[], ScriptedBackend], settings: Settings) -> None:
        self.make_backend = make_backend
        self.backends: list[ScriptedBackend] = []
        self.allowed = threading.Event()
        self.allowed.set()
        self.beside = True
        self.failure: Exception | None = None
        self._max_waiting = settings.max_waiting_requests

    def prepare(self, entry: ModelEntry, current: ModelEntry | None, report: Callable[[str], None]) -> Prepared:
        return Prepared(entry, self.beside)

    def load(self, form: ModelEntry) -> Serving:
        assert self.allowed.wait(60)
        if self.failure is not None:
            raise self.failure
        self.backends.append(self.make_backend())
        return Serving(self.backends[-1], Engine(self.backends[-1], max_waiting=self._max_waiting))


@dataclass
class Core:
    """The application with handles on what stands behind it."""

    app: Flask
    parts: Parts
    backend: ScriptedBackend
    loader: ScriptedLoader
    settings: Settings

    def key(self, *scopes: str) -> str:
        """A new key with these scopes."""
        with connection(self.parts.database):
            return create_key("test", scopes or ("chat",))[1]

    def headers(self, *scopes: str) -> dict[str, str]:
        """The header that carries a new key."""
        return {"X-API-Key": self.key(*scopes)}

    def install_code(self, texts: Mapping[str, str]) -> None:
        """Import an invented Code with these articles, text by number."""
        articles = [
            {"type": "article", "data": {"id": f"LEGIARTI{at:012}", "num": number, "texte": text, "etat": "VIGUEUR"}}
            for at, (number, text) in enumerate(texts.items())
        ]
        section = {"type": "section", "data": {"title": "Section 1 : Lampes"}, "children": articles}
        path = self.settings.data_dir / "code.json"
        path.write_text(json.dumps({"type": "code", "data": {"id": CODE_ID}, "children": [section]}))
        with connection(self.parts.database):
            importer.update(self.parts.database, self.settings.data_dir, path, progress=lambda _: None)

    def prompt_bytes(self) -> bytes:
        """Everything that the model was given to read, in order."""
        tokens = (token for chunks in self.backend.batches for chunk in chunks for token in chunk.tokens)
        return bytes(token for token in tokens if token < 256)


def build_core(
    data_dir: Path,
    answer: str | Callable[[str], str] = "Bonjour.",
    *,
    slots: int = 4,
    step_seconds: float = 0.0,
    context_length: int = 4096,
    started: bool = True,
    model: ModelEntry | None = None,
    **variables: str,
) -> Core:
    """The AI core over `data_dir`, with a scripted model or the real `model`; `variables` are settings in capitals."""
    settings = Settings.from_environment({"DATA_DIR": str(data_dir), **variables})
    database = open_storage(settings.database_url)
    backend = ScriptedBackend(answer, slots=slots, step_seconds=step_seconds, context_length=context_length)
    loader = ScriptedLoader(lambda: backend, settings)
    options = LoadingOptions(slots=slots, context_length=context_length, threads=1)
    host = ModelHost(
        loader if model is None else ModelLoader(options, settings.data_dir), grace_seconds=settings.model_switch_grace
    )
    embeddings, speech = extra_models(settings)
    knowledge = CurrentKnowledge(
        database,
        settings.data_dir,
        sheets=settings.practical_sheets,
        semantic=semantic_search(settings, embeddings),
    )
    store = None if settings.redis_url is None else RedisStore(settings.redis_url, prefix="test", timeout=0.5)
    cache = AnswerCache(ttl=settings.answer_cache_seconds, max_bytes=settings.answer_cache_bytes, store=store)
    named = [Declaration.of_entry(entry, "settings") for entry in (SCRIPTED if model is None else model,)]
    registry = Registry(settings.models_file, settings.data_dir / "models", named)
    parameters = ParameterStore(lambda model_id: declared.preset if (declared := registry.get(model_id)) else {})
    assistant = Assistant(
        host,
        knowledge,
        system_prompt=SYSTEM_PROMPT,
        articles=settings.grounding_articles,
        request_timeout=settings.request_timeout,
        aliases=settings.model_aliases,
        cache=cache,
        content_filter=ContentFilter(settings.content_filter_file),
        parameters_of=parameters.for_answers,
        is_declared=lambda model_id: registry.get(model_id) is not None,
    )
    if started:
        host.load(model or SCRIPTED)
    checks = component_checks(host, knowledge, database, stall_seconds=settings.engine_stall_seconds)
    operations = build_operations(
        settings,
        database,
        host,
        checks,
        forget={"cached_answers": cache.forget},
        clean={
            "clean_cache": lambda dry_run: cache.stats().bytes if dry_run else cache.clear()[1],
            "clean_models": lambda dry_run: downloads.clean(dry_run),
        },
    )
    operations.usage.start()
    downloads = build_downloads(settings, database, operations.webhooks, registry)
    parts = Parts(
        database, host, knowledge, assistant, operations, store, registry, parameters, embeddings, speech, downloads
    )
    return Core(learn_texts(create_app(settings, parts)), parts, backend, loader, settings)
