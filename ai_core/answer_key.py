"""When two questions get the same answer."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from ai_core.answer import Question
from ai_core.answer_cache import AnswerKey
from ai_core.engine.request import GenerationRequest
from ai_core.loaded_model import LoadedModel
from ai_core.personal_data import may_be_personal
from ai_core.running_answer import Grounding

FORM = 2  # raise it when an answer or its sources get other fields: kept answers of an earlier form are not read


def answer_key(
    question: Question, model: LoadedModel, request: GenerationRequest, grounding: Grounding
) -> AnswerKey | None:
    """The key of what `request` asks of `model`; None where its answer must not be shared: it goes on from earlier
    turns, wants log-probabilities, or may say who an unknown person is."""
    if question.history or request.sampling.logprobs is not None:
        return None
    personal = may_be_personal(question.text) or may_be_personal(question.system or "")
    if personal and question.person is None:
        return None
    facts = {
        "form": FORM,
        "model": model.revision,
        "adapter": request.adapter,
        "prompt": request.messages or request.prompt,
        "bare": question.bare,
        "parameters": asdict(request.sampling),
        "knowledge": None if grounding.base is None else grounding.base.revision,
        "grounded": question.grounding,
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()
    return AnswerKey(digest, question.person if personal else None)
