"""gunicorn's settings for the Telegram service's web process."""
# ruff: noqa: N999 - gunicorn's own name for it

from typing import Any

from common.gunicorn_server import end_at_once_when_given_up, leave_readiness_to_workers
from common.log import configure_logging
from telegram_service.settings import Settings

_settings = Settings.from_environment()

bind = f"{_settings.host}:{_settings.port}" if ":" not in _settings.host else f"[{_settings.host}]:{_settings.port}"
wsgi_app = "telegram_service.wsgi:application"
proc_name = "telegram-web"

worker_class = "common.gunicorn_server.Worker"
workers = 1
threads = _settings.web_threads
timeout = 120
graceful_timeout = 30
keepalive = 75  # Telegram keeps its connections

logger_class = "common.gunicorn_server.RootLogger"
accesslog = None
loglevel = "warning"
control_socket_disable = True


def on_starting(_: Any) -> None:
    """In the master, which writes no files: two processes cannot rotate one."""
    configure_logging("telegram_service", _settings.log_level, None)
    leave_readiness_to_workers()


def post_worker_init(worker: Any) -> None:
    """In the worker, which has the application and is about to take requests."""
    end_at_once_when_given_up()
    worker.wsgi.extensions["heartbeat"].start()
