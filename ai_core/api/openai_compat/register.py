"""All the routes under /v1."""

from __future__ import annotations

from collections.abc import Callable

from ai_core.api.access import Limits
from ai_core.api.answer_metrics import AnswerMetrics
from ai_core.api.blueprint import Api
from ai_core.api.openai_compat.asking import Asking
from ai_core.api.openai_compat.chat import chat_blueprint
from ai_core.api.openai_compat.completions import completions_blueprint
from ai_core.api.openai_compat.embeddings import embeddings_blueprint
from ai_core.api.openai_compat.models import models_blueprint
from ai_core.api.openai_compat.transcriptions import transcriptions_blueprint
from ai_core.assistant import Assistant
from ai_core.embedding_model import EmbeddingModel
from ai_core.model_host import ModelHost
from ai_core.speech_model import SpeechModel


def register(
    api: Api,
    *,
    assistant: Assistant,
    host: ModelHost,
    embeddings: EmbeddingModel | None,
    speech: SpeechModel | None,
    limits: Limits,
    metrics: AnswerMetrics,
    longest: int,
    hash_of: Callable[[str, str], str],
) -> None:
    """Add them to `api`. For `longest` and `hash_of` see Asking."""
    asking = Asking(assistant, limits, metrics, longest, hash_of)
    extra = [model.id for model in (embeddings, speech) if model is not None]
    api.register_blueprint(models_blueprint(host, extra))
    api.register_blueprint(chat_blueprint(asking))
    api.register_blueprint(completions_blueprint(asking))
    api.register_blueprint(embeddings_blueprint(embeddings, limits, metrics))
    api.register_blueprint(transcriptions_blueprint(speech, metrics))
