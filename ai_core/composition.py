"""Puts the parts together: storage, knowledge, model, assistant."""

from __future__ import annotations

from ai_core.app import Parts
from ai_core.assistant import Assistant
from ai_core.engine.backends.llama_cpp import LlamaCppBackend
from ai_core.engine.engine import Engine
from ai_core.engine.serving import Serving
from ai_core.knowledge.current import CurrentKnowledge
from ai_core.loaded_model import LoadedModel
from ai_core.prompts import SYSTEM_PROMPT
from ai_core.settings import Settings
from ai_core.storage import open_storage


def compose(settings: Settings) -> Parts:
    """Open the storage and prepare the rest; the model is loaded when its `start` is called."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    database = open_storage(settings.database_url)
    knowledge = CurrentKnowledge(database, settings.data_dir)
    model = LoadedModel(settings.model_file.stem, lambda: load_model(settings))
    assistant = Assistant(
        model,
        knowledge,
        system_prompt=settings.system_prompt(SYSTEM_PROMPT),
        articles=settings.grounding_articles,
        request_timeout=settings.request_timeout,
    )
    return Parts(database, model, knowledge, assistant)


def load_model(settings: Settings) -> Serving:
    """Read the model's file and make an engine for it, not started yet."""
    backend = LlamaCppBackend(
        settings.model_file,
        slots=settings.engine_slots,
        context_length=settings.engine_context_length or None,
        threads=settings.engine_threads or None,
    )
    return Serving(backend, Engine(backend, max_waiting=settings.max_waiting_requests))
