"""The earlier system's variables, one .env for everything, and what each became in which service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

AI, TELEGRAM, MAIL = "ai_core", "telegram_service", "mail_service"


@dataclass(frozen=True, slots=True)
class OldName:
    """The new name by service; where there is none, `reason` says why. `secret`: belongs into a file of its own."""

    new: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    secret: bool = False


def _for(service: str, new: str, *, secret: bool = False) -> OldName:
    return OldName({service: new}, secret=secret)


def _gone(reason: str) -> OldName:
    return OldName(reason=reason)


# Not a setting: `ai-core models download --token-file` and the download route take it.
_HUB = OldName({AI: "HF_TOKEN"}, secret=True)
_PROFILE = _gone("the AI core's profile of the channel has it; PUT /api/v1/models/{id}/parameters changes a model's")
_NO_CONTAINERS = _gone("there are no containers any more")
_CERTBOT = _gone("nginx and Certbot hold the certificates")
_LOGS = _gone("logs go to DATA_DIR/logs and to the journal")
_MODEL_ENTRY = _gone("models.json and the memory of the machine decide")
_CLOUD = _gone("the deployment does not manage the cloud's machines")
_BACKUP = _gone("backups are a timer of the deployment")

OLD_NAMES: Mapping[str, OldName] = {
    "TELEGRAM_BOT_TOKEN": _for(TELEGRAM, "TELEGRAM_BOT_TOKEN", secret=True),
    "TELEGRAM_TOKEN": _for(TELEGRAM, "TELEGRAM_BOT_TOKEN", secret=True),
    "BOT_TOKEN": _for(TELEGRAM, "TELEGRAM_BOT_TOKEN", secret=True),
    "TELEGRAM_CHAT_ID": _for(TELEGRAM, "ADMIN_USERS"),
    "WEBHOOK_URL": _for(TELEGRAM, "WEBHOOK_URL"),
    "WEBHOOK_SECRET": _for(TELEGRAM, "WEBHOOK_SECRET", secret=True),
    "ALLOWED_USERS": _for(TELEGRAM, "ALLOWED_USERS"),
    "BLOCKED_USERS": _for(TELEGRAM, "BLOCKED_USERS"),
    "ADMIN_USERS": _for(TELEGRAM, "ADMIN_USERS"),
    "EMAIL_ADDRESS": _for(MAIL, "EMAIL_ADDRESS"),
    "EMAIL_PASSWORD": _for(MAIL, "EMAIL_PASSWORD", secret=True),
    "EMAIL_DOMAIN": _for(MAIL, "EMAIL_DOMAIN"),
    "IMAP_SERVER": _for(MAIL, "IMAP_HOST"),
    "IMAP_HOST": _for(MAIL, "IMAP_HOST"),
    "IMAP_PORT": _for(MAIL, "IMAP_PORT"),
    "SMTP_SERVER": _for(MAIL, "SMTP_HOST"),
    "SMTP_HOST": _for(MAIL, "SMTP_HOST"),
    "SMTP_PORT": _for(MAIL, "SMTP_PORT"),
    "PROTONMAIL_USERNAME": _for(MAIL, "EMAIL_ADDRESS"),
    "PROTONMAIL_EMAIL": _for(MAIL, "EMAIL_ADDRESS"),
    "PROTONMAIL_PASSWORD": _for(MAIL, "EMAIL_PASSWORD", secret=True),
    "PROTONMAIL_IMAP_HOST": _for(MAIL, "IMAP_HOST"),
    "PROTONMAIL_IMAP_SERVER": _for(MAIL, "IMAP_HOST"),
    "PROTONMAIL_IMAP_PORT": _for(MAIL, "IMAP_PORT"),
    "PROTONMAIL_SMTP_HOST": _for(MAIL, "SMTP_HOST"),
    "PROTONMAIL_SMTP_SERVER": _for(MAIL, "SMTP_HOST"),
    "PROTONMAIL_SMTP_PORT": _for(MAIL, "SMTP_PORT"),
    "EMAIL_MAX_TOKENS": _for(MAIL, "MAX_TOKENS"),
    "EMAIL_TEMPERATURE": _for(MAIL, "TEMPERATURE"),
    "EMAIL_TOP_P": _PROFILE,
    "EMAIL_TOP_K": _PROFILE,
    "EMAIL_REPETITION_PENALTY": _PROFILE,
    "EMAIL_CHECK_INTERVAL": _for(MAIL, "EMAIL_CHECK_INTERVAL"),
    "EMAIL_SIGNATURE": _gone("change letter.txt and letter.html in TEMPLATES_DIR"),
    "EMAIL_DISCLAIMER": _gone("change letter.txt and letter.html in TEMPLATES_DIR"),
    "EMAIL_LOG_LEVEL": _for(MAIL, "LOG_LEVEL"),
    "TELEGRAM_MAX_TOKENS": _PROFILE,
    "TELEGRAM_TEMPERATURE": _PROFILE,
    "TELEGRAM_TOP_P": _PROFILE,
    "TELEGRAM_TOP_K": _PROFILE,
    "TELEGRAM_REPETITION_PENALTY": _PROFILE,
    "HUGGING_FACE_TOKEN": _HUB,
    "HUGGINGFACE_TOKEN": _HUB,
    "HUGGINGFACE_HUB_TOKEN": _HUB,
    "HF_TOKEN": _HUB,
    "AI_API_URL": OldName({TELEGRAM: "AI_API_URL", MAIL: "AI_API_URL"}),
    "AI_API_KEY": OldName({TELEGRAM: "AI_API_KEY", MAIL: "AI_API_KEY"}, secret=True),
    "DATABASE_URL": _gone("each service has a database of its own; set DATABASE_URL for each"),
    "REDIS_URL": OldName({AI: "REDIS_URL", TELEGRAM: "REDIS_URL", MAIL: "REDIS_URL"}, secret=True),
    "LOG_LEVEL": OldName({AI: "LOG_LEVEL", TELEGRAM: "LOG_LEVEL", MAIL: "LOG_LEVEL"}),
    "MODEL_NAME": _gone("default_model in models.json: see `ai-core import --models`"),
    "DEFAULT_MODEL": _for(TELEGRAM, "DEFAULT_MODEL"),
    "DEVICE": _MODEL_ENTRY,
    "MAX_LENGTH": _MODEL_ENTRY,
    "USE_QUANTIZATION": _MODEL_ENTRY,
    "LOAD_IN_4BIT": _MODEL_ENTRY,
    "LOG_FILE": _LOGS,
    "HEALTH_CHECK_INTERVAL": _gone("systemd's watchdog and the monitoring look themselves"),
    "ENABLE_METRICS": _gone("/metrics is always there"),
    "METRICS_PORT": _gone("/metrics is served on PORT"),
    "DEBUG_MODE": _gone("LOG_LEVEL=DEBUG says more"),
    "DEBUG": _gone("LOG_LEVEL=DEBUG says more"),
    "ENABLE_HOT_RELOAD": _gone("a new release is a deployment"),
    "TEST_MODE": _gone("the tests bring their own"),
    "CLOUDFLARE_API_TOKEN": _gone("belongs to the deployment's vault, for certificates by DNS"),
    "CLOUDFLARE_ZONE_ID": _gone("belongs to the deployment, for certificates by DNS"),
    **dict.fromkeys(("SSL_TYPE", "SSL_CERT_PATH", "SSL_KEY_PATH"), _CERTBOT),
    **dict.fromkeys(("DOCKER_NETWORK", "DOCKER_IMAGE_TAG"), _NO_CONTAINERS),
    **dict.fromkeys(("BACKUP_ENABLED", "BACKUP_INTERVAL", "BACKUP_RETENTION_DAYS", "BACKUP_PATH"), _BACKUP),
    **dict.fromkeys(("OS_AUTH_URL", "OS_PROJECT_ID", "OS_USERNAME", "OS_PASSWORD", "OS_REGION_NAME"), _CLOUD),
}
