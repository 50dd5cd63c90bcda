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
        }
    ],
    "citations": [{"number": "L3121-27", "status": "verified"}],
    "notice": None,
    "cached": False,
}
NEW_KEY = {"name": "Site du cabinet", "scopes": ["chat"], "rate_limit_per_minute": 30}
CLEANUP = {"operations": ["clean_logs", "clean_temp"], "force": False}
PURGE = {"older_than_days": 30, "keep_latest_files": 100, "log_levels": ["debug", "info"]}
