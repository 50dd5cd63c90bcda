"""Entry point of gunicorn: `gunicorn -c python:ai_core.gunicorn_conf ai_core.wsgi:application`."""

from __future__ import annotations

import atexit

from flask import Flask

from ai_core.app import create_app
from ai_core.composition import begin_to_load, compose, heartbeat
from ai_core.embedding_model import EmbeddingModel
from ai_core.jobs import IDLE_LOOK, compute_vectors
from ai_core.settings import Settings
from ai_core.speech_model import SpeechModel
from common.log import configure_logging

MODEL_SECONDS = 30.0
"""How long the first model is waited for before requests are taken: then they are told that it is being loaded."""


def build() -> Flask:
    """Compose the service in this process and begin to load its model."""
    settings = Settings.from_environment()
    configure_logging("ai_core", settings.log_level, settings.data_dir / "logs")
    parts = compose(settings)
    parts.knowledge.get()  # before the first question, not during it
    begin_to_load(settings, parts.model, parts.registry)
    # Behind a systemd socket requests wait in the kernel meanwhile; without the wait a restart would refuse them.
    parts.model.wait(MODEL_SECONDS)
    extras: tuple[EmbeddingModel | SpeechModel | None, ...] = (parts.embeddings, parts.speech)
    for extra in extras:
        if extra is not None:
            parts.operations.jobs.every_process(f"idle {extra.id}", IDLE_LOOK, extra.memory.unload_if_idle)
            atexit.register(extra.memory.stop)
    if settings.embedding_search:
        compute_vectors(parts.operations.jobs, parts.knowledge)
    parts.operations.start()
    atexit.register(parts.operations.stop)
    if parts.downloads is not None:
        parts.downloads.start()
        atexit.register(parts.downloads.stop)
    atexit.register(parts.model.stop)  # runs first: what its answers used is written down after it
    app = create_app(settings, parts)
    app.extensions["heartbeat"] = heartbeat(settings, parts.model)  # gunicorn's worker starts it once it listens
    return app


application = build()
