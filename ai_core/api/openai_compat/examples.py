"""Examples of requests and answers, as Swagger shows them."""

from __future__ import annotations

from typing import Any

MODEL = "code-du-travail-demo"
QUESTION = "Quelle est la durée légale du travail ?"
TEXT = "Selon l'article L3121-27 du Code du travail, la durée légale est de trente-cinq heures par semaine."
CREATED = 1_768_469_400
USAGE = {"prompt_tokens": 380, "completion_tokens": 32, "total_tokens": 412}
END = {"finish_reason": "stop", "native_finish_reason": "stop"}

CHAT: dict[str, Any] = {
    "model": f"{MODEL}:grounded",
    "messages": [{"role": "user", "content": QUESTION}],
    "max_tokens": 64,
}
STREAMED = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
CHATS = {"whole": {"value": CHAT}, "streamed": {"value": STREAMED}}
CHAT_COMPLETION: dict[str, Any] = {
    "id": "chatcmpl-1f0c8b6a9d3e4f5a6b7c8d9e",
    "object": "chat.completion",
    "created": CREATED,
    "model": MODEL,
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": TEXT, "refusal": None}, "logprobs": None, **END}
    ],
    "usage": USAGE,
    "grounded": True,
    "sources": [
        {
            "number": "L3121-27",
            "title": "Durée légale et heures supplémentaires",
            "url": "https://www.legifrance.gouv.fr/codes/article_lc/LEGIARTI000033020376",
            "excerpt": "La durée légale de travail effectif ... est fixée à trente-cinq heures par semaine.",
            "score": 0.92,
        }
    ],
    "citations": [{"number": "L3121-27", "status": "verified"}],
}
COMPLETION_REQUEST: dict[str, Any] = {"model": MODEL, "prompt": "La durée légale du travail est", "max_tokens": 16}
COMPLETION: dict[str, Any] = {
    "id": "cmpl-1f0c8b6a9d3e4f5a6b7c8d9e",
    "object": "text_completion",
    "created": CREATED,
    "model": MODEL,
    "choices": [{"index": 0, "text": " de trente-cinq heures par semaine.", "logprobs": None, **END}],
    "usage": {"prompt_tokens": 8, "completion_tokens": 9, "total_tokens": 17},
}
EMBEDDING_REQUEST: dict[str, Any] = {"model": "bge-m3-Q8_0", "input": ["licenciement", "préavis"]}
EMBEDDINGS: dict[str, Any] = {
    "object": "list",
    "data": [
        {"object": "embedding", "index": 0, "embedding": [0.0132, -0.0271, 0.0455]},
        {"object": "embedding", "index": 1, "embedding": [0.0208, -0.0114, 0.0392]},
    ],
    "model": "bge-m3-Q8_0",
    "usage": {"prompt_tokens": 9, "total_tokens": 9},
}
MODELS: dict[str, Any] = {
    "object": "list",
    "data": [
        {"id": name, "object": "model", "created": CREATED, "owned_by": "code-du-travail-neo"}
        for name in (MODEL, f"{MODEL}:grounded")
    ],
}
