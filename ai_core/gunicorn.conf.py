"""gunicorn's settings for the AI core: one worker holds the model, threads carry the requests."""

from typing import Any

from ai_core.settings import Settings
from common.gunicorn_server import end_at_once_when_given_up, leave_readiness_to_workers
from common.log import configure_logging

_settings = Settings.from_environment()

bind = f"{_settings.host}:{_settings.port}" if ":" not in _settings.host else f"[{_settings.host}]:{_settings.port}"
wsgi_app = "ai_core.wsgi:application"
proc_name = "ai-core"

# One worker, because a second would load the model a second time. No preload and no max_requests for the same reason.
worker_class = "common.gunicorn_server.Worker"
workers = 1
threads = _settings.web_threads  # a streamed answer holds one to its end

# With threads the worker's heartbeat goes on whatever an answer takes: this only bounds a worker that cannot start.
timeout = 120
graceful_timeout = 60  # no answer takes longer
keepalive = 5

limit_request_line = 8190  # a long search, percent-encoded

logger_class = "common.gunicorn_server.RootLogger"
accesslog = None
loglevel = "warning"
control_socket_disable = True


def on_starting(_: Any) -> None:
    """In the master, which writes no files: two processes cannot rotate one."""
    configure_logging("ai_core", _settings.log_level, None)
    leave_readiness_to_workers()


def post_worker_init(worker: Any) -> None:
    """In the worker, which has the application and is about to take requests."""
    end_at_once_when_given_up()
    worker.wsgi.extensions["heartbeat"].start()
