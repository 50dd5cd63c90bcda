"""Examples of requests and answers, as Swagger shows them."""

CHAT = {"message": "Quelle est la durée légale du travail ?", "channel": "webapp", "user_id": "demo"}
GENERATE = {"prompt": "Bonjour", "max_tokens": 64, "temperature": 0.3, "stream": False}
ANSWER = {
    "response": "Selon l'article L3121-27 du Code du travail, la durée légale est de trente-cinq heures par semaine.",
    "model": "code-du-travail-demo",
    "tokens_used": 412,
    "prompt_tokens": 380,
    "completion_tokens": 32,
    "processing_time": 0.84,
    "timestamp": "2026-01-15T09:30:00+00:00",
    "finish_reason": "stop",
    "parameters_used": {"temperature": 0.3, "top_p": 0.9, "top_k": 40, "max_length": 512, "seed": None, "stop": []},
    "grounded": True,
    "sources": [
        {
            "number": "L3121-27",
            "title": "Durée légale et heures supplémentaires",
            "url": "https://www.legifrance.gouv.fr/codes/article_lc/LEGIARTI000033020376",
            "excerpt": "La durée légale de travail effectif ... est fixée à trente-cinq heures par semaine.",
            "score": 0.92,
            "section": ["Partie législative", "Troisième partie", "Livre Ier", "Titre II", "Durée légale"],
            "state": "in_force",
            "in_force_from": "2016-08-10",
            "in_force_until": None,
        }
    ],
    "citations": [{"number": "L3121-27", "status": "verified"}],
    "notice": None,
    "cached": False,
}
NEW_KEY = {"name": "Site du cabinet", "scopes": ["chat"], "rate_limit_per_minute": 30}
CLEANUP = {"operations": ["clean_logs", "clean_temp"], "force": False}
PURGE = {"older_than_days": 30, "keep_latest_files": 100, "log_levels": ["debug", "info"]}
NEW_DOWNLOAD = {"model_name": "owner/model-GGUF", "filename": "Q4_K_M"}
DOWNLOAD = {
    "id": "5f0c2a9b7d3e41c8a6b0d2f4",
    "model_name": "owner/model-GGUF",
    "model_format": None,
    "filename": "Q4_K_M",
    "revision": "main",
    "commit": "8f2d6c1e0b9a47d35c6e8f1a2b3c4d5e6f708192",
    "model_id": "model.Q4_K_M",
    "format": "gguf",
    "status": "downloading",
    "progress": 42,
    "bytes_done": 1_835_008_000,
    "bytes_total": 4_368_439_584,
    "bytes_per_second": 31_457_280,
    "estimated_seconds": 81,
    "message": None,
    "error_code": None,
    "error": None,
    "created_at": "2026-01-15T09:30:00+00:00",
    "started_at": "2026-01-15T09:30:01+00:00",
    "finished_at": None,
}
MODEL_ID = {"model_id": "mistral-7b-instruct"}
MODEL = {
    "id": "mistral-7b-instruct",
    "name": "mistral-7b-instruct",
    "status": "loaded",
    "description": "",
    "format": "gguf",
    "size": 4_368_439_584,
    "source": "declared",
    "quantisation": "Q4_K_M",
    "context_length": 4096,
    "adapter_base": None,
    "adapters": [],
    "requires_token": False,
    "parameters": {"temperature": 0.7, "top_p": 0.9, "max_length": 512},
    "error": None,
    "step": None,
    "notes": [],
}
LOADED = {
    "status": "loaded",
    "message": "mistral-7b-instruct is loaded.",
    "model_id": "mistral-7b-instruct",
    "loaded_at": "2026-01-15T09:30:00+00:00",
}
UNLOADED = {
    "status": "unloaded",
    "message": "mistral-7b-instruct is unloaded.",
    "model_id": "mistral-7b-instruct",
    "unloaded_at": "2026-01-15T09:31:00+00:00",
}
REMOVED = {"status": "removed", "message": "old is removed.", "model_id": "old", "space_freed": 4_368_439_584}
MODEL_PARAMETERS = {
    "model_id": "mistral-7b-instruct",
    "parameters": {"temperature": 0.3, "top_k": 50, "top_p": 0.9, "max_length": 800},
    "updated_parameters": ["max_length", "temperature"],
    "default_parameters": {"temperature": 1.0, "top_k": 50, "top_p": 0.9, "max_length": 100},
    "last_updated": "2026-01-15T09:30:00+00:00",
}
